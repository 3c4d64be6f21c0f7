// The products of training equal a loop of multiply-adds to the bit, whatever the size, the threads and the split. Knows no gradients.
using Kidogo.Tensors;
using Kidogo.Tensors.Kernels;

namespace Kidogo.KernelTests.Ops;

public sealed class ProductWorkTests
{
    public static TheoryData<int, int, int, int> Sizes
    {
        get
        {
            TheoryData<int, int, int, int> sizes = new() { { 250, 200, 130, 2 }, { 13, 33, 2000, 3 }, { 1200, 40, 5, 3 }, { 7, 1000, 769, 2 } };
            Pseudorandom random = new(11);
            for (int i = 1; i <= 40; i++)
            {
                sizes.Add(i, 1 + random.Below(40), 1 + random.Below(40), 1 + (i % 3));
                sizes.Add(1 + random.Below(40), i, 1 + random.Below(40), 1 + (i % 3));
                sizes.Add(1 + random.Below(40), 1 + random.Below(40), i, 1 + (i % 3));
            }

            return sizes;
        }
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Run_AnySizeAndSideAndThreads_EqualsALoopToTheBit(int m, int n, int k, int threads)
    {
        using ComputeContext context = ComputeContext.Training(threads);
        for (int sides = 0; sides < 4; sides++)
        {
            Pseudorandom random = new((ulong)(sides + 1));
            Tensor a = (sides & 1) == 0 ? random.Tensor(m, k) : random.Tensor(k, m);
            Tensor b = (sides & 2) == 0 ? random.Tensor(n, k) : random.Tensor(k, n);
            ProductOperand left = (sides & 1) == 0 ? ProductOperand.OverColumns(a) : ProductOperand.OverRows(a);
            ProductOperand right = (sides & 2) == 0 ? ProductOperand.OverColumns(b) : ProductOperand.OverRows(b);
            foreach (bool onto in new[] { false, true })
            {
                Tensor expected = random.Tensor(m, n), actual = new(expected.Rows, expected.Columns);
                expected.Span.CopyTo(actual.Span);
                Multiply(left, right, expected, onto);
                context.Works.Products.Run(context, left, [right], [actual], onto);
                AssertBits.Equal(expected.Span, actual.Span, $"sides {sides}, onto {onto}");
            }
        }
    }

    [Fact]
    public void Run_InTwoPartsOfTheDepth_EqualsTheWhole()
    {
        using ComputeContext context = ComputeContext.Training(2);
        Pseudorandom random = new(5);
        Tensor gradient = random.Tensor(900, 70), x = random.Tensor(900, 45), whole = new(70, 45), parts = new(70, 45);
        context.Works.Products.Run(context, ProductOperand.OverRows(gradient), [ProductOperand.OverRows(x)], [whole], onto: false);
        context.Works.Products.Run(context, new ProductOperand(gradient, 0, 411, true), [new ProductOperand(x, 0, 411, true)], [parts], onto: false);
        context.Works.Products.Run(context, new ProductOperand(gradient, 411, 489, true), [new ProductOperand(x, 411, 489, true)], [parts], onto: true);
        AssertBits.Equal(whole.Span, parts.Span, "two micro-batches");
    }

    [Fact]
    public void Run_SeveralOutputsAndRowsOfThem_EqualOnesAlone()
    {
        using ComputeContext context = ComputeContext.Training(3);
        Pseudorandom random = new(6);
        Tensor x = random.Tensor(61, 50), w0 = random.Tensor(33, 50), w1 = random.Tensor(100, 50), y0 = new(70, 33), y1 = new(70, 100);
        ProductOperand left = new(x, 3, 40, false);
        ProductOperand right0 = ProductOperand.OverColumns(w0, rounded: true), right1 = ProductOperand.OverColumns(w1);
        context.Works.Products.Run(context, left, [right0, right1], [y0, y1], onto: false, firstOutputRow: 7);
        Tensor expected0 = new(40, 33), expected1 = new(40, 100);
        Multiply(left, right0, expected0, onto: false);
        Multiply(left, right1, expected1, onto: false);
        AssertBits.Equal(expected0.Span, y0.Span.Slice(7 * 33, 40 * 33), "first");
        AssertBits.Equal(expected1.Span, y1.Span.Slice(7 * 100, 40 * 100), "second");
        Assert.True(y0.Span[..(7 * 33)].IndexOfAnyExcept(0f) < 0 && y0.Span[(47 * 33)..].IndexOfAnyExcept(0f) < 0, "other rows were written");
    }

    [Fact]
    public void Run_SizesThatDoNotFit_Throws()
    {
        using ComputeContext context = ComputeContext.Training(1);
        Tensor x = new(4, 5), w = new(3, 6), y = new(4, 3);
        Assert.Throws<ArgumentException>(() => context.Works.Products.Run(context, ProductOperand.OverColumns(x), [ProductOperand.OverColumns(w)], [y], onto: false));
        Assert.Throws<ArgumentException>(() => context.Works.Products.Run(context, ProductOperand.OverColumns(x), [ProductOperand.OverColumns(new Tensor(3, 5))], [y], onto: false, firstOutputRow: 1));
    }

    [Theory]
    [InlineData(1f, 1f)]
    [InlineData(1.00390625f, 1f)] // halfway: to even
    [InlineData(1.01171875f, 1.015625f)]
    [InlineData(1.00390637f, 1.0078125f)]
    [InlineData(3.4e38f, float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity, float.NegativeInfinity)]
    [InlineData(-0f, -0f)]
    [InlineData(float.NaN, float.NaN)]
    public void Round_Known_IsTheNearestBFloat16(float value, float expected)
    {
        Assert.Equal(expected, BFloat16Rounding.RoundScalar(value));
        float[] values = [.. Enumerable.Repeat(value, 19)];
        BFloat16Rounding.Round(values);
        AssertBits.Equal([.. Enumerable.Repeat(BFloat16Rounding.RoundScalar(value), 19)], values, "vectors");
    }

    [Fact]
    public void Round_AnyBits_EqualsTheScalarTwin()
    {
        Pseudorandom random = new(9);
        float[] values = new float[100_003], expected = new float[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = BitConverter.UInt32BitsToSingle((uint)random.Next());
            expected[i] = BFloat16Rounding.RoundScalar(values[i]);
        }

        BFloat16Rounding.Round(values);
        AssertBits.Equal(expected, values, "any bits");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(16)]
    [InlineData(1003)]
    public void Narrow_ValuesThatAreBFloat16_AreWidenedToTheSameBits(int length)
    {
        Pseudorandom random = new(10);
        float[] values = new float[length], wide = new float[length];
        for (int i = 0; i < length; i++)
        {
            values[i] = BitConverter.UInt32BitsToSingle((uint)random.Next() & 0xFFFF0000);
        }

        ushort[] halves = new ushort[length + 1];
        Assert.True(BFloat16Rounding.TryNarrow(values, halves));
        BFloat16Rounding.Widen(halves.AsSpan(0, length), wide);
        AssertBits.Equal(values, wide, "there and back");
        Assert.Equal(0, halves[length]); // room that is not asked for stays as it is
        for (int i = 0; i < length; i++)
        {
            float kept = values[i];
            values[i] = BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(kept) | 1u);
            Assert.False(BFloat16Rounding.TryNarrow(values, halves), $"value {i} has more bits");
            values[i] = kept;
        }
    }

    private static void Multiply(in ProductOperand left, in ProductOperand right, Tensor y, bool onto)
    {
        for (int m = 0; m < y.Rows; m++)
        {
            for (int n = 0; n < y.Columns; n++)
            {
                float sum = onto ? y.Row(m)[n] : 0;
                for (int k = 0; k < left.Depth; k++)
                {
                    sum = MathF.FusedMultiplyAdd(At(left, m, k), At(right, n, k), sum);
                }

                y.Row(m)[n] = sum;
            }
        }
    }

    private static float At(in ProductOperand operand, int index, int k)
    {
        float value = operand.SumsOverRows ? operand.Values.Row(operand.FirstRow + k)[index] : operand.Values.Row(operand.FirstRow + index)[k];
        return operand.Rounded ? BFloat16Rounding.RoundScalar(value) : value;
    }
}
