// The passport of what a verb writes. Knows which options there are for it, not what is done.
using System.CommandLine;
using Kidogo.Compression.Passports;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Passports;

namespace Kidogo.Cli.Shell;

/// <summary>Begins passports.</summary>
internal static class Provenance
{
    /// <summary>A text that the model is measured on before and after.</summary>
    public static Option<string[]> Measure() =>
        Opt.Texts("--measure", "TEXT", "Measure bits per byte on a text before and after, for the passport: a file or folder of .txt and .jsonl; may be given several times");

    /// <summary>Hashes what goes in, and measures the model as it is.</summary>
    /// <param name="session">Where the bar goes.</param>
    /// <param name="parent">The model that is changed.</param>
    /// <param name="options">What is done; threads and progress are filled in.</param>
    /// <param name="threads">Threads; null for the physical cores.</param>
    /// <returns>What changes the options of the writer.</returns>
    public static Func<ModelWriteOptions, ModelWriteOptions> Begin(Session session, ModelHeader parent, DerivationOptions options, int? threads)
    {
        using StageBar bar = new(session);
        PassportRequest request = Derivation.Begin(parent, options with { Threads = threads ?? MachineInfo.CountPhysicalCores(), Progress = bar.Report }, session.Interrupted);
        return write => write with { Passport = request };
    }
}
