// Ops give the values and gradients of PyTorch in float64.
using System.Text.Json;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Kidogo.TestSupport;

namespace Kidogo.KernelTests.Ops;

public sealed class GoldenOpTests
{
    /// <summary>Of the largest value of a tensor: ten times what PyTorch's own float32 shows.</summary>
    private const double Tolerance = 2e-6;

    /// <summary>Scores of hundreds: float32 knows them to 1e-5 only.</summary>
    private const double LargeScoresTolerance = 1e-5;

    private static readonly AttentionShape s_anyShape = new(1, 1, 1, 1, 0, 0);

    [SharedTheory]
    [InlineData("bias")]
    [InlineData("plain")]
    public void Linear_Case_IsPyTorchs(string name) => Check("linear", name, (context, of, options) =>
    {
        using Weight weight = WeightOf(context, of("weight")!);
        return LinearOp.Apply(context, of("x")!, weight, of("bias"));
    });

    [SharedTheory]
    [InlineData("plain")]
    [InlineData("unit_offset")]
    [InlineData("tiny_values")]
    [InlineData("zero_row")]
    public void RmsNorm_Case_IsPyTorchs(string name) => Check(
        "rms_norm", name, (context, of, options) => RmsNormOp.Apply(context, of("x")!, of("weight")!, options.GetProperty("eps").GetSingle(), options.GetProperty("unit_offset").GetBoolean()));

    [SharedTheory]
    [InlineData("bias")]
    [InlineData("no_bias")]
    public void LayerNorm_Case_IsPyTorchs(string name) =>
        Check("layer_norm", name, (context, of, options) => LayerNormOp.Apply(context, of("x")!, of("weight")!, of("bias"), options.GetProperty("eps").GetSingle()));

    [SharedTheory]
    [InlineData("swiglu", Activation.Silu)]
    [InlineData("far_values", Activation.Silu)]
    [InlineData("geglu_tanh", Activation.GeluTanh)]
    [InlineData("geglu_erf", Activation.GeluErf)]
    [InlineData("reglu", Activation.Relu)]
    public void Gated_Case_IsPyTorchs(string name, Activation kind) => Check("gated", name, (context, of, options) => GatedOp.Apply(context, of("gate")!, of("up")!, kind));

    [SharedFact]
    public void Activation_SquaredRelu_IsPyTorchs() => Check("gated", "squared_relu", (context, of, options) => ActivationOp.Apply(context, of("x")!, Activation.ReluSquared));

    [SharedFact]
    public void Softcap_Case_IsPyTorchs() => Check("softcap", "final_logits", (context, of, options) => SoftcapOp.Apply(context, of("x")!, options.GetProperty("cap").GetSingle()));

    [SharedFact]
    public void Embedding_Case_IsPyTorchs()
    {
        int[] ids = [.. SafetensorsFixture.Read(SharedFolder.PathOf("golden", "ops", "embedding.safetensors"))["repeated_ids/ids"].As<int>()];
        Check("embedding", "repeated_ids", (context, of, options) =>
        {
            using Weight weight = WeightOf(context, of("weight")!);
            return EmbeddingOp.Apply(context, weight, ids, 1);
        });
    }

    [SharedTheory]
    [InlineData("half_split", RotaryLayout.HalfSplit)]
    [InlineData("half_split_partial", RotaryLayout.HalfSplit)]
    [InlineData("interleaved", RotaryLayout.Interleaved)]
    [InlineData("interleaved_partial", RotaryLayout.Interleaved)]
    public void Rotary_Case_IsPyTorchs(string name, RotaryLayout layout)
    {
        FixtureTensor positions = SafetensorsFixture.Read(SharedFolder.PathOf("golden", "ops", "rotary.safetensors"))[name + "/positions"];
        int[] at = positions.As<int>();
        Check("rotary", name, (context, of, options) =>
        {
            double theta = options.GetProperty("theta").GetDouble();
            int turned = options.GetProperty("rotary_dimensions").GetInt32();
            RotaryTable table = new([.. Enumerable.Range(0, turned / 2).Select(i => Math.Pow(theta, -2.0 * i / turned))], 1, layout);
            return RotaryOp.Apply(context, of("x")!, options.GetProperty("inputs").GetProperty("x")[3].GetInt32(), table, at);
        }, rows: at.Length);
    }

    [SharedTheory]
    [InlineData("causal")]
    [InlineData("causal_grouped")]
    [InlineData("multi_query")]
    [InlineData("cached")]
    [InlineData("sliding_window")]
    [InlineData("softcap")]
    [InlineData("scale")]
    [InlineData("packed_documents")]
    [InlineData("large_scores")]
    public void Attention_Case_IsPyTorchs(string name)
    {
        IReadOnlyDictionary<string, FixtureTensor> tensors = SafetensorsFixture.Read(SharedFolder.PathOf("golden", "ops", "attention.safetensors"));
        JsonElement options = Options("attention", name);
        long[] shape = tensors[name + "/q"].Shape, keyShape = tensors[name + "/k"].Shape;
        (int batch, int heads, int queries, int size) = ((int)shape[0], (int)shape[1], (int)shape[2], (int)shape[3]);
        (int kvHeads, int keys) = ((int)keyShape[1], (int)keyShape[2]);
        AttentionShape attention = s_anyShape with
        {
            Heads = heads,
            KvHeads = kvHeads,
            HeadDim = size,
            Scale = options.GetProperty("scale").GetSingle(),
            Softcap = options.GetProperty("softcap").ValueKind == JsonValueKind.Null ? 0 : options.GetProperty("softcap").GetSingle(),
            Window = options.TryGetProperty("window", out JsonElement window) ? window.GetInt32() : 0,
        };
        int[] documents = options.TryGetProperty("documents", out JsonElement ids) ? [.. ids.EnumerateArray().Select(id => id.GetInt32())] : new int[keys];
        using ComputeContext context = ComputeContext.Inference(2);
        for (int b = 0; b < batch; b++)
        {
            Tensor q = Tokens(tensors[name + "/q"], b), k = Tokens(tensors[name + "/k"], b), v = Tokens(tensors[name + "/v"], b), y = Tokens(tensors[name + "/y"], b);
            foreach (IGrouping<int, int> document in Enumerable.Range(0, keys).GroupBy(position => documents[position]))
            {
                using KvStore store = new(kvHeads, size, KvFormat.F32, attention.Window);
                (int first, int count) = (document.First(), document.Count());
                int earlier = keys - queries; // positions of the cache before the first query
                if (earlier > 0)
                {
                    Tensor any = new(earlier, heads * size);
                    AttentionOp.Apply(context, any, AttentionReference.Rows(k, 0, earlier), AttentionReference.Rows(v, 0, earlier), [new SequenceRows(0, earlier, store)], attention);
                }

                count -= earlier;
                Tensor result = AttentionOp.Apply(
                    context,
                    AttentionReference.Rows(q, first, count),
                    AttentionReference.Rows(k, first + earlier, count),
                    AttentionReference.Rows(v, first + earlier, count),
                    [new SequenceRows(0, count, store)],
                    attention);
                double[] expected = [.. AttentionReference.Rows(y, first, count).Span.ToArray().Select(value => (double)value)];
                AttentionReference.Near(expected, result.Span, name == "large_scores" ? LargeScoresTolerance : Tolerance, $"{name}, sequence {b}, document {document.Key}");
            }
        }
    }

    [SharedTheory]
    [InlineData("plain")]
    [InlineData("mask")]
    [InlineData("label_smoothing")]
    [InlineData("label_smoothing_mask")]
    [InlineData("z_loss_mask")]
    [InlineData("large_logits")]
    [InlineData("logits_plus_1e4")]
    public void CrossEntropy_Case_IsPyTorchs(string name)
    {
        IReadOnlyDictionary<string, FixtureTensor> tensors = SafetensorsFixture.Read(SharedFolder.PathOf("golden", "ops", "cross_entropy.safetensors"));
        FixtureTensor stored = tensors[name + "/targets"];
        int[] targets = stored.DType == "I64" ? [.. stored.As<long>().Select(id => (int)id)] : stored.As<int>();
        JsonElement options = Options("cross_entropy", name);
        CrossEntropyOptions loss = new()
        {
            LabelSmoothing = options.TryGetProperty("label_smoothing", out JsonElement smoothing) ? smoothing.GetSingle() : 0,
            ZLoss = options.TryGetProperty("z_loss", out JsonElement z) ? z.GetSingle() : 0,
        };
        foreach (bool overwrites in new[] { false, true })
        {
            using ComputeContext context = ComputeContext.Training(2);
            Tensor parameter = Matrix(tensors[name + "/logits"]).AsParameter();
            Tensor logits = RowsOp.Apply(context, parameter, [.. Enumerable.Range(0, parameter.Rows)]); // what is overwritten cannot be a parameter
            CrossEntropyResult result = CrossEntropyOp.Apply(context, logits, targets, loss with { OverwritesLogits = overwrites });
            double expected = options.GetProperty("loss").GetDouble();
            Assert.Equal(expected, result.Value, Tolerance * expected);
            Assert.Equal((float)expected, result.Loss.Span[0], Tolerance * expected);
            context.Backward(result.Loss);
            AttentionReference.Near(Doubles(tensors[name + "/grad_logits"]), parameter.Gradient!.Span, Tolerance, $"{name}, overwriting: {overwrites}");
        }
    }

    /// <summary>Sequences without a cache, as in training, with the gradients of q, k and v.</summary>
    [SharedTheory]
    [InlineData("causal")]
    [InlineData("causal_grouped")]
    [InlineData("multi_query")]
    [InlineData("sliding_window")]
    [InlineData("softcap")]
    [InlineData("scale")]
    [InlineData("packed_documents")]
    [InlineData("large_scores")]
    public void Attention_Gradients_ArePyTorchs(string name)
    {
        IReadOnlyDictionary<string, FixtureTensor> tensors = SafetensorsFixture.Read(SharedFolder.PathOf("golden", "ops", "attention.safetensors"));
        JsonElement options = Options("attention", name);
        long[] shape = tensors[name + "/q"].Shape;
        AttentionShape attention = new(
            (int)shape[1],
            (int)tensors[name + "/k"].Shape[1],
            (int)shape[3],
            options.GetProperty("scale").GetSingle(),
            options.GetProperty("softcap").ValueKind == JsonValueKind.Null ? 0 : options.GetProperty("softcap").GetSingle(),
            options.TryGetProperty("window", out JsonElement window) ? window.GetInt32() : 0);
        int[] documents = options.TryGetProperty("documents", out JsonElement ids) ? [.. ids.EnumerateArray().Select(id => id.GetInt32())] : new int[shape[2]];
        SequenceRows[] sequences = [.. Enumerable.Range(0, documents.Length).GroupBy(row => documents[row]).Select(document => new SequenceRows(document.First(), document.Count(), null))];
        using ComputeContext context = ComputeContext.Training(2);
        for (int b = 0; b < shape[0]; b++)
        {
            Dictionary<string, Tensor> inputs = new[] { "q", "k", "v" }.ToDictionary(key => key, key => Tokens(tensors[$"{name}/{key}"], b).AsParameter());
            Tensor y = AttentionOp.Apply(context, inputs["q"], inputs["k"], inputs["v"], sequences, attention);
            double tolerance = name == "large_scores" ? LargeScoresTolerance : Tolerance;
            AttentionReference.Near(Doubles(Tokens(tensors[name + "/y"], b)), y.Span, tolerance, $"{name}, sequence {b}");
            context.Backward(Gradients.Weighted(context, y, Tokens(tensors[name + "/upstream_y"], b)));
            foreach ((string key, Tensor input) in inputs)
            {
                AttentionReference.Near(Doubles(Tokens(tensors[$"{name}/grad_{key}"], b)), input.Gradient!.Span, tolerance, $"{name}, sequence {b}, gradient of {key}");
            }
        }
    }

    private static void Check(string operation, string name, Func<ComputeContext, Func<string, Tensor?>, JsonElement, Tensor> apply, int rows = 0)
    {
        IReadOnlyDictionary<string, FixtureTensor> tensors = SafetensorsFixture.Read(SharedFolder.PathOf("golden", "ops", operation + ".safetensors"));
        JsonElement options = Options(operation, name);
        using ComputeContext context = ComputeContext.Inference(2);
        Tensor y = apply(context, key => tensors.TryGetValue($"{name}/{key}", out FixtureTensor? found) ? Matrix(found, rows) : null, options);
        AttentionReference.Near(Doubles(tensors[name + "/y"]), y.Span, Tolerance, $"{operation}, {name}");

        using ComputeContext training = ComputeContext.Training(2);
        Dictionary<string, Tensor> inputs = [];
        y = apply(training, key => tensors.TryGetValue($"{name}/{key}", out FixtureTensor? found) ? inputs[key] = Matrix(found, rows).AsParameter() : null, options);
        AttentionReference.Near(Doubles(tensors[name + "/y"]), y.Span, Tolerance, $"{operation}, {name}, training");
        training.Backward(Gradients.Weighted(training, y, Matrix(tensors[name + "/upstream_y"], y.Rows)));
        foreach (string key in options.GetProperty("gradients").EnumerateArray().Select(key => key.GetString()!))
        {
            AttentionReference.Near(Doubles(tensors[$"{name}/grad_{key}"]), inputs[key].Gradient!.Span, Tolerance, $"{operation}, {name}, gradient of {key}");
        }
    }

    private static Weight WeightOf(ComputeContext context, Tensor values) => context.IsTraining ? new TrainableWeight(values) : Weight.FromDense(values);

    private static double[] Doubles(FixtureTensor fixture) => [.. fixture.As<float>().Select(value => (double)value)];

    private static double[] Doubles(Tensor tensor) => [.. tensor.Span.ToArray().Select(value => (double)value)];

    private static JsonElement Options(string operation, string name)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(SharedFolder.PathOf("golden", "ops", "ops.json")));
        return document.RootElement.GetProperty(operation).GetProperty(name).Clone();
    }

    private static Tensor Matrix(FixtureTensor fixture, int rows = 0)
    {
        float[] values = fixture.As<float>();
        int columns = rows > 0 && fixture.Shape.Length > 1 ? values.Length / rows : (int)fixture.Shape[^1];
        Tensor matrix = new(values.Length / columns, columns);
        values.CopyTo(matrix.Span);
        return matrix;
    }

    /// <summary>[batch, heads, tokens, size] as [tokens, heads · size] of one sequence.</summary>
    private static Tensor Tokens(FixtureTensor fixture, int sequence)
    {
        (int heads, int tokens, int size) = ((int)fixture.Shape[1], (int)fixture.Shape[2], (int)fixture.Shape[3]);
        float[] values = fixture.As<float>();
        Tensor matrix = new(tokens, heads * size);
        for (int h = 0; h < heads; h++)
        {
            for (int t = 0; t < tokens; t++)
            {
                values.AsSpan(((((sequence * heads) + h) * tokens) + t) * size, size).CopyTo(matrix.Row(t)[(h * size)..]);
            }
        }

        return matrix;
    }
}
