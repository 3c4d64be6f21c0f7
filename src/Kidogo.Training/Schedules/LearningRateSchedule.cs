// How the learning rate goes from step to step. Knows no optimiser: it gives a factor of the highest rate.
namespace Kidogo.Training.Schedules;

/// <summary>What follows the warm-up.</summary>
public enum ScheduleKind
{
    /// <summary>Half a cosine down to the floor (Loshchilov and Hutter, arXiv 1608.03983).</summary>
    Cosine,

    /// <summary>A straight line down to the floor.</summary>
    Linear,

    /// <summary>The highest rate to the end.</summary>
    Constant,

    /// <summary>The highest rate, and in the last part a straight line down to the floor (warm-up-stable-decay; Hu et al., arXiv 2404.06395).</summary>
    WarmupStableDecay,
}

/// <summary>The learning rate of every step, as a factor of the highest.</summary>
/// <param name="Kind">What follows the warm-up.</param>
/// <param name="Steps">Steps in all, 1 or more.</param>
/// <param name="Warmup">Steps of the warm-up, 0 or more: step s, counted from 0, has the factor (s + 1) / warm-up.</param>
/// <param name="Floor">The factor at the end, 0 to 1.</param>
/// <param name="DecayShare">The share of steps of the last part of warm-up-stable-decay, above 0 to 1.</param>
public sealed record LearningRateSchedule(ScheduleKind Kind, long Steps, long Warmup, double Floor = 0.1, double DecayShare = 0.2)
{
    /// <summary>The factor of step <paramref name="step"/>, counted from 0. After the last step it stays what it was.</summary>
    public double Factor(long step)
    {
        if (step < Warmup)
        {
            return (step + 1.0) / Warmup;
        }

        double decaying = Math.Max(1, Steps - Warmup);
        double done = Math.Clamp((step - Warmup) / decaying, 0, 1);
        return Kind switch
        {
            ScheduleKind.Cosine => Floor + ((1 - Floor) * 0.5 * (1 + Math.Cos(Math.PI * done))),
            ScheduleKind.Linear => 1 - ((1 - Floor) * done),
            ScheduleKind.WarmupStableDecay => 1 - ((1 - Floor) * Math.Clamp(1 - ((Steps - step) / Math.Max(1, DecayShare * Steps)), 0, 1)),
            _ => 1,
        };
    }
}
