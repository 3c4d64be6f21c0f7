// Matrices of 8-bit floats with a scale for each row. Knows no files.
namespace Kidogo.Tensors.Formats.Plain;

/// <summary>w = scale · value with scale = max|w| of the row / the largest finite value, so nothing saturates but by rounding.</summary>
internal sealed class Float8Format(string name, Float8Kind kind) : PlainFormat(name)
{
    private readonly string _dtype = kind == Float8Kind.E4M3 ? "F8_E4M3" : "F8_E5M2";

    private protected override IReadOnlyList<StoredPart> EncodeFinite(ReadOnlySpan<float> weights, int rows, int columns)
    {
        float[] scales = new float[rows];
        byte[] codes = new byte[weights.Length];
        for (int row = 0; row < rows; row++)
        {
            ReadOnlySpan<float> own = weights.Slice(row * columns, columns);
            float largest = 0;
            foreach (float weight in own)
            {
                largest = Math.Max(largest, Math.Abs(weight));
            }

            float scale = largest / Float8.Largest(kind);
            scales[row] = scale;
            for (int i = 0; i < own.Length; i++)
            {
                codes[(row * columns) + i] = scale == 0 ? (byte)0 : Float8.Encode(own[i] / scale, kind, saturate: true);
            }
        }

        return [Part<byte>("", _dtype, codes, rows, columns), Part<float>("_scale", "F32", scales, rows, 1)];
    }

    private protected override void DecodeParts(IReadOnlyDictionary<string, StoredPart> parts, int rows, int columns, Span<float> weights)
    {
        ReadOnlySpan<byte> codes = Values<byte>(parts, "", _dtype, weights.Length);
        ReadOnlySpan<float> scales = Values<float>(parts, "_scale", "F32", rows);
        for (int i = 0; i < weights.Length; i++)
        {
            weights[i] = scales[i / columns] * Float8.Decode(codes[i], kind);
        }
    }
}
