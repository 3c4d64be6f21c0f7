// The products of panels of every layout equal their scalar twins to the bit, in every tile, and stay exact where sums are largest. Knows no files.
using Kidogo.Tensors;
using Kidogo.Tensors.Kernels;

namespace Kidogo.KernelTests.Kernels;

public sealed class BlockKernelTests
{
    private const int Stride = 37; // more than a panel, and no multiple of a vector
    private const float Untouched = 12345;

    /// <summary>A float32 sum of products that are exact but for the scales' product.</summary>
    private const double Float32Tolerance = 1e-6;

    internal delegate void Product(ReadOnlySpan<byte> panel, ReadOnlySpan<float> tile, int tokens, Span<float> y, int stride);

    internal delegate void Decoder(ReadOnlySpan<byte> panel, int block, int row, Span<float> destination);

    /// <summary>Named after a format that uses the layout.</summary>
    public enum Kernel
    {
        Q4_0,
        Q4_1,
        Q5_0,
        Q5_1,
        Q8_0,
        Q2_K,
        Q3_K,
        Q4_K,
        Q5_K,
        Q6_K,
        IQ4_NL,
        IQ4_XS,
        MXFP4,
        TQ2_0,
        IQ2_XXS,
        IQ2_S,
        IQ3_XXS,
        IQ3_S,
        IQ1_S,
        IQ1_M,
        NVFP4,
        Q1_0,
        Q2_0,
        Int8Rows,
        TernaryRows,
        BinaryRows,
    }

    public static TheoryData<Kernel> Kernels => [.. Enum.GetValues<Kernel>()];

    public static TheoryData<Kernel, int, int> Cases
    {
        get
        {
            TheoryData<Kernel, int, int> cases = [];
            foreach (Kernel kernel in Enum.GetValues<Kernel>())
            {
                foreach (int supers in new[] { 1, 2, 3, 18 / Of(kernel).SuperBlocks }.Distinct())
                {
                    foreach (int tokens in new[] { 1, 2, 4, 8, 12 })
                    {
                        cases.Add(kernel, supers, tokens);
                    }
                }
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Multiply_RandomPanel_EqualsTheScalarTwinToTheBit(Kernel kernel, int supers, int tokens)
    {
        Pseudorandom random = new(7);
        Layout layout = Of(kernel);
        byte[] panel = PanelData.Blocks(random, supers, layout.Numbers * 16, layout.SuperBytes, layout.NumberBytes);
        float[] tile = PanelData.Tile(random.Tensor(tokens, supers * layout.SuperBlocks * 32, 3), ActivationForm.Int8);
        Compare(kernel, panel, tile, tokens);
    }

    /// <summary>All codes at an end of their range, all activations at ±127, in signs that make pairs, groups and halves of a block largest.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Multiply_ExtremeCodesAndActivations_StaysExact(Kernel kernel, int supers, int tokens)
    {
        Layout layout = Of(kernel);
        int columns = supers * layout.SuperBlocks * 32;
        foreach (byte code in new byte[] { 0x00, 0xFF, 0x0F, 0xF0, 0x80, 0x7F })
        {
            foreach (Half number in new[] { (Half)65504f, (Half)(-65504f), BitConverter.UInt16BitsToHalf(1), (Half)1 })
            {
                byte[] panel = PanelData.Uniform(supers, layout.Numbers * 16, layout.SuperBytes, number, code, layout.NumberBytes);
                foreach (Func<int, float> sign in new Func<int, float>[] { _ => 1, _ => -1, c => c % 2 == 0 ? 1 : -1, c => c % 4 < 2 ? 1 : -1, c => c % 32 < 16 ? 1 : -1, _ => 0 })
                {
                    float[] tile = PanelData.Tile(PanelData.Constant(tokens, columns, c => 127 * sign(c)), ActivationForm.Int8);
                    float[] y = Compare(kernel, panel, tile, tokens);
                    (double exact, double magnitudes) = Exact(layout, panel, columns, sign);
                    if (double.IsFinite((float)magnitudes))
                    {
                        Assert.All(Enumerable.Range(0, 16), r => Assert.Equal(exact, y[r], magnitudes * Float32Tolerance));
                    }
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kernels))]
    public void Multiply_AnyToken_IsTheSameInEveryTile(Kernel kernel)
    {
        Pseudorandom random = new(11);
        Layout layout = Of(kernel);
        int columns = 2 * layout.SuperBlocks * 32;
        byte[] panel = PanelData.Blocks(random, 2, layout.Numbers * 16, layout.SuperBytes, layout.NumberBytes);
        Tensor x = random.Tensor(12, columns);
        float[] twelve = Compare(kernel, panel, PanelData.Tile(x, ActivationForm.Int8), 12);
        foreach (int tokens in new[] { 1, 2, 4, 8 })
        {
            for (int t = 0; t <= 12 - tokens; t += tokens)
            {
                Tensor part = new(tokens, columns);
                x.Span.Slice(t * columns, tokens * columns).CopyTo(part.Span);
                float[] few = Compare(kernel, panel, PanelData.Tile(part, ActivationForm.Int8), tokens);
                for (int i = 0; i < tokens; i++)
                {
                    AssertBits.Equal(few.AsSpan(i * Stride, 16), twelve.AsSpan((t + i) * Stride, 16), $"token {t + i} of a tile of {tokens}");
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kernels))]
    public void Multiply_WrongLengths_Throws(Kernel kernel)
    {
        Layout layout = Of(kernel);
        byte[] panel = PanelData.Uniform(2, layout.Numbers * 16, layout.SuperBytes, (Half)1, 0, layout.NumberBytes);
        int slots = 2 * layout.SuperBlocks * ActivationTiles.Slots;
        Assert.Throws<ArgumentException>(() => layout.Dispatched(panel, new float[(slots * 4) - 1], 4, new float[4 * 16], 16));
        Assert.Throws<ArgumentException>(() => layout.Dispatched(panel, new float[slots * 4], 4, new float[(4 * 16) - 1], 16));
        Assert.Throws<ArgumentException>(() => layout.Dispatched(panel, new float[slots * 3], 3, new float[3 * 16], 16));
        layout.Dispatched(panel, new float[slots * 4], 4, new float[4 * 16], 16);
    }

    internal sealed record Layout(int SuperBlocks, int Numbers, int NumberBytes, int SuperBytes, Product Dispatched, Product Scalar, Decoder Decode);

    internal static Layout Of(Kernel kernel) => kernel switch
    {
        Kernel.Q4_0 => Of<CenteredNibbles, BlockScale<OneBlock, HalfNumber>>(),
        Kernel.Q4_1 => Of<Nibbles, BlockScaleAndMinimum>(),
        Kernel.Q5_0 => Of<FiveBits<Center16>, BlockScale<OneBlock, HalfNumber>>(),
        Kernel.Q5_1 => Of<FiveBits<Center0>, BlockScaleAndMinimum>(),
        Kernel.Q8_0 => Of<EightBits, BlockScale<OneBlock, HalfNumber>>(),
        Kernel.Q2_K => Of<TwoBits<Center0>, HalfBlockScalesAndMinima>(),
        Kernel.Q3_K => Of<ThreeBits, HalfBlockScales>(),
        Kernel.Q4_K => Of<Nibbles, GroupScaleAndMinimum>(),
        Kernel.Q5_K => Of<FiveBits<Center0>, GroupScaleAndMinimum>(),
        Kernel.Q6_K => Of<SixBits, HalfBlockScales>(),
        Kernel.IQ4_NL => Of<LevelCodes<Nibbles, UnevenLevels>, BlockScale<OneBlock, HalfNumber>>(),
        Kernel.IQ4_XS => Of<LevelCodes<Nibbles, UnevenLevels>, GroupScale>(),
        Kernel.MXFP4 => Of<LevelCodes<Nibbles, FourBitFloatLevels>, ExponentScale>(),
        Kernel.TQ2_0 => Of<TwoBits<Center1>, BlockScale<EightBlocks, FloatNumber>>(),
        Kernel.IQ2_XXS => Of<LevelCodes<ThreeBits, ThreeMagnitudes>, GroupScale>(),
        Kernel.IQ2_S => Of<LevelCodes<ThreeBits, ThreeMagnitudes>, HalfBlockScales>(),
        Kernel.IQ3_XXS => Of<LevelCodes<Nibbles, EightMagnitudes>, GroupScale>(),
        Kernel.IQ3_S => Of<LevelCodes<Nibbles, OddMagnitudes>, GroupScale>(),
        Kernel.IQ1_S => Of<TwoBits<Center0>, GroupScaleAndMinimum>(),
        Kernel.IQ1_M => Of<LevelCodes<ThreeBits, ShiftedTrits>, HalfBlockScales>(),
        Kernel.NVFP4 => Of<LevelCodes<Nibbles, FourBitFloatLevels>, HalfBlockFloats>(),
        Kernel.Q1_0 => Of<OneBit, BlockScale<FourBlocks, FloatNumber>>(),
        Kernel.Q2_0 => Of<TwoBits<Center1>, BlockScale<TwoBlocks, FloatNumber>>(),
        Kernel.Int8Rows => Of<EightBits, NoScale>(),
        Kernel.TernaryRows => Of<TwoBits<Center1>, NoScale>(),
        Kernel.BinaryRows => Of<OneBit, NoScale>(),
        _ => throw new ArgumentOutOfRangeException(nameof(kernel)),
    };

    private static Layout Of<TCodes, TScales>()
        where TCodes : struct, ICodeLayout
        where TScales : struct, IScaleLayout => new(
            TScales.SuperBlocks, TScales.Numbers, TScales.NumberBytes, PanelKernel<TCodes, TScales>.SuperBytes,
            PanelKernel<TCodes, TScales>.Multiply, PanelKernel<TCodes, TScales>.MultiplyScalar, PanelKernel<TCodes, TScales>.Decode);

    /// <summary>Both forms, compared; neither writes beside its outputs.</summary>
    private static float[] Compare(Kernel kernel, byte[] panel, float[] tile, int tokens)
    {
        Layout layout = Of(kernel);
        float[] expected = [.. Enumerable.Repeat(Untouched, tokens * Stride)];
        float[] actual = [.. expected];
        layout.Scalar(panel, tile, tokens, expected, Stride);
        layout.Dispatched(panel, tile, tokens, actual, Stride);
        AssertBits.Equal(expected, actual, $"{kernel}, {tokens} tokens");
        for (int i = 0; i < actual.Length; i++)
        {
            Assert.Equal(i % Stride >= 16, actual[i] == Untouched);
        }

        return actual;
    }

    /// <summary>The product with the decoded weights, in double, and the sum of magnitudes. All rows of the panel are the same.</summary>
    private static (double Sum, double Magnitudes) Exact(Layout layout, byte[] panel, int columns, Func<int, float> sign)
    {
        double sum = 0, magnitudes = 0;
        Span<float> weights = stackalloc float[32];
        for (int block = 0; block < columns / 32; block++)
        {
            layout.Decode(panel, block, 5, weights);
            for (int c = 0; c < 32; c++)
            {
                double product = (double)weights[c] * 127 * sign((32 * block) + c);
                sum += product;
                magnitudes += Math.Abs(product);
            }
        }

        return (sum, magnitudes);
    }
}
