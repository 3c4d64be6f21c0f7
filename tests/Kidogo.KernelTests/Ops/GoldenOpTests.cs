// Ops give the values of PyTorch in float64. Knows no gradients yet.
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
        using Weight weight = Weight.FromDense(of("weight")!);
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
            using Weight weight = Weight.FromDense(of("weight")!);
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
            Tensor heads = of("x")!; // [batch · tokens · heads, size]
            int size = heads.Columns, count = heads.Rows / at.Length;
            Tensor x = new(at.Length, count * size);
            heads.Span.CopyTo(x.Span);
            return RotaryOp.Apply(context, x, size, table, at);
        });
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

    private static void Check(string operation, string name, Func<ComputeContext, Func<string, Tensor?>, JsonElement, Tensor> apply)
    {
        IReadOnlyDictionary<string, FixtureTensor> tensors = SafetensorsFixture.Read(SharedFolder.PathOf("golden", "ops", operation + ".safetensors"));
        using ComputeContext context = ComputeContext.Inference(2);
        Tensor y = apply(context, key => tensors.TryGetValue($"{name}/{key}", out FixtureTensor? found) ? Matrix(found) : null, Options(operation, name));
        AttentionReference.Near([.. tensors[name + "/y"].As<float>().Select(value => (double)value)], y.Span, Tolerance, $"{operation}, {name}");
    }

    private static JsonElement Options(string operation, string name)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(SharedFolder.PathOf("golden", "ops", "ops.json")));
        return document.RootElement.GetProperty(operation).GetProperty(name).Clone();
    }

    private static Tensor Matrix(FixtureTensor fixture)
    {
        int columns = (int)fixture.Shape[^1];
        float[] values = fixture.As<float>();
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
