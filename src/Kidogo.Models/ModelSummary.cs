// What is in a model's files, for people and scripts, also where no family runs the architecture. Loads nothing.
using Kidogo.Models.Export;
using Kidogo.Models.Files;
using Kidogo.Models.Passports;
using Kidogo.Tensors;

namespace Kidogo.Models;

/// <summary>A tensor as a file has it.</summary>
/// <param name="Name">Its name there.</param>
/// <param name="Shape">Row-major: outermost dimension first.</param>
/// <param name="Format">How its elements are stored.</param>
/// <param name="Bytes">What they take.</param>
public sealed record TensorSummary(string Name, IReadOnlyList<long> Shape, string Format, long Bytes);

/// <summary>What is in a model's files.</summary>
public sealed record ModelSummary
{
    /// <summary>The name of the architecture in the files, or empty.</summary>
    public required string Architecture { get; init; }

    /// <summary>The configuration, or null where Kidogo does not run the model.</summary>
    public DecoderConfig? Config { get; init; }

    /// <summary>Why Kidogo does not run the model; null where it does.</summary>
    public string? Problem { get; init; }

    /// <summary>Number of parameters: by the configuration's formula, else the elements of all weights.</summary>
    public required long Parameters { get; init; }

    /// <summary>Bytes of all weight files.</summary>
    public required long Bytes { get; init; }

    /// <summary>Bits that a parameter takes on average; 0 where there are none.</summary>
    public required double BitsPerWeight { get; init; }

    /// <summary>Tokens that the model can see at once; 0 where the files do not say.</summary>
    public required int ContextLength { get; init; }

    /// <summary>What running the model takes of memory; of a model that does not run, the weights alone.</summary>
    public required MemoryEstimate Memory { get; init; }

    /// <summary>All tensors, in the order of the files.</summary>
    public required IReadOnlyList<TensorSummary> Tensors { get; init; }

    /// <summary>The kind of tokenizer, its size and what it adds, for people; null where there is none.</summary>
    public string? Tokenizer { get; init; }

    /// <summary>The names of the chat templates.</summary>
    public IReadOnlyList<string> ChatTemplates { get; init; } = [];

    /// <summary>What the model says of its making; null where it says nothing, or nothing that can be read.</summary>
    public Passport? Passport { get; init; }

    /// <summary>Why its passport cannot be read; null where it can, or there is none.</summary>
    public string? PassportProblem { get; init; }

    /// <summary>Where the model comes from, where it says so: the keys of <c>general.*</c> and <c>__metadata__</c>.</summary>
    public IReadOnlyList<(string Key, string Value)> Origin { get; init; } = [];

    /// <summary>Reads what is in the files of a model.</summary>
    /// <param name="path">A .gguf file or a folder.</param>
    /// <param name="contextLength">For how many tokens memory is estimated; 0 for the model's own context.</param>
    /// <param name="format">How keys and values would be stored.</param>
    /// <param name="loadAs">The mix of formats that the model would be loaded in; null for as it is.</param>
    /// <exception cref="ModelFormatException">The files are not what they should be.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    public static ModelSummary Read(string path, int contextLength, KvFormat format, FormatMix? loadAs = null)
    {
        ModelHeader? header = null;
        string? problem = null;
        try
        {
            header = ModelHeader.Open(path);
            header = loadAs is null ? header : ModelInMemory.Open(header, loadAs, threads: 1);
        }
        catch (ModelFormatException failure)
        {
            problem = failure.Problem;
        }

        using (header)
        {
            using GgufFile? gguf = header is null && !Directory.Exists(path) ? GgufFile.Open(path) : null;
            using HuggingFaceFolder? folder = header is null && Directory.Exists(path) ? HuggingFaceFolder.Open(path) : null;
            return Read(header, header?.Gguf ?? gguf, header?.Folder ?? folder, problem, contextLength, format);
        }
    }

    private static ModelSummary Read(ModelHeader? header, GgufFile? gguf, HuggingFaceFolder? folder, string? problem, int contextLength, KvFormat format)
    {
        bool hasWeights = gguf is not null || folder!.HasWeights;
        IReadOnlyList<StoredTensor> tensors = gguf?.Tensors ?? (hasWeights ? folder!.Tensors : []);
        long elements = tensors.Where(tensor => tensor.IsWeight).Sum(tensor => tensor.Elements);
        long stored = tensors.Where(tensor => tensor.IsWeight).Sum(tensor => tensor.Bytes);
        using ModelText text = gguf is not null ? ModelText.Of(gguf) : ModelText.Of(folder!);
        (Passport? passport, string? damage) = PassportOf(gguf, folder);
        int context = header?.Config.ContextLength ?? (gguf is not null ? GgufContext(gguf.Metadata) : 0);
        return new ModelSummary
        {
            Architecture = header?.Architecture ?? gguf?.Metadata.GetString("general.architecture", "") ?? FolderArchitecture(folder!),
            Config = header?.Config,
            Problem = tensors.Count == 0 ? null : problem,
            Parameters = header?.Config.ParameterCount ?? elements,
            Bytes = gguf?.TotalBytes ?? (hasWeights ? folder!.TotalBytes : 0),
            BitsPerWeight = elements == 0 ? 0 : 8.0 * stored / elements,
            ContextLength = context,
            Memory = header?.Estimate(contextLength == 0 ? context : contextLength, format) ?? new MemoryEstimate(stored, 0, 0),
            Tensors = [.. tensors.Select(tensor => new TensorSummary(tensor.Name, tensor.Shape, tensor.TypeName, tensor.Bytes))],
            Tokenizer = Describe(text, gguf),
            ChatTemplates = [.. text.ChatTemplates.Keys.Order(StringComparer.Ordinal)],
            Passport = passport,
            PassportProblem = damage,
            Origin = gguf is not null ? OriginOf(gguf.Metadata) : hasWeights ? [.. folder!.WeightMetadata.Select(pair => (pair.Key, pair.Value))] : [],
        };
    }

    private static (Passport? Passport, string? Problem) PassportOf(GgufFile? gguf, HuggingFaceFolder? folder)
    {
        try
        {
            return (gguf is not null ? PassportJson.Of(gguf) : PassportJson.Of(folder!), null);
        }
        catch (ModelFormatException failure)
        {
            return (null, failure.Problem);
        }
    }

    private static string? Describe(ModelText text, GgufFile? gguf)
    {
        if (!text.HasTokenizer)
        {
            return null;
        }

        if (gguf is null)
        {
            return "tokenizer.json";
        }

        string pre = gguf.Metadata.GetString("tokenizer.ggml.pre", "");
        return $"{gguf.Metadata.GetString("tokenizer.ggml.model", "?")}{(pre.Length > 0 ? $" ({pre})" : "")}, {gguf.Metadata.CountOf("tokenizer.ggml.tokens")} tokens";
    }

    private static int GgufContext(Metadata metadata) =>
        metadata.TryGetString("general.architecture", out string architecture) && metadata.TryGetInt($"{architecture}.context_length", out long context) && context is > 0 and <= int.MaxValue
            ? (int)context
            : 0;

    private static string FolderArchitecture(HuggingFaceFolder folder) =>
        folder.Config is not { } config ? ""
        : config.TryGetStrings("architectures", out string[] names) && names.Length > 0 ? names[0]
        : config.TryGetString("model_type", out string type) ? type : "";

    private static List<(string Key, string Value)> OriginOf(Metadata metadata) =>
    [
        .. metadata.Keys
            .Where(key => key.StartsWith("general.", StringComparison.Ordinal) || key.StartsWith("kidogo.", StringComparison.Ordinal))
            .Where(key => key is not ("general.architecture" or "general.alignment" or Passports.Passport.MetadataKey))
            .Take(64)
            .Select(key => (key, metadata.Describe(key))),
    ];
}
