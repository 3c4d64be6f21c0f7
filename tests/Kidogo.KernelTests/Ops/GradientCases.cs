// Every op with what it is differentiated at. A new op is a line here, or the table test fails.
using Kidogo.KernelTests.Weights;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Ops;

namespace Kidogo.KernelTests.Ops;

/// <summary>An op applied to inputs that need gradients.</summary>
/// <param name="Op">The name of its class.</param>
/// <param name="Inputs">Makes the inputs for a number of rows.</param>
/// <param name="Apply">Applies the op to them.</param>
internal sealed record GradientCase(string Op, Func<Pseudorandom, int, Tensor[]> Inputs, Func<ComputeContext, Tensor[], Tensor> Apply)
{
    /// <summary>Whether a row of the result depends on its own row alone (so that gradients of rows are the same bits in any batch).</summary>
    public bool IsRowwise { get; init; } = true;

    /// <summary>Whether the result is what gradients are found of, and nothing comes after it.</summary>
    public bool IsLast { get; init; }

    /// <summary>What the values of the result are multiplied with before they are added up to a loss.</summary>
    public Tensor Weights(Tensor y)
    {
        if (!IsLast)
        {
            return new Pseudorandom(93).Tensor(y.Rows, y.Columns);
        }

        Tensor one = new(1, 1);
        one.Span[0] = 1;
        return one;
    }
}

internal static class GradientCases
{
    private const int D = 24;

    private static readonly AttentionShape s_attention = new(4, 2, 6, 0.4f, 0, 0);
    private static readonly RotaryTable s_rotary = new([1, 0.3, 0.1], 1.2f, RotaryLayout.HalfSplit);
    private static readonly RotaryTable s_interleaved = new([1, 0.3, 0.1], 1, RotaryLayout.Interleaved);
    private static readonly StoredData s_stored = new(WeightFormats.ForName("Q4_K")!, 10, 256, 91);
    private static readonly Weight s_frozen = Opened();

    private static readonly Tensor s_startA = new Pseudorandom(94).Tensor(5, D), s_startB = new Pseudorandom(95).Tensor(37, 5);
    private static readonly Tensor s_lengths = new([.. Enumerable.Range(0, D).Select(i => 0.5f + (0.1f * i))]);

    public static Dictionary<string, GradientCase> All { get; } = Make();

    private static Dictionary<string, GradientCase> Make()
    {
        Dictionary<string, GradientCase> cases = [];
        foreach (Activation kind in Enum.GetValues<Activation>())
        {
            cases.Add($"activation {kind}", new(nameof(ActivationOp), (random, rows) => [AwayFrom0(random, rows)], (context, x) => ActivationOp.Apply(context, x[0], kind)));
            cases.Add($"gated {kind}", new(nameof(GatedOp), (random, rows) => [AwayFrom0(random, rows), random.Tensor(rows, D)], (context, x) => GatedOp.Apply(context, x[0], x[1], kind)));
        }

        cases.Add("gate that is its own branch", new(nameof(GatedOp), (random, rows) => [random.Tensor(rows, D)], (context, x) => GatedOp.Apply(context, x[0], x[0], Activation.Silu)));
        cases.Add("sum", new(nameof(AddOp), (random, rows) => [random.Tensor(rows, D), random.Tensor(rows, D)], (context, x) => AddOp.Apply(context, x[0], x[1])));
        cases.Add("sum with itself", new(nameof(AddOp), (random, rows) => [random.Tensor(rows, D)], (context, x) => AddOp.Apply(context, x[0], x[0])));
        cases.Add("sum with one row", new(nameof(AddOp), (random, rows) => [random.Tensor(rows, D), random.Tensor(1, D)], (context, x) => AddOp.Apply(context, x[0], x[1])));
        cases.Add("sums of sums", new(nameof(AddOp), (random, rows) => [random.Tensor(rows, D), random.Tensor(rows, D)], (context, x) =>
        {
            Tensor a = AddOp.Apply(context, x[0], x[1]), b = AddOp.Apply(context, a, x[0]);
            return AddOp.Apply(context, AddOp.Apply(context, a, b), b); // gradients are handed over, copied and added
        }));
        cases.Add("softcap", new(nameof(SoftcapOp), (random, rows) => [random.Tensor(rows, D, 3)], (context, x) => SoftcapOp.Apply(context, x[0], 2)));
        cases.Add("scale", new(nameof(ScaleOp), (random, rows) => [random.Tensor(rows, D)], (context, x) => ScaleOp.Apply(context, x[0], -1.7f)));
        cases.Add("rows", new(nameof(RowsOp), (random, rows) => [random.Tensor(rows, D)], (context, x) => RowsOp.Apply(context, x[0], [.. Enumerable.Range(0, x[0].Rows).Reverse(), 0, x[0].Rows / 2])) { IsRowwise = false });
        cases.Add("embedding", new(nameof(EmbeddingOp), (random, rows) => [random.Tensor(7, D)], (context, x) => EmbeddingOp.Apply(context, new TrainableWeight(x[0]), [3, 0, 3, 6, 3], 2.5f)) { IsRowwise = false });
        cases.Add("rms norm", new(nameof(RmsNormOp), (random, rows) => [random.Tensor(rows, D), random.Tensor(1, D)], (context, x) => RmsNormOp.Apply(context, x[0], x[1], 1e-2f, unitOffset: false)));
        cases.Add("rms norm with offset", new(nameof(RmsNormOp), (random, rows) => [random.Tensor(rows, D), random.Tensor(1, D)], (context, x) => RmsNormOp.Apply(context, x[0], x[1], 1e-2f, unitOffset: true)));
        cases.Add("rms norm of heads", new(nameof(RmsNormOp), (random, rows) => [random.Tensor(rows, D), random.Tensor(1, 6)], (context, x) => RmsNormOp.Apply(context, x[0], x[1], 1e-2f, unitOffset: true, groupSize: 6)));
        cases.Add("layer norm", new(nameof(LayerNormOp), (random, rows) => [random.Tensor(rows, D), random.Tensor(1, D), random.Tensor(1, D)], (context, x) => LayerNormOp.Apply(context, x[0], x[1], x[2], 1e-2f)));
        cases.Add("layer norm without bias", new(nameof(LayerNormOp), (random, rows) => [random.Tensor(rows, D), random.Tensor(1, D)], (context, x) => LayerNormOp.Apply(context, x[0], x[1], null, 1e-2f)));
        cases.Add("rotary", new(nameof(RotaryOp), (random, rows) => [random.Tensor(rows, D)], (context, x) => RotaryOp.Apply(context, x[0], 8, s_rotary, Positions(x[0]))) { IsRowwise = false });
        cases.Add("rotary interleaved", new(nameof(RotaryOp), (random, rows) => [random.Tensor(rows, D)], (context, x) => RotaryOp.Apply(context, x[0], 6, s_interleaved, Positions(x[0]))) { IsRowwise = false });
        cases.Add("linear", new(nameof(LinearOp), (random, rows) => [random.Tensor(rows, D), random.Tensor(37, D), random.Tensor(1, 37)], (context, x) => LinearOp.Apply(context, x[0], new TrainableWeight(x[1]), x[2])));
        cases.Add("linear with a frozen weight", new(nameof(LinearOp), (random, rows) => [random.Tensor(rows, 256)], (context, x) => LinearOp.Apply(context, x[0], s_frozen, null)));
        cases.Add("linear with the head's precision", new(nameof(LinearOp), (random, rows) => [random.Tensor(rows, D), random.Tensor(37, D)], (context, x) => LinearOp.ApplyRefined(context, x[0], new TrainableWeight(x[1]), null)));
        cases.Add("two linears of one input", new(nameof(LinearOp), (random, rows) => [random.Tensor(rows, D), random.Tensor(37, D), random.Tensor(37, D)], (context, x) =>
        {
            Tensor[] y = new Tensor[2];
            LinearOp.ApplyAll(context, x[0], [new TrainableWeight(x[1]), new TrainableWeight(x[2])], [null, null], y);
            return AddOp.Apply(context, y[0], y[1]);
        }));
        cases.Add("low rank", new(nameof(LowRankOp), (random, rows) => [random.Tensor(rows, D), random.Tensor(rows, 37), random.Tensor(5, D), random.Tensor(37, 5)], (context, x) =>
            LowRankOp.Apply(context, x[0], ScaleOp.Apply(context, x[1], 1), new LowRankChange(x[2], x[3], 1.5f)))); // what is overwritten cannot be a parameter
        cases.Add("low rank on a frozen weight's output", new(nameof(LowRankOp), (random, rows) => [random.Tensor(rows, 256), random.Tensor(3, 256), random.Tensor(10, 3)], (context, x) =>
            LowRankOp.Apply(context, x[0], LinearOp.Apply(context, x[0], s_frozen, null), new LowRankChange(x[1], x[2], 0.5f))));
        cases.Add("low rank from a start", new(nameof(LowRankOp), (random, rows) => [random.Tensor(rows, D), random.Tensor(rows, 37), random.Tensor(5, D), random.Tensor(37, 5)], (context, x) =>
            LowRankOp.Apply(context, x[0], ScaleOp.Apply(context, x[1], 1), new LowRankChange(x[2], x[3], 1.5f, s_startA, s_startB))));
        cases.Add("magnitudes", new(nameof(MagnitudeOp), (random, rows) => [random.Tensor(rows, D), random.Tensor(1, D)], (context, x) => MagnitudeOp.Apply(context, x[0], x[1], s_lengths)));
        AddAttention("attention", s_attention);
        AddAttention("positions that see all", s_attention with { SeesAll = true });
        AddAttention("attention with a window", s_attention with { Window = 2 });
        AddAttention("attention with a cap", s_attention with { Softcap = 0.7f });
        AddLoss("cross entropy", new());
        AddLoss("cross entropy, all of it", new() { LabelSmoothing = 0.2f, ZLoss = 0.1f, Count = 5 });
        AddLoss("cross entropy in place", new() { LabelSmoothing = 0.2f, ZLoss = 0.1f, Count = 5, OverwritesLogits = true });
        foreach (ResponseDistance distance in Enum.GetValues<ResponseDistance>().Where(distance => distance != ResponseDistance.SortedProbabilities))
        {
            cases.Add($"response {distance}", new(nameof(ResponseLossOp), (random, rows) => [random.Tensor(rows, D, 3)], (context, x) =>
                ResponseLossOp.Apply(context, x[0], Teacher(x[0].Rows), Targets(x[0], D), new ResponseLossOptions { Distance = distance, Temperature = 1.5, Mix = 0.3 }).Loss) { IsRowwise = false });
        }

        // Against equal probabilities: with a random teacher's, some of the same rank are so near each other that a step of differences passes the corner between them.
        cases.Add("response of sorted probabilities", new(nameof(ResponseLossOp), (random, rows) => [Apart(random, rows)], (context, x) => ScaleOp.Apply(context, ResponseLossOp.Apply(
            context, x[0], new Tensor(x[0].Rows, D), Targets(x[0], D), new ResponseLossOptions { Distance = ResponseDistance.SortedProbabilities, Temperature = 1.5 }).Loss, 10)) { IsRowwise = false });
        foreach (HiddenDistance distance in Enum.GetValues<HiddenDistance>())
        {
            cases.Add($"hidden {distance}", new(nameof(HiddenLossOp), (random, rows) => [random.Tensor(rows, D, 2)], (context, x) =>
                HiddenLossOp.Apply(context, x[0], Teacher(x[0].Rows), [.. Enumerable.Range(0, x[0].Rows).Select(row => row % 3 != 1)], distance, 3).Loss) { IsRowwise = false });
        }

        foreach (ExampleRelation relation in Enum.GetValues<ExampleRelation>())
        {
            // Of hundreds of rows only some are examples; the factor brings slopes to a size that differences know well.
            cases.Add($"example relation {relation}", new(nameof(ExampleRelationOp), (random, rows) => [random.Tensor(rows, D, 2)], (context, x) =>
                ScaleOp.Apply(context, ExampleRelationOp.Apply(context, x[0], Teacher(x[0].Rows), [.. Enumerable.Range(0, Math.Min(x[0].Rows, 9))], relation).Loss, 40)) { IsRowwise = false });
        }

        cases.Add("sequence log probability", new(nameof(SequenceLogProbabilityOp), (random, rows) => [random.Tensor(rows, D, 3)], (context, x) =>
            SequenceLogProbabilityOp.Apply(context, x[0], Targets(x[0], D), Short(x[0].Rows))) { IsRowwise = false });
        cases.Add("preferences of pairs", new(nameof(PreferenceLossOp), (random, rows) => [random.Tensor(2 * (rows / 2), 1, 3)], (context, x) =>
            PreferenceLossOp.Pairs(context, x[0], Reference(x[0].Rows), 0.7, 2).Loss) { IsRowwise = false });
        cases.Add("preferences of single answers", new(nameof(PreferenceLossOp), (random, rows) => [random.Tensor(rows, 1, 3)], (context, x) => PreferenceLossOp.Singles(
            context, x[0], Reference(x[0].Rows), new([.. Enumerable.Range(0, x[0].Rows).Select(row => row % 3 != 1)], 0.7, 0.4, 1.5, 0.8), 2).Loss) { IsRowwise = false });
        AddRelation("attention relation", 4, 6, new() { Heads = 4 });
        AddRelation("attention relation of shared heads, divided anew", 2, 6, new() { Heads = 3, Count = 2 });
        AddRelation("attention relation of scores, both ways", 4, 6, new() { Heads = 4, IsCausal = false, ComparesScores = true });
        cases.Add("value relation", new(nameof(AttentionRelationOp), (random, rows) => [random.Tensor(rows, D, 2)], (context, x) => AttentionRelationOp.Apply(
            context, new RelationSide(x[0], x[0], 6), new RelationSide(Teacher(x[0].Rows), Teacher(x[0].Rows), 6), Short(x[0].Rows), new() { Heads = 4 }).Loss) { IsRowwise = false });
        AddHeadLoss("head and loss", new(), 1, 0);
        AddHeadLoss("head and loss, all of it", new() { LabelSmoothing = 0.2f, ZLoss = 0.1f, Count = 5 }, 0.6f, 1.5f);
        return cases;

        void AddRelation(string name, int headsOfKeys, int headDim, AttentionRelationOptions options) => cases.Add(name, new(
            nameof(AttentionRelationOp),
            (random, rows) => [random.Tensor(rows, D, 2), random.Tensor(rows, headsOfKeys * headDim, 2)],
            (context, x) => AttentionRelationOp.Apply(
                context, new RelationSide(x[0], x[1], headDim), new RelationSide(Teacher(x[0].Rows), Teacher(x[0].Rows), headDim), Short(x[0].Rows), options).Loss) { IsRowwise = false });

        void AddHeadLoss(string name, CrossEntropyOptions options, float scale, float softcap) => cases.Add(name, new(
            nameof(HeadLossOp),
            (random, rows) => [random.Tensor(rows, D, 2), random.Tensor(37, D), random.Tensor(1, 37)],
            (context, x) => HeadLossOp.Apply(context, x[0], new LossHead(new TrainableWeight(x[1]), x[2], scale, softcap), Targets(x[0], 37), options).Loss)
        {
            IsRowwise = false,
            IsLast = true,
        });

        void AddAttention(string name, AttentionShape shape) => cases.Add(name, new(
            nameof(AttentionOp),
            (random, rows) => [random.Tensor(rows, 24), random.Tensor(rows, 12), random.Tensor(rows, 12)],
            (context, x) => AttentionOp.Apply(context, x[0], x[1], x[2], [new(0, 1, null), new(1, x[0].Rows - 1, null)], shape)) { IsRowwise = false });

        void AddLoss(string name, CrossEntropyOptions options) => cases.Add(name, new(
            nameof(CrossEntropyOp),
            (random, rows) => [random.Tensor(rows, D, 3)],
            (context, x) =>
            {
                Tensor logits = ScaleOp.Apply(context, x[0], 1); // what is overwritten cannot be a parameter
                return CrossEntropyOp.Apply(context, logits, Targets(logits, D), options).Loss;
            }) { IsRowwise = false });
    }

    private static Weight Opened()
    {
        using ComputeContext context = ComputeContext.Training(1);
        return Weight.Open(s_stored.Matrix(10), context);
    }

    /// <summary>Rows whose values lie so far apart that steps of differences do not change their order.</summary>
    private static Tensor Apart(Pseudorandom random, int rows)
    {
        Tensor x = random.Tensor(rows, D, 0.02f);
        for (int i = 0; i < x.Length; i++)
        {
            x.Span[i] += 0.4f * (((i % D * 7) + (i / D)) % D);
        }

        return x;
    }

    /// <summary>Values where corners are farther than the steps of differences.</summary>
    private static Tensor AwayFrom0(Pseudorandom random, int rows)
    {
        Tensor x = random.Tensor(rows, D, 2);
        foreach (ref float value in x.Span)
        {
            value += value < 0 ? -0.2f : 0.2f;
        }

        return x;
    }

    private static int[] Targets(Tensor x, int classes) => [.. Enumerable.Range(0, x.Rows).Select(row => row % 3 == 1 ? CrossEntropyOp.NoTarget : row * 5 % classes)];

    private static Tensor Teacher(int rows) => new Pseudorandom(96).Tensor(rows, D, 3);

    /// <summary>Sequences of a few rows each, one row of none.</summary>
    private static SequenceRows[] Short(int rows) => [.. Enumerable.Range(0, (rows + 6) / 7).Select(i => new SequenceRows(7 * i, Math.Min(6, rows - (7 * i)), null))];

    private static double[] Reference(int rows) => [.. Enumerable.Range(0, rows).Select(row => 0.3 * ((row * 5) % 7) - 1)];

    private static int[] Positions(Tensor x) => [.. Enumerable.Range(0, x.Rows).Select(row => (row * 7) % 300)];
}
