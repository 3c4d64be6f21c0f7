// The mixes of formats by name. The expected tables were written down from files that llama.cpp's quantiser made of the same shapes.
using Kidogo.Models.Export;

namespace Kidogo.Tests.Models.Export;

public sealed class FormatMixTests
{
    private static readonly MixModel s_plain = new("llama", 32, 1, HasOutput: true, HasImportance: false);

    [Theory]
    [InlineData("Q4_K_M", "output.weight", "Q6_K")]
    [InlineData("Q4_K_M", "token_embd.weight", "Q4_K")]
    [InlineData("Q4_K_M", "blk.0.attn_v.weight", "Q6_K")]
    [InlineData("Q4_K_M", "blk.4.attn_v.weight", "Q4_K")]
    [InlineData("Q4_K_M", "blk.6.ffn_down.weight", "Q6_K")]
    [InlineData("Q4_K_M", "blk.31.ffn_down.weight", "Q6_K")]
    [InlineData("Q4_K_M", "blk.31.ffn_up.weight", "Q4_K")]
    [InlineData("Q4_K_S", "blk.3.attn_v.weight", "Q5_K")]
    [InlineData("Q4_K_S", "blk.4.ffn_down.weight", "Q4_K")]
    [InlineData("Q3_K_M", "blk.1.attn_v.weight", "Q5_K")]
    [InlineData("Q3_K_M", "blk.2.ffn_down.weight", "Q4_K")]
    [InlineData("Q3_K_M", "blk.9.attn_output.weight", "Q4_K")]
    [InlineData("Q3_K_M", "blk.9.attn_q.weight", "Q3_K")]
    [InlineData("Q3_K_L", "blk.9.attn_output.weight", "Q5_K")]
    [InlineData("Q2_K", "blk.9.attn_v.weight", "Q3_K")]
    [InlineData("Q5_K_M", "blk.6.attn_qkv.weight", "Q6_K")]
    [InlineData("Q8_0", "output.weight", "Q8_0")]
    [InlineData("Q4_0", "output.weight", "Q6_K")]
    [InlineData("IQ4_XS", "blk.3.ffn_down.weight", "Q5_K")]
    [InlineData("IQ4_XS", "blk.4.ffn_down.weight", "IQ4_XS")]
    [InlineData("TQ1_0", "token_embd.weight", "Q4_K")]
    [InlineData("q4_k", "blk.4.ffn_up.weight", "Q4_K")]
    public void Choose_InAPlainModel_GivesWhatLlamaCppGives(string mix, string tensor, string format) =>
        Assert.Equal(format, FormatMix.ForName(mix)!.Choose(tensor, 4096, s_plain).Format.Name);

    [Theory]
    [InlineData("Q2_K", 4, false, "blk.9.attn_v.weight", "Q4_K")]
    [InlineData("IQ4_NL", 4, false, "blk.9.attn_v.weight", "Q5_K")]
    [InlineData("IQ4_NL", 1, true, "blk.0.ffn_down.weight", "IQ4_NL")]
    [InlineData("Q4_0", 1, true, "blk.0.ffn_down.weight", "Q4_1")]
    [InlineData("Q5_0", 1, true, "blk.3.ffn_down.weight", "Q5_1")]
    [InlineData("Q4_0", 1, true, "blk.4.ffn_down.weight", "Q4_0")]
    public void Choose_BySharedHeadsAndImportance_GivesWhatLlamaCppGives(string mix, int headsPerKvHead, bool importance, string tensor, string format) =>
        Assert.Equal(format, FormatMix.ForName(mix)!.Choose(tensor, 4096, s_plain with { HeadsPerKvHead = headsPerKvHead, HasImportance = importance }).Format.Name);

    [Fact]
    public void Choose_WhereTheHeadIsTheEmbedding_TreatsItAsTheHead() =>
        Assert.Equal("Q6_K", FormatMix.ForName("Q4_0")!.Choose("token_embd.weight", 4096, s_plain with { HasOutput = false }).Format.Name);

    [Theory]
    [InlineData("Q4_K_M", 576, "Q5_0", "Q4_K")]
    [InlineData("Q5_K_S", 576, "Q5_1", "Q5_K")]
    [InlineData("Q6_K", 576, "Q8_0", "Q6_K")]
    [InlineData("Q3_K_S", 576, "Q4_0", "Q3_K")]
    [InlineData("Q2_K", 576, "Q4_0", "Q2_K")]
    [InlineData("IQ4_XS", 576, "IQ4_NL", "IQ4_XS")]
    [InlineData("TQ2_0", 576, "Q4_0", "TQ2_0")]
    [InlineData("Q4_0", 48, "F16", "Q4_0")]
    [InlineData("Q4_K_M", 48, "F16", "Q4_K")]
    public void Choose_OfRowsThatAreNoWholeBlocks_FallsBackAsLlamaCppDoes(string mix, int columns, string format, string wanted)
    {
        MixedFormat mixed = FormatMix.ForName(mix)!.Choose("blk.9.ffn_up.weight", columns, s_plain);
        Assert.Equal((format, wanted), (mixed.Format.Name, mixed.Wanted?.Name));
    }

    [Fact]
    public void ForName_Pure_GivesEveryMatrixTheMainFormat()
    {
        FormatMix mix = FormatMix.ForName("Q4_K_M", pure: true)!;
        Assert.All((string[])["output.weight", "token_embd.weight", "blk.0.attn_v.weight", "blk.0.ffn_down.weight"], name => Assert.Equal("Q4_K", mix.Choose(name, 256, s_plain).Format.Name));
    }

    [Fact]
    public void Names_AreAllKnownAndInNoCaseOfTheirOwn() => Assert.All(FormatMix.Names, name => Assert.Equal(name, FormatMix.ForName(name.ToLowerInvariant())?.Name));

    [Fact]
    public void ForName_OfNothingKnown_IsNull() => Assert.Null(FormatMix.ForName("Q4_Z"));

    [Theory]
    [InlineData("blk.0.attn_norm.weight", true, false)]
    [InlineData("blk.0.attn_q.bias", true, false)]
    [InlineData("position_embd.weight", false, false)]
    [InlineData("blk.0.attn_q.weight", false, true)]
    [InlineData("token_embd.weight", false, true)]
    public void Quantizes_TakesMatricesOfWeightsOnly(string name, bool isVector, bool expected) => Assert.Equal(expected, FormatMix.Quantizes(name, isVector));
}
