// Makes names in a folder survive a power cut. Knows not what the names are.
using System.Runtime.InteropServices;

namespace Kidogo.Tensors;

/// <summary>Flushes a folder itself to the disk: a file that was flushed and renamed has its new name for sure only then.</summary>
public static partial class FolderFlush
{
    /// <summary>Flushes a folder. Where the system has no such call (Windows), or refuses it, nothing happens: then its journal has to do.</summary>
    public static void Flush(string folder)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        int descriptor = Open(folder, 0); // read-only
        if (descriptor >= 0)
        {
            _ = Sync(descriptor);
            _ = Close(descriptor);
        }
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Sync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Close(int descriptor);
}
