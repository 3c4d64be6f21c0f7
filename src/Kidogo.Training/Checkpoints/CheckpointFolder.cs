// The checkpoints of a run: where they are, which is the last, which may go. Reads no weights.
using System.Globalization;
using Kidogo.Tensors;

namespace Kidogo.Training.Checkpoints;

/// <summary>OUT/checkpoints.</summary>
/// <param name="output">OUT.</param>
internal sealed class CheckpointFolder(string output)
{
    public const string TakeAnother = "Go on from an earlier one: kidogo train --resume OUT/checkpoints/step-N.";
    private const string Prefix = "step-";

    public string Path { get; } = System.IO.Path.Combine(output, "checkpoints");

    /// <summary>The folder of a step.</summary>
    public string Of(long step) => System.IO.Path.Combine(Path, string.Create(CultureInfo.InvariantCulture, $"{Prefix}{step}"));

    /// <summary>The steps that have a checkpoint, in order. What was being written when a process ended has no such name and is not among them.</summary>
    public IReadOnlyList<long> Steps() => !Directory.Exists(Path)
        ? []
        : [.. Directory.EnumerateDirectories(Path).Select(folder => StepOf(folder)).Where(step => step >= 0).Order()];

    /// <summary>The step of a folder called <c>step-N</c>; -1 for another name.</summary>
    public static long StepOf(string folder)
    {
        string name = System.IO.Path.GetFileName(System.IO.Path.TrimEndingDirectorySeparator(folder));
        return name.StartsWith(Prefix, StringComparison.Ordinal)
            && long.TryParse(name.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out long step) ? step : -1;
    }

    /// <summary>Removes all but the last checkpoints. That of step 0 stays as long as no other is there.</summary>
    /// <param name="keep">How many stay.</param>
    /// <param name="best">A step whose checkpoint stays too; null for none.</param>
    public void Rotate(int keep, long? best = null)
    {
        IReadOnlyList<long> steps = Steps();
        foreach (long step in steps.Where(step => step != 0).SkipLast(keep).Where(step => step != best))
        {
            Delete(Of(step));
        }
    }

    /// <summary>Removes what processes that were killed left half written.</summary>
    public void Clean()
    {
        if (!Directory.Exists(Path))
        {
            return;
        }

        foreach (string folder in Directory.EnumerateDirectories(Path, $".{Prefix}*.tmp").Concat(Directory.EnumerateDirectories(Path, $".{Prefix}*.old")))
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Removes a checkpoint: it loses its name at once, and then its files.</summary>
    public void Delete(string folder)
    {
        string old = System.IO.Path.Combine(Path, $".{System.IO.Path.GetFileName(folder)}.{Environment.ProcessId}.old");
        Directory.Move(folder, old);
        FolderFlush.Flush(Path);
        Directory.Delete(old, recursive: true);
    }
}
