// Weights as numbers of a few centres that k-means found. Knows no files.
namespace Kidogo.Tensors.Formats.Plain;

/// <summary>w = centre of the code; 2^bits centres for the whole matrix.</summary>
/// <remarks>Deep Compression (arXiv 1510.00149, section 3): centres start in equal steps from the smallest weight to the largest and move to the mean of
/// their weights, at most 20 times.
/// A weight in the middle takes the lower centre, a centre without weights stays. Sums are float64, from the first weight to the last.</remarks>
internal sealed class CodebookFormat(int bits) : PlainFormat($"codebook-{bits}")
{
    private const int Rounds = 20;

    private protected override IReadOnlyList<StoredPart> EncodeFinite(ReadOnlySpan<float> weights, int rows, int columns)
    {
        float[] centres = Start(weights);
        byte[] codes = new byte[weights.Length];
        Assign(weights, centres, codes);
        for (int round = 0; round < Rounds; round++)
        {
            Move(weights, codes, centres);
            if (!Assign(weights, centres, codes))
            {
                break;
            }
        }

        byte[] packed = BitStream.Pack(codes, bits);
        return [Part<byte>("", "U8", packed, packed.Length), Part<float>("_centres", "F32", centres, centres.Length)];
    }

    public override IReadOnlyList<PartLayout> Layout(int rows, int columns) =>
        [new("", "U8", [BitStream.Length((long)rows * columns, bits)]), new("_centres", "F32", [1 << bits])];

    private protected override PlainRows OpenParts(IReadOnlyDictionary<string, PlainPart> parts, int rows, int columns) =>
        new TableRows(parts[""], columns, bits, Numbers(parts, "_centres", 1), []);

    private float[] Start(ReadOnlySpan<float> weights)
    {
        float low = weights[0];
        float high = weights[0];
        foreach (float weight in weights)
        {
            low = Math.Min(low, weight);
            high = Math.Max(high, weight);
        }

        float[] centres = new float[1 << bits];
        for (int i = 0; i < centres.Length; i++)
        {
            centres[i] = (float)(low + (((double)high - low) * i / (centres.Length - 1)));
        }

        return centres;
    }

    private static void Move(ReadOnlySpan<float> weights, ReadOnlySpan<byte> codes, Span<float> centres)
    {
        Span<double> sums = stackalloc double[centres.Length];
        Span<int> counts = stackalloc int[centres.Length];
        sums.Clear();
        counts.Clear();
        for (int i = 0; i < weights.Length; i++)
        {
            sums[codes[i]] += weights[i];
            counts[codes[i]]++;
        }

        for (int i = 0; i < centres.Length; i++)
        {
            centres[i] = counts[i] == 0 ? centres[i] : (float)(sums[i] / counts[i]);
        }
    }

    /// <summary>Gives each weight its nearest centre. Centres stay in order, so those on either side are enough.</summary>
    /// <returns>Whether a code changed.</returns>
    private static bool Assign(ReadOnlySpan<float> weights, ReadOnlySpan<float> centres, Span<byte> codes)
    {
        bool changed = false;
        for (int i = 0; i < weights.Length; i++)
        {
            int code = 0;
            while (code + 1 < centres.Length && (double)centres[code + 1] - weights[i] < (double)weights[i] - centres[code])
            {
                code++;
            }

            changed |= codes[i] != code;
            codes[i] = (byte)code;
        }

        return changed;
    }
}
