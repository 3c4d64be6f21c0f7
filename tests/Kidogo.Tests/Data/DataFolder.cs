// A folder of texts for one test, a vocabulary of bytes, and short ways to prepare. Knows nothing of what is tested.
using System.IO.Compression;
using System.Text;
using Kidogo.Data;
using Kidogo.Text.ChatTemplates;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Tests.Data;

/// <summary>A folder that goes with the test.</summary>
internal sealed class DataFolder : IDisposable
{
    public const int TurnStart = 256;
    public const int TurnEnd = 257;
    public const int TextEnd = 258;

    public string Path { get; } = Directory.CreateTempSubdirectory("kidogo-data-").FullName;

    public string Cache => System.IO.Path.Combine(Path, "cache");

    /// <summary>256 bytes, each an id of its own, and three control tokens. No merges: a document's ids are its bytes.</summary>
    public static Tokenizer Bytes { get; } = Tokenizer.Create(Definition());

    public static ChatSetup Chatml { get; } = new(ChatTemplate.BuiltIn("chatml")!, new ChatTemplateInput());

    public static TokenizerDefinition Definition()
    {
        PieceList pieces = new();
        for (int value = 0; value < 256; value++)
        {
            pieces.Add(new Rune(ByteAlphabet.CodePointOf((byte)value)).ToString());
        }

        pieces.Add("<|im_start|>");
        pieces.Add("<|im_end|>");
        pieces.Add("</s>");
        return new TokenizerDefinition
        {
            Model = TokenizerModelKind.ByteLevelBytePair,
            Pieces = pieces,
            Merges = new PieceList(),
            Kinds = [.. Enumerable.Repeat((int)TokenKind.Normal, 256), (int)TokenKind.Control, (int)TokenKind.Control, (int)TokenKind.Control],
            PreTokenizer = "gpt-2",
            EosId = TextEnd,
        };
    }

    public string Write(string name, string text) => Write(name, Encoding.UTF8.GetBytes(text));

    public string Write(string name, byte[] bytes)
    {
        string path = System.IO.Path.Combine(Path, name);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, bytes);
        return path;
    }

    public static byte[] Gzip(byte[] bytes)
    {
        using MemoryStream packed = new();
        using (GZipStream packer = new(packed, CompressionLevel.Optimal))
        {
            packer.Write(bytes);
        }

        return packed.ToArray();
    }

    public DataOptions Options(int context, params DataSource[] sources) => new() { Sources = sources, CacheFolder = Cache, Context = context, HeldOut = 0, Workers = 2 };

    public static PreparedData Prepare(DataOptions options, Tokenizer? tokenizer = null, ChatSetup? chat = null) => PreparedData.Prepare(options, tokenizer ?? Bytes, chat ?? Chatml);

    /// <summary>The documents of a source as they are read, without the token at the end.</summary>
    public List<string> Documents(DataSource source, bool strict = false)
    {
        const int Context = 256; // an epoch of a few short documents lies in the first row
        using PreparedData data = Prepare(Options(Context, source) with { Strict = strict });
        return [.. Sequences(data.OpenTraining(), 1, 1, Context).Take((int)data.Sources[0].TrainingDocuments).Select(document => Text(document.Ids)).Order(StringComparer.Ordinal)];
    }

    public static string Text(IEnumerable<int> ids) => Encoding.UTF8.GetString([.. ids.Where(id => id < 256).Select(id => (byte)id)]);

    /// <summary>The segments of a stream, with the last target after the inputs, until so many positions have come.</summary>
    public static List<(int Source, List<int> Ids, List<int> Targets)> Sequences(BatchStream stream, long positions, int rows, int context)
    {
        TokenBatch batch = new(rows, context);
        List<(int, List<int>, List<int>)> sequences = [];
        while (positions > 0 && stream.Next(batch))
        {
            foreach (BatchSegment segment in batch.Segments)
            {
                List<int> targets = [.. batch.Targets.AsSpan(segment.First, segment.Length)];
                List<int> ids = [.. batch.Ids.AsSpan(segment.First, segment.Length)];
                if (targets[^1] != TokenBatch.NoTarget)
                {
                    ids.Add(targets[^1]);
                }

                sequences.Add((batch.SourceOfRow[segment.First / context], ids, targets));
                positions -= segment.Length;
            }
        }

        return sequences;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
