// AWQ: what it promises, and the choices of an independent loop in float64.
using System.Numerics.Tensors;
using System.Text.Json;
using Kidogo.Compression.Quantization;
using Kidogo.TestSupport;
using Tensor = Kidogo.Tensors.Tensor;

namespace Kidogo.Tests.Compression;

public sealed class AwqTests
{
    private const float ValueTolerance = 1e-6f; // of scales and weights in float32
    private const double RelativeLossTolerance = 1e-4; // small differences of large sums

    /// <summary>Groups of 192 that are clipped on both sides: their range is symmetric, the zero point lies halfway between two codes, and the last bit of a quotient (float64 there) decides.</summary>
    private const int MostTies = 8;

    private static readonly UniformGridOptions s_grid = new() { Bits = 4, GroupColumns = 16, HoldsZero = false };

    [SharedTheory]
    [InlineData("activations", AwqWeighting.Activations)]
    [InlineData("activations_and_weights", AwqWeighting.ActivationsAndWeights)]
    public void SearchScales_ReferenceLayer_ChoosesAsTheReference(string name, AwqWeighting weighting)
    {
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden/compression/awq.json")));
        JsonElement info = json.RootElement.GetProperty(name);
        IReadOnlyDictionary<string, FixtureTensor> golden = SafetensorsFixture.Read(SharedFolder.PathOf("golden/compression/awq.safetensors"));
        (Tensor weights, Tensor x) = Layer();

        AwqScales found = Awq.SearchScales(weights, x, () => new UniformGrid(64, s_grid), weighting, 2);

        Assert.Equal(info.GetProperty("best_ratio").GetDouble(), found.Ratio, 1e-9);
        AssertClose(golden[$"{name}/scales"].As<float>(), found.Scales);
        double[] losses = [.. info.GetProperty("losses").EnumerateArray().Select(loss => loss.GetDouble())];
        for (int i = 0; i < losses.Length; i++)
        {
            Assert.InRange(found.Losses[i], losses[i] * (1 - RelativeLossTolerance), losses[i] * (1 + RelativeLossTolerance));
        }

        Awq.Round(weights, found.Scales, [.. Enumerable.Range(0, 48).Select(_ => new UniformGrid(64, s_grid))]);
        AssertClose(golden[$"{name}/quantised"].As<float>(), weights.Span);
    }

    [SharedFact]
    public void SearchClipping_ReferenceLayer_ChoosesAsTheReference()
    {
        IReadOnlyDictionary<string, FixtureTensor> golden = SafetensorsFixture.Read(SharedFolder.PathOf("golden/compression/awq.safetensors"));
        (Tensor weights, Tensor x) = Layer();
        Tensor sample = new(64, 64);
        for (int t = 0; t < 64; t++)
        {
            x.Row(4 * t).CopyTo(sample.Row(t));
        }

        Tensor limits = Awq.SearchClipping(weights, sample, () => new UniformGrid(64, s_grid), 2);

        float[] expected = golden["clip/limits"].As<float>(), quantised = golden["clip/quantised"].As<float>();
        int ties = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            ReadOnlySpan<float> group = weights.Span.Slice(i * 16, 16);
            float larger = Math.Max(expected[i], limits.Span[i]);
            bool isTie = -TensorPrimitives.Min(group) > larger && TensorPrimitives.Max(group) > larger;
            if (isTie && Math.Abs(expected[i] - limits.Span[i]) > ValueTolerance)
            {
                ties++;
                limits.Span[i] = expected[i];
            }

            Assert.Equal(expected[i], limits.Span[i], ValueTolerance);
        }

        Assert.InRange(ties, 0, MostTies);
        Awq.Clip(weights, limits, 16);
        float[] ones = [.. Enumerable.Repeat(1f, 64)];
        Awq.Round(weights, ones, [.. Enumerable.Range(0, 48).Select(_ => new UniformGrid(64, s_grid))]);
        int different = 0;
        for (int i = 0; i < quantised.Length; i += 16)
        {
            different += TensorPrimitives.Distance(quantised.AsSpan(i, 16), weights.Span.Slice(i, 16)) > ValueTolerance ? 1 : 0;
        }

        Assert.InRange(different, 0, MostTies);
    }

    [Fact]
    public void SearchScales_AnyLayer_IsNeverWorseThanRounding()
    {
        Random random = new(2);
        Tensor weights = new(7, 40), x = new(9, 40);
        Fill(weights, random);
        Fill(x, random);
        AwqScales found = Awq.SearchScales(weights, x, () => new UniformGrid(40, new UniformGridOptions { Bits = 3, GroupColumns = 8 }), AwqWeighting.Activations, 1);
        Assert.True(found.Loss <= found.Losses[0]);
        Assert.Equal(found.Losses.Min(), found.Loss);
        Assert.Equal(found.Losses, Awq.SearchScales(weights, x, () => new UniformGrid(40, new UniformGridOptions { Bits = 3, GroupColumns = 8 }), AwqWeighting.Activations, 3).Losses);
    }

    [Fact]
    public void SearchScales_InputsOfAnotherWidth_AreRefused() =>
        Assert.Throws<ArgumentException>(() => Awq.SearchScales(new Tensor(2, 8), new Tensor(3, 7), () => new UniformGrid(8, s_grid), AwqWeighting.Activations, 1));

    private static (Tensor Weights, Tensor Inputs) Layer()
    {
        IReadOnlyDictionary<string, FixtureTensor> layer = SafetensorsFixture.Read(SharedFolder.PathOf("golden/compression/layer.safetensors"));
        Tensor weights = new(48, 64), x = new(256, 64);
        layer["W"].As<float>().CopyTo(weights.Span);
        layer["X"].As<float>().CopyTo(x.Span);
        return (weights, x);
    }

    private static void Fill(Tensor matrix, Random random)
    {
        foreach (ref float value in matrix.Span)
        {
            value = (float)((random.NextDouble() * 2) - 1);
        }
    }

    private static void AssertClose(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], actual[i], ValueTolerance * Math.Max(1, Math.Abs(expected[i])));
        }
    }
}
