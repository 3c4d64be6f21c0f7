// How much a disk can still take. Knows no model.
namespace Kidogo.Catalog.Cache;

/// <summary>Room on a disk.</summary>
internal static class FreeSpace
{
    /// <summary>Bytes that may still be written below a folder, which need not be there yet; null where the system does not say.</summary>
    public static long? Of(string folder)
    {
        string? at = Path.GetFullPath(folder);
        while (at is not null && !Directory.Exists(at))
        {
            at = Path.GetDirectoryName(at);
        }

        try
        {
            return at is null ? null : new DriveInfo(at).AvailableFreeSpace;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }
}
