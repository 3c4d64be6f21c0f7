// Encoding with importance of the formats whose block of 32 weights is one group: the search runs on eight blocks at a time. Knows no block's layout.
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>Writes a block of a symmetric format.</summary>
/// <param name="block">The block.</param>
/// <param name="scale">Its scale.</param>
/// <param name="codes">[32]</param>
internal delegate void WriteSymmetric<TBlock>(ref TBlock block, float scale, ReadOnlySpan<byte> codes);

/// <summary>Writes a block of an affine format.</summary>
/// <param name="block">The block.</param>
/// <param name="scale">Its scale.</param>
/// <param name="depth">Its minimum, negated.</param>
/// <param name="codes">[32]</param>
internal delegate void WriteAffine<TBlock>(ref TBlock block, float scale, float depth, ReadOnlySpan<byte> codes);

/// <summary>Q4_0, Q4_1, Q5_0 and Q5_1 with importance: errors count importance · √(mean square of the row + x²).</summary>
internal static class WeighedGroups
{
    private const int GroupSize = 32;
    private const int Batch = GroupSize * GroupLanes.Count;

    private static readonly AffineSteps s_fourBits = new(15, -0.9f, 0.05f, 36, Absolute: false);
    private static readonly AffineSteps s_fiveBits = s_fourBits with { Top = 31 };

    /// <summary>Encodes a row with <see cref="SymmetricScale"/>.</summary>
    public static void EncodeSymmetric<TBlock>(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, int limit, Span<TBlock> blocks, WriteSymmetric<TBlock> write)
    {
        Span<Vector256<float>> x = stackalloc Vector256<float>[GroupSize];
        Span<Vector256<float>> w = stackalloc Vector256<float>[GroupSize];
        Span<Vector256<int>> lanes = stackalloc Vector256<int>[GroupSize];
        Span<byte> codes = stackalloc byte[Batch];
        Vector256<float> mean = MeanSquare(row);
        for (int start = 0; start < row.Length; start += Batch)
        {
            int length = Load(row, importance, start, mean, x, w);
            Vector256<float> scales = SymmetricScale.Search(x, w, limit, lanes);
            GroupLanes.Store(lanes, codes[..length]);
            for (int group = 0; group < length / GroupSize; group++)
            {
                write(ref blocks[(start / GroupSize) + group], scales[group], codes.Slice(group * GroupSize, GroupSize));
            }
        }
    }

    /// <summary>Encodes a row with <see cref="AffineScale"/>.</summary>
    public static void EncodeAffine<TBlock>(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, int top, Span<TBlock> blocks, WriteAffine<TBlock> write)
    {
        Span<Vector256<float>> x = stackalloc Vector256<float>[GroupSize];
        Span<Vector256<float>> w = stackalloc Vector256<float>[GroupSize];
        Span<Vector256<int>> lanes = stackalloc Vector256<int>[GroupSize];
        Span<byte> codes = stackalloc byte[Batch];
        Vector256<float> mean = MeanSquare(row);
        for (int start = 0; start < row.Length; start += Batch)
        {
            int length = Load(row, importance, start, mean, x, w);
            Vector256<float> scales = AffineScale.Search(x, w, top == 15 ? s_fourBits : s_fiveBits, lanes, out Vector256<float> depths);
            GroupLanes.Store(lanes, codes[..length]);
            for (int group = 0; group < length / GroupSize; group++)
            {
                write(ref blocks[(start / GroupSize) + group], scales[group], depths[group], codes.Slice(group * GroupSize, GroupSize));
            }
        }
    }

    private static Vector256<float> MeanSquare(ReadOnlySpan<float> row) => Vector256.Create(GroupLanes.SumOfSquares(row) / row.Length);

    private static int Load(
        ReadOnlySpan<float> row, ReadOnlySpan<float> importance, int start, Vector256<float> mean, Span<Vector256<float>> x, Span<Vector256<float>> w)
    {
        int length = Math.Min(Batch, row.Length - start);
        GroupLanes.Load(row.Slice(start, length), x);
        GroupLanes.Load(importance.Slice(start, length), w);
        GroupLanes.Weigh(x, w, mean);
        return length;
    }
}
