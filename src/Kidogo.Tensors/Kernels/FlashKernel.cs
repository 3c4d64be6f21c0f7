// Attention of a block of query rows and a chunk of positions, forward and backward, in training. Knows no threads and no tensors.
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Kernels;

/// <summary>Attention weights as they lie, [rows, 192], a tile being 12 rows.</summary>
internal readonly struct WeightRows : IFloatTileLayout
{
    public static int TokenStep => FlashKernel.ChunkPositions;

    public static int ColumnStep(int tokens) => 1;
}

/// <summary>Attention weights as they lie, [rows, 192], a tile being 12 positions: summed over rows.</summary>
internal readonly struct WeightColumns : IFloatTileLayout
{
    public static int TokenStep => 1;

    public static int ColumnStep(int tokens) => FlashKernel.ChunkPositions;
}

/// <summary>Softmax of attention in chunks with a running maximum, and its backward from the saved logarithm of the sum (Dao et al., arXiv 2205.14135, algorithms 1 and 4).</summary>
internal static class FlashKernel
{
    /// <summary>Positions of a chunk: 6 panels of 32, 16 tiles of 12.</summary>
    public const int ChunkPositions = 192;

    /// <summary>Rows of a block: 8 tiles of 12.</summary>
    public const int BlockRows = 96;

    /// <summary>Turns a row of scores into exp(score - maximum), with the larger of the running maximum and the row's own.</summary>
    /// <param name="scores">[positions, a multiple of 32]; 0 outside [first, end) afterwards.</param>
    /// <param name="first">First position that the row sees.</param>
    /// <param name="end">End of those that it sees, above first.</param>
    /// <param name="softcap">Scores first become cap · tanh(score / cap); 0 for none.</param>
    /// <param name="maximum">The running maximum.</param>
    /// <param name="sum">The running sum of weights; no number where a score is none, or infinite.</param>
    /// <returns>What the running outputs must be multiplied with.</returns>
    public static float Weigh(Span<float> scores, int first, int end, float softcap, ref float maximum, ref float sum)
    {
        scores[..first].Clear();
        scores[end..].Clear();
        Span<float> seen = scores[first..end];
        if (softcap != 0)
        {
            Cap(seen, softcap);
        }

        float largest = TensorPrimitives.Max<float>(seen); // NaN if any is
        if (!(largest <= float.MaxValue))
        {
            (maximum, sum) = (0, float.NaN);
            return float.NaN;
        }

        float before = maximum;
        maximum = Math.Max(before, largest);
        float correction = ExpVectors.ExpScalar(before - maximum);
        sum = MathF.FusedMultiplyAdd(sum, correction, AttentionKernel.ExpAndSum(scores, first, end, maximum));
        return correction;
    }

    /// <summary>cap · tanh(score / cap)</summary>
    public static void Cap(Span<float> scores, float cap)
    {
        TensorPrimitives.Divide(scores, cap, scores);
        TensorPrimitives.Tanh(scores, scores);
        TensorPrimitives.Multiply(scores, cap, scores);
    }

    /// <summary>Turns a row of (capped) scores into weights p = exp(score - logSum), and the row's dp into the scores' gradient p · (dp - mean) · slope · scale.</summary>
    /// <param name="scores">[positions, a multiple of 32]; 0 outside [first, end) afterwards.</param>
    /// <param name="gradients">The same for dp.</param>
    /// <param name="first">First position that the row sees.</param>
    /// <param name="end">End of those that it sees.</param>
    /// <param name="logSum">The row's logarithm of its sum of exponentials.</param>
    /// <param name="mean">Σ p dp.</param>
    /// <param name="softcap">The slope is 1 - (score / cap)²; 1 for no cap (0).</param>
    /// <param name="scale">What products were multiplied with to be scores.</param>
    public static void FlowBack(Span<float> scores, Span<float> gradients, int first, int end, float logSum, float mean, float softcap, float scale)
    {
        if (!Vector256.IsHardwareAccelerated)
        {
            FlowBackScalar(scores, gradients, first, end, logSum, mean, softcap, scale);
            return;
        }

        if (gradients.Length != scores.Length || scores.Length % 16 != 0)
        {
            throw new ArgumentException($"{scores.Length} scores do not fit {gradients.Length} gradients, or are no multiple of 16.");
        }

        // Lanes: 16 or 8 positions. The exponent is never above 0 by more than rounding, which ExpVectors bears.
        ref float s = ref MemoryMarshal.GetReference(scores);
        ref float g = ref MemoryMarshal.GetReference(gradients);
        float steepness = softcap == 0 ? 0 : -1 / (softcap * softcap);
        if (Vector512.IsHardwareAccelerated)
        {
            for (int i = 0; i < scores.Length; i += 16)
            {
                Vector512<float> score = Vector512.LoadUnsafe(ref s, (nuint)i);
                Vector512<float> p = ExpVectors.Exp(score - Vector512.Create(logSum));
                Vector512<float> slope = Vector512.FusedMultiplyAdd(score * Vector512.Create(steepness), score, Vector512<float>.One);
                Vector512<float> change = p * (Vector512.LoadUnsafe(ref g, (nuint)i) - Vector512.Create(mean)) * slope * Vector512.Create(scale);
                if (i < first || i + 16 > end)
                {
                    Vector512<int> position = Vector512<int>.Indices + Vector512.Create(i);
                    Vector512<float> seen = (Vector512.GreaterThanOrEqual(position, Vector512.Create(first)) & Vector512.LessThan(position, Vector512.Create(end))).AsSingle();
                    p &= seen;
                    change &= seen;
                }

                p.StoreUnsafe(ref s, (nuint)i);
                change.StoreUnsafe(ref g, (nuint)i);
            }

            return;
        }

        for (int i = 0; i < scores.Length; i += 8)
        {
            Vector256<float> score = Vector256.LoadUnsafe(ref s, (nuint)i);
            Vector256<float> p = ExpVectors.Exp(score - Vector256.Create(logSum));
            Vector256<float> slope = Vector256.FusedMultiplyAdd(score * Vector256.Create(steepness), score, Vector256<float>.One);
            Vector256<float> change = p * (Vector256.LoadUnsafe(ref g, (nuint)i) - Vector256.Create(mean)) * slope * Vector256.Create(scale);
            if (i < first || i + 8 > end)
            {
                Vector256<int> position = Vector256<int>.Indices + Vector256.Create(i);
                Vector256<float> seen = (Vector256.GreaterThanOrEqual(position, Vector256.Create(first)) & Vector256.LessThan(position, Vector256.Create(end))).AsSingle();
                p &= seen;
                change &= seen;
            }

            p.StoreUnsafe(ref s, (nuint)i);
            change.StoreUnsafe(ref g, (nuint)i);
        }
    }

    /// <summary>The definition.</summary>
    public static void FlowBackScalar(Span<float> scores, Span<float> gradients, int first, int end, float logSum, float mean, float softcap, float scale)
    {
        float steepness = softcap == 0 ? 0 : -1 / (softcap * softcap);
        for (int i = 0; i < scores.Length; i++)
        {
            bool isSeen = i >= first && i < end;
            float p = isSeen ? ExpVectors.ExpScalar(scores[i] - logSum) : 0;
            float slope = MathF.FusedMultiplyAdd(scores[i] * steepness, scores[i], 1);
            gradients[i] = isSeen ? p * (gradients[i] - mean) * slope * scale : 0;
            scores[i] = p;
        }
    }
}
