// The weights that are shown are those that the model's attention used: with the values they give what went on to the output projection.
using Kidogo.Evaluation.Explanations;
using Kidogo.Models;
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Tests.Evaluation.Explanations;

public sealed class AttentionWeightsTests : IDisposable
{
    private readonly ComputeContext _context = ComputeContext.Inference(1, ComputePrecision.Exact);

    public void Dispose() => _context.Dispose();

    [Theory]
    [InlineData(0, 0f)]
    [InlineData(3, 0f)]
    [InlineData(0, 0.5f)]
    [InlineData(2, 0.5f)]
    public void Weights_WithTheValues_GiveWhatAttentionGave(int window, float softcap)
    {
        using DecoderModel model = RandomModel.Create(Config(window, softcap), 5, new InitialWeights { EmbeddingDeviation = 1, MatrixDeviation = 0.3 });
        int[] ids = [3, 1, 4, 1, 5, 9, 2];
        Dictionary<string, Tensor> seen = [];
        model.Replace(layer => layer is Linear linear && layer.Name.EndsWith("attn_output", StringComparison.Ordinal) ? new Watched(linear, seen) : layer);
        AttentionWeights attention = AttentionWeights.Of(model, _context, ids);
        Assert.Equal((7, 2, 4), (attention.Tokens, attention.Layers, attention.HeadsOf(1)));

        LayerTaps taps = new([], [0, 1]);
        using SequenceBatch batch = new() { Taps = taps };
        batch.Add(null, ids, LogitRows.None);
        model.Forward(_context, batch);
        for (int layer = 0; layer < 2; layer++)
        {
            Tensor mixed = seen[$"blk.{layer}.attn_output"], values = taps.Attention(layer).Value;
            for (int head = 0; head < 4; head++)
            {
                double[,] weights = attention.Of(layer, head);
                for (int row = 0; row < ids.Length; row++)
                {
                    Assert.Equal(1, Enumerable.Range(0, ids.Length).Sum(at => weights[row, at]), 9);
                    Assert.All(Enumerable.Range(0, ids.Length).Where(at => at > row || (window > 0 && at <= row - window)), at => Assert.Equal(0, weights[row, at]));
                    for (int e = 0; e < 8; e++)
                    {
                        double expected = Enumerable.Range(0, ids.Length).Sum(at => weights[row, at] * values.Row(at)[(head / 2 * 8) + e]);
                        Assert.Equal(expected, mixed.Row(row)[(head * 8) + e], 4);
                    }
                }
            }
        }
    }

    [Fact]
    public void Habit_OfHandMadeWeights_IsTheirMeanFromTheThirdTokenOn()
    {
        double[,] weights = { { 1, 0, 0, 0 }, { 0.5, 0.5, 0, 0 }, { 0.2, 0.3, 0.5, 0 }, { 0.1, 0.6, 0.2, 0.1 } };
        AttentionHabit habit = AttentionWeights.HabitOf(weights);
        Assert.Equal(0.15, habit.First, 9);
        Assert.Equal(0.25, habit.Previous, 9);
        Assert.Equal(0.3, habit.Itself, 9);
        Assert.Equal(0.3, habit.Others, 9);
        Assert.Equal(0.3, habit.Picked, 9);
    }

    [Theory]
    [InlineData(1, 1, 0)]
    [InlineData(2, 0.25, 0.75)]
    public void Habit_OfAVeryShortText_IsThatOfItsLastToken(int tokens, double itself, double previous)
    {
        double[,] weights = new double[tokens, tokens];
        weights[0, 0] = 1;
        weights[tokens - 1, tokens - 1] = itself;
        if (tokens > 1)
        {
            weights[1, 0] = previous;
        }

        Assert.Equal(new AttentionHabit(0, previous, itself, 0, 0), AttentionWeights.HabitOf(weights));
    }

    [Fact]
    public void Text_EmptyOrTooLong_IsRefusedWithTheLimit()
    {
        using DecoderModel model = RandomModel.Create(Config(0, 0), 5);
        Assert.Contains("empty", Assert.Throws<ExplanationException>(() => AttentionWeights.Of(model, _context, [])).Message, StringComparison.Ordinal);
        Assert.Contains("16 at most", Assert.Throws<ExplanationException>(() => AttentionWeights.Of(model, _context, new int[17])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Lengths_Double_AndTheCacheWithThem()
    {
        using DecoderModel model = RandomModel.Create(Config(0, 0) with { ContextLength = 2048 }, 5);
        LengthCost[] costs = [.. LengthCosts.Measure(model, _context, 2048, TimeSpan.FromDays(1))];
        Assert.Equal([128, 256, 512, 1024, 2048], costs.Select(cost => cost.Tokens));
        Assert.Equal(costs[2].CacheBytes * 2, costs[3].CacheBytes);
        Assert.Equal(costs[3].CacheBytes * 2, costs[4].CacheBytes);
        Assert.Equal(4L * 2048 * 2048 * 4, costs[4].MatrixBytes);
        Assert.All(costs, cost => Assert.InRange(cost.AttentionSeconds, 1e-9, cost.Seconds));
        Assert.Equal([2, 4, 8, 16], LengthCosts.Measure(model, _context, 16, TimeSpan.FromDays(1)).Select(cost => cost.Tokens));
        Assert.Equal(2, LengthCosts.Measure(model, _context, 2048, TimeSpan.Zero).Count());
        Assert.Throws<ExplanationException>(() => LengthCosts.Measure(model, _context, 1, TimeSpan.Zero));
        Assert.Equal(0, _context.Mark());
    }

    private static DecoderConfig Config(int window, float softcap)
    {
        LayerConfig layer = new() { NumHeads = 4, NumKvHeads = 2, HeadDim = 8, IntermediateSize = 32, AttentionScale = 0.35f, AttentionSoftcap = softcap, SlidingWindow = window, Activation = Activation.Silu };
        return new DecoderConfig { VocabSize = 20, HiddenSize = 32, ContextLength = 16, Layers = [layer, layer], Norm = new NormConfig(NormKind.Rms, 1e-5f), TiedHead = true };
    }

    private sealed class Watched(Linear inner, Dictionary<string, Tensor> seen) : Linear(inner.Name, inner.Weight, inner.Bias)
    {
        public override Tensor Forward(ComputeContext context, Tensor x)
        {
            Tensor copy = new(x.Rows, x.Columns);
            x.Span.CopyTo(copy.Span);
            seen[Name] = copy;
            return base.Forward(context, x);
        }
    }
}
