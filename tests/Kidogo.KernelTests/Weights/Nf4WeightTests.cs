// NF4 in memory: rows as the format decodes them, whatever block they begin in, and products as of the decoded matrix.
using Kidogo.Tensors;
using Kidogo.Tensors.Formats.Plain;
using Kidogo.Tensors.Ops;

namespace Kidogo.KernelTests.Weights;

public sealed class Nf4WeightTests
{
    [Theory]
    [InlineData(1, 1, false)]
    [InlineData(3, 64, false)]
    [InlineData(7, 160, true)]
    [InlineData(37, 65, true)]
    public void AsNf4_AnyShape_DecodesAndMultipliesAsTheFormat(int rows, int columns, bool isDouble)
    {
        Tensor values = new Pseudorandom(81).Tensor(rows, columns);
        PlainFormat format = PlainFormats.ForName(isDouble ? "nf4-double" : "nf4")!;
        Tensor expected = new(rows, columns);
        format.Decode(format.Encode(values.Span, rows, columns).ToDictionary(part => part.Suffix), rows, columns, expected.Span);
        using Weight dense = Weight.FromDense(values), weight = Weight.AsNf4(dense, isDouble), decoded = Weight.FromDense(expected);
        float[] row = new float[columns];
        for (int r = 0; r < rows; r++)
        {
            weight.DecodeRow(r, row);
            AssertBits.Equal(expected.Row(r), row, $"row {r}");
        }

        Assert.True(weight.MemoryBytes <= (rows * columns * 5 / 8) + 8);
        using ComputeContext context = ComputeContext.Inference(2, ComputePrecision.Exact);
        Tensor x = new Pseudorandom(82).Tensor(5, columns);
        AssertBits.Equal(LinearOp.Apply(context, x, decoded, null).Span, LinearOp.Apply(context, x, weight, null).Span, "products");
    }
}
