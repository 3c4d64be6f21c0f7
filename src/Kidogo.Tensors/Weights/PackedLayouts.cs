// The table of packed compute layouts: which stored format is computed in which form. Knows no models.
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
            "Q4_0" when fast => new PackedNibbles<CenteredNibbles>(stored, context.Team),
            "Q4_1" when fast => new PackedNibbles<NibblesWithMinimum>(stored, context.Team),
            "Q8_0" when fast => new PackedBytes(stored, context.Team),
            "F32" => new DenseWeight(stored, context.Team),
            "F16" => new PackedHalves<Float16Form>(stored, context.Team),
            "BF16" => new PackedHalves<BFloat16Form>(stored, context.Team),
            _ => new StoredWeight(stored),
        };
    }
}
