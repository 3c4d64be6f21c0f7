// float32 to the two 8-bit floats and back. Knows no matrices.
namespace Kidogo.Tensors.Formats.Plain;

/// <summary>Which 8-bit float.</summary>
public enum Float8Kind
{
    /// <summary>Four bits of exponent, three of fraction; no infinity; up to 448.</summary>
    E4M3,

    /// <summary>Five bits of exponent, two of fraction; up to 57344, and infinities.</summary>
    E5M2,
}

/// <summary>OCP 8-bit Floating Point Specification 1.0: round to nearest, half to even.</summary>
/// <remarks>The standard leaves open what happens to numbers that are too large, and asks for a choice: plain makes E4M3's NaN or E5M2's infinity of them,
/// as ml_dtypes does; saturated makes the largest number of them.</remarks>
public static class Float8
{
    private const byte Sign = 0x80;
    private const byte NotANumber = 0x7F; // E4M3
    private const byte NotANumberE5M2 = 0x7E;
    private const byte Infinity = 0x7C; // E5M2

    /// <summary>The largest finite value.</summary>
    public static float Largest(Float8Kind kind) => kind == Float8Kind.E4M3 ? 448f : 57344f;

    /// <summary>Encodes one value.</summary>
    /// <param name="value">Any float32; a NaN stays one.</param>
    /// <param name="kind">Which float.</param>
    /// <param name="saturate">Whether what is too large, infinity too, becomes the largest number.</param>
    public static byte Encode(float value, Float8Kind kind, bool saturate)
    {
        bool isE4M3 = kind == Float8Kind.E4M3;
        byte sign = float.IsNegative(value) ? Sign : (byte)0;
        if (float.IsNaN(value))
        {
            return (byte)(sign | (isE4M3 ? NotANumber : NotANumberE5M2));
        }

        int fractionBits = isE4M3 ? 3 : 2;
        int bias = isE4M3 ? 7 : 15;
        float magnitude = Math.Abs(value);
        if (saturate)
        {
            magnitude = Math.Min(magnitude, Largest(kind));
        }

        byte overflow = isE4M3 ? NotANumber : Infinity;
        if (float.IsInfinity(magnitude))
        {
            return (byte)(sign | overflow);
        }

        // In steps of the last bit, which is that of the smallest normal numbers for all denormals. The power of two divides exactly, as a double.
        int exponent = magnitude == 0 ? 1 - bias : Math.Max(Math.ILogB(magnitude), 1 - bias);
        int steps = (int)Math.Round(Math.ScaleB(magnitude, fractionBits - exponent));
        int code = Math.Min(((exponent + bias - 1) << fractionBits) + steps, overflow);
        return (byte)(sign | code);
    }

    /// <summary>Decodes one value, exactly.</summary>
    public static float Decode(byte code, Float8Kind kind)
    {
        bool isE4M3 = kind == Float8Kind.E4M3;
        int magnitude = code & ~Sign;
        if (isE4M3 ? magnitude == NotANumber : magnitude > Infinity)
        {
            return float.NaN;
        }

        if (!isE4M3 && magnitude == Infinity)
        {
            return code >= Sign ? float.NegativeInfinity : float.PositiveInfinity;
        }

        int fractionBits = isE4M3 ? 3 : 2;
        int bias = isE4M3 ? 7 : 15;
        int exponent = magnitude >> fractionBits;
        int fraction = magnitude & ((1 << fractionBits) - 1);
        fraction += exponent == 0 ? 0 : 1 << fractionBits;
        float value = (float)Math.ScaleB(fraction, Math.Max(exponent, 1) - bias - fractionBits);
        return code >= Sign ? -value : value;
    }
}
