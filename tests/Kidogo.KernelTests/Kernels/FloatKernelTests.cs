// The products of float32 and 16-bit panels equal their scalar twins to the bit, and widening is exact. Knows no files.
using Kidogo.Tensors;
using Kidogo.Tensors.Kernels;

namespace Kidogo.KernelTests.Kernels;

public sealed class FloatKernelTests
{
    private const float Untouched = 12345;

    public static TheoryData<int, int> Shapes
    {
        get
        {
            TheoryData<int, int> shapes = [];
            foreach (int columns in new[] { 1, 2, 7, 32, 33, 64, 96, 256, 576 })
            {
                foreach (int tokens in new[] { 1, 4, 12 })
                {
                    shapes.Add(columns, tokens);
                }
            }

            return shapes;
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Multiply_InterleavedTile_EqualsTheScalarTwinToTheBit(int columns, int tokens) =>
        Compare<InterleavedTile>(new Pseudorandom(3).Floats(columns * tokens), columns, tokens);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Multiply_ScoreRows_EqualsTheScalarTwinToTheBit(int columns, int tokens)
    {
        if (columns <= AttentionKernel.ChunkPositions)
        {
            Compare<ScoreRows>(new Pseudorandom(4).Floats(((tokens - 1) * AttentionKernel.ChunkPositions) + columns), columns, tokens);
        }
    }

    [Fact]
    public void Multiply_AnyToken_IsTheSameInEveryTileAndLayout()
    {
        Pseudorandom random = new(5);
        float[] panel = random.Floats(200 * 32);
        Tensor x = random.Tensor(12, 200);
        float[] rows = new float[12 * AttentionKernel.ChunkPositions];
        float[] interleaved = new float[12 * 200];
        for (int i = 0; i < 12 * 200; i++)
        {
            rows[(i / 200 * AttentionKernel.ChunkPositions) + (i % 200)] = x.Span[i];
            interleaved[(i % 200 * 12) + (i / 200)] = x.Span[i];
        }

        float[] a = new float[12 * 32], b = new float[12 * 32], one = new float[32];
        FloatKernel.Multiply<InterleavedTile>(panel, interleaved, 12, a, 32);
        FloatKernel.Multiply<ScoreRows>(panel, rows, 12, b, 32);
        AssertBits.Equal(a, b, "layouts");
        for (int t = 0; t < 12; t++)
        {
            FloatKernel.Multiply<InterleavedTile>(panel, x.Row(t), 1, one, 32);
            AssertBits.Equal(one, a.AsSpan(t * 32, 32), $"token {t}");
        }
    }

    [Fact]
    public void Multiply_WrongLengths_Throws()
    {
        float[] panel = new float[3 * 32];
        Assert.Throws<ArgumentException>(() => FloatKernel.Multiply<InterleavedTile>(panel, new float[11], 4, new float[128], 32));
        Assert.Throws<ArgumentException>(() => FloatKernel.Multiply<InterleavedTile>(panel, new float[12], 4, new float[127], 32));
        Assert.Throws<ArgumentException>(() => FloatKernel.Multiply<InterleavedTile>(panel, new float[100], 5, new float[500], 32));
        Assert.Throws<ArgumentException>(() => FloatKernel.Multiply<InterleavedTile>([], new float[12], 4, new float[128], 32));
        Assert.Throws<ArgumentException>(() => FloatKernel.Multiply<ScoreRows>(panel, new float[(3 * 256) + 2], 4, new float[128], 32));
        FloatKernel.Multiply<ScoreRows>(panel, new float[(3 * 256) + 3], 4, new float[128], 32);
    }

    [Fact]
    public void Widen_EveryFiniteFloat16_IsExact()
    {
        ushort[] stored = [.. Enumerable.Range(0, 65536).Select(bits => (ushort)bits).Where(bits => Half.IsFinite(BitConverter.UInt16BitsToHalf(bits)))];
        float[] expected = [.. stored.Select(bits => (float)BitConverter.UInt16BitsToHalf(bits))];
        Widen<Float16Form>(stored, expected, lifted: false);
        float limit = (float)BitConverter.UInt16BitsToHalf(HalfKernel.LargestLiftable);
        int[] small = [.. Enumerable.Range(0, stored.Length).Where(i => Math.Abs(expected[i]) <= limit)];
        Assert.Equal(65504f, limit * HalfKernel.Lift);
        Widen<Float16Form>([.. small.Select(i => stored[i])], [.. small.Select(i => expected[i])], lifted: true);
    }

    [Fact]
    public void Pack_LiftedFloat16_HasNoSubnormals()
    {
        for (int bits = 1; bits < 1024; bits++)
        {
            Assert.True(Half.IsNormal(BitConverter.UInt16BitsToHalf(Float16Form.Pack((ushort)bits, lifted: true))));
        }
    }

    [Fact]
    public void Widen_EveryBFloat16_IsItsUpperHalf()
    {
        ushort[] stored = [.. Enumerable.Range(0, 65536).Select(bits => (ushort)bits)];
        Widen<BFloat16Form>(stored, [.. stored.Select(bits => BitConverter.Int32BitsToSingle(bits << 16))], lifted: false);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(64)]
    [InlineData(576)]
    public void MultiplySingle_HalvesOfEveryKind_EqualTheScalarTwinAndTheWidenedPanel(int columns)
    {
        Pseudorandom random = new(6);
        ushort[] floats16 = new ushort[columns * 32], brains = new ushort[columns * 32];
        for (int i = 0; i < floats16.Length; i++)
        {
            floats16[i] = i % 9 == 0 ? (ushort)random.Below(1024) : BitConverter.HalfToUInt16Bits((Half)(30 * random.Float()));
            brains[i] = (ushort)(BitConverter.SingleToUInt32Bits(random.Float()) >> 16);
        }

        float[] x = random.Floats(columns);
        Single<Float16Form>(floats16, x, lifted: false);
        Single<Float16Form>(floats16, x, lifted: true);
        Single<BFloat16Form>(brains, x, lifted: false);
    }

    [Fact]
    public void HalfKernels_WrongLengths_Throw()
    {
        Assert.Throws<ArgumentException>(() => HalfKernel.Widen<Float16Form>(new ushort[64], 1, new float[63]));
        Assert.Throws<ArgumentException>(() => HalfKernel.Widen<Float16Form>(new ushort[48], 1, new float[48]));
        Assert.Throws<ArgumentException>(() => HalfKernel.MultiplySingle<Float16Form>(new ushort[64], 1, new float[1], new float[32]));
        Assert.Throws<ArgumentException>(() => HalfKernel.MultiplySingle<Float16Form>(new ushort[64], 1, new float[2], new float[31]));
    }

    private static void Single<TForm>(ushort[] stored, float[] x, bool lifted)
        where TForm : struct, IHalfForm
    {
        ushort[] packed = [.. stored.Select(bits => TForm.Pack(bits, lifted))];
        float factor = TForm.Factor(lifted);
        float[] expected = new float[32], actual = new float[33], wide = new float[packed.Length], widened = new float[32];
        actual[32] = Untouched;
        HalfKernel.MultiplySingleScalar<TForm>(packed, factor, x, expected);
        HalfKernel.MultiplySingle<TForm>(packed, factor, x, actual);
        AssertBits.Equal(expected, actual.AsSpan(0, 32), $"{typeof(TForm).Name}, lifted {lifted}");
        Assert.Equal(Untouched, actual[32]);
        HalfKernel.Widen<TForm>(packed, factor, wide);
        FloatKernel.Multiply<InterleavedTile>(wide, x, 1, widened, 32);
        AssertBits.Equal(expected, widened, "from the widened panel");
    }

    private static void Widen<TForm>(ushort[] stored, float[] expected, bool lifted)
        where TForm : struct, IHalfForm
    {
        int whole = (stored.Length + 31) / 32 * 32;
        ushort[] packed = new ushort[whole];
        for (int i = 0; i < stored.Length; i++)
        {
            packed[i] = TForm.Pack(stored[i], lifted);
            AssertBits.Equal([expected[i]], [TForm.WidenScalar(packed[i], TForm.Factor(lifted))], $"0x{stored[i]:X4}");
        }

        float[] actual = new float[whole];
        HalfKernel.Widen<TForm>(packed, TForm.Factor(lifted), actual);
        AssertBits.Equal(expected, actual.AsSpan(0, expected.Length), "vectors");
    }

    private static void Compare<TLayout>(float[] tile, int columns, int tokens)
        where TLayout : struct, IFloatTileLayout
    {
        const int Stride = 41;
        float[] panel = new Pseudorandom(2).Floats(columns * 32);
        float[] expected = [.. Enumerable.Repeat(Untouched, tokens * Stride)];
        float[] actual = [.. expected];
        FloatKernel.MultiplyScalar<TLayout>(panel, tile, tokens, expected, Stride);
        FloatKernel.Multiply<TLayout>(panel, tile, tokens, actual, Stride);
        AssertBits.Equal(expected, actual, $"{columns} columns, {tokens} tokens");
        Assert.All(Enumerable.Range(0, actual.Length), i => Assert.Equal(i % Stride >= 32, actual[i] == Untouched));
    }
}
