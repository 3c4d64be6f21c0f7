// From what a person calls an adapter to one that fits a base, or a refusal. Knows which kinds of files there are, not what is in them.
using Kidogo.Models.Files;

namespace Kidogo.Models.Adapters;

/// <summary>Opens adapters of any kind.</summary>
public static class AdapterFiles
{
    /// <summary>The folder among a model folder's neighbours whose adapters are found by name.</summary>
    public const string NamesFolder = "adapters";

    /// <summary>The folder of versions, one of which is in use, and the file beside it that says which.</summary>
    public const string VersionsFolder = "versions", CurrentName = "current";

    /// <summary>The path of an adapter: a PEFT folder or a file in one, a folder of versions, a GGUF file, a name in <c>models/adapters</c>, or <c>org/name</c> of the model
    /// cache.</summary>
    /// <param name="name">What was asked for.</param>
    /// <param name="places">Where to look.</param>
    /// <exception cref="FileNotFoundException">There is none.</exception>
    public static string Locate(string name, ModelPlaces places)
    {
        if (Path.GetFileName(name) is PeftFolder.WeightsName or PeftConfig.FileName && File.Exists(name))
        {
            return Path.GetDirectoryName(Path.GetFullPath(name))!;
        }

        if (File.Exists(Path.Combine(name, CurrentName)) && Directory.Exists(Path.Combine(name, VersionsFolder)))
        {
            return CurrentOf(name) is > 0 and var version ? VersionOf(name, version)
                : throw new FileNotFoundException($"{name} has version 0 in use, the model as it is. Leave the adapter out, or name one of {Path.Combine(name, VersionsFolder)}.");
        }

        if (File.Exists(name) || Directory.Exists(name))
        {
            return name;
        }

        string[] folders = [.. places.DefaultFolders.Select(folder => Path.Combine(folder, NamesFolder)).Where(Directory.Exists)];
        bool isPlain = name.Length is > 0 and <= 96 && name[0] != '.' && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');
        string? found = isPlain ? folders.SelectMany(folder => new[] { Path.Combine(folder, name), Path.Combine(folder, $"{name}.gguf") }).FirstOrDefault(Path.Exists) : null;
        if (found is not null)
        {
            return found;
        }

        if (ModelLocator.LooksLikeCacheName(name))
        {
            return new ModelLocator(places).Locate(name);
        }

        string[] names = [.. folders.SelectMany(Directory.EnumerateFileSystemEntries).Select(path => Path.GetFileName(path)!)];
        string nearest = NearestName.Likely(name, names) is { } likely ? $" The nearest is {likely}." : " Name a PEFT folder, a GGUF adapter, a name in models/adapters, or org/name of the model cache.";
        throw new FileNotFoundException($"There is no adapter {ModelFormatException.Quote(name, 200)}.{nearest}");
    }

    /// <summary>The version that is in use in a folder of versions; 0 for the model as it is.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="IOException">The file that says so is damaged.</exception>
    public static int CurrentOf(string folder)
    {
        string path = Path.Combine(folder, CurrentName);
        if (!File.Exists(path))
        {
            return 0;
        }

        const int Longest = 16;
        string said = new FileInfo(path).Length <= Longest ? File.ReadAllText(path).Trim() : "";
        return int.TryParse(said, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int version) ? version
            : throw new IOException($"{path} is damaged: it has to hold the number of a version. Write one with kidogo learn --use N.");
    }

    /// <summary>The folder of a version in a folder of versions.</summary>
    public static string VersionOf(string folder, int version) => Path.Combine(folder, VersionsFolder, version.ToString(System.Globalization.CultureInfo.InvariantCulture));

    /// <summary>The file with an adapter's weights: what it is told by.</summary>
    /// <param name="path">A PEFT folder or a GGUF file.</param>
    public static string WeightsFileOf(string path) => Directory.Exists(path) ? Path.Combine(path, PeftFolder.WeightsName) : path;

    /// <summary>Reads an adapter for a model and makes sure that it was made for it.</summary>
    /// <param name="path">A PEFT folder or a GGUF file.</param>
    /// <param name="header">The model's files.</param>
    /// <param name="model">The model.</param>
    /// <param name="name">What it is called; null for the folder's or file's name.</param>
    /// <exception cref="ModelFormatException">A file is malformed, or of another base: the message says by what.</exception>
    /// <exception cref="IOException">A file is absent or cannot be read.</exception>
    public static Adapter Open(string path, ModelHeader header, DecoderModel model, string? name = null)
    {
        string called = name ?? Path.GetFileNameWithoutExtension(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
        Adapter adapter = Directory.Exists(path) && !PeftFolder.IsOne(path) ? throw new ModelFormatException(path, -1, $"The folder has no {PeftConfig.FileName}: it is no PEFT adapter.")
            : Directory.Exists(path) ? PeftFolder.Read(path, header, called)
            : GgufAdapter.Read(path, header, called);
        if (adapter.Origin.Fingerprint is { } made && BaseFingerprint.Of(model).DifferenceFrom(made) is { } difference)
        {
            string which = adapter.Origin.BaseName is { } given ? $" ({ModelFormatException.Quote(given, 200)}{(adapter.Origin.BaseSha256 is { } hash ? $", SHA-256 {hash[..Math.Min(16, hash.Length)]}…" : "")})" : "";
            throw new ModelFormatException(path, -1, $"The adapter was made for another base{which}: {header.Path} has the same shapes, but {difference}. Give the model that the adapter was trained on.");
        }

        return adapter;
    }
}
