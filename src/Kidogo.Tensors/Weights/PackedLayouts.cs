// The table of packed compute layouts: which stored format is computed in which form. Knows no models.
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>Chooses the form in which a stored matrix is computed.</summary>
internal static class PackedLayouts
{
    /// <summary>Opens <paramref name="stored"/> in its packed layout, or as it is where its format has none.</summary>
    /// <remarks>Only the fast precision rounds activations, so only it may use a layout for 8-bit activations; floating-point layouts are exact and serve both.</remarks>
    public static Weight Open(StoredMatrix stored, ComputeContext context)
    {
        if (stored.Scale != 1)
        {
            return new StoredWeight(stored); // packed layouts hold a format's own scales only
        }

        bool fast = context.Precision == ComputePrecision.Fast;
        return stored.Format.Name switch
        {
            "Q4_0" when fast => new PackedPanels<Q4_0, Q4_0Source, CenteredNibbles, BlockScale>(stored, context.Team),
            "Q4_1" when fast => new PackedPanels<Q4_1, Q4_1Source, Nibbles, BlockScaleAndMinimum>(stored, context.Team),
            "Q5_0" when fast => new PackedPanels<Q5_0, Q5_0Source, FiveBits<Center16>, BlockScale>(stored, context.Team),
            "Q5_1" when fast => new PackedPanels<Q5_1, Q5_1Source, FiveBits<Center0>, BlockScaleAndMinimum>(stored, context.Team),
            "Q8_0" when fast => new PackedPanels<Q8_0, Q8_0Source, EightBits, BlockScale>(stored, context.Team),
            "Q2_K" when fast => new PackedPanels<Q2_K, Q2_KSource, TwoBits<Center0>, HalfBlockScalesAndMinima>(stored, context.Team),
            "Q3_K" when fast => new PackedPanels<Q3_K, Q3_KSource, ThreeBits, HalfBlockScales>(stored, context.Team),
            "Q4_K" when fast => new PackedPanels<Q4_K, Q4_KSource, Nibbles, GroupScaleAndMinimum>(stored, context.Team),
            "Q5_K" when fast => new PackedPanels<Q5_K, Q5_KSource, FiveBits<Center0>, GroupScaleAndMinimum>(stored, context.Team),
            "Q6_K" when fast => new PackedPanels<Q6_K, Q6_KSource, SixBits, HalfBlockScales>(stored, context.Team),
            "IQ4_NL" when fast => new PackedPanels<IQ4_NL, IQ4_NLSource, NibbleLevels<UnevenLevels>, BlockScale>(stored, context.Team),
            "IQ4_XS" when fast => new PackedPanels<IQ4_XS, IQ4_XSSource, NibbleLevels<UnevenLevels>, GroupScale>(stored, context.Team),
            "MXFP4" when fast => new PackedPanels<MXFP4, MXFP4Source, NibbleLevels<FourBitFloatLevels>, ExponentScale>(stored, context.Team),
            "TQ2_0" when fast => new PackedPanels<TQ2_0, TQ2_0Source, TwoBits<Center1>, SuperScale>(stored, context.Team),
            "F32" => new DenseWeight(stored, context.Team),
            "F16" => new PackedHalves<Float16Form>(stored, context.Team),
            "BF16" => new PackedHalves<BFloat16Form>(stored, context.Team),
            _ => new StoredWeight(stored),
        };
    }
}
