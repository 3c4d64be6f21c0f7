// Distances of a student from a teacher beside PyTorch's in float64, values and gradients; and what must hold of them.
using System.Text.Json;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Kidogo.TestSupport;

namespace Kidogo.KernelTests.Ops;

public sealed class ResponseLossOpTests
{
    /// <summary>Of the largest value of a tensor, by the reference's README: ten times what PyTorch's float32 is off.</summary>
    private const float Tolerance = 2e-6f;

    [SharedTheory]
    [InlineData("response_T1", ResponseDistance.ForwardKl, 1, 0.5, true)]
    [InlineData("response_T2", ResponseDistance.ForwardKl, 2, 0.5, true)]
    [InlineData("response_T4", ResponseDistance.ForwardKl, 4, 0.5, true)]
    [InlineData("response_T2_masked", ResponseDistance.ForwardKl, 2, 0.5, true)]
    [InlineData("forward_kl", ResponseDistance.ForwardKl, 1, 0.5, true)]
    [InlineData("large_forward_kl", ResponseDistance.ForwardKl, 1, 0.5, true)]
    [InlineData("reverse_kl", ResponseDistance.ReverseKl, 1, 0.5, true)]
    [InlineData("jsd_0.1", ResponseDistance.JensenShannon, 1, 0.1, false)]
    [InlineData("jsd_0.5", ResponseDistance.JensenShannon, 1, 0.5, false)]
    [InlineData("jsd_0.9", ResponseDistance.JensenShannon, 1, 0.9, false)]
    [InlineData("jsd_0.5_T2", ResponseDistance.JensenShannon, 2, 0.5, false)]
    [InlineData("large_jsd_0.5", ResponseDistance.JensenShannon, 1, 0.5, false)]
    [InlineData("skewed_forward_0.1", ResponseDistance.SkewedForward, 1, 0.1, false)]
    [InlineData("skewed_reverse_0.1", ResponseDistance.SkewedReverse, 1, 0.1, false)]
    [InlineData("total_variation", ResponseDistance.TotalVariation, 1, 0.5, false)]
    public void Apply_Logits_IsThePaperInFloat64(string name, ResponseDistance distance, double temperature, double mix, bool scales)
    {
        IReadOnlyDictionary<string, FixtureTensor> golden = Golden();
        Check(name, golden, (context, student, labels) => ResponseLossOp.Apply(
            context, student, Matrix(golden[$"{name}/teacher"]), labels, new ResponseLossOptions { Distance = distance, Temperature = temperature, Mix = mix, ScalesByTemperature = scales }));
    }

    [SharedTheory]
    [InlineData("top10_rest", MissingMass.Rest)]
    [InlineData("top10_renormalised", MissingMass.Renormalized)]
    [InlineData("top10_both_renormalised", MissingMass.BothRenormalized)]
    public void Apply_StoredTokens_IsTheConventionInFloat64(string convention, MissingMass missing)
    {
        IReadOnlyDictionary<string, FixtureTensor> golden = Golden();
        foreach (int temperature in (int[])[1, 2])
        {
            string name = $"{convention}_T{temperature}";
            FixtureTensor ids = golden[$"{name}/teacher_ids"];
            StoredResponses stored = new(ids.DType == "I64" ? [.. ids.As<long>().Select(id => (int)id)] : ids.As<int>(), golden[$"{name}/teacher_log_probs"].As<float>(), (int)ids.Shape[1]);
            Check(name, golden, (context, student, labels) => ResponseLossOp.Apply(context, student, stored, labels, new ResponseLossOptions { Temperature = temperature, Missing = missing }));
        }
    }

    [SharedFact]
    public void Sum_WithCrossEntropy_IsTheCombinedLoss()
    {
        IReadOnlyDictionary<string, FixtureTensor> golden = Golden();
        const float Alpha = 0.3f;
        Check("combined_0.3", golden, (context, student, labels) =>
        {
            CrossEntropyResult labelled = CrossEntropyOp.Apply(context, student, labels);
            CrossEntropyResult taught = ResponseLossOp.Apply(context, student, Matrix(golden["combined_0.3/teacher"]), labels, new ResponseLossOptions { Temperature = 2 });
            Tensor sum = AddOp.Apply(context, ScaleOp.Apply(context, labelled.Loss, Alpha), ScaleOp.Apply(context, taught.Loss, 1 - Alpha));
            return new CrossEntropyResult(sum, (Alpha * labelled.Value) + ((1 - Alpha) * taught.Value), 0, 0);
        });
    }

    [Theory]
    [InlineData(ResponseDistance.ForwardKl)]
    [InlineData(ResponseDistance.ReverseKl)]
    [InlineData(ResponseDistance.JensenShannon)]
    [InlineData(ResponseDistance.SkewedForward)]
    [InlineData(ResponseDistance.SkewedReverse)]
    [InlineData(ResponseDistance.TotalVariation)]
    public void Apply_TheTeacherItself_IsZeroWithoutAGradient(ResponseDistance distance)
    {
        const double Rounding = 1e-7;
        Tensor logits = new Pseudorandom(11).Tensor(3, 17, 400); // some probabilities are 0 in double
        using ComputeContext context = ComputeContext.Training(1);
        Tensor student = new Pseudorandom(11).Tensor(3, 17, 400).AsParameter();
        CrossEntropyResult result = ResponseLossOp.Apply(context, student, logits, [], new ResponseLossOptions { Distance = distance, Mix = 0.3 });
        Assert.InRange(result.Value, -Rounding, Rounding);
        context.Backward(result.Loss);
        Assert.All(student.Gradient!.Span.ToArray(), value => Assert.InRange(value, -Rounding, Rounding));
    }

    private static void Check(string name, IReadOnlyDictionary<string, FixtureTensor> golden, Func<ComputeContext, Tensor, int[], CrossEntropyResult> apply)
    {
        using ComputeContext context = ComputeContext.Training(2);
        Tensor student = Matrix(golden[$"{name}/student"]).AsParameter();
        int[] labels = golden.TryGetValue($"{name}/labels", out FixtureTensor? stored) ? stored.DType == "I64" ? [.. stored.As<long>().Select(label => (int)label)] : stored.As<int>() : [];
        CrossEntropyResult result = apply(context, student, labels);
        using JsonDocument described = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden", "distillation", "losses.json")));
        double expected = described.RootElement.GetProperty("logits").GetProperty(name).GetProperty("loss").GetDouble();
        Assert.InRange(result.Value, expected - (Tolerance * Math.Abs(expected)), expected + (Tolerance * Math.Abs(expected)));
        context.Backward(result.Loss);
        float[] gradient = golden[$"{name}/grad_student"].As<float>();
        float room = Tolerance * gradient.Max(MathF.Abs);
        for (int i = 0; i < gradient.Length; i++)
        {
            Assert.InRange(student.Gradient!.Span[i], gradient[i] - room, gradient[i] + room);
        }
    }

    private static Tensor Matrix(FixtureTensor stored)
    {
        Tensor values = new((int)stored.Shape[0], (int)stored.Shape[1]);
        stored.As<float>().CopyTo(values.Span);
        return values;
    }

    private static IReadOnlyDictionary<string, FixtureTensor> Golden() => SafetensorsFixture.Read(SharedFolder.PathOf("golden", "distillation", "logits.safetensors"));
}
