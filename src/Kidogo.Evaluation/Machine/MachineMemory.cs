// How much memory the machine has, and how much of it this process may still take. Knows no models.
using System.Globalization;

namespace Kidogo.Evaluation.Machine;

/// <summary>The memory of the machine, or of the container that the process lives in.</summary>
/// <param name="TotalBytes">Installed.</param>
/// <param name="AvailableBytes">What can still be taken without driving others out, and below the container's limit.</param>
/// <param name="LimitBytes">The limit of the container (control group), or null where there is none.</param>
public sealed record MachineMemory(long TotalBytes, long AvailableBytes, long? LimitBytes)
{
    /// <summary>The smaller of what is installed and what is allowed.</summary>
    public long UsableBytes => Math.Min(TotalBytes, LimitBytes ?? long.MaxValue);

    /// <summary>Asks the system.</summary>
    public static MachineMemory Read()
    {
        GCMemoryInfo runtime = GC.GetGCMemoryInfo();
        long total = runtime.TotalAvailableMemoryBytes;
        long available = Math.Max(0, total - runtime.MemoryLoadBytes);
        if (!OperatingSystem.IsLinux())
        {
            return new MachineMemory(total, available, null);
        }

        foreach (string line in Lines("/proc/meminfo"))
        {
            if (line.StartsWith("MemTotal:", StringComparison.Ordinal))
            {
                total = Kibibytes(line) ?? total;
            }
            else if (line.StartsWith("MemAvailable:", StringComparison.Ordinal))
            {
                available = Kibibytes(line) ?? available;
            }
        }

        return ControlGroup(Lines("/proc/self/cgroup")) is { } group && group.Limit < total
            ? new MachineMemory(total, Math.Min(available, Math.Max(0, group.Limit - group.Used)), group.Limit)
            : new MachineMemory(total, available, null);
    }

    /// <summary>The tightest limit from the process's group up to the root, with what is used under it (caches of files that can go are not counted).</summary>
    private static (long Limit, long Used)? ControlGroup(IEnumerable<string> groups)
    {
        (long Limit, long Used)? tightest = null;
        foreach (string line in groups)
        {
            string[] parts = line.Split(':', 3);
            bool isSecond = parts is [_, "", _];
            if (parts.Length != 3 || (!isSecond && !parts[1].Split(',').Contains("memory")))
            {
                continue;
            }

            string root = isSecond ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
            for (string? path = parts[2]; path is not null; path = path.Length > 1 ? Path.GetDirectoryName(path) : null)
            {
                string folder = root + path;
                long? limit = Number(Path.Combine(folder, isSecond ? "memory.max" : "memory.limit_in_bytes"));
                long? used = Number(Path.Combine(folder, isSecond ? "memory.current" : "memory.usage_in_bytes"));
                if (limit is { } bytes && (tightest is null || bytes < tightest.Value.Limit))
                {
                    long idle = Lines(Path.Combine(folder, "memory.stat")).Where(entry => entry.StartsWith("inactive_file ", StringComparison.Ordinal))
                        .Select(entry => long.TryParse(entry.AsSpan(14), CultureInfo.InvariantCulture, out long value) ? value : 0).FirstOrDefault();
                    tightest = (bytes, Math.Max(0, (used ?? 0) - idle));
                }
            }
        }

        return tightest;
    }

    private static long? Number(string path) =>
        Lines(path).FirstOrDefault() is { } line && long.TryParse(line, CultureInfo.InvariantCulture, out long value) ? value : null;

    private static long? Kibibytes(string line) =>
        line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, { } number, ..] && long.TryParse(number, CultureInfo.InvariantCulture, out long value) ? value * 1024 : null;

    internal static string[] Lines(string path)
    {
        try
        {
            return File.Exists(path) ? File.ReadAllLines(path) : [];
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
