// From a prompt of token ids to the ids that follow. Deals in ids; knows nothing about text.
using System.Diagnostics;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Speculation;
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

    /// <summary>Which tokens may come; null for all. It belongs to this generation alone.</summary>
    public ITokenMask? Mask { get; init; }

    /// <summary>Guesses tokens ahead, so that one pass says several; null for none. It belongs to this generation while it lasts.</summary>
    public IDrafter? Drafter { get; init; }

    /// <summary>Tokens to guess before every pass, whatever that brings; null (default) to go by what is measured. 1 to 64.</summary>
    public int? Guesses { get; init; }
}

/// <summary>What guessing ahead has brought.</summary>
/// <param name="Drafted">Tokens that were guessed.</param>
/// <param name="Accepted">Those of them that the model said too.</param>
/// <param name="Passes">Passes of the model over guesses.</param>
public readonly record struct SpeculationCounts(int Drafted, int Accepted, int Passes);

/// <summary>Computes prompts and draws tokens. Holds nothing between calls but its batch.</summary>
/// <param name="model">The model.</param>
/// <param name="context">The surroundings; one generation at a time.</param>
public sealed class Generator(DecoderModel model, ComputeContext context) : IDisposable
{
    /// <summary>Tokens of a prompt that go through the model in one pass.</summary>
    public const int PromptRows = 512;

    private readonly SequenceBatch _batch = new();
    private readonly int[] _row = new int[1 + Speculator.MostGuesses]; // a token and the guesses after it
    private Speculator? _ahead; // of the generation that runs

    /// <summary>What guessing has brought in the last generation.</summary>
    public SpeculationCounts Speculation => _ahead?.Counts ?? default;

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
        _ahead = options.Drafter is { } drafter ? new Speculator(drafter, prompt, sampler, options.Guesses) : null;
        if (options.MaxTokens == 0)
        {
            yield break;
        }

        Queue<int> decided = new();
        Prefill(sequence, prompt, sampler, options, decided, cancellation);
        for (int count = 0; decided.TryDequeue(out int next); count++)
        {
            if (options.IsEnd(next))
            {
                FinishReason = FinishReason.Stop;
                yield break;
            }

            yield return next;
            if (count + 1 == options.MaxTokens)
            {
                yield break;
            }

            if (cancellation.IsCancellationRequested)
            {
                break;
            }

            if (decided.Count > 0)
            {
                continue;
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
                    Step(sequence, again.AsSpan(first, Math.Min(PromptRows, again.Length - first)), LogitRows.None, sampler, options, decided);
                }
            }

            int most = Math.Min(sequence.ContextLength - sequence.Tokens.Count, options.MaxTokens - count - 1 ?? int.MaxValue) - 1;
            Step(sequence, WithGuesses(next, most), LogitRows.All, sampler, options, decided);
        }

        FinishReason = FinishReason.Cancelled;
    }

    /// <summary>A token and the guesses after it, in storage that the next pass uses again.</summary>
    private ReadOnlySpan<int> WithGuesses(int token, int most)
    {
        _row[0] = token;
        ReadOnlySpan<int> guesses = _ahead is null ? [] : _ahead.Guess(most);
        guesses.CopyTo(_row.AsSpan(1));
        return _row.AsSpan(0, 1 + guesses.Length);
    }

    private void Prefill(CachedSequence sequence, int[] prompt, Sampler sampler, GeneratorOptions options, Queue<int> decided, CancellationToken cancellation)
    {
        int cached = sequence.Reuse(prompt);
        for (int first = cached; first < prompt.Length && !cancellation.IsCancellationRequested; first += PromptRows)
        {
            int rows = Math.Min(PromptRows, prompt.Length - first);
            bool isLast = first + rows == prompt.Length;
            Step(sequence, prompt.AsSpan(first, rows), isLast ? LogitRows.Last : LogitRows.None, sampler, options, decided);
            options.PromptProgress?.Invoke(first + rows - cached, prompt.Length - cached);
        }
    }

    /// <summary>Computes tokens, and decides what follows them. With <see cref="LogitRows.All"/> those after the first are guesses: they stay as far as they hold.</summary>
    private void Step(CachedSequence sequence, ReadOnlySpan<int> tokens, LogitRows rows, Sampler sampler, GeneratorOptions options, Queue<int> decided)
    {
        int mark = context.Mark();
        try
        {
            long start = Stopwatch.GetTimestamp();
            _batch.Clear();
            _batch.Add(sequence.Cache, tokens, rows);
            Tensor logits = model.Forward(context, _batch);
            sequence.Added(tokens);
            if (rows == LogitRows.None)
            {
                return;
            }

            if (rows == LogitRows.Last || tokens.Length == 1)
            {
                decided.Enqueue(Decide(logits.Row(0), sampler, options, null));
                if (rows == LogitRows.All)
                {
                    _ahead?.Stepped(Stopwatch.GetTimestamp() - start);
                }

                return;
            }

            int held = 0;
            int length = sequence.Tokens.Count - tokens.Length + 1;
            for (bool holds = true; holds; held += holds ? 1 : 0)
            {
                int? guess = held + 1 < tokens.Length ? held : null;
                int id = Decide(logits.Row(held), sampler, options, guess);
                decided.Enqueue(id);
                holds = guess is not null && id == tokens[held + 1] && !options.IsEnd(id);
            }

            sequence.Truncate(length + held);
            _ahead!.Verified(tokens.Length - 1, held, Stopwatch.GetTimestamp() - start);
        }
        finally
        {
            context.ReleaseTo(mark);
        }
    }

    /// <summary>The token that a row of logits decides for, noted everywhere.</summary>
    /// <param name="logits">[V]</param>
    /// <param name="sampler">Chooses.</param>
    /// <param name="options">What may come.</param>
    /// <param name="guess">Which of the guesses stands there; null for none.</param>
    private int Decide(Span<float> logits, Sampler sampler, GeneratorOptions options, int? guess)
    {
        if (options.VocabularySize > 0 && options.VocabularySize < logits.Length)
        {
            logits[options.VocabularySize..].Fill(float.NegativeInfinity);
        }

        options.Mask?.Apply(logits);
        int id = guess is { } number ? _ahead!.Decide(sampler, logits, number) : sampler.Sample(logits);
        options.Mask?.Accept(id);
        if (!options.IsEnd(id))
        {
            sampler.Accept(id);
            _ahead?.Add(id);
        }

        return id;
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

        if (options.Guesses is < 1 or > Speculator.MostGuesses)
        {
            throw new ArgumentException($"{nameof(options.Guesses)} is {options.Guesses}; expected 1 to {Speculator.MostGuesses}, or none to go by what is measured.", nameof(options));
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
