// What is left of a pass that fails in the middle: nothing.
using Kidogo.Models;
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Models;

public sealed class FailedPassTests
{
    /// <summary>The last layer's feed-forward fails, when all layers have the new keys and values; gemma3 has windows, and both sequences are taken back.</summary>
    [SharedTheory]
    [InlineData("llama", "blk.0.ffn_down", 7)]
    [InlineData("llama", "blk.1.ffn_down", 7)]
    [InlineData("gemma3", "blk.1.attn_q", 30)]
    [InlineData("gemma3", "blk.1.attn_output", 0)]
    public void Forward_LayerThatFails_LeavesTheCachesAsTheyWere(string name, string slot, int cached)
    {
        GoldenDecoder golden = new(name);
        using ComputeContext context = ComputeContext.Inference(2);
        using LoadedModel loaded = ModelLoader.Load(golden.Folder, context);
        using KvCache a = loaded.Model.CreateCache(), b = loaded.Model.CreateCache();
        using SequenceBatch batch = new();
        int[] tokens = golden.Sequences[0];
        if (cached > 0)
        {
            Add(0, cached);
            GoldenDecoder.Run(loaded.Model, context, batch);
        }

        int mark = context.Mark();
        loaded.Model.Replace(layer => layer.Name == slot ? new FailingLinear((Linear)layer) : layer);
        Add(cached, 5);
        Assert.Throws<TimeoutException>(() => loaded.Model.Forward(context, batch));
        Assert.Equal(mark, context.Mark());
        for (int layer = 0; layer < loaded.Config.NumLayers; layer++)
        {
            Assert.Equal((cached, cached), (a[layer].Length, b[layer].Length));
        }

        loaded.Model.Replace(layer => layer is FailingLinear failing ? failing.Whole : layer);
        Add(cached, 5);
        float[] after = GoldenDecoder.Run(loaded.Model, context, batch);
        a.Clear();
        b.Clear();
        Add(0, cached + 5);
        Assert.Equal(GoldenDecoder.Run(loaded.Model, context, batch), after);

        void Add(int first, int count)
        {
            batch.Clear();
            batch.Add(a, tokens.AsSpan(first, count), LogitRows.Last);
            batch.Add(b, tokens.AsSpan(first, count), LogitRows.Last);
        }
    }

    private sealed class FailingLinear(Linear whole) : Linear(whole.Name, whole.Weight, whole.Bias)
    {
        public Linear Whole => whole;

        public override Tensor Forward(ComputeContext context, Tensor x) => throw new TimeoutException();
    }
}
