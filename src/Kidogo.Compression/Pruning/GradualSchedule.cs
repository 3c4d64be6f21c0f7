// How sparsity rises over a training. Knows no weights.
namespace Kidogo.Compression.Pruning;

/// <summary>Zhu and Gupta, arXiv 1710.01878, equation 1, from a sparsity of 0: s = final · (1 − (1 − (t − first) / (last − first))³): fast at first, slow where weights begin to matter.</summary>
/// <param name="Final">The sparsity at the end.</param>
/// <param name="FirstStep">Until here nothing goes.</param>
/// <param name="LastStep">From here on all that is to go is gone.</param>
public sealed record GradualSchedule(double Final, double FirstStep, double LastStep)
{
    /// <summary>The sparsity at a step.</summary>
    public double At(double step)
    {
        double left = 1 - (Math.Clamp(step - FirstStep, 0, LastStep - FirstStep) / (LastStep - FirstStep));
        return Final * (1 - (left * left * left));
    }
}
