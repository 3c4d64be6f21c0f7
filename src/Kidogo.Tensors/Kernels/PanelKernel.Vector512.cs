// The loops of panel products in 512-bit vectors: a lane is a row. Knows no formats.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Kidogo.Tensors.Kernels;

internal static partial class PanelKernel<TCodes, TScales>
{
    private static void Multiply512(ref byte w, ref int x, int tokens, int supers, ref float y, int stride)
    {
        if (TCodes.Chain == 0)
        {
            for (int t = 0; t < tokens; t += Math.Min(4, tokens))
            {
                ref int own = ref Unsafe.Add(ref x, t * Slots);
                ref float outputs = ref Unsafe.Add(ref y, t * stride);
                switch (tokens)
                {
                    case 1:
                        SplitLoop512<Tile1>(ref w, ref own, tokens, supers, ref outputs, stride);
                        break;
                    case 2:
                        SplitLoop512<Tile2>(ref w, ref own, tokens, supers, ref outputs, stride);
                        break;
                    default:
                        SplitLoop512<Tile4>(ref w, ref own, tokens, supers, ref outputs, stride);
                        break;
                }
            }

            return;
        }

        switch (tokens)
        {
            case 12:
                Loop512<Tile12>(ref w, ref x, supers, ref y, stride);
                break;
            case 8:
                Loop512<Tile8>(ref w, ref x, supers, ref y, stride);
                break;
            case 4:
                Loop512<Tile4>(ref w, ref x, supers, ref y, stride);
                break;
            case 2:
                Loop512<Tile2>(ref w, ref x, supers, ref y, stride);
                break;
            default:
                Loop512<Tile1>(ref w, ref x, supers, ref y, stride);
                break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<sbyte> Four512(ref int x) => Vector512.Create(x).AsSByte();

    // One block, one token. A vector of codes holds for each row (32 bits) the unsigned codes of 4 columns. MultiplyAddAdjacent: codes times signed activations, neighbours
    // added, in 16 bits. For codes up to 15 |15 · 127 · 2| = 3,810, eight of them 30,480 < 32,767; up to 31 four of 7,874 are 31,496; up to 63 two of 16,002 are 32,004; up to 127 one of 32,258: that many
    // are added (the layout's Chain) before a multiplication with ones, or the halves' multipliers, widens the pairs to one 32-bit sum a row. Center 8: slot 8 takes 8 · Σx
    // away in 16 bits; sums wrap modulo 2^16 without harm, since the final value is at most 8 · 16 · 127 = 16,256. Other centers are powers of two, and slot 9 is -128 · Σx.
    // Halves with multipliers: |63 · 127 · 16 · 128| · 2 < 2^25 in 32 bits, and their offsets come from slot 12, (-Σx of the first half, -Σx of the second), in one multiplication. A second scale comes in place of the minimum.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Step512(
        Vector512<byte> w0, Vector512<byte> w1, Vector512<byte> w2, Vector512<byte> w3, Vector512<byte> w4, Vector512<byte> w5, Vector512<byte> w6, Vector512<byte> w7,
        Vector512<float> scale, Vector512<float> minimum, Vector512<short> first, Vector512<short> second, Vector512<short> offsets, Vector512<short> minima,
        ref int x, Vector512<float> sum)
    {
        Vector512<int> total;
        if (TCodes.Chain == 8 && !TScales.PerHalf && !TScales.HasTwoScales)
        {
            Vector512<short> products = Avx512BW.MultiplyAddAdjacent(w0, Vector512.Create(x).AsSByte());
            if (TCodes.Center == 8)
            {
                products += Vector512.Create(Unsafe.Add(ref x, 8)).AsInt16();
            }

            products += Avx512BW.MultiplyAddAdjacent(w1, Vector512.Create(Unsafe.Add(ref x, 1)).AsSByte());
            products += Avx512BW.MultiplyAddAdjacent(w2, Vector512.Create(Unsafe.Add(ref x, 2)).AsSByte());
            products += Avx512BW.MultiplyAddAdjacent(w3, Vector512.Create(Unsafe.Add(ref x, 3)).AsSByte());
            products += Avx512BW.MultiplyAddAdjacent(w4, Vector512.Create(Unsafe.Add(ref x, 4)).AsSByte());
            products += Avx512BW.MultiplyAddAdjacent(w5, Vector512.Create(Unsafe.Add(ref x, 5)).AsSByte());
            products += Avx512BW.MultiplyAddAdjacent(w6, Vector512.Create(Unsafe.Add(ref x, 6)).AsSByte());
            products += Avx512BW.MultiplyAddAdjacent(w7, Vector512.Create(Unsafe.Add(ref x, 7)).AsSByte());
            total = Avx512BW.MultiplyAddAdjacent(products, Vector512<short>.One);
        }
        else
        {
            Vector512<int> low, high;
            if (TCodes.Chain == 1)
            {
                low = Widened512(w0, ref x, first) + Widened512(w1, ref Unsafe.Add(ref x, 1), first)
                    + (Widened512(w2, ref Unsafe.Add(ref x, 2), first) + Widened512(w3, ref Unsafe.Add(ref x, 3), first));
                high = Widened512(w4, ref Unsafe.Add(ref x, 4), second) + Widened512(w5, ref Unsafe.Add(ref x, 5), second)
                    + (Widened512(w6, ref Unsafe.Add(ref x, 6), second) + Widened512(w7, ref Unsafe.Add(ref x, 7), second));
            }
            else
            {
                Vector512<short> a = Avx512BW.MultiplyAddAdjacent(w0, Vector512.Create(x).AsSByte()) + Avx512BW.MultiplyAddAdjacent(w1, Vector512.Create(Unsafe.Add(ref x, 1)).AsSByte());
                Vector512<short> b = Avx512BW.MultiplyAddAdjacent(w2, Vector512.Create(Unsafe.Add(ref x, 2)).AsSByte()) + Avx512BW.MultiplyAddAdjacent(w3, Vector512.Create(Unsafe.Add(ref x, 3)).AsSByte());
                Vector512<short> c = Avx512BW.MultiplyAddAdjacent(w4, Vector512.Create(Unsafe.Add(ref x, 4)).AsSByte()) + Avx512BW.MultiplyAddAdjacent(w5, Vector512.Create(Unsafe.Add(ref x, 5)).AsSByte());
                Vector512<short> d = Avx512BW.MultiplyAddAdjacent(w6, Vector512.Create(Unsafe.Add(ref x, 6)).AsSByte()) + Avx512BW.MultiplyAddAdjacent(w7, Vector512.Create(Unsafe.Add(ref x, 7)).AsSByte());
                low = TCodes.Chain >= 4 ? Avx512BW.MultiplyAddAdjacent(a + b, first) : Avx512BW.MultiplyAddAdjacent(a, first) + Avx512BW.MultiplyAddAdjacent(b, first);
                high = TCodes.Chain >= 4 ? Avx512BW.MultiplyAddAdjacent(c + d, second) : Avx512BW.MultiplyAddAdjacent(c, second) + Avx512BW.MultiplyAddAdjacent(d, second);
            }

            if (TScales.HasTwoScales)
            {
                // Slot 12 times (center, 0) is the offset of the first half, times (0, center) that of the last.
                Vector512<short> sums = Vector512.Create(Unsafe.Add(ref x, 12)).AsInt16();
                Vector512<float> scaleOfX = Vector512.Create(Unsafe.Add(ref x, 10)).AsSingle();
                low += Avx512BW.MultiplyAddAdjacent(sums, Vector512.Create(TCodes.Center).AsInt16());
                high += Avx512BW.MultiplyAddAdjacent(sums, Vector512.Create(TCodes.Center << 16).AsInt16());
                sum = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(low), scale * scaleOfX, sum);
                return Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(high), minimum * scaleOfX, sum);
            }

            total = low + high;
        }

        if (TCodes.Center > 0 && TScales.PerHalf)
        {
            total += Avx512BW.MultiplyAddAdjacent(Vector512.Create(Unsafe.Add(ref x, 12)).AsInt16(), offsets);
        }
        else if (TCodes.Center > 0 && TCodes.Center != 8)
        {
            total += Vector512.ShiftRightArithmetic(Vector512.Create(Unsafe.Add(ref x, 9)), PanelOffsets.Shift(TCodes.Center));
        }

        sum = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(total), scale * Vector512.Create(Unsafe.Add(ref x, 10)).AsSingle(), sum);
        if (TScales.HasMinimum)
        {
            sum = TScales.PerHalf
                ? Vector512.FusedMultiplyAdd(
                    Vector512.ConvertToSingle(Avx512BW.MultiplyAddAdjacent(Vector512.Create(Unsafe.Add(ref x, 12)).AsInt16(), minima)), minimum * Vector512.Create(Unsafe.Add(ref x, 10)).AsSingle(), sum)
                : Vector512.FusedMultiplyAdd(minimum, Vector512.Create(Unsafe.Add(ref x, 11)).AsSingle(), sum);
        }

        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Widened512(Vector512<byte> codes, ref int x, Vector512<short> multipliers) =>
        Avx512BW.MultiplyAddAdjacent(Avx512BW.MultiplyAddAdjacent(codes, Four512(ref x)), multipliers);

    // 12 tokens: 12 sums, 8 code vectors, scale, minimum and ones stay in registers (23 of 32); with multipliers 4 more.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Loop512<TTile>(ref byte w, ref int x, int supers, ref float y, int stride)
        where TTile : struct, ITileSize
    {
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default;
        Vector512<float> s6 = default, s7 = default, s8 = default, s9 = default, s10 = default, s11 = default;
        for (int i = 0; i < supers; i++)
        {
            ref byte header = ref w;
            ref byte parts = ref Unsafe.Add(ref w, HeaderBytes);
            for (int b = 0; b < TScales.SuperBlocks; b++)
            {
                if (TTile.Tokens <= CacheLines.FewTokens)
                {
                    CacheLines.AskAhead(ref parts, BlockBytes);
                }

                ref byte codes = ref Unsafe.Add(ref parts, PartsBytes);
                Vector512<float> scale = TScales.Scale512(ref header, ref parts);
                Vector512<float> minimum = TScales.HasMinimum ? TScales.Minimum512(ref header, ref parts) : TScales.HasTwoScales ? TScales.SecondScale512(ref header, ref parts) : default;
                Vector512<short> first = TScales.PerHalf ? TScales.Multiplier512(ref parts, 0) : Vector512<short>.One;
                Vector512<short> second = TScales.PerHalf ? TScales.Multiplier512(ref parts, 1) : Vector512<short>.One;
                Vector512<short> offsets = TScales.PerHalf && TCodes.Center > 0 ? ScaleParts.Pairs(first.AsInt32(), second.AsInt32()) * (short)TCodes.Center : default;
                Vector512<short> minima = TScales.PerHalf && TScales.HasMinimum ? TScales.MinimumMultipliers512(ref parts) : default;
                Vector512<byte> w0 = TCodes.First512(ref codes, 0), w1 = TCodes.First512(ref codes, 1), w2 = TCodes.First512(ref codes, 2), w3 = TCodes.First512(ref codes, 3);
                Vector512<byte> w4 = TCodes.Second512(ref codes, 0), w5 = TCodes.Second512(ref codes, 1), w6 = TCodes.Second512(ref codes, 2), w7 = TCodes.Second512(ref codes, 3);
                s0 = Step512(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, first, second, offsets, minima, ref x, s0);
                if (TTile.Tokens > 1)
                {
                    s1 = Step512(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, first, second, offsets, minima, ref Unsafe.Add(ref x, Slots), s1);
                }

                if (TTile.Tokens > 2)
                {
                    s2 = Step512(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, first, second, offsets, minima, ref Unsafe.Add(ref x, 2 * Slots), s2);
                    s3 = Step512(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, first, second, offsets, minima, ref Unsafe.Add(ref x, 3 * Slots), s3);
                }

                if (TTile.Tokens > 4)
                {
                    s4 = Step512(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, first, second, offsets, minima, ref Unsafe.Add(ref x, 4 * Slots), s4);
                    s5 = Step512(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, first, second, offsets, minima, ref Unsafe.Add(ref x, 5 * Slots), s5);
                    s6 = Step512(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, first, second, offsets, minima, ref Unsafe.Add(ref x, 6 * Slots), s6);
                    s7 = Step512(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, first, second, offsets, minima, ref Unsafe.Add(ref x, 7 * Slots), s7);
                }

                if (TTile.Tokens > 8)
                {
                    s8 = Step512(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, first, second, offsets, minima, ref Unsafe.Add(ref x, 8 * Slots), s8);
                    s9 = Step512(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, first, second, offsets, minima, ref Unsafe.Add(ref x, 9 * Slots), s9);
                    s10 = Step512(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, first, second, offsets, minima, ref Unsafe.Add(ref x, 10 * Slots), s10);
                    s11 = Step512(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, first, second, offsets, minima, ref Unsafe.Add(ref x, 11 * Slots), s11);
                }

                parts = ref Unsafe.Add(ref parts, BlockBytes);
                x = ref Unsafe.Add(ref x, Slots * TTile.Tokens);
            }

            w = ref Unsafe.Add(ref w, SuperBytes);
        }

        s0.StoreUnsafe(ref y);
        if (TTile.Tokens > 1)
        {
            s1.StoreUnsafe(ref Unsafe.Add(ref y, stride));
        }

        if (TTile.Tokens > 2)
        {
            s2.StoreUnsafe(ref Unsafe.Add(ref y, 2 * stride));
            s3.StoreUnsafe(ref Unsafe.Add(ref y, 3 * stride));
        }

        if (TTile.Tokens > 4)
        {
            s4.StoreUnsafe(ref Unsafe.Add(ref y, 4 * stride));
            s5.StoreUnsafe(ref Unsafe.Add(ref y, 5 * stride));
            s6.StoreUnsafe(ref Unsafe.Add(ref y, 6 * stride));
            s7.StoreUnsafe(ref Unsafe.Add(ref y, 7 * stride));
        }

        if (TTile.Tokens > 8)
        {
            s8.StoreUnsafe(ref Unsafe.Add(ref y, 8 * stride));
            s9.StoreUnsafe(ref Unsafe.Add(ref y, 9 * stride));
            s10.StoreUnsafe(ref Unsafe.Add(ref y, 10 * stride));
            s11.StoreUnsafe(ref Unsafe.Add(ref y, 11 * stride));
        }
    }

    // Codes up to 255 without AvxVnni: a code is 16 · high + low nibble, each multiplied as a 4-bit code (8 · 15 · 127 · 2 = 30,480 fits 16 bits).
    // The widening multiplication takes 1 for the low and 16 for the high sums.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Finish512(Vector512<short> low, Vector512<short> high, Vector512<float> scale, ref int x, Vector512<float> sum)
    {
        Vector512<int> total = Avx512BW.MultiplyAddAdjacent(low, Vector512<short>.One) + Avx512BW.MultiplyAddAdjacent(high, Vector512.Create((short)16))
            + Vector512.Create(Unsafe.Add(ref x, 9));
        return Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(total), scale * Vector512.Create(Unsafe.Add(ref x, 10)).AsSingle(), sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SplitLoop512<TTile>(ref byte w, ref int x, int tokens, int supers, ref float y, int stride)
        where TTile : struct, ITileSize
    {
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        Vector512<byte> mask = Vector512.Create((byte)15);
        for (int i = 0; i < supers; i++)
        {
            ref byte parts = ref Unsafe.Add(ref w, HeaderBytes);
            for (int b = 0; b < TScales.SuperBlocks; b++)
            {
                if (tokens <= CacheLines.FewTokens)
                {
                    CacheLines.AskAhead(ref parts, BlockBytes);
                }

                ref byte codes = ref Unsafe.Add(ref parts, PartsBytes);
                Vector512<short> l0 = default, l1 = default, l2 = default, l3 = default;
                Vector512<short> h0 = default, h1 = default, h2 = default, h3 = default;
                for (int j = 0; j < 8; j++)
                {
                    Vector512<byte> word = j < 4 ? TCodes.First512(ref codes, j) : TCodes.Second512(ref codes, j - 4);
                    Vector512<byte> low = word & mask;
                    Vector512<byte> high = Vector512.ShiftRightLogical(word.AsUInt16(), 4).AsByte() & mask;
                    ref int four = ref Unsafe.Add(ref x, j);
                    l0 += Avx512BW.MultiplyAddAdjacent(low, Four512(ref four));
                    h0 += Avx512BW.MultiplyAddAdjacent(high, Four512(ref four));
                    if (TTile.Tokens > 1)
                    {
                        l1 += Avx512BW.MultiplyAddAdjacent(low, Four512(ref Unsafe.Add(ref four, Slots)));
                        h1 += Avx512BW.MultiplyAddAdjacent(high, Four512(ref Unsafe.Add(ref four, Slots)));
                    }

                    if (TTile.Tokens > 2)
                    {
                        l2 += Avx512BW.MultiplyAddAdjacent(low, Four512(ref Unsafe.Add(ref four, 2 * Slots)));
                        h2 += Avx512BW.MultiplyAddAdjacent(high, Four512(ref Unsafe.Add(ref four, 2 * Slots)));
                        l3 += Avx512BW.MultiplyAddAdjacent(low, Four512(ref Unsafe.Add(ref four, 3 * Slots)));
                        h3 += Avx512BW.MultiplyAddAdjacent(high, Four512(ref Unsafe.Add(ref four, 3 * Slots)));
                    }
                }

                Vector512<float> scale = TScales.Scale512(ref w, ref parts);
                s0 = Finish512(l0, h0, scale, ref x, s0);
                s1 = TTile.Tokens > 1 ? Finish512(l1, h1, scale, ref Unsafe.Add(ref x, Slots), s1) : s1;
                s2 = TTile.Tokens > 2 ? Finish512(l2, h2, scale, ref Unsafe.Add(ref x, 2 * Slots), s2) : s2;
                s3 = TTile.Tokens > 2 ? Finish512(l3, h3, scale, ref Unsafe.Add(ref x, 3 * Slots), s3) : s3;
                parts = ref Unsafe.Add(ref parts, BlockBytes);
                x = ref Unsafe.Add(ref x, Slots * tokens);
            }

            w = ref Unsafe.Add(ref w, SuperBytes);
        }

        s0.StoreUnsafe(ref y);
        if (TTile.Tokens > 1)
        {
            s1.StoreUnsafe(ref Unsafe.Add(ref y, stride));
        }

        if (TTile.Tokens > 2)
        {
            s2.StoreUnsafe(ref Unsafe.Add(ref y, 2 * stride));
            s3.StoreUnsafe(ref Unsafe.Add(ref y, 3 * stride));
        }
    }
}

/// <summary>How offsets of codes come out of the activations' sums.</summary>
internal static class PanelOffsets
{
    /// <summary>-128 · Σx moved right by this is -center · Σx.</summary>
    public static int Shift(int center) => center switch
    {
        1 => 7,
        2 => 6,
        4 => 5,
        8 => 4,
        16 => 3,
        32 => 2,
        64 => 1,
        _ => 0,
    };
}
