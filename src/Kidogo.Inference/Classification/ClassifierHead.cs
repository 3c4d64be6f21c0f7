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
    public double[] Probabilities(ReadOnlySpan<float> x)
    {
        double[] scores = new double[Bias.Length];
        for (int c = 0; c < scores.Length; c++)
        {
            scores[c] = (TensorPrimitives.Dot(Weight.AsSpan(c * x.Length, x.Length), x) + (double)Bias[c]) / Temperature;
        }

        double largest = scores.Max(), sum = 0;
        for (int c = 0; c < scores.Length; c++)
        {
            scores[c] = Math.Exp(scores[c] - largest);
            sum += scores[c];
        }

        TensorPrimitives.Divide(scores, sum, scores);
        return scores;
    }
}
