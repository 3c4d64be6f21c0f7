// Where the code of one weight lies, and how it is put there. Knows no scales.
namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>Writes one code and leaves its neighbours as they are.</summary>
internal static class CodePlaces
{
    /// <summary>Some bits of a byte.</summary>
    /// <param name="place">The byte.</param>
    /// <param name="shift">The lowest bit.</param>
    /// <param name="bits">How many.</param>
    /// <param name="code">What they become; higher bits are ignored.</param>
    public static void Write(ref byte place, int shift, int bits, int code)
    {
        int mask = ((1 << bits) - 1) << shift;
        place = (byte)((place & ~mask) | ((code << shift) & mask));
    }

    /// <summary>Some bits of a word.</summary>
    public static void Write(ref uint place, int shift, int bits, uint code)
    {
        uint mask = ((1u << bits) - 1) << shift;
        place = (place & ~mask) | ((code << shift) & mask);
    }

    /// <summary>The fifth bit of code <paramref name="element"/>, which is one bit of 32.</summary>
    public static void WriteFifth(ref uint bits, int element, int code) => bits = (bits & ~(1u << element)) | (((uint)code >> 4 & 1) << element);

    /// <summary>A digit of a fraction in base 3 that is stored in 256ths and rounded up (TQ1_0).</summary>
    /// <param name="place">The byte.</param>
    /// <param name="digit">0 for the highest of five.</param>
    /// <param name="code">0 to 2.</param>
    public static void WriteTrit(ref byte place, int digit, int code)
    {
        ReadOnlySpan<int> powers = [81, 27, 9, 3, 1];
        int number = (place * 243) >> 8;
        number += (code - (number / powers[digit] % 3)) * powers[digit];
        place = (byte)(((number * 256) + 242) / 243);
    }
}
