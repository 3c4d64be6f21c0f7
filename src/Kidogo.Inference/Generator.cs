// From a prompt of token ids to the ids that follow. Deals in ids; knows nothing about text.
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Inference;

/// <summary>How far generation goes.</summary>
public sealed record GeneratorOptions
{
    /// <summary>Tokens to generate at most; null for as many as the context holds. 0 or more.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Tokens at the start that are kept when the context is full, so that a chat runs on past it; null to stop there. 0 or more, below half of the context.</summary>
    public int? Sinks { get; init; }

    /// <summary>Whether an id ends the answer; it is not yielded.</summary>
    public Func<int, bool> IsEnd { get; init; } = _ => false;

    /// <summary>Called after each part of the prompt with the tokens computed and all that were to compute.</summary>
    public Action<int, int>? PromptProgress { get; init; }

    /// <summary>Ids from here on are never drawn: rows of the model that its vocabulary has no piece for. 0 for none.</summary>
    public int VocabularySize { get; init; }
}

/// <summary>Computes prompts and draws tokens. Holds nothing between calls but its batch.</summary>
/// <param name="model">The model.</param>
/// <param name="context">The surroundings; one generation at a time.</param>
public sealed class Generator(DecoderModel model, ComputeContext context) : IDisposable
{
    /// <summary>Tokens of a prompt that go through the model in one pass.</summary>
    public const int PromptRows = 512;

    private readonly SequenceBatch _batch = new();

    /// <summary>Why the last generation ended; meaningful once its ids have all been taken.</summary>
    public FinishReason FinishReason { get; private set; }

    /// <summary>Generates the tokens that follow a prompt.</summary>
    /// <param name="sequence">What is cached; the shared start of the prompt is not computed again.</param>
    /// <param name="prompt">The whole prompt, one token or more.</param>
    /// <param name="sampler">Draws the tokens. Should not have seen the prompt yet.</param>
    /// <param name="options">How far.</param>
    /// <param name="cancellation">Looked at before every pass; ends the sequence early.</param>
    /// <returns>The ids as they come. Enumerate once.</returns>
    /// <exception cref="ArgumentException">The prompt is empty, has an id outside the vocabulary, or is longer than the context; or an option is out of range. Thrown at once, not when enumerated.</exception>
    public IEnumerable<int> Generate(CachedSequence sequence, IReadOnlyList<int> prompt, Sampler sampler, GeneratorOptions options, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(sequence);
        int[] ids = [.. prompt];
        if (ids.Length == 0)
        {
            throw new ArgumentException("The prompt is empty: give at least one token.", nameof(prompt));
        }

        int outside = ids.AsSpan().IndexOfAnyExceptInRange(0, model.Config.VocabSize - 1);
        if (outside >= 0)
        {
            throw new ArgumentException($"The token id {ids[outside]} at position {outside} of the prompt is outside the model's vocabulary of {model.Config.VocabSize} (0 to {model.Config.VocabSize - 1}).", nameof(prompt));
        }

        if (ids.Length > sequence.ContextLength)
        {
            throw new ContextExceededException(ids.Length, sequence.ContextLength);
        }

        Check(options, sequence.ContextLength);
        return Run(sequence, ids, sampler, options, cancellation);
    }

    /// <inheritdoc/>
    public void Dispose() => _batch.Dispose();

    private IEnumerable<int> Run(CachedSequence sequence, int[] prompt, Sampler sampler, GeneratorOptions options, CancellationToken cancellation)
    {
        FinishReason = FinishReason.Length;
        sampler.AcceptPrompt(prompt);
        if (options.MaxTokens == 0)
        {
            yield break;
        }

        int next = Prefill(sequence, prompt, sampler, options, cancellation);
        int[] one = new int[1];
        for (int count = 0; next >= 0; count++)
        {
            if (options.IsEnd(next))
            {
                FinishReason = FinishReason.Stop;
                yield break;
            }

            sampler.Accept(next);
            yield return next;
            if (count + 1 == options.MaxTokens)
            {
                yield break;
            }

            if (cancellation.IsCancellationRequested)
            {
                break;
            }

            if (sequence.Tokens.Count == sequence.ContextLength)
            {
                if (options.Sinks is not { } sinks)
                {
                    yield break;
                }

                int[] again = sequence.MakeRoom(sinks);
                for (int first = 0; first < again.Length; first += PromptRows)
                {
                    Step(sequence, again.AsSpan(first, Math.Min(PromptRows, again.Length - first)), LogitRows.None, sampler, options);
                }
            }

            one[0] = next;
            next = Step(sequence, one, LogitRows.Last, sampler, options);
        }

        FinishReason = FinishReason.Cancelled;
    }

    private int Prefill(CachedSequence sequence, int[] prompt, Sampler sampler, GeneratorOptions options, CancellationToken cancellation)
    {
        int cached = sequence.Reuse(prompt);
        int next = -1;
        for (int first = cached; first < prompt.Length; first += PromptRows)
        {
            if (cancellation.IsCancellationRequested)
            {
                return -1;
            }

            int rows = Math.Min(PromptRows, prompt.Length - first);
            bool isLast = first + rows == prompt.Length;
            next = Step(sequence, prompt.AsSpan(first, rows), isLast ? LogitRows.Last : LogitRows.None, sampler, options);
            options.PromptProgress?.Invoke(first + rows - cached, prompt.Length - cached);
        }

        return next;
    }

    private int Step(CachedSequence sequence, ReadOnlySpan<int> tokens, LogitRows rows, Sampler sampler, GeneratorOptions options)
    {
        int mark = context.Mark();
        try
        {
            _batch.Clear();
            _batch.Add(sequence.Cache, tokens, rows);
            Tensor logits = model.Forward(context, _batch);
            sequence.Added(tokens);
            if (rows == LogitRows.None)
            {
                return -1;
            }

            Span<float> last = logits.Row(0);
            if (options.VocabularySize > 0 && options.VocabularySize < last.Length)
            {
                last[options.VocabularySize..].Fill(float.NegativeInfinity);
            }

            return sampler.Sample(last);
        }
        finally
        {
            context.ReleaseTo(mark);
        }
    }

    private static void Check(GeneratorOptions options, int contextLength)
    {
        if (options.Sinks is { } sinks && (sinks < 0 || sinks > (contextLength - 1) / 2))
        {
            throw new ArgumentException($"{sinks} sinks in a context of {contextLength}; expected 0 to {(contextLength - 1) / 2}, fewer than half of it.", nameof(options));
        }

        if (options.MaxTokens < 0)
        {
            throw new ArgumentException($"{nameof(options.MaxTokens)} is {options.MaxTokens}; expected 0 or more, or none for as many as the context holds.", nameof(options));
        }

        if (options.VocabularySize < 0)
        {
            throw new ArgumentException($"{nameof(options.VocabularySize)} is {options.VocabularySize}; expected 0 or more.", nameof(options));
        }
    }
}

/// <summary>A prompt does not fit the context.</summary>
/// <param name="promptTokens">Tokens of the prompt.</param>
/// <param name="contextLength">Tokens that the context holds.</param>
public sealed class ContextExceededException(int promptTokens, int contextLength)
    : ArgumentException($"The prompt has {promptTokens} tokens, but the context holds {contextLength}. Shorten the prompt, or ask for a longer context if the model allows.")
{
    /// <summary>Tokens of the prompt.</summary>
    public int PromptTokens { get; } = promptTokens;

    /// <summary>Tokens that the context holds.</summary>
    public int ContextLength { get; } = contextLength;
}
