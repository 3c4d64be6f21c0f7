// How the error of one weight is made good by those that follow: a factor of the inverse Hessian. Knows no grids.
using System.Numerics.Tensors;

namespace Kidogo.Compression.Quantization;

/// <summary>The upper triangular U with UᵀU = H⁻¹ (arXiv 2210.17323, section 3.3, step 3), from which optimal brain surgeon reads what an error costs and who makes it good.</summary>
/// <remarks>
/// H is never inverted: with H = R Rᵀ, R upper triangular (a Cholesky factor found from the last row up), U = R⁻¹. Both in float64, rows in parallel; every element is one sum in
/// one order, so threads do not show.
/// </remarks>
public sealed class ErrorPropagation
{
    private const double DampingGrowth = 10;
    private const double MostDamping = 1e6;
    private readonly float[] _upper;

    private ErrorPropagation(float[] upper, int size, double damping)
    {
        _upper = upper;
        Size = size;
        Damping = damping;
    }

    /// <summary>Rows and columns: inputs of the layer.</summary>
    public int Size { get; }

    /// <summary>The damping that was needed, as a share of the mean diagonal.</summary>
    public double Damping { get; }

    /// <summary>Row <paramref name="index"/> from its diagonal on. [Size - index]</summary>
    public ReadOnlySpan<float> Row(int index) => _upper.AsSpan((index * Size) + index, Size - index);

    /// <summary>Factors a Hessian.</summary>
    /// <param name="hessian">[n, n], symmetric; 2 XᵀX or any multiple of it.</param>
    /// <param name="order">In which order columns are taken; null for 0 to n - 1.</param>
    /// <param name="damping">What is added to the diagonal, as a share of its mean; grows tenfold until the factor exists.</param>
    /// <param name="threads">Threads.</param>
    /// <exception cref="InvalidDataException">The Hessian has values that are no numbers: the calibration's activations are damaged.</exception>
    public static ErrorPropagation Factor(ReadOnlySpan<float> hessian, int[]? order, double damping, int threads)
    {
        int size = (int)Math.Sqrt(hessian.Length);
        if ((long)size * size != hessian.Length || (order is not null && order.Length != size))
        {
            throw new ArgumentException($"A Hessian is square, but {hessian.Length} values with an order of {order?.Length ?? size} columns are not.", nameof(hessian));
        }

        double[] ordered = new double[hessian.Length];
        double trace = 0;
        for (int i = 0; i < size; i++)
        {
            for (int j = 0; j < size; j++)
            {
                ordered[(i * size) + j] = hessian[((order?[i] ?? i) * size) + (order?[j] ?? j)];
            }

            double diagonal = ordered[(i * size) + i];
            ordered[(i * size) + i] = diagonal == 0 ? 1 : diagonal; // an input that is never there: nothing depends on it
            trace += ordered[(i * size) + i];
        }

        if (!double.IsFinite(trace))
        {
            throw new InvalidDataException("The Hessian of the calibration has values that are infinite or no numbers; expected finite sums of activations. The model's weights may be damaged.");
        }

        ParallelOptions parallel = new() { MaxDegreeOfParallelism = threads };
        for (; damping <= MostDamping; damping = damping == 0 ? 1e-6 : damping * DampingGrowth)
        {
            double[] factor = [.. ordered];
            for (int i = 0; i < size; i++)
            {
                factor[(i * size) + i] += damping * trace / size;
            }

            if (TryReverseCholesky(factor, size, parallel))
            {
                return new ErrorPropagation(Invert(factor, size), size, damping);
            }
        }

        throw new InvalidDataException($"The Hessian of the calibration is not positive definite, even with {MostDamping} times its mean diagonal added. Calibrate with more text.");
    }

    /// <summary>H = R Rᵀ in place, columns from the last to the first; false where H is not positive definite.</summary>
    private static bool TryReverseCholesky(double[] h, int size, ParallelOptions parallel)
    {
        const int WorthSharing = 64;
        for (int j = size - 1; j >= 0; j--)
        {
            int after = j + 1;
            ReadOnlySpan<double> last = h.AsSpan((j * size) + after, size - after);
            double square = h[(j * size) + j] - TensorPrimitives.SumOfSquares(last);
            if (!(square > 0))
            {
                return false;
            }

            double diagonal = Math.Sqrt(square);
            h[(j * size) + j] = diagonal;
            int column = j;
            void Solve(int i)
            {
                ReadOnlySpan<double> row = h.AsSpan((i * size) + after, size - after);
                h[(i * size) + column] = (h[(i * size) + column] - TensorPrimitives.Dot(row, h.AsSpan((column * size) + after, size - after))) / diagonal;
            }

            if (j < WorthSharing || size - j < WorthSharing)
            {
                for (int i = 0; i < j; i++)
                {
                    Solve(i);
                }
            }
            else
            {
                Parallel.For(0, j, parallel, Solve);
            }
        }

        return true;
    }

    /// <summary>R⁻¹, from the last row up: row i is (eᵢ - Σ R[i, k] · row k) / R[i, i].</summary>
    private static float[] Invert(double[] r, int size)
    {
        double[] inverse = new double[r.Length];
        for (int i = size - 1; i >= 0; i--)
        {
            Span<double> row = inverse.AsSpan(i * size, size);
            for (int k = i + 1; k < size; k++)
            {
                Span<double> target = row[k..];
                TensorPrimitives.MultiplyAdd(inverse.AsSpan((k * size) + k, size - k), -r[(i * size) + k], target, target);
            }

            row[i] = 1;
            TensorPrimitives.Divide(row[i..], r[(i * size) + i], row[i..]);
        }

        return Array.ConvertAll(inverse, value => (float)value);
    }
}
