// Matrices of 8-bit floats with a scale for each row. Knows no files.
using System.Buffers;

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

    public override IReadOnlyList<PartLayout> Layout(int rows, int columns) => [new("", _dtype, [rows, columns]), new("_scale", "F32", [rows, 1])];

    private protected override PlainRows OpenParts(IReadOnlyDictionary<string, PlainPart> parts, int rows, int columns)
    {
        float[] values = [.. Enumerable.Range(0, 256).Select(code => Float8.Decode((byte)code, kind))];
        SearchValues<byte> refused = SearchValues.Create([.. Enumerable.Range(0, 256).Where(code => !float.IsFinite(values[code])).Select(code => (byte)code)]);
        PlainPart codes = parts[""];
        for (int row = 0; row < rows; row++)
        {
            int bad = codes.Read((long)row * columns, columns).IndexOfAny(refused);
            if (bad >= 0)
            {
                throw new InvalidDataException($"A matrix stored as {Name} has a weight in row {row}, column {bad} that is infinite or no number. The file is damaged.");
            }
        }

        return new Float8Rows(codes, columns, values, Numbers(parts, "_scale", Float8.Largest(kind)));
    }

    private sealed class Float8Rows(PlainPart codes, int columns, float[] values, float[] scales) : PlainRows
    {
        public override void Decode(int row, Span<float> weights)
        {
            ReadOnlySpan<byte> own = codes.Read((long)row * columns, columns);
            float scale = scales[row];
            for (int i = 0; i < own.Length; i++)
            {
                weights[i] = scale * values[own[i]];
            }
        }
    }
}
