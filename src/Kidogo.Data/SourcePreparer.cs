// From one source of the options to its shards. Knows which things decide the shards; knows no split and no rows.
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Kidogo.Data.Conversations;
using Kidogo.Data.Readers;
using Kidogo.Data.Shards;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Data;

/// <summary>A source with its shards.</summary>
/// <param name="Source">The source.</param>
/// <param name="Kind">What it holds.</param>
/// <param name="Files">Its files.</param>
/// <param name="ContentHash">Of the files.</param>
/// <param name="Key">Of all that decides the shards.</param>
/// <param name="Store">The tokens; null for random ids.</param>
/// <param name="FromCache">Whether they were there.</param>
internal sealed record SourceShards(DataSource Source, SourceKind Kind, IReadOnlyList<SourceFile> Files, byte[] ContentHash, byte[] Key, TokenStore? Store,
    bool FromCache);

/// <summary>Makes or finds the shards of sources.</summary>
internal sealed class SourcePreparer(DataOptions options, Tokenizer tokenizer, ChatSetup? chat, IProgress<DataProgress>? progress,
    CancellationToken cancellation)
{
    // Counted up when the same files and options begin to give other tokens.
    private const int ReadingVersion = 1;

    private readonly Dictionary<DataSource, IReadOnlyList<SourceFile>> _files = [];
    private long _bytesTotal;
    private long _bytesBefore;
    private long _documentsBefore;
    private long _tokensBefore;

    /// <summary>Prepares all sources, in order.</summary>
    public List<SourceShards> PrepareAll()
    {
        foreach (DataSource source in options.Sources.Where(source => source.Kind != SourceKind.Random))
        {
            _files[source] = SourceFiles.Find(source.Path);
        }

        _bytesTotal = options.Sources.Sum(source => source.Kind == SourceKind.Random ? 0 : _files[source].Sum(file => file.Length));
        List<SourceShards> prepared = [];
        try
        {
            foreach (DataSource source in options.Sources)
            {
                prepared.Add(source.Kind == SourceKind.Random ? Random(source) : Prepare(source, _files[source]));
            }

            return prepared;
        }
        catch
        {
            prepared.ForEach(shards => shards.Store?.Dispose());
            throw;
        }
    }

    private SourceShards Random(DataSource source) =>
        new(source, SourceKind.Random, [], [],
            SHA256.HashData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"random {tokenizer.VocabularySize}"))), null, false);

    private SourceShards Prepare(DataSource source, IReadOnlyList<SourceFile> files)
    {
        SourceKind kind = source.Kind == SourceKind.Detect ? Detect(source, files, cancellation) : source.Kind;
        ConversationEncoder? conversations = null;
        if (kind == SourceKind.Conversations)
        {
            if (files.FirstOrDefault(file => !file.IsJsonLines) is { } text)
            {
                throw new DataFormatException(text.Path, 0, "conversations are read from .jsonl, and this is .txt; put texts and conversations into sources "
                    + "of their own");
            }

            conversations = new ConversationEncoder(tokenizer, chat ?? throw new DataFormatException(source.Path, 0,
                "the source holds conversations, and there is no chat template to make text of them; name one: chat_template: chatml in a recipe, or "
                    + "--chat-template chatml"));
        }

        byte[][] hashes = [.. files.Select(file => SourceFiles.Hash(file, cancellation))];
        byte[] content = SourceFiles.Combine(files, hashes);
        byte[] key = Key(source, kind, content, conversations);
        (TokenStore store, bool wasThere) = ShardCache.OpenOrMake(options.CacheFolder, key, tokenizer.VocabularySize, folder =>
            Make(folder, source, files, hashes, key, conversations), cancellation);
        _bytesBefore += files.Sum(file => file.Length);
        _documentsBefore += store.Documents;
        _tokensBefore += store.Tokens;
        Report(source, 0, 0, 0);
        return new SourceShards(source, kind, files, content, key, store, wasThere);
    }

    private void Make(string folder, DataSource source, IReadOnlyList<SourceFile> files, byte[][] hashes, byte[] key, ConversationEncoder? conversations)
    {
        using ChunkReader chunks = new(files, hashes, source.Documents);
        using ShardWriter writer = new(folder, tokenizer.VocabularySize, conversations is not null, key);
        ChunkEncoder encoder = new(tokenizer, files, source.Field, conversations, options.EndDocuments, options.Strict);
        int workers = options.Workers > 0 ? options.Workers : Environment.ProcessorCount;
        ReadCounts counts = SourceTokenizer.Run(chunks, encoder, writer, workers, (bytes, documents, tokens) => Report(source, bytes, documents, tokens),
            cancellation);
        if (writer.Documents == 0)
        {
            throw new DataFormatException(source.Path, 0, counts.EmptyDocuments > 0
                ? $"all {counts.EmptyDocuments} texts are empty"
                : files.Count == 1 ? "the file is empty: it has no texts" : $"all {files.Count} files are empty: they have no texts");
        }

        new Manifest(Convert.ToHexStringLower(key), writer.Documents, counts.EmptyDocuments, writer.Tokens, writer.TextBytes, counts.InvalidBytes,
            writer.Shards).Write(folder);
    }

    private void Report(DataSource source, long bytes, long documents, long tokens) =>
        progress?.Report(new DataProgress(source.Path, _bytesBefore + bytes, _bytesTotal, _documentsBefore + documents, _tokensBefore + tokens));

    private byte[] Key(DataSource source, SourceKind kind, byte[] content, ConversationEncoder? conversations)
    {
        string isText = kind == SourceKind.Text ? string.Create(CultureInfo.InvariantCulture, $"{source.Field.Length} {source.Field} {source.Documents} "
            + $"{options.EndDocuments}") : "";
        string files = Convert.ToHexStringLower(content);
        string all = string.Create(CultureInfo.InvariantCulture,
            $"kidogo tokens {ReadingVersion}\n{kind}\n{isText}\n{options.Strict}\n{tokenizer.Fingerprint}\n{files}\n{conversations?.Describe()}");
        return SHA256.HashData(Encoding.UTF8.GetBytes(all));
    }

    /// <summary>What a source holds, by the first line of its first .jsonl file; texts where there is none.</summary>
    /// <exception cref="DataFormatException">That line is not JSON.</exception>
    public static SourceKind Detect(DataSource source, IReadOnlyList<SourceFile> files, CancellationToken cancellation)
    {
        foreach (SourceFile file in files.Where(file => file.IsJsonLines))
        {
            using LineReader lines = new(file);
            while (lines.Next(ChunkReader.MaxJsonLine, out ReadOnlySpan<byte> line, out bool ends) && ends)
            {
                cancellation.ThrowIfCancellationRequested();
                if (line.Trim(" \t\r\n"u8).IsEmpty)
                {
                    continue;
                }

                try
                {
                    using JsonDocument json = JsonDocument.Parse(TextRepair.Mend(line.ToArray(), out _), JsonLine.DocumentOptions);
                    bool hasField = json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty(source.Field, out JsonElement field)
                        && field.ValueKind == JsonValueKind.String;
                    return !hasField && Conversation.IsIn(json.RootElement) ? SourceKind.Conversations : SourceKind.Text;
                }
                catch (Exception failure) when (failure is JsonException or InvalidOperationException)
                {
                    throw JsonLine.Malformed(file.Path, lines.Line, failure);
                }
            }
        }

        return SourceKind.Text;
    }
}
