// int8 with a scale for each row or for the whole matrix, with or without a zero point. Knows no files.
using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats.Plain;

/// <summary>w = scale · code with codes -127 … 127, or w = scale · (code - zero) with codes 0 … 255.</summary>
/// <remarks>Symmetric: scale = max|w| / 127. With zero point: scale = (max - min) / 255 over a range that is widened to hold 0, zero = round(-min / scale),
/// so that 0 is exact.
/// Everything rounds to nearest, half to even, in float32.</remarks>
internal sealed class Int8Format(string name, bool perRow, bool hasZeroPoint) : PlainFormat(name)
{
    private protected override IReadOnlyList<StoredPart> EncodeFinite(ReadOnlySpan<float> weights, int rows, int columns)
    {
        int groups = perRow ? rows : 1;
        int size = weights.Length / groups;
        float[] scales = new float[groups];
        byte[] zeros = new byte[groups];
        byte[] codes = new byte[weights.Length];
        for (int group = 0; group < groups; group++)
        {
            ReadOnlySpan<float> own = weights.Slice(group * size, size);
            Span<byte> ownCodes = codes.AsSpan(group * size, size);
            if (hasZeroPoint)
            {
                (scales[group], zeros[group]) = EncodeAffine(own, ownCodes);
            }
            else
            {
                scales[group] = EncodeSymmetric(own, ownCodes);
            }
        }

        StoredPart scalePart = Part<float>("_scale", "F32", scales, groups, 1);
        return hasZeroPoint
            ? [Part<byte>("", "U8", codes, rows, columns), scalePart, Part<byte>("_zero_point", "U8", zeros, groups, 1)]
            : [Part<byte>("", "I8", codes, rows, columns), scalePart];
    }

    internal override IntegerCodes Integers => hasZeroPoint ? IntegerCodes.None : IntegerCodes.Bytes;

    public override IReadOnlyList<PartLayout> Layout(int rows, int columns)
    {
        int groups = perRow ? rows : 1;
        PartLayout scale = new("_scale", "F32", [groups, 1]);
        return hasZeroPoint ? [new("", "U8", [rows, columns]), scale, new("_zero_point", "U8", [groups, 1])] : [new("", "I8", [rows, columns]), scale];
    }

    private protected override PlainRows OpenParts(IReadOnlyDictionary<string, PlainPart> parts, int rows, int columns) =>
        new Int8Rows(parts[""], columns, Numbers(parts, "_scale", 255), hasZeroPoint ? Whole(parts["_zero_point"]) : []);

    private sealed class Int8Rows(PlainPart codes, int columns, float[] scales, byte[] zeros) : PlainRows
    {
        public override void Decode(int row, Span<float> weights)
        {
            ReadOnlySpan<byte> own = codes.Read((long)row * columns, columns);
            if (zeros.Length == 0)
            {
                TensorPrimitives.ConvertTruncating(MemoryMarshal.Cast<byte, sbyte>(own), weights);
            }
            else
            {
                TensorPrimitives.ConvertTruncating(own, weights);
                TensorPrimitives.Subtract(weights, zeros[Math.Min(row, zeros.Length - 1)], weights); // whole numbers: exact
            }

            TensorPrimitives.Multiply(weights, ScaleOf(row), weights);
        }

        internal override void ReadCodes(int row, Span<byte> own) => TensorPrimitives.Xor(codes.Read((long)row * columns, columns), (byte)128, own);

        internal override float ScaleOf(int row) => scales[Math.Min(row, scales.Length - 1)];
    }

    private static float EncodeSymmetric(ReadOnlySpan<float> weights, Span<byte> codes)
    {
        float largest = 0;
        foreach (float weight in weights)
        {
            largest = Math.Max(largest, Math.Abs(weight));
        }

        float scale = largest / 127;
        for (int i = 0; i < weights.Length; i++)
        {
            codes[i] = (byte)(sbyte)Math.Clamp(Quotient(weights[i], scale), -127, 127);
        }

        return scale;
    }

    private static (float Scale, byte Zero) EncodeAffine(ReadOnlySpan<float> weights, Span<byte> codes)
    {
        float low = 0;
        float high = 0;
        foreach (float weight in weights)
        {
            low = Math.Min(low, weight);
            high = Math.Max(high, weight);
        }

        float range = high - low;
        float scale = float.IsFinite(range) ? range / 255 : (high / 255) - (low / 255);
        byte zero = (byte)Math.Clamp(Quotient(-low, scale), 0, 255);
        for (int i = 0; i < weights.Length; i++)
        {
            codes[i] = (byte)Math.Clamp(Quotient(weights[i], scale) + zero, 0, 255);
        }

        return (scale, zero);
    }

    /// <summary>weight / scale rounded half to even; 0 where the scale is 0.</summary>
    private static int Quotient(float weight, float scale) => scale == 0 ? 0 : (int)MathF.Round(weight / scale);
}
