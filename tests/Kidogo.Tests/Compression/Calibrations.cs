// Layers and activations for tests of methods, and what a method loses, worked out plainly in float64.
using Kidogo.Tensors;

namespace Kidogo.Tests.Compression;

internal static class Calibrations
{
    /// <summary>Normally distributed values.</summary>
    public static Tensor Normal(Random random, int rows, int columns)
    {
        Tensor matrix = new(rows, columns);
        foreach (ref float value in matrix.Span)
        {
            value = (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
        }

        return matrix;
    }

    /// <summary>Inputs that few directions explain, as activations are.</summary>
    public static Tensor Correlated(Random random, int rows, int columns)
    {
        const int Directions = 12;
        Tensor latent = Normal(random, rows, Directions), mixing = Normal(random, Directions, columns), x = Normal(random, rows, columns);
        for (int t = 0; t < rows; t++)
        {
            for (int c = 0; c < columns; c++)
            {
                float sum = 0.3f * x.Row(t)[c];
                for (int d = 0; d < Directions; d++)
                {
                    sum += latent.Row(t)[d] * mixing.Row(d)[c];
                }

                x.Row(t)[c] = sum;
            }
        }

        return x;
    }

    /// <summary>2 XᵀX</summary>
    public static float[] Hessian(Tensor x)
    {
        double[] sums = new double[x.Columns * x.Columns];
        for (int t = 0; t < x.Rows; t++)
        {
            ReadOnlySpan<float> row = x.Row(t);
            for (int i = 0; i < row.Length; i++)
            {
                for (int j = 0; j < row.Length; j++)
                {
                    sums[(i * row.Length) + j] += 2.0 * row[i] * row[j];
                }
            }
        }

        return Array.ConvertAll(sums, sum => (float)sum);
    }

    /// <summary>‖X(W−Q)ᵀ‖² / ‖X Wᵀ‖²</summary>
    public static double OutputError(Tensor weights, Tensor rounded, Tensor x)
    {
        double error = 0, all = 0;
        for (int t = 0; t < x.Rows; t++)
        {
            ReadOnlySpan<float> row = x.Row(t);
            for (int r = 0; r < weights.Rows; r++)
            {
                ReadOnlySpan<float> w = weights.Row(r), q = rounded.Row(r);
                double difference = 0, output = 0;
                for (int c = 0; c < row.Length; c++)
                {
                    difference += row[c] * ((double)w[c] - q[c]);
                    output += (double)row[c] * w[c];
                }

                error += difference * difference;
                all += output * output;
            }
        }

        return error / all;
    }
}
