// Weights of two values, as BitNet and XNOR-Net have them. Knows no files.
namespace Kidogo.Tensors.Formats.Plain;

/// <summary>w = ±scale. For the matrix: scale = mean|W| and the sign of w - mean W, minus where equal; for each row: scale = mean|w| and the sign of w, plus
/// at zero.</summary>
/// <remarks>For the matrix arXiv 2310.11453, equations 1-3; for rows arXiv 1603.05279, section 3.1. One bit a weight: set where positive.</remarks>
internal sealed class BinaryFormat(string name, bool perRow) : PlainFormat(name)
{
    private protected override IReadOnlyList<StoredPart> EncodeFinite(ReadOnlySpan<float> weights, int rows, int columns)
    {
        int groups = perRow ? rows : 1;
        int size = weights.Length / groups;
        float[] scales = new float[groups];
        byte[] codes = new byte[weights.Length];
        for (int group = 0; group < groups; group++)
        {
            double sum = 0;
            double magnitudes = 0;
            foreach (float weight in weights.Slice(group * size, size))
            {
                sum += weight;
                magnitudes += Math.Abs(weight);
            }

            scales[group] = (float)(magnitudes / size);
            float mean = (float)(sum / size);
            for (int i = group * size; i < (group + 1) * size; i++)
            {
                codes[i] = (perRow ? weights[i] >= 0 : weights[i] > mean) ? (byte)1 : (byte)0;
            }
        }

        byte[] packed = BitStream.Pack(codes, 1);
        return [Part<byte>("", "U8", packed, packed.Length), Part<float>("_scale", "F32", scales, groups, 1)];
    }

    internal override IntegerCodes Integers => IntegerCodes.Signs;

    public override IReadOnlyList<PartLayout> Layout(int rows, int columns) =>
        [new("", "U8", [BitStream.Length((long)rows * columns, 1)]), new("_scale", "F32", [perRow ? rows : 1, 1])];

    private protected override PlainRows OpenParts(IReadOnlyDictionary<string, PlainPart> parts, int rows, int columns) =>
        new TableRows(parts[""], columns, 1, [-1, 1], Numbers(parts, "_scale", 1));
}
