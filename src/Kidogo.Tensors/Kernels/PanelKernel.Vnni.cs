// The loops of panel products with AvxVnni, for codes of 8 bits: a lane is a row, 8 of the 16 to a vector. Knows no formats.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Kidogo.Tensors.Kernels;

internal static partial class PanelKernel<TCodes, TScales>
{
    private const int HalfRows = 8;
    private const int HalfLanes = 32; // bytes of 8 rows in a group of codes

    // 4 tokens by 16 rows: 8 integer sums and 8 float sums. 6 tokens were no faster: the compiler lets these instructions add to the registers 0 to 15 only, and moves the rest.
    private static void MultiplyVnni(ref byte w, ref int x, int tokens, int supers, ref float y, int stride)
    {
        for (int t = 0; t < tokens;)
        {
            ref int own = ref Unsafe.Add(ref x, t * Slots);
            ref float outputs = ref Unsafe.Add(ref y, t * stride);
            if (tokens >= 4)
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
        Vector256<float> a0 = default, a1 = default, a2 = default, a3 = default;
        Vector256<float> b0 = default, b1 = default, b2 = default, b3 = default;
        for (int s = 0; s < supers; s++)
        {
            ref byte parts = ref Unsafe.Add(ref w, HeaderBytes);
            for (int b = 0; b < TScales.SuperBlocks; b++)
            {
                if (tokens <= CacheLines.FewTokens)
                {
                    CacheLines.AskAhead(ref parts, BlockBytes);
                }

                ref byte codes = ref Unsafe.Add(ref parts, PartsBytes);
                Vector256<int> i0 = Vector256.Create(Unsafe.Add(ref x, 9)), i1 = default, i2 = default, i3 = default;
                if (TTile.Tokens > 1)
                {
                    i1 = Vector256.Create(Unsafe.Add(ref x, Slots + 9));
                }

                if (TTile.Tokens > 2)
                {
                    i2 = Vector256.Create(Unsafe.Add(ref x, (2 * Slots) + 9));
                    i3 = Vector256.Create(Unsafe.Add(ref x, (3 * Slots) + 9));
                }

                Vector256<int> j0 = i0, j1 = i1, j2 = i2, j3 = i3;
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
    }

    /// <summary>Writes a panel anew with its codes as whole bytes, for the many tokens of a prompt: reading the table of levels again for each four would cost a fifth.</summary>
    /// <param name="panel">The panel; its codes are levels with center 128.</param>
    /// <param name="destination">Receives it in <see cref="EightBits"/>: <see cref="ExpandedBytes"/> of it.</param>
    public static void Expand(ReadOnlySpan<byte> panel, Span<byte> destination)
    {
        ref byte from = ref MemoryMarshal.GetReference(panel);
        ref byte to = ref MemoryMarshal.GetReference(destination[..ExpandedBytes(panel.Length)]);
        for (int i = 0; i < panel.Length / SuperBytes; i++)
        {
            Unsafe.CopyBlockUnaligned(ref to, ref from, (uint)HeaderBytes);
            from = ref Unsafe.Add(ref from, HeaderBytes);
            to = ref Unsafe.Add(ref to, HeaderBytes);
            for (int b = 0; b < TScales.SuperBlocks; b++)
            {
                Unsafe.CopyBlockUnaligned(ref to, ref from, (uint)PartsBytes);
                ref byte codes = ref Unsafe.Add(ref from, PartsBytes);
                ref byte bytes = ref Unsafe.Add(ref to, PartsBytes);
                for (int j = 0; j < 4; j++)
                {
                    TCodes.First256(ref codes, j).StoreUnsafe(ref bytes, (nuint)(Planes.Group * j));
                    TCodes.First256(ref Unsafe.Add(ref codes, HalfLanes), j).StoreUnsafe(ref bytes, (nuint)((Planes.Group * j) + HalfLanes));
                    TCodes.Second256(ref codes, j).StoreUnsafe(ref bytes, (nuint)(Planes.Group * (4 + j)));
                    TCodes.Second256(ref Unsafe.Add(ref codes, HalfLanes), j).StoreUnsafe(ref bytes, (nuint)((Planes.Group * (4 + j)) + HalfLanes));
                }

                from = ref Unsafe.Add(ref from, BlockBytes);
                to = ref Unsafe.Add(ref to, PartsBytes + EightBits.Bytes);
            }
        }
    }

    /// <summary>Bytes of a panel whose codes are whole bytes.</summary>
    public static int ExpandedBytes(int panelBytes) => panelBytes / SuperBytes * PanelKernel<EightBits, TScales>.SuperBytes;
}
