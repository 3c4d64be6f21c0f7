// The plain formats, which every converter needs by name. Knows nothing else.
using Kidogo.Tensors.Formats;

namespace Kidogo.Models.Export;

/// <summary>Float32, float16 and bfloat16.</summary>
public static class FloatFormats
{
    /// <summary>Float32.</summary>
    public static WeightFormat F32 { get; } = WeightFormats.ForName("F32")!;

    /// <summary>IEEE binary16.</summary>
    public static WeightFormat F16 { get; } = WeightFormats.ForName("F16")!;

    /// <summary>The upper half of a float32.</summary>
    public static WeightFormat BF16 { get; } = WeightFormats.ForName("BF16")!;

    /// <summary>Whether a format is one of them.</summary>
    public static bool IsPlain(WeightFormat format) => format == F32 || format == F16 || format == BF16;
}
