// Products of 4-bit weights, 16 rows side by side, with 8-bit activations. Knows no files, no threads and no models.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Kidogo.Tensors.Kernels;

/// <summary>Whether a 4-bit format has a minimum beside its scale, as a constant for the compiler.</summary>
internal interface INibbleForm
{
    /// <summary>w = code · scale + minimum if true, (code - 8) · scale if false.</summary>
    static abstract bool HasMinimum { get; }
}

/// <summary>w = (code - 8) · scale: Q4_0.</summary>
internal readonly struct CenteredNibbles : INibbleForm
{
    public static bool HasMinimum => false;
}

/// <summary>w = code · scale + minimum: Q4_1.</summary>
internal readonly struct NibblesWithMinimum : INibbleForm
{
    public static bool HasMinimum => true;
}

/// <summary>Multiplies a panel of 16 rows of 4-bit weights with a tile of tokens.</summary>
/// <remarks>
/// A panel holds, for each block of 32 columns, 16 scales (float16), with a minimum also 16 minima (float16), then 4 groups of 64 bytes: byte 4r + i of
/// group j holds for row r the code of column 4j + i in the low nibble and of column 16 + 4j + i in the high one.
/// <para>
/// For each block and token: s = Σ code · x over the block's columns, an exact integer; then acc = fma(s, scale_w · scale_x, acc), and with a minimum
/// acc = fma(minimum, scale_x · Σx, acc). Rows are lanes, so the order of sums is the same for every tile and every instruction tier: all give the same bits.
/// </para>
/// </remarks>
internal static class NibbleKernel
{
    public const int PanelRows = 16;
    public const int BlockColumns = 32;
    private const int CodeBytes = 256;
    private const int ScaleBytes = 32;

    /// <summary>Bytes of one block of a panel.</summary>
    public static int BlockBytes<TForm>()
        where TForm : struct, INibbleForm => CodeBytes + (TForm.HasMinimum ? 2 * ScaleBytes : ScaleBytes);

    /// <summary>Computes 16 outputs for each token of a tile.</summary>
    /// <param name="panel">[blocks · BlockBytes]</param>
    /// <param name="tile">The tile's activations, see <see cref="ActivationTiles"/>.</param>
    /// <param name="tokens">12, 4 or 1.</param>
    /// <param name="y">Token t's outputs go to [t · stride, + 16).</param>
    /// <param name="stride">Distance between tokens in <paramref name="y"/>.</param>
    public static void Multiply<TForm>(ReadOnlySpan<byte> panel, ReadOnlySpan<float> tile, int tokens, Span<float> y, int stride)
        where TForm : struct, INibbleForm
    {
        int blocks = panel.Length / BlockBytes<TForm>();
        if (tokens is not (ActivationTiles.WideTile or ActivationTiles.MiddleTile or 1)
            || tile.Length < blocks * ActivationTiles.Slots * tokens || y.Length < ((tokens - 1) * stride) + PanelRows)
        {
            throw new ArgumentException($"{blocks} blocks and {tokens} tokens do not fit {tile.Length} activations and {y.Length} outputs.");
        }

        ref byte w = ref MemoryMarshal.GetReference(panel);
        ref int x = ref Unsafe.As<float, int>(ref MemoryMarshal.GetReference(tile));
        ref float outputs = ref MemoryMarshal.GetReference(y);
        if (Vector512.IsHardwareAccelerated && Avx512BW.IsSupported)
        {
            switch (tokens)
            {
                case ActivationTiles.WideTile:
                    Wide512<TForm>(ref w, ref x, blocks, ref outputs, stride);
                    return;
                case ActivationTiles.MiddleTile:
                    Middle512<TForm>(ref w, ref x, blocks, ref outputs, stride);
                    return;
                default:
                    Single512<TForm>(ref w, ref x, blocks, ref outputs);
                    return;
            }
        }

        if (Avx2.IsSupported && Fma.IsSupported)
        {
            for (int rows = 0; rows < PanelRows; rows += 8)
            {
                if (tokens == 1)
                {
                    Single256<TForm>(ref w, ref x, blocks, rows, ref outputs);
                }
                else
                {
                    for (int t = 0; t < tokens; t += 4)
                    {
                        Middle256<TForm>(ref w, ref Unsafe.Add(ref x, t * ActivationTiles.Slots), tokens, blocks, rows, ref Unsafe.Add(ref outputs, t * stride), stride);
                    }
                }
            }

            return;
        }

        MultiplyScalar<TForm>(panel, tile, tokens, y, stride);
    }

    /// <summary>The definition, one multiplication at a time.</summary>
    public static void MultiplyScalar<TForm>(ReadOnlySpan<byte> panel, ReadOnlySpan<float> tile, int tokens, Span<float> y, int stride)
        where TForm : struct, INibbleForm
    {
        int blockBytes = BlockBytes<TForm>();
        int blocks = panel.Length / blockBytes;
        for (int t = 0; t < tokens; t++)
        {
            for (int r = 0; r < PanelRows; r++)
            {
                float sum = 0;
                for (int b = 0; b < blocks; b++)
                {
                    ReadOnlySpan<byte> block = panel.Slice(b * blockBytes, blockBytes);
                    ReadOnlySpan<byte> codes = block[^CodeBytes..];
                    ReadOnlySpan<float> slots = tile.Slice(((b * tokens) + t) * ActivationTiles.Slots, ActivationTiles.Slots);
                    int products = 0;
                    for (int c = 0; c < BlockColumns; c++)
                    {
                        int group = c % 16 / 4;
                        byte pair = codes[(group * 64) + (4 * r) + (c % 4)];
                        int code = c < 16 ? pair & 15 : pair >> 4;
                        int four = BitConverter.SingleToInt32Bits(slots[c / 4]);
                        int activation = (sbyte)(four >> (8 * (c % 4)));
                        products += (TForm.HasMinimum ? code : code - 8) * activation;
                    }

                    float scale = (float)BitConverter.ToHalf(block[(2 * r)..]);
                    sum = MathF.FusedMultiplyAdd(products, scale * slots[10], sum);
                    if (TForm.HasMinimum)
                    {
                        sum = MathF.FusedMultiplyAdd((float)BitConverter.ToHalf(block[(ScaleBytes + (2 * r))..]), slots[11], sum);
                    }
                }

                y[(t * stride) + r] = sum;
            }
        }
    }

    // 512 bits. A group of 64 bytes is one vector: lane r (32 bits) holds the 4 codes of row r. Low and high nibbles give 8 vectors of unsigned codes.
    // MultiplyAddAdjacent: unsigned codes times signed activations, neighbours added: |15 · 127 · 2| = 3,810. Eight of them: |30,480| < 32,767, so 16 bits hold
    // the sum; for centred codes slot 8 first takes 8 · Σx away, and sums wrap modulo 2^16 without harm since the final value is at most 8 · 16 · 127 = 16,256.
    // A multiplication with ones widens the pairs to one 32-bit sum a row.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Step512<TForm>(
        Vector512<byte> w0, Vector512<byte> w1, Vector512<byte> w2, Vector512<byte> w3, Vector512<byte> w4, Vector512<byte> w5, Vector512<byte> w6, Vector512<byte> w7,
        Vector512<float> scale, Vector512<float> minimum, ref int x, Vector512<float> sum)
        where TForm : struct, INibbleForm
    {
        Vector512<short> products = Avx512BW.MultiplyAddAdjacent(w0, Four(ref x));
        if (!TForm.HasMinimum)
        {
            products += Vector512.Create(Unsafe.Add(ref x, 8)).AsInt16();
        }

        products += Avx512BW.MultiplyAddAdjacent(w1, Four(ref Unsafe.Add(ref x, 1)));
        products += Avx512BW.MultiplyAddAdjacent(w2, Four(ref Unsafe.Add(ref x, 2)));
        products += Avx512BW.MultiplyAddAdjacent(w3, Four(ref Unsafe.Add(ref x, 3)));
        products += Avx512BW.MultiplyAddAdjacent(w4, Four(ref Unsafe.Add(ref x, 4)));
        products += Avx512BW.MultiplyAddAdjacent(w5, Four(ref Unsafe.Add(ref x, 5)));
        products += Avx512BW.MultiplyAddAdjacent(w6, Four(ref Unsafe.Add(ref x, 6)));
        products += Avx512BW.MultiplyAddAdjacent(w7, Four(ref Unsafe.Add(ref x, 7)));
        Vector512<float> total = Vector512.ConvertToSingle(Avx512BW.MultiplyAddAdjacent(products, Vector512<short>.One));
        sum = Vector512.FusedMultiplyAdd(total, scale * Vector512.Create(Unsafe.As<int, float>(ref Unsafe.Add(ref x, 10))), sum);
        return TForm.HasMinimum
            ? Vector512.FusedMultiplyAdd(minimum, Vector512.Create(Unsafe.As<int, float>(ref Unsafe.Add(ref x, 11))), sum)
            : sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<sbyte> Four(ref int x) => Vector512.Create(x).AsSByte();

    // 12 tokens: 12 sums, 8 code vectors, scale, minimum and ones stay in registers (23 of 32).
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Wide512<TForm>(ref byte w, ref int x, int blocks, ref float y, int stride)
        where TForm : struct, INibbleForm
    {
        const int Tokens = ActivationTiles.WideTile;
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default;
        Vector512<float> s6 = default, s7 = default, s8 = default, s9 = default, s10 = default, s11 = default;
        Vector512<byte> low = Vector512.Create((byte)15);
        for (int b = 0; b < blocks; b++)
        {
            Vector512<float> scale = HalfVectors.Widen512(ref w);
            Vector512<float> minimum = TForm.HasMinimum ? HalfVectors.Widen512(ref Unsafe.Add(ref w, ScaleBytes)) : default;
            ref byte codes = ref Unsafe.Add(ref w, TForm.HasMinimum ? 2 * ScaleBytes : ScaleBytes);
            Vector512<byte> g0 = Vector512.LoadUnsafe(ref codes);
            Vector512<byte> g1 = Vector512.LoadUnsafe(ref codes, 64);
            Vector512<byte> g2 = Vector512.LoadUnsafe(ref codes, 128);
            Vector512<byte> g3 = Vector512.LoadUnsafe(ref codes, 192);
            Vector512<byte> w0 = g0 & low, w1 = g1 & low, w2 = g2 & low, w3 = g3 & low;
            Vector512<byte> w4 = High(g0, low), w5 = High(g1, low), w6 = High(g2, low), w7 = High(g3, low);
            s0 = Step512<TForm>(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, ref x, s0);
            s1 = Step512<TForm>(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, ref Unsafe.Add(ref x, ActivationTiles.Slots), s1);
            s2 = Step512<TForm>(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, ref Unsafe.Add(ref x, 2 * ActivationTiles.Slots), s2);
            s3 = Step512<TForm>(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, ref Unsafe.Add(ref x, 3 * ActivationTiles.Slots), s3);
            s4 = Step512<TForm>(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, ref Unsafe.Add(ref x, 4 * ActivationTiles.Slots), s4);
            s5 = Step512<TForm>(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, ref Unsafe.Add(ref x, 5 * ActivationTiles.Slots), s5);
            s6 = Step512<TForm>(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, ref Unsafe.Add(ref x, 6 * ActivationTiles.Slots), s6);
            s7 = Step512<TForm>(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, ref Unsafe.Add(ref x, 7 * ActivationTiles.Slots), s7);
            s8 = Step512<TForm>(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, ref Unsafe.Add(ref x, 8 * ActivationTiles.Slots), s8);
            s9 = Step512<TForm>(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, ref Unsafe.Add(ref x, 9 * ActivationTiles.Slots), s9);
            s10 = Step512<TForm>(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, ref Unsafe.Add(ref x, 10 * ActivationTiles.Slots), s10);
            s11 = Step512<TForm>(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, ref Unsafe.Add(ref x, 11 * ActivationTiles.Slots), s11);
            w = ref Unsafe.Add(ref codes, CodeBytes);
            x = ref Unsafe.Add(ref x, ActivationTiles.Slots * Tokens);
        }

        s0.StoreUnsafe(ref y);
        s1.StoreUnsafe(ref Unsafe.Add(ref y, stride));
        s2.StoreUnsafe(ref Unsafe.Add(ref y, 2 * stride));
        s3.StoreUnsafe(ref Unsafe.Add(ref y, 3 * stride));
        s4.StoreUnsafe(ref Unsafe.Add(ref y, 4 * stride));
        s5.StoreUnsafe(ref Unsafe.Add(ref y, 5 * stride));
        s6.StoreUnsafe(ref Unsafe.Add(ref y, 6 * stride));
        s7.StoreUnsafe(ref Unsafe.Add(ref y, 7 * stride));
        s8.StoreUnsafe(ref Unsafe.Add(ref y, 8 * stride));
        s9.StoreUnsafe(ref Unsafe.Add(ref y, 9 * stride));
        s10.StoreUnsafe(ref Unsafe.Add(ref y, 10 * stride));
        s11.StoreUnsafe(ref Unsafe.Add(ref y, 11 * stride));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Middle512<TForm>(ref byte w, ref int x, int blocks, ref float y, int stride)
        where TForm : struct, INibbleForm
    {
        const int Tokens = ActivationTiles.MiddleTile;
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        Vector512<byte> low = Vector512.Create((byte)15);
        for (int b = 0; b < blocks; b++)
        {
            Vector512<float> scale = HalfVectors.Widen512(ref w);
            Vector512<float> minimum = TForm.HasMinimum ? HalfVectors.Widen512(ref Unsafe.Add(ref w, ScaleBytes)) : default;
            ref byte codes = ref Unsafe.Add(ref w, TForm.HasMinimum ? 2 * ScaleBytes : ScaleBytes);
            Vector512<byte> g0 = Vector512.LoadUnsafe(ref codes);
            Vector512<byte> g1 = Vector512.LoadUnsafe(ref codes, 64);
            Vector512<byte> g2 = Vector512.LoadUnsafe(ref codes, 128);
            Vector512<byte> g3 = Vector512.LoadUnsafe(ref codes, 192);
            Vector512<byte> w0 = g0 & low, w1 = g1 & low, w2 = g2 & low, w3 = g3 & low;
            Vector512<byte> w4 = High(g0, low), w5 = High(g1, low), w6 = High(g2, low), w7 = High(g3, low);
            s0 = Step512<TForm>(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, ref x, s0);
            s1 = Step512<TForm>(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, ref Unsafe.Add(ref x, ActivationTiles.Slots), s1);
            s2 = Step512<TForm>(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, ref Unsafe.Add(ref x, 2 * ActivationTiles.Slots), s2);
            s3 = Step512<TForm>(w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, ref Unsafe.Add(ref x, 3 * ActivationTiles.Slots), s3);
            w = ref Unsafe.Add(ref codes, CodeBytes);
            x = ref Unsafe.Add(ref x, ActivationTiles.Slots * Tokens);
        }

        s0.StoreUnsafe(ref y);
        s1.StoreUnsafe(ref Unsafe.Add(ref y, stride));
        s2.StoreUnsafe(ref Unsafe.Add(ref y, 2 * stride));
        s3.StoreUnsafe(ref Unsafe.Add(ref y, 3 * stride));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Single512<TForm>(ref byte w, ref int x, int blocks, ref float y)
        where TForm : struct, INibbleForm
    {
        Vector512<float> sum = default;
        Vector512<byte> low = Vector512.Create((byte)15);
        for (int b = 0; b < blocks; b++)
        {
            Vector512<float> scale = HalfVectors.Widen512(ref w);
            Vector512<float> minimum = TForm.HasMinimum ? HalfVectors.Widen512(ref Unsafe.Add(ref w, ScaleBytes)) : default;
            ref byte codes = ref Unsafe.Add(ref w, TForm.HasMinimum ? 2 * ScaleBytes : ScaleBytes);
            Vector512<byte> g0 = Vector512.LoadUnsafe(ref codes);
            Vector512<byte> g1 = Vector512.LoadUnsafe(ref codes, 64);
            Vector512<byte> g2 = Vector512.LoadUnsafe(ref codes, 128);
            Vector512<byte> g3 = Vector512.LoadUnsafe(ref codes, 192);
            sum = Step512<TForm>(g0 & low, g1 & low, g2 & low, g3 & low, High(g0, low), High(g1, low), High(g2, low), High(g3, low), scale, minimum, ref x, sum);
            w = ref Unsafe.Add(ref codes, CodeBytes);
            x = ref Unsafe.Add(ref x, ActivationTiles.Slots);
        }

        sum.StoreUnsafe(ref y);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> High(Vector512<byte> g, Vector512<byte> low) => Vector512.ShiftRightLogical(g.AsUInt16(), 4).AsByte() & low;

    // 256 bits: as above for 8 of the 16 rows, the half of each group that begins at their first row.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Step256<TForm>(ref byte codes, Vector256<float> scale, Vector256<float> minimum, ref int x, Vector256<float> sum)
        where TForm : struct, INibbleForm
    {
        Vector256<byte> low = Vector256.Create((byte)15);
        Vector256<short> products = TForm.HasMinimum ? default : Vector256.Create(Unsafe.Add(ref x, 8)).AsInt16();
        for (nuint j = 0; j < 4; j++)
        {
            Vector256<byte> group = Vector256.LoadUnsafe(ref codes, j * 64);
            Vector256<sbyte> first = Vector256.Create(Unsafe.Add(ref x, j)).AsSByte();
            Vector256<sbyte> second = Vector256.Create(Unsafe.Add(ref x, 4 + j)).AsSByte();
            products += Avx2.MultiplyAddAdjacent(group & low, first);
            products += Avx2.MultiplyAddAdjacent(Vector256.ShiftRightLogical(group.AsUInt16(), 4).AsByte() & low, second);
        }

        Vector256<float> total = Vector256.ConvertToSingle(Avx2.MultiplyAddAdjacent(products, Vector256<short>.One));
        sum = Fma.MultiplyAdd(total, scale * Vector256.Create(Unsafe.As<int, float>(ref Unsafe.Add(ref x, 10))), sum);
        return TForm.HasMinimum
            ? Fma.MultiplyAdd(minimum, Vector256.Create(Unsafe.As<int, float>(ref Unsafe.Add(ref x, 11))), sum)
            : sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Middle256<TForm>(ref byte w, ref int x, int tokens, int blocks, int firstRow, ref float y, int stride)
        where TForm : struct, INibbleForm
    {
        Vector256<float> s0 = default, s1 = default, s2 = default, s3 = default;
        for (int b = 0; b < blocks; b++)
        {
            Vector256<float> scale = HalfVectors.Widen256(ref Unsafe.Add(ref w, 2 * firstRow));
            Vector256<float> minimum = TForm.HasMinimum ? HalfVectors.Widen256(ref Unsafe.Add(ref w, ScaleBytes + (2 * firstRow))) : default;
            ref byte codes = ref Unsafe.Add(ref w, (TForm.HasMinimum ? 2 * ScaleBytes : ScaleBytes) + (4 * firstRow));
            s0 = Step256<TForm>(ref codes, scale, minimum, ref x, s0);
            s1 = Step256<TForm>(ref codes, scale, minimum, ref Unsafe.Add(ref x, 1 * ActivationTiles.Slots), s1);
            s2 = Step256<TForm>(ref codes, scale, minimum, ref Unsafe.Add(ref x, 2 * ActivationTiles.Slots), s2);
            s3 = Step256<TForm>(ref codes, scale, minimum, ref Unsafe.Add(ref x, 3 * ActivationTiles.Slots), s3);
            w = ref Unsafe.Add(ref w, BlockBytes<TForm>());
            x = ref Unsafe.Add(ref x, ActivationTiles.Slots * tokens);
        }

        s0.StoreUnsafe(ref Unsafe.Add(ref y, firstRow));
        s1.StoreUnsafe(ref Unsafe.Add(ref y, stride + firstRow));
        s2.StoreUnsafe(ref Unsafe.Add(ref y, (2 * stride) + firstRow));
        s3.StoreUnsafe(ref Unsafe.Add(ref y, (3 * stride) + firstRow));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Single256<TForm>(ref byte w, ref int x, int blocks, int firstRow, ref float y)
        where TForm : struct, INibbleForm
    {
        Vector256<float> sum = default;
        for (int b = 0; b < blocks; b++)
        {
            Vector256<float> scale = HalfVectors.Widen256(ref Unsafe.Add(ref w, 2 * firstRow));
            Vector256<float> minimum = TForm.HasMinimum ? HalfVectors.Widen256(ref Unsafe.Add(ref w, ScaleBytes + (2 * firstRow))) : default;
            ref byte codes = ref Unsafe.Add(ref w, (TForm.HasMinimum ? 2 * ScaleBytes : ScaleBytes) + (4 * firstRow));
            sum = Step256<TForm>(ref codes, scale, minimum, ref x, sum);
            w = ref Unsafe.Add(ref w, BlockBytes<TForm>());
            x = ref Unsafe.Add(ref x, ActivationTiles.Slots);
        }

        sum.StoreUnsafe(ref Unsafe.Add(ref y, firstRow));
    }
}
