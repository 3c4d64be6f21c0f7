// What a sweep has found so far: read off the logs of its runs. Computes nothing new.
namespace Kidogo.Training.Sweeps;

/// <summary>What held-out texts gave at the end of a rung.</summary>
/// <param name="Step">Steps that the run had made.</param>
/// <param name="Tokens">Tokens that it had read.</param>
/// <param name="Loss">Nats a token.</param>
/// <param name="BitsPerByte">Bits for each byte of the text; no number of preferences.</param>
public sealed record SweepScore(long Step, long Tokens, double Loss, double BitsPerByte);

/// <summary>What became of a run.</summary>
/// <param name="Run">The run.</param>
/// <param name="Folder">Where it lies.</param>
/// <param name="Steps">Steps of its whole way.</param>
/// <param name="Scores">At the end of each rung that it reached.</param>
/// <param name="Failure">Why it is out; null where it is not, or only for being worse than others.</param>
public sealed record SweepOutcome(SweepRun Run, string Folder, long Steps, IReadOnlyList<SweepScore> Scores, string? Failure);

/// <summary>What there is of a sweep.</summary>
/// <param name="Folder">OUT.</param>
/// <param name="Fields">The fields that had lists.</param>
/// <param name="Runs">All runs, the best first: who came further, and of those who has less loss.</param>
/// <param name="IsComplete">Whether the best has gone the whole way.</param>
/// <param name="Rungs">Rungs in all.</param>
public sealed record SweepResult(string Folder, IReadOnlyList<string> Fields, IReadOnlyList<SweepOutcome> Runs, bool IsComplete, int Rungs)
{
    /// <summary>The best so far; null where all failed or none was judged.</summary>
    public SweepOutcome? Best => Runs.FirstOrDefault(run => run.Failure is null && run.Scores.Count > 0);

    /// <summary>Whether runs are compared in bits per byte, which hold across tokenizers, and not in nats a token.</summary>
    public bool IsInBits => Runs.SelectMany(run => run.Scores).All(score => double.IsFinite(score.BitsPerByte));

    /// <summary>The unit of <see cref="Value"/>.</summary>
    public string Unit => IsInBits ? "bits per byte" : "nats a token";

    /// <summary>What is compared: less is better.</summary>
    public double Value(SweepScore score) => IsInBits ? score.BitsPerByte : score.Loss;
}
