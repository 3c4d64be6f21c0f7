// Attention by its definition, in double, with every score in memory. Knows no chunks and no caches.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.KernelTests.Ops;

internal static class AttentionReference
{
    /// <summary>Row i of <paramref name="q"/> is at position <paramref name="firstPosition"/> + i; rows of k and v are positions.</summary>
    public static double[] Attend(Tensor q, Tensor k, Tensor v, in AttentionShape shape, int firstPosition = 0)
    {
        double[] y = new double[q.Length];
        int dim = shape.HeadDim, group = shape.Heads / shape.KvHeads;
        for (int row = 0; row < q.Rows; row++)
        {
            int position = firstPosition + row;
            int first = shape.Window > 0 ? Math.Max(0, position - shape.Window + 1) : 0;
            for (int head = 0; head < shape.Heads; head++)
            {
                ReadOnlySpan<float> query = q.Row(row).Slice(head * dim, dim);
                double[] weights = new double[position + 1 - first];
                for (int p = first; p <= position; p++)
                {
                    ReadOnlySpan<float> key = k.Row(p).Slice(head / group * dim, dim);
                    double score = 0;
                    for (int e = 0; e < dim; e++)
                    {
                        score += (double)query[e] * key[e];
                    }

                    score *= shape.Scale;
                    weights[p - first] = shape.Softcap == 0 ? score : shape.Softcap * Math.Tanh(score / shape.Softcap);
                }

                double maximum = weights.Max();
                double sum = weights.Sum(score => Math.Exp(score - maximum));
                for (int p = first; p <= position; p++)
                {
                    double weight = Math.Exp(weights[p - first] - maximum) / sum;
                    for (int e = 0; e < dim; e++)
                    {
                        y[(row * q.Columns) + (head * dim) + e] += weight * v.Row(p)[(head / group * dim) + e];
                    }
                }
            }
        }

        return y;
    }

    /// <summary>The rows [first, first + count) as a tensor of their own.</summary>
    public static Tensor Rows(Tensor x, int first, int count)
    {
        Tensor part = new(count, x.Columns);
        x.Span.Slice(first * x.Columns, count * x.Columns).CopyTo(part.Span);
        return part;
    }

    public static void Near(ReadOnlySpan<double> expected, ReadOnlySpan<float> actual, double tolerance, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        double largest = 0;
        foreach (double value in expected)
        {
            largest = Math.Max(largest, Math.Abs(value));
        }

        for (int i = 0; i < expected.Length; i++)
        {
            if (!(Math.Abs(expected[i] - actual[i]) <= tolerance * largest))
            {
                Assert.Fail($"{what}, element {i}: expected {expected[i]:R}, got {actual[i]:R}; more than {tolerance} of the largest, {largest:R}, apart.");
            }
        }
    }
}
