// Which instructions a run of the tests may use, and that products have the same bits whichever they are. Knows no speed.
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using System.Security.Cryptography;
using Kidogo.Tensors.Kernels;
using Kidogo.Tensors.Ops;

namespace Kidogo.KernelTests.Kernels;

public sealed class InstructionTierTests
{
    private const string Variable = "KIDOGO_EXPECT_TIER";

    /// <summary>A run that was to do without some instructions does without them; what is left on may be missing on a machine.</summary>
    [Fact]
    public void Run_WithExpectedTier_IsInIt()
    {
        string? tier = Environment.GetEnvironmentVariable(Variable);
        string[] settings = ["DOTNET_EnableAVXVNNI", "DOTNET_EnableAVX512", "DOTNET_EnableAVX2", "DOTNET_EnableHWIntrinsic"];
        string[] off = [.. settings.Where(name => Environment.GetEnvironmentVariable(name) == "0")];
        switch (tier)
        {
            case null:
                break; // not a run of .ci/run: any tier will do
            case "default":
                Assert.Empty(off);
                Assert.Null(Environment.GetEnvironmentVariable("DOTNET_PreferredVectorBitWidth"));
                break;
            case "no-vnni":
                Assert.Equal(["DOTNET_EnableAVXVNNI"], off);
                Assert.False(AvxVnni.IsSupported);
                break;
            case "no-avx512":
                Assert.Equal(["DOTNET_EnableAVX512"], off);
                Assert.False(Vector512.IsHardwareAccelerated);
                Assert.False(Avx512BW.IsSupported);
                break;
            case "no-avx2":
                Assert.Equal(["DOTNET_EnableAVX2"], off);
                Assert.False(Avx2.IsSupported);
                Assert.False(Fma.IsSupported);
                Assert.False(Vector256.IsHardwareAccelerated);
                Assert.False(Vector512.IsHardwareAccelerated);
                Assert.False(AvxVnni.IsSupported);
                break;
            case "scalar":
                Assert.Equal(["DOTNET_EnableHWIntrinsic"], off);
                Assert.False(Avx2.IsSupported);
                Assert.False(Vector128.IsHardwareAccelerated);
                Assert.False(Vector256.IsHardwareAccelerated);
                Assert.False(Vector512.IsHardwareAccelerated);
                break;
            default:
                Assert.Fail($"{Variable} is '{tier}'; expected default, no-vnni, no-avx512, no-avx2 or scalar.");
                break;
        }
    }

    /// <summary>Products of a fixed case through rounding, tiles, panels and threads have one digest in every tier.</summary>
    [Theory]
    [InlineData(BlockKernelTests.Kernel.Q4_0, "b0c058e96a9fcdd07057e5a732ed932d")]
    [InlineData(BlockKernelTests.Kernel.Q4_1, "66afded9af31685c064cfd91b1e1f8c3")]
    [InlineData(BlockKernelTests.Kernel.Q8_0, "99e3357ae31bab2c13d79f7268e58a91")]
    public void BlockProducts_FixedCase_HaveOneDigestInAllTiers(BlockKernelTests.Kernel kernel, string digest)
    {
        Pseudorandom random = new(51);
        BlockKernelTests.Layout layout = BlockKernelTests.Of(kernel);
        int supers = Math.Max(1, 18 / layout.SuperBlocks), columns = supers * layout.SuperBlocks * 32;
        byte[] panel = PanelData.Blocks(random, supers, layout.Numbers * 16, layout.SuperBytes, layout.NumberBytes);
        float[] y = new float[(12 + 4 + 1) * 16];
        int first = 0;
        foreach (int tokens in new[] { 12, 4, 1 })
        {
            float[] tile = PanelData.Tile(random.Tensor(tokens, columns), ActivationForm.Int8);
            layout.Dispatched(panel, tile, tokens, y.AsSpan(first * 16), 16);
            first += tokens;
        }

        Assert.Equal(digest, Digest(y));
    }

    [Theory]
    [InlineData("F32", "30e15ae2d887f2f6cae46f3301c64f8f")]
    [InlineData("F16", "ae2aec00ffd49b60a3a06aa79ef4bccd")]
    [InlineData("BF16", "d864e596336f541502c8b6f8b4fa7718")]
    public void FloatProducts_FixedCase_HaveOneDigestInAllTiers(string form, string digest)
    {
        Pseudorandom random = new(52);
        float[] panel = random.Floats(576 * 32);
        ushort[] halves = [.. panel.Select(value => form == "F16" ? BitConverter.HalfToUInt16Bits((Half)value) : (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16))];
        float[] y = new float[(12 + 4 + 1) * 32];
        int first = 0;
        foreach (int tokens in new[] { 12, 4, 1 })
        {
            float[] tile = PanelData.Tile(random.Tensor(tokens, 576), ActivationForm.Float32);
            Span<float> outputs = y.AsSpan(first * 32);
            if (form == "F32")
            {
                FloatKernel.Multiply<InterleavedTile>(panel, tile, tokens, outputs, 32);
            }
            else if (tokens == 1 && form == "F16")
            {
                HalfKernel.MultiplySingle<Float16Form>(halves, Float16Form.Factor(false), tile, outputs);
            }
            else if (tokens == 1)
            {
                HalfKernel.MultiplySingle<BFloat16Form>(halves, BFloat16Form.Factor(false), tile, outputs);
            }
            else
            {
                float[] wide = new float[panel.Length];
                if (form == "F16")
                {
                    HalfKernel.Widen<Float16Form>(halves, Float16Form.Factor(false), wide);
                }
                else
                {
                    HalfKernel.Widen<BFloat16Form>(halves, BFloat16Form.Factor(false), wide);
                }

                FloatKernel.Multiply<InterleavedTile>(wide, tile, tokens, outputs, 32);
            }

            first += tokens;
        }

        Assert.Equal(digest, Digest(y));
    }

    [Fact]
    public void Softmax_FixedCase_HasOneDigestInAllTiers()
    {
        float[] scores = new Pseudorandom(53).Floats(256, 30);
        float sum = AttentionKernel.Weigh(scores, 5, 251, 256, 0, out float maximum);
        Assert.Equal("0c767b6145ff16ef8ffb23c0a4621aa8", Digest([.. scores, sum, maximum]));
    }

    [Theory]
    [InlineData(RotaryLayout.HalfSplit, "47c26b1525c7f119cf5b431bb46c6541")]
    [InlineData(RotaryLayout.Interleaved, "ce106a20a36beff385686e53274bf51a")]
    public void Rotation_FixedCase_HasOneDigestInAllTiers(RotaryLayout layout, string digest)
    {
        Pseudorandom random = new(54);
        float[] head = random.Floats(64);
        RotaryKernel.Rotate(head, random.Floats(64), layout);
        Assert.Equal(digest, Digest(head));
    }

    private static string Digest(float[] values) => Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes(values.AsSpan())))[..32];
}
