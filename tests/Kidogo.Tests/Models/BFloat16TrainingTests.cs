// Training with weights and activations stored as bfloat16: what is rounded, what it saves, and that recomputation and threads do not show. Knows no optimiser.
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Models.Families;
using Kidogo.Tensors;
using Kidogo.Tensors.Kernels;
using Kidogo.Tensors.Ops;

namespace Kidogo.Tests.Models;

public sealed class BFloat16TrainingTests
{
    private static readonly LayerConfig s_layer = new()
    {
        NumHeads = 4, NumKvHeads = 2, HeadDim = 8, IntermediateSize = 48, QkvBias = true, Rope = new RopeConfig(10000, 8, RotaryLayout.HalfSplit), AttentionScale = 0.35f, Activation = Activation.Silu,
    };

    private static readonly DecoderConfig s_config = new()
    {
        VocabSize = 90, HiddenSize = 32, ContextLength = 64, Norm = new NormConfig(NormKind.Rms, 1e-5f), TiedHead = true, EmbeddingScale = 1.7f, Layers = [.. Enumerable.Repeat(s_layer, 8)],
    };

    [Fact]
    public void Pass_CheckpointingAndThreads_HaveTheSameBitsInLessMemory()
    {
        using DecoderModel model = RandomModel.Create(s_config, 1);
        (double loss, float[][] gradients, _) = Pass(model, 1, checkpoints: false, rounds: true);
        (double loss2, float[][] gradients2, long small) = Pass(model, 3, checkpoints: true, rounds: true);
        (double plain, _, long large) = Pass(model, 2, checkpoints: true, rounds: false);
        Assert.Equal(loss, loss2);
        Assert.NotEqual(loss, plain);
        Assert.Equal(plain, loss, 0.02);
        for (int i = 0; i < gradients.Length; i++)
        {
            Assert.Equal(gradients[i], gradients2[i]);
        }

        // Each of 8 blocks keeps its input of 60 x 32 values in two bytes instead of four; one is wide again at a time.
        Assert.True(small <= large - (6 * 60 * 32 * 2), $"{small} bytes with bfloat16, {large} without.");
    }

    [Fact]
    public void Pass_WithoutCheckpointing_KeepsActivationsInHalfTheMemory()
    {
        const double MostOfPlain = 0.7; // a half, one of 8 blocks that is wide, its gradients, and statistics
        using DecoderModel model = RandomModel.Create(s_config, 1);
        (_, _, long plain) = Pass(model, 2, checkpoints: false, rounds: false);
        (_, _, long narrow) = Pass(model, 2, checkpoints: false, rounds: true);
        Assert.InRange(narrow, 1, (long)(MostOfPlain * plain));
    }

    public static TheoryData<AdapterMethod> Methods => [.. Enum.GetValues<AdapterMethod>()];

    [Theory]
    [MemberData(nameof(Methods))]
    public void Pass_WithAnAdapter_HasTheSameBitsInLessMemory(AdapterMethod method)
    {
        const double MostOfPlain = 0.8; // more than without: what goes through the rank is float32
        using DecoderModel model = RandomModel.Create(s_config, 1);
        (double without, _, _) = Pass(model, 1, checkpoints: false, rounds: true);
        using (ComputeContext context = ComputeContext.Training(1))
        {
            Adapter adapter = FreshAdapter.Create(model, new Llama(), new FreshAdapterOptions { Method = method, Rank = 2 }, 7, context, "a");
            adapter.MakeTrainable();
            model.Adapters.Attach(adapter, context);
        }

        (double loss, float[][] gradients, long narrow) = Pass(model, 1, checkpoints: false, rounds: true);
        (double recomputed, float[][] recomputedGradients, _) = Pass(model, 3, checkpoints: true, rounds: true);
        (_, _, long plain) = Pass(model, 2, checkpoints: false, rounds: false);
        Assert.Equal(loss, recomputed);
        Assert.Equal(gradients, recomputedGradients);
        Assert.InRange(narrow, 1, (long)(MostOfPlain * plain));
        if (method == AdapterMethod.Dora)
        {
            Assert.Equal(without, loss, 0.02); // magnitudes are rounded as they are read, the lengths that divide them are not
        }
        else
        {
            Assert.Equal(without, loss);
        }
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public void Judge_BetweenPasses_GivesTheLossAndTakesNothing(bool checkpoints, bool rounds)
    {
        using DecoderModel model = RandomModel.Create(s_config, 4);
        using ComputeContext context = ComputeContext.Training(2, checkpoints, rounds);
        using SequenceBatch batch = Batch();
        int[] targets = [.. Enumerable.Range(0, 60).Select(i => i * 7 % 90)];
        CrossEntropyResult trained = model.Loss(context, batch, targets);
        Assert.Throws<InvalidOperationException>(() => context.Judge(() => 0)); // a pass is open
        context.Backward(trained.Loss);
        IReadOnlyList<ModelParameter> parameters = ModelParameters.Of(model);
        float[][] gradients = [.. parameters.Select(parameter => parameter.Values.Gradient!.Span.ToArray())];
        long bytes = context.TapeBytes;
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(trained.Value, context.Judge(() => model.Loss(context, batch, targets)).Value);
        }

        // Where blocks kept their inputs as bfloat16, the wide ones of two blocks in a row are new.
        Assert.InRange(context.TapeBytes, bytes, bytes + (rounds ? 2 * 60 * 32 * sizeof(float) : 0));
        Assert.Equal(gradients, parameters.Select(parameter => parameter.Values.Gradient!.Span.ToArray()));
    }

    [Fact]
    public void Pass_WeightsThatAreBFloat16_IsThatOfTheMaster()
    {
        using DecoderModel master = RandomModel.Create(s_config, 2), rounded = RandomModel.Create(s_config, 2);
        foreach (ModelParameter parameter in ModelParameters.Of(rounded))
        {
            BFloat16Rounding.Round(parameter.Values.Span);
        }

        (double loss, float[][] gradients, _) = Pass(master, 2, checkpoints: false, rounds: true);
        (double same, float[][] sameGradients, _) = Pass(rounded, 2, checkpoints: false, rounds: true);
        Assert.Equal(same, loss);
        for (int i = 0; i < gradients.Length; i++)
        {
            Assert.Equal(sameGradients[i], gradients[i]);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Loss_InOne_IsThatOfTheLogits(bool rounds)
    {
        using DecoderModel model = RandomModel.Create(s_config, 3);
        (double loss, float[][] gradients, _) = Pass(model, 2, checkpoints: false, rounds);
        (double apart, float[][] gradientsApart, _) = Pass(model, 1, checkpoints: false, rounds, isApart: true);
        Assert.Equal(apart, loss, 1e-12);
        for (int i = 0; i < gradients.Length; i++)
        {
            Assert.Equal(gradientsApart[i], gradients[i]);
        }
    }

    private static SequenceBatch Batch()
    {
        SequenceBatch batch = new();
        batch.Add(null, [.. Enumerable.Range(0, 37).Select(i => i * 31 % 90)], LogitRows.All);
        batch.Add(null, [.. Enumerable.Range(0, 23).Select(i => i * 17 % 90)], LogitRows.All);
        return batch;
    }

    private static (double Loss, float[][] Gradients, long Bytes) Pass(DecoderModel model, int threads, bool checkpoints, bool rounds, bool isApart = false)
    {
        IReadOnlyList<ModelParameter> parameters = ModelParameters.Of(model);
        foreach (ModelParameter parameter in parameters)
        {
            parameter.Values.Gradient?.Span.Clear();
        }

        using ComputeContext context = ComputeContext.Training(threads, checkpoints, rounds);
        using SequenceBatch batch = Batch();
        int[] targets = [.. Enumerable.Range(0, 60).Select(i => i * 7 % 90)];
        CrossEntropyResult loss = isApart ? CrossEntropyOp.Apply(context, model.Forward(context, batch), targets) : model.Loss(context, batch, targets);
        context.Backward(loss.Loss);
        return (loss.Value, [.. parameters.Select(parameter => parameter.Values.Gradient!.Span.ToArray())], context.TapeBytes);
    }
}
