// The largest singular values of a matrix and their vectors. Knows no layers.
using Kidogo.Tensors;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Kidogo.Models.Adapters;

/// <summary>Subspace iteration from random vectors (Halko, Martinsson and Tropp 2011, algorithm 4.4), reading the matrix row by row in whatever format it is.</summary>
internal static class PrincipalComponents
{
    private const int Spare = 8;
    private const int Iterations = 4;
    private const int MostSweeps = 50;

    /// <summary>A and B with s B A the best approximation of the matrix of a rank, as PiSSA starts (arXiv 2404.02948, section 3).</summary>
    /// <param name="weight">[R, C]</param>
    /// <param name="rank">r, at most the shorter side.</param>
    /// <param name="scale">s</param>
    /// <param name="stream">Where draws begin.</param>
    /// <returns>[r, C] and [R, r]</returns>
    public static (Tensor A, Tensor B) Of(Weight weight, int rank, float scale, ulong stream)
    {
        int k = Math.Min(rank + Spare, Math.Min(weight.Rows, weight.Columns));
        Tensor right = new(k, weight.Columns), left = new(k, weight.Rows);
        PlacedDraws.Normal(right.Span, stream, 1);
        Orthonormalize(right);
        float[] row = new float[weight.Columns];
        for (int i = 0; i < Iterations; i++)
        {
            MultiplyRows(weight, right, left, row);
            Orthonormalize(left);
            right.Span.Clear();
            for (int r = 0; r < weight.Rows; r++)
            {
                weight.DecodeRow(r, row);
                for (int j = 0; j < k; j++)
                {
                    Span<float> sum = right.Row(j);
                    TensorPrimitives.MultiplyAdd(row, left.Row(j)[r], sum, sum);
                }
            }

            Orthonormalize(right);
        }

        MultiplyRows(weight, right, left, row); // rows of left are W v: their Gram matrix has the squares of the singular values
        (double[] squares, double[,] turn) = Eigen(left);
        int[] order = [.. Enumerable.Range(0, k).OrderByDescending(i => squares[i])];
        Tensor a = new(rank, weight.Columns), b = new(weight.Rows, rank);
        for (int i = 0; i < rank; i++)
        {
            double value = Math.Sqrt(Math.Max(0, squares[order[i]]));
            double root = Math.Sqrt(value / scale);
            if (value == 0)
            {
                continue; // the matrix has no more
            }

            for (int j = 0; j < k; j++)
            {
                Span<float> direction = a.Row(i);
                TensorPrimitives.MultiplyAdd(right.Row(j), (float)(turn[j, order[i]] * root), direction, direction);
                for (int r = 0; r < weight.Rows; r++)
                {
                    b.Row(r)[i] += (float)(turn[j, order[i]] * root / value) * left.Row(j)[r];
                }
            }
        }

        return (a, b);
    }

    /// <summary>left[j] = W right[j].</summary>
    private static void MultiplyRows(Weight weight, Tensor right, Tensor left, float[] row)
    {
        for (int r = 0; r < weight.Rows; r++)
        {
            weight.DecodeRow(r, row);
            for (int j = 0; j < right.Rows; j++)
            {
                left.Row(j)[r] = TensorPrimitives.Dot<float>(row, right.Row(j));
            }
        }
    }

    /// <summary>Gram and Schmidt, each row twice; a row that the others span becomes 0.</summary>
    private static void Orthonormalize(Tensor rows)
    {
        for (int i = 0; i < rows.Rows; i++)
        {
            Span<float> row = rows.Row(i);
            float before = TensorPrimitives.Norm<float>(row);
            for (int pass = 0; pass < 2; pass++)
            {
                for (int j = 0; j < i; j++)
                {
                    TensorPrimitives.MultiplyAdd(rows.Row(j), -TensorPrimitives.Dot<float>(row, rows.Row(j)), row, row);
                }
            }

            const float Spanned = 1e-5f;
            float norm = TensorPrimitives.Norm<float>(row);
            if (norm <= Spanned * before || !float.IsFinite(norm))
            {
                row.Clear();
            }
            else
            {
                TensorPrimitives.Divide(row, norm, row);
            }
        }
    }

    /// <summary>Eigenvalues and vectors (columns) of the Gram matrix of rows, by Jacobi's rotations.</summary>
    private static (double[] Values, double[,] Vectors) Eigen(Tensor rows)
    {
        int k = rows.Rows;
        double[,] m = new double[k, k], v = new double[k, k];
        for (int i = 0; i < k; i++)
        {
            v[i, i] = 1;
            for (int j = 0; j <= i; j++)
            {
                double sum = 0;
                ReadOnlySpan<float> a = rows.Row(i), b = rows.Row(j);
                for (int c = 0; c < a.Length; c++)
                {
                    sum += (double)a[c] * b[c];
                }

                m[i, j] = m[j, i] = sum;
            }
        }

        for (int sweep = 0; sweep < MostSweeps; sweep++)
        {
            double outside = 0, inside = 0;
            for (int p = 0; p < k; p++)
            {
                inside += m[p, p] * m[p, p];
                for (int q = p + 1; q < k; q++)
                {
                    outside += m[p, q] * m[p, q];
                    Rotate(m, v, p, q);
                }
            }

            if (outside <= 1e-24 * inside)
            {
                break;
            }
        }

        return ([.. Enumerable.Range(0, k).Select(i => m[i, i])], v);
    }

    private static void Rotate(double[,] m, double[,] v, int p, int q)
    {
        if (m[p, q] == 0)
        {
            return;
        }

        double theta = (m[q, q] - m[p, p]) / (2 * m[p, q]);
        double t = (theta >= 0 ? 1 : -1) / (Math.Abs(theta) + Math.Sqrt((theta * theta) + 1));
        double c = 1 / Math.Sqrt((t * t) + 1), s = t * c;
        int k = m.GetLength(0);
        for (int i = 0; i < k; i++)
        {
            (m[i, p], m[i, q]) = ((c * m[i, p]) - (s * m[i, q]), (s * m[i, p]) + (c * m[i, q]));
        }

        for (int i = 0; i < k; i++)
        {
            (m[p, i], m[q, i]) = ((c * m[p, i]) - (s * m[q, i]), (s * m[p, i]) + (c * m[q, i]));
            (v[i, p], v[i, q]) = ((c * v[i, p]) - (s * v[i, q]), (s * v[i, p]) + (c * v[i, q]));
        }
    }
}
