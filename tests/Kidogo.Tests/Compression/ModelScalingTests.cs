// Scales that are folded in: the function stays, AWQ wins over rounding, SmoothQuant is the published one.
using Kidogo.Compression.Quantization;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;
using Kidogo.Tests.Models;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Compression;

public sealed class ModelScalingTests : IDisposable
{
    private const int Length = 16;
    private readonly string _folder = Directory.CreateTempSubdirectory("kidogo-scaling").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Scales by powers of two are exact, so that nothing but the order of sums could move a logit; and that does not change.</summary>
    [SharedTheory]
    [InlineData("llama", 9)]
    [InlineData("qwen2", 6)]
    [InlineData("gemma2", 9)]
    [InlineData("smollm3", 9)]
    [InlineData("phi", 2)]
    [InlineData("phi3", 4)]
    [InlineData("gpt2", 4)]
    [InlineData("gpt-neox", 4)]
    public void Fold_AnyFamily_LeavesTheFunction(string family, int inputs)
    {
        const float Tolerance = 1e-4f; // norms see other weights: what they multiply rounds elsewhere
        using ModelHeader header = ModelHeader.Open(SharedFolder.PathOf("golden", "families", family));
        GgufContent content = GgufContent.Of(header);
        InputScales scales = new(content.Tensors, header.Config.Layers[0].NumHeads == header.Config.Layers[0].NumKvHeads);
        Random random = new(2);
        int folded = 0;
        foreach (ModelTensor tensor in content.Tensors.Where(tensor => !tensor.IsVector))
        {
            if (Calibration(tensor.Name, out int block, out int input) && scales.CanFold(block, input) && scales.Of(tensor.Name) is null)
            {
                scales.Set(block, input, [.. Enumerable.Range(0, tensor.Columns).Select(_ => MathF.ScaleB(1, random.Next(-3, 4)))]);
                folded++;
            }
        }

        Assert.True(folded >= Math.Min(inputs, 2), $"{folded} inputs were folded");
        string plain = Path.Combine(_folder, "plain.gguf"), scaled = Path.Combine(_folder, "scaled.gguf");
        GgufModelWriter.Write(plain, header, content);
        GgufModelWriter.Write(scaled, header, GgufContent.Of(header).With(scales.Fold));
        float[] expected = Logits(plain), actual = Logits(scaled);
        Assert.NotEqual(File.ReadAllBytes(plain), File.ReadAllBytes(scaled));
        Assert.All(Enumerable.Range(0, expected.Length), i => Assert.Equal(expected[i], actual[i], Tolerance * (1 + Math.Abs(expected[i]))));
    }

    [SharedFact]
    public void SmoothScales_PublishedExample_AreTheSame()
    {
        const float Tolerance = 1e-6f;
        IReadOnlyDictionary<string, FixtureTensor> golden = SafetensorsFixture.Read(SharedFolder.PathOf("golden/compression/simple.safetensors"));
        IReadOnlyDictionary<string, FixtureTensor> layer = SafetensorsFixture.Read(SharedFolder.PathOf("golden/compression/layer.safetensors"));
        float[] expected = golden["smoothquant/scales"].As<float>();
        float[] found = ModelScaling.SmoothScales(Largest(layer["X"].As<float>(), 64), Largest(layer["W"].As<float>(), 64), 0.5f);
        Assert.All(Enumerable.Range(0, 64), c => Assert.Equal(expected[c], found[c], Tolerance * expected[c]));
    }

    [Fact]
    public void SmoothScales_ColumnsOfZeros_AreLeftAlone() => Assert.Equal([1, 1, 2], ModelScaling.SmoothScales([0, 3, 4], [2, 0, 1], 0.5f));

    /// <summary>A format's codes do not matter here: any grid that rounds as its encoder does gives what the encoder gives.</summary>
    [Theory]
    [InlineData("Q4_0")]
    [InlineData("IQ3_S")]
    [InlineData("F16")]
    public void NearestGrid_Rounds_AsTheEncoder(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        float[] row = Calibrations.Normal(new Random(4), 1, 256).Span.ToArray(), expected = new float[256];
        format.Decode(RoundToNearest.Encode(row, 256, [], format), expected);
        NearestGrid grid = new(format);
        for (int c = 0; c < 256; c++)
        {
            if (c % grid.GroupColumns == 0)
            {
                grid.Fit(c / grid.GroupColumns, row.AsSpan(c, grid.GroupColumns), []);
            }

            Assert.Equal(expected[c], grid.Round(c / grid.GroupColumns, c, row[c]));
        }
    }

    [Theory]
    [InlineData("Q4_0")]
    [InlineData("Q3_K")]
    [InlineData("IQ3_XXS")]
    public void Awq_OutliersAmongInputs_BeatsRoundingInAnyFormat(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        Random random = new(6);
        Tensor x = Calibrations.Normal(random, 64, 256), original = Calibrations.Normal(random, 12, 256);
        for (int t = 0; t < x.Rows; t++)
        {
            for (int c = 3; c < 256; c += 50)
            {
                x.Row(t)[c] *= 12;
            }
        }

        AwqScales found = Awq.SearchScales(original, x, () => new NearestGrid(format), AwqWeighting.Activations, 2);
        Assert.True(found.Ratio > 0);
        Assert.InRange(found.Loss / found.Losses[0], 0, 0.7);
    }

    private static bool Calibration(string name, out int block, out int input) => Kidogo.Compression.Calibration.SlotInputs.TryFind(name, out block, out input);

    private static float[] Logits(string path)
    {
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(path, context);
        return GoldenDecoder.Score(loaded.Model, context, [.. Enumerable.Range(0, Length).Select(i => (i * 37) % loaded.Config.VocabSize)]);
    }

    private static float[] Largest(float[] values, int columns)
    {
        float[] largest = new float[columns];
        for (int i = 0; i < values.Length; i++)
        {
            largest[i % columns] = Math.Max(largest[i % columns], Math.Abs(values[i]));
        }

        return largest;
    }
}
