// The real SmolLM2 against what Transformers computes with the same weights.
using System.Text.Json;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Models;

public sealed class RealModelTests
{
    private const string FileName = "SmolLM2-135M-Instruct.Q4_1.gguf";

    /// <summary>Two correct float32 implementations differ by about this: the reference itself differs from float64 by 9.3e-5.</summary>
    private const float LogitTolerance = 2e-4f;

    [SharedFact]
    public void Logits_Exact_EqualTransformers()
    {
        using ComputeContext context = ComputeContext.Inference(2, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(SharedFolder.PathOf("models", FileName), context);
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden", "real", "smollm2-logits.json")));
        JsonElement text = json.RootElement.GetProperty("texts").EnumerateArray().MinBy(each => each.GetProperty("ids").GetArrayLength());
        int[] ids = Ints(text.GetProperty("ids"));
        float[] logits = GoldenDecoder.Score(loaded.Model, context, ids);
        int v = loaded.Config.VocabSize;
        JsonElement[] positions = [.. text.GetProperty("top_ids").EnumerateArray()];
        for (int i = 0; i < ids.Length; i++)
        {
            int[] top = Ints(positions[i].GetProperty("ids"));
            float[] values = [.. positions[i].GetProperty("logits").EnumerateArray().Select(item => item.GetSingle())];
            for (int k = 0; k < top.Length; k++)
            {
                Assert.InRange(logits[(i * v) + top[k]], values[k] - LogitTolerance, values[k] + LogitTolerance);
            }
        }
    }

    [SharedFact]
    public void Greedy_Exact_EqualsTransformers()
    {
        using ComputeContext context = ComputeContext.Inference(2, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(SharedFolder.PathOf("models", FileName), context);
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden", "real", "smollm2-greedy.json")));
        JsonElement test = json.RootElement.GetProperty("cases")[0];
        int[] expected = Ints(test.GetProperty("ids"));
        Assert.Equal(expected, GoldenDecoder.Continue(loaded.Model, context, Ints(test.GetProperty("prompt_ids")), expected.Length));
    }

    [SharedFact]
    public void Header_OfTheRealModel_SaysWhatItIsAndWhatItTakes()
    {
        using ModelHeader header = ModelHeader.Open(SharedFolder.PathOf("models", FileName));
        Assert.Equal("Llama", header.Family.Name);
        Assert.Equal(134_515_008, header.Config.ParameterCount);
        Assert.Equal([2], header.Generation.EndTokens);
        MemoryEstimate estimate = header.Estimate(8192);
        Assert.InRange(estimate.WeightBytes, 96_000_000, new FileInfo(header.Path).Length);
        Assert.Equal(8192 * 30 * 2 * 192 * 2, estimate.CacheBytes);
        Assert.Equal(30 * 2 * 192 * 2, header.Config.KvBytesPerToken(2));
    }

    private static int[] Ints(JsonElement array) => [.. array.EnumerateArray().Select(item => item.GetInt32())];
}
