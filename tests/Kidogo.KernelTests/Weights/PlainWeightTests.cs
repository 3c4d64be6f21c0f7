// Matrices of codes and scales, opened in both precisions, multiply as their decoded rows do and give their rows back. Knows no files.
using Kidogo.KernelTests.Ops;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats.Plain;
using Kidogo.Tensors.Kernels;
using Kidogo.Tensors.Ops;

namespace Kidogo.KernelTests.Weights;

public sealed class PlainWeightTests
{
    private const int Rows = 53; // no multiple of a panel
    private const int Tokens = 18;

    /// <summary>A float32 sum of n products beside double.</summary>
    private const double Float32Tolerance = 2e-6;

    public static TheoryData<string, bool, int> Cases
    {
        get
        {
            TheoryData<string, bool, int> cases = [];
            foreach (PlainFormat format in PlainFormats.All)
            {
                foreach (int columns in new[] { 96, 75 }) // whole blocks of 32, and not
                {
                    cases.Add(format.Name, false, columns);
                    cases.Add(format.Name, true, columns);
                }
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Open_AnyFormat_MultipliesAsItsDecodedRows(string name, bool exact, int columns)
    {
        PlainFormat format = PlainFormats.ForName(name)!;
        (PlainMatrix matrix, float[] decoded) = Matrix(format, columns);
        using ComputeContext context = ComputeContext.Inference(2, exact ? ComputePrecision.Exact : ComputePrecision.Fast);
        using Weight weight = Weight.Open(matrix, context);
        bool rounds = weight.Activations == ActivationForm.Int8;
        Assert.Equal(!exact && columns % 32 == 0 && (name is "int8-row" or "int8-tensor" or "ternary" || name.StartsWith("binary", StringComparison.Ordinal)), rounds);
        Assert.Equal(rounds ? Weight.MemoryBytesOf(format, Rows, columns) : 0, weight.MemoryBytes);
        Tensor x = new Pseudorandom(62).Tensor(Tokens, columns), y = LinearOp.Apply(context, x, weight, null);
        float[] row = new float[columns];
        for (int r = 0; r < Rows; r++)
        {
            ReadOnlySpan<float> expected = decoded.AsSpan(r * columns, columns);
            weight.DecodeRow(r, row);
            AssertBits.Equal(expected, row, $"row {r}");
            for (int t = 0; t < Tokens; t++)
            {
                double sum = 0, magnitudes = 0, bound = 0;
                for (int c = 0; c < columns; c++)
                {
                    double product = (double)x.Row(t)[c] * expected[c];
                    sum += product;
                    magnitudes += Math.Abs(product);
                    bound += rounds ? Math.Abs(expected[c]) * Largest(x.Row(t).Slice(c / 32 * 32, 32)) / 127 * 0.5001 : 0;
                }

                Assert.InRange(Math.Abs(sum - y.Row(t)[r]), 0, bound + (magnitudes * Float32Tolerance));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Open_AnyFormat_GivesTheSameBitsForEveryBatchAndThreads(string name, bool exact, int columns)
    {
        PlainMatrix matrix = Matrix(PlainFormats.ForName(name)!, columns).Matrix;
        ComputePrecision precision = exact ? ComputePrecision.Exact : ComputePrecision.Fast;
        using ComputeContext one = ComputeContext.Inference(1, precision), three = ComputeContext.Inference(3, precision);
        using Weight a = Weight.Open(matrix, one), b = Weight.Open(matrix, three);
        Tensor x = new Pseudorandom(65).Tensor(13, columns);
        Tensor whole = LinearOp.Apply(three, x, b, null);
        for (int t = 0; t < 13; t++)
        {
            AssertBits.Equal(LinearOp.Apply(one, AttentionReference.Rows(x, t, 1), a, null).Span, whole.Row(t), $"token {t}");
        }
    }

    [Theory]
    [InlineData("int8-row")]
    [InlineData("nf4-double")]
    [InlineData("codebook-3")]
    public void Open_RowOrder_TakesTheRowsInIt(string name)
    {
        PlainFormat format = PlainFormats.ForName(name)!;
        int[] order = [52, 0, 7, 7, 51];
        (PlainMatrix matrix, float[] decoded) = Matrix(format, 96, order);
        using ComputeContext context = ComputeContext.Inference(1);
        using Weight weight = Weight.Open(matrix, context);
        Assert.Equal(order.Length, weight.Rows);
        float[] row = new float[96];
        for (int r = 0; r < order.Length; r++)
        {
            weight.DecodeRow(r, row);
            AssertBits.Equal(decoded.AsSpan(order[r] * 96, 96), row, $"row {r}");
        }

        Assert.Throws<ArgumentException>(() => Matrix(format, 96, [Rows]));
    }

    private static (PlainMatrix Matrix, float[] Decoded) Matrix(PlainFormat format, int columns, int[]? order = null)
    {
        IReadOnlyList<StoredPart> parts = format.Encode(new Pseudorandom(61).Floats(Rows * columns), Rows, columns);
        float[] decoded = new float[Rows * columns];
        format.Decode(parts.ToDictionary(part => part.Suffix), Rows, columns, decoded);
        Dictionary<string, PlainPart> places = parts.ToDictionary(part => part.Suffix, part => new PlainPart(part.DType, part.Bytes.Length, (offset, count) => part.Bytes.AsSpan((int)offset, count)));
        return (new PlainMatrix(format, Rows, columns, places, order), decoded);
    }

    private static float Largest(ReadOnlySpan<float> block)
    {
        float largest = 0;
        foreach (float value in block)
        {
            largest = Math.Max(largest, Math.Abs(value));
        }

        return largest;
    }
}
