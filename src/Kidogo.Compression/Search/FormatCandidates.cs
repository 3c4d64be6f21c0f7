// Which formats come into question for a tensor. Knows shapes and formats, no models.
using Kidogo.Tensors.Formats;

namespace Kidogo.Compression.Search;

/// <summary>The formats that a search deals out: those that llama.cpp opens and that are for weights of any distribution.</summary>
internal static class FormatCandidates
{
    private const int ZeroGroup = 32;
    private static readonly string[] s_names =
        ["IQ2_XXS", "IQ2_XS", "IQ2_S", "Q2_K", "IQ3_XXS", "Q3_K", "IQ3_S", "IQ4_XS", "Q4_0", "IQ4_NL", "Q4_K", "Q4_1", "Q5_0", "Q5_K", "Q5_1", "Q6_K", "Q8_0", "F16"];

    /// <summary>The formats whose blocks divide rows, and that are smaller than the tensor is now.</summary>
    /// <param name="columns">Weights of a row.</param>
    /// <param name="now">How the tensor is stored.</param>
    /// <param name="hasZeroGroups">Whether a block of 256 has groups of zeros among others: IQ3_S decodes those wrongly, as its encoder is llama.cpp's.</param>
    public static IReadOnlyList<WeightFormat> For(int columns, WeightFormat now, bool hasZeroGroups) =>
        [.. s_names.Select(name => WeightFormats.ForName(name)!).Where(format =>
            format.CanEncode && columns % format.BlockSize == 0 && format.RowBytes(columns) < now.RowBytes(columns) && !(hasZeroGroups && format.Name == "IQ3_S"))];

    /// <summary>The format whose rounding shows how sensitive a tensor is: about four bits, so that what it does to the model is small and yet well above the rounding of sums.</summary>
    public static WeightFormat? Probe(int columns) =>
        s_probes.Select(name => WeightFormats.ForName(name)!).FirstOrDefault(format => columns % format.BlockSize == 0);

    private static readonly string[] s_probes = ["Q4_K", "Q4_0"];

    /// <summary>Whether a row has blocks of 256 in which some groups of 32 are zeros and others are not.</summary>
    public static bool HasZeroGroups(ReadOnlySpan<float> row)
    {
        const int Block = 256;
        for (int start = 0; start + Block <= row.Length; start += Block)
        {
            int zeros = 0;
            for (int group = start; group < start + Block; group += ZeroGroup)
            {
                zeros += row.Slice(group, ZeroGroup).ContainsAnyExcept(0f) ? 0 : 1;
            }

            if (zeros is > 0 and < Block / ZeroGroup)
            {
                return true;
            }
        }

        return false;
    }
}
