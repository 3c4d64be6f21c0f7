// Rows of float32 turned into columns, 16 by 16 values in registers. Knows no tiles and no panels.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Kidogo.Tensors.Kernels;

/// <summary>Brings rows side by side: each line of memory is read once and whole, and those that come next are asked for.</summary>
internal static class RowTurning
{
    /// <summary>Columns that are turned at once.</summary>
    public const int Block = 16;

    private const int Ahead = 128; // floats of a row: 8 lines, so that 16 rows keep a core's line buffers full

    /// <summary>Whether the instructions are there; without them it is slow.</summary>
    public static bool IsSupported => Avx512F.IsSupported;

    /// <summary>Writes 16 rows side by side, or 12: value c of row r goes to [c · step + r].</summary>
    /// <param name="source">Begins with the first row.</param>
    /// <param name="stride">Distance between rows.</param>
    /// <param name="rows">12 or 16.</param>
    /// <param name="columns">How many columns of them; a multiple of 16.</param>
    /// <param name="target">[columns, step]</param>
    /// <param name="step">Distance between columns in the target: 12 for 12 rows, 16 or more for 16.</param>
    /// <exception cref="ArgumentException">The sizes do not fit.</exception>
    public static unsafe void Turn(ReadOnlySpan<float> source, int stride, int rows, int columns, Span<float> target, int step)
    {
        if (columns % Block != 0 || stride < columns || (rows == 16 ? step < 16 : rows != 12 || step != 12)
            || columns > 0 && (source.Length < ((rows - 1) * (long)stride) + columns || target.Length < ((columns - 1) * (long)step) + rows))
        {
            throw new ArgumentException($"{rows} rows of {columns} columns, {stride} apart, in {source.Length} values do not turn to columns {step} apart in {target.Length}.");
        }

        if (!IsSupported)
        {
            TurnScalar(source, stride, rows, columns, target, step);
            return;
        }

        fixed (float* from = source, to = target)
        {
            if (rows == 12)
            {
                Turn12(from, stride, columns, to);
            }
            else
            {
                Turn16(from, stride, columns, to, step);
            }
        }
    }

    /// <summary>The definition.</summary>
    public static void TurnScalar(ReadOnlySpan<float> source, int stride, int rows, int columns, Span<float> target, int step)
    {
        for (int c = 0; c < columns; c++)
        {
            for (int r = 0; r < rows; r++)
            {
                target[(c * step) + r] = source[(r * stride) + c];
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static unsafe void Turn16(float* from, int stride, int columns, float* to, int step)
    {
        for (int c = 0; c < columns; c += Block, from += Block, to += Block * step)
        {
            CacheLines.Ask(ref from[Ahead], 16, stride, 1);
            Turn4(from, stride, out Vector512<double> a0, out Vector512<double> a1, out Vector512<double> a2, out Vector512<double> a3);
            Turn4(from + (4 * (nint)stride), stride, out Vector512<double> b0, out Vector512<double> b1, out Vector512<double> b2, out Vector512<double> b3);
            Turn4(from + (8 * (nint)stride), stride, out Vector512<double> d0, out Vector512<double> d1, out Vector512<double> d2, out Vector512<double> d3);
            Turn4(from + (12 * (nint)stride), stride, out Vector512<double> e0, out Vector512<double> e1, out Vector512<double> e2, out Vector512<double> e3);
            Write(a0, b0, d0, e0, to, step);
            Write(a1, b1, d1, e1, to + step, step);
            Write(a2, b2, d2, e2, to + (2 * step), step);
            Write(a3, b3, d3, e3, to + (3 * step), step);
        }
    }

    // Each column is written with 4 lanes too many, which the next one overwrites; columns 3, 7, 11 and 15, whose next is written before them, or lies beyond the target, are written in two parts.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static unsafe void Turn12(float* from, int stride, int columns, float* to)
    {
        const int Step = 12;
        for (int c = 0; c < columns; c += Block, from += Block, to += Block * Step)
        {
            CacheLines.Ask(ref from[Ahead], 12, stride, 1);
            Turn4(from, stride, out Vector512<double> a0, out Vector512<double> a1, out Vector512<double> a2, out Vector512<double> a3);
            Turn4(from + (4 * (nint)stride), stride, out Vector512<double> b0, out Vector512<double> b1, out Vector512<double> b2, out Vector512<double> b3);
            Turn4(from + (8 * (nint)stride), stride, out Vector512<double> d0, out Vector512<double> d1, out Vector512<double> d2, out Vector512<double> d3);
            Write(a0, b0, d0, d0, to, Step);
            Write(a1, b1, d1, d1, to + Step, Step);
            Write(a2, b2, d2, d2, to + (2 * Step), Step);
            Write(a3, b3, d3, d3, to + (3 * Step), Step, isNarrow: true);
        }
    }

    /// <summary>Turns 4 x 4 blocks of four rows: lane l of qj is column 4l + j.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static unsafe void Turn4(float* from, nint stride, out Vector512<double> q0, out Vector512<double> q1, out Vector512<double> q2, out Vector512<double> q3)
    {
        Vector512<float> a = Vector512.Load(from), b = Vector512.Load(from + stride), d = Vector512.Load(from + (2 * stride)), e = Vector512.Load(from + (3 * stride));
        Vector512<double> ab = Avx512F.UnpackLow(a, b).AsDouble(), de = Avx512F.UnpackLow(d, e).AsDouble(); // pairs of floats: their bits are only moved
        q0 = Avx512F.UnpackLow(ab, de);
        q1 = Avx512F.UnpackHigh(ab, de);
        ab = Avx512F.UnpackHigh(a, b).AsDouble();
        de = Avx512F.UnpackHigh(d, e).AsDouble();
        q2 = Avx512F.UnpackLow(ab, de);
        q3 = Avx512F.UnpackHigh(ab, de);
    }

    /// <summary>Writes four columns, 4 apart: column l is lane l of each of four groups of rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static unsafe void Write(Vector512<double> q0, Vector512<double> q1, Vector512<double> q2, Vector512<double> q3, float* to, nint step, bool isNarrow = false)
    {
        const byte Even = 0x88, Odd = 0xDD; // lanes 0 and 2, or 1 and 3, of each
        Vector512<double> low = Avx512F.Shuffle4x128(q0, q1, Even), high = Avx512F.Shuffle4x128(q2, q3, Even);
        Store(Avx512F.Shuffle4x128(low, high, Even).AsSingle(), to, isNarrow);
        Store(Avx512F.Shuffle4x128(low, high, Odd).AsSingle(), to + (8 * step), isNarrow);
        low = Avx512F.Shuffle4x128(q0, q1, Odd);
        high = Avx512F.Shuffle4x128(q2, q3, Odd);
        Store(Avx512F.Shuffle4x128(low, high, Even).AsSingle(), to + (4 * step), isNarrow);
        Store(Avx512F.Shuffle4x128(low, high, Odd).AsSingle(), to + (12 * step), isNarrow);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static unsafe void Store(Vector512<float> column, float* to, bool isNarrow)
    {
        if (isNarrow)
        {
            column.GetLower().Store(to);
            column.GetUpper().GetLower().Store(to + 8);
        }
        else
        {
            column.Store(to);
        }
    }
}
