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

    /// <summary>Finds where it came from: the first weights that are not finite, else the first layer whose output is not, else the gradient nearest the loss,
    /// which the backward pass met first.</summary>
    /// <param name="outcome">What the step measured.</param>
    /// <param name="parameters">All that is trained, in the order of computation.</param>
    /// <param name="findOutput">Computes the pass again and names the first layer whose output is not finite; null where all are.</param>
    internal static NonFiniteLossException Of(StepOutcome outcome, IEnumerable<TrainedParameter> parameters, Func<string?> findOutput)
    {
        string loss = outcome.Loss.ToString("G6", CultureInfo.InvariantCulture);
        string norm = outcome.GradientNorm.ToString("G6", CultureInfo.InvariantCulture);
        return new NonFiniteLossException($"the loss is {loss} and the norm of the gradients {norm}: {Where(outcome, [.. parameters], findOutput)}");
    }

    private static string Where(StepOutcome outcome, TrainedParameter[] all, Func<string?> findOutput)
    {
        if (all.FirstOrDefault(parameter => FirstNonFinite(parameter.Values) >= 0) is { } weights)
        {
            return $"weights of {Place(weights.Name)} are not finite (value {FirstNonFinite(weights.Values)})";
        }

        if (findOutput() is { } output)
        {
            return $"all weights are finite; the first output that is not is that of {Place(output)}";
        }

        if (!double.IsFinite(outcome.Loss))
        {
            return "all weights and the outputs of all layers are finite; those of the head are not";
        }

        return all.LastOrDefault(parameter => parameter.Values.Gradient is { } gradient && FirstNonFinite(gradient) >= 0) is { } met
            ? $"all weights and outputs are finite; the backward pass first met a gradient that is not in {Place(met.Name)}"
            : "all weights and gradients are finite, but their squares are too large to add up";
    }

    /// <summary>A tensor's or a layer's name, with the layer in words.</summary>
    private static string Place(string name)
    {
        const string Layer = "blk.";
        string number = name.StartsWith(Layer, StringComparison.Ordinal) ? name[Layer.Length..].Split('.')[0] : "";
        return number.Length == 0 ? name : $"{name} (layer {number}, counted from 0)";
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
