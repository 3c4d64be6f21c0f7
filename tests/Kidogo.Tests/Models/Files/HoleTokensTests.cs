// The tokens around a hole: those that a file names, in the spellings of new and old files, before those that are found by their pieces.
using Kidogo.Models;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Tests.Models.Files;

public sealed class HoleTokensTests
{
    private static readonly string[] s_pieces = ["<|end|>", "a", "<p>", "<s>", "<m>", "<r>", "<f>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|repo_name|>", "<|file_sep|>"];

    [Fact]
    public void Named_AreTaken_AndBecomeControlTokens()
    {
        using TestFolder folder = new();
        Tokenizer tokenizer = Read(folder, file => file
            .Add("tokenizer.ggml.fim_pre_token_id", 2u).Add("tokenizer.ggml.fim_suf_token_id", 3u).Add("tokenizer.ggml.fim_mid_token_id", 4u).Add("tokenizer.ggml.fim_rep_token_id", 5u).Add("tokenizer.ggml.fim_sep_token_id", 6u));
        Assert.Equal(new FillInMiddleTokens(2, 3, 4) { Repository = 5, File = 6 }, tokenizer.FillInMiddle);
        Assert.Equal(TokenKind.Control, tokenizer.Kind(2));
        Assert.True(tokenizer.IsEndOfGeneration(5));
        Assert.False(tokenizer.IsEndOfGeneration(4));
    }

    [Fact]
    public void Named_ByOldFiles_AreTaken()
    {
        using TestFolder folder = new();
        Tokenizer tokenizer = Read(folder, file => file.Add("tokenizer.ggml.prefix_token_id", 2u).Add("tokenizer.ggml.suffix_token_id", 3u).Add("tokenizer.ggml.middle_token_id", 4u));
        Assert.Equal((2, 3, 4), (tokenizer.FillInMiddle!.Prefix, tokenizer.FillInMiddle.Suffix, tokenizer.FillInMiddle.Middle));
    }

    [Fact]
    public void Spelt_AreFound_WhereNothingIsNamed_OrTheNameIsOutside()
    {
        using TestFolder folder = new();
        Assert.Equal(new FillInMiddleTokens(7, 8, 9) { Repository = 10, File = 11 }, Read(folder, file => file).FillInMiddle);
        Assert.Equal(7, Read(folder, file => file.Add("tokenizer.ggml.fim_pre_token_id", 4_000_000u)).FillInMiddle!.Prefix);
        Assert.Null(Read(folder, file => file, s_pieces[..7]).FillInMiddle);
    }

    [Fact]
    public void Fingerprint_OfAFileThatNamesNone_IsAnother()
    {
        using TestFolder folder = new();
        Assert.NotEqual(Read(folder, file => file).Fingerprint, Read(folder, file => file.Add("tokenizer.ggml.fim_pre_token_id", 2u)).Fingerprint);
    }

    private static Tokenizer Read(TestFolder folder, Func<GgufBuilder, GgufBuilder> add, string[]? pieces = null)
    {
        GgufBuilder file = new GgufBuilder().Add("general.architecture", "llama").Add("tokenizer.ggml.model", "gpt2").Add("tokenizer.ggml.pre", "gpt-2")
            .Add("tokenizer.ggml.tokens", pieces ?? s_pieces).AddArray("tokenizer.ggml.merges", 8, 0, []);
        using ModelText text = ModelText.Open(folder.Write($"{Guid.NewGuid():N}.gguf", add(file).Build()));
        return text.Tokenizer;
    }
}
