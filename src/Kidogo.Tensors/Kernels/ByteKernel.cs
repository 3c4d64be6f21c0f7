// Products of 8-bit weights, 16 rows side by side, with 8-bit activations. Knows no files, no threads and no models.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Kidogo.Tensors.Kernels;

/// <summary>Multiplies a panel of 16 rows of 8-bit weights with a tile of tokens.</summary>
/// <remarks>
/// A panel holds, for each block of 32 columns, 16 scales (float16), then 8 groups of 64 bytes: byte 4r + i of group s is, for row r, weight + 128 of column
/// 4s + i. For each block and token: s = Σ w · x, an exact integer; then acc = fma(s, scale_w · scale_x, acc). The same bits for every tile and tier.
/// </remarks>
internal static class ByteKernel
{
    public const int PanelRows = 16;
    public const int BlockColumns = 32;
    public const int BlockBytes = ScaleBytes + CodeBytes;
    private const int CodeBytes = 512;
    private const int ScaleBytes = 32;
    private const int Slots = ActivationTiles.Slots;

    /// <summary>Computes 16 outputs for each token of a tile.</summary>
    /// <param name="panel">[blocks · BlockBytes]</param>
    /// <param name="tile">The tile's activations, see <see cref="ActivationTiles"/>.</param>
    /// <param name="tokens">12, 4 or 1.</param>
    /// <param name="y">Token t's outputs go to [t · stride, + 16).</param>
    /// <param name="stride">Distance between tokens in <paramref name="y"/>.</param>
    public static void Multiply(ReadOnlySpan<byte> panel, ReadOnlySpan<float> tile, int tokens, Span<float> y, int stride)
    {
        int blocks = panel.Length / BlockBytes;
        if (tokens is not (ActivationTiles.WideTile or ActivationTiles.MiddleTile or 1)
            || tile.Length < blocks * ActivationTiles.Slots * tokens || y.Length < ((tokens - 1) * stride) + PanelRows)
        {
            throw new ArgumentException($"{blocks} blocks and {tokens} tokens do not fit {tile.Length} activations and {y.Length} outputs.");
        }

        ref byte w = ref MemoryMarshal.GetReference(panel);
        ref int x = ref Unsafe.As<float, int>(ref MemoryMarshal.GetReference(tile));
        ref float outputs = ref MemoryMarshal.GetReference(y);
        if (AvxVnni.IsSupported)
        {
            if (tokens == 1)
            {
                SingleVnni(ref w, ref x, blocks, ref outputs);
                return;
            }

            for (int t = 0; t < tokens; t += 4)
            {
                MiddleVnni(ref w, ref Unsafe.Add(ref x, t * ActivationTiles.Slots), tokens, blocks, ref Unsafe.Add(ref outputs, t * stride), stride);
            }
        }
        else if (Vector512.IsHardwareAccelerated && Avx512BW.IsSupported)
        {
            if (tokens == 1)
            {
                Single512(ref w, ref x, blocks, ref outputs);
                return;
            }

            for (int t = 0; t < tokens; t += 4)
            {
                Middle512(ref w, ref Unsafe.Add(ref x, t * ActivationTiles.Slots), tokens, blocks, ref Unsafe.Add(ref outputs, t * stride), stride);
            }
        }
        else if (Avx2.IsSupported && Fma.IsSupported)
        {
            for (int t = 0; t < tokens; t++)
            {
                Single256(ref w, ref Unsafe.Add(ref x, t * ActivationTiles.Slots), tokens, blocks, ref Unsafe.Add(ref outputs, t * stride));
            }
        }
        else
        {
            MultiplyScalar(panel, tile, tokens, y, stride);
        }
    }

    /// <summary>The definition, one multiplication at a time.</summary>
    public static void MultiplyScalar(ReadOnlySpan<byte> panel, ReadOnlySpan<float> tile, int tokens, Span<float> y, int stride)
    {
        int blocks = panel.Length / BlockBytes;
        for (int t = 0; t < tokens; t++)
        {
            for (int r = 0; r < PanelRows; r++)
            {
                float sum = 0;
                for (int b = 0; b < blocks; b++)
                {
                    ReadOnlySpan<byte> block = panel.Slice(b * BlockBytes, BlockBytes);
                    ReadOnlySpan<float> slots = tile.Slice(((b * tokens) + t) * ActivationTiles.Slots, ActivationTiles.Slots);
                    int products = 0;
                    for (int c = 0; c < BlockColumns; c++)
                    {
                        int code = block[ScaleBytes + (c / 4 * 64) + (4 * r) + (c % 4)];
                        int four = BitConverter.SingleToInt32Bits(slots[c / 4]);
                        products += (code - 128) * (sbyte)(four >> (8 * (c % 4)));
                    }

                    float scale = (float)BitConverter.ToHalf(block[(2 * r)..]);
                    sum = MathF.FusedMultiplyAdd(products, scale * slots[10], sum);
                }

                y[(t * stride) + r] = sum;
            }
        }
    }

    // AvxVnni: lane r (32 bits) of a half group holds 4 columns of one row; MultiplyWideningAndAdd adds the 4 products of unsigned weights and signed
    // activations to a 32-bit sum: at most 32 · 255 · 127 = 1,036,320 with slot 9 (-128 · Σx) as its start, which takes the offset of the codes away.
    // A tile is 4 tokens by 2 x 8 rows: 8 integer sums, 8 float sums, 2 weights and 1 activation. Where the processor also has AVX-512, the compiler encodes these instructions
    // so that they reach all 32 registers; where it does not, the 8 float sums are what is spilled, once a block.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MiddleVnni(ref byte w, ref int x, int tokens, int blocks, ref float y, int stride)
    {
        Vector256<float> a0 = default, a1 = default, a2 = default, a3 = default;
        Vector256<float> b0 = default, b1 = default, b2 = default, b3 = default;
        for (int b = 0; b < blocks; b++)
        {
            Vector256<int> i0 = Vector256.Create(Unsafe.Add(ref x, 9)), i1 = Vector256.Create(Unsafe.Add(ref x, Slots + 9));
            Vector256<int> i2 = Vector256.Create(Unsafe.Add(ref x, (2 * Slots) + 9)), i3 = Vector256.Create(Unsafe.Add(ref x, (3 * Slots) + 9));
            Vector256<int> j0 = i0, j1 = i1, j2 = i2, j3 = i3;
            ref byte codes = ref Unsafe.Add(ref w, ScaleBytes);
            ref int four = ref x;
            for (int s = 0; s < 8; s++)
            {
                Vector256<byte> upper = Vector256.LoadUnsafe(ref codes);
                Vector256<byte> lower = Vector256.LoadUnsafe(ref codes, 32);
                Vector256<sbyte> x0 = Vector256.Create(four).AsSByte();
                i0 = AvxVnni.MultiplyWideningAndAdd(i0, upper, x0);
                j0 = AvxVnni.MultiplyWideningAndAdd(j0, lower, x0);
                Vector256<sbyte> x1 = Vector256.Create(Unsafe.Add(ref four, Slots)).AsSByte();
                i1 = AvxVnni.MultiplyWideningAndAdd(i1, upper, x1);
                j1 = AvxVnni.MultiplyWideningAndAdd(j1, lower, x1);
                Vector256<sbyte> x2 = Vector256.Create(Unsafe.Add(ref four, 2 * Slots)).AsSByte();
                i2 = AvxVnni.MultiplyWideningAndAdd(i2, upper, x2);
                j2 = AvxVnni.MultiplyWideningAndAdd(j2, lower, x2);
                Vector256<sbyte> x3 = Vector256.Create(Unsafe.Add(ref four, 3 * Slots)).AsSByte();
                i3 = AvxVnni.MultiplyWideningAndAdd(i3, upper, x3);
                j3 = AvxVnni.MultiplyWideningAndAdd(j3, lower, x3);
                codes = ref Unsafe.Add(ref codes, 64);
                four = ref Unsafe.Add(ref four, 1);
            }

            Vector256<float> upperScale = HalfVectors.Widen256(ref w);
            Vector256<float> lowerScale = HalfVectors.Widen256(ref Unsafe.Add(ref w, 16));
            ref float scales = ref Unsafe.As<int, float>(ref Unsafe.Add(ref x, 10));
            Vector256<float> t0 = Vector256.Create(scales), t1 = Vector256.Create(Unsafe.Add(ref scales, Slots));
            Vector256<float> t2 = Vector256.Create(Unsafe.Add(ref scales, 2 * Slots)), t3 = Vector256.Create(Unsafe.Add(ref scales, 3 * Slots));
            a0 = Fma.MultiplyAdd(Vector256.ConvertToSingle(i0), upperScale * t0, a0);
            b0 = Fma.MultiplyAdd(Vector256.ConvertToSingle(j0), lowerScale * t0, b0);
            a1 = Fma.MultiplyAdd(Vector256.ConvertToSingle(i1), upperScale * t1, a1);
            b1 = Fma.MultiplyAdd(Vector256.ConvertToSingle(j1), lowerScale * t1, b1);
            a2 = Fma.MultiplyAdd(Vector256.ConvertToSingle(i2), upperScale * t2, a2);
            b2 = Fma.MultiplyAdd(Vector256.ConvertToSingle(j2), lowerScale * t2, b2);
            a3 = Fma.MultiplyAdd(Vector256.ConvertToSingle(i3), upperScale * t3, a3);
            b3 = Fma.MultiplyAdd(Vector256.ConvertToSingle(j3), lowerScale * t3, b3);
            w = ref Unsafe.Add(ref w, BlockBytes);
            x = ref Unsafe.Add(ref x, Slots * tokens);
        }

        a0.StoreUnsafe(ref y);
        b0.StoreUnsafe(ref y, 8);
        a1.StoreUnsafe(ref Unsafe.Add(ref y, stride));
        b1.StoreUnsafe(ref Unsafe.Add(ref y, stride + 8));
        a2.StoreUnsafe(ref Unsafe.Add(ref y, 2 * stride));
        b2.StoreUnsafe(ref Unsafe.Add(ref y, (2 * stride) + 8));
        a3.StoreUnsafe(ref Unsafe.Add(ref y, 3 * stride));
        b3.StoreUnsafe(ref Unsafe.Add(ref y, (3 * stride) + 8));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SingleVnni(ref byte w, ref int x, int blocks, ref float y)
    {
        Vector256<float> upperSum = default, lowerSum = default;
        for (int b = 0; b < blocks; b++)
        {
            Vector256<int> i = Vector256.Create(Unsafe.Add(ref x, 9)), j = i;
            ref byte codes = ref Unsafe.Add(ref w, ScaleBytes);
            for (int s = 0; s < 8; s++)
            {
                Vector256<sbyte> four = Vector256.Create(Unsafe.Add(ref x, s)).AsSByte();
                i = AvxVnni.MultiplyWideningAndAdd(i, Vector256.LoadUnsafe(ref codes, (nuint)(64 * s)), four);
                j = AvxVnni.MultiplyWideningAndAdd(j, Vector256.LoadUnsafe(ref codes, (nuint)((64 * s) + 32)), four);
            }

            Vector256<float> scale = Vector256.Create(Unsafe.As<int, float>(ref Unsafe.Add(ref x, 10)));
            upperSum = Fma.MultiplyAdd(Vector256.ConvertToSingle(i), HalfVectors.Widen256(ref w) * scale, upperSum);
            lowerSum = Fma.MultiplyAdd(Vector256.ConvertToSingle(j), HalfVectors.Widen256(ref Unsafe.Add(ref w, 16)) * scale, lowerSum);
            w = ref Unsafe.Add(ref w, BlockBytes);
            x = ref Unsafe.Add(ref x, ActivationTiles.Slots);
        }

        upperSum.StoreUnsafe(ref y);
        lowerSum.StoreUnsafe(ref y, 8);
    }

    // 512 bits without AvxVnni: a byte code is 16 · high + low nibble, each multiplied as a 4-bit code (see NibbleKernel: 8 · 15 · 127 · 2 = 30,480 fits 16 bits).
    // The widening multiplication takes 1 for the low and 16 for the high sums.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Add512(Vector512<short> low, Vector512<short> high, ref int x) =>
        Avx512BW.MultiplyAddAdjacent(low, Vector512<short>.One) + Avx512BW.MultiplyAddAdjacent(high, Vector512.Create((short)16))
        + Vector512.Create(Unsafe.Add(ref x, 9));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Finish512(Vector512<short> low, Vector512<short> high, Vector512<float> scale, ref int x, Vector512<float> sum) =>
        Vector512.FusedMultiplyAdd(
            Vector512.ConvertToSingle(Add512(low, high, ref x)),
            scale * Vector512.Create(Unsafe.As<int, float>(ref Unsafe.Add(ref x, 10))),
            sum);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Middle512(ref byte w, ref int x, int tokens, int blocks, ref float y, int stride)
    {
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        Vector512<byte> mask = Vector512.Create((byte)15);
        for (int b = 0; b < blocks; b++)
        {
            Vector512<short> l0 = default, l1 = default, l2 = default, l3 = default;
            Vector512<short> h0 = default, h1 = default, h2 = default, h3 = default;
            ref byte codes = ref Unsafe.Add(ref w, ScaleBytes);
            ref int four = ref x;
            for (int s = 0; s < 8; s++)
            {
                Vector512<byte> group = Vector512.LoadUnsafe(ref codes);
                Vector512<byte> low = group & mask;
                Vector512<byte> high = Vector512.ShiftRightLogical(group.AsUInt16(), 4).AsByte() & mask;
                Vector512<sbyte> x0 = Vector512.Create(four).AsSByte();
                l0 += Avx512BW.MultiplyAddAdjacent(low, x0);
                h0 += Avx512BW.MultiplyAddAdjacent(high, x0);
                Vector512<sbyte> x1 = Vector512.Create(Unsafe.Add(ref four, Slots)).AsSByte();
                l1 += Avx512BW.MultiplyAddAdjacent(low, x1);
                h1 += Avx512BW.MultiplyAddAdjacent(high, x1);
                Vector512<sbyte> x2 = Vector512.Create(Unsafe.Add(ref four, 2 * Slots)).AsSByte();
                l2 += Avx512BW.MultiplyAddAdjacent(low, x2);
                h2 += Avx512BW.MultiplyAddAdjacent(high, x2);
                Vector512<sbyte> x3 = Vector512.Create(Unsafe.Add(ref four, 3 * Slots)).AsSByte();
                l3 += Avx512BW.MultiplyAddAdjacent(low, x3);
                h3 += Avx512BW.MultiplyAddAdjacent(high, x3);
                codes = ref Unsafe.Add(ref codes, 64);
                four = ref Unsafe.Add(ref four, 1);
            }

            Vector512<float> scale = HalfVectors.Widen512(ref w);
            s0 = Finish512(l0, h0, scale, ref x, s0);
            s1 = Finish512(l1, h1, scale, ref Unsafe.Add(ref x, Slots), s1);
            s2 = Finish512(l2, h2, scale, ref Unsafe.Add(ref x, 2 * Slots), s2);
            s3 = Finish512(l3, h3, scale, ref Unsafe.Add(ref x, 3 * Slots), s3);
            w = ref Unsafe.Add(ref w, BlockBytes);
            x = ref Unsafe.Add(ref x, Slots * tokens);
        }

        s0.StoreUnsafe(ref y);
        s1.StoreUnsafe(ref Unsafe.Add(ref y, stride));
        s2.StoreUnsafe(ref Unsafe.Add(ref y, 2 * stride));
        s3.StoreUnsafe(ref Unsafe.Add(ref y, 3 * stride));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Single512(ref byte w, ref int x, int blocks, ref float y)
    {
        Vector512<float> sum = default;
        Vector512<byte> mask = Vector512.Create((byte)15);
        for (int b = 0; b < blocks; b++)
        {
            Vector512<short> low = default, high = default;
            ref byte codes = ref Unsafe.Add(ref w, ScaleBytes);
            for (int s = 0; s < 8; s++)
            {
                Vector512<byte> group = Vector512.LoadUnsafe(ref codes, (nuint)(64 * s));
                Vector512<sbyte> four = Vector512.Create(Unsafe.Add(ref x, s)).AsSByte();
                low += Avx512BW.MultiplyAddAdjacent(group & mask, four);
                high += Avx512BW.MultiplyAddAdjacent(Vector512.ShiftRightLogical(group.AsUInt16(), 4).AsByte() & mask, four);
            }

            sum = Finish512(low, high, HalfVectors.Widen512(ref w), ref x, sum);
            w = ref Unsafe.Add(ref w, BlockBytes);
            x = ref Unsafe.Add(ref x, ActivationTiles.Slots);
        }

        sum.StoreUnsafe(ref y);
    }

    // 256 bits: as 512, the two halves of a group one after the other.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Single256(ref byte w, ref int x, int tokens, int blocks, ref float y)
    {
        Vector256<float> upperSum = default, lowerSum = default;
        for (int b = 0; b < blocks; b++)
        {
            Vector256<float> scale = Vector256.Create(Unsafe.As<int, float>(ref Unsafe.Add(ref x, 10)));
            ref byte codes = ref Unsafe.Add(ref w, ScaleBytes);
            upperSum = Fma.MultiplyAdd(Vector256.ConvertToSingle(Sum256(ref codes, ref x)), HalfVectors.Widen256(ref w) * scale, upperSum);
            lowerSum = Fma.MultiplyAdd(
                Vector256.ConvertToSingle(Sum256(ref Unsafe.Add(ref codes, 32), ref x)), HalfVectors.Widen256(ref Unsafe.Add(ref w, 16)) * scale, lowerSum);
            w = ref Unsafe.Add(ref w, BlockBytes);
            x = ref Unsafe.Add(ref x, Slots * tokens);
        }

        upperSum.StoreUnsafe(ref y);
        lowerSum.StoreUnsafe(ref y, 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Sum256(ref byte codes, ref int x)
    {
        Vector256<byte> mask = Vector256.Create((byte)15);
        Vector256<short> low = default, high = default;
        for (nuint s = 0; s < 8; s++)
        {
            Vector256<byte> group = Vector256.LoadUnsafe(ref codes, 64 * s);
            Vector256<sbyte> four = Vector256.Create(Unsafe.Add(ref x, s)).AsSByte();
            low += Avx2.MultiplyAddAdjacent(group & mask, four);
            high += Avx2.MultiplyAddAdjacent(Vector256.ShiftRightLogical(group.AsUInt16(), 4).AsByte() & mask, four);
        }

        return Avx2.MultiplyAddAdjacent(low, Vector256<short>.One) + Avx2.MultiplyAddAdjacent(high, Vector256.Create((short)16)) + Vector256.Create(Unsafe.Add(ref x, 9));
    }
}
