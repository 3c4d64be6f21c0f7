// The part of a classifier that decides: a matrix over a text's vector, and a temperature. Knows no texts.
using System.Numerics.Tensors;

namespace Kidogo.Inference.Classification;

/// <summary>softmax((W x + b) / T).</summary>
/// <param name="Weight">[C · D], row after row.</param>
/// <param name="Bias">[C]</param>
/// <param name="Temperature">T, above 0: what held-out lines say that the head's confidence has to be divided by (Guo et al., arXiv 1706.04599, section
/// 4.2).</param>
public sealed record ClassifierHead(float[] Weight, float[] Bias, double Temperature)
{
    /// <summary>The probabilities of all classes. [C]</summary>
    /// <param name="x">[D]</param>
    public double[] Probabilities(ReadOnlySpan<float> x) => Probabilities(Scores(x), Temperature);

    /// <summary>What the head gives each class before its temperature. [C]</summary>
    /// <param name="x">[D]</param>
    public double[] Scores(ReadOnlySpan<float> x)
    {
        double[] scores = new double[Bias.Length];
        for (int c = 0; c < scores.Length; c++)
        {
            scores[c] = TensorPrimitives.Dot(Weight.AsSpan(c * x.Length, x.Length), x) + (double)Bias[c];
        }

        return scores;
    }

    /// <summary>The probabilities of all classes by their scores. [C]</summary>
    /// <param name="scores">[C] What <see cref="Scores"/> gave.</param>
    /// <param name="temperature">What they are divided by, above 0.</param>
    public static double[] Probabilities(ReadOnlySpan<double> scores, double temperature)
    {
        double[] probabilities = new double[scores.Length];
        TensorPrimitives.Divide(scores, temperature, probabilities);
        double largest = probabilities.Max(), sum = 0;
        for (int c = 0; c < probabilities.Length; c++)
        {
            probabilities[c] = Math.Exp(probabilities[c] - largest);
            sum += probabilities[c];
        }

        TensorPrimitives.Divide(probabilities, sum, probabilities);
        return probabilities;
    }
}
