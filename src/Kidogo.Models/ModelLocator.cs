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
        string home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
        string hub = Variable("HF_HUB_CACHE")
            ?? Path.Combine(Variable("HF_HOME") ?? Path.Combine(Variable("XDG_CACHE_HOME") ?? Path.Combine(home, ".cache"), "huggingface"), "hub");
        List<string> folders = [Path.GetFullPath("models"), Path.Combine(AppContext.BaseDirectory, "models")];
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Kidogo.slnx")))
            {
                folders.Add(Path.Combine(folder.FullName, "models"));
            }
        }

        return new ModelPlaces { CacheFolder = hub, DefaultFolders = [.. folders.Distinct()] };
    }
}

/// <summary>Finds models: a file, a folder, a name of the cache (<c>org/name</c>, <c>org/name/file.gguf</c>), or the default model.</summary>
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
                "No model was named, and there is no default model in models/. Name a .gguf file, a folder, or an org/name of the Hugging Face cache: kidogo run path/to/model.gguf");
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

        string where = LooksLikeCacheName(name) ? $", neither as a file or folder nor in the model cache {places.CacheFolder}" : "";
        string nearest = Nearest(name) is { } other ? $" The nearest is {ModelFormatException.Quote(other, 200)}." : " Name a .gguf file, a folder, or an org/name of the model cache.";
        throw new FileNotFoundException($"There is no model {ModelFormatException.Quote(name, 200)}{where}.{nearest}");
    }

    /// <summary>Whether an argument that stands alone is meant as a model and not as a prompt: it exists, ends in .gguf, or looks like <c>org/name</c>.</summary>
    public static bool LooksLikeModel(string text) =>
        File.Exists(text) || Directory.Exists(text) || text.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) || LooksLikeCacheName(text);

    /// <summary>Whether this is spelled as <c>org/name</c>: letters, digits, dots, dashes and underscores around one slash.</summary>
    public static bool LooksLikeCacheName(string text) => text.Split('/') is [{ } org, { } repository] && IsNamePart(org) && IsNamePart(repository);

    /// <summary>The default model, or null.</summary>
    public string? Default() => places.DefaultFolders.Where(Directory.Exists)
        .SelectMany(folder => Directory.EnumerateFiles(folder, "*.gguf").Order(StringComparer.Ordinal))
        .FirstOrDefault();

    private static bool IsNamePart(string part) => part.Length is > 0 and <= 96 && part[0] != '.' && part.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');

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

    private string? InCache(string name)
    {
        string[] parts = name.Split('/');
        if (parts.Length is < 2 or > 3 || !parts.All(IsNamePart))
        {
            return null;
        }

        string repository = Path.Combine(places.CacheFolder, $"models--{parts[0]}--{parts[1]}");
        string snapshots = Path.Combine(repository, "snapshots");
        if (!Directory.Exists(snapshots))
        {
            return null;
        }

        string reference = Path.Combine(repository, "refs", "main");
        string? revision = File.Exists(reference) && new FileInfo(reference).Length < 256 ? File.ReadAllText(reference).Trim() : null;
        string? snapshot = revision is not null && IsNamePart(revision) && Directory.Exists(Path.Combine(snapshots, revision))
            ? Path.Combine(snapshots, revision)
            : Directory.EnumerateDirectories(snapshots).OrderByDescending(Directory.GetLastWriteTimeUtc).FirstOrDefault();
        if (snapshot is null)
        {
            return null;
        }

        string file = parts.Length == 3 ? Path.Combine(snapshot, parts[2]) : snapshot;
        return parts.Length == 2 ? InFolder(snapshot) : File.Exists(file) ? file : null;
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
        if (Directory.Exists(places.CacheFolder))
        {
            candidates.AddRange(Directory.EnumerateDirectories(places.CacheFolder, "models--*").Take(1000)
                .Select(path => Path.GetFileName(path).Split("--") is [_, { } org, .. var rest] ? $"{org}/{string.Join("--", rest)}" : ""));
        }

        return NearestName.Likely(name, candidates.Where(candidate => candidate.Length > 0));
    }
}
