// Brings the two sides of a matrix product into the order in which the kernel reads them. Knows no weights, no threads and no gradients.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Kernels;

/// <summary>One side of a matrix product: some rows of a matrix, read along its rows or across them.</summary>
/// <param name="Values">[rows, columns]</param>
/// <param name="FirstRow">The first row that is read.</param>
/// <param name="Rows">How many.</param>
/// <param name="SumsOverRows">Whether the product sums over the rows (and has an output for each column), or the other way round.</param>
/// <param name="Rounded">Whether values are rounded to bfloat16 as they are packed: half to even.</param>
internal readonly record struct ProductOperand(Tensor Values, int FirstRow, int Rows, bool SumsOverRows, bool Rounded = false)
{
    /// <summary>All of a matrix whose rows are summed over their columns: outputs are rows.</summary>
    public static ProductOperand OverColumns(Tensor values, bool rounded = false) => new(values, 0, values.Rows, false, rounded);

    /// <summary>All of a matrix that is summed over its rows: outputs are columns.</summary>
    public static ProductOperand OverRows(Tensor values, bool rounded = false) => new(values, 0, values.Rows, true, rounded);

    /// <summary>How many products an output sums.</summary>
    public int Depth => SumsOverRows ? Rows : Values.Columns;

    /// <summary>How many rows or columns of outputs this side has.</summary>
    public int Extent => SumsOverRows ? Values.Columns : Rows;
}

/// <summary>Packs parts of a <see cref="ProductOperand"/> as [depth, lanes].</summary>
internal static class OperandPacking
{
    private const int RowsAhead = 8; // asked for before they are copied

    /// <summary>Packs <paramref name="lanes"/> outputs from <paramref name="first"/> on, over a part of the depth.</summary>
    /// <param name="operand">What to pack.</param>
    /// <param name="first">The first output.</param>
    /// <param name="lanes">12 for a tile, 32 for a panel. Lanes past the operand's end repeat its last or are 0: nobody reads their outputs.</param>
    /// <param name="start">First of the depth.</param>
    /// <param name="depth">How much of it.</param>
    /// <param name="packed">[depth, lanes]</param>
    public static void Pack(in ProductOperand operand, int first, int lanes, int start, int depth, Span<float> packed)
    {
        packed = packed[..(depth * lanes)];
        if (operand.SumsOverRows)
        {
            CopyColumns(operand, first, lanes, start, depth, packed);
        }
        else
        {
            int last = operand.FirstRow + operand.Rows - 1;
            int turned = operand.FirstRow + first + lanes - 1 <= last ? TurnRows(operand, first, lanes, start, depth, packed) : 0;
            start += turned;
            depth -= turned;
            Span<float> rest = packed[(turned * lanes)..];
            for (int lane = 0; lane < lanes && depth > 0; lane += 4)
            {
                int row = operand.FirstRow + first + lane;
                TileInterleaving.Fill(
                    operand.Values.Row(Math.Min(row, last)).Slice(start, depth),
                    operand.Values.Row(Math.Min(row + 1, last)).Slice(start, depth),
                    operand.Values.Row(Math.Min(row + 2, last)).Slice(start, depth),
                    operand.Values.Row(Math.Min(row + 3, last)).Slice(start, depth),
                    rest[lane..],
                    lanes);
            }
        }

        if (operand.Rounded)
        {
            BFloat16Rounding.Round(packed);
        }
    }

    /// <summary>Packs neighbouring tiles or panels: where the operand is summed over its rows, a row is read once for all of them.</summary>
    /// <param name="operand">What to pack.</param>
    /// <param name="first">The first output.</param>
    /// <param name="lanes">12 for tiles, 32 for panels.</param>
    /// <param name="count">How many tiles or panels.</param>
    /// <param name="start">First of the depth.</param>
    /// <param name="depth">How much of it.</param>
    /// <param name="packed">[count, depth, lanes]</param>
    public static void PackSide(in ProductOperand operand, int first, int lanes, int count, int start, int depth, Span<float> packed)
    {
        packed = packed[..(count * lanes * depth)];
        if (!operand.SumsOverRows || first + (count * lanes) > operand.Values.Columns)
        {
            for (int i = 0; i < count; i++)
            {
                Pack(operand, first + (i * lanes), lanes, start, depth, packed.Slice(i * lanes * depth, lanes * depth));
            }

            return;
        }

        int columns = operand.Values.Columns, step = lanes * depth;
        ReadOnlySpan<float> source = operand.Values.Span.Slice((operand.FirstRow + start) * columns, depth * columns);
        for (int k = 0; k < depth; k++)
        {
            ref float from = ref MemoryMarshal.GetReference(source.Slice((k * columns) + first, count * lanes));
            ref float to = ref MemoryMarshal.GetReference(packed[(k * lanes)..]);
            CacheLines.Ask(ref Unsafe.Add(ref from, RowsAhead * columns), count * lanes);
            for (int i = 0; i < count; i++)
            {
                if (lanes == FloatKernel.PanelRows)
                {
                    Vector512.LoadUnsafe(ref from).StoreUnsafe(ref to);
                    Vector512.LoadUnsafe(ref from, 16).StoreUnsafe(ref to, 16);
                }
                else
                {
                    Vector256.LoadUnsafe(ref from).StoreUnsafe(ref to);
                    Vector128.LoadUnsafe(ref from, 8).StoreUnsafe(ref to, 8);
                }

                from = ref Unsafe.Add(ref from, lanes);
                to = ref Unsafe.Add(ref to, step);
            }
        }

        if (operand.Rounded)
        {
            BFloat16Rounding.Round(packed);
        }
    }

    /// <summary>Turns whole blocks of columns of rows that are all there.</summary>
    /// <returns>How many columns.</returns>
    private static int TurnRows(in ProductOperand operand, int first, int lanes, int start, int depth, Span<float> packed)
    {
        if (!RowTurning.IsSupported)
        {
            return 0;
        }

        int stride = operand.Values.Columns, columns = depth / RowTurning.Block * RowTurning.Block;
        ReadOnlySpan<float> source = operand.Values.Span[(((operand.FirstRow + first) * stride) + start)..];
        int rows = lanes == ActivationTiles.WideTile ? ActivationTiles.WideTile : RowTurning.Block;
        for (int lane = 0; lane < lanes && columns > 0; lane += rows)
        {
            RowTurning.Turn(source[(lane * stride)..], stride, rows, columns, packed[lane..], lanes);
        }

        return columns;
    }

    private static void CopyColumns(in ProductOperand operand, int first, int lanes, int start, int depth, Span<float> packed)
    {
        int columns = operand.Values.Columns;
        int present = Math.Min(lanes, columns - first);
        ReadOnlySpan<float> source = operand.Values.Span.Slice((operand.FirstRow + start) * columns, depth * columns);
        if (present < lanes)
        {
            packed.Clear();
            for (int k = 0; k < depth; k++)
            {
                source.Slice((k * columns) + first, present).CopyTo(packed[(k * lanes)..]);
            }

            return;
        }

        // Within bounds: the last read ends at first + lanes of the last row, the last write at the end of packed; lanes is 12 or 32, in vectors of 4.
        ref float from = ref MemoryMarshal.GetReference(source[first..]);
        ref float to = ref MemoryMarshal.GetReference(packed);
        if (lanes == FloatKernel.PanelRows)
        {
            for (int k = 0; k < depth; k++)
            {
                Vector512<float> low = Vector512.LoadUnsafe(ref from);
                Vector512<float> high = Vector512.LoadUnsafe(ref from, 16);
                low.StoreUnsafe(ref to);
                high.StoreUnsafe(ref to, 16);
                from = ref Unsafe.Add(ref from, columns);
                to = ref Unsafe.Add(ref to, FloatKernel.PanelRows);
            }

            return;
        }

        for (int k = 0; k < depth; k++)
        {
            for (int lane = 0; lane < lanes; lane += 4)
            {
                Vector128.LoadUnsafe(ref from, (nuint)lane).StoreUnsafe(ref to, (nuint)lane);
            }

            from = ref Unsafe.Add(ref from, columns);
            to = ref Unsafe.Add(ref to, lanes);
        }
    }
}

/// <summary>Rounds float32 to bfloat16 and back: half to even, infinities stay, a NaN stays one.</summary>
internal static class BFloat16Rounding
{
    private const uint Half = 0x7FFF;

    /// <summary>The definition.</summary>
    public static float RoundScalar(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        if (float.IsNaN(value))
        {
            return BitConverter.UInt32BitsToSingle((bits | 0x400000) & 0xFFFF0000);
        }

        return BitConverter.UInt32BitsToSingle((bits + Half + ((bits >> 16) & 1)) & 0xFFFF0000);
    }

    /// <summary>The upper halves of values whose lower halves are 0.</summary>
    /// <param name="values">[n]</param>
    /// <param name="halves">[n, or more]</param>
    /// <returns>Whether all lower halves were 0; otherwise what is in <paramref name="halves"/> means nothing.</returns>
    public static bool TryNarrow(ReadOnlySpan<float> values, Span<ushort> halves)
    {
        ReadOnlySpan<uint> bits = MemoryMarshal.Cast<float, uint>(values);
        halves = halves[..bits.Length];
        uint lost = 0;
        int i = 0;
        if (Vector256.IsHardwareAccelerated)
        {
            // Lanes: twice 8 values, whose upper halves are 16. Within bounds: i + 16 is at most the length of both.
            ref uint from = ref MemoryMarshal.GetReference(bits);
            ref ushort to = ref MemoryMarshal.GetReference(halves);
            Vector256<uint> any = Vector256<uint>.Zero;
            for (; i <= bits.Length - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
            {
                Vector256<uint> low = Vector256.LoadUnsafe(ref from, (nuint)i), high = Vector256.LoadUnsafe(ref from, (nuint)(i + Vector256<uint>.Count));
                any |= low | high;
                Vector256.Narrow(Vector256.ShiftRightLogical(low, 16), Vector256.ShiftRightLogical(high, 16)).StoreUnsafe(ref to, (nuint)i);
            }

            for (int lane = 0; lane < Vector256<uint>.Count; lane++)
            {
                lost |= any[lane];
            }
        }

        for (; i < bits.Length; i++)
        {
            lost |= bits[i];
            halves[i] = (ushort)(bits[i] >> 16);
        }

        return (lost & 0xFFFF) == 0;
    }

    /// <summary>The values of upper halves.</summary>
    /// <param name="halves">[n]</param>
    /// <param name="values">[n]</param>
    public static void Widen(ReadOnlySpan<ushort> halves, Span<float> values)
    {
        Span<uint> bits = MemoryMarshal.Cast<float, uint>(values)[..halves.Length];
        int i = 0;
        if (Vector256.IsHardwareAccelerated)
        {
            // Lanes: 16 halves become twice 8 values. Within bounds: i + 16 is at most the length of both.
            ref ushort from = ref MemoryMarshal.GetReference(halves);
            ref uint to = ref MemoryMarshal.GetReference(bits);
            for (; i <= halves.Length - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
            {
                (Vector256<uint> low, Vector256<uint> high) = Vector256.Widen(Vector256.LoadUnsafe(ref from, (nuint)i));
                Vector256.ShiftLeft(low, 16).StoreUnsafe(ref to, (nuint)i);
                Vector256.ShiftLeft(high, 16).StoreUnsafe(ref to, (nuint)(i + Vector256<uint>.Count));
            }
        }

        for (; i < halves.Length; i++)
        {
            bits[i] = (uint)halves[i] << 16;
        }
    }

    /// <summary>Rounds all values in their place.</summary>
    // Lanes: 8 values. The carry of an addition to the fraction goes into the exponent, which is what rounding up to the next power of two is; the sum cannot overflow 32 bits,
    // since only a NaN has its top 16 bits all set, and NaNs are taken from the other branch.
    public static void Round(Span<float> values)
    {
        int i = 0;
        if (Vector256.IsHardwareAccelerated)
        {
            ref float first = ref MemoryMarshal.GetReference(values);
            Vector256<uint> half = Vector256.Create(Half), one = Vector256<uint>.One, mask = Vector256.Create(0xFFFF0000u), quiet = Vector256.Create(0x400000u);
            for (; i <= values.Length - Vector256<float>.Count; i += Vector256<float>.Count)
            {
                Vector256<float> value = Vector256.LoadUnsafe(ref first, (nuint)i);
                Vector256<uint> bits = value.AsUInt32();
                Vector256<uint> rounded = bits + half + (Vector256.ShiftRightLogical(bits, 16) & one);
                Vector256<uint> result = Vector256.ConditionalSelect(Vector256.Equals(value, value).AsUInt32(), rounded, bits | quiet) & mask;
                result.AsSingle().StoreUnsafe(ref first, (nuint)i);
            }
        }

        for (; i < values.Length; i++)
        {
            values[i] = RoundScalar(values[i]);
        }
    }
}
