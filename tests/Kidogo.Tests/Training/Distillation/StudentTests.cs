// Students that begin as layers of their teacher, states that passes leave, and texts of the student's own.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tests.Data;
using Kidogo.Training.Distillation;
using Kidogo.Training.Recipes;

namespace Kidogo.Tests.Training.Distillation;

public sealed class StudentTests
{
    private const int Context = 16;
    private static readonly int[] s_ids = [3, 1, 4, 1, 5, 9, 2, 6];

    [Fact]
    public void Make_EveryLayer_IsTheTeacher()
    {
        using DecoderModel teacher = Model(4), student = LayerStudent.Make(teacher, 1);
        AssertBits(Logits(teacher), Logits(student));
    }

    [Fact]
    public void Make_EverySecondLayer_TakesThoseWithEmbeddingAndHead()
    {
        using DecoderModel teacher = Model(5), student = LayerStudent.Make(teacher, 2);
        Assert.Equal(3, student.Config.NumLayers);
        Dictionary<string, ModelParameter> theirs = ModelParameters.Of(teacher).ToDictionary(parameter => parameter.Name);
        foreach (ModelParameter parameter in ModelParameters.Of(student))
        {
            string source = parameter.Name.Replace("blk.2.", "blk.4.", StringComparison.Ordinal).Replace("blk.1.", "blk.2.", StringComparison.Ordinal);
            AssertBits(theirs[source].Values.Span.ToArray(), parameter.Values.Span.ToArray());
        }
    }

    [Fact]
    public void ConfigOf_MoreThanThereAre_IsRefused()
    {
        using DecoderModel teacher = Model(2);
        Assert.Contains("2", Assert.Throws<RecipeException>(() => LayerStudent.ConfigOf(teacher.Config, 3)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Taps_OfBothKindsOfPasses_LeaveTheSameStates()
    {
        const float Rounding = 1e-4f; // attention over a cache sums in another order
        using DecoderModel model = Model(3);
        LayerTaps trained = Tapped(model, ComputeContext.Training(1)), inferred = Tapped(model, ComputeContext.Inference(1, ComputePrecision.Exact));
        for (int layer = 0; layer < 3; layer++)
        {
            AssertNear(trained.Hidden(layer), inferred.Hidden(layer), Rounding);
        }

        AttentionStates one = trained.Attention(2), other = inferred.Attention(2);
        AssertNear(one.Query, other.Query, Rounding);
        AssertNear(one.Key, other.Key, Rounding);
        AssertNear(one.Value, other.Value, Rounding);
        Assert.Throws<InvalidOperationException>(() => trained.Attention(1));
    }

    [Fact]
    public void Taps_WhereActivationsAreNotKept_AreRefused()
    {
        using DecoderModel model = Model(2);
        Assert.Throws<NotSupportedException>(() => Tapped(model, ComputeContext.Training(1, checkpointActivations: true)));
    }

    [Fact]
    public void Replace_SameStep_DrawsTheSameAndKeepsBeginnings()
    {
        using DecoderModel model = Model(2);
        using OnPolicySampler one = new(model, 0.5, 3, 1), two = new(model, 0.5, 3, 2);
        TokenBatch first = Filled(), second = Filled(), other = Filled();
        one.Replace(first, 7, 0);
        two.Replace(second, 7, 0);
        one.Replace(other, 8, 0);
        Assert.Equal(first.Ids, second.Ids);
        Assert.NotEqual(first.Ids, other.Ids);
        Assert.True(first.IsSampled);
        Assert.Equal(Filled().Ids[..4], first.Ids[..4]); // a quarter of a row
        Assert.Equal(2 * (Context - 3), first.Scored);
        Assert.Equal(Enumerable.Range(0, 2000).Count(step => one.Samples(step)), Enumerable.Range(0, 2000).Count(step => two.Samples(step)));
        Assert.InRange(Enumerable.Range(0, 2000).Count(step => one.Samples(step)), 900, 1100);
    }

    private static TokenBatch Filled()
    {
        TokenBatch batch = new(2, Context);
        bool[] counts = [.. Enumerable.Repeat(true, Context + 1)];
        batch.Refill([([.. Enumerable.Range(5, Context + 1)], counts, 0), ([.. Enumerable.Range(40, Context + 1)], counts, 0)], isSampled: false);
        return batch;
    }

    private static LayerTaps Tapped(DecoderModel model, ComputeContext context)
    {
        using (context)
        {
            using SequenceBatch batch = new() { Taps = new LayerTaps([0, 1, 2], [2]) };
            batch.Add(null, s_ids, LogitRows.All);
            batch.Add(null, s_ids.AsSpan(2), LogitRows.All);
            model.Forward(context, batch);
            return batch.Taps;
        }
    }

    private static float[] Logits(DecoderModel model)
    {
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using SequenceBatch batch = new();
        batch.Add(null, s_ids, LogitRows.All);
        return model.Forward(context, batch).Span.ToArray();
    }

    private static DecoderModel Model(int layers)
    {
        ModelShape shape = new() { Hidden = 32, Layers = layers, Heads = 2, KvHeads = 1, HeadDim = 16, FeedForward = 64 };
        return RandomModel.Create(shape.ToConfig(DataFolder.Bytes.VocabularySize, Context), 1);
    }

    private static void AssertBits(float[] expected, float[] actual) => Assert.Equal(expected.Select(BitConverter.SingleToInt32Bits), actual.Select(BitConverter.SingleToInt32Bits));

    private static void AssertNear(Tensor expected, Tensor actual, float tolerance)
    {
        Assert.Equal((expected.Rows, expected.Columns), (actual.Rows, actual.Columns));
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected.Span[i], actual.Span[i], tolerance);
        }
    }
}
