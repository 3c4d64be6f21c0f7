// Products of float32 weights, 32 rows side by side, with float32 activations. Knows no files, no threads and no models.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Kernels;

/// <summary>Where the activations of a tile lie, as constants for the compiler.</summary>
internal interface IFloatTileLayout
{
    /// <summary>Distance between the values of neighbouring tokens in one column.</summary>
    static abstract int TokenStep { get; }

    /// <summary>Distance between the values of neighbouring columns of one token.</summary>
    static abstract int ColumnStep(int tokens);
}

/// <summary>[C, tokens]: one address serves a whole column.</summary>
internal readonly struct InterleavedTile : IFloatTileLayout
{
    public static int TokenStep => 1;

    public static int ColumnStep(int tokens) => tokens;
}

/// <summary>[tokens, 256]: rows of attention scores as they are.</summary>
internal readonly struct ScoreRows : IFloatTileLayout
{
    public static int TokenStep => AttentionKernel.ChunkPositions;

    public static int ColumnStep(int tokens) => 1;
}

/// <summary>Multiplies a panel of 32 rows of float32 weights with a tile of tokens.</summary>
/// <remarks>
/// A panel holds its weights column after column: [C, 32]. An output is acc = fma(x, w, acc) over the columns in their order, rows are lanes: the same bits for
/// every tile and every instruction tier.
/// </remarks>
internal static class FloatKernel
{
    public const int PanelRows = 32;

    /// <summary>Computes 32 outputs for each token of a tile.</summary>
    /// <param name="panel">[C, 32]</param>
    /// <param name="tile">The activations, in <typeparamref name="TLayout"/>.</param>
    /// <param name="tokens">12, 4 or 1.</param>
    /// <param name="y">Token t's outputs go to [t · stride, + 32).</param>
    /// <param name="stride">Distance between tokens in <paramref name="y"/>.</param>
    /// <param name="onto">Whether sums go on from what <paramref name="y"/> holds: a product may be computed in parts of its columns, in their order, with the same bits.</param>
    public static void Multiply<TLayout>(ReadOnlySpan<float> panel, ReadOnlySpan<float> tile, int tokens, Span<float> y, int stride, bool onto = false)
        where TLayout : struct, IFloatTileLayout
    {
        int columns = panel.Length / PanelRows;
        if (columns == 0 || tokens is not (ActivationTiles.WideTile or ActivationTiles.MiddleTile or 1)
            || tile.Length <= ((tokens - 1) * TLayout.TokenStep) + ((columns - 1) * TLayout.ColumnStep(tokens)) || y.Length < ((tokens - 1) * stride) + PanelRows)
        {
            throw new ArgumentException($"{columns} columns and {tokens} tokens do not fit {tile.Length} activations and {y.Length} outputs.");
        }

        ref float w = ref MemoryMarshal.GetReference(panel);
        ref float x = ref MemoryMarshal.GetReference(tile);
        ref float outputs = ref MemoryMarshal.GetReference(y);
        if (Vector512.IsHardwareAccelerated)
        {
            switch (tokens)
            {
                case ActivationTiles.WideTile:
                    Wide512<TLayout>(ref w, ref x, columns, ref outputs, stride, onto);
                    return;
                case ActivationTiles.MiddleTile:
                    Middle512<TLayout>(ref w, ref x, columns, ref outputs, stride, onto);
                    return;
                default:
                    Single512<TLayout>(ref w, ref x, columns, ref outputs, onto);
                    return;
            }
        }

        if (Vector256.IsHardwareAccelerated)
        {
            for (int t = 0; t < tokens; t += Math.Min(tokens, 4))
            {
                for (int row = 0; row < PanelRows; row += 16)
                {
                    if (tokens == 1)
                    {
                        Single256<TLayout>(ref Unsafe.Add(ref w, row), ref x, columns, ref Unsafe.Add(ref outputs, row), onto);
                    }
                    else
                    {
                        Middle256<TLayout>(ref Unsafe.Add(ref w, row), ref Unsafe.Add(ref x, t * TLayout.TokenStep), tokens, columns, ref Unsafe.Add(ref outputs, (t * stride) + row), stride, onto);
                    }
                }
            }

            return;
        }

        MultiplyScalar<TLayout>(panel, tile, tokens, y, stride, onto);
    }

    /// <summary>The definition, one multiplication at a time.</summary>
    public static void MultiplyScalar<TLayout>(ReadOnlySpan<float> panel, ReadOnlySpan<float> tile, int tokens, Span<float> y, int stride, bool onto = false)
        where TLayout : struct, IFloatTileLayout
    {
        int columns = panel.Length / PanelRows;
        for (int t = 0; t < tokens; t++)
        {
            for (int r = 0; r < PanelRows; r++)
            {
                float sum = onto ? y[(t * stride) + r] : 0;
                for (int c = 0; c < columns; c++)
                {
                    sum = MathF.FusedMultiplyAdd(tile[(c * TLayout.ColumnStep(tokens)) + (t * TLayout.TokenStep)], panel[(c * PanelRows) + r], sum);
                }

                y[(t * stride) + r] = sum;
            }
        }
    }

    // 512 bits, 12 tokens by 32 rows: 24 sums, 2 weights and 1 activation in registers (27 of 32); per column 2 loads, 12 broadcasts, 24 multiply-adds.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Wide512<TLayout>(ref float w, ref float x, int columns, ref float y, int stride, bool onto)
        where TLayout : struct, IFloatTileLayout
    {
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, a4 = default, a5 = default;
        Vector512<float> a6 = default, a7 = default, a8 = default, a9 = default, a10 = default, a11 = default;
        Vector512<float> b0 = default, b1 = default, b2 = default, b3 = default, b4 = default, b5 = default;
        Vector512<float> b6 = default, b7 = default, b8 = default, b9 = default, b10 = default, b11 = default;
        if (onto)
        {
            a0 = Vector512.LoadUnsafe(ref y);
            b0 = Vector512.LoadUnsafe(ref y, 16);
            a1 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, stride));
            b1 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, stride), 16);
            a2 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 2 * stride));
            b2 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 2 * stride), 16);
            a3 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 3 * stride));
            b3 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 3 * stride), 16);
            a4 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 4 * stride));
            b4 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 4 * stride), 16);
            a5 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 5 * stride));
            b5 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 5 * stride), 16);
            a6 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 6 * stride));
            b6 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 6 * stride), 16);
            a7 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 7 * stride));
            b7 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 7 * stride), 16);
            a8 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 8 * stride));
            b8 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 8 * stride), 16);
            a9 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 9 * stride));
            b9 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 9 * stride), 16);
            a10 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 10 * stride));
            b10 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 10 * stride), 16);
            a11 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 11 * stride));
            b11 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 11 * stride), 16);
        }

        for (int c = 0; c < columns; c++)
        {
            Vector512<float> u = Vector512.LoadUnsafe(ref w);
            Vector512<float> v = Vector512.LoadUnsafe(ref w, 16);
            Vector512<float> x0 = Vector512.Create(x);
            a0 = Vector512.FusedMultiplyAdd(x0, u, a0);
            b0 = Vector512.FusedMultiplyAdd(x0, v, b0);
            Vector512<float> x1 = Vector512.Create(Unsafe.Add(ref x, TLayout.TokenStep));
            a1 = Vector512.FusedMultiplyAdd(x1, u, a1);
            b1 = Vector512.FusedMultiplyAdd(x1, v, b1);
            Vector512<float> x2 = Vector512.Create(Unsafe.Add(ref x, 2 * TLayout.TokenStep));
            a2 = Vector512.FusedMultiplyAdd(x2, u, a2);
            b2 = Vector512.FusedMultiplyAdd(x2, v, b2);
            Vector512<float> x3 = Vector512.Create(Unsafe.Add(ref x, 3 * TLayout.TokenStep));
            a3 = Vector512.FusedMultiplyAdd(x3, u, a3);
            b3 = Vector512.FusedMultiplyAdd(x3, v, b3);
            Vector512<float> x4 = Vector512.Create(Unsafe.Add(ref x, 4 * TLayout.TokenStep));
            a4 = Vector512.FusedMultiplyAdd(x4, u, a4);
            b4 = Vector512.FusedMultiplyAdd(x4, v, b4);
            Vector512<float> x5 = Vector512.Create(Unsafe.Add(ref x, 5 * TLayout.TokenStep));
            a5 = Vector512.FusedMultiplyAdd(x5, u, a5);
            b5 = Vector512.FusedMultiplyAdd(x5, v, b5);
            Vector512<float> x6 = Vector512.Create(Unsafe.Add(ref x, 6 * TLayout.TokenStep));
            a6 = Vector512.FusedMultiplyAdd(x6, u, a6);
            b6 = Vector512.FusedMultiplyAdd(x6, v, b6);
            Vector512<float> x7 = Vector512.Create(Unsafe.Add(ref x, 7 * TLayout.TokenStep));
            a7 = Vector512.FusedMultiplyAdd(x7, u, a7);
            b7 = Vector512.FusedMultiplyAdd(x7, v, b7);
            Vector512<float> x8 = Vector512.Create(Unsafe.Add(ref x, 8 * TLayout.TokenStep));
            a8 = Vector512.FusedMultiplyAdd(x8, u, a8);
            b8 = Vector512.FusedMultiplyAdd(x8, v, b8);
            Vector512<float> x9 = Vector512.Create(Unsafe.Add(ref x, 9 * TLayout.TokenStep));
            a9 = Vector512.FusedMultiplyAdd(x9, u, a9);
            b9 = Vector512.FusedMultiplyAdd(x9, v, b9);
            Vector512<float> x10 = Vector512.Create(Unsafe.Add(ref x, 10 * TLayout.TokenStep));
            a10 = Vector512.FusedMultiplyAdd(x10, u, a10);
            b10 = Vector512.FusedMultiplyAdd(x10, v, b10);
            Vector512<float> x11 = Vector512.Create(Unsafe.Add(ref x, 11 * TLayout.TokenStep));
            a11 = Vector512.FusedMultiplyAdd(x11, u, a11);
            b11 = Vector512.FusedMultiplyAdd(x11, v, b11);
            w = ref Unsafe.Add(ref w, PanelRows);
            x = ref Unsafe.Add(ref x, TLayout.ColumnStep(ActivationTiles.WideTile));
        }

        a0.StoreUnsafe(ref y);
        b0.StoreUnsafe(ref y, 16);
        a1.StoreUnsafe(ref Unsafe.Add(ref y, stride));
        b1.StoreUnsafe(ref Unsafe.Add(ref y, stride), 16);
        a2.StoreUnsafe(ref Unsafe.Add(ref y, 2 * stride));
        b2.StoreUnsafe(ref Unsafe.Add(ref y, 2 * stride), 16);
        a3.StoreUnsafe(ref Unsafe.Add(ref y, 3 * stride));
        b3.StoreUnsafe(ref Unsafe.Add(ref y, 3 * stride), 16);
        a4.StoreUnsafe(ref Unsafe.Add(ref y, 4 * stride));
        b4.StoreUnsafe(ref Unsafe.Add(ref y, 4 * stride), 16);
        a5.StoreUnsafe(ref Unsafe.Add(ref y, 5 * stride));
        b5.StoreUnsafe(ref Unsafe.Add(ref y, 5 * stride), 16);
        a6.StoreUnsafe(ref Unsafe.Add(ref y, 6 * stride));
        b6.StoreUnsafe(ref Unsafe.Add(ref y, 6 * stride), 16);
        a7.StoreUnsafe(ref Unsafe.Add(ref y, 7 * stride));
        b7.StoreUnsafe(ref Unsafe.Add(ref y, 7 * stride), 16);
        a8.StoreUnsafe(ref Unsafe.Add(ref y, 8 * stride));
        b8.StoreUnsafe(ref Unsafe.Add(ref y, 8 * stride), 16);
        a9.StoreUnsafe(ref Unsafe.Add(ref y, 9 * stride));
        b9.StoreUnsafe(ref Unsafe.Add(ref y, 9 * stride), 16);
        a10.StoreUnsafe(ref Unsafe.Add(ref y, 10 * stride));
        b10.StoreUnsafe(ref Unsafe.Add(ref y, 10 * stride), 16);
        a11.StoreUnsafe(ref Unsafe.Add(ref y, 11 * stride));
        b11.StoreUnsafe(ref Unsafe.Add(ref y, 11 * stride), 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Middle512<TLayout>(ref float w, ref float x, int columns, ref float y, int stride, bool onto)
        where TLayout : struct, IFloatTileLayout
    {
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default;
        Vector512<float> b0 = default, b1 = default, b2 = default, b3 = default;
        if (onto)
        {
            a0 = Vector512.LoadUnsafe(ref y);
            b0 = Vector512.LoadUnsafe(ref y, 16);
            a1 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, stride));
            b1 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, stride), 16);
            a2 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 2 * stride));
            b2 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 2 * stride), 16);
            a3 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 3 * stride));
            b3 = Vector512.LoadUnsafe(ref Unsafe.Add(ref y, 3 * stride), 16);
        }

        for (int c = 0; c < columns; c++)
        {
            Vector512<float> u = Vector512.LoadUnsafe(ref w);
            Vector512<float> v = Vector512.LoadUnsafe(ref w, 16);
            Vector512<float> x0 = Vector512.Create(x);
            a0 = Vector512.FusedMultiplyAdd(x0, u, a0);
            b0 = Vector512.FusedMultiplyAdd(x0, v, b0);
            Vector512<float> x1 = Vector512.Create(Unsafe.Add(ref x, TLayout.TokenStep));
            a1 = Vector512.FusedMultiplyAdd(x1, u, a1);
            b1 = Vector512.FusedMultiplyAdd(x1, v, b1);
            Vector512<float> x2 = Vector512.Create(Unsafe.Add(ref x, 2 * TLayout.TokenStep));
            a2 = Vector512.FusedMultiplyAdd(x2, u, a2);
            b2 = Vector512.FusedMultiplyAdd(x2, v, b2);
            Vector512<float> x3 = Vector512.Create(Unsafe.Add(ref x, 3 * TLayout.TokenStep));
            a3 = Vector512.FusedMultiplyAdd(x3, u, a3);
            b3 = Vector512.FusedMultiplyAdd(x3, v, b3);
            w = ref Unsafe.Add(ref w, PanelRows);
            x = ref Unsafe.Add(ref x, TLayout.ColumnStep(ActivationTiles.MiddleTile));
        }

        a0.StoreUnsafe(ref y);
        b0.StoreUnsafe(ref y, 16);
        a1.StoreUnsafe(ref Unsafe.Add(ref y, stride));
        b1.StoreUnsafe(ref Unsafe.Add(ref y, stride), 16);
        a2.StoreUnsafe(ref Unsafe.Add(ref y, 2 * stride));
        b2.StoreUnsafe(ref Unsafe.Add(ref y, 2 * stride), 16);
        a3.StoreUnsafe(ref Unsafe.Add(ref y, 3 * stride));
        b3.StoreUnsafe(ref Unsafe.Add(ref y, 3 * stride), 16);
    }

    // One token: 4 columns in flight would reorder the sum, so the panel's two vectors of rows are the only parallel chains; memory, not latency, bounds it.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Single512<TLayout>(ref float w, ref float x, int columns, ref float y, bool onto)
        where TLayout : struct, IFloatTileLayout
    {
        Vector512<float> a = onto ? Vector512.LoadUnsafe(ref y) : default;
        Vector512<float> b = onto ? Vector512.LoadUnsafe(ref y, 16) : default;
        for (int c = 0; c < columns; c++)
        {
            CacheLines.AskAhead(ref Unsafe.As<float, byte>(ref w), PanelRows * sizeof(float));
            Vector512<float> value = Vector512.Create(Unsafe.Add(ref x, c));
            a = Vector512.FusedMultiplyAdd(value, Vector512.LoadUnsafe(ref w), a);
            b = Vector512.FusedMultiplyAdd(value, Vector512.LoadUnsafe(ref w, 16), b);
            w = ref Unsafe.Add(ref w, PanelRows);
        }

        a.StoreUnsafe(ref y);
        b.StoreUnsafe(ref y, 16);
    }

    // 256 bits, 4 tokens by 16 rows: 8 sums, 2 weights, 1 activation.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Middle256<TLayout>(ref float w, ref float x, int tokens, int columns, ref float y, int stride, bool onto)
        where TLayout : struct, IFloatTileLayout
    {
        Vector256<float> a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
        if (onto)
        {
            a0 = Vector256.LoadUnsafe(ref y);
            b0 = Vector256.LoadUnsafe(ref y, 8);
            a1 = Vector256.LoadUnsafe(ref Unsafe.Add(ref y, stride));
            b1 = Vector256.LoadUnsafe(ref Unsafe.Add(ref y, stride), 8);
            a2 = Vector256.LoadUnsafe(ref Unsafe.Add(ref y, 2 * stride));
            b2 = Vector256.LoadUnsafe(ref Unsafe.Add(ref y, 2 * stride), 8);
            a3 = Vector256.LoadUnsafe(ref Unsafe.Add(ref y, 3 * stride));
            b3 = Vector256.LoadUnsafe(ref Unsafe.Add(ref y, 3 * stride), 8);
        }

        for (int c = 0; c < columns; c++)
        {
            Vector256<float> u = Vector256.LoadUnsafe(ref w);
            Vector256<float> v = Vector256.LoadUnsafe(ref w, 8);
            Vector256<float> x0 = Vector256.Create(x);
            a0 = Vector256.FusedMultiplyAdd(x0, u, a0);
            b0 = Vector256.FusedMultiplyAdd(x0, v, b0);
            Vector256<float> x1 = Vector256.Create(Unsafe.Add(ref x, TLayout.TokenStep));
            a1 = Vector256.FusedMultiplyAdd(x1, u, a1);
            b1 = Vector256.FusedMultiplyAdd(x1, v, b1);
            Vector256<float> x2 = Vector256.Create(Unsafe.Add(ref x, 2 * TLayout.TokenStep));
            a2 = Vector256.FusedMultiplyAdd(x2, u, a2);
            b2 = Vector256.FusedMultiplyAdd(x2, v, b2);
            Vector256<float> x3 = Vector256.Create(Unsafe.Add(ref x, 3 * TLayout.TokenStep));
            a3 = Vector256.FusedMultiplyAdd(x3, u, a3);
            b3 = Vector256.FusedMultiplyAdd(x3, v, b3);
            w = ref Unsafe.Add(ref w, PanelRows);
            x = ref Unsafe.Add(ref x, TLayout.ColumnStep(tokens));
        }

        a0.StoreUnsafe(ref y);
        b0.StoreUnsafe(ref y, 8);
        a1.StoreUnsafe(ref Unsafe.Add(ref y, stride));
        b1.StoreUnsafe(ref Unsafe.Add(ref y, stride), 8);
        a2.StoreUnsafe(ref Unsafe.Add(ref y, 2 * stride));
        b2.StoreUnsafe(ref Unsafe.Add(ref y, 2 * stride), 8);
        a3.StoreUnsafe(ref Unsafe.Add(ref y, 3 * stride));
        b3.StoreUnsafe(ref Unsafe.Add(ref y, 3 * stride), 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Single256<TLayout>(ref float w, ref float x, int columns, ref float y, bool onto)
        where TLayout : struct, IFloatTileLayout
    {
        Vector256<float> a = onto ? Vector256.LoadUnsafe(ref y) : default;
        Vector256<float> b = onto ? Vector256.LoadUnsafe(ref y, 8) : default;
        for (int c = 0; c < columns; c++)
        {
            CacheLines.AskAhead(ref Unsafe.As<float, byte>(ref w), PanelRows / 2 * sizeof(float));
            Vector256<float> value = Vector256.Create(Unsafe.Add(ref x, c));
            a = Vector256.FusedMultiplyAdd(value, Vector256.LoadUnsafe(ref w), a);
            b = Vector256.FusedMultiplyAdd(value, Vector256.LoadUnsafe(ref w, 8), b);
            w = ref Unsafe.Add(ref w, PanelRows);
        }

        a.StoreUnsafe(ref y);
        b.StoreUnsafe(ref y, 8);
    }
}
