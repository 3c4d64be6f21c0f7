// What Q3_K and Q6_K do alike: 256 weights in 16 groups around zero, whose codes are found again once the group scales are rounded. Knows no layout.
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>The lanes of 16 groups of 16 weights.</summary>
internal static class SymmetricSuperBlock
{
    private const int GroupSize = 16;
    private const int Half = GroupSize * GroupLanes.Count;

    /// <summary>Vectors that hold a block: two halves of 16.</summary>
    public const int Vectors = 32;

    /// <summary>Takes a block apart: vectors 0 to 15 hold groups 0 to 7, the others groups 8 to 15.</summary>
    public static void Load(ReadOnlySpan<float> x, Span<Vector256<float>> lanes)
    {
        GroupLanes.Load(x[..Half], lanes[..GroupSize]);
        GroupLanes.Load(x[Half..(2 * Half)], lanes[GroupSize..Vectors]);
    }

    /// <summary>Searches the scales of all groups with <see cref="SymmetricScale"/>.</summary>
    public static void Search(
        ReadOnlySpan<Vector256<float>> lanes, ReadOnlySpan<Vector256<float>> weights, int limit, Span<Vector256<int>> codes, Span<float> scales)
    {
        for (int start = 0; start < Vectors; start += GroupSize)
        {
            SymmetricScale.Search(lanes.Slice(start, GroupSize), weights.Slice(start, GroupSize), limit, codes.Slice(start, GroupSize)).CopyTo(scales[(start / 2)..]);
        }
    }

    /// <summary>The nearest codes for the rounded scales; a group whose scale became 0 keeps the codes of the search, which then mean nothing.</summary>
    /// <param name="lanes">[32]</param>
    /// <param name="scales">[16]</param>
    /// <param name="limit">Codes are -limit … limit - 1, stored plus limit.</param>
    /// <param name="found">[32] The codes of the search.</param>
    /// <param name="codes">[256] In the order of the weights.</param>
    public static void RoundToGrid(ReadOnlySpan<Vector256<float>> lanes, ReadOnlySpan<float> scales, int limit, Span<Vector256<int>> found, Span<byte> codes)
    {
        for (int start = 0; start < Vectors; start += GroupSize)
        {
            Vector256<float> own = Vector256.Create<float>(scales.Slice(start / 2, GroupLanes.Count));
            Vector256<int> zero = Vector256.Equals(own, default).AsInt32();
            for (int i = start; i < start + GroupSize; i++)
            {
                Vector256<int> code = GroupLanes.Round(lanes[i] / own, -limit, limit - 1) + Vector256.Create(limit);
                found[i] = Vector256.ConditionalSelect(zero, found[i], code);
            }

            GroupLanes.Store(found.Slice(start, GroupSize), codes.Slice(start / GroupSize * Half, Half));
        }
    }

    /// <summary>Σ w of each group.</summary>
    /// <param name="weights">[32]</param>
    /// <param name="totals">[16]</param>
    public static void Totals(ReadOnlySpan<Vector256<float>> weights, Span<float> totals)
    {
        for (int start = 0; start < Vectors; start += GroupSize)
        {
            Vector256<float> total = default;
            foreach (Vector256<float> weight in weights.Slice(start, GroupSize))
            {
                total += weight;
            }

            total.CopyTo(totals[(start / 2)..]);
        }
    }
}
