// A picture of the owner's, from a file. Looks into none: browsers are told its kind and not to guess.
using Kidogo.Serving.Access;

namespace Kidogo.Serving.Portal;

/// <summary>A picture.</summary>
/// <param name="Type">Its media type.</param>
/// <param name="Bytes">Its file.</param>
internal sealed record Picture(string Type, byte[] Bytes)
{
    private const int MostBytes = 2 * 1024 * 1024;

    /// <summary>The media type of a picture's name; null for names of other things.</summary>
    public static string? TypeOf(string path) => Path.GetExtension(path).ToLowerInvariant() switch
    {
        ".png" => "image/png",
        ".jpg" or ".jpeg" => "image/jpeg",
        ".webp" => "image/webp",
        ".gif" => "image/gif",
        _ => null,
    };

    /// <summary>Reads a picture.</summary>
    /// <exception cref="ServerSetupException">It is none, too large, or cannot be read.</exception>
    public static Picture Read(string path, string place)
    {
        string type = TypeOf(path) ?? throw new ServerSetupException($"{place}: {Path.GetFileName(path)} is no picture that is shown here; .png, .jpg, .webp and .gif are.");
        return new Picture(type, OwnFile.Read(path, MostBytes, place));
    }
}

/// <summary>Files that the owner names beside portal.yaml.</summary>
internal static class OwnFile
{
    /// <summary>The path of a file beside another, or in a folder there.</summary>
    /// <exception cref="ServerSetupException">It lies elsewhere.</exception>
    public static string Beside(string folder, string name, string place)
    {
        string path = Path.GetFullPath(Path.Combine(folder, name));
        return !Path.IsPathRooted(name) && path.StartsWith(Path.GetFullPath(folder) + Path.DirectorySeparatorChar, StringComparison.Ordinal)
            ? path
            : throw new ServerSetupException($"{place}: the file has to lie beside portal.yaml or in a folder there, and be named without \"..\".");
    }

    /// <summary>A file's bytes.</summary>
    /// <exception cref="ServerSetupException">It is absent, too large, or cannot be read.</exception>
    public static byte[] Read(string path, int mostBytes, string place)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            byte[] bytes = new byte[Math.Min(file.Length, mostBytes + 1L)];
            int read = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            return read <= mostBytes ? bytes[..read] : throw new ServerSetupException($"{place}: {path} has more than {mostBytes} bytes. Make it smaller.");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new ServerSetupException($"{place}: the file cannot be read: {failure.Message}");
        }
    }
}
