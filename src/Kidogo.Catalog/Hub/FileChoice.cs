// Which files of a repository make a model that Kidogo reads. Knows names, not contents; never takes pickled weights.
using Kidogo.Models;
using Kidogo.Models.Files;
using Kidogo.Models.Passports;

namespace Kidogo.Catalog.Hub;

/// <summary>The files of one model.</summary>
/// <param name="Format">The format of a GGUF file, or <c>safetensors</c>.</param>
/// <param name="Files">What it takes.</param>
public sealed record FileChoice(string Format, IReadOnlyList<HubFile> Files)
{
    /// <summary>What the weights of a folder are called as a format.</summary>
    public const string Folder = "safetensors";

    private static readonly string[] s_folderFiles =
    [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model", "spiece.model",
        "sentencepiece.bpe.model", "vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja", "chat_template.json", "model.safetensors.index.json", "modules.json", "sentence_bert_config.json",
        "config_sentence_transformers.json", "1_Pooling/config.json", "adapter_config.json", Passport.FileName,
    ];

    private static readonly string[] s_pickled = [".bin", ".pt", ".pth", ".ckpt", ".pkl"];

    /// <summary>Files that readers of folders ask for although many repositories have none of them.</summary>
    public static IReadOnlyList<string> Optional { get; } = ["generation_config.json", "added_tokens.json", "special_tokens_map.json", "chat_template.jinja", "adapter_config.json", "model.safetensors.index.json"];

    /// <summary>Whether a file holds weights, and may be as large as they are.</summary>
    public static bool IsWeights(string path) => path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".safetensors", StringComparison.Ordinal);

    /// <summary>Whether a file belongs to a model at all; nothing else is brought into the cache.</summary>
    public static bool IsOfModel(string path) => HubFile.IsSafe(path) && (IsWeights(path) || s_folderFiles.Contains(path) || IsTerms(path));

    /// <summary>Chooses.</summary>
    /// <param name="listing">What there is.</param>
    /// <param name="format">A GGUF format by its name, in any case; <c>safetensors</c>; a file's name; null for Q4_K_M, else safetensors, else the nearest to four bits.</param>
    /// <exception cref="HubException">There is no such model; the message says which there are.</exception>
    public static FileChoice Of(HubListing listing, string? format)
    {
        IReadOnlyList<GgufVariant> variants = GgufVariant.Of(listing.Files.Select(file => file.Path));
        List<HubFile> folder = FolderOf(listing);
        bool wantsFolder = folder.Count > 0 && (format?.Equals(Folder, StringComparison.OrdinalIgnoreCase) ?? !variants.Any(variant => variant.Format == "Q4_K_M"));
        if (wantsFolder)
        {
            return new FileChoice(Folder, folder);
        }

        IReadOnlyList<GgufVariant> found = format is null ? GgufVariant.Usual(variants) is { } usual ? [usual] : [] : GgufVariant.Matching(variants, format);
        return found.Count switch
        {
            1 => new FileChoice(found[0].Format, [.. Named(listing, found[0].Files), .. Terms(listing)]),
            0 => throw Nothing(listing, format, variants, folder),
            _ => throw new HubException($"{listing.Repository} has {found.Count} models in {format}: {string.Join(", ", found.Take(6).Select(variant => ModelFormatException.Quote(variant.Files[0])))}. Name the file: {listing.Repository}:FILE.gguf"),
        };
    }

    /// <summary>The names by which <see cref="Of"/> would find something.</summary>
    public static IReadOnlyList<string> FormatsOf(HubListing listing) =>
        [.. GgufVariant.Of(listing.Files.Select(file => file.Path)).Select(variant => variant.Format).Distinct(), .. FolderOf(listing).Count > 0 ? [Folder] : Array.Empty<string>()];

    private static HubException Nothing(HubListing listing, string? format, IReadOnlyList<GgufVariant> variants, List<HubFile> folder)
    {
        if (variants.Count == 0 && folder.Count == 0)
        {
            HubFile? pickled = listing.Files.FirstOrDefault(file => s_pickled.Contains(Path.GetExtension(file.Path)));
            return new HubException(pickled is not null
                ? $"{listing.Repository} has its weights stored by pickle alone ({ModelFormatException.Quote(pickled.Path)}), which can run anything while it is read, and is never taken. Look for a copy in GGUF or safetensors."
                : $"{listing.Repository} has no weights in GGUF or safetensors among its {listing.Files.Count} files.");
        }

        IReadOnlyList<string> formats = FormatsOf(listing);
        string nearest = format is not null && NearestName.Likely(GgufVariant.Normal(format), formats) is { } near ? $" The nearest is {near}." : "";
        return new HubException($"{listing.Repository} has no {ModelFormatException.Quote(format ?? "")}.{nearest} There are {string.Join(", ", formats.Take(40))}.");
    }

    /// <summary>The files of the folder that safetensors make with what is beside them; none where there are no such weights.</summary>
    private static List<HubFile> FolderOf(HubListing listing)
    {
        HubFile[] weights = [.. listing.Files.Where(file => file.Path.EndsWith(".safetensors", StringComparison.Ordinal) && !file.Path.Contains('/', StringComparison.Ordinal))];
        bool isSharded = listing.Files.Any(file => file.Path == "model.safetensors.index.json");
        HubFile[] chosen = isSharded
            ? [.. weights.Where(file => file.Path.StartsWith("model-", StringComparison.Ordinal))]
            : [.. weights.Where(file => file.Path is "model.safetensors" or "adapter_model.safetensors")];
        chosen = chosen.Length > 0 ? chosen : weights;
        return chosen.Length == 0 ? [] : [.. chosen, .. Named(listing, s_folderFiles), .. Terms(listing)];
    }

    private static IEnumerable<HubFile> Named(HubListing listing, IEnumerable<string> paths) =>
        paths.Select(path => listing.Files.FirstOrDefault(file => file.Path == path)).OfType<HubFile>();

    /// <summary>Licences go with what they are of, for they go along on a stick.</summary>
    private static IEnumerable<HubFile> Terms(HubListing listing) => listing.Files.Where(file => IsTerms(file.Path));

    private static bool IsTerms(string path) =>
        !path.Contains('/', StringComparison.Ordinal) && (path.Split('.')[0].ToUpperInvariant() is "LICENSE" or "LICENCE" or "NOTICE" or "USE_POLICY") && (Path.GetExtension(path) is "" or ".txt" or ".md");
}
