// The 16 values of a 4-bit float, for MXFP4 and NVFP4. Knows no blocks.
namespace Kidogo.Tensors.Formats;

/// <summary>E2M1: one sign, two exponent and one mantissa bit (OCP Microscaling Formats 1.0, section 5.3.3).</summary>
internal static class FourBitFloat
{
    /// <summary>Twice the value of each code, so that all are whole: the scales they meet are halved.</summary>
    public static ReadOnlySpan<sbyte> Doubled => [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];
}
