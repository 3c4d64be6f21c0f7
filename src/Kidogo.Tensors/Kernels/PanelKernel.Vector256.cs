// The loops of panel products in 256-bit vectors: a lane is a row, and a call computes 8 of the 16. Knows no formats.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Kidogo.Tensors.Kernels;

internal static partial class PanelKernel<TCodes, TScales>
{
    private static void Multiply256(ref byte w, int row, ref int x, int tokens, int supers, ref float y, int stride)
    {
        for (int t = 0; t < tokens;)
        {
            ref int own = ref Unsafe.Add(ref x, t * Slots);
            ref float outputs = ref Unsafe.Add(ref y, t * stride);
            if (tokens - t >= 4)
            {
                Loop256<Tile4>(ref w, row, ref own, tokens, supers, ref outputs, stride);
                t += 4;
            }
            else
            {
                Loop256<Tile1>(ref w, row, ref own, tokens, supers, ref outputs, stride);
                t++;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<sbyte> Four256(ref int x, int slot) => Vector256.Create(Unsafe.Add(ref x, slot)).AsSByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Slot256(ref int x, int slot) => Vector256.Create(Unsafe.As<int, float>(ref Unsafe.Add(ref x, slot)));

    // As in 512 bits. The words of codes are read again for each token: there are too few registers to keep them.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Step256(
        ref byte codes, Vector256<float> scale, Vector256<float> minimum, Vector256<short> first, Vector256<short> second, Vector256<short> offsets, Vector256<short> minima,
        ref int x, Vector256<float> sum)
    {
        Vector256<int> total;
        if (TCodes.Chain == 0)
        {
            total = Split256(ref codes, ref x);
        }
        else if (TCodes.Chain == 8 && !TScales.PerHalf && !TScales.HasTwoScales)
        {
            Vector256<short> products = TCodes.Center == 8 ? Vector256.Create(Unsafe.Add(ref x, 8)).AsInt16() : default;
            products += Avx2.MultiplyAddAdjacent(TCodes.First256(ref codes, 0), Four256(ref x, 0));
            products += Avx2.MultiplyAddAdjacent(TCodes.First256(ref codes, 1), Four256(ref x, 1));
            products += Avx2.MultiplyAddAdjacent(TCodes.First256(ref codes, 2), Four256(ref x, 2));
            products += Avx2.MultiplyAddAdjacent(TCodes.First256(ref codes, 3), Four256(ref x, 3));
            products += Avx2.MultiplyAddAdjacent(TCodes.Second256(ref codes, 0), Four256(ref x, 4));
            products += Avx2.MultiplyAddAdjacent(TCodes.Second256(ref codes, 1), Four256(ref x, 5));
            products += Avx2.MultiplyAddAdjacent(TCodes.Second256(ref codes, 2), Four256(ref x, 6));
            products += Avx2.MultiplyAddAdjacent(TCodes.Second256(ref codes, 3), Four256(ref x, 7));
            total = Avx2.MultiplyAddAdjacent(products, Vector256<short>.One);
        }
        else
        {
            Vector256<int> low, high;
            if (TCodes.Chain == 1)
            {
                low = Widened256(TCodes.First256(ref codes, 0), ref x, 0, first) + Widened256(TCodes.First256(ref codes, 1), ref x, 1, first)
                    + (Widened256(TCodes.First256(ref codes, 2), ref x, 2, first) + Widened256(TCodes.First256(ref codes, 3), ref x, 3, first));
                high = Widened256(TCodes.Second256(ref codes, 0), ref x, 4, second) + Widened256(TCodes.Second256(ref codes, 1), ref x, 5, second)
                    + (Widened256(TCodes.Second256(ref codes, 2), ref x, 6, second) + Widened256(TCodes.Second256(ref codes, 3), ref x, 7, second));
            }
            else
            {
                Vector256<short> a = Avx2.MultiplyAddAdjacent(TCodes.First256(ref codes, 0), Four256(ref x, 0)) + Avx2.MultiplyAddAdjacent(TCodes.First256(ref codes, 1), Four256(ref x, 1));
                Vector256<short> b = Avx2.MultiplyAddAdjacent(TCodes.First256(ref codes, 2), Four256(ref x, 2)) + Avx2.MultiplyAddAdjacent(TCodes.First256(ref codes, 3), Four256(ref x, 3));
                Vector256<short> c = Avx2.MultiplyAddAdjacent(TCodes.Second256(ref codes, 0), Four256(ref x, 4)) + Avx2.MultiplyAddAdjacent(TCodes.Second256(ref codes, 1), Four256(ref x, 5));
                Vector256<short> d = Avx2.MultiplyAddAdjacent(TCodes.Second256(ref codes, 2), Four256(ref x, 6)) + Avx2.MultiplyAddAdjacent(TCodes.Second256(ref codes, 3), Four256(ref x, 7));
                low = TCodes.Chain >= 4 ? Avx2.MultiplyAddAdjacent(a + b, first) : Avx2.MultiplyAddAdjacent(a, first) + Avx2.MultiplyAddAdjacent(b, first);
                high = TCodes.Chain >= 4 ? Avx2.MultiplyAddAdjacent(c + d, second) : Avx2.MultiplyAddAdjacent(c, second) + Avx2.MultiplyAddAdjacent(d, second);
            }

            if (TScales.HasTwoScales)
            {
                Vector256<short> sums = Vector256.Create(Unsafe.Add(ref x, 12)).AsInt16();
                low += Avx2.MultiplyAddAdjacent(sums, Vector256.Create(TCodes.Center).AsInt16());
                high += Avx2.MultiplyAddAdjacent(sums, Vector256.Create(TCodes.Center << 16).AsInt16());
                sum = Fma.MultiplyAdd(Vector256.ConvertToSingle(low), scale * Slot256(ref x, 10), sum);
                return Fma.MultiplyAdd(Vector256.ConvertToSingle(high), minimum * Slot256(ref x, 10), sum);
            }

            total = low + high;
        }

        if (TCodes.Center > 0 && TScales.PerHalf)
        {
            total += Avx2.MultiplyAddAdjacent(Vector256.Create(Unsafe.Add(ref x, 12)).AsInt16(), offsets);
        }
        else if (TCodes.Center > 0 && TCodes.Center != 8)
        {
            total += Vector256.ShiftRightArithmetic(Vector256.Create(Unsafe.Add(ref x, 9)), PanelOffsets.Shift(TCodes.Center));
        }

        sum = Fma.MultiplyAdd(Vector256.ConvertToSingle(total), scale * Slot256(ref x, 10), sum);
        if (TScales.HasMinimum)
        {
            sum = TScales.PerHalf
                ? Fma.MultiplyAdd(
                    Vector256.ConvertToSingle(Avx2.MultiplyAddAdjacent(Vector256.Create(Unsafe.Add(ref x, 12)).AsInt16(), minima)), minimum * Slot256(ref x, 10), sum)
                : Fma.MultiplyAdd(minimum, Slot256(ref x, 11), sum);
        }

        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Widened256(Vector256<byte> codes, ref int x, int slot, Vector256<short> multipliers) =>
        Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(codes, Four256(ref x, slot)), multipliers);

    // Codes up to 255: 16 · high + low nibble, each multiplied as a 4-bit code.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Split256(ref byte codes, ref int x)
    {
        Vector256<byte> mask = Vector256.Create((byte)15);
        Vector256<short> low = default, high = default;
        for (int j = 0; j < 8; j++)
        {
            Vector256<byte> word = j < 4 ? TCodes.First256(ref codes, j) : TCodes.Second256(ref codes, j - 4);
            low += Avx2.MultiplyAddAdjacent(word & mask, Four256(ref x, j));
            high += Avx2.MultiplyAddAdjacent(Vector256.ShiftRightLogical(word.AsUInt16(), 4).AsByte() & mask, Four256(ref x, j));
        }

        return Avx2.MultiplyAddAdjacent(low, Vector256<short>.One) + Avx2.MultiplyAddAdjacent(high, Vector256.Create((short)16));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Loop256<TTile>(ref byte w, int row, ref int x, int tokens, int supers, ref float y, int stride)
        where TTile : struct, ITileSize
    {
        Vector256<float> s0 = default, s1 = default, s2 = default, s3 = default;
        for (int i = 0; i < supers; i++)
        {
            ref byte header = ref Unsafe.Add(ref w, TScales.NumberBytes * row);
            ref byte block = ref Unsafe.Add(ref w, HeaderBytes);
            for (int b = 0; b < TScales.SuperBlocks; b++)
            {
                if (row == 0 && tokens <= CacheLines.FewTokens) // the other rows come with these
                {
                    CacheLines.AskAhead(ref block, BlockBytes);
                }

                ref byte parts = ref Unsafe.Add(ref block, row);
                ref byte codes = ref Unsafe.Add(ref block, PartsBytes + (4 * row));
                Vector256<float> scale = TScales.Scale256(ref header, ref parts);
                Vector256<float> minimum = TScales.HasMinimum ? TScales.Minimum256(ref header, ref parts) : TScales.HasTwoScales ? TScales.SecondScale256(ref header, ref parts) : default;
                Vector256<short> first = TScales.PerHalf ? TScales.Multiplier256(ref parts, 0) : Vector256<short>.One;
                Vector256<short> second = TScales.PerHalf ? TScales.Multiplier256(ref parts, 1) : Vector256<short>.One;
                Vector256<short> offsets = TScales.PerHalf && TCodes.Center > 0 ? ScaleParts.Pairs(first.AsInt32(), second.AsInt32()) * (short)TCodes.Center : default;
                Vector256<short> minima = TScales.PerHalf && TScales.HasMinimum ? TScales.MinimumMultipliers256(ref parts) : default;
                s0 = Step256(ref codes, scale, minimum, first, second, offsets, minima, ref x, s0);
                if (TTile.Tokens > 1)
                {
                    s1 = Step256(ref codes, scale, minimum, first, second, offsets, minima, ref Unsafe.Add(ref x, Slots), s1);
                    s2 = Step256(ref codes, scale, minimum, first, second, offsets, minima, ref Unsafe.Add(ref x, 2 * Slots), s2);
                    s3 = Step256(ref codes, scale, minimum, first, second, offsets, minima, ref Unsafe.Add(ref x, 3 * Slots), s3);
                }

                block = ref Unsafe.Add(ref block, BlockBytes);
                x = ref Unsafe.Add(ref x, Slots * tokens);
            }

            w = ref Unsafe.Add(ref w, SuperBytes);
        }

        s0.StoreUnsafe(ref y);
        if (TTile.Tokens > 1)
        {
            s1.StoreUnsafe(ref Unsafe.Add(ref y, stride));
            s2.StoreUnsafe(ref Unsafe.Add(ref y, 2 * stride));
            s3.StoreUnsafe(ref Unsafe.Add(ref y, 3 * stride));
        }
    }
}
