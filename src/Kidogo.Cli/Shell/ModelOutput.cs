// A model that a verb writes: the bar, the interruption, and the sentence that a full disk deserves. Knows no format.
using Kidogo.Evaluation.Machine;
using Kidogo.Models.Export;

namespace Kidogo.Cli.Shell;

/// <summary>Surroundings of verbs that write a model.</summary>
internal static class ModelOutput
{
    /// <summary>Writes.</summary>
    /// <param name="session">Where interruptions come from.</param>
    /// <param name="output">What is written, for the message.</param>
    /// <param name="write">Writes it with these options.</param>
    /// <param name="bar">Shows how far it is.</param>
    /// <param name="threads">Threads; null for the physical cores.</param>
    /// <param name="change">Changes the options; null for none.</param>
    public static T Guarded<T>(Session session, string output, Func<ModelWriteOptions, T> write, ProgressBar bar, int? threads, Func<ModelWriteOptions, ModelWriteOptions>? change = null)
    {
        ModelWriteOptions options = new()
        {
            Threads = threads ?? MachineInfo.CountPhysicalCores(),
            Began = path => session.OnAbandon(() => Remove(path)),
            Progress = progress =>
            {
                session.Interrupted.ThrowIfCancellationRequested();
                bar.Report(progress.Done, progress.Total);
            },
        };
        T? result = default;
        try
        {
            AtomicFile.Guarded(output, () => result = write(change is null ? options : change(options)));
            return result!;
        }
        finally
        {
            session.OnAbandon(null);
        }
    }

    private static void Remove(string path)
    {
        if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
        }
        else
        {
            File.Delete(path);
        }
    }
}
