// From a prompt of token ids to text: pieces without half characters or stop strings, reasoning apart. Knows no templates and no terminal.
using System.Diagnostics;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Speculation;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Text.ChatTemplates;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Inference;

/// <summary>How an answer is made.</summary>
public sealed record AnswerOptions
{
    /// <summary>Tokens to generate at most, stop strings, and the sampler's settings.</summary>
    public GenerationOptions Generation { get; init; } = new();

    /// <summary>See <see cref="GeneratorOptions.Sinks"/>.</summary>
    public int? Sinks { get; init; }

    /// <summary>What opens and closes reasoning in the output; null to take all as the answer.</summary>
    public ReasoningTags? Reasoning { get; init; }

    /// <summary>Whether the prompt has opened the reasoning already.</summary>
    public bool StartsInReasoning { get; init; }

    /// <summary>Further ids that end the answer, beside those of the tokenizer.</summary>
    public IReadOnlyList<int> EndTokens { get; init; } = [];

    /// <summary>See <see cref="GeneratorOptions.PromptProgress"/>.</summary>
    public Action<int, int>? PromptProgress { get; init; }

    /// <summary>See <see cref="GeneratorOptions.Mask"/>.</summary>
    public ITokenMask? Mask { get; init; }

    /// <summary>See <see cref="GeneratorOptions.Drafter"/>.</summary>
    public IDrafter? Drafter { get; init; }
}

/// <summary>One answer while it is made, and what can be said of it afterwards.</summary>
public sealed class Answer
{
    internal Answer(int promptTokens, int cachedTokens)
    {
        PromptTokens = promptTokens;
        CachedTokens = cachedTokens;
    }

    /// <summary>Tokens of the prompt.</summary>
    public int PromptTokens { get; }

    /// <summary>Those that were cached from before.</summary>
    public int CachedTokens { get; }

    /// <summary>The ids so far, without the one that ended the answer.</summary>
    public IReadOnlyList<int> Ids => Collected;

    internal List<int> Collected { get; } = [];

    /// <summary>Why it ended; meaningful once the pieces are all there.</summary>
    public FinishReason FinishReason { get; internal set; }

    /// <summary>What guessing ahead has brought; meaningful once the pieces are all there.</summary>
    public SpeculationCounts Speculation { get; internal set; }

    /// <summary>From the start to the first token.</summary>
    public TimeSpan FirstToken { get; internal set; }

    /// <summary>From the first token to the last.</summary>
    public TimeSpan Decoding { get; internal set; }

    /// <summary>Tokens a second after the first; 0 where there was only one.</summary>
    public double DecodeTokensPerSecond => Ids.Count > 1 && Decoding > TimeSpan.Zero ? (Ids.Count - 1) / Decoding.TotalSeconds : 0;
}

/// <summary>Makes answers as text.</summary>
/// <param name="model">The model.</param>
/// <param name="tokenizer">Its vocabulary.</param>
/// <param name="context">The surroundings; one answer at a time.</param>
public sealed class TextGenerator(DecoderModel model, Tokenizer tokenizer, ComputeContext context) : IDisposable
{
    private readonly Generator _generator = new(model, context);

    /// <summary>Answers a prompt.</summary>
    /// <param name="sequence">What is cached of the conversation.</param>
    /// <param name="prompt">The whole prompt.</param>
    /// <param name="options">How.</param>
    /// <param name="answer">What can be said of the answer, complete once the pieces are.</param>
    /// <param name="cancellation">Ends the answer early; what came so far is kept.</param>
    /// <returns>The pieces as they come. Enumerate once.</returns>
    /// <exception cref="ArgumentException">As <see cref="Generator.Generate"/>, or an option is out of range.</exception>
    public IEnumerable<AnswerPiece> Generate(CachedSequence sequence, IReadOnlyList<int> prompt, AnswerOptions options, out Answer answer, CancellationToken cancellation = default)
    {
        options.Generation.Validate();
        Sampler sampler = new(options.Generation.Sampling, model.Config.VocabSize, sequence.ContextLength);
        GeneratorOptions how = new()
        {
            MaxTokens = options.Generation.MaxTokens,
            Sinks = options.Sinks,
            IsEnd = id => tokenizer.IsEndOfGeneration(id) || options.EndTokens.Contains(id),
            PromptProgress = options.PromptProgress,
            VocabularySize = tokenizer.VocabularySize,
            Mask = options.Mask,
            Drafter = options.Drafter,
        };
        int[] ids = [.. prompt];
        IEnumerable<int> tokens = _generator.Generate(sequence, ids, sampler, how, cancellation);
        answer = new Answer(ids.Length, sequence.CountReusable(ids));
        return Run(tokens, options, answer);
    }

    /// <inheritdoc/>
    public void Dispose() => _generator.Dispose();

    private IEnumerable<AnswerPiece> Run(IEnumerable<int> ids, AnswerOptions options, Answer answer)
    {
        AnswerText text = new(tokenizer, options.Generation.StopStrings, options.Reasoning, options.StartsInReasoning);
        long start = Stopwatch.GetTimestamp();
        long first = 0;
        foreach (int id in ids)
        {
            first = first == 0 ? Stopwatch.GetTimestamp() : first;
            answer.FirstToken = Stopwatch.GetElapsedTime(start, first);
            answer.Decoding = Stopwatch.GetElapsedTime(first);
            answer.Collected.Add(id);
            foreach (AnswerPiece piece in text.Push(id))
            {
                yield return piece;
            }

            if (text.IsStopped)
            {
                break;
            }
        }

        foreach (AnswerPiece piece in text.Finish())
        {
            yield return piece;
        }

        answer.Speculation = _generator.Speculation;
        answer.FinishReason = text.IsStopped ? FinishReason.StopString : _generator.FinishReason;
    }
}
