// What computing takes in joules: counted by the processor where it may be read, else estimated and called so. Knows no models.
using System.Diagnostics;
using System.Globalization;

namespace Kidogo.Evaluation.Machine;

/// <summary>An amount of energy and how it is known.</summary>
/// <param name="Joules">How much.</param>
/// <param name="IsMeasured">Whether the processor counted it (RAPL, of all that ran on it); else it is estimated from this process's time on it.</param>
/// <param name="Source">How it is known, in words for people.</param>
public sealed record EnergyReading(double Joules, bool IsMeasured, string Source);

/// <summary>Measures energy between two moments.</summary>
/// <remarks>
/// Linux tells the packages' counters below <c>/sys/class/powercap</c>, often to root alone (since CVE-2020-8694). Only packages are summed: cores lie within them, and psys around them. A counter that wraps is added its range.
/// Elsewhere the estimate is the process's processor time, in seconds of one core, times the watts of a core; memory, disks and the rest of the machine are in neither.
/// </remarks>
public sealed class EnergyMeter
{
    /// <summary>Watts of a busy core where nobody states them.</summary>
    public const double UsualWattsPerCore = 10;

    private readonly string _root;
    private readonly double _wattsPerCore;
    private readonly Dictionary<string, (long Energy, long Range)> _began;
    private readonly TimeSpan _processorTime;

    /// <summary>Begins to measure.</summary>
    /// <param name="wattsPerCore">Watts of a busy core, for the estimate.</param>
    /// <param name="root">Where the counters are.</param>
    public EnergyMeter(double wattsPerCore = UsualWattsPerCore, string root = "/sys/class/powercap")
    {
        _root = root;
        _wattsPerCore = wattsPerCore;
        _began = Packages();
        _processorTime = ProcessorTime();
    }

    /// <summary>What was used since the meter was made.</summary>
    public EnergyReading Read()
    {
        Dictionary<string, (long Energy, long Range)> now = Packages();
        double microjoules = 0;
        foreach ((string name, (long before, long range)) in _began)
        {
            if (!now.TryGetValue(name, out (long Energy, long Range) after))
            {
                now.Clear();
                break;
            }

            microjoules += after.Energy >= before ? after.Energy - before : after.Energy - before + range;
        }

        return _began.Count > 0 && now.Count > 0
            ? new EnergyReading(microjoules / 1e6, IsMeasured: true, "measured by the processor (RAPL)")
            : new EnergyReading((ProcessorTime() - _processorTime).TotalSeconds * _wattsPerCore, IsMeasured: false, string.Create(CultureInfo.InvariantCulture, $"estimated from processor time at {_wattsPerCore:0.##} W a core"));
    }

    private static TimeSpan ProcessorTime()
    {
        using Process self = Process.GetCurrentProcess();
        return self.TotalProcessorTime;
    }

    /// <summary>The packages by name, each once: the same one may be told by more than one interface.</summary>
    private Dictionary<string, (long Energy, long Range)> Packages()
    {
        Dictionary<string, (long Energy, long Range)> packages = new(StringComparer.Ordinal);
        try
        {
            foreach (string folder in Directory.Exists(_root) ? Directory.GetDirectories(_root).Order(StringComparer.Ordinal) : Enumerable.Empty<string>())
            {
                string file = Path.Combine(folder, "name");
                string name = File.Exists(file) ? File.ReadAllText(file).Trim() : "";
                if (name.StartsWith("package", StringComparison.Ordinal) && !packages.ContainsKey(name) && Number(folder, "energy_uj") is { } energy)
                {
                    packages[name] = (energy, Number(folder, "max_energy_range_uj") ?? 0);
                }
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return [];
        }

        return packages;
    }

    private static long? Number(string folder, string name)
    {
        string path = Path.Combine(folder, name);
        return File.Exists(path) && long.TryParse(File.ReadAllText(path).Trim(), CultureInfo.InvariantCulture, out long value) && value >= 0 ? value : null;
    }
}
