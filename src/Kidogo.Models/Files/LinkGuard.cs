// Decides whether a file of a model folder may be read, where links lead. Knows paths, not formats.
using Kidogo.Tensors;

namespace Kidogo.Models.Files;

/// <summary>Keeps a model folder's files inside it: a downloaded folder must not make a program read, and show, files from elsewhere.</summary>
/// <remarks>The cache of Hugging Face is made of links (models--OWNER--NAME/snapshots/REVISION/FILE to ../../blobs/HASH), so for such a folder the whole of models--OWNER--NAME is inside.</remarks>
internal sealed class LinkGuard
{
    private readonly string _folder;
    private readonly string _root;

    /// <param name="folder">The model's folder, which the user named and which may itself be a link.</param>
    /// <exception cref="ModelFormatException">Links lead in a circle.</exception>
    public LinkGuard(string folder)
    {
        _folder = folder;
        string real = Resolve(folder);
        DirectoryInfo? snapshots = Directory.GetParent(real);
        DirectoryInfo? cache = snapshots?.Parent;
        bool isCache = snapshots?.Name == "snapshots" && cache is not null && cache.Name.StartsWith("models--", StringComparison.Ordinal);
        _root = isCache ? cache!.FullName : real;
    }

    /// <summary>The path of the file <paramref name="name"/> of the folder, or null where there is none.</summary>
    /// <param name="name">A relative path that the program itself knows, or that <see cref="CheckName"/> has passed.</param>
    /// <exception cref="ModelFormatException">The file is a link that leads out of the folder.</exception>
    public string? Find(string name)
    {
        string path = Path.Combine(_folder, name);
        if (!File.Exists(path))
        {
            return null;
        }

        string real = Resolve(path);
        string prefix = Path.EndsInDirectorySeparator(_root) ? _root : _root + Path.DirectorySeparatorChar;
        return real.StartsWith(prefix, StringComparison.Ordinal)
            ? path
            : throw new ModelFormatException(path, -1, "The file is a link that leads out of the model's folder, and is not followed. Copy the file into the folder.");
    }

    /// <summary>Checks a file's name from an untrusted file: a plain name, of a file in the same folder.</summary>
    public static void CheckName(string name, string fromFile, long offset)
    {
        bool plain = name.Length is > 0 and <= 255 && name[0] != '.' && !name.AsSpan().ContainsAny("/\\:\0");
        if (!plain || !name.EndsWith(".safetensors", StringComparison.Ordinal))
        {
            throw new ModelFormatException(fromFile, offset, $"The file name {ModelFormatException.Quote(name)} is not accepted; expected the name of a .safetensors file in the same folder, without a path.");
        }
    }

    private static string Resolve(string path)
    {
        try
        {
            return RealPath.Of(path);
        }
        catch (IOException e)
        {
            throw new ModelFormatException(path, -1, "The links that lead there lead in a circle.", e);
        }
    }
}
