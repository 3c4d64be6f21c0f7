// Vectors of mean 0 and deviation 1, so that one regularisation suits all models. Knows no labels.
using Kidogo.Inference.Classification;

namespace Kidogo.Training.Classification;

/// <summary>(x - mean) / deviation, value by value.</summary>
internal sealed class Standardization
{
    private readonly double[] _means, _factors;

    private Standardization(double[] means, double[] factors) => (_means, _factors) = (means, factors);

    /// <summary>That of some vectors; what never changes among them counts for nothing.</summary>
    public static Standardization Of(IReadOnlyList<float[]> vectors)
    {
        int width = vectors[0].Length;
        double[] means = new double[width], factors = new double[width];
        for (int c = 0; c < width; c++)
        {
            double mean = vectors.Average(vector => (double)vector[c]), deviation = Math.Sqrt(vectors.Average(vector => (vector[c] - mean) * (vector[c] - mean)));
            (means[c], factors[c]) = (mean, deviation > 0 ? 1 / deviation : 0);
        }

        return new Standardization(means, factors);
    }

    public double[] Apply(float[] vector) => [.. vector.Select((value, c) => (value - _means[c]) * _factors[c])];

    /// <summary>The head over the vectors as they were.</summary>
    /// <param name="x">[C · (D + 1)] That over the vectors of mean 0.</param>
    /// <param name="classes">C</param>
    public ClassifierHead Head(double[] x, int classes)
    {
        int width = _means.Length;
        float[] weight = new float[classes * width], bias = new float[classes];
        for (int c = 0; c < classes; c++)
        {
            double sum = x[(c * (width + 1)) + width];
            for (int i = 0; i < width; i++)
            {
                double value = x[(c * (width + 1)) + i] * _factors[i];
                weight[(c * width) + i] = (float)value;
                sum -= (float)value * _means[i];
            }

            bias[c] = (float)sum;
        }

        return new ClassifierHead(weight, bias, 1);
    }
}
