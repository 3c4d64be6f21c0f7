// Rows turned into columns equal the scalar twin, and nothing beside them is written. Knows no products.
using Kidogo.Tensors.Kernels;

namespace Kidogo.KernelTests.Kernels;

public sealed class RowTurningTests
{
    private const float Untouched = 12345;

    [Theory]
    [InlineData(12, 12, 0)]
    [InlineData(12, 12, 16)]
    [InlineData(12, 12, 48)]
    [InlineData(16, 16, 16)]
    [InlineData(16, 16, 64)]
    [InlineData(16, 32, 16)]
    [InlineData(16, 32, 80)]
    public void Turn_WholeBlocks_EqualsTheScalarTwinAndWritesNothingElse(int rows, int step, int columns)
    {
        const int Beside = 5;
        int stride = columns + 3, length = columns == 0 ? 0 : ((columns - 1) * step) + rows;
        float[] source = new Pseudorandom(8).Floats((rows - 1) * stride + columns);
        float[] expected = [.. Enumerable.Repeat(Untouched, length + Beside)], actual = [.. expected];
        RowTurning.TurnScalar(source, stride, rows, columns, expected, step);
        RowTurning.Turn(source, stride, rows, columns, actual, step);
        AssertBits.Equal(expected, actual, $"{rows} rows of {columns} columns");
        Assert.All(Enumerable.Range(0, actual.Length), i => Assert.Equal(i >= length || i % step >= rows, actual[i] == Untouched));
        for (int i = 0; i < length; i++)
        {
            Assert.True(i % step >= rows || actual[i] == source[(i % step * stride) + (i / step)], $"column {i / step} of row {i % step}");
        }
    }

    [Theory]
    [InlineData(12, 12, 15, 1000, 1000)] // no whole block
    [InlineData(11, 12, 16, 1000, 1000)] // as many rows as no kernel reads
    [InlineData(12, 16, 16, 1000, 1000)] // a step that leaves gaps, which would be written
    [InlineData(16, 12, 16, 1000, 1000)] // columns that overlap
    [InlineData(12, 12, 16, 191, 1000)]
    [InlineData(12, 12, 16, 1000, 191)]
    public void Turn_SizesThatDoNotFit_Throws(int rows, int step, int columns, int source, int target) =>
        Assert.Throws<ArgumentException>(() => RowTurning.Turn(new float[source], 16, rows, columns, new float[target], step));
}
