// Rounding to 8 bits equals its scalar twin and its definition; tiles hold what their layout says. Knows no weights.
using System.Runtime.InteropServices;
using Kidogo.Tensors;
using Kidogo.Tensors.Kernels;

namespace Kidogo.KernelTests.Kernels;

public sealed class Int8RoundingTests
{
    public static TheoryData<float> Sizes => [1f, 1e-3f, 1e3f, 3e38f, 1e-20f, 2e-30f, 1e-31f, 1e-38f, 1e-44f, 0f];

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Round_AnySize_EqualsTheScalarTwin(float size)
    {
        Pseudorandom random = new(21);
        for (int round = 0; round < 50; round++)
        {
            float[] x = random.Floats(32, size);
            Compare(x);
            x[random.Below(32)] = size;
            Compare(x);
            Array.Fill(x, -size);
            Compare(x);
        }
    }

    [Fact]
    public void Round_Ties_GoToTheEvenCode()
    {
        float[] x = new float[32];
        x[0] = 127;
        (x[1], x[2], x[3], x[4], x[5]) = (0.5f, 1.5f, -2.5f, 126.5f, -126.5f);
        sbyte[] codes = Compare(x);
        Assert.Equal([127, 0, 2, -2, 126, -126, 0], codes[..7].Select(code => (int)code));
    }

    [Fact]
    public void Round_OneValue_IsWithinHalfAStep()
    {
        Pseudorandom random = new(22);
        float[] x = random.Floats(32, 5);
        sbyte[] codes = new sbyte[32];
        float scale = Int8Rounding.Round(x, codes, out _, out _);
        for (int i = 0; i < 32; i++)
        {
            Assert.InRange(Math.Abs(x[i] - (codes[i] * scale)), 0, scale * 0.50001f);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(12)]
    [InlineData(13)]
    [InlineData(31)]
    public void Tiles_AnyTokens_HoldTheLayoutOfTheirRemarks(int tokens)
    {
        Pseudorandom random = new(23);
        Tensor x = random.Tensor(tokens, 64, 2);
        x.Row(tokens - 1)[..32].Clear();
        ActivationTiles tiles = new();
        tiles.Begin(ActivationForm.Int8, tokens, 64);
        int next = 0;
        for (int i = 0; i < tiles.Tiles; i++)
        {
            tiles.Fill(i, x);
            (int first, int count) = tiles.Tile(i);
            Assert.Equal(next, first);
            Assert.True(count is 12 or 8 or 4 or 2 or 1);
            next += count;
            ReadOnlySpan<int> slots = MemoryMarshal.Cast<float, int>(tiles.TileValues(first, count));
            for (int t = 0; t < count; t++)
            {
                for (int block = 0; block < 2; block++)
                {
                    sbyte[] codes = new sbyte[32];
                    float scale = Int8Rounding.RoundScalar(x.Row(first + t).Slice(block * 32, 32), codes, out int low, out int high);
                    int start = ((block * count) + t) * ActivationTiles.Slots;
                    for (int s = 0; s < 8; s++)
                    {
                        Assert.Equal(MemoryMarshal.Cast<sbyte, int>(codes)[s], slots[start + s]);
                    }

                    Assert.Equal(-8 * low, (short)slots[start + 8]);
                    Assert.Equal(-8 * high, slots[start + 8] >> 16);
                    Assert.Equal(-128 * (low + high), slots[start + 9]);
                    Assert.Equal(scale, BitConverter.Int32BitsToSingle(slots[start + 10]));
                    Assert.Equal(scale * (low + high), BitConverter.Int32BitsToSingle(slots[start + 11]));
                    Assert.Equal(-codes[..16].Sum(code => code), (short)slots[start + 12]);
                    Assert.Equal(-codes[16..].Sum(code => code), slots[start + 12] >> 16);
                }
            }
        }

        Assert.Equal(tokens, next);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(12)]
    [InlineData(13)]
    [InlineData(31)]
    public void Tiles_Float32_HoldColumnsOfTokens(int tokens)
    {
        Tensor x = new Pseudorandom(24).Tensor(tokens, 64, 2);
        ActivationTiles tiles = new();
        tiles.Begin(ActivationForm.Float32, tokens, 64);
        int next = 0;
        for (int i = 0; i < tiles.Tiles; i++)
        {
            tiles.Fill(i, x);
            (int first, int count) = tiles.Tile(i);
            Assert.Equal(next, first);
            Assert.True(count is 12 or 4 or 1);
            next += count;
            ReadOnlySpan<float> values = tiles.TileValues(first, count);
            for (int c = 0; c < 64; c++)
            {
                for (int t = 0; t < count; t++)
                {
                    Assert.Equal(x.Row(first + t)[c], values[(c * count) + t]);
                }
            }
        }

        Assert.Equal(tokens, next);
    }

    [Fact]
    public void Begin_ColumnsThatAreNoBlocks_Throws() => Assert.Throws<ArgumentException>(() => new ActivationTiles().Begin(ActivationForm.Int8, 1, 33));

    private static sbyte[] Compare(float[] x)
    {
        sbyte[] expected = new sbyte[32], actual = new sbyte[32];
        float scale = Int8Rounding.RoundScalar(x, expected, out int low, out int high);
        float vectorScale = Int8Rounding.Round(x, actual, out int vectorLow, out int vectorHigh);
        Assert.Equal(expected, actual);
        Assert.Equal((scale, low, high), (vectorScale, vectorLow, vectorHigh));
        Assert.Equal(low, Enumerable.Range(0, 32).Where(i => i % 4 < 2).Sum(i => expected[i]));
        Assert.Equal(high, Enumerable.Range(0, 32).Where(i => i % 4 >= 2).Sum(i => expected[i]));
        Assert.DoesNotContain((sbyte)-128, expected);
        return actual;
    }
}
