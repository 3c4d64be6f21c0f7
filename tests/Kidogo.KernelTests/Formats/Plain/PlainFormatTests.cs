// Formats that are codes with scales beside them: their laws, and what they refuse. Knows no other implementation.
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Formats.Plain;

namespace Kidogo.KernelTests.Formats.Plain;

public sealed class PlainFormatTests
{
    private const int Rows = 6;
    private const int Columns = 75; // neither a multiple of a byte's codes nor of NF4's 64

    public static TheoryData<string> Names => new(PlainFormats.All.Select(format => format.Name));

    /// <summary>The worked example of many introductions: 2.65 becomes 127, and everything comes back within half a step.</summary>
    [Fact]
    public void Int8Tensor_WorkedExample_GivesItsCodesAndHalfAStep()
    {
        float[] matrix = [2.52f, -1.12f, 1.74f, 0.05f, 0.08f, -0.22f, -1.21f, 2.65f, -0.13f, 1.60f, 0.02f, -1.31f, 2.13f, -0.01f, 1.83f, 1.65f];
        sbyte[] expected = [121, -54, 83, 2, 4, -11, -58, 127, -6, 77, 1, -63, 102, 0, 88, 79];
        PlainFormat format = PlainFormats.ForName("int8-tensor")!;
        IReadOnlyList<StoredPart> parts = format.Encode(matrix, 4, 4);
        Assert.Equal(expected, Array.ConvertAll(parts[0].Bytes, code => (sbyte)code));
        Assert.Equal(2.65f / 127, BitConverter.ToSingle(parts[1].Bytes));
        float[] decoded = Decode(format, parts, 4, 4);
        Assert.All(matrix.Zip(decoded), pair => Assert.True(Math.Abs(pair.First - pair.Second) <= 0.0105f));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Encode_ThenDecode_StaysWithinHalfAStep(string name)
    {
        PlainFormat format = PlainFormats.ForName(name)!;
        float[] weights = new Pseudorandom(1).Floats(Rows * Columns);
        float[] decoded = Decode(format, format.Encode(weights, Rows, Columns), Rows, Columns);

        // Weights are uniform in -1 … 1: half a step of each grid, or what clipping leaves at the ends.
        double bound = name switch
        {
            "int8-row" or "int8-tensor" => 0.5 / 127,
            "int8-row-zero-point" or "int8-tensor-zero-point" => 1.01 / 255,
            "nf4" or "nf4-double" => 0.16,
            "float8-e4m3" => 1 / 16.0,
            "float8-e5m2" => 1 / 8.0,
            "codebook-4" => 1 / 12.0,
            "codebook-3" => 1 / 6.0,
            "codebook-2" => 1 / 3.0,
            _ => 0.55, // ternary and binary: the mean magnitude is a half
        };
        Assert.All(weights.Zip(decoded), pair => Assert.True(Math.Abs(pair.First - pair.Second) <= bound, $"{name}: {pair.First} became {pair.Second}"));
        Assert.Contains(weights.Zip(decoded), pair => Math.Abs(pair.First - pair.Second) > bound / 4);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Encode_Zeros_DecodeToNearlyZeros(string name)
    {
        PlainFormat format = PlainFormats.ForName(name)!;
        Assert.All(Decode(format, format.Encode(new float[Rows * Columns], Rows, Columns), Rows, Columns), weight => Assert.Equal(0f, Math.Abs(weight)));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Encode_ExtremeWeights_DecodeToFinite(string name)
    {
        PlainFormat format = PlainFormats.ForName(name)!;
        foreach (float size in (float[])[1e37f, 1e-45f, 1e-38f])
        {
            float[] weights = [.. new Pseudorandom(2).Floats(Rows * Columns).Select(weight => weight < 0 ? -size : weight * size)];
            Assert.All(Decode(format, format.Encode(weights, Rows, Columns), Rows, Columns), weight => Assert.True(Math.Abs(weight) <= size * 1.1,
                $"{name}: {weight}"));
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Encode_NotFiniteOrTooLarge_NamesTheWeight(string name)
    {
        float[] weights = new float[Rows * Columns];
        weights[(3 * Columns) + 11] = float.NegativeInfinity;
        WeightEncodingException refusal = Assert.Throws<WeightEncodingException>(() => PlainFormats.ForName(name)!.Encode(weights, Rows, Columns));
        Assert.Equal(3, refusal.Row);
        Assert.Equal(11, refusal.Column);
        weights[(3 * Columns) + 11] = 2e37f;
        refusal = Assert.Throws<WeightEncodingException>(() => PlainFormats.ForName(name)!.Encode(weights, Rows, Columns));
        Assert.Equal(11, refusal.Column);
        Assert.Contains("too large", refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void EncodeAndDecode_LengthsThatDoNotBelongTogether_Throw(string name)
    {
        PlainFormat format = PlainFormats.ForName(name)!;
        Assert.Throws<ArgumentException>(() => format.Encode(new float[5], 2, 3));
        Assert.Throws<ArgumentException>(() => format.Encode([], 0, 3));
        Assert.Throws<ArgumentException>(() => format.Decode(new Dictionary<string, StoredPart>(), 2, 3, new float[5]));
    }

    /// <summary>Parts from a stranger: each one missing, shorter, longer or of another type is refused by name.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void Decode_DamagedParts_AreRefused(string name)
    {
        PlainFormat format = PlainFormats.ForName(name)!;
        IReadOnlyList<StoredPart> parts = format.Encode(new Pseudorandom(3).Floats(Rows * Columns), Rows, Columns);
        foreach (StoredPart part in parts)
        {
            int element = part.DType == "F32" ? 4 : 1;
            StoredPart?[] damaged =
            [
                null, part with { Bytes = part.Bytes[element..] }, part with { Bytes = [.. part.Bytes, .. new byte[element]] },
                    part with { Bytes = [] }, part with { DType = "I64" },
            ];
            foreach (StoredPart? other in damaged)
            {
                Dictionary<string, StoredPart> all = parts.ToDictionary(each => each.Suffix);
                all.Remove(part.Suffix);
                if (other is not null)
                {
                    all.Add(part.Suffix, other);
                }

                string message = Assert.Throws<InvalidDataException>(() => format.Decode(all, Rows, Columns, new float[Rows * Columns])).Message;
                Assert.Contains($"…{part.Suffix}\"", message, StringComparison.Ordinal);
            }
        }
    }

    /// <summary>Any bytes of the right length decode to something, or are refused: scales that are no numbers, 8-bit floats that are none.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void Decode_AnyBytes_GivesFiniteWeightsOrRefuses(string name)
    {
        PlainFormat format = PlainFormats.ForName(name)!;
        Pseudorandom random = new(4);
        for (int round = 0; round < 40; round++)
        {
            Dictionary<string, StoredPart> parts = format.Encode(random.Floats(Rows * Columns), Rows, Columns).ToDictionary(part => part.Suffix);
            foreach (StoredPart part in parts.Values.Where(part => round % 2 == 0 || part.DType != "F32"))
            {
                random.Fill(part.Bytes);
            }

            float[] decoded = new float[Rows * Columns];
            try
            {
                format.Decode(parts, Rows, Columns, decoded);
            }
            catch (InvalidDataException)
            {
                Assert.True(round % 2 == 0 || name.StartsWith("float8", StringComparison.Ordinal), "codes alone are never refused");
                continue;
            }

            Assert.All(decoded, weight => Assert.True(float.IsFinite(weight)));
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Decode_ScalesThatAreNoNumbers_AreRefusedByName(string name)
    {
        PlainFormat format = PlainFormats.ForName(name)!;
        IReadOnlyList<StoredPart> parts = format.Encode(new Pseudorandom(5).Floats(Rows * Columns), Rows, Columns);
        foreach (StoredPart part in parts.Where(part => part.DType == "F32"))
        {
            foreach (float bad in (float[])[float.NaN, float.PositiveInfinity, float.NegativeInfinity])
            {
                byte[] bytes = [.. part.Bytes];
                BitConverter.TryWriteBytes(bytes.AsSpan(bytes.Length - 4), bad);
                Dictionary<string, StoredPart> all = parts.ToDictionary(each => each.Suffix, each => each == part ? part with { Bytes = bytes } : each);
                string message = Assert.Throws<InvalidDataException>(() => format.Decode(all, Rows, Columns, new float[Rows * Columns])).Message;
                Assert.Contains($"…{part.Suffix}\" of a matrix stored as {name} has {bad}", message, StringComparison.Ordinal);
            }
        }
    }

    [Theory]
    [InlineData("float8-e4m3", 0x7F)]
    [InlineData("float8-e4m3", 0xFF)]
    [InlineData("float8-e5m2", 0x7C)]
    [InlineData("float8-e5m2", 0xFE)]
    public void Decode_Float8ThatIsNotFinite_NamesItsPlace(string name, byte code)
    {
        PlainFormat format = PlainFormats.ForName(name)!;
        Dictionary<string, StoredPart> parts = format.Encode(new Pseudorandom(6).Floats(Rows * Columns), Rows, Columns).ToDictionary(part => part.Suffix);
        parts[""].Bytes[(4 * Columns) + 9] = code;
        Assert.Contains("row 4, column 9", Assert.Throws<InvalidDataException>(() => format.Decode(parts, Rows, Columns, new float[Rows * Columns])).Message, StringComparison.Ordinal);
    }

    /// <summary>What is announced to the writer of a file is what comes.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void Layout_AnyMatrix_IsWhatEncodeMakes(string name)
    {
        PlainFormat format = PlainFormats.ForName(name)!;
        foreach ((int rows, int columns) in ((int, int)[])[(1, 1), (1, 63), (3, 64), (Rows, Columns), (17, 257)])
        {
            IReadOnlyList<StoredPart> parts = format.Encode(new Pseudorandom(7).Floats(rows * columns), rows, columns);
            IReadOnlyList<PartLayout> layout = format.Layout(rows, columns);
            Assert.Equal(layout.Select(part => (part.Suffix, part.DType, string.Join(',', part.Shape), part.Bytes)), parts.Select(part => (part.Suffix, part.DType, string.Join(',', part.Shape), part.Bytes.LongLength)));
        }
    }

    [Fact]
    public void Parts_HaveTheNamesAndShapesOfTheSpecification()
    {
        Check("int8-row", "I8[6,75] _scale:F32[6,1]");
        Check("int8-tensor", "I8[6,75] _scale:F32[1,1]");
        Check("int8-row-zero-point", "U8[6,75] _scale:F32[6,1] _zero_point:U8[6,1]");
        Check("ternary", "U8[113] _scale:F32[1]");
        Check("binary-row", "U8[57] _scale:F32[6,1]");
        Check("nf4", "U8[225] _scale:F32[8]");
        Check("nf4-double", "U8[225] _scale:U8[8] _scale_scale:F32[1] _scale_offset:F32[1]");
        Check("float8-e4m3", "F8_E4M3[6,75] _scale:F32[6,1]");
        Check("codebook-3", "U8[169] _centres:F32[8]");
    }

    private static void Check(string name, string expected) => Assert.Equal(
        expected,
        string.Join(' ', PlainFormats.ForName(name)!.Encode(new Pseudorandom(5).Floats(Rows * Columns), Rows, Columns)
            .Select(part => $"{part.Suffix}{(part.Suffix.Length > 0 ? ":" : "")}{part.DType}[{string.Join(',', part.Shape)}]")));

    private static float[] Decode(PlainFormat format, IReadOnlyList<StoredPart> parts, int rows, int columns)
    {
        float[] decoded = new float[rows * columns];
        format.Decode(parts.ToDictionary(part => part.Suffix), rows, columns, decoded);
        return decoded;
    }
}
