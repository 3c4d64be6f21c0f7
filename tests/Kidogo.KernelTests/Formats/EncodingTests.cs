// What every encoder owes, whatever it is compared with: errors bounded by its bits, refusals, and no surprise on hostile weights. Knows no other
// implementation.
using System.Runtime.InteropServices;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;

namespace Kidogo.KernelTests.Formats;

public sealed class EncodingTests
{
    private const int Columns = 512;

    public static TheoryData<string> Encodable => new(WeightFormats.All.Where(format => format.CanEncode).Select(format => format.Name));

    /// <summary>Mean square errors of weights from a normal distribution of variance 1, rounded up to the next that a change of the seed does not
    /// exceed.</summary>
    public static TheoryData<string, double> ErrorBounds => new()
    {
        { "F32", 0 }, { "F16", 7e-8 }, { "BF16", 4e-6 }, { "Q8_0", 5e-5 }, { "Q6_K", 4.5e-4 }, { "Q5_0", 0.0028 }, { "Q5_1", 0.0024 }, { "Q5_K", 0.002 },
        { "Q4_0", 0.012 }, { "Q4_1", 0.009 }, { "Q4_K", 0.008 }, { "IQ4_NL", 0.008 }, { "IQ4_XS", 0.008 }, { "MXFP4", 0.018 }, { "NVFP4", 0.012 },
        { "Q3_K", 0.036 }, { "IQ3_S", 0.036 }, { "IQ3_XXS", 0.055 }, { "Q2_K", 0.14 }, { "IQ2_S", 0.09 }, { "IQ2_XS", 0.13 }, { "IQ2_XXS", 0.16 },
        { "IQ1_S", 0.4 }, { "IQ1_M", 0.4 },
        { "TQ1_0", 0.85 }, { "TQ2_0", 0.85 }, { "Q2_0", 0.8 }, { "Q1_0", 0.42 }, { "SQ4_0", 0.2 },
    };

    [Fact]
    public void ErrorBounds_CoverEveryEncodableFormat() =>
        Assert.Equal(WeightFormats.All.Where(format => format.CanEncode).Select(format => format.Name).Order(),
            ErrorBounds.Select(row => (string)row[0]).Order());

    [Theory]
    [MemberData(nameof(ErrorBounds))]
    public void Encode_NormalWeights_ErrsWithinTheFormatsBound(string name, double bound)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        double error = 0;
        for (int row = 0; row < 8; row++)
        {
            float[] x = Normal(Columns, 1, (ulong)row);
            float[] decoded = RoundTrip(format, x, format.Importance == ImportanceUse.Required ? Ones() : []);
            error += x.Zip(decoded, (a, b) => ((double)a - b) * (a - b)).Average() / 8;
        }

        Assert.True(error <= bound, $"{name}: mean square error {error:G4}, bound {bound}.");
        Assert.True(error >= bound * 0.5, $"{name}: mean square error {error:G4} is far below its bound {bound}, which then bounds nothing.");
    }

    /// <summary>These formats' scales come back from their decoded weights, so a second encoding changes nothing.</summary>
    [Theory]
    [InlineData("F32")]
    [InlineData("F16")]
    [InlineData("BF16")]
    [InlineData("Q4_0")]
    [InlineData("Q4_1")]
    [InlineData("Q5_0")]
    [InlineData("Q5_1")]
    [InlineData("Q8_0")]
    [InlineData("MXFP4")]
    [InlineData("NVFP4")]
    [InlineData("Q1_0")]
    [InlineData("TQ1_0")]
    [InlineData("TQ2_0")]
    [InlineData("Q2_0")]
    public void Encode_WeightsThatWereDecoded_GivesTheSameBytes(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        for (ulong seed = 0; seed < 20; seed++)
        {
            byte[] once = Encode(format, Normal(Columns, 0.05f, seed), []);
            float[] decoded = new float[Columns];
            format.Decode(once, decoded);
            Assert.Equal(once, Encode(format, decoded, []));
        }
    }

    [Theory]
    [MemberData(nameof(Encodable))]
    public void Encode_NotFinite_NamesTheWeight(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        float[] importance = format.Importance == ImportanceUse.Required ? Ones() : [];
        foreach (float bad in (float[])[float.NaN, float.PositiveInfinity, float.NegativeInfinity])
        {
            foreach (int at in (int[])[0, 7, 100, Columns - 1])
            {
                float[] x = Normal(Columns, 1, 1);
                x[at] = bad;
                WeightEncodingException refusal = Assert.Throws<WeightEncodingException>(() => Encode(format, x, importance));
                Assert.Equal(at, refusal.Column);
                Assert.Equal(0, refusal.Row);
                Assert.Equal(name, refusal.Format);
                Assert.Contains($"column {at}", refusal.Message, StringComparison.Ordinal);
            }
        }
    }

    /// <summary>A weight near the end of float32 is either kept finite or refused by name; never written as infinity.</summary>
    [Theory]
    [MemberData(nameof(Encodable))]
    public void Encode_HugeWeights_AreFiniteOrRefused(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        foreach (float huge in (float[])[float.MaxValue, 1e30f, 1e9f, 70000f, 65519f])
        {
            float[] x = Normal(Columns, 1, 2);
            x[300] = -huge;
            try
            {
                Assert.All(RoundTrip(format, x, format.Importance == ImportanceUse.Required ? Ones() : []), weight => Assert.True(float.IsFinite(weight)));
            }
            catch (WeightEncodingException refusal)
            {
                Assert.Equal(300, refusal.Column);
                Assert.Equal(-huge, refusal.Weight);
                Assert.Contains("too large", refusal.Message, StringComparison.Ordinal);
                Assert.True(huge > 60000, $"{name} refused {huge}.");
            }
        }
    }

    [Fact]
    public void Encode_BeyondFloat16_IsRefused()
    {
        foreach (string name in (string[])["F16", "Q8_0", "Q4_0", "Q4_K", "IQ4_XS", "IQ3_S", "TQ2_0"])
        {
            float[] x = new float[Columns];
            x[5] = 1e9f;
            Assert.Equal(5, Assert.Throws<WeightEncodingException>(() => Encode(WeightFormats.ForName(name)!, x, [])).Column);
        }
    }

    [Theory]
    [MemberData(nameof(Encodable))]
    public void Encode_Zeros_DecodeToZeros(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        float[] mixed = new float[Columns];
        mixed.AsSpan(0, 256).Fill(-0f);
        float[] importance = format.Importance == ImportanceUse.Ignored ? [] : Ones();
        Assert.All(RoundTrip(format, mixed, importance), weight => Assert.Equal(0f, Math.Abs(weight)));
    }

    /// <summary>What is far below float16's range becomes zero (or, in F32 and BF16, stays): no infinity, no number out of nothing.</summary>
    [Theory]
    [MemberData(nameof(Encodable))]
    public void Encode_Denormals_NeverGrow(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        float[] x = Normal(Columns, 1, 3);
        for (int i = 0; i < x.Length; i++)
        {
            x[i] = i % 3 == 0 ? 0 : x[i] * 1e-20f * 1e-20f;
        }

        float[] importance = format.Importance == ImportanceUse.Required ? Ones() : [];
        Assert.All(RoundTrip(format, x, importance), weight => Assert.True(Math.Abs(weight) < 1e-38f, $"{name}: {weight}"));
    }

    [Theory]
    [MemberData(nameof(Encodable))]
    public void Encode_LengthsThatDoNotBelongTogether_Throws(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        float[] importance = format.Importance == ImportanceUse.Required ? Ones() : [];
        byte[] blocks = new byte[format.RowBytes(Columns)];
        Assert.Throws<ArgumentException>(() => format.Encode(new float[Columns], importance, blocks.AsSpan(1)));
        Assert.Throws<ArgumentException>(() => format.Encode(new float[Columns], importance, new byte[blocks.Length + 1]));
        Assert.Throws<ArgumentException>(() => format.Encode(new float[Columns - format.BlockSize], new float[Columns], blocks));
        Assert.Throws<ArgumentException>(() => format.Encode(new float[Columns], new float[Columns - 1], blocks));
        if (format.BlockSize > 1)
        {
            Assert.Throws<ArgumentException>(() => format.Encode(new float[Columns - 1], [], blocks));
        }
    }

    [Theory]
    [MemberData(nameof(Encodable))]
    public void Encode_UnusableImportance_Throws(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        foreach (float bad in (float[])[-1, float.NaN, float.PositiveInfinity])
        {
            float[] importance = Ones();
            importance[17] = bad;
            Assert.Contains("column 17", Assert.Throws<ArgumentException>(() => Encode(format, new float[Columns], importance)).Message,
                StringComparison.Ordinal);
        }

        if (format.Importance == ImportanceUse.Required)
        {
            Assert.Contains("without importance", Assert.Throws<ArgumentException>(() => Encode(format, new float[Columns], [])).Message,
                StringComparison.Ordinal);
        }
    }

    [Fact]
    public void All_CanBeEncoded() => Assert.All(WeightFormats.All, format => Assert.True(format.CanEncode, format.Name));

    [Fact]
    public void Encode_FormatThatIsOnlyRead_Throws()
    {
        BlockFormat<ReadOnlyBlock> format = new();
        Assert.False(format.CanEncode);
        Assert.Contains("only-read", Assert.Throws<NotSupportedException>(() => Encode(format, new float[Columns], [])).Message, StringComparison.Ordinal);
        using WorkerTeam team = new(1);
        Assert.Throws<NotSupportedException>(() => BlockEncoder.Encode(format, new float[4], 4, default, new byte[4], team));
    }

    /// <summary>With importance the weighed error falls (or, for formats that ignore it, the bytes stay).</summary>
    [Theory]
    [MemberData(nameof(Encodable))]
    public void Encode_WithImportance_LowersWhatItWeighs(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        if (format.Importance == ImportanceUse.Required)
        {
            return;
        }

        double plain = 0;
        double weighed = 0;
        for (ulong seed = 0; seed < 8; seed++)
        {
            float[] x = Normal(Columns, 0.1f, seed);
            float[] importance = [.. Normal(Columns, 1, 100 + seed).Select(value => value * value * value * value)];
            if (format.Importance == ImportanceUse.Ignored)
            {
                Assert.Equal(Encode(format, x, []), Encode(format, x, importance));
                continue;
            }

            plain += Weighed(x, RoundTrip(format, x, []), importance);
            weighed += Weighed(x, RoundTrip(format, x, importance), importance);
        }

        Assert.True(weighed < plain || format.Importance == ImportanceUse.Ignored, $"{name}: {weighed:G4} with importance, {plain:G4} without.");
    }

    [Fact]
    public void BlockEncoder_AnyThreadsAndAnySource_GivesTheBytesOfEachRowAlone()
    {
        const int Rows = 37;
        float[] weights = Normal(Rows * Columns, 0.05f, 9);
        byte[] halves = Encode(WeightFormats.ForName("F16")!, weights, []);
        WeightFormats.ForName("F16")!.Decode(halves, weights);
        float[] importance = [.. Normal(Columns, 1, 10).Select(Math.Abs)];
        foreach (string name in (string[])["Q4_0", "Q4_K", "IQ3_S", "BF16"])
        {
            WeightFormat format = WeightFormats.ForName(name)!;
            int rowBytes = (int)format.RowBytes(Columns);
            byte[] expected = new byte[Rows * rowBytes];
            for (int row = 0; row < Rows; row++)
            {
                format.Encode(weights.AsSpan(row * Columns, Columns), importance, expected.AsSpan(row * rowBytes, rowBytes));
            }

            for (int threads = 1; threads <= 3; threads++)
            {
                using WorkerTeam team = new(threads);
                byte[] actual = new byte[expected.Length];
                BlockEncoder.Encode(format, weights, Columns, importance, actual, team);
                Assert.Equal(expected, actual);
                actual.AsSpan().Clear();
                BlockEncoder.Encode(format, WeightFormats.ForName("F16")!, halves, Columns, importance, actual, team);
                Assert.Equal(expected, actual);
            }
        }
    }

    [Fact]
    public void BlockEncoder_NotFinite_NamesTheRow()
    {
        using WorkerTeam team = new(2);
        float[] weights = new float[4 * 64];
        weights[(2 * 64) + 5] = float.NaN;
        WeightEncodingException refusal = Assert.Throws<WeightEncodingException>(
            () => BlockEncoder.Encode(WeightFormats.ForName("Q4_0")!, weights, 64, default, new byte[4 * 36], team, firstRow: 1000));
        Assert.Equal(1002, refusal.Row);
        Assert.Equal(5, refusal.Column);
    }

    [Fact]
    public void BlockEncoder_LengthsThatDoNotBelongTogether_Throws()
    {
        using WorkerTeam team = new(1);
        WeightFormat format = WeightFormats.ForName("Q4_0")!;
        Assert.Throws<ArgumentException>(() => BlockEncoder.Encode(format, new float[65], 64, default, new byte[36], team));
        Assert.Throws<ArgumentException>(() => BlockEncoder.Encode(format, new float[64], 64, default, new byte[37], team));
        Assert.Throws<ArgumentException>(() => BlockEncoder.Encode(format, new float[60], 60, default, new byte[36], team));
        Assert.Throws<ArgumentOutOfRangeException>(() => BlockEncoder.Encode(format, new float[64], 0, default, new byte[36], team));
        Assert.Throws<ArgumentException>(() => BlockEncoder.Encode(format, WeightFormats.ForName("F16")!, new byte[129], 64, default, new byte[36], team));
    }

    private static double Weighed(float[] x, float[] decoded, float[] importance) =>
        Enumerable.Range(0, x.Length).Sum(i => importance[i] * ((double)x[i] - decoded[i]) * (x[i] - decoded[i]));

    private static byte[] Encode(WeightFormat format, float[] x, float[] importance)
    {
        byte[] blocks = new byte[format.RowBytes(x.Length)];
        format.Encode(x, importance, blocks);
        return blocks;
    }

    private static float[] RoundTrip(WeightFormat format, float[] x, float[] importance)
    {
        float[] decoded = new float[x.Length];
        format.Decode(Encode(format, x, importance), decoded);
        return decoded;
    }

    private static float[] Ones()
    {
        float[] ones = new float[Columns];
        ones.AsSpan().Fill(1);
        return ones;
    }

    /// <summary>Normal enough: the sum of twelve uniform numbers (Irwin-Hall), which needs no function of the runtime.</summary>
    private static float[] Normal(int count, float deviation, ulong seed)
    {
        Pseudorandom random = new(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
        {
            float sum = 0;
            for (int j = 0; j < 12; j++)
            {
                sum += random.Float();
            }

            values[i] = sum * 0.5f * deviation;
        }

        return values;
    }

    /// <summary>A format whose author wrote no encoder.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 1)]
    private struct ReadOnlyBlock : IWeightBlock<ReadOnlyBlock>
    {
        public static string Name => "only-read";

        public static uint GgufTypeId => uint.MaxValue;

        public static int BlockSize => 1;

        public static int BlockBytes => 1;

        public static void Decode(in ReadOnlyBlock block, Span<float> destination) => destination[0] = 0;
    }
}
