// Adapters before their first step: they change nothing, bit for bit, over whatever base. And fused families through PEFT's files.
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Kidogo.Tests.Models.Files;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Models.Adapters;

public sealed class FreshAdapterTests
{
    public static TheoryData<AdapterMethod> Methods => [.. Enum.GetValues<AdapterMethod>()];

    [SharedTheory]
    [MemberData(nameof(Methods))]
    public void Forward_FreshAdapter_ChangesNoBit(AdapterMethod method)
    {
        foreach ((string family, bool nf4) in new[] { ("llama", false), ("gpt-neox", false), ("phi3", true), ("gemma2", false) })
        {
            GoldenDecoder golden = new(family);
            using ComputeContext inference = ComputeContext.Inference(2, ComputePrecision.Exact), training = ComputeContext.Training(2);
            using LoadedModel loaded = ModelLoader.Load(golden.Folder, training);
            if (nf4)
            {
                Nf4Base.Apply(loaded.Model, isDouble: true);
            }

            float[] before = GoldenDecoder.Score(loaded.Model, inference, golden.Sequences[0]);
            double loss = Loss(loaded.Model, training, golden.Sequences[0]);
            Adapter adapter = FreshAdapter.Create(loaded.Model, loaded.Family, new FreshAdapterOptions { Method = method, Rank = 3 }, 7, training, "fresh");
            adapter.MakeTrainable();
            loaded.Model.Adapters.Attach(adapter, training);
            Assert.Equal(before, GoldenDecoder.Score(loaded.Model, inference, golden.Sequences[0]));
            Assert.Equal(loss, Loss(loaded.Model, training, golden.Sequences[0]));
            Assert.Equal(adapter.ParameterCount, ModelParameters.Of(loaded.Model).Sum(parameter => (long)parameter.Values.Length));
        }
    }

    [SharedTheory]
    [InlineData("llama")]
    [InlineData("gpt-neox")]
    [InlineData("phi3")]
    [InlineData("gpt2")]
    public void PeftFolder_OfChangedAdapter_ReadsBackToTheSameLogits(string family)
    {
        const float Roundings = 1e-4f; // of logits; a fused matrix has its parts' ranks one after the other
        foreach (AdapterMethod method in Enum.GetValues<AdapterMethod>())
        {
            GoldenDecoder golden = new(family);
            using TestFolder folder = new();
            using ComputeContext context = ComputeContext.Inference(2, ComputePrecision.Exact);
            using LoadedModel loaded = ModelLoader.Load(golden.Folder, context);
            float[] before = GoldenDecoder.Score(loaded.Model, context, golden.Sequences[0]);
            Adapter adapter = FreshAdapter.Create(loaded.Model, loaded.Family, new FreshAdapterOptions { Method = method, Rank = 2, Targets = ["attn_q", "ffn_*"] }, 7, context, "fresh");
            foreach (SlotChange change in adapter.Changes.Values)
            {
                System.Numerics.Tensors.TensorPrimitives.Add(change.Change.B.Span, change.Change.A.Span[0] * 0.5f, change.Change.B.Span);
            }

            PeftFolder.Write(folder["adapter"], adapter, loaded.Config, loaded.Family);
            Adapter again = GoldenAdapters.Open(folder["adapter"], loaded);
            loaded.Model.Adapters.Attach(adapter, context);
            loaded.Model.Adapters.Attach(again, context, isDefault: false);
            float[] expected = GoldenDecoder.Score(loaded.Model, context, golden.Sequences[0]);
            loaded.Model.Adapters.UseByDefault(again);
            GoldenAdapters.AssertNear($"{family} {method}", expected, GoldenDecoder.Score(loaded.Model, context, golden.Sequences[0]), Roundings);
            Assert.NotEqual(before, expected);
        }
    }

    [SharedFact]
    public void Pissa_Start_IsTheBestOfItsRank()
    {
        GoldenDecoder golden = new("llama");
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(golden.Folder, context);
        Adapter adapter = FreshAdapter.Create(loaded.Model, loaded.Family, new FreshAdapterOptions { Method = AdapterMethod.Pissa, Rank = 4, Alpha = 4 }, 7, context, "p");
        SlotChange change = adapter.Changes["blk.0.ffn_up"];
        Weight weight = loaded.Model.Slots().OfType<Kidogo.Models.Layers.Linear>().Single(slot => slot.Name == change.Slot).Weight;
        double whole = 0, left = 0;
        float[] row = new float[weight.Columns];
        for (int r = 0; r < weight.Rows; r++)
        {
            weight.DecodeRow(r, row);
            whole += row.Sum(value => (double)value * value);
            for (int k = 0; k < 4; k++)
            {
                System.Numerics.Tensors.TensorPrimitives.MultiplyAdd(change.Change.A.Row(k), -change.Change.B.Row(r)[k], row, row);
            }

            left += row.Sum(value => (double)value * value);
        }

        // Of a matrix of random numbers the four largest of so many components hold more than their share.
        Assert.InRange(left / whole, 0.01, 1 - (4.0 / Math.Min(weight.Rows, weight.Columns)));
        for (int i = 0; i < 4; i++)
        {
            for (int j = 0; j < i; j++)
            {
                double cosine = System.Numerics.Tensors.TensorPrimitives.CosineSimilarity<float>(change.Change.A.Row(i), change.Change.A.Row(j));
                Assert.InRange(cosine, -1e-3, 1e-3);
            }
        }
    }

    [SharedFact]
    public void Create_TargetThatIsNone_NamesTheNearest()
    {
        GoldenDecoder golden = new("llama");
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(golden.Folder, context);
        ArgumentException failure = Assert.Throws<ArgumentException>(() => FreshAdapter.Create(loaded.Model, loaded.Family, new FreshAdapterOptions { Targets = ["q_prj"] }, 0, context, "x"));
        Assert.Contains("The nearest is q_proj", failure.Message, StringComparison.Ordinal);
    }

    private static double Loss(DecoderModel model, ComputeContext context, int[] ids)
    {
        using SequenceBatch batch = new();
        batch.Add(null, ids, LogitRows.All);
        double loss = model.Loss(context, batch, [.. ids.Skip(1), CrossEntropyOp.NoTarget]).Value;
        context.Forget();
        return loss;
    }
}
