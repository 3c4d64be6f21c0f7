// The how-to's example is the code that is compiled here, and its gradients are right.
using Kidogo.Tensors;
using Kidogo.TestSupport;

namespace Kidogo.KernelTests.Ops;

public sealed class ExampleOpTests
{
    private const double Tolerance = 3e-4; // of the largest gradient: as for the ops of the table

    [Fact]
    public void HowTo_AddAnOp_ShowsTheCodeThatIsCompiled()
    {
        string page = Normalised(File.ReadAllText(Path.Combine(SharedFolder.RepositoryRoot, "docs", "how-to", "add-an-op.md")));
        string code = Normalised(File.ReadAllText(Path.Combine(SharedFolder.RepositoryRoot, "tests", "Kidogo.KernelTests", "Ops", "ExampleOp.cs")));
        Assert.Contains(code[code.IndexOf("/// <summary>The product", StringComparison.Ordinal)..], page, StringComparison.Ordinal);
    }

    /// <summary>Two inputs, and a square: then both gradients flow into one tensor.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ExampleOp_Backward_IsTheSlopeByDifferences(bool isSquare)
    {
        Pseudorandom random = new(97);
        Tensor a = random.Tensor(3, 10).AsParameter(), b = isSquare ? a : random.Tensor(3, 10).AsParameter(), weights = random.Tensor(3, 10);
        using ComputeContext context = ComputeContext.Training(1);
        context.Backward(Gradients.Weighted(context, ProductOp.Apply(context, a, b), weights));
        foreach (Tensor input in new[] { a, b })
        {
            double[] expected = [.. Enumerable.Range(0, input.Length).Select(i => Gradients.Difference(input, i, 0.03f, () => Gradients.Dot(ProductOp.Apply(context, a, b), weights)))];
            AttentionReference.Near(expected, input.Gradient!.Span, Tolerance, "gradient");
        }
    }

    private static string Normalised(string text) => text.ReplaceLineEndings("\n").TrimEnd();
}
