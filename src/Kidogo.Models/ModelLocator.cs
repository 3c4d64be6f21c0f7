// From what a person calls a model to its place on the disk. Opens no model and downloads nothing.
using Kidogo.Models.Files;

namespace Kidogo.Models;

/// <summary>Where models are looked for.</summary>
public sealed record ModelPlaces
{
    /// <summary>The folder of Hugging Face's cache that holds <c>models--org--name</c>.</summary>
    public required string CacheFolder { get; init; }

    /// <summary>Folders whose one .gguf file (or, of several, the first by name) is the default model.</summary>
    public IReadOnlyList<string> DefaultFolders { get; init; } = [];

    /// <summary>As the environment says: <c>HF_HUB_CACHE</c>, <c>HF_HOME</c>, <c>XDG_CACHE_HOME</c>, else the home folder; <c>models/</c> here and beside the program.</summary>
    public static ModelPlaces FromEnvironment()
    {
        List<string> folders = [Path.GetFullPath("models"), Path.Combine(AppContext.BaseDirectory, "models")];
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Kidogo.slnx")))
            {
                folders.Add(Path.Combine(folder.FullName, "models"));
            }
        }

        string hub = Variable("HF_HUB_CACHE") ?? Variable("HUGGINGFACE_HUB_CACHE") ?? Path.Combine(HubHome(), "hub");
        return new ModelPlaces { CacheFolder = hub, DefaultFolders = [.. folders.Distinct()] };
    }

    /// <summary>The folder of Hugging Face's programs: <c>HF_HOME</c>, else <c>huggingface</c> in <c>XDG_CACHE_HOME</c> or in <c>.cache</c> of the home folder.</summary>
    public static string HubHome() =>
        Variable("HF_HOME") ?? Path.Combine(Variable("XDG_CACHE_HOME") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache"), "huggingface");

    /// <summary>A folder or file that the environment names, with <c>~</c> as the home folder; null where it names none.</summary>
    public static string? Variable(string name) => Environment.GetEnvironmentVariable(name) switch
    {
        null or "" => null,
        ['~', '/', .. var rest] => Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), rest),
        var value => value,
    };
}

/// <summary>Finds models: a file, a folder, a name of the cache (<c>org/name</c>, <c>org/name:Q4_K_M</c>, <c>org/name@revision</c>, <c>org/name/file.gguf</c>), or the default model.</summary>
/// <param name="places">Where to look.</param>
public sealed class ModelLocator(ModelPlaces places)
{
    /// <summary>The path of the .gguf file or folder that <paramref name="name"/> means.</summary>
    /// <param name="name">What was asked for; null for the default model.</param>
    /// <exception cref="FileNotFoundException">There is none; the message names the nearest and what to do.</exception>
    /// <exception cref="ModelFormatException">There is a folder, but no model in it, or more than one.</exception>
    public string Locate(string? name)
    {
        if (name is null)
        {
            return Default() ?? throw new FileNotFoundException(
                "No model was named, and there is no default model in models/, neither here nor beside the program. Name a .gguf file, a folder, or an org/name of the Hugging Face cache: kidogo run path/to/model.gguf");
        }

        if (File.Exists(name))
        {
            return name;
        }

        if (Directory.Exists(name))
        {
            return InFolder(name);
        }

        if (InCache(name) is { } cached)
        {
            return cached;
        }

        bool isName = LooksLikeCacheName(name);
        string where = isName ? $", neither as a file or folder nor in the model cache {places.CacheFolder}" : "";
        string nearest = Nearest(name) is { } other ? $" The nearest is {ModelFormatException.Quote(other, 200)}." : isName ? "" : " Name a .gguf file, a folder, or an org/name of the model cache.";
        throw new FileNotFoundException($"There is no model {ModelFormatException.Quote(name, 200)}{where}.{nearest}{(isName ? $" To download it: kidogo pull {name}" : "")}");
    }

    /// <summary>Whether an argument that stands alone is meant as a model and not as a prompt: it exists, ends in .gguf, or looks like <c>org/name</c>.</summary>
    public static bool LooksLikeModel(string text) =>
        File.Exists(text) || Directory.Exists(text) || text.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) || LooksLikeCacheName(text);

    /// <summary>Whether this is spelled as <c>org/name</c>, perhaps with <c>@revision</c> or <c>:FORMAT</c>: letters, digits, dots, dashes and underscores around one slash.</summary>
    public static bool LooksLikeCacheName(string text) => HubName.TryParse(text) is { File: null };

    /// <summary>The default model, or null.</summary>
    public string? Default() => places.DefaultFolders.Where(Directory.Exists)
        .SelectMany(folder => Directory.EnumerateFiles(folder, "*.gguf").Order(StringComparer.Ordinal))
        .FirstOrDefault();

    /// <summary>The folder itself where it is a Hugging Face folder, or the one GGUF model in it.</summary>
    private static string InFolder(string folder)
    {
        bool isModel = File.Exists(Path.Combine(folder, "config.json")) || File.Exists(Path.Combine(folder, "tokenizer.json"));
        string[] files = isModel ? [] : [.. Directory.EnumerateFiles(folder, "*.gguf").Where(IsFirstPart).Order(StringComparer.Ordinal)];
        return files.Length switch
        {
            0 => folder, // the reader of folders says what is missing
            1 => files[0],
            _ => throw new ModelFormatException(folder, -1, $"The folder holds {files.Length} models. Name one: {string.Join(", ", files.Take(8).Select(file => ModelFormatException.Quote(Path.GetFileName(file))))}."),
        };
    }

    /// <summary>Of a model in several files (<c>-00002-of-00005</c>) only the first is opened.</summary>
    private static bool IsFirstPart(string path)
    {
        string name = Path.GetFileNameWithoutExtension(path);
        int of = name.LastIndexOf("-of-", StringComparison.Ordinal);
        return of < 6 || name[of - 6] != '-' || !name[(of - 5)..of].All(char.IsAsciiDigit) || name[(of - 5)..of] == "00001";
    }

    private string? InCache(string text)
    {
        HubCache cache = new(places.CacheFolder);
        if (HubName.TryParse(text) is not { } name || cache.CommitOf(name.Repository, name.Revision) is not { } commit)
        {
            return null;
        }

        string snapshot = cache.SnapshotFolder(name.Repository, commit);
        if (name.File is not null)
        {
            string file = Path.Combine(snapshot, name.File);
            return File.Exists(file) ? file : null;
        }

        IReadOnlyList<GgufVariant> all = GgufVariant.Of(cache.Files(name.Repository, commit));
        if (name.Format is { } format && !format.Equals("safetensors", StringComparison.OrdinalIgnoreCase))
        {
            IReadOnlyList<GgufVariant> matching = GgufVariant.Matching(all, format);
            return matching.Count == 0 ? null : Path.Combine(snapshot, matching[0].Files[0]);
        }

        return all.Count switch
        {
            0 => snapshot,
            _ when File.Exists(Path.Combine(snapshot, "config.json")) && Directory.EnumerateFiles(snapshot, "*.safetensors").Any() => snapshot,
            1 => Path.Combine(snapshot, all[0].Files[0]),
            _ when name.Format is not null => snapshot,
            _ => throw new ModelFormatException(snapshot, -1, $"{name.Repository} is there in {all.Count} formats. Name one: {string.Join(", ", all.Take(8).Select(variant => $"{name.Repository}:{variant.Format}"))}."),
        };
    }

    private string? Nearest(string name)
    {
        List<string> candidates = [];
        string folder = Path.GetDirectoryName(name) is { Length: > 0 } given ? given : ".";
        if (Directory.Exists(folder))
        {
            IEnumerable<string> here = Directory.EnumerateFiles(folder, "*.gguf").Concat(Directory.EnumerateDirectories(folder).Where(child => File.Exists(Path.Combine(child, "config.json"))));
            candidates.AddRange(here.Take(1000).Select(path => folder == "." ? Path.GetFileName(path) : path));
        }

        candidates.AddRange(places.DefaultFolders.Where(Directory.Exists).SelectMany(models => Directory.EnumerateFiles(models, "*.gguf")).Take(1000));
        candidates.AddRange(new HubCache(places.CacheFolder).Repositories().Take(1000));
        return NearestName.Likely(name, candidates.Where(candidate => candidate.Length > 0));
    }
}
