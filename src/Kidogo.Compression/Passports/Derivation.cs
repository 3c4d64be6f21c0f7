// The making of a passport: hashes of what goes in, measurements before and after. Knows nothing of what is done to the model.
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Kidogo.Data;
using Kidogo.Evaluation;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Models.Passports;
using Kidogo.Tensors;

namespace Kidogo.Compression.Passports;

/// <summary>What a derived model's passport is made of.</summary>
public sealed record DerivationOptions
{
    /// <summary>What is done: <c>quantize</c>.</summary>
    public required string Verb { get; init; }

    /// <summary>Its options that change the result, with their values as text; null where one was not given, which is left out. Paths are cut to file names.</summary>
    public IReadOnlyList<(string Name, object? Value)> Options { get; init; } = [];

    /// <summary>The seed of what is drawn; null where nothing is.</summary>
    public ulong? Seed { get; init; }

    /// <summary>An adapter that is a parent beside the model: a PEFT folder or a GGUF file, by the hash of the file with its weights. Null for none.</summary>
    public string? Adapter { get; init; }

    /// <summary>Files and folders that came into it, with what for: <c>text</c>, <c>calibration</c>, <c>ids</c>.</summary>
    public IReadOnlyList<(string Role, string Path)> Data { get; init; } = [];

    /// <summary>Files and folders of text that bits per byte are measured on, before and after. They are named in the passport as data. Default none.</summary>
    public IReadOnlyList<string> Measure { get; init; } = [];

    /// <summary>Of each, on how many bytes from its beginning; 0 for nothing measured at all. Default 65536.</summary>
    public int MeasuredBytes { get; init; } = 65536;

    /// <summary>Threads that hash and measure; they change no result. Default 1.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Called with what is being done, how far it is, and of how much; may be null.</summary>
    public Action<string, long, long>? Progress { get; init; }
}

/// <summary>Makes passports.</summary>
public static class Derivation
{
    /// <summary>Bytes of the first measured text that the passport carries, so that everybody can measure again.</summary>
    public const int SampleBytes = 4096;

    /// <summary>The role of a parent that is an adapter.</summary>
    internal const string AdapterRole = "adapter";

    /// <summary>The kind of processor that results depend on: system, architecture, and the vector instructions that are used.</summary>
    public static string ProcessorKind =>
        $"{RuntimeInformation.RuntimeIdentifier} {string.Join(' ', MachineInfo.Read().Instructions.Where(tier => tier.IsUsed).Select(tier => tier.Name))}".TrimEnd();

    /// <summary>Hashes the parent and the data, measures the parent, and says what the writer has to do.</summary>
    /// <param name="parent">The model that is changed.</param>
    /// <param name="options">What is done.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="IOException">A file became shorter meanwhile, or is absent.</exception>
    /// <exception cref="DataFormatException">A text cannot be read.</exception>
    public static PassportRequest Begin(ModelHeader parent, DerivationOptions options, CancellationToken cancellation = default)
    {
        options.Progress?.Invoke("hashing", 0, 1);
        IReadOnlyList<PassportTensor> tensors = ModelHash.Tensors(parent, options.Threads, cancellation);
        string hash = ModelHash.Of(tensors);
        (IReadOnlyList<PassportAncestor> lineage, int older) = PassportJson.LineageOf(parent, hash);
        List<PassportSource> data = [.. options.Data.Select(item => Source(item.Role, item.Path, cancellation))];
        List<PassportClaim> claims = [];
        ReadOnlyMemory<byte> sample = default;
        IReadOnlyList<string> texts = options.MeasuredBytes > 0 ? options.Measure : [];
        foreach (string path in texts)
        {
            PassportSource source = Source("text", path, cancellation);
            if (!data.Exists(other => other.Sha256 == source.Sha256))
            {
                data.Add(source);
            }

            ReadOnlyMemory<byte> beginning = MeasuredText.Beginning(path, options.MeasuredBytes, cancellation);
            if (sample.IsEmpty && !beginning.IsEmpty)
            {
                sample = TextBits.Beginning(beginning, SampleBytes);
                claims.Add(new PassportClaim(PassportClaim.BitsPerByte, Passport.SampleText, sample.Length, null, null));
            }

            claims.Add(new PassportClaim(PassportClaim.BitsPerByte, source.Sha256, beginning.Length, null, null));
        }

        Passport draft = new()
        {
            Recipe = new PassportRecipe(PassportRecipe.ThisProgram, options.Verb, Described(options.Options), options.Seed),
            Parents = [new PassportSource("model", NameOf(parent.Path), hash, parent.WeightBytes), .. options.Adapter is { } adapter ? [ModelHash.File(NameOf(adapter), AdapterFiles.WeightsFileOf(adapter), AdapterRole)] : Array.Empty<PassportSource>()],
            Data = data,
            Sample = Encoding.UTF8.GetString(sample.Span),
            Processor = claims.Count > 0 ? ProcessorKind : "",
            Lineage = lineage,
            OlderSteps = older,
        };
        if (claims.Count == 0)
        {
            return new PassportRequest(draft);
        }

        Dictionary<string, ReadOnlyMemory<byte>> contents = new(StringComparer.Ordinal) { [Passport.SampleText] = Encoding.UTF8.GetBytes(draft.Sample) };
        foreach (string path in texts)
        {
            contents[Source("text", path, cancellation).Sha256] = MeasuredText.Beginning(path, options.MeasuredBytes, cancellation);
        }

        double?[] before = MeasuredText.BitsPerByte(parent.Path, claims, contents, options.Threads, options.Progress, cancellation);
        draft = draft with { Measured = [.. claims.Select((claim, i) => claim with { Before = before[i] })] };
        return new PassportRequest(draft, (path, passport) =>
        {
            double?[] after = MeasuredText.BitsPerByte(path, passport.Measured, contents, options.Threads, options.Progress, cancellation);
            return passport with { Measured = [.. passport.Measured.Select((claim, i) => claim with { After = after[i] })] };
        });
    }

    /// <summary>A file, or a folder by the names and hashes of its files.</summary>
    /// <param name="role">What it is for.</param>
    /// <param name="path">Where it lies.</param>
    /// <param name="cancellation">Ends it.</param>
    public static PassportSource Source(string role, string path, CancellationToken cancellation = default)
    {
        if (!Directory.Exists(path))
        {
            return ModelHash.File(NameOf(path), path, role);
        }

        StringBuilder lines = new();
        long bytes = 0;
        foreach (string file in Directory.EnumerateFiles(path, "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(path, file).Replace(Path.DirectorySeparatorChar, '/')).Order(StringComparer.Ordinal))
        {
            cancellation.ThrowIfCancellationRequested();
            PassportSource one = ModelHash.File(file, Path.Combine(path, file));
            lines.Append(one.Name).Append('\0').Append(one.Sha256).Append('\n');
            bytes += one.Bytes;
        }

        return new PassportSource(role, NameOf(path), Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(lines.ToString()))), bytes);
    }

    /// <summary>Options as a passport has them: by name, without those that were not given.</summary>
    public static IReadOnlyList<KeyValuePair<string, string>> Described(IEnumerable<(string Name, object? Value)> options) =>
        [.. options.Where(option => option.Value is not null).OrderBy(option => option.Name, StringComparer.Ordinal).Select(option => new KeyValuePair<string, string>(option.Name, Describe(option.Value!)))];

    private static string Describe(object value) => value switch
    {
        bool flag => flag ? "true" : "false",
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        IEnumerable<string> many => string.Join(", ", many),
        _ => value.ToString() ?? "",
    };

    private static string NameOf(string path) => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
}

/// <summary>Texts that bits per byte are measured on.</summary>
internal static class MeasuredText
{
    /// <summary>The beginning of the texts of a file or folder, with a line end between them.</summary>
    public static ReadOnlyMemory<byte> Beginning(string path, int bytes, CancellationToken cancellation)
    {
        using MemoryStream beginning = new();
        foreach (TextFile file in TextSources.Find([path], cancellation))
        {
            foreach (ReadOnlyMemory<byte> text in file.Read(cancellation))
            {
                beginning.Write(text.Span);
                if (beginning.Length >= bytes)
                {
                    return TextBits.Beginning(beginning.ToArray(), bytes);
                }

                beginning.WriteByte((byte)'\n');
            }
        }

        return beginning.ToArray();
    }

    /// <summary>What each claim's text costs a model, null where the text is not there, or too short.</summary>
    public static double?[] BitsPerByte(
        string model, IReadOnlyList<PassportClaim> claims, IReadOnlyDictionary<string, ReadOnlyMemory<byte>> texts, int threads, Action<string, long, long>? progress, CancellationToken cancellation)
    {
        double?[] bits = new double?[claims.Count];
        if (!claims.Any(claim => IsMeasurable(claim, texts)))
        {
            return bits;
        }

        using ComputeContext context = ComputeContext.Inference(threads);
        using LoadedModel loaded = ModelLoader.Load(model, context);
        if (!ModelText.Of(loaded.Header).HasTokenizer)
        {
            return bits;
        }

        for (int i = 0; i < bits.Length; i++)
        {
            if (IsMeasurable(claims[i], texts))
            {
                ReadOnlyMemory<byte> text = TextBits.Beginning(texts[claims[i].Text], (int)claims[i].Bytes);
                double value = TextBits.Measure(loaded, context, text.Span, (done, total) => progress?.Invoke("measuring", done, total), cancellation).BitsPerByte;
                bits[i] = double.IsFinite(value) ? value : null;
            }
        }

        return bits;
    }

    private static bool IsMeasurable(PassportClaim claim, IReadOnlyDictionary<string, ReadOnlyMemory<byte>> texts) =>
        claim.Name == PassportClaim.BitsPerByte && texts.ContainsKey(claim.Text) && claim.Bytes is > 0 and <= int.MaxValue;
}
