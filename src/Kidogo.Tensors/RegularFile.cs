// Whether a path is a file that can be read where it lies. Knows nothing of what is in it.
namespace Kidogo.Tensors;

/// <summary>Tells files from pipes and devices without waiting for a pipe's writer.</summary>
public static class RegularFile
{
    /// <summary>Whether what is at <paramref name="path"/> is no regular file but a pipe or a device. False for what does not exist, and for folders.</summary>
    public static bool IsOther(string path)
    {
        if (OperatingSystem.IsWindows() || !File.Exists(path))
        {
            return false;
        }

        if (IsDevice(Path.GetFullPath(path)))
        {
            return true;
        }

        string real = RealPath.Of(path);
        if (IsDevice(real))
        {
            return true;
        }

        if (new FileInfo(real).Length > 0)
        {
            return false; // pipes have no length
        }

        try
        {
            using FileStream probe = new(real, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete, 0); // to read and write, so that a pipe does not wait
            return !probe.CanSeek;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>The sentence for what is no regular file.</summary>
    public static string Sentence(string path) => $"{path} is not a regular file but a pipe or a device. Write what it holds to a file first.";

    private static bool IsDevice(string full) => full.StartsWith("/proc/", StringComparison.Ordinal)
        || (full.StartsWith("/dev/", StringComparison.Ordinal) && !full.StartsWith("/dev/shm/", StringComparison.Ordinal));
}
