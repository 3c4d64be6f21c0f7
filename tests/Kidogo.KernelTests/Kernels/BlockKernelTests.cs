// The products of 4-bit and 8-bit panels equal their scalar twins to the bit, in every tile, and stay exact where sums are largest. Knows no files.
using Kidogo.Tensors;
using Kidogo.Tensors.Kernels;

namespace Kidogo.KernelTests.Kernels;

public sealed class BlockKernelTests
{
    private const int Stride = 37; // more than a panel, and no multiple of a vector
    private const float Untouched = 12345;

    internal delegate void Product(ReadOnlySpan<byte> panel, ReadOnlySpan<float> tile, int tokens, Span<float> y, int stride);

    public enum Kernel
    {
        Centered,
        WithMinimum,
        Bytes,
    }

    public static TheoryData<Kernel, int, int> Cases
    {
        get
        {
            TheoryData<Kernel, int, int> cases = [];
            foreach (Kernel kernel in Enum.GetValues<Kernel>())
            {
                foreach (int columns in new[] { 32, 64, 96, 576 })
                {
                    foreach (int tokens in new[] { 1, 4, 12 })
                    {
                        cases.Add(kernel, columns, tokens);
                    }
                }
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Multiply_RandomPanel_EqualsTheScalarTwinToTheBit(Kernel kernel, int columns, int tokens)
    {
        Pseudorandom random = new(7);
        (int halves, int blockBytes) = Layout(kernel);
        byte[] panel = PanelData.Blocks(random, columns / 32, halves, blockBytes);
        float[] tile = PanelData.Tile(random.Tensor(tokens, columns, 3), ActivationForm.Int8);
        Compare(kernel, panel, tile, tokens);
    }

    /// <summary>All codes at an end of their range, all activations at ±127, in signs that make pairs, groups and halves of a block largest.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Multiply_ExtremeCodesAndActivations_StaysExact(Kernel kernel, int columns, int tokens)
    {
        (int halves, int blockBytes) = Layout(kernel);
        foreach (byte code in new byte[] { 0x00, 0xFF, 0x0F, 0xF0, 0x80, 0x7F })
        {
            foreach (Half number in new[] { (Half)65504f, (Half)(-65504f), BitConverter.UInt16BitsToHalf(1), (Half)1 })
            {
                byte[] panel = PanelData.Uniform(columns / 32, halves, blockBytes, number, code);
                foreach (Func<int, float> sign in new Func<int, float>[] { _ => 1, _ => -1, c => c % 2 == 0 ? 1 : -1, c => c % 4 < 2 ? 1 : -1, c => c % 32 < 16 ? 1 : -1, _ => 0 })
                {
                    float[] tile = PanelData.Tile(PanelData.Constant(tokens, columns, c => 127 * sign(c)), ActivationForm.Int8);
                    float[] y = Compare(kernel, panel, tile, tokens);
                    float exact = (float)Exact(kernel, columns, (float)number, code, sign);
                    Assert.All(Enumerable.Range(0, 16), r => Assert.Equal(exact, y[r], Math.Abs(exact) * 1e-6));
                }
            }
        }
    }

    [Theory]
    [InlineData(Kernel.Centered)]
    [InlineData(Kernel.WithMinimum)]
    [InlineData(Kernel.Bytes)]
    public void Multiply_AnyToken_IsTheSameInEveryTile(Kernel kernel)
    {
        Pseudorandom random = new(11);
        (int halves, int blockBytes) = Layout(kernel);
        byte[] panel = PanelData.Blocks(random, 6, halves, blockBytes);
        Tensor x = random.Tensor(12, 192);
        float[] twelve = Compare(kernel, panel, PanelData.Tile(x, ActivationForm.Int8), 12);
        for (int t = 0; t < 12; t++)
        {
            float[] one = Compare(kernel, panel, PanelData.Tile(new Tensor(x.Row(t)), ActivationForm.Int8), 1);
            AssertBits.Equal(one.AsSpan(0, 16), twelve.AsSpan(t * Stride, 16), $"token {t}");
        }
    }

    [Theory]
    [InlineData(Kernel.Centered)]
    [InlineData(Kernel.WithMinimum)]
    [InlineData(Kernel.Bytes)]
    public void Multiply_WrongLengths_Throws(Kernel kernel)
    {
        (int halves, int blockBytes) = Layout(kernel);
        byte[] panel = PanelData.Uniform(2, halves, blockBytes, (Half)1, 0);
        Product product = Dispatched(kernel);
        Assert.Throws<ArgumentException>(() => product(panel, new float[(2 * ActivationTiles.Slots * 4) - 1], 4, new float[4 * 16], 16));
        Assert.Throws<ArgumentException>(() => product(panel, new float[2 * ActivationTiles.Slots * 4], 4, new float[(4 * 16) - 1], 16));
        Assert.Throws<ArgumentException>(() => product(panel, new float[2 * ActivationTiles.Slots * 8], 8, new float[8 * 16], 16));
        product(panel, new float[2 * ActivationTiles.Slots * 4], 4, new float[4 * 16], 16);
    }

    internal static (int Halves, int BlockBytes) Layout(Kernel kernel) => kernel switch
    {
        Kernel.Centered => (16, NibbleKernel.BlockBytes<CenteredNibbles>()),
        Kernel.WithMinimum => (32, NibbleKernel.BlockBytes<NibblesWithMinimum>()),
        _ => (16, ByteKernel.BlockBytes),
    };

    internal static Product Dispatched(Kernel kernel) => kernel switch
    {
        Kernel.Centered => NibbleKernel.Multiply<CenteredNibbles>,
        Kernel.WithMinimum => NibbleKernel.Multiply<NibblesWithMinimum>,
        _ => ByteKernel.Multiply,
    };

    private static Product Scalar(Kernel kernel) => kernel switch
    {
        Kernel.Centered => NibbleKernel.MultiplyScalar<CenteredNibbles>,
        Kernel.WithMinimum => NibbleKernel.MultiplyScalar<NibblesWithMinimum>,
        _ => ByteKernel.MultiplyScalar,
    };

    /// <summary>Both forms, compared; neither writes beside its outputs.</summary>
    private static float[] Compare(Kernel kernel, byte[] panel, float[] tile, int tokens)
    {
        float[] expected = [.. Enumerable.Repeat(Untouched, tokens * Stride)];
        float[] actual = [.. expected];
        Scalar(kernel)(panel, tile, tokens, expected, Stride);
        Dispatched(kernel)(panel, tile, tokens, actual, Stride);
        AssertBits.Equal(expected, actual, $"{kernel}, {tokens} tokens");
        for (int i = 0; i < actual.Length; i++)
        {
            Assert.Equal(i % Stride >= 16, actual[i] == Untouched);
        }

        return actual;
    }

    /// <summary>The product by the formats' definitions, in double. Signs that cancel within a block leave nothing.</summary>
    private static double Exact(Kernel kernel, int columns, double number, byte code, Func<int, float> sign)
    {
        double sum = 0;
        for (int c = 0; c < columns; c++)
        {
            int nibble = c % 32 < 16 ? code & 15 : code >> 4;
            double weight = kernel switch
            {
                Kernel.Centered => number * (nibble - 8),
                Kernel.WithMinimum => (number * nibble) + number,
                _ => number * (code - 128),
            };
            sum += weight * 127 * sign(c);
        }

        return sum;
    }
}
