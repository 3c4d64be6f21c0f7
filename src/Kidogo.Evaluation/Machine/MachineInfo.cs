// What processor this is and what of it the runtime uses. Measures nothing and knows no models.
using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using System.Text;
using Arm = System.Runtime.Intrinsics.Arm;

namespace Kidogo.Evaluation.Machine;

/// <summary>A cache of the processor.</summary>
/// <param name="Level">1 is the nearest.</param>
/// <param name="Kind"><c>data</c>, <c>instruction</c> or <c>unified</c>.</param>
/// <param name="Bytes">Size of one.</param>
public sealed record ProcessorCache(int Level, string Kind, long Bytes);

/// <summary>A set of instructions.</summary>
/// <param name="Name">Its usual name.</param>
/// <param name="IsUsed">Whether the runtime compiles code that uses it here.</param>
public sealed record InstructionTier(string Name, bool IsUsed);

/// <summary>The processor as the operating system and the runtime see it.</summary>
/// <param name="Processor">Its name.</param>
/// <param name="PhysicalCores">Cores that this process may use; two hardware threads of one core count once.</param>
/// <param name="LogicalProcessors">Hardware threads that this process may use.</param>
/// <param name="Instructions">Vector instructions that Kidogo has code for, best last.</param>
/// <param name="Caches">From the nearest on; empty where the system does not say.</param>
public sealed record MachineInfo(string Processor, int PhysicalCores, int LogicalProcessors, IReadOnlyList<InstructionTier> Instructions, IReadOnlyList<ProcessorCache> Caches)
{
    private const string ProcessorFolder = "/sys/devices/system/cpu";

    /// <summary>Asks the system.</summary>
    public static MachineInfo Read() => new(ProcessorName(), CountPhysicalCores(), Environment.ProcessorCount, Tiers(), ReadCaches());

    /// <summary>Cores that this process may use; two hardware threads of one core count once. The number of threads that computing takes by default.</summary>
    public static int CountPhysicalCores()
    {
        int logical = Environment.ProcessorCount; // heeds affinity and the container's limit
        if (OperatingSystem.IsLinux() && Directory.Exists(ProcessorFolder))
        {
            HashSet<string> cores = [];
            Func<int, bool> isAllowed = AllowedProcessors(MachineMemory.Lines("/proc/self/status"));
            for (int i = 0; Directory.Exists($"{ProcessorFolder}/cpu{i}"); i++)
            {
                if (!isAllowed(i))
                {
                    continue;
                }

                string[] siblings = MachineMemory.Lines($"{ProcessorFolder}/cpu{i}/topology/thread_siblings_list");
                cores.Add(siblings.Length > 0 ? siblings[0] : $"cpu{i}");
            }

            return cores.Count == 0 ? logical : Math.Clamp(cores.Count, 1, logical);
        }

        if (X86Base.IsSupported && X86Base.CpuId(0, 0).Eax >= 0xB)
        {
            int threadsOfCore = X86Base.CpuId(0xB, 0).Ebx & 0xFFFF; // leaf 0BH, first level: logical processors of a core
            return Math.Max(1, logical / Math.Max(1, threadsOfCore));
        }

        return logical;
    }

    /// <summary>The processors that <c>Cpus_allowed_list</c> names, as "0-3,8": all where the line is absent.</summary>
    internal static Func<int, bool> AllowedProcessors(IEnumerable<string> status)
    {
        const string Field = "Cpus_allowed_list:";
        if (status.FirstOrDefault(line => line.StartsWith(Field, StringComparison.Ordinal)) is not { } line)
        {
            return _ => true;
        }

        List<(int First, int Last)> ranges = [];
        foreach (string range in line[Field.Length..].Split(',', StringSplitOptions.TrimEntries))
        {
            string[] ends = range.Split('-');
            if (int.TryParse(ends[0], CultureInfo.InvariantCulture, out int first) && int.TryParse(ends[^1], CultureInfo.InvariantCulture, out int last))
            {
                ranges.Add((first, last));
            }
        }

        return processor => ranges.Exists(range => processor >= range.First && processor <= range.Last);
    }

    private static string ProcessorName()
    {
        const int FirstBrandLeaf = unchecked((int)0x80000002);
        if (X86Base.IsSupported && (uint)X86Base.CpuId(unchecked((int)0x80000000), 0).Eax >= 0x80000004)
        {
            Span<byte> brand = stackalloc byte[48];
            for (int leaf = 0; leaf < 3; leaf++)
            {
                (int a, int b, int c, int d) = X86Base.CpuId(FirstBrandLeaf + leaf, 0);
                BinaryPrimitives.WriteInt32LittleEndian(brand[(leaf * 16)..], a);
                BinaryPrimitives.WriteInt32LittleEndian(brand[((leaf * 16) + 4)..], b);
                BinaryPrimitives.WriteInt32LittleEndian(brand[((leaf * 16) + 8)..], c);
                BinaryPrimitives.WriteInt32LittleEndian(brand[((leaf * 16) + 12)..], d);
            }

            int end = brand.IndexOf((byte)0);
            return Encoding.ASCII.GetString(end < 0 ? brand : brand[..end]).Trim();
        }

        string? line = MachineMemory.Lines("/proc/cpuinfo").FirstOrDefault(entry => entry.StartsWith("model name", StringComparison.OrdinalIgnoreCase));
        return line?[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim() ?? $"{RuntimeInformation.ProcessArchitecture} processor";
    }

    private static IReadOnlyList<InstructionTier> Tiers() => Arm.ArmBase.IsSupported
        ? [new("AdvSimd", Arm.AdvSimd.IsSupported), new("Dp", Arm.Dp.IsSupported)]
        :
        [
            new("Sse4.2", Sse42.IsSupported),
            new("Avx2", Avx2.IsSupported && Vector256.IsHardwareAccelerated),
            new("Fma", Fma.IsSupported),
            new("AvxVnni", AvxVnni.IsSupported),
            new("Avx512", Avx512BW.IsSupported && Vector512.IsHardwareAccelerated),
        ];

    private static List<ProcessorCache> ReadCaches()
    {
        List<ProcessorCache> caches = [];
        for (int i = 0; Directory.Exists($"{ProcessorFolder}/cpu0/cache/index{i}"); i++)
        {
            string folder = $"{ProcessorFolder}/cpu0/cache/index{i}";
            string size = MachineMemory.Lines($"{folder}/size").FirstOrDefault() ?? "";
            long unit = size.EndsWith('K') ? 1024 : size.EndsWith('M') ? 1024 * 1024 : 1;
            if (int.TryParse(MachineMemory.Lines($"{folder}/level").FirstOrDefault(), CultureInfo.InvariantCulture, out int level)
                && long.TryParse(size.TrimEnd('K', 'M'), CultureInfo.InvariantCulture, out long number))
            {
                caches.Add(new ProcessorCache(level, (MachineMemory.Lines($"{folder}/type").FirstOrDefault() ?? "unified").ToLowerInvariant(), number * unit));
            }
        }

        return caches;
    }
}
