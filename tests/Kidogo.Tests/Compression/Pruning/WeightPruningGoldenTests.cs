// Magnitude, Wanda and SparseGPT on one layer: masks and weights of the authors' own programs.
using System.Text.Json;
using Kidogo.Compression.Pruning;
using Kidogo.Compression.Quantization;
using Kidogo.Tensors;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Compression.Pruning;

public sealed class WeightPruningGoldenTests
{
    private const int Rows = 48, Columns = 64;

    /// <summary>The reference's own statement for weights in float32.</summary>
    private const float ValueTolerance = 1e-6f;

    /// <summary>Errors are small differences of large sums.</summary>
    private const double RelativeErrorTolerance = 1e-4;

    private static readonly Lazy<IReadOnlyDictionary<string, FixtureTensor>> s_golden = new(() => SafetensorsFixture.Read(SharedFolder.PathOf("golden/compression/pruning.safetensors")));
    private static readonly Lazy<IReadOnlyDictionary<string, FixtureTensor>> s_layer = new(() => SafetensorsFixture.Read(SharedFolder.PathOf("golden/compression/layer.safetensors")));

    [SharedTheory]
    [InlineData("magnitude_50", "0.5", PruneScope.Layer)]
    [InlineData("magnitude_50", "50%", PruneScope.Model)]
    [InlineData("magnitude_50_per_row", "0.5", PruneScope.Row)]
    [InlineData("magnitude_2of4", "2:4", PruneScope.Layer)]
    public void Magnitude_GivesTheReferenceMask(string name, string sparsity, PruneScope scope) => AssertMask(name, Magnitude.Mask(Weights(), Sparsity.TryParse(sparsity)!, scope), Weights());

    [SharedFact]
    public void Magnitude_ByThreshold_GivesTheReferenceMask()
    {
        float[] sorted = [.. Weights().Span.ToArray().Select(MathF.Abs).Order()];
        AssertMask("magnitude_50_wanda_repository", Magnitude.Mask(Weights(), sorted[sorted.Length / 2]), Weights());
    }

    [SharedTheory]
    [InlineData("wanda_50", "0.5")]
    [InlineData("wanda_2of4", "2:4")]
    [InlineData("wanda_4of8", "4:8")]
    public void Wanda_GivesTheReferenceMask(string name, string sparsity)
    {
        float[] norms = Norms();
        float[] scores = new float[Columns], expected = s_golden.Value["wanda_score"].As<float>();
        for (int row = 0; row < Rows; row++)
        {
            Wanda.Score(Weights().Row(row), norms, scores);
            Assert.All(Enumerable.Range(0, Columns), c => Assert.Equal(expected[(row * Columns) + c], scores[c], ValueTolerance * (1 + expected[(row * Columns) + c])));
        }

        AssertMask(name, Wanda.Mask(Weights(), norms, Sparsity.TryParse(sparsity)!), Weights());
    }

    [SharedTheory]
    [InlineData("sparsegpt_50", 1)]
    [InlineData("sparsegpt_50", 3)]
    [InlineData("sparsegpt_2of4", 1)]
    [InlineData("sparsegpt_4of8", 2)]
    [InlineData("sparsegpt_50_blocksize16", 1)]
    [InlineData("sparsegpt_50_w4", 1)]
    [InlineData("sparsegpt_50_dead_column", 1)]
    public void SparseGpt_GivesTheReferenceMaskAndWeights(string name, int threads)
    {
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden/compression/pruning.json")));
        JsonElement info = json.RootElement.GetProperty(name);
        Tensor weights = Weights(), x = Inputs();
        if (info.TryGetProperty("dead", out JsonElement dead))
        {
            for (int t = 0; t < x.Rows; t++)
            {
                x.Row(t)[dead.GetInt32()] = 0;
            }
        }

        SparseGptOptions options = new()
        {
            Sparsity = info.TryGetProperty("prunen", out JsonElement zeros) ? Sparsity.Grouped(zeros.GetInt32(), info.GetProperty("prunem").GetInt32()) : new Sparsity(info.GetProperty("sparsity").GetDouble()),
            Damping = info.GetProperty("percdamp").GetDouble(),
            BlockColumns = info.GetProperty("blocksize").GetInt32(),
            Threads = threads,
        };
        UniformGrid[]? grids = info.TryGetProperty("bits", out JsonElement bits)
            ? [.. Enumerable.Range(0, Rows).Select(_ => new UniformGrid(Columns, new UniformGridOptions { Bits = bits.GetInt32() }))]
            : null;

        WeightMask mask = SparseGpt.Prune(weights, Calibrations.Hessian(x), options, grids);

        float[] expected = s_golden.Value[$"{name}/weights"].As<float>();
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], weights.Span[i], ValueTolerance);
            Assert.True(!mask[i / Columns, i % Columns] || weights.Span[i] == 0);
        }

        Assert.Equal(info.GetProperty("zeros").GetInt32(), weights.Span.Count(0f));
        AssertError(info, Weights(), weights, x);
    }

    [SharedFact]
    public void GradualSchedule_GivesTheReferenceSparsities()
    {
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden/compression/pruning.json")));
        JsonElement info = json.RootElement.GetProperty("gradual_schedule");
        GradualSchedule schedule = new(info.GetProperty("final").GetDouble(), info.GetProperty("first_step").GetDouble(), info.GetProperty("last_step").GetDouble());
        foreach (JsonProperty step in info.GetProperty("sparsity").EnumerateObject())
        {
            Assert.Equal(step.Value.GetDouble(), schedule.At(int.Parse(step.Name, System.Globalization.CultureInfo.InvariantCulture)), 1e-6);
        }
    }

    private static Tensor Weights() => Matrix(s_layer.Value["W"], Rows);

    private static Tensor Inputs() => Matrix(s_layer.Value["X"], 256);

    private static float[] Norms()
    {
        Tensor x = Inputs();
        return [.. Enumerable.Range(0, Columns).Select(c => (float)Math.Sqrt(Enumerable.Range(0, x.Rows).Sum(t => (double)x.Row(t)[c] * x.Row(t)[c])))];
    }

    private static Tensor Matrix(FixtureTensor stored, int rows)
    {
        float[] values = stored.As<float>();
        Tensor matrix = new(rows, values.Length / rows);
        values.CopyTo(matrix.Span);
        return matrix;
    }

    private static void AssertMask(string name, WeightMask mask, Tensor weights)
    {
        byte[] kept = s_golden.Value[$"{name}/mask"].As<byte>();
        for (int row = 0; row < Rows; row++)
        {
            Assert.Equal(kept.AsSpan(row * Columns, Columns).ToArray(), Enumerable.Range(0, Columns).Select(c => mask[row, c] ? (byte)0 : (byte)1));
            mask.Apply(row, weights.Row(row));
        }

        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden/compression/pruning.json")));
        Assert.Equal(json.RootElement.GetProperty(name).GetProperty("zeros").GetInt64(), mask.Zeros);
        AssertError(json.RootElement.GetProperty(name), Weights(), weights, Inputs());
    }

    private static void AssertError(JsonElement info, Tensor before, Tensor after, Tensor x)
    {
        double expected = info.GetProperty("error").GetDouble();
        Assert.InRange(Calibrations.OutputError(before, after, x), expected * (1 - RelativeErrorTolerance), expected * (1 + RelativeErrorTolerance));
    }
}
