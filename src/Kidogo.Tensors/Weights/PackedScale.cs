// Float16 values that packed weights may not have. Knows no layout.
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>Refuses float16 that is infinite or no number: the kernels' conversion (<see cref="HalfVectors"/>) would make it a large finite value, and damage would not show.</summary>
internal static class PackedScale
{
    /// <summary>The bits of a float16 without its sign: their order is that of the magnitudes.</summary>
    public const int Magnitude = 0x7FFF;

    private const int LargestFinite = 0x7BFF;

    /// <summary>Refuses a row whose largest scale, minimum or weight is not finite.</summary>
    /// <param name="largestMagnitude">Its bits without the sign.</param>
    /// <param name="format">The format, for the message.</param>
    /// <param name="row">The row, for the message.</param>
    /// <exception cref="InvalidDataException">It is infinite or no number.</exception>
    public static void Check(int largestMagnitude, WeightFormat format, int row)
    {
        if (largestMagnitude > LargestFinite)
        {
            throw new InvalidDataException($"Row {row} in {format.Name} has a float16 that is infinite or no number. The weights are damaged.");
        }
    }
}
