// Tokenised, split and counted: what a trainer asks for batches. Knows no models.
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Kidogo.Data.Packing;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Data;

/// <summary>What a source holds and how it is split. "Tokens" are ids in shards, the end of each document included; "positions" are places with a token after
/// them, which is what rows are made of.</summary>
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

/// <summary>Data that is ready for training: tokenised shards on disk, split into training and held-out documents. Any number of threads may open
/// streams.</summary>
public sealed class PreparedData : IDisposable
{
    // Counted up when the same data and options begin to give other batches.
    private const int BatchesVersion = 1;

    private const int MaxContext = 1 << 20;
    private const double MaxHeldOut = 0.5;
    private const double MuchHeldOut = 0.2;

    private readonly List<SourceShards> _shards;
    private readonly List<(DocumentList Training, DocumentList HeldOut)?> _lists = [];
    private readonly int[] _byteLengths;

    private PreparedData(DataOptions options, Tokenizer tokenizer, List<SourceShards> shards)
    {
        Options = options;
        _shards = shards;
        _byteLengths = ByteLengths(tokenizer);
        List<PreparedSource> sources = [];
        List<string> warnings = [];
        foreach (SourceShards source in shards)
        {
            Split? split = source.Store is null ? null : Split.Of(source, options);
            (DocumentList, DocumentList)? lists = split is null ? null
                : (new DocumentList(split.Starts, split.Training, options.Context), new DocumentList(split.Starts, split.HeldOut, options.Context));
            _lists.Add(lists);
            sources.Add(Describe(source, split, lists));
            Warn(sources[^1], options, warnings);
        }

        double[] weights = [.. sources.Select((source, index) => options.Sources[index].Weight
            ?? (source.Kind == SourceKind.Random && sources.Count == 1 ? 1 : source.TrainingPositions))];
        double sum = weights.Sum();
        Sources = [.. sources.Select((source, index) => source with { Share = sum > 0 ? weights[index] / sum : 0 })];
        Warnings = warnings;
        Fingerprint = FingerprintOf(options, shards, Sources);
    }

    /// <summary>What it was made with.</summary>
    public DataOptions Options { get; }

    /// <summary>The sources, in the order of the options.</summary>
    public IReadOnlyList<PreparedSource> Sources { get; }

    /// <summary>A hash of everything that decides the batches: contents, tokenizer, template, split, seed, context, weights. Not of the sources' own paths, of
    /// threads or of the cache.</summary>
    public string Fingerprint { get; }

    /// <summary>What is odd about the data, one sentence each; mostly none.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>Reads, tokenises (or finds the shards of an earlier time, if the files, the tokenizer and the options are the same), splits and
    /// counts.</summary>
    /// <param name="options">Which data.</param>
    /// <param name="tokenizer">The vocabulary.</param>
    /// <param name="chat">How conversations become text; needed where there are conversations.</param>
    /// <param name="progress">Told now and then how far tokenising has come, on the calling thread.</param>
    /// <param name="cancellation">Stops within a fraction of a second; the cache folder stays usable.</param>
    /// <exception cref="DataFormatException">The data cannot be used; the message has file and line.</exception>
    /// <exception cref="ArgumentException">An option lies outside its range or contradicts another.</exception>
    /// <exception cref="IOException">A file cannot be read, or the disk is full; what was complete in the cache folder stays.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static PreparedData Prepare(DataOptions options, Tokenizer tokenizer, ChatSetup? chat = null, IProgress<DataProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(tokenizer);
        options = Checked(options);
        List<SourceShards> shards = new SourcePreparer(options, tokenizer, chat, progress, cancellation).PrepareAll();
        try
        {
            return new PreparedData(options, tokenizer, shards);
        }
        catch
        {
            shards.ForEach(source => source.Store?.Dispose());
            throw;
        }
    }

    /// <summary>The endless stream of training batches, from its beginning.</summary>
    /// <exception cref="DataFormatException">There is nothing to train on.</exception>
    public BatchStream OpenTraining()
    {
        RowSource[] rows = new RowSource[_shards.Count];
        for (int i = 0; i < rows.Length; i++)
        {
            if (_lists[i] is { Training.Count: 0 })
            {
                throw new DataFormatException(_shards[i].Source.Path, 0, $"nothing is left to train on: the source has {Sources[i].Documents} documents, of "
                    + $"which {Sources[i].HeldOutDocuments} are held out");
            }

            rows[i] = Rows(i, _lists[i]?.Training, endless: true);
        }

        return new BatchStream(Fingerprint, Options.Context, rows, [.. Enumerable.Range(0, rows.Length)], [.. Sources.Select(source => source.Share)]);
    }

    /// <summary>The held-out documents, once and in a fixed order, the same whatever the number of rows of a batch. Of random ids there are none.</summary>
    /// <param name="source">One source, or null for all one after the other.</param>
    public BatchStream OpenHeldOut(int? source = null)
    {
        if (source is { } asked)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(asked, nameof(source));
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(asked, _shards.Count, nameof(source));
        }

        int[] indices = [.. Enumerable.Range(0, _shards.Count).Where(index => (source is null || index == source) && _lists[index] is not null)];
        RowSource[] rows = [.. indices.Select(index => Rows(index, _lists[index]!.Value.HeldOut, endless: false))];
        return new BatchStream($"{Fingerprint} held out", Options.Context, rows, indices, null);
    }

    /// <inheritdoc/>
    public void Dispose() => _shards.ForEach(source => source.Store?.Dispose());

    private static DataOptions Checked(DataOptions options)
    {
        if (options.Sources is null || options.Sources.Count == 0)
        {
            throw new ArgumentException("There is no source of data; name at least one file or folder.", nameof(options));
        }

        if (options.Context is < 1 or > MaxContext)
        {
            throw new ArgumentException($"The context is {options.Context} positions; it can be 1 to {MaxContext}.", nameof(options));
        }

        if (!(options.HeldOut is >= 0 and <= MaxHeldOut) || options.HeldOutDocuments < 0)
        {
            throw new ArgumentException($"The held-out share is {options.HeldOut} and the number {options.HeldOutDocuments}; the share can be 0 to "
                + $"{MaxHeldOut}, the number 0 or more.", nameof(options));
        }

        if (options.Workers < 0)
        {
            throw new ArgumentException($"The number of workers is {options.Workers}; it can be 0 (one a processor) or more.", nameof(options));
        }

        List<DataSource> sources = [.. options.Sources.Select(source =>
            source.Kind == SourceKind.Detect && source.Path == DataSource.RandomPath && !Path.Exists(source.Path) ? source with { Kind = SourceKind.Random }
                : source)];
        foreach (DataSource source in sources)
        {
            if (source.Weight is { } weight && !(weight > 0 && double.IsFinite(weight)))
            {
                throw new ArgumentException($"The weight of {source.Path} is {weight}; a weight is a number above 0.", nameof(options));
            }

            if (string.IsNullOrEmpty(source.Path) || string.IsNullOrEmpty(source.Field))
            {
                throw new ArgumentException("A source has no path or no field.", nameof(options));
            }
        }

        DataSource? without = sources.Find(source => source.Weight is null);
        bool hasRandom = sources.Count > 1 && sources.Exists(source => source.Kind == SourceKind.Random && source.Weight is null);
        return hasRandom ? throw new ArgumentException("Random ids have no size, so beside other sources they need a weight.", nameof(options))
            : without is not null && sources.Find(source => source.Weight is not null) is { } with
            ? throw new ArgumentException($"{with.Path} has a weight and {without.Path} has none; give all sources one, or none.", nameof(options))
            : options with { Sources = sources };
    }

    private static int[] ByteLengths(Tokenizer tokenizer)
    {
        int[] lengths = new int[tokenizer.VocabularySize];
        for (int id = 0; id < lengths.Length; id++)
        {
            lengths[id] = tokenizer.Kind(id) is TokenKind.Control or TokenKind.Unused ? 0 : tokenizer.PieceBytes(id).Length;
        }

        return lengths;
    }

    private static PreparedSource Describe(SourceShards source, Split? split, (DocumentList Training, DocumentList HeldOut)? lists)
    {
        PreparedSource described = new() { Path = source.Source.Path, Kind = source.Kind };
        return source.Store is not { Manifest: var manifest } ? described : described with
        {
            FromCache = source.FromCache,
            Files = source.Files.Count,
            Sha256 = Convert.ToHexStringLower(source.ContentHash),
            Documents = manifest.Documents,
            EmptyDocuments = manifest.EmptyDocuments,
            LongConversations = split!.LongConversations,
            Tokens = manifest.Tokens,
            Bytes = manifest.TextBytes,
            InvalidBytes = manifest.InvalidBytes,
            TrainingDocuments = lists!.Value.Training.Count,
            TrainingTokens = lists.Value.Training.Tokens,
            TrainingPositions = lists.Value.Training.Positions,
            HeldOutDocuments = lists.Value.HeldOut.Count,
            HeldOutTokens = lists.Value.HeldOut.Tokens,
            HeldOutPositions = lists.Value.HeldOut.Positions,
        };
    }

    private static void Warn(PreparedSource source, DataOptions options, List<string> warnings)
    {
        if (source.InvalidBytes > 0)
        {
            warnings.Add(string.Create(CultureInfo.InvariantCulture, $"{source.Path}: {source.InvalidBytes} bytes were not UTF-8 and were replaced with "
                + $"U+FFFD ({100.0 * source.InvalidBytes / Math.Max(1, source.Bytes):0.###} % of the text); with --strict this is an error."));
        }

        if (source.LongConversations > 0)
        {
            warnings.Add($"{source.Path}: {source.LongConversations} of {source.Documents} conversations are longer than the context of {options.Context} "
                + "tokens and are left out.");
        }

        bool wantsHeldOut = (options.HeldOutDocuments ?? options.HeldOut) > 0 && source.Kind != SourceKind.Random;
        if (wantsHeldOut && source.HeldOutDocuments == 0)
        {
            warnings.Add($"{source.Path}: there is one document only, so none is held out; if each line is a text of its own, say --documents line.");
        }
        else if (wantsHeldOut && options.HeldOutDocuments is null
            && source.HeldOutTokens > Math.Max(MuchHeldOut, 2 * options.HeldOut) * (source.HeldOutTokens + source.TrainingTokens))
        {
            warnings.Add(string.Create(CultureInfo.InvariantCulture, $"{source.Path}: {100.0 * source.HeldOutTokens / source.Tokens:0} % of the tokens are "
                + $"held out, since there are only {source.Documents} documents; if each line is a text of its own, say --documents line."));
        }
    }

    private static string FingerprintOf(DataOptions options, List<SourceShards> shards, IReadOnlyList<PreparedSource> sources)
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"kidogo batches {BatchesVersion}\n{options.Context} {options.Seed} {options.HeldOut:R} "
            + $"{options.HeldOutDocuments} {options.SkipLongConversations}\n");
        for (int i = 0; i < shards.Count; i++)
        {
            text.Append(CultureInfo.InvariantCulture, $"{Convert.ToHexStringLower(shards[i].Key)} {sources[i].Share:R}\n");
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }

    private RowSource Rows(int index, DocumentList? documents, bool endless)
    {
        ulong seed = Mix.Hash(Options.Seed, (ulong)index + 1);
        if (documents is null)
        {
            return new RandomRows(_byteLengths.Length, Options.Context, seed, _byteLengths);
        }

        PieceReader reader = new(_shards[index].Store!, Options.Context, _byteLengths);
        return _shards[index].Kind == SourceKind.Conversations
            ? new ConversationRows(documents, reader, Options.Context, seed, endless)
            : new TextRows(documents, reader, Options.Context, seed, endless);
    }
}
