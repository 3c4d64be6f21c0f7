// What the IQ2 and IQ3 formats do alike around the search: what errors count, and the rounding of group scales. Knows no layout.
namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>The parts of encoding 256 weights with a codebook that do not depend on the layout.</summary>
internal static class CodebookBlock
{
    /// <summary>Weights in a block.</summary>
    public const int Size = 256;

    /// <summary>w = importance · √(mean + x²); without importance, constant + x².</summary>
    /// <param name="x">[256]</param>
    /// <param name="importance">[256] or empty.</param>
    /// <param name="mean">A multiple of the mean square of the block.</param>
    /// <param name="constant">For the case without importance.</param>
    /// <param name="w">[256]</param>
    public static void Weigh(ReadOnlySpan<float> x, ReadOnlySpan<float> importance, float mean, float constant, Span<float> w)
    {
        for (int i = 0; i < x.Length; i++)
        {
            w[i] = importance.IsEmpty ? constant + (x[i] * x[i]) : importance[i] * MathF.Sqrt(mean + (x[i] * x[i]));
        }
    }

    /// <summary>Rounds group scales to (2 · code + 1) · largest / 31, codes 0 to 15.</summary>
    /// <param name="scales">[groups], 0 or more.</param>
    /// <param name="largest">The largest of them, above 0.</param>
    /// <param name="codes">[groups]</param>
    /// <returns>largest / 31.</returns>
    public static float RoundScales(ReadOnlySpan<float> scales, float largest, Span<byte> codes)
    {
        float scale = largest / 31;
        float inverse = 1 / scale;
        for (int group = 0; group < scales.Length; group++)
        {
            codes[group] = (byte)Math.Clamp(GroupLanes.Round(0.5f * ((inverse * scales[group]) - 1)), 0, 15);
        }

        return scale;
    }

    /// <summary>The importance of a block, or empty.</summary>
    public static ReadOnlySpan<float> Slice(ReadOnlySpan<float> importance, int block) => importance.IsEmpty ? importance : importance.Slice(Size * block, Size);
}
