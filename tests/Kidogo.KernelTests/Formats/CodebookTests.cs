// The codebooks are the published ones, entry for entry. Knows no blocks.
using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Kidogo.Tensors.Formats;

namespace Kidogo.KernelTests.Formats;

public sealed class CodebookTests
{
    /// <summary>SHA-256 of each table of llama.cpp's ggml-common.h as little-endian 64-bit words (those of four coordinates widened with zeros).</summary>
    [Theory]
    [InlineData("IQ2_XXS", 256, "05826b5d3e472a3a78f196be62ac78acf81df0f909626e12ab9fa2a5d490dd54")]
    [InlineData("IQ2_XS", 512, "06e47aaca60b4dc1d9b5a3f34540437058a6b142b4d7a59d5ded769b4d1bf1de")]
    [InlineData("IQ2_S", 1024, "e1aa1473412b0552c2174c30ef22ab4073f6a181b85a17056e8249bd2932fd88")]
    [InlineData("IQ3_XXS", 256, "0579cffc3ae8b57737ec8b385a7ea936040635bd72cf5382d1fa0af0d7cfe0ff")]
    [InlineData("IQ3_S", 512, "897cdc47e9ddd2c7ae597be7fcd20edf5781cc5015027e629b054bedd43419f1")]
    [InlineData("IQ1", 2048, "07540ffc1aeaf6ad4d97e96b0fcc765aae39671d4ae4a27bbd0e796fde167c6a")]
    public void Expand_PublishedCodebook_HasItsDigest(string name, int size, string digest)
    {
        ulong[] points = name switch
        {
            "IQ2_XXS" => Codebook.Expand(CodebookPoints.IQ2_XXS, [8, 25, 43], 8),
            "IQ2_XS" => Codebook.Expand(CodebookPoints.IQ2_XS, [8, 25, 43], 8),
            "IQ2_S" => Codebook.Expand(CodebookPoints.IQ2_S, [8, 25, 43], 8),
            "IQ3_XXS" => Codebook.Expand(CodebookPoints.IQ3_XXS, [4, 12, 20, 28, 36, 44, 52, 62], 4),
            "IQ3_S" => Codebook.Expand(CodebookPoints.IQ3_S, [1, 3, 5, 7, 9, 11, 13, 15], 4),
            _ => Codebook.Expand(CodebookPoints.IQ1, [0xFF, 0, 1], 8),
        };
        Assert.Equal(size, points.Length);
        Assert.Equal(digest, Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes(points.AsSpan()))));
    }

    [Fact]
    public void Expand_HandWrittenSet_TakesTheLowestDigitAsTheFirstCoordinate() =>
        Assert.Equal([0x0505UL, 0x0705UL, 0x0709UL], Codebook.Expand([(1UL << 0) | (1UL << 3) | (1UL << 5)], [5, 7, 9], 2));

    [Fact]
    public void EvenSigns_TwiceSevenBits_AreKeptAndMadeEven()
    {
        for (uint stored = 0; stored < 1 << 15; stored++)
        {
            uint signs = Codebook.EvenSigns(stored);
            Assert.Equal(stored & 127, signs & 127);
            Assert.Equal((stored >> 7) & 127, (signs >> 8) & 127);
            Assert.Equal(0, BitOperations.PopCount(signs & 255) % 2);
            Assert.Equal(0, BitOperations.PopCount(signs >> 8) % 2);
            Assert.True(signs < 1 << 16);
        }
    }
}
