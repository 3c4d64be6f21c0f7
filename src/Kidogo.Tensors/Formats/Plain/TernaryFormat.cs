// Weights of -1, 0 and 1 with one scale, as BitNet b1.58 has them. Knows no files.
namespace Kidogo.Tensors.Formats.Plain;

/// <summary>w = scale · trit with scale = mean|W| of the whole matrix, at least 1e-5, and trit = clip(round(w / scale), -1, 1), half to even.</summary>
/// <remarks>arXiv 2402.17764, equations 1-3; the paper adds a small number to the mean where the authors' code has a least one. Two bits a weight: trit +
/// 1.</remarks>
internal sealed class TernaryFormat() : PlainFormat("ternary")
{
    private const float LeastScale = 1e-5f;

    private protected override IReadOnlyList<StoredPart> EncodeFinite(ReadOnlySpan<float> weights, int rows, int columns)
    {
        double sum = 0;
        foreach (float weight in weights)
        {
            sum += Math.Abs(weight);
        }

        float scale = Math.Max((float)(sum / weights.Length), LeastScale);
        byte[] codes = new byte[weights.Length];
        for (int i = 0; i < codes.Length; i++)
        {
            codes[i] = (byte)(Math.Clamp(MathF.Round(weights[i] / scale), -1, 1) + 1);
        }

        byte[] packed = BitStream.Pack(codes, 2);
        return [Part<byte>("", "U8", packed, packed.Length), Part<float>("_scale", "F32", [scale], 1)];
    }

    internal override IntegerCodes Integers => IntegerCodes.Trits;

    public override IReadOnlyList<PartLayout> Layout(int rows, int columns) =>
        [new("", "U8", [BitStream.Length((long)rows * columns, 2)]), new("_scale", "F32", [1])];

    private protected override PlainRows OpenParts(IReadOnlyDictionary<string, PlainPart> parts, int rows, int columns) =>
        new TableRows(parts[""], columns, 2, [-1, 0, 1, 1], Numbers(parts, "_scale", 1)); // code 3 is not written, and reads as 2
}
