// 2:4 sparse weights of 4 bits: what a block means, and that they compute as the same weights do in Q4_0, to the bit.
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Ops;

namespace Kidogo.KernelTests.Weights;

public sealed class SparseWeightTests
{
    /// <summary>Magnitudes to 15 have steps of 15 / 8. Inside half a step is lost; of the other sign than the largest, codes end a whole one short of it.</summary>
    private const float Step = 15f / 8;

    private static WeightFormat Sparse => WeightFormats.ForName("SQ4_0")!;

    [Fact]
    public void Decode_HandWrittenBlock_PutsCodesAtTheirPlaces()
    {
        byte[] block = new byte[26];
        BitConverter.GetBytes((Half)2).CopyTo(block, 0);
        Array.Fill(block, (byte)0x88, 2, 16); // nothing but zeros
        block[2] = 0xF0; // four 0: code 0 at place 1, code 15 at place 3
        block[18] = 0b1101;
        block[17] = 0x9A; // four 15: code 10 and code 9 at place 2: the second counts
        block[25] = 0b1010_0000;
        float[] weights = new float[64];
        Sparse.Decode(block, weights);
        float[] expected = new float[64];
        (expected[1], expected[3], expected[62]) = (-16, 14, 2);
        Assert.Equal(expected, weights);
    }

    [Fact]
    public void Encode_OfSparseWeights_KeepsThemAtTheirPlaces()
    {
        float[] row = [.. Enumerable.Range(0, 128).Select(i => i % 4 is 1 or 2 ? 0 : ((i * 37) % 31) - 15f)];
        row[5] = 3; // a four with two codes, one of which is in the middle
        row[4] = 0;
        float[] again = new float[128];
        byte[] bytes = new byte[52];
        Sparse.Encode(row, [], bytes);
        Sparse.Decode(bytes, again);
        for (int i = 0; i < row.Length; i++)
        {
            Assert.InRange(again[i], row[i] - Step, row[i] + Step);
            Assert.True(row[i] != 0 || again[i] == 0);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(12)]
    [InlineData(29)]
    public void Multiply_AnyTokens_GivesTheBitsOfTheSameWeightsInQ4_0(int tokens)
    {
        const int Rows = 53, Columns = 320; // no whole panels
        using StoredData sparse = new(Sparse, Rows, Columns, 91);
        WeightFormat dense = WeightFormats.ForName("Q4_0")!;
        byte[] bytes = new byte[Rows * (int)dense.RowBytes(Columns)];
        for (int row = 0; row < Rows; row++)
        {
            ReadOnlySpan<byte> from = sparse.Matrix(Rows).RowBytes(row);
            Span<byte> to = bytes.AsSpan(row * (int)dense.RowBytes(Columns), (int)dense.RowBytes(Columns));
            for (int block = 0; block < Columns / 32; block++)
            {
                Dense(from.Slice(block / 2 * 26, 26), block % 2, to.Slice(block * 18, 18));
            }
        }

        using StoredData same = new(dense, Columns, bytes);
        using ComputeContext context = ComputeContext.Inference(2);
        using Weight one = Weight.Open(sparse.Matrix(Rows), context), two = Weight.Open(same.Matrix(Rows), context);
        Tensor x = new Pseudorandom(92).Tensor(tokens, Columns);
        Assert.Equal(LinearOp.Apply(context, x, two, null).Span.ToArray(), LinearOp.Apply(context, x, one, null).Span.ToArray());
        float[] expected = new float[Columns], actual = new float[Columns];
        two.DecodeRow(Rows - 1, expected);
        one.DecodeRow(Rows - 1, actual);
        Assert.Equal(expected, actual);
    }

    [Fact]
    public void MemoryAndFile_TakeAtMostThreeQuartersOfQ4_0()
    {
        WeightFormat dense = WeightFormats.ForName("Q4_0")!;
        Assert.True(Sparse.RowBytes(4096) <= 0.75 * dense.RowBytes(4096));
        Assert.True(Weight.MemoryBytesOf(Sparse, 64, 4096) <= 0.75 * Weight.MemoryBytesOf(dense, 64, 4096));
    }

    /// <summary>Half of a sparse block as a block of Q4_0, worked out from the bytes.</summary>
    private static void Dense(ReadOnlySpan<byte> block, int half, Span<byte> q4)
    {
        block[..2].CopyTo(q4);
        byte[] codes = [.. Enumerable.Repeat((byte)8, 32)];
        for (int k = 0; k < 8; k++)
        {
            int four = (8 * half) + k, places = block[18 + (four / 2)] >> (four % 2 * 4);
            codes[(4 * k) + (places & 3)] = (byte)(block[2 + four] & 15);
            codes[(4 * k) + ((places >> 2) & 3)] = (byte)(block[2 + four] >> 4);
        }

        for (int j = 0; j < 16; j++)
        {
            q4[2 + j] = (byte)(codes[j] | (codes[j + 16] << 4));
        }
    }
}
