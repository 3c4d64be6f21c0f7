// A decoder under a recording context: parameters, random weights, packed documents, checkpointing, threads, frozen weights.
using Kidogo.Models;
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Tests.Models;

public sealed class TrainingPassTests
{
    /// <summary>Sums over the rows of two documents round otherwise than over the rows of each: of the largest gradient of a tensor.</summary>
    private const float SumTolerance = 1e-5f;

    /// <summary>Of the largest logit: float32, summed in another order.</summary>
    private const float PathTolerance = 3e-6f;

    private static readonly LayerConfig s_layer = new()
    {
        NumHeads = 4, NumKvHeads = 2, HeadDim = 8, IntermediateSize = 48, Rope = new RopeConfig(10000, 8, RotaryLayout.HalfSplit), AttentionScale = 0.35f, Activation = Activation.Silu,
    };

    private static readonly DecoderConfig s_config = new()
    {
        VocabSize = 90, HiddenSize = 32, ContextLength = 64, Norm = new NormConfig(NormKind.Rms, 1e-5f), TiedHead = true, Layers = [s_layer, s_layer with { SlidingWindow = 4, QkNorm = QkNorm.PerHead }],
    };

    /// <summary>Everything that the other does not have.</summary>
    private static readonly DecoderConfig s_other = s_config with
    {
        TiedHead = false, HeadBias = true, LearnedPositions = 40, Norm = new NormConfig(NormKind.Layer, 1e-5f, Bias: true), Residual = ResidualKind.ParallelTwoNorms, LogitScale = 0.7f, LogitSoftcap = 3, EmbeddingScale = 2,
        Layers = [s_layer with { Rope = null, QkvBias = true, OutputBias = true, MlpBias = true, Gated = false, Activation = Activation.GeluErf, AttentionSoftcap = 4 }],
    };

    public static TheoryData<bool> Configurations => [false, true];

    [Theory]
    [MemberData(nameof(Configurations))]
    public void Parameters_OfModel_AreAllOfItOnceWithGradients(bool isOther)
    {
        DecoderConfig config = isOther ? s_other : s_config;
        using DecoderModel model = RandomModel.Create(config, 1);
        IReadOnlyList<ModelParameter> parameters = ModelParameters.Of(model);
        Assert.Equal(config.ParameterCount, parameters.Sum(parameter => (long)parameter.Values.Length));
        Assert.Equal(parameters.Count, parameters.Select(parameter => parameter.Name).Distinct().Count());
        Assert.Contains(parameters, parameter => parameter is { Name: "blk.0.attn_q.weight", IsMatrix: true, Shape: [32, 32] });
        Assert.Contains(parameters, parameter => parameter is { Name: "output_norm.weight", IsMatrix: false, Shape: [32] });
        Assert.Equal(isOther, parameters.Any(parameter => parameter.Name == "output.bias"));
        Pass(model, 1, false, [[1, 2, 3, 4, 5, 6, 7]]);
        foreach (ModelParameter parameter in parameters.Where(parameter => parameter.Name != "blk.0.attn_k.bias")) // without rotation softmax cancels a key's bias
        {
            Assert.True(parameter.Values.Gradient!.Span.ToArray().Max(MathF.Abs) > 1e-7f, $"{parameter.Name} has no gradient.");
        }
    }

    [Fact]
    public void RandomModel_SameSeed_HasTheSameWeightsOfTheSizesAskedFor()
    {
        InitialWeights initial = new() { EmbeddingDeviation = 0.05 };
        using DecoderModel a = RandomModel.Create(s_config, 7, initial), b = RandomModel.Create(s_config, 7, initial), other = RandomModel.Create(s_config, 8, initial);
        foreach ((ModelParameter x, ModelParameter y, ModelParameter z) in ModelParameters.Of(a).Zip(ModelParameters.Of(b), ModelParameters.Of(other)))
        {
            Assert.Equal(x.Values.Span, y.Values.Span);
            if (!x.IsMatrix)
            {
                Assert.All(x.Values.Span.ToArray(), value => Assert.Equal(1, value));
                continue;
            }

            Assert.False(x.Values.Span.SequenceEqual(z.Values.Span));
            bool isResidual = x.Name.EndsWith("attn_output.weight", StringComparison.Ordinal) || x.Name.EndsWith("ffn_down.weight", StringComparison.Ordinal);
            double expected = x.IsEmbedding ? 0.05 : 1 / Math.Sqrt(x.Shape[1] * (isResidual ? 4.0 : 1));
            double measured = Math.Sqrt(x.Values.Span.ToArray().Average(value => (double)value * value));
            Assert.InRange(measured / expected, 0.9, 1.1); // of 512 values or more: three deviations
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => RandomModel.Create(s_config, 1, new InitialWeights { EmbeddingDeviation = 0 }));
    }

    [Fact]
    public void RandomModel_OffsetNorms_BeginAtAFactorOf1()
    {
        using DecoderModel model = RandomModel.Create(s_config with { Norm = new NormConfig(NormKind.Rms, 1e-5f, UnitOffset: true) }, 1);
        Assert.All(ModelParameters.Of(model).Where(parameter => !parameter.IsMatrix), parameter => Assert.All(parameter.Values.Span.ToArray(), value => Assert.Equal(0, value)));
    }

    /// <summary>Threads and recomputation change memory and time, never a bit.</summary>
    [Theory]
    [MemberData(nameof(Configurations))]
    public void Gradients_AnyThreadsAndCheckpointing_HaveTheSameBits(bool isOther)
    {
        using DecoderModel model = RandomModel.Create(isOther ? s_other : s_config, 3);
        int[][] documents = [Ids(31, 1), Ids(40, 2), Ids(1, 3), Ids(25, 4)];
        (double loss, float[][] expected, long memory) = Pass(model, 1, false, documents);
        foreach ((int threads, bool checkpointed) in new[] { (2, false), (3, true), (1, true) })
        {
            (double sameLoss, float[][] actual, long less) = Pass(model, threads, checkpointed, documents);
            Assert.Equal(loss, sameLoss);
            Assert.Equal(expected, actual);
            Assert.True(checkpointed ? isOther || less < memory : less == memory, $"{less} bytes with checkpointing, {memory} without.");
        }
    }

    [Theory]
    [MemberData(nameof(Configurations))]
    public void PackedDocuments_InOneBatch_AreEachAsAlone(bool isOther)
    {
        using DecoderModel model = RandomModel.Create(isOther ? s_other : s_config, 4);
        int[][] documents = [Ids(17, 1), Ids(30, 2), Ids(9, 3)];
        using ComputeContext context = ComputeContext.Training(2);
        using SequenceBatch batch = new();
        foreach (int[] document in documents)
        {
            batch.Add(null, document, LogitRows.All);
        }

        float[] together = model.Forward(context, batch).Span.ToArray();
        context.Forget();
        int first = 0;
        foreach (int[] document in documents)
        {
            batch.Clear();
            batch.Add(null, document, LogitRows.All);
            Assert.Equal(together.AsSpan(first * 90, document.Length * 90), model.Forward(context, batch).Span);
            context.Forget();
            first += document.Length;
        }

        long count = documents.Sum(document => document.Length - 1);
        (double loss, float[][] expected, _) = Pass(model, 2, false, documents);
        double parts = 0;
        float[][] sums = [];
        for (int i = 0; i < documents.Length; i++)
        {
            (double part, sums, _) = Pass(model, 2, false, [documents[i]], count, adds: i > 0);
            parts += part;
        }

        Assert.Equal(loss, parts, 1e-9);
        for (int i = 0; i < expected.Length; i++)
        {
            AssertNear(expected[i], sums[i], SumTolerance);
        }
    }

    /// <summary>The training pass computes what inference does in float32.</summary>
    [Theory]
    [MemberData(nameof(Configurations))]
    public void Forward_Training_IsInferences(bool isOther)
    {
        using DecoderModel model = RandomModel.Create(isOther ? s_other : s_config, 5);
        using ComputeContext training = ComputeContext.Training(1), inference = ComputeContext.Inference(1, ComputePrecision.Exact);
        float[] expected = GoldenDecoder.Score(model, inference, Ids(33, 1), Ids(8, 2));
        using SequenceBatch batch = new();
        batch.Add(null, Ids(33, 1), LogitRows.All);
        batch.Add(null, Ids(8, 2), LogitRows.All);
        float[] actual = model.Forward(training, batch).Span.ToArray();
        AssertNear(expected, actual, PathTolerance);
    }

    /// <summary>Only a slot in the first layer is trained: its gradient comes through frozen layers, and is what it is when all is trained.</summary>
    [Fact]
    public void Gradients_FrozenLayersAbove_FlowThroughThem()
    {
        using DecoderModel all = RandomModel.Create(s_config, 6), model = RandomModel.Create(s_config, 6);
        Pass(all, 1, false, [Ids(20, 1)]);
        model.Replace(layer => layer is Linear linear && layer.Name != "blk.0.attn_v" ? new Linear(layer.Name, Weight.FromDense(((TrainableWeight)linear.Weight).Values), null) : layer);
        Assert.DoesNotContain(ModelParameters.Of(model), parameter => parameter.Name == "blk.1.ffn_up.weight");
        Pass(model, 1, false, [Ids(20, 1)]);
        float[] expected = Gradient(all, "blk.0.attn_v.weight"), actual = Gradient(model, "blk.0.attn_v.weight");
        AssertNear(expected, actual, SumTolerance);
    }

    [Fact]
    public void Forward_CacheOrTooManyPositions_IsRefused()
    {
        using DecoderModel model = RandomModel.Create(s_other, 1);
        using ComputeContext context = ComputeContext.Training(1);
        using KvCache cache = model.CreateCache();
        using SequenceBatch batch = new();
        Assert.Throws<ArgumentException>(() => model.Forward(context, batch));
        batch.Add(cache, [1, 2], LogitRows.All);
        Assert.Throws<ArgumentException>(() => model.Forward(context, batch));
        batch.Clear();
        batch.Add(null, Ids(41, 1), LogitRows.All);
        Assert.Throws<ArgumentException>(() => model.Forward(context, batch));
    }

    private static (double Loss, float[][] Gradients, long Bytes) Pass(DecoderModel model, int threads, bool checkpointed, int[][] documents, long count = 0, bool adds = false)
    {
        IReadOnlyList<ModelParameter> parameters = ModelParameters.Of(model);
        foreach (ModelParameter parameter in parameters)
        {
            if (!adds)
            {
                parameter.Values.Gradient?.Span.Clear();
            }
        }

        using ComputeContext context = ComputeContext.Training(threads, checkpointed);
        using SequenceBatch batch = new();
        foreach (int[] document in documents)
        {
            batch.Add(null, document, LogitRows.All);
        }

        Tensor logits = model.Forward(context, batch);
        int[] targets = [.. documents.SelectMany(document => document.Skip(1).Append(CrossEntropyOp.NoTarget))];
        CrossEntropyResult loss = CrossEntropyOp.Apply(context, logits, targets, new CrossEntropyOptions { Count = count, OverwritesLogits = true, ZLoss = 1e-3f });
        context.Backward(loss.Loss);
        return (loss.Value, [.. parameters.Select(parameter => parameter.Values.Gradient!.Span.ToArray())], context.TapeBytes);
    }

    private static void AssertNear(float[] expected, float[] actual, float tolerance)
    {
        float allowed = tolerance * expected.Max(MathF.Abs) + float.Epsilon;
        Assert.DoesNotContain(expected.Zip(actual), pair => !(MathF.Abs(pair.First - pair.Second) <= allowed));
    }

    private static float[] Gradient(DecoderModel model, string name) => ModelParameters.Of(model).Single(parameter => parameter.Name == name).Values.Gradient!.Span.ToArray();

    private static int[] Ids(int count, int seed) => [.. Enumerable.Range(0, count).Select(i => (((i + seed) * 31) + (i * i * seed)) % 90)];
}
