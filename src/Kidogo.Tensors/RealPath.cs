// A path with its links resolved. Knows nothing of what lies there.
namespace Kidogo.Tensors;

/// <summary>Resolves links as the system does when it opens a file: also those in the middle of a path, and relative to where they really lie.</summary>
/// <remarks><see cref="FileSystemInfo.ResolveLinkTarget"/> looks at the last part of a path alone.</remarks>
public static class RealPath
{
    private const int MaxLinks = 40; // as Linux has it

    /// <summary>The full path of <paramref name="path"/> with every link in it resolved. What does not exist counts as no link.</summary>
    /// <exception cref="IOException">The links lead in a circle.</exception>
    public static string Of(string path)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        string real = Path.GetPathRoot(full)!;
        Stack<string> left = new();
        Push(left, full[real.Length..]);
        int links = 0;
        while (left.TryPop(out string? part))
        {
            if (part == "..")
            {
                real = Path.GetDirectoryName(real) ?? real;
                continue;
            }

            string next = Path.Combine(real, part);
            string? target = new FileInfo(next).LinkTarget;
            if (target is null)
            {
                real = next;
                continue;
            }

            if (++links > MaxLinks)
            {
                throw new IOException($"{path} cannot be followed: more than {MaxLinks} links lead to one another, perhaps in a circle.");
            }

            if (Path.IsPathRooted(target))
            {
                real = Path.GetPathRoot(target)!;
                target = target[real.Length..];
            }

            Push(left, target);
        }

        return real;
    }

    private static void Push(Stack<string> left, string path)
    {
        string[] parts = path.Split([Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar], StringSplitOptions.RemoveEmptyEntries);
        for (int i = parts.Length - 1; i >= 0; i--)
        {
            if (parts[i] != ".")
            {
                left.Push(parts[i]);
            }
        }
    }
}
