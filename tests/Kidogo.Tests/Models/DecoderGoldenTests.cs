// Every family against what Transformers computes, whole, batched, split and token by token.
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Models;

public sealed class DecoderGoldenTests
{
    [SharedTheory]
    [MemberData(nameof(GoldenDecoder.Names), MemberType = typeof(GoldenDecoder))]
    public void Decoder_FromFolder_EqualsTransformers(string name) => Check(new GoldenDecoder(name), "");

    [SharedTheory]
    [InlineData("llama")]
    [InlineData("qwen3")]
    [InlineData("gemma2")]
    public void Decoder_FromGguf_EqualsTransformers(string name) => Check(new GoldenDecoder(name), "model.gguf");

    private static void Check(GoldenDecoder golden, string file)
    {
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(Path.Combine(golden.Folder, file), context);
        Assert.Equal(golden.Parameters, loaded.Config.ParameterCount);
        for (int i = 0; i < golden.Sequences.Length; i++)
        {
            golden.AssertEqual(i, GoldenDecoder.Score(loaded.Model, context, golden.Sequences[i]));
            golden.AssertEqual(i, GoldenDecoder.ScoreInPieces(loaded.Model, context, golden.Sequences[i], 13));
            golden.AssertEqual(i, GoldenDecoder.ScoreInPieces(loaded.Model, context, golden.Sequences[i], 1));
        }

        float[] both = GoldenDecoder.Score(loaded.Model, context, golden.Sequences);
        int first = golden.Sequences[0].Length * golden.Vocabulary;
        golden.AssertEqual(0, both.AsSpan(0, first));
        golden.AssertEqual(1, both.AsSpan(first));
        Assert.Equal(golden.Greedy, GoldenDecoder.Continue(loaded.Model, context, golden.Sequences[0].AsSpan(0, golden.PromptLength), golden.Greedy.Length));
    }
}
