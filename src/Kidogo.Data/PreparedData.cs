// Tokenised, split and counted: what a trainer asks for batches. Knows no models.
using Kidogo.Text.Tokenizers;

namespace Kidogo.Data;

/// <summary>What a source holds and how it is split. "Tokens" are ids in shards, the end of each document included; "positions" are places with a token after them, which is what rows are made of.</summary>
public sealed record PreparedSource
{
    /// <summary>The path as it was given.</summary>
    public required string Path { get; init; }

    /// <summary>What it holds; never <see cref="SourceKind.Detect"/>.</summary>
    public required SourceKind Kind { get; init; }

    /// <summary>Share of the rows that come from it; all sources together have 1.</summary>
    public double Share { get; init; }

    /// <summary>Whether shards from before were used.</summary>
    public bool FromCache { get; init; }

    /// <summary>Files.</summary>
    public int Files { get; init; }

    /// <summary>SHA-256 (lower-case hex) of the files' names, lengths and contents.</summary>
    public string Sha256 { get; init; } = "";

    /// <summary>Documents or conversations, empty ones not counted.</summary>
    public long Documents { get; init; }

    /// <summary>Documents that were empty or only white space and are left out.</summary>
    public long EmptyDocuments { get; init; }

    /// <summary>Conversations left out for being longer than the context.</summary>
    public long LongConversations { get; init; }

    /// <summary>Tokens of all documents.</summary>
    public long Tokens { get; init; }

    /// <summary>UTF-8 bytes of the documents' texts, as they came (of conversations, as rendered).</summary>
    public long Bytes { get; init; }

    /// <summary>Bytes that were not UTF-8 and were replaced.</summary>
    public long InvalidBytes { get; init; }

    /// <summary>Documents that are trained on.</summary>
    public long TrainingDocuments { get; init; }

    /// <summary>Tokens of these.</summary>
    public long TrainingTokens { get; init; }

    /// <summary>Positions of these: an epoch of the source.</summary>
    public long TrainingPositions { get; init; }

    /// <summary>Documents that are held out.</summary>
    public long HeldOutDocuments { get; init; }

    /// <summary>Tokens of these.</summary>
    public long HeldOutTokens { get; init; }

    /// <summary>Positions of these.</summary>
    public long HeldOutPositions { get; init; }
}

/// <summary>Data that is ready for training: tokenised shards on disk, split into training and held-out documents.</summary>
public sealed class PreparedData : IDisposable
{
    private PreparedData(DataOptions options) => Options = options;

    /// <summary>What it was made with.</summary>
    public DataOptions Options { get; }

    /// <summary>The sources, in the order of the options.</summary>
    public IReadOnlyList<PreparedSource> Sources { get; private init; } = [];

    /// <summary>A hash of everything that decides the batches: contents, tokenizer, template, split, seed, context, weights. Not of paths, threads or the cache.</summary>
    public string Fingerprint { get; private init; } = "";

    /// <summary>What is odd about the data, one sentence each; mostly none.</summary>
    public IReadOnlyList<string> Warnings { get; private init; } = [];

    /// <summary>Reads, tokenises (or finds the shards of an earlier time, if the files, the tokenizer and the options are the same), splits and counts.</summary>
    /// <param name="options">Which data.</param>
    /// <param name="tokenizer">The vocabulary.</param>
    /// <param name="chat">How conversations become text; needed where there are conversations.</param>
    /// <param name="progress">Told now and then how far tokenising has come.</param>
    /// <param name="cancellation">Stops within a fraction of a second; the cache folder stays usable.</param>
    /// <exception cref="DataFormatException">The data cannot be used; the message has file and line.</exception>
    /// <exception cref="ArgumentException">An option lies outside its range or contradicts another.</exception>
    /// <exception cref="IOException">A file cannot be read, or the disk is full.</exception>
    public static PreparedData Prepare(DataOptions options, Tokenizer tokenizer, ChatSetup? chat = null, IProgress<DataProgress>? progress = null, CancellationToken cancellation = default) =>
        throw new NotImplementedException();

    /// <summary>The endless stream of training batches, from its beginning.</summary>
    /// <exception cref="DataFormatException">There is nothing to train on.</exception>
    public BatchStream OpenTraining() => throw new NotImplementedException();

    /// <summary>The held-out documents, once and in a fixed order, whatever the number of rows of a batch.</summary>
    /// <param name="source">One source, or null for all one after the other.</param>
    public BatchStream OpenHeldOut(int? source = null) => throw new NotImplementedException();

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
