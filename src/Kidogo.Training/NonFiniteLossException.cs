// A loss that is no number, and where it came from. Knows no run.
using System.Globalization;
using Kidogo.Tensors;
using Kidogo.Training.Optimizers;

namespace Kidogo.Training;

/// <summary>The loss or a gradient has become infinite or no number. No weight was changed by the step that found it.</summary>
public sealed class NonFiniteLossException : Exception
{
    /// <summary>Says what happened.</summary>
    public NonFiniteLossException(string message) : base(message)
    {
    }

    /// <summary>As above, with the cause.</summary>
    public NonFiniteLossException(string message, Exception innerException) : base(message, innerException)
    {
    }

    /// <summary>An exception without a message, which nothing here throws.</summary>
    public NonFiniteLossException()
    {
    }

    /// <summary>Finds where it came from: the first weights that are not finite, else the gradient nearest the loss that is not, which the backward pass met first.</summary>
    internal static NonFiniteLossException Of(StepOutcome outcome, IEnumerable<TrainedParameter> parameters)
    {
        TrainedParameter[] all = [.. parameters];
        TrainedParameter? weights = all.FirstOrDefault(parameter => FirstNonFinite(parameter.Values) >= 0);
        string where = weights is not null
            ? $"weights of {weights.Name} are not finite (value {FirstNonFinite(weights.Values)})"
            : all.LastOrDefault(parameter => parameter.Values.Gradient is { } gradient && FirstNonFinite(gradient) >= 0) is { } met
                ? $"all weights are finite; the backward pass first met a gradient that is not in {met.Name}"
                : "all weights and gradients are finite, but their squares are too large to add up";
        string loss = outcome.Loss.ToString("G6", CultureInfo.InvariantCulture);
        string norm = outcome.GradientNorm.ToString("G6", CultureInfo.InvariantCulture);
        return new NonFiniteLossException($"the loss is {loss} and the norm of the gradients {norm}: {where}");
    }

    private static int FirstNonFinite(Tensor values)
    {
        ReadOnlySpan<float> span = values.Span;
        for (int i = 0; i < span.Length; i++)
        {
            if (!float.IsFinite(span[i]))
            {
                return i;
            }
        }

        return -1;
    }
}
