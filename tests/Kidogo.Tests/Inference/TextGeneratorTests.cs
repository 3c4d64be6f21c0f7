// Answers as text: stop strings over borders of tokens, half characters, reasoning, and why an answer ended.
using Kidogo.Inference;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Tests.Inference;

public sealed class TextGeneratorTests : IDisposable
{
    // Writes "ab é<think>c</think>d", then ends: 1 2 3 4 5 6 7 8 9 0.
    private static readonly string[] s_pieces = ["<|end|>", "a", "b", "Ġ", "Ã", "©", "<think>", "c", "</think>", "d"];

    private readonly ScriptedModel _scripted = new(s_pieces, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0);
    private readonly TextGenerator _generator;

    public TextGeneratorTests() => _generator = new TextGenerator(_scripted.Model, _scripted.Tokenizer, _scripted.Context);

    public void Dispose()
    {
        _generator.Dispose();
        _scripted.Dispose();
    }

    [Fact]
    public void Answer_UntilTheEnd_HasAllTextAndCounts()
    {
        (AnswerPiece[] pieces, Answer answer) = Run(new AnswerOptions());
        Assert.Equal("ab é<think>c</think>d", Text(pieces));
        Assert.DoesNotContain(pieces, piece => piece.IsReasoning || piece.Text.Length == 0);
        Assert.Equal(FinishReason.Stop, answer.FinishReason);
        Assert.Equal(Enumerable.Range(1, 9), answer.Ids);
        Assert.Equal((1, 0), (answer.PromptTokens, answer.CachedTokens));
        Assert.True(answer.FirstToken > TimeSpan.Zero);
        Assert.True(answer.DecodeTokensPerSecond > 0);
    }

    [Fact]
    public void Characters_OfSeveralTokens_ComeWhole()
    {
        (AnswerPiece[] pieces, _) = Run(new AnswerOptions());
        Assert.Contains(pieces, piece => piece.Text == "é");
        Assert.DoesNotContain(pieces, piece => piece.Text.Contains('\uFFFD', StringComparison.Ordinal));
    }

    [Fact]
    public void Character_CutOffByTheLimit_IsShownAsReplaced()
    {
        (AnswerPiece[] pieces, Answer answer) = Run(With(maxTokens: 4));
        Assert.Equal("ab \uFFFD", Text(pieces));
        Assert.Equal(FinishReason.Length, answer.FinishReason);
    }

    [Theory]
    [InlineData("b ", "a")] // over two tokens
    [InlineData("é", "ab ")] // a character of two tokens
    [InlineData("a", "")]
    [InlineData(" é<think>c", "ab")]
    public void StopString_AcrossTokens_EndsTheAnswerBeforeIt(string stop, string expected)
    {
        (AnswerPiece[] pieces, Answer answer) = Run(With(stops: stop));
        Assert.Equal(expected, Text(pieces));
        Assert.Equal(FinishReason.StopString, answer.FinishReason);
    }

    [Fact]
    public void StopString_ThatOnlyBegins_IsShownInTheEnd()
    {
        (AnswerPiece[] pieces, Answer answer) = Run(With(stops: "dog"));
        Assert.EndsWith("d", Text(pieces), StringComparison.Ordinal);
        Assert.Equal(FinishReason.Stop, answer.FinishReason);
        (pieces, answer) = Run(With(maxTokens: 2, stops: "b!"));
        Assert.Equal("ab", Text(pieces));
        Assert.Equal(FinishReason.Length, answer.FinishReason);
    }

    [Theory]
    [InlineData(0, "")]
    [InlineData(1, "a")]
    public void MaxTokens_Few_EndWithLength(int count, string expected)
    {
        (AnswerPiece[] pieces, Answer answer) = Run(With(maxTokens: count));
        Assert.Equal(expected, Text(pieces));
        Assert.Equal(count, answer.Ids.Count);
        Assert.Equal(FinishReason.Length, answer.FinishReason);
        Assert.Equal(0, answer.DecodeTokensPerSecond);
    }

    [Fact]
    public void Reasoning_IsApartFromTheAnswer()
    {
        (AnswerPiece[] pieces, _) = Run(new AnswerOptions { Reasoning = new ReasoningTags("<think>", "</think>") }, null, 5); // an answer that begins with it
        Assert.Equal("c", Text(pieces.Where(piece => piece.IsReasoning)));
        Assert.Equal("d", Text(pieces.Where(piece => !piece.IsReasoning)));
    }

    [Fact]
    public void Reasoning_OpenedByThePrompt_LastsUntilItsEnd()
    {
        (AnswerPiece[] pieces, _) = Run(new AnswerOptions { Reasoning = new ReasoningTags("<think>", "</think>"), StartsInReasoning = true });
        Assert.StartsWith("ab é", Text(pieces.Where(piece => piece.IsReasoning)), StringComparison.Ordinal);
        Assert.Equal("d", Text(pieces.Where(piece => !piece.IsReasoning)));
    }

    [Fact]
    public void EndTokens_OfTheCaller_EndTheAnswerToo()
    {
        (AnswerPiece[] pieces, Answer answer) = Run(new AnswerOptions { EndTokens = [3] });
        Assert.Equal("ab", Text(pieces));
        Assert.Equal(FinishReason.Stop, answer.FinishReason);
    }

    [Fact]
    public void Cancelled_KeepsWhatCame()
    {
        using CachedSequence sequence = _scripted.Sequence();
        using CancellationTokenSource source = new();
        List<AnswerPiece> pieces = [];
        foreach (AnswerPiece piece in _generator.Generate(sequence, [0], With(stops: "b!"), out Answer answer, source.Token))
        {
            pieces.Add(piece);
            source.Cancel();
            Assert.Equal(0, answer.CachedTokens);
        }

        Assert.Equal("a", Text(pieces));
        (_, Answer next) = Run(With(), sequence, 0, 1, 2);
        Assert.Equal(1, next.CachedTokens);
    }

    [Fact]
    public void Prompt_ThatGoesOn_IsCached()
    {
        using CachedSequence sequence = _scripted.Sequence();
        Run(With(maxTokens: 3), sequence, 0);
        (AnswerPiece[] pieces, Answer answer) = Run(With(maxTokens: 1), sequence, 0, 1, 2, 6);
        Assert.Equal((4, 3), (answer.PromptTokens, answer.CachedTokens));
        Assert.Equal("c", Text(pieces));
    }

    [Fact]
    public void Rows_WithoutAPiece_AreNeverDrawn()
    {
        using ScriptedModel wide = new(["<|end|>", "a"], 1, 2, 2, 2); // a is followed by a row that stands for nothing
        using TextGenerator generator = new(wide.Model, wide.Tokenizer, wide.Context);
        using CachedSequence sequence = wide.Sequence();
        AnswerPiece[] pieces = [.. generator.Generate(sequence, [0], With(), out Answer answer)];
        Assert.Equal("a", Text(pieces));
        Assert.Equal(FinishReason.Stop, answer.FinishReason); // all logits left are equal: the lowest id ends the text
    }

    [Fact]
    public void Options_ThatCannotBe_AreRefusedAtOnce()
    {
        using CachedSequence sequence = _scripted.Sequence();
        Assert.Throws<ArgumentException>(() => _generator.Generate(sequence, [0], With(maxTokens: -1), out _));
        Assert.Throws<ArgumentException>(() => _generator.Generate(sequence, [0], With(stops: ""), out _));
        Assert.Throws<ArgumentException>(() => _generator.Generate(sequence, [], With(), out _));
        Assert.Throws<ContextExceededException>(() => _generator.Generate(sequence, new int[65], With(), out _));
    }

    private static AnswerOptions With(int? maxTokens = null, params string[] stops) =>
        new() { Generation = new GenerationOptions { MaxTokens = maxTokens, StopStrings = stops, Sampling = SamplerOptions.Greedy } };

    private static string Text(IEnumerable<AnswerPiece> pieces) => string.Concat(pieces.Select(piece => piece.Text));

    private (AnswerPiece[] Pieces, Answer Answer) Run(AnswerOptions options, CachedSequence? sequence = null, params int[] prompt)
    {
        using CachedSequence own = _scripted.Sequence();
        options = options with { Generation = options.Generation with { Sampling = SamplerOptions.Greedy } };
        return ([.. _generator.Generate(sequence ?? own, prompt.Length == 0 ? [0] : prompt, options, out Answer answer)], answer);
    }
}
