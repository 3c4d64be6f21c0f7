// GPTQ: edges, what it promises, and the codes of the authors' own program.
using System.Text.Json;
using Kidogo.Compression.Quantization;
using Kidogo.Tensors;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Compression;

public sealed class GptqTests
{
    /// <summary>Values and scales of the authors' program are in float32, ours too, in another order of sums.</summary>
    private const float ValueTolerance = 1e-6f;

    /// <summary>Errors are small differences of large sums.</summary>
    private const double RelativeErrorTolerance = 1e-4;

    /// <summary>What the task of GPTQ is at 3 bits in groups of 32 on correlated inputs: at most this share of the error of rounding.</summary>
    private const double MostOfRoundingError = 0.30;

    public static TheoryData<string> Cases
    {
        get
        {
            TheoryData<string> cases = [];
            if (SharedFolder.Root is not null)
            {
                using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden/compression/gptq.json")));
                foreach (JsonProperty entry in json.RootElement.EnumerateObject())
                {
                    cases.Add(entry.Name);
                }
            }
            else
            {
                cases.Add("");
            }

            return cases;
        }
    }

    [SharedTheory]
    [MemberData(nameof(Cases))]
    public void Quantize_AuthorsCases_GivesTheirCodes(string name)
    {
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden/compression/gptq.json")));
        JsonElement info = json.RootElement.GetProperty(name);
        IReadOnlyDictionary<string, FixtureTensor> golden = SafetensorsFixture.Read(SharedFolder.PathOf("golden/compression/gptq.safetensors"));
        IReadOnlyDictionary<string, FixtureTensor> layer = SafetensorsFixture.Read(SharedFolder.PathOf("golden/compression/layer.safetensors"));
        Tensor original = Matrix(layer["W"]), x = Matrix(layer["X"]), weights = Matrix(layer["W"]);
        if (info.TryGetProperty("dead", out JsonElement dead))
        {
            for (int t = 0; t < x.Rows; t++)
            {
                x.Row(t)[dead.GetInt32()] = 0;
            }
        }

        UniformGridOptions laid = new()
        {
            Bits = info.GetProperty("bits").GetInt32(),
            Symmetric = info.GetProperty("sym").GetBoolean(),
            GroupColumns = Math.Max(0, info.GetProperty("groupsize").GetInt32()),
            SearchesRange = info.TryGetProperty("mse", out JsonElement mse) && mse.GetBoolean(),
        };
        GptqOptions options = new()
        {
            Damping = info.GetProperty("percdamp").GetDouble(),
            BlockColumns = info.GetProperty("blocksize").GetInt32(),
            OrderByActivation = info.GetProperty("actorder").GetBoolean(),
            StaticGroups = info.TryGetProperty("static_groups", out JsonElement isStatic) && isStatic.GetBoolean(),
        };
        UniformGrid[] grids = Grids(weights, laid);

        GptqResult result = Gptq.Quantize(weights, Calibrations.Hessian(x), grids, options);

        byte[] codes = golden[$"{name}/codes"].As<byte>();
        float[] scales = golden[$"{name}/scales"].As<float>(), zeros = golden[$"{name}/zeros"].As<float>(), quantised = golden[$"{name}/quantised"].As<float>();
        for (int r = 0; r < weights.Rows; r++)
        {
            Assert.Equal(codes.AsSpan(r * 64, 64), grids[r].Codes);
            Assert.Equal(RowOf(zeros, r), grids[r].Zeros);
            AssertClose(RowOf(scales, r), grids[r].Scales);
            AssertClose(RowOf(quantised, r), weights.Row(r));
        }

        Assert.Equal(Integers(golden[$"{name}/g_idx"]), result.GroupOfColumn);
        if (golden.TryGetValue($"{name}/order", out FixtureTensor? order))
        {
            Assert.Equal(Integers(order), result.Order);
        }

        double expected = info.GetProperty("error").GetDouble();
        Assert.InRange(Calibrations.OutputError(original, weights, x), expected * (1 - RelativeErrorTolerance), expected * (1 + RelativeErrorTolerance));
    }

    [Fact]
    public void Quantize_CorrelatedInputsAtThreeBits_LosesMuchLessThanRounding()
    {
        Random random = new(5);
        Tensor x = Calibrations.Correlated(random, 512, 128), original = Calibrations.Normal(random, 96, 128), weights = new(96, 128), rounded = new(96, 128);
        original.Span.CopyTo(weights.Span);
        UniformGridOptions laid = new() { Bits = 3, GroupColumns = 32 };

        UniformGrid[] grids = Grids(rounded, laid);
        for (int r = 0; r < 96; r++)
        {
            for (int c = 0; c < 128; c++)
            {
                if (c % 32 == 0)
                {
                    grids[r].Fit(c / 32, original.Row(r).Slice(c, 32), []);
                }

                rounded.Row(r)[c] = grids[r].Round(c / 32, c, original.Row(r)[c]);
            }
        }

        Gptq.Quantize(weights, Calibrations.Hessian(x), Grids(weights, laid), new GptqOptions { OrderByActivation = true, StaticGroups = true, BlockColumns = 32 });
        Assert.InRange(Calibrations.OutputError(original, weights, x) / Calibrations.OutputError(original, rounded, x), 0, MostOfRoundingError);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Quantize_WithSweeps_NeverLosesMoreAndStaysOnTheGrid(int bits)
    {
        Random random = new(6);
        Tensor x = Calibrations.Correlated(random, 400, 128), original = Calibrations.Normal(random, 24, 128);
        (Tensor Weights, UniformGrid[] Grids) Run(int sweeps)
        {
            Tensor weights = new(24, 128);
            original.Span.CopyTo(weights.Span);
            UniformGrid[] grids = Grids(weights, new UniformGridOptions { Bits = bits, GroupColumns = 32 });
            Gptq.Quantize(weights, Calibrations.Hessian(x), grids, new GptqOptions { OrderByActivation = true, StaticGroups = true, Sweeps = sweeps, Damping = 1e-4 });
            return (weights, grids);
        }

        (Tensor plain, _) = Run(0);
        (Tensor swept, UniformGrid[] laid) = Run(3);
        Assert.InRange(Calibrations.OutputError(original, swept, x) / Calibrations.OutputError(original, plain, x), 0, 0.98); // a little of it is the damping's
        for (int r = 0; r < 24; r++)
        {
            for (int c = 0; c < 128; c++)
            {
                Assert.Equal(swept.Row(r)[c], laid[r].Round(c / 32, c, swept.Row(r)[c])); // a point of the grid comes back as it is
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Quantize_Threads_DoNotShow(int threads)
    {
        float[] Run(int count)
        {
            Random random = new(9);
            Tensor x = Calibrations.Correlated(random, 100, 200), weights = Calibrations.Normal(random, 37, 200);
            Gptq.Quantize(weights, Calibrations.Hessian(x), Grids(weights, new UniformGridOptions { Bits = 3, GroupColumns = 32 }), new GptqOptions { Threads = count, OrderByActivation = true, StaticGroups = true });
            return weights.Span.ToArray();
        }

        Assert.Equal(Run(1), Run(threads));
    }

    [Fact]
    public void Quantize_FewerTokensThanColumns_GrowsTheDampingUntilItWorks()
    {
        Random random = new(3);
        Tensor x = Calibrations.Normal(random, 2, 40), weights = Calibrations.Normal(random, 5, 40);
        GptqResult result = Gptq.Quantize(weights, Calibrations.Hessian(x), Grids(weights, new UniformGridOptions()), new GptqOptions { Damping = 0 });
        Assert.True(result.Damping > 0);
        Assert.All(weights.Span.ToArray(), value => Assert.True(float.IsFinite(value)));
    }

    [Fact]
    public void Quantize_HessianWithNaN_SaysTheCalibrationIsDamaged()
    {
        Tensor weights = Calibrations.Normal(new Random(1), 2, 4);
        float[] hessian = new float[16];
        hessian[5] = float.NaN;
        Assert.Throws<InvalidDataException>(() => Gptq.Quantize(weights, hessian, Grids(weights, new UniformGridOptions()), new GptqOptions()));
    }

    [Fact]
    public void Quantize_HessianOfAnotherSize_IsRefused()
    {
        Tensor weights = Calibrations.Normal(new Random(1), 2, 4);
        Assert.Throws<ArgumentException>(() => Gptq.Quantize(weights, new float[9], Grids(weights, new UniformGridOptions()), new GptqOptions()));
    }

    /// <summary>UᵀU H = 1, with H worked out here in another way.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(150)]
    public void Factor_AnySize_IsARootOfTheInverse(int size)
    {
        const double Tolerance = 1e-3; // U is kept in float32, and H's condition number is about a hundred
        Tensor x = Calibrations.Normal(new Random(size), 4 * size, size);
        float[] hessian = Calibrations.Hessian(x);
        ErrorPropagation factor = ErrorPropagation.Factor(hessian, null, 0, 2);
        double[,] upper = new double[size, size];
        for (int i = 0; i < size; i++)
        {
            for (int j = i; j < size; j++)
            {
                upper[i, j] = factor.Row(i)[j - i];
            }
        }

        for (int i = 0; i < size; i += 7)
        {
            for (int j = 0; j < size; j += 5)
            {
                double sum = 0;
                for (int k = 0; k < size; k++)
                {
                    for (int m = 0; m <= Math.Min(i, k); m++)
                    {
                        sum += upper[m, i] * upper[m, k] * hessian[(k * size) + j];
                    }
                }

                Assert.Equal(i == j ? 1 : 0, sum, Tolerance);
            }
        }
    }

    private static UniformGrid[] Grids(Tensor weights, UniformGridOptions options) =>
        [.. Enumerable.Range(0, weights.Rows).Select(_ => new UniformGrid(weights.Columns, options))];

    /// <summary>Row r of 48.</summary>
    private static ReadOnlySpan<float> RowOf(float[] values, int r) => values.AsSpan(r * values.Length / 48, values.Length / 48);

    private static Tensor Matrix(FixtureTensor tensor)
    {
        Tensor matrix = new((int)tensor.Shape[0], (int)tensor.Shape[1]);
        tensor.As<float>().CopyTo(matrix.Span);
        return matrix;
    }

    private static int[] Integers(FixtureTensor tensor) =>
        tensor.DType == "I64" ? [.. tensor.As<long>().Select(value => (int)value)] : tensor.DType == "U8" ? [.. tensor.As<byte>().Select(value => (int)value)] : tensor.As<int>();

    private static void AssertClose(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], actual[i], ValueTolerance);
        }
    }
}
