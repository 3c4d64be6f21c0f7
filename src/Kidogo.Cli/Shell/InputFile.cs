// Files that people hand over: opened with the sentence that each mistake deserves. Knows not what is in them.
using Kidogo.Tensors;

namespace Kidogo.Cli.Shell;

/// <summary>Opens and reads files, never more of them than a limit.</summary>
internal static class InputFile
{
    /// <summary>The longest text that is judged or calibrated on: it lies in memory while it becomes tokens.</summary>
    public const long MaxTextBytes = 256L * 1024 * 1024;

    /// <summary>The path, if there is such a file.</summary>
    /// <exception cref="FailureException">There is none, or it is a folder, a pipe or a device.</exception>
    public static string Existing(string path)
    {
        if (Directory.Exists(path))
        {
            throw new FailureException($"{path} is a folder, where a file was expected.");
        }

        if (!File.Exists(path))
        {
            throw new FailureException($"There is no file {path}.");
        }

        return !IsOpenStream(path) && RegularFile.IsOther(path) ? throw new FailureException(RegularFile.Sentence(path)) : path;
    }

    /// <summary>Opens a file to read it once from the start.</summary>
    /// <exception cref="FailureException">As <see cref="Existing"/>, or it has more than <paramref name="maxBytes"/>.</exception>
    public static FileStream Open(string path, long maxBytes)
    {
        FileStream stream = new(Existing(path), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1);
        if (stream.CanSeek && stream.Length > maxBytes)
        {
            long length = stream.Length;
            stream.Dispose();
            throw new FailureException($"{path} has {length} bytes; at most {maxBytes} are read. Give it in parts.");
        }

        return stream;
    }

    /// <summary>All bytes.</summary>
    /// <exception cref="FailureException">As <see cref="Open"/>.</exception>
    public static byte[] ReadAll(string path, long maxBytes)
    {
        using FileStream stream = Open(path, maxBytes);
        if (stream.CanSeek)
        {
            byte[] whole = new byte[stream.Length];
            int count = stream.ReadAtLeast(whole, whole.Length, throwOnEndOfStream: false);
            return count == whole.Length ? whole : whole[..count];
        }

        using MemoryStream all = new();
        byte[] buffer = new byte[1 << 16];
        for (int count = stream.Read(buffer); count > 0; count = stream.Read(buffer))
        {
            if (all.Length + count > maxBytes)
            {
                throw new FailureException($"{path} has more than {maxBytes} bytes, the most that are read. Give it in parts.");
            }

            all.Write(buffer, 0, count);
        }

        return all.ToArray();
    }

    /// <summary>Standard input and what a shell's &lt;(…) makes: pipes that are open already, whose writer is there.</summary>
    private static bool IsOpenStream(string path)
    {
        string full = Path.GetFullPath(path);
        return full == "/dev/stdin" || full.StartsWith("/dev/fd/", StringComparison.Ordinal) || full.StartsWith("/proc/self/fd/", StringComparison.Ordinal);
    }
}
