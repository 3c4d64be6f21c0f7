// What every stored format owes: its size, its place in the table, and a decoder that nothing can upset.
using System.Runtime.CompilerServices;
using Kidogo.Tensors.Formats;

namespace Kidogo.KernelTests.Formats;

public sealed class WeightFormatsTests
{
    public static TheoryData<string> Names => new(WeightFormats.All.Select(format => format.Name));

    [Fact]
    public void All_HasEveryFormatOfGgufFilesOnce_InTheOrderOfTheirIds()
    {
        string[] names =
        [
            "F32", "F16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS",
            "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "IQ1_M", "BF16", "TQ1_0", "TQ2_0", "MXFP4", "NVFP4", "Q1_0", "Q2_0", "SQ4_0",
        ];
        uint[] ids = [0, 1, 2, 3, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20, 21, 22, 23, 29, 30, 34, 35, 39, 40, 41, 42, 2404];
        Assert.Equal(names, WeightFormats.All.Select(format => format.Name));
        Assert.Equal(ids, WeightFormats.All.Select(format => format.GgufTypeId));
    }

    /// <summary>Sizes as llama.cpp's ggml-common.h asserts them.</summary>
    [Theory]
    [InlineData(1, 4, "F32")]
    [InlineData(1, 2, "F16")]
    [InlineData(1, 2, "BF16")]
    [InlineData(32, 18, "Q4_0")]
    [InlineData(32, 20, "Q4_1")]
    [InlineData(32, 22, "Q5_0")]
    [InlineData(32, 24, "Q5_1")]
    [InlineData(32, 34, "Q8_0")]
    [InlineData(256, 84, "Q2_K")]
    [InlineData(256, 110, "Q3_K")]
    [InlineData(256, 144, "Q4_K")]
    [InlineData(256, 176, "Q5_K")]
    [InlineData(256, 210, "Q6_K")]
    [InlineData(256, 66, "IQ2_XXS")]
    [InlineData(256, 74, "IQ2_XS")]
    [InlineData(256, 82, "IQ2_S")]
    [InlineData(256, 98, "IQ3_XXS")]
    [InlineData(256, 110, "IQ3_S")]
    [InlineData(256, 50, "IQ1_S")]
    [InlineData(256, 56, "IQ1_M")]
    [InlineData(32, 18, "IQ4_NL")]
    [InlineData(256, 136, "IQ4_XS")]
    [InlineData(256, 54, "TQ1_0")]
    [InlineData(256, 66, "TQ2_0")]
    [InlineData(32, 17, "MXFP4")]
    [InlineData(64, 36, "NVFP4")]
    [InlineData(128, 18, "Q1_0")]
    [InlineData(64, 18, "Q2_0")]
    [InlineData(64, 26, "SQ4_0")]
    public void Format_BlockSizeAndBytes_AreThoseOfTheFile(int blockSize, int blockBytes, string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        Assert.Equal(blockSize, format.BlockSize);
        Assert.Equal(blockBytes, format.BlockBytes);
        Assert.Equal(8.0 * blockBytes / blockSize, format.BitsPerWeight);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Format_StructSize_IsBlockBytes(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        Assert.Equal(format.BlockBytes, format.StructBytes);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Lookups_EachFormat_FindItself(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        Assert.Equal(name, format.ToString());
        Assert.Same(format, WeightFormats.ForName(name.ToLowerInvariant()));
        Assert.Same(format, WeightFormats.ForGgufType(format.GgufTypeId));
    }

    [Fact]
    public void Lookups_WhatIsNoWeightFormat_FindNothing()
    {
        // 4, 5 and 31 are retired, 9 and 15 hold activations, 24 to 28 are integers and float64, 43 is not given out yet.
        foreach (uint id in (uint[])[4, 5, 9, 15, 24, 25, 26, 27, 28, 31, 36, 43, uint.MaxValue])
        {
            Assert.Null(WeightFormats.ForGgufType(id));
        }

        Assert.Null(WeightFormats.ForName(""));
        Assert.Null(WeightFormats.ForName("Q4"));
    }

    [Fact]
    public void ForSafetensorsName_KnowsTheFloatsThatAreWeights()
    {
        foreach (string dtype in (string[])["F32", "F16", "BF16"])
        {
            Assert.Equal(dtype, WeightFormats.ForSafetensorsName(dtype)?.Name);
        }

        foreach (string dtype in (string[])["", "f32", "F64", "I8", "U8", "BOOL", "F8_E4M3", "Q4_0"])
        {
            Assert.Null(WeightFormats.ForSafetensorsName(dtype));
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void RowBytes_WholeBlocks_AreCounted_AndOthersRefused(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        Assert.Equal(0, format.RowBytes(0));
        Assert.Equal(3 * format.BlockBytes, format.RowBytes(3 * format.BlockSize));
        Assert.Throws<ArgumentException>(() => format.RowBytes(-format.BlockSize));
        if (format.BlockSize > 1)
        {
            ArgumentException refusal = Assert.Throws<ArgumentException>(() => format.RowBytes(format.BlockSize + 1));
            Assert.Contains($"{format.BlockSize + 1}", refusal.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void RowBytes_LongerThanAnyFile_Throws() =>
        Assert.Throws<OverflowException>(() => WeightFormats.ForName("F32")!.RowBytes(long.MaxValue));

    [Theory]
    [MemberData(nameof(Names))]
    public void Decode_LengthsThatDoNotBelongTogether_Throws(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        byte[] twoBlocks = new byte[2 * format.BlockBytes];
        float[] twoRows = new float[2 * format.BlockSize];
        format.Decode(twoBlocks, twoRows);
        format.Decode([], []);
        Assert.Throws<ArgumentException>(() => format.Decode(twoBlocks, twoRows.AsSpan(1)));
        Assert.Throws<ArgumentException>(() => format.Decode(twoBlocks, new float[twoRows.Length + 1]));
        Assert.Throws<ArgumentException>(() => format.Decode(twoBlocks.AsSpan(1), twoRows));
        Assert.Throws<ArgumentException>(() => format.Decode(twoBlocks.AsSpan(format.BlockBytes), twoRows));
        Assert.Throws<ArgumentException>(() => format.Decode([], twoRows));
        Assert.Throws<ArgumentException>(() => format.Decode(twoBlocks, []));
    }

    /// <summary>Any bytes decode, block by block as all at once, and every weight is written and none beside.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void Decode_AnyBytes_WritesEveryWeightAndNoOther(string name)
    {
        const int Blocks = 67;
        const float Untouched = 1234.5f;
        WeightFormat format = WeightFormats.ForName(name)!;
        Random random = new(20);
        byte[] all = new byte[Blocks * format.BlockBytes];
        float[] weights = new float[Blocks * format.BlockSize];
        float[] one = new float[format.BlockSize + 2];
        for (int round = 0; round < 20; round++)
        {
            random.NextBytes(all);
            all.AsSpan(0, format.BlockBytes).Fill((byte)(round % 2 == 0 ? 0xFF : 0x7F));
            weights.AsSpan().Fill(Untouched);
            format.Decode(all, weights);
            Assert.DoesNotContain(Untouched, weights);
            for (int i = 0; i < Blocks; i++)
            {
                one.AsSpan().Fill(Untouched);
                format.Decode(all.AsSpan(i * format.BlockBytes, format.BlockBytes), one.AsSpan(1, format.BlockSize));
                Assert.Equal(Untouched, one[0]);
                Assert.Equal(Untouched, one[^1]);
                AssertBits.Equal(weights.AsSpan(i * format.BlockSize, format.BlockSize), one.AsSpan(1, format.BlockSize), name);
            }
        }
    }

    /// <summary>All zero bytes are a zero scale (or, for MXFP4, code 0), whatever the format.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void Decode_ZeroBytes_AreZeroWeights(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        float[] weights = new float[5 * format.BlockSize];
        weights.AsSpan().Fill(1);
        format.Decode(new byte[5 * format.BlockBytes], weights);
        Assert.All(weights, weight => Assert.Equal(0f, Math.Abs(weight)));
    }

    [Fact]
    public void Q4_0_PublicFields_AreWhereTheFileHasThem()
    {
        Q4_0 block = default;
        block.Scale = (Half)2;
        block.Codes[3] = 0xF9;
        Assert.Equal(18, Unsafe.SizeOf<Q4_0>());
        float[] weights = new float[32];
        Q4_0.Decode(in block, weights);
        Assert.Equal(2f, weights[3]);
        Assert.Equal(14f, weights[19]);
        Assert.Equal(-16f, weights[0]);
    }
}
