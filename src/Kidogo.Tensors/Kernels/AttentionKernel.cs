// Attention of a few query rows over one chunk of cached positions, and the merging of chunks. Knows no cache layout beyond the chunk, and no threads.
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Kernels;

/// <summary>Softmax attention in chunks of 256 positions with a running maximum (Milakov and Gimelshein, arXiv 1805.02867; Dao et al., arXiv 2205.14135, algorithm 1).</summary>
/// <remarks>
/// Chunks lie at fixed positions (0-255, 256-511, …) and are merged in their order, whoever computes them. A row's result therefore does not depend on which rows are
/// computed with it, nor on how a prompt was split: positions that a row may not see have weight 0, which adds nothing, and a chunk without any is left out.
/// </remarks>
internal static class AttentionKernel
{
    /// <summary>Positions of a chunk.</summary>
    public const int ChunkPositions = 256;

    /// <summary>Positions whose keys lie side by side: a panel of <see cref="FloatKernel"/>.</summary>
    public const int GroupPositions = FloatKernel.PanelRows;

    /// <summary>Floats that a row's running result takes: maximum, sum, and [E] rounded up to whole panels.</summary>
    public static int StateLength(int headDim) => 2 + PaddedHeadDim(headDim);

    /// <summary>E rounded up to whole panels of 32.</summary>
    public static int PaddedHeadDim(int headDim) => (headDim + FloatKernel.PanelRows - 1) / FloatKernel.PanelRows * FloatKernel.PanelRows;

    /// <summary>A running result that has seen nothing.</summary>
    public static void Begin(Span<float> state)
    {
        state.Clear();
        state[0] = float.NegativeInfinity;
    }

    /// <summary>Scores of a tile of rows against the first groups of a chunk.</summary>
    /// <param name="queries">[E, rows], already multiplied with the scale.</param>
    /// <param name="rows">12, 4 or 1.</param>
    /// <param name="keys">[groups, E, 32]</param>
    /// <param name="headDim">E</param>
    /// <param name="groups">Groups of 32 positions.</param>
    /// <param name="scores">[rows, 256]</param>
    public static void Score(ReadOnlySpan<float> queries, int rows, ReadOnlySpan<float> keys, int headDim, int groups, Span<float> scores)
    {
        int panel = headDim * GroupPositions;
        for (int g = 0; g < groups; g++)
        {
            FloatKernel.Multiply<InterleavedTile>(keys.Slice(g * panel, panel), queries, rows, scores[(g * GroupPositions)..], ChunkPositions);
        }
    }

    /// <summary>Turns one row of scores into weights exp(score - maximum) and returns their sum.</summary>
    /// <param name="scores">[256]; positions outside [first, end) become 0, as far as <paramref name="padded"/>.</param>
    /// <param name="first">First position of the chunk that the row sees.</param>
    /// <param name="end">End of the positions that it sees.</param>
    /// <param name="padded">Positions in use, a multiple of 32.</param>
    /// <param name="softcap">Scores first become cap · tanh(score / cap); 0 for none.</param>
    /// <param name="maximum">The largest score.</param>
    /// <returns>The sum; NaN where a score that the row sees is no number or infinite, so that a damaged model does not answer as if it were sound.</returns>
    public static float Weigh(Span<float> scores, int first, int end, int padded, float softcap, out float maximum)
    {
        scores[..first].Clear();
        scores[end..padded].Clear();
        Span<float> seen = scores[first..end];
        if (softcap != 0)
        {
            TensorPrimitives.Divide(seen, softcap, seen);
            TensorPrimitives.Tanh(seen, seen);
            TensorPrimitives.Multiply(seen, softcap, seen);
        }

        maximum = TensorPrimitives.Max<float>(seen); // NaN if any is
        if (!(maximum <= float.MaxValue))
        {
            scores[..padded].Clear();
            return float.NaN;
        }

        return ExpAndSum(scores[..padded], first, end, maximum);
    }

    /// <summary>Adds a chunk's weighted values to running results.</summary>
    /// <param name="values">[E / 32 rounded up, 256, 32]</param>
    /// <param name="positions">Positions in use.</param>
    /// <param name="weights">[rows, 256]</param>
    /// <param name="rows">12, 4 or 1.</param>
    /// <param name="sums">[rows, E rounded up to 32]; receives Σ weight · value.</param>
    /// <param name="paddedHeadDim">E rounded up to 32.</param>
    public static void Mix(ReadOnlySpan<float> values, int positions, ReadOnlySpan<float> weights, int rows, Span<float> sums, int paddedHeadDim)
    {
        for (int e = 0; e < paddedHeadDim; e += FloatKernel.PanelRows)
        {
            FloatKernel.Multiply<ScoreRows>(values.Slice(e * ChunkPositions, positions * FloatKernel.PanelRows), weights, rows, sums[e..], paddedHeadDim);
        }
    }

    /// <summary>Merges one chunk's result into a running one: both are weighed by exp(their maximum - the larger maximum).</summary>
    /// <param name="state">The running result, see <see cref="StateLength"/>.</param>
    /// <param name="maximum">The chunk's largest score.</param>
    /// <param name="weightSum">Its sum of weights; 0 where the row sees nothing of it.</param>
    /// <param name="sums">Its weighted values.</param>
    public static void Merge(Span<float> state, float maximum, float weightSum, ReadOnlySpan<float> sums)
    {
        if (weightSum == 0)
        {
            return;
        }

        float larger = Math.Max(state[0], maximum);
        float old = ExpVectors.ExpScalar(state[0] - larger);
        float add = ExpVectors.ExpScalar(maximum - larger);
        state[0] = larger;
        state[1] = MathF.FusedMultiplyAdd(state[1], old, weightSum * add);
        Span<float> total = state.Slice(2, sums.Length);
        TensorPrimitives.Multiply(total, old, total);
        TensorPrimitives.MultiplyAdd(sums, add, total, total);
    }

    /// <summary>Writes a row's output: the weighted values over the sum of weights; zeros where the row saw nothing.</summary>
    /// <param name="state">The running result.</param>
    /// <param name="destination">[E]</param>
    public static void Finish(ReadOnlySpan<float> state, Span<float> destination)
    {
        if (state[1] == 0)
        {
            destination.Clear();
            return;
        }

        TensorPrimitives.Divide(state.Slice(2, destination.Length), state[1], destination);
    }

    /// <summary>The definition of <see cref="ExpAndSum"/>: sixteen sums side by side, then halves added to halves.</summary>
    internal static float ExpAndSumScalar(Span<float> scores, int first, int end, float maximum)
    {
        Span<float> lanes = stackalloc float[16];
        lanes.Clear();
        for (int i = 0; i < scores.Length; i++)
        {
            scores[i] = i >= first && i < end ? ExpVectors.ExpScalar(scores[i] - maximum) : 0;
            lanes[i % 16] += scores[i];
        }

        for (int width = 8; width > 0; width /= 2)
        {
            for (int i = 0; i < width; i++)
            {
                lanes[i] += lanes[i + width];
            }
        }

        return lanes[0];
    }

    // Lanes: 16 positions, as one vector or two halves. Positions that the row does not see hold score 0 and are set to weight 0 afterwards.
    internal static float ExpAndSum(Span<float> scores, int first, int end, float maximum)
    {
        if (!Vector256.IsHardwareAccelerated)
        {
            return ExpAndSumScalar(scores, first, end, maximum);
        }

        ref float s = ref MemoryMarshal.GetReference(scores);
        if (Vector512.IsHardwareAccelerated)
        {
            return ExpAndSum512(ref s, scores.Length, first, end, maximum);
        }

        Vector256<float> low = default, high = default;
        Vector256<float> shift = Vector256.Create(maximum);
        for (int i = 0; i < scores.Length; i += 16)
        {
            Vector256<float> a = ExpVectors.Exp(Vector256.LoadUnsafe(ref s, (nuint)i) - shift);
            Vector256<float> b = ExpVectors.Exp(Vector256.LoadUnsafe(ref s, (nuint)i + 8) - shift);
            if (i < first || i + 16 > end)
            {
                Vector256<int> position = Vector256<int>.Indices + Vector256.Create(i);
                a &= (Vector256.GreaterThanOrEqual(position, Vector256.Create(first)) & Vector256.LessThan(position, Vector256.Create(end))).AsSingle();
                position += Vector256.Create(8);
                b &= (Vector256.GreaterThanOrEqual(position, Vector256.Create(first)) & Vector256.LessThan(position, Vector256.Create(end))).AsSingle();
            }

            a.StoreUnsafe(ref s, (nuint)i);
            b.StoreUnsafe(ref s, (nuint)i + 8);
            low += a;
            high += b;
        }

        return SumLanes(low + high);
    }

    private static float ExpAndSum512(ref float s, int length, int first, int end, float maximum)
    {
        Vector512<float> sum = default;
        Vector512<float> shift = Vector512.Create(maximum);
        for (int i = 0; i < length; i += 16)
        {
            Vector512<float> a = ExpVectors.Exp(Vector512.LoadUnsafe(ref s, (nuint)i) - shift);
            if (i < first || i + 16 > end)
            {
                Vector512<int> position = Vector512<int>.Indices + Vector512.Create(i);
                a &= (Vector512.GreaterThanOrEqual(position, Vector512.Create(first)) & Vector512.LessThan(position, Vector512.Create(end))).AsSingle();
            }

            a.StoreUnsafe(ref s, (nuint)i);
            sum += a;
        }

        return SumLanes(sum.GetLower() + sum.GetUpper());
    }

    private static float SumLanes(Vector256<float> eight)
    {
        Vector128<float> four = eight.GetLower() + eight.GetUpper();
        return four[0] + four[2] + (four[1] + four[3]);
    }
}
