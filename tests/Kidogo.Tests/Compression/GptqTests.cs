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

        GptqResult result = Gptq.Quantize(weights, Hessian(x), grids, options);

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
        Assert.InRange(OutputError(original, weights, x), expected * (1 - RelativeErrorTolerance), expected * (1 + RelativeErrorTolerance));
    }

    [Fact]
    public void Quantize_CorrelatedInputsAtThreeBits_LosesMuchLessThanRounding()
    {
        Random random = new(5);
        Tensor x = Correlated(random, 512, 128), original = Normal(random, 96, 128), weights = new(96, 128), rounded = new(96, 128);
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

        Gptq.Quantize(weights, Hessian(x), Grids(weights, laid), new GptqOptions { OrderByActivation = true, StaticGroups = true, BlockColumns = 32 });
        Assert.InRange(OutputError(original, weights, x) / OutputError(original, rounded, x), 0, MostOfRoundingError);
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
            Tensor x = Correlated(random, 100, 200), weights = Normal(random, 37, 200);
            Gptq.Quantize(weights, Hessian(x), Grids(weights, new UniformGridOptions { Bits = 3, GroupColumns = 32 }), new GptqOptions { Threads = count, OrderByActivation = true, StaticGroups = true });
            return weights.Span.ToArray();
        }

        Assert.Equal(Run(1), Run(threads));
    }

    [Fact]
    public void Quantize_FewerTokensThanColumns_GrowsTheDampingUntilItWorks()
    {
        Random random = new(3);
        Tensor x = Normal(random, 2, 40), weights = Normal(random, 5, 40);
        GptqResult result = Gptq.Quantize(weights, Hessian(x), Grids(weights, new UniformGridOptions()), new GptqOptions { Damping = 0 });
        Assert.True(result.Damping > 0);
        Assert.All(weights.Span.ToArray(), value => Assert.True(float.IsFinite(value)));
    }

    [Fact]
    public void Quantize_HessianWithNaN_SaysTheCalibrationIsDamaged()
    {
        Tensor weights = Normal(new Random(1), 2, 4);
        float[] hessian = new float[16];
        hessian[5] = float.NaN;
        Assert.Throws<InvalidDataException>(() => Gptq.Quantize(weights, hessian, Grids(weights, new UniformGridOptions()), new GptqOptions()));
    }

    [Fact]
    public void Quantize_HessianOfAnotherSize_IsRefused()
    {
        Tensor weights = Normal(new Random(1), 2, 4);
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
        Tensor x = Normal(new Random(size), 4 * size, size);
        float[] hessian = Hessian(x);
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

    private static float[] Hessian(Tensor x)
    {
        float[] hessian = new float[x.Columns * x.Columns];
        for (int i = 0; i < x.Columns; i++)
        {
            for (int j = 0; j < x.Columns; j++)
            {
                double sum = 0;
                for (int t = 0; t < x.Rows; t++)
                {
                    sum += (double)x.Row(t)[i] * x.Row(t)[j];
                }

                hessian[(i * x.Columns) + j] = (float)(2 * sum);
            }
        }

        return hessian;
    }

    private static double OutputError(Tensor weights, Tensor rounded, Tensor x)
    {
        double error = 0, all = 0;
        for (int t = 0; t < x.Rows; t++)
        {
            for (int r = 0; r < weights.Rows; r++)
            {
                double difference = 0, output = 0;
                for (int c = 0; c < x.Columns; c++)
                {
                    difference += (double)x.Row(t)[c] * ((double)weights.Row(r)[c] - rounded.Row(r)[c]);
                    output += (double)x.Row(t)[c] * weights.Row(r)[c];
                }

                error += difference * difference;
                all += output * output;
            }
        }

        return error / all;
    }

    private static Tensor Normal(Random random, int rows, int columns)
    {
        Tensor matrix = new(rows, columns);
        foreach (ref float value in matrix.Span)
        {
            value = (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
        }

        return matrix;
    }

    /// <summary>Inputs that few directions explain, as activations are.</summary>
    private static Tensor Correlated(Random random, int rows, int columns)
    {
        const int Directions = 12;
        Tensor latent = Normal(random, rows, Directions), mixing = Normal(random, Directions, columns), x = Normal(random, rows, columns);
        for (int t = 0; t < rows; t++)
        {
            for (int c = 0; c < columns; c++)
            {
                float sum = 0.3f * x.Row(t)[c];
                for (int d = 0; d < Directions; d++)
                {
                    sum += latent.Row(t)[d] * mixing.Row(d)[c];
                }

                x.Row(t)[c] = sum;
            }
        }

        return x;
    }

    private static void AssertClose(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], actual[i], ValueTolerance);
        }
    }
}
