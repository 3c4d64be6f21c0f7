// Blocks of any bytes decode as llama.cpp's library decodes them: every code, every table entry, every scale. Knows nothing of how blocks are made.
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Kidogo.Tensors.Formats;

namespace Kidogo.KernelTests.Formats;

public sealed class AnyBytesTests
{
    private const int NumBytes = 256 * 400;

    /// <summary>The digests are of what <c>dequantize_row_*</c> of llama.cpp's libggml-base (v0.5.0) makes of the same bytes;
    /// first 32 hexadecimal digits of SHA-256, NaNs made 0x7FC00000.</summary>
    [Theory]
    [InlineData("Q4_0", "e948a590c6b58acba4c8daa5f8203292")]
    [InlineData("Q4_1", "58a509d08687f39a58eeb009f215f1bc")]
    [InlineData("Q5_0", "5c68bef992d5d0919a4b9d8bd942542b")]
    [InlineData("Q5_1", "34e04580f8531901596e162406c7d6ab")]
    [InlineData("Q8_0", "318e8d1e64014bba25f1d9ff061d88c5")]
    [InlineData("Q2_K", "034fdea3e106c6caa88c2e0c44709835")]
    [InlineData("Q3_K", "06d0ad1e1bcba597b4bd16d88c201620")]
    [InlineData("Q4_K", "e6f46b625d6cfbaa12acd574a3266e13")]
    [InlineData("Q5_K", "8508c7e592b02cefaa9f7a479bf8df89")]
    [InlineData("Q6_K", "f017751792c0ac438420fa30c3ff2363")]
    [InlineData("IQ2_XXS", "2dd5d3a8cacc7267e9f3417634ce7aec")]
    [InlineData("IQ2_XS", "babea2838cb9d7b5c93b108edd61bf52")]
    [InlineData("IQ2_S", "f908e92b536fa8c9c9eff41e15236d0d")]
    [InlineData("IQ3_XXS", "34af79c92c0c0ac3543b6f46242249b5")]
    [InlineData("IQ3_S", "f0ee12ea22fcbd3a0859dc858ecd131e")]
    [InlineData("IQ1_S", "8b195ea192c4212c139e6d272d7602be")]
    [InlineData("IQ1_M", "215d4f91887e8ce3a4f91ef92a36788e")]
    [InlineData("IQ4_NL", "d9e4347ae25519c646a514e7eb84a2c6")]
    [InlineData("IQ4_XS", "0ca43ea59efe22540b8548215d61a13f")]
    [InlineData("TQ1_0", "af62e3adab440dc7a13e7decfbccfe85")]
    [InlineData("TQ2_0", "179238714e0aa25f18e79f94d653cb6b")]
    [InlineData("MXFP4", "3527f3bbd48897455850f4e6fe786096")]
    [InlineData("NVFP4", "0960e9af03128336509bacb155ce39a1")]
    [InlineData("Q1_0", "c5353169fb1088acf3d117ddd0e85301")]
    [InlineData("Q2_0", "3ead541aa1f4c4873e746a334bc66af4")]
    [InlineData("F16", "4a7ea4d59e6120098e5596c4b2f34901")]
    [InlineData("BF16", "17c796f083c1c1aefd133a0151c7cbad")]
    public void Decode_PseudorandomBytes_GivesTheValuesOfLlamaCppToTheBit(string name, string digest)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        int blocks = NumBytes / format.BlockBytes;
        float[] weights = new float[blocks * format.BlockSize];
        format.Decode(Bytes()[..(blocks * format.BlockBytes)], weights);
        for (int i = 0; i < weights.Length; i++)
        {
            weights[i] = float.IsNaN(weights[i]) ? BitConverter.UInt32BitsToSingle(0x7FC0_0000) : weights[i];
        }

        Assert.Equal(digest, Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes(weights.AsSpan())))[..32]);
    }

    [Fact]
    public void Digests_CoverEveryFormatOfLlamaCppButFloat32()
    {
        string[] covered = [.. typeof(AnyBytesTests).GetMethod(nameof(Decode_PseudorandomBytes_GivesTheValuesOfLlamaCppToTheBit))!
            .GetCustomAttributes(typeof(InlineDataAttribute), false).Cast<InlineDataAttribute>().Select(data => (string)data.GetData(null!).Single()[0])];
        Assert.Equal(WeightFormats.All.Select(format => format.Name).Where(name => name is not ("F32" or "SQ4_0")).Order(), covered.Order());
    }

    /// <summary>Top bytes of Knuth's linear congruential generator, so that any language can repeat them.</summary>
    private static ReadOnlySpan<byte> Bytes()
    {
        byte[] bytes = new byte[NumBytes];
        ulong state = 20240229;
        for (int i = 0; i < bytes.Length; i++)
        {
            state = unchecked((state * 6364136223846793005) + 1442695040888963407);
            bytes[i] = (byte)(state >> 56);
        }

        return bytes;
    }
}
