// The loops of panel products with AvxVnni, for codes of 8 bits: a lane is a row, 8 of the 16 to a vector. Knows no formats.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Kidogo.Tensors.Kernels;

internal static partial class PanelKernel<TCodes, TScales>
{
    private const int HalfRows = 8;
    private const int HalfLanes = 32; // bytes of 8 rows in a group of codes

    // Where the processor also has AVX-512, the compiler encodes these instructions so that they reach all 32 registers: 6 tokens then need 24 of them for sums.
    private static void MultiplyVnni(ref byte w, ref int x, int tokens, int supers, ref float y, int stride)
    {
        for (int t = 0; t < tokens;)
        {
            ref int own = ref Unsafe.Add(ref x, t * Slots);
            ref float outputs = ref Unsafe.Add(ref y, t * stride);
            if (tokens == 12 && Vector512.IsHardwareAccelerated)
            {
                LoopVnni<Tile6>(ref w, ref own, tokens, supers, ref outputs, stride);
                t += 6;
            }
            else if (tokens >= 4)
            {
                LoopVnni<Tile4>(ref w, ref own, tokens, supers, ref outputs, stride);
                t += 4;
            }
            else if (tokens == 2)
            {
                LoopVnni<Tile2>(ref w, ref own, tokens, supers, ref outputs, stride);
                t += 2;
            }
            else
            {
                LoopVnni<Tile1>(ref w, ref own, tokens, supers, ref outputs, stride);
                t++;
            }
        }
    }

    // Lane r (32 bits) of a vector of codes holds 4 columns of one row; MultiplyWideningAndAdd adds the 4 products of unsigned codes and signed
    // activations to a 32-bit sum: at most 32 · 255 · 127 = 1,036,320 with slot 9 (-128 · Σx) as its start, which takes the center away. i: the upper 8 rows, j: the lower 8.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void LoopVnni<TTile>(ref byte w, ref int x, int tokens, int supers, ref float y, int stride)
        where TTile : struct, ITileSize
    {
        Vector256<float> a0 = default, a1 = default, a2 = default, a3 = default, a4 = default, a5 = default;
        Vector256<float> b0 = default, b1 = default, b2 = default, b3 = default, b4 = default, b5 = default;
        for (int s = 0; s < supers; s++)
        {
            ref byte parts = ref Unsafe.Add(ref w, HeaderBytes);
            for (int b = 0; b < TScales.SuperBlocks; b++)
            {
                ref byte codes = ref Unsafe.Add(ref parts, PartsBytes);
                Vector256<int> i0 = Vector256.Create(Unsafe.Add(ref x, 9)), i1 = default, i2 = default, i3 = default, i4 = default, i5 = default;
                if (TTile.Tokens > 1)
                {
                    i1 = Vector256.Create(Unsafe.Add(ref x, Slots + 9));
                }

                if (TTile.Tokens > 2)
                {
                    i2 = Vector256.Create(Unsafe.Add(ref x, (2 * Slots) + 9));
                    i3 = Vector256.Create(Unsafe.Add(ref x, (3 * Slots) + 9));
                }

                if (TTile.Tokens > 4)
                {
                    i4 = Vector256.Create(Unsafe.Add(ref x, (4 * Slots) + 9));
                    i5 = Vector256.Create(Unsafe.Add(ref x, (5 * Slots) + 9));
                }

                Vector256<int> j0 = i0, j1 = i1, j2 = i2, j3 = i3, j4 = i4, j5 = i5;
                ref int four = ref x;
                for (int j = 0; j < 4; j++)
                {
                    Vector256<byte> upper = TCodes.First256(ref codes, j), lower = TCodes.First256(ref Unsafe.Add(ref codes, HalfLanes), j);
                    Vector256<sbyte> x0 = Vector256.Create(four).AsSByte();
                    i0 = AvxVnni.MultiplyWideningAndAdd(i0, upper, x0);
                    j0 = AvxVnni.MultiplyWideningAndAdd(j0, lower, x0);
                    if (TTile.Tokens > 1)
                    {
                        x0 = Vector256.Create(Unsafe.Add(ref four, Slots)).AsSByte();
                        i1 = AvxVnni.MultiplyWideningAndAdd(i1, upper, x0);
                        j1 = AvxVnni.MultiplyWideningAndAdd(j1, lower, x0);
                    }

                    if (TTile.Tokens > 2)
                    {
                        x0 = Vector256.Create(Unsafe.Add(ref four, 2 * Slots)).AsSByte();
                        i2 = AvxVnni.MultiplyWideningAndAdd(i2, upper, x0);
                        j2 = AvxVnni.MultiplyWideningAndAdd(j2, lower, x0);
                        x0 = Vector256.Create(Unsafe.Add(ref four, 3 * Slots)).AsSByte();
                        i3 = AvxVnni.MultiplyWideningAndAdd(i3, upper, x0);
                        j3 = AvxVnni.MultiplyWideningAndAdd(j3, lower, x0);
                    }

                    if (TTile.Tokens > 4)
                    {
                        x0 = Vector256.Create(Unsafe.Add(ref four, 4 * Slots)).AsSByte();
                        i4 = AvxVnni.MultiplyWideningAndAdd(i4, upper, x0);
                        j4 = AvxVnni.MultiplyWideningAndAdd(j4, lower, x0);
                        x0 = Vector256.Create(Unsafe.Add(ref four, 5 * Slots)).AsSByte();
                        i5 = AvxVnni.MultiplyWideningAndAdd(i5, upper, x0);
                        j5 = AvxVnni.MultiplyWideningAndAdd(j5, lower, x0);
                    }

                    (upper, lower) = (TCodes.Second256(ref codes, j), TCodes.Second256(ref Unsafe.Add(ref codes, HalfLanes), j));
                    x0 = Vector256.Create(Unsafe.Add(ref four, 4)).AsSByte();
                    i0 = AvxVnni.MultiplyWideningAndAdd(i0, upper, x0);
                    j0 = AvxVnni.MultiplyWideningAndAdd(j0, lower, x0);
                    if (TTile.Tokens > 1)
                    {
                        x0 = Vector256.Create(Unsafe.Add(ref four, Slots + 4)).AsSByte();
                        i1 = AvxVnni.MultiplyWideningAndAdd(i1, upper, x0);
                        j1 = AvxVnni.MultiplyWideningAndAdd(j1, lower, x0);
                    }

                    if (TTile.Tokens > 2)
                    {
                        x0 = Vector256.Create(Unsafe.Add(ref four, (2 * Slots) + 4)).AsSByte();
                        i2 = AvxVnni.MultiplyWideningAndAdd(i2, upper, x0);
                        j2 = AvxVnni.MultiplyWideningAndAdd(j2, lower, x0);
                        x0 = Vector256.Create(Unsafe.Add(ref four, (3 * Slots) + 4)).AsSByte();
                        i3 = AvxVnni.MultiplyWideningAndAdd(i3, upper, x0);
                        j3 = AvxVnni.MultiplyWideningAndAdd(j3, lower, x0);
                    }

                    if (TTile.Tokens > 4)
                    {
                        x0 = Vector256.Create(Unsafe.Add(ref four, (4 * Slots) + 4)).AsSByte();
                        i4 = AvxVnni.MultiplyWideningAndAdd(i4, upper, x0);
                        j4 = AvxVnni.MultiplyWideningAndAdd(j4, lower, x0);
                        x0 = Vector256.Create(Unsafe.Add(ref four, (5 * Slots) + 4)).AsSByte();
                        i5 = AvxVnni.MultiplyWideningAndAdd(i5, upper, x0);
                        j5 = AvxVnni.MultiplyWideningAndAdd(j5, lower, x0);
                    }

                    four = ref Unsafe.Add(ref four, 1);
                }

                Vector256<float> upperScale = TScales.Scale256(ref w, ref parts);
                Vector256<float> lowerScale = TScales.Scale256(ref Unsafe.Add(ref w, TScales.NumberBytes * HalfRows), ref Unsafe.Add(ref parts, HalfRows));
                a0 = Fma.MultiplyAdd(Vector256.ConvertToSingle(i0), upperScale * Slot256(ref x, 10), a0);
                b0 = Fma.MultiplyAdd(Vector256.ConvertToSingle(j0), lowerScale * Slot256(ref x, 10), b0);
                if (TTile.Tokens > 1)
                {
                    a1 = Fma.MultiplyAdd(Vector256.ConvertToSingle(i1), upperScale * Slot256(ref Unsafe.Add(ref x, Slots), 10), a1);
                    b1 = Fma.MultiplyAdd(Vector256.ConvertToSingle(j1), lowerScale * Slot256(ref Unsafe.Add(ref x, Slots), 10), b1);
                }

                if (TTile.Tokens > 2)
                {
                    a2 = Fma.MultiplyAdd(Vector256.ConvertToSingle(i2), upperScale * Slot256(ref Unsafe.Add(ref x, 2 * Slots), 10), a2);
                    b2 = Fma.MultiplyAdd(Vector256.ConvertToSingle(j2), lowerScale * Slot256(ref Unsafe.Add(ref x, 2 * Slots), 10), b2);
                    a3 = Fma.MultiplyAdd(Vector256.ConvertToSingle(i3), upperScale * Slot256(ref Unsafe.Add(ref x, 3 * Slots), 10), a3);
                    b3 = Fma.MultiplyAdd(Vector256.ConvertToSingle(j3), lowerScale * Slot256(ref Unsafe.Add(ref x, 3 * Slots), 10), b3);
                }

                if (TTile.Tokens > 4)
                {
                    a4 = Fma.MultiplyAdd(Vector256.ConvertToSingle(i4), upperScale * Slot256(ref Unsafe.Add(ref x, 4 * Slots), 10), a4);
                    b4 = Fma.MultiplyAdd(Vector256.ConvertToSingle(j4), lowerScale * Slot256(ref Unsafe.Add(ref x, 4 * Slots), 10), b4);
                    a5 = Fma.MultiplyAdd(Vector256.ConvertToSingle(i5), upperScale * Slot256(ref Unsafe.Add(ref x, 5 * Slots), 10), a5);
                    b5 = Fma.MultiplyAdd(Vector256.ConvertToSingle(j5), lowerScale * Slot256(ref Unsafe.Add(ref x, 5 * Slots), 10), b5);
                }

                parts = ref Unsafe.Add(ref parts, BlockBytes);
                x = ref Unsafe.Add(ref x, Slots * tokens);
            }

            w = ref Unsafe.Add(ref w, SuperBytes);
        }

        a0.StoreUnsafe(ref y);
        b0.StoreUnsafe(ref y, HalfRows);
        if (TTile.Tokens > 1)
        {
            a1.StoreUnsafe(ref Unsafe.Add(ref y, stride));
            b1.StoreUnsafe(ref Unsafe.Add(ref y, stride), HalfRows);
        }

        if (TTile.Tokens > 2)
        {
            a2.StoreUnsafe(ref Unsafe.Add(ref y, 2 * stride));
            b2.StoreUnsafe(ref Unsafe.Add(ref y, 2 * stride), HalfRows);
            a3.StoreUnsafe(ref Unsafe.Add(ref y, 3 * stride));
            b3.StoreUnsafe(ref Unsafe.Add(ref y, 3 * stride), HalfRows);
        }

        if (TTile.Tokens > 4)
        {
            a4.StoreUnsafe(ref Unsafe.Add(ref y, 4 * stride));
            b4.StoreUnsafe(ref Unsafe.Add(ref y, 4 * stride), HalfRows);
            a5.StoreUnsafe(ref Unsafe.Add(ref y, 5 * stride));
            b5.StoreUnsafe(ref Unsafe.Add(ref y, 5 * stride), HalfRows);
        }
    }
}
