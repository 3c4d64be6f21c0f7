// NF4: four bits at the quantiles of a normal distribution, as QLoRA stores a base model. Knows no files.
namespace Kidogo.Tensors.Formats.Plain;

/// <summary>w = table[code] · scale; scales of 64 weights, which run over the flattened matrix across the ends of rows, are their largest magnitude.</summary>
/// <remarks>arXiv 2305.14314, section 3 and appendix E, as bitsandbytes stores it: the first weight's code lies in the high four bits; a value in the middle
/// takes the lower code.
/// Double quantisation stores the scales, less their mean, as 8-bit dynamic codes (arXiv 1511.04561) with a largest magnitude for each 256.</remarks>
internal sealed class Nf4Format(string name, bool isDouble) : PlainFormat(name)
{
    internal const int BlockSize = 64;
    private const int NestedSize = 256;

    private static readonly float[] s_dynamic = DynamicTable();

    /// <summary>[16] The table of the paper's appendix E.</summary>
    public static ReadOnlySpan<float> Table =>
    [
        -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
        0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f,
            0.7229568362236023f, 1.0f,
    ];

    /// <summary>[256] What the 8-bit dynamic codes of scales stand for, in rising order.</summary>
    public static ReadOnlySpan<float> Dynamic => s_dynamic;

    private protected override IReadOnlyList<StoredPart> EncodeFinite(ReadOnlySpan<float> weights, int rows, int columns)
    {
        int blocks = (weights.Length + BlockSize - 1) / BlockSize;
        float[] scales = new float[blocks];
        byte[] packed = new byte[(weights.Length + 1) / 2];
        Span<float> middles = stackalloc float[15];
        for (int i = 0; i < middles.Length; i++)
        {
            middles[i] = (Table[i] + Table[i + 1]) / 2;
        }

        for (int block = 0; block < blocks; block++)
        {
            int end = Math.Min((block + 1) * BlockSize, weights.Length);
            ReadOnlySpan<float> own = weights[(block * BlockSize)..end];
            float largest = 0;
            foreach (float weight in own)
            {
                largest = Math.Max(largest, Math.Abs(weight));
            }

            scales[block] = largest;
            float inverse = Encoding.BlockRange.ReciprocalOrZero(largest);
            for (int i = 0; i < own.Length; i++)
            {
                float value = own[i] * inverse;
                int code = 0;
                foreach (float middle in middles)
                {
                    code += middle < value ? 1 : 0;
                }

                int at = (block * BlockSize) + i;
                packed[at / 2] |= (byte)(at % 2 == 0 ? code << 4 : code);
            }
        }

        StoredPart codes = Part<byte>("", "U8", packed, packed.Length);
        return isDouble ? [codes, .. EncodeScales(scales)] : [codes, Part<float>("_scale", "F32", scales, blocks)];
    }

    public override IReadOnlyList<PartLayout> Layout(int rows, int columns)
    {
        long weights = (long)rows * columns, blocks = (weights + BlockSize - 1) / BlockSize;
        PartLayout codes = new("", "U8", [(weights + 1) / 2]);
        return isDouble
            ? [codes, new("_scale", "U8", [blocks]), new("_scale_scale", "F32", [(blocks + NestedSize - 1) / NestedSize]), new("_scale_offset", "F32", [1])]
            : [codes, new("_scale", "F32", [blocks])];
    }

    private protected override PlainRows OpenParts(IReadOnlyDictionary<string, PlainPart> parts, int rows, int columns) =>
        new Nf4Rows(parts[""], columns, isDouble ? DecodeScales(parts) : Numbers(parts, "_scale", 1));

    private sealed class Nf4Rows(PlainPart codes, int columns, float[] scales) : PlainRows
    {
        public override void Decode(int row, Span<float> weights)
        {
            long first = (long)row * columns;
            ReadOnlySpan<byte> packed = codes.Read(first / 2, (int)(((first + columns + 1) / 2) - (first / 2)));
            ReadOnlySpan<float> table = Table;
            int at = (int)(first % 2);
            for (int i = 0; i < columns;)
            {
                // To the end of a block, whose scale all have: blocks do not heed rows.
                int end = (int)Math.Min(columns, i + BlockSize - ((first + i) % BlockSize));
                float scale = scales[(first + i) / BlockSize];
                for (; i < end; i++, at++)
                {
                    weights[i] = table[(packed[at / 2] >> (at % 2 == 0 ? 4 : 0)) & 15] * scale;
                }
            }
        }
    }

    private static StoredPart[] EncodeScales(ReadOnlySpan<float> scales)
    {
        double sum = 0;
        foreach (float scale in scales)
        {
            sum += scale;
        }

        float offset = (float)(sum / scales.Length);
        byte[] codes = new byte[scales.Length];
        float[] nested = new float[(scales.Length + NestedSize - 1) / NestedSize];
        for (int i = 0; i < scales.Length; i++)
        {
            nested[i / NestedSize] = Math.Max(nested[i / NestedSize], Math.Abs(scales[i] - offset));
        }

        for (int i = 0; i < scales.Length; i++)
        {
            codes[i] = NearestDynamic((scales[i] - offset) * Encoding.BlockRange.ReciprocalOrZero(nested[i / NestedSize]));
        }

        return
        [
            Part<byte>("_scale", "U8", codes, codes.Length),
            Part<float>("_scale_scale", "F32", nested, nested.Length),
            Part<float>("_scale_offset", "F32", [offset], 1),
        ];
    }

    private float[] DecodeScales(IReadOnlyDictionary<string, PlainPart> parts)
    {
        byte[] codes = Whole(parts["_scale"]);
        float[] nested = Numbers(parts, "_scale_scale", 2); // and added to an offset of that size at most
        float offset = Numbers(parts, "_scale_offset", 2)[0];
        float[] scales = new float[codes.Length];
        for (int i = 0; i < scales.Length; i++)
        {
            scales[i] = (s_dynamic[codes[i]] * nested[i / NestedSize]) + offset;
        }

        return scales;
    }

    /// <summary>The nearest of the 256 values; in the middle the lower one.</summary>
    private static byte NearestDynamic(float value)
    {
        int above = Array.BinarySearch(s_dynamic, value);
        above = above < 0 ? ~above : above;
        if (above == 0 || above == s_dynamic.Length)
        {
            return (byte)Math.Min(above, s_dynamic.Length - 1);
        }

        return (byte)(s_dynamic[above] - value < value - s_dynamic[above - 1] ? above : above - 1);
    }

    /// <summary>0, 1, and for each i from 0 to 6 the middles of the 2^i equal parts of 0.1 … 1, times 10^(i - 6), with both signs.</summary>
    private static float[] DynamicTable()
    {
        ReadOnlySpan<float> powers = [1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1f];
        List<float> values = [0, 1];
        for (int i = 0; i < 7; i++)
        {
            int count = 1 << i;
            float power = powers[i];
            for (int j = 0; j < count; j++)
            {
                float value = power * ((Boundary(j, count) + Boundary(j + 1, count)) / 2);
                values.Add(value);
                values.Add(-value);
            }
        }

        values.Sort();
        return [.. values];
    }

    /// <summary>Boundary j of <paramref name="count"/> equal parts of 0.1 … 1, in float32 with one rounding, from the nearer end: so the table of
    /// bitsandbytes was made, and its last bits are those.</summary>
    private static float Boundary(int j, int count)
    {
        float step = (1f - 0.1f) / count;
        return j < (count + 1) / 2 ? MathF.FusedMultiplyAdd(step, j, 0.1f) : MathF.FusedMultiplyAdd(-step, count - j, 1f);
    }
}
