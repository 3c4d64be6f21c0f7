// Mutates small files of every kind, tokenizers and chat templates among them, and reads them: a million by default. Anything but success or the one exception that the kind's reader documents is a defect, and its file is kept.
using System.Globalization;
using Kidogo.Tests.Models.Files;

const double SlowestSeconds = 1.0;
const long MostAllocatedBytes = 64L * 1024 * 1024;

FuzzKind? only = args.Length > 0 && Enum.TryParse(args[0], ignoreCase: true, out FuzzKind named) && !char.IsAsciiDigit(args[0][0]) ? named : null;
if (only is not null)
{
    args = args[1..];
}

if (args.Length > 2 || !TryNumber(0, 1_000_000, out int count) || !TryNumber(1, Environment.TickCount, out int seed))
{
    Console.Error.WriteLine($"Usage: Kidogo.Fuzz [KIND] [FILES [SEED]]    KIND is one of {string.Join(", ", Enum.GetNames<FuzzKind>())}, all of them by default; FILES in all, a million by default; the seed is printed, so that a run can be repeated");
    return 2;
}

FuzzKind[] kinds = only is { } kindAsked ? [kindAsked] : Enum.GetValues<FuzzKind>();
Console.WriteLine($"{count} files of {kinds.Length} kinds, seed {seed}");
int defects = 0;
foreach (FuzzKind kind in kinds)
{
    byte[] good = FileFuzz.Seed(kind);
    using FuzzFile file = new(kind);
    Random random = new(seed ^ (int)kind);
    int read = 0;
    double slowest = 0;
    long most = 0;
    for (int i = 0; i < count / kinds.Length; i++)
    {
        byte[] mutated = FileFuzz.Mutate(good, random);
        long before = GC.GetAllocatedBytesForCurrentThread();
        TimeSpan start = Environment.CpuUsage.TotalTime; // not the clock: the machine may be busy with other things
        string? defect = null;
        try
        {
            read += file.Try(mutated) ? 1 : 0;
        }
        catch (Exception e)
        {
            defect = e.ToString();
        }

        double seconds = (Environment.CpuUsage.TotalTime - start).TotalSeconds;
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        slowest = Math.Max(slowest, seconds);
        most = Math.Max(most, allocated);
        defect ??= seconds > SlowestSeconds ? $"took {seconds:F2} s of processor time" : allocated > MostAllocatedBytes ? $"allocated {allocated} bytes" : null;
        if (defect is not null)
        {
            defects++;
            string kept = Path.GetFullPath($"fuzz-{kind}-{seed}-{i}.bin");
            File.WriteAllBytes(kept, mutated);
            Console.Error.WriteLine($"{kept}: {defect}");
        }
    }

    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{kind,-12} {count / kinds.Length} files, {read} read, slowest {slowest * 1000:F1} ms, most allocated {most / 1024} KiB"));
}

Console.WriteLine(defects == 0 ? "No defects." : $"{defects} defects.");
return defects == 0 ? 0 : 1;

bool TryNumber(int index, int whenAbsent, out int value)
{
    value = whenAbsent;
    return args.Length <= index || (int.TryParse(args[index], NumberStyles.None, CultureInfo.InvariantCulture, out value) && value >= 0);
}
