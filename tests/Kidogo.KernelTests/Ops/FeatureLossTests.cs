// Losses of hidden states, of relations between tokens and among examples, and of other vocabularies, beside PyTorch's in float64: values and gradients.
using System.Text.Json;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Kidogo.TestSupport;

namespace Kidogo.KernelTests.Ops;

public sealed class FeatureLossTests
{
    /// <summary>Of the largest value of a tensor, by the reference's README: ten times what PyTorch's float32 is off.</summary>
    private const float Tolerance = 2e-6f;

    [SharedTheory]
    [InlineData("mse_projection", HiddenDistance.MeanSquare)]
    [InlineData("mse_projection_masked", HiddenDistance.MeanSquare)]
    [InlineData("cosine", HiddenDistance.Cosine)]
    [InlineData("cosine_masked", HiddenDistance.Cosine)]
    [InlineData("patient", HiddenDistance.Normalized)]
    public void Hidden_AnyCase_IsThePaperInFloat64(string name, HiddenDistance distance)
    {
        Golden golden = new("hidden", name);
        using ComputeContext context = ComputeContext.Training(2);
        Tensor student = golden.Matrix("student").AsParameter();
        TrainableWeight? projection = golden.Has("projection") ? new TrainableWeight(golden.Matrix("projection")) : null;
        bool[] counts = golden.Has("mask") ? [.. golden.Numbers("mask").Select(value => value != 0)] : [];
        Tensor states = projection is null ? student : LinearOp.Apply(context, student, projection, null);
        FeatureLoss loss = HiddenLossOp.Apply(context, states, golden.Matrix("teacher"), counts, distance);
        golden.Check(context, loss, ("student", student), ("projection", projection?.Values));
    }

    [SharedTheory]
    [InlineData("minilm_attention_bidirectional", "qk", false)]
    [InlineData("minilm_values_bidirectional", "vv", false)]
    [InlineData("minilm_attention_causal_padding", "qk", true)]
    [InlineData("minilm_values_causal_padding", "vv", true)]
    [InlineData("minilm2_relations", "qq kk vv", false)]
    [InlineData("minilm2_different_heads", "qq kk vv", false)]
    [InlineData("tinybert_scores", "qk", false)]
    public void Attention_AnyCase_IsThePaperInFloat64(string name, string relations, bool isCausal)
    {
        Golden golden = new("attention", name);
        using ComputeContext context = ComputeContext.Training(2);
        Dictionary<char, Tensor> student = [], teacher = [];
        foreach (char part in "qkv")
        {
            student[part] = golden.Heads($"student_{part}").AsParameter();
            teacher[part] = golden.Heads($"teacher_{part}");
        }

        int length = (int)golden.Shape("student_q")[2], heads = name.StartsWith("minilm2", StringComparison.Ordinal) ? 8 : (int)golden.Shape("student_q")[1];
        int[] lengths = golden.Has("lengths") ? [.. golden.Numbers("lengths").Select(value => (int)value)] : [length, length];
        SequenceRows[] sequences = [.. lengths.Select((rows, i) => new SequenceRows(i * length, rows, null))];
        Tensor? sum = null;
        double value = 0;
        foreach (string relation in relations.Split(' '))
        {
            RelationSide Side(Dictionary<char, Tensor> of, string side) => new(of[relation[0]], of[relation[1]], (int)golden.Shape($"{side}_q")[3]);
            FeatureLoss loss = AttentionRelationOp.Apply(context, Side(student, "student"), Side(teacher, "teacher"), sequences, new() { Heads = heads, IsCausal = isCausal, ComparesScores = name == "tinybert_scores" });
            value += loss.Value;
            sum = sum is null ? loss.Loss : AddOp.Apply(context, sum, loss.Loss);
        }

        golden.CheckHeads(context, new FeatureLoss(sum!, value), student);
    }

    [SharedTheory]
    [InlineData("rkd_distance", ExampleRelation.Distance)]
    [InlineData("rkd_angle", ExampleRelation.Angle)]
    [InlineData("cka_linear", ExampleRelation.Alignment)]
    [InlineData("similarity_preserving", ExampleRelation.Similarity)]
    public void Examples_AnyCase_IsThePaperInFloat64(string name, ExampleRelation relation)
    {
        Golden golden = new("relation", name);
        using ComputeContext context = ComputeContext.Training(2);
        Tensor student = golden.Matrix("student").AsParameter();
        golden.Check(context, ExampleRelationOp.Apply(context, student, golden.Matrix("teacher"), [], relation), ("student", student));
    }

    [SharedTheory]
    [InlineData("uld")]
    [InlineData("uld_smaller_teacher")]
    [InlineData("uld_lengths")]
    [InlineData("uld_combined")]
    public void SortedProbabilities_AnyCase_IsThePaperInFloat64(string name)
    {
        const float Weight = 1.5f;
        Golden golden = new("cross_tokenizer", name);
        using ComputeContext context = ComputeContext.Training(2);
        Tensor student = golden.Matrix("student").AsParameter(), teacher = golden.Matrix("teacher");
        Tensor paired = teacher.Rows == student.Rows ? student : RowsOp.Apply(context, student, [.. Enumerable.Range(0, teacher.Rows)]);
        CrossEntropyResult taught = ResponseLossOp.Apply(context, paired, teacher, [], new ResponseLossOptions { Distance = ResponseDistance.SortedProbabilities, ScalesByTemperature = false });
        FeatureLoss loss = new(taught.Loss, taught.Value);
        if (golden.Has("labels"))
        {
            CrossEntropyResult labelled = CrossEntropyOp.Apply(context, student, [.. golden.Numbers("labels").Select(label => (int)label)]);
            loss = new FeatureLoss(AddOp.Apply(context, labelled.Loss, ScaleOp.Apply(context, taught.Loss, Weight)), labelled.Value + (Weight * taught.Value));
        }

        golden.Check(context, loss, ("student", student));
    }

    [Theory]
    [InlineData(ExampleRelation.Distance)]
    [InlineData(ExampleRelation.Angle)]
    [InlineData(ExampleRelation.Similarity)]
    [InlineData(ExampleRelation.Alignment)]
    public void Examples_AllAlike_GiveFiniteNumbers(ExampleRelation relation)
    {
        using ComputeContext context = ComputeContext.Training(1);
        Tensor student = new Tensor(4, 3).AsParameter();
        student.Span.Fill(0.5f);
        FeatureLoss loss = ExampleRelationOp.Apply(context, student, new Pseudorandom(5).Tensor(4, 6), [], relation);
        context.Backward(loss.Loss);
        Assert.True(double.IsFinite(loss.Value));
        Assert.All(student.Gradient!.Span.ToArray(), value => Assert.True(float.IsFinite(value)));
    }

    /// <summary>A case of the reference.</summary>
    private sealed class Golden(string group, string name)
    {
        private readonly IReadOnlyDictionary<string, FixtureTensor> _tensors = SafetensorsFixture.Read(SharedFolder.PathOf("golden", "distillation", $"{group}.safetensors"));

        public bool Has(string input) => _tensors.ContainsKey($"{name}/{input}");

        public long[] Shape(string input) => [.. _tensors[$"{name}/{input}"].Shape.Select(size => (long)size)];

        public double[] Numbers(string input) => _tensors[$"{name}/{input}"] switch
        {
            { DType: "I64" } stored => [.. stored.As<long>().Select(value => (double)value)],
            { DType: "I32" } stored => [.. stored.As<int>().Select(value => (double)value)],
            { DType: "BOOL" or "U8" } stored => [.. stored.As<byte>().Select(value => (double)value)],
            { } stored => [.. stored.As<float>().Select(value => (double)value)],
        };

        public Tensor Matrix(string input)
        {
            long[] shape = Shape(input);
            Tensor values = new((int)shape[..^1].Aggregate(1L, (product, size) => product * size), (int)shape[^1]);
            _tensors[$"{name}/{input}"].As<float>().CopyTo(values.Span);
            return values;
        }

        /// <summary>[B, heads, T, E] as [B·T, heads·E].</summary>
        public Tensor Heads(string input) => Joined(_tensors[$"{name}/{input}"].As<float>(), Shape(input));

        public void Check(ComputeContext context, FeatureLoss loss, params (string Input, Tensor? Values)[] inputs)
        {
            CheckValue(loss);
            context.Backward(loss.Loss);
            foreach ((string input, Tensor? values) in inputs)
            {
                if (values is not null)
                {
                    Near(_tensors[$"{name}/grad_{input}"].As<float>(), values.Gradient!.Span, input);
                }
            }
        }

        public void CheckHeads(ComputeContext context, FeatureLoss loss, Dictionary<char, Tensor> student)
        {
            CheckValue(loss);
            context.Backward(loss.Loss);
            int found = 0;
            foreach ((char part, Tensor values) in student)
            {
                if (_tensors.TryGetValue($"{name}/grad_student_{part}", out FixtureTensor? expected))
                {
                    Near(Joined(expected.As<float>(), Shape($"student_{part}")).Span, values.Gradient!.Span, $"student_{part}");
                    found++;
                }
            }

            Assert.NotEqual(0, found);
        }

        private static Tensor Joined(float[] stored, long[] shape)
        {
            (int batch, int heads, int length, int size) = ((int)shape[0], (int)shape[1], (int)shape[2], (int)shape[3]);
            Tensor joined = new(batch * length, heads * size);
            for (int i = 0; i < batch * heads * length; i++)
            {
                (int b, int head, int at) = (i / length / heads, i / length % heads, i % length);
                stored.AsSpan(i * size, size).CopyTo(joined.Row((b * length) + at)[(head * size)..]);
            }

            return joined;
        }

        private void CheckValue(FeatureLoss loss)
        {
            using JsonDocument described = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden", "distillation", "losses.json")));
            double expected = described.RootElement.GetProperty(group).GetProperty(name).GetProperty("loss").GetDouble();
            Assert.InRange(loss.Value, expected - (Tolerance * Math.Abs(expected)), expected + (Tolerance * Math.Abs(expected)));
        }

        private static void Near(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, string what)
        {
            Assert.Equal(expected.Length, actual.Length);
            float room = Tolerance * System.Numerics.Tensors.TensorPrimitives.MaxMagnitude(expected);
            room = Math.Abs(room);
            for (int i = 0; i < expected.Length; i++)
            {
                Assert.True(Math.Abs(expected[i] - actual[i]) <= room, $"{what}[{i}] is {actual[i]:R}, expected {expected[i]:R} ± {room:R}");
            }
        }
    }
}
