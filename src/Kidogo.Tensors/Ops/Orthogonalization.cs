// Turns a matrix into one whose singular values are near 1: five steps of a polynomial iteration. Knows no optimiser.
using System.Numerics;
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Ops;

/// <summary>The Newton-Schulz iteration of Muon (Jordan et al. 2024): X ← a X + (b A + c A²) X with A = X Xᵀ, in float32.</summary>
public static class Orthogonalization
{
    private const int Iterations = 5;
    private const float A = 3.4445f, B = -4.775f, C = 2.0315f;
    private const double LeastNorm = 1e-7;
    private const int RowsPerTile = 4;

    /// <summary>Values of scratch that <see cref="Apply"/> allocates for a matrix.</summary>
    /// <param name="rows">R.</param>
    /// <param name="columns">C.</param>
    public static long ScratchValues(int rows, int columns)
    {
        long small = Math.Min(rows, columns);
        return (3L * rows * columns) + (2 * small * small);
    }

    /// <summary>Replaces a matrix by the nearly orthogonal one.</summary>
    /// <param name="context">Lends its threads.</param>
    /// <param name="matrix">[R, C]</param>
    public static void Apply(ComputeContext context, Tensor matrix)
    {
        bool isTall = matrix.Rows > matrix.Columns;
        int rows = Math.Min(matrix.Rows, matrix.Columns);
        int columns = Math.Max(matrix.Rows, matrix.Columns);
        Tensor x = new(rows, columns);
        Tensor transposed = new(columns, rows);
        Tensor next = new(rows, columns);
        Tensor square = new(rows, rows);
        Tensor polynomial = new(rows, rows);
        float factor = (float)(1 / Math.Max(LeastNorm, Math.Sqrt(UpdateOps.SumOfSquares(context, matrix))));
        if (isTall)
        {
            Transpose(context, matrix, x);
        }
        else
        {
            matrix.Span.CopyTo(x.Span);
        }

        Scale(x.Span, factor);
        for (int i = 0; i < Iterations; i++)
        {
            Transpose(context, x, transposed);
            Product(context, x, transposed, square);
            Product(context, square, square, polynomial);
            Combine(polynomial.Span, C, square.Span, B);
            Product(context, polynomial, x, next);
            Combine(next.Span, 1, x.Span, A);
            (x, next) = (next, x);
        }

        if (isTall)
        {
            Transpose(context, x, matrix);
        }
        else
        {
            x.Span.CopyTo(matrix.Span);
        }
    }

    /// <summary>result = a · b: each value one chain of fused multiply-adds over k from 0 up, so the bits are the same for any width and any number of threads.</summary>
    /// <param name="context">Lends its threads.</param>
    /// <param name="a">[R, K]</param>
    /// <param name="b">[K, C]</param>
    /// <param name="result">[R, C]</param>
    internal static void Product(ComputeContext context, Tensor a, Tensor b, Tensor result) =>
        UpdateOps.ShareItems(context, (a.Rows + RowsPerTile - 1) / RowsPerTile, item =>
        {
            int first = item * RowsPerTile;
            int present = Math.Min(RowsPerTile, a.Rows - first);
            int column = present == RowsPerTile ? ProductOfFourRows(a, b, result, first) : 0;
            for (int r = first; r < first + present; r++)
            {
                ProductScalar(a.Row(r), b, result.Row(r), column);
            }
        });

    /// <summary>One row from a column on: the scalar twin, which also does what does not fill vectors.</summary>
    private static void ProductScalar(ReadOnlySpan<float> a, Tensor b, Span<float> result, int firstColumn)
    {
        if (firstColumn == result.Length)
        {
            return;
        }

        Span<float> rest = result[firstColumn..];
        rest.Clear();
        for (int k = 0; k < a.Length; k++)
        {
            ReadOnlySpan<float> row = b.Row(k)[firstColumn..];
            for (int c = 0; c < rest.Length; c++)
            {
                rest[c] = MathF.FusedMultiplyAdd(a[k], row[c], rest[c]);
            }
        }
    }

    /// <summary>Four rows by two vectors of columns at a time; a lane is one column. Returns the first column that is left.</summary>
    private static int ProductOfFourRows(Tensor a, Tensor b, Tensor result, int first)
    {
        int lanes = Vector<float>.Count;
        int inner = a.Columns;
        int width = result.Columns;
        ref float a0 = ref MemoryMarshal.GetReference(a.Row(first));
        ref float a1 = ref MemoryMarshal.GetReference(a.Row(first + 1));
        ref float a2 = ref MemoryMarshal.GetReference(a.Row(first + 2));
        ref float a3 = ref MemoryMarshal.GetReference(a.Row(first + 3));
        ref float rb = ref MemoryMarshal.GetReference(b.Span);
        int column = 0;
        for (; column <= width - (2 * lanes); column += 2 * lanes)
        {
            Vector<float> s00 = default, s01 = default, s10 = default, s11 = default, s20 = default, s21 = default, s30 = default, s31 = default;
            for (int k = 0; k < inner; k++)
            {
                nuint at = ((nuint)k * (nuint)width) + (nuint)column;
                Vector<float> b0 = Vector.LoadUnsafe(ref rb, at);
                Vector<float> b1 = Vector.LoadUnsafe(ref rb, at + (nuint)lanes);
                Vector<float> value = new(System.Runtime.CompilerServices.Unsafe.Add(ref a0, k));
                s00 = Vector.FusedMultiplyAdd(value, b0, s00);
                s01 = Vector.FusedMultiplyAdd(value, b1, s01);
                value = new(System.Runtime.CompilerServices.Unsafe.Add(ref a1, k));
                s10 = Vector.FusedMultiplyAdd(value, b0, s10);
                s11 = Vector.FusedMultiplyAdd(value, b1, s11);
                value = new(System.Runtime.CompilerServices.Unsafe.Add(ref a2, k));
                s20 = Vector.FusedMultiplyAdd(value, b0, s20);
                s21 = Vector.FusedMultiplyAdd(value, b1, s21);
                value = new(System.Runtime.CompilerServices.Unsafe.Add(ref a3, k));
                s30 = Vector.FusedMultiplyAdd(value, b0, s30);
                s31 = Vector.FusedMultiplyAdd(value, b1, s31);
            }

            Store(s00, s01, result.Row(first)[column..]);
            Store(s10, s11, result.Row(first + 1)[column..]);
            Store(s20, s21, result.Row(first + 2)[column..]);
            Store(s30, s31, result.Row(first + 3)[column..]);
        }

        return column;
    }

    private static void Store(Vector<float> left, Vector<float> right, Span<float> destination)
    {
        left.CopyTo(destination);
        right.CopyTo(destination[Vector<float>.Count..]);
    }

    private static void Transpose(ComputeContext context, Tensor source, Tensor destination)
    {
        const int Block = 16;
        UpdateOps.ShareItems(context, (destination.Rows + Block - 1) / Block, item =>
        {
            int last = Math.Min(destination.Rows, (item + 1) * Block);
            for (int c = 0; c < source.Rows; c++)
            {
                ReadOnlySpan<float> row = source.Row(c);
                for (int r = item * Block; r < last; r++)
                {
                    destination.Row(r)[c] = row[r];
                }
            }
        });
    }

    /// <summary>x ← x · factorX + y · factorY.</summary>
    private static void Combine(Span<float> x, float factorX, ReadOnlySpan<float> y, float factorY)
    {
        for (int i = 0; i < x.Length; i++)
        {
            x[i] = (x[i] * factorX) + (y[i] * factorY);
        }
    }

    private static void Scale(Span<float> x, float factor)
    {
        for (int i = 0; i < x.Length; i++)
        {
            x[i] *= factor;
        }
    }
}
