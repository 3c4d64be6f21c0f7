// One step of all sequences that have a place: which rows go through the model, and what becomes of the logits. Knows no queue.
using System.Diagnostics;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Speculation;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Inference.Scheduling;

/// <summary>Computes steps. For the scheduler's thread alone, but for the numbers.</summary>
/// <param name="model">The model.</param>
/// <param name="context">The surroundings.</param>
/// <param name="options">How prompts are cut.</param>
/// <param name="vocabulary">Ids from here on are never drawn: rows of the model that its vocabulary has no piece for.</param>
/// <param name="isEnd">Whether an id ends an answer.</param>
internal sealed class SchedulerStep(DecoderModel model, ComputeContext context, SchedulerOptions options, int vocabulary, Func<int, bool> isEnd) : IDisposable
{
    private const int LeastRows = 16; // of a piece of a prompt: fewer cost nearly as much
    private const long LogitBytesAtOnce = 64L * 1024 * 1024;

    private readonly SequenceBatch _batch = new();
    private readonly List<Part> _parts = [];
    private readonly PassCosts _costs = new();
    private (int Streams, int Guessed) _pass; // what the last pass was for; no streams where it had parts of prompts too
    private double _rowsPerSecond; // of prompts, lately; 0 while unknown
    private long _promptTicks;
    private long _decodeTicks;

    /// <summary>Prompt tokens computed.</summary>
    public long PromptTokens { get; private set; }

    /// <summary>Tokens generated.</summary>
    public long GeneratedTokens { get; private set; }

    /// <summary>Passes.</summary>
    public long Steps { get; private set; }

    /// <summary>Sequences of all passes.</summary>
    public long SequenceSteps { get; private set; }

    /// <summary>Sequences that came to their end.</summary>
    public long Finished { get; private set; }

    /// <summary>Time in passes with parts of prompts.</summary>
    public TimeSpan PromptTime => Stopwatch.GetElapsedTime(0, Volatile.Read(ref _promptTicks));

    /// <summary>Time in passes without.</summary>
    public TimeSpan DecodeTime => Stopwatch.GetElapsedTime(0, Volatile.Read(ref _decodeTicks));

    /// <summary>What guesses for a sequence; null for nothing.</summary>
    /// <exception cref="InvalidOperationException">Its guesses are drawn: then tokens would depend on which are made, and that on who else is served.</exception>
    public Speculator? Guess(GeneratedChoice choice)
    {
        if (options.Drafter?.Invoke() is not { } drafter)
        {
            return null;
        }

        Speculator ahead = new(drafter, choice.Request.Prompt, choice.Sampler, costs: _costs);
        return drafter.IsCertain ? ahead : throw new InvalidOperationException($"{nameof(SchedulerOptions)}.{nameof(options.Drafter)} draws its guesses by chance; in a scheduler they have to be certain.");
    }

    /// <summary>Computes a step.</summary>
    /// <param name="active">The sequences that have a place. Those that come to their end are marked.</param>
    /// <param name="fail">Told about each sequence that cannot go on.</param>
    /// <returns>Whether there was anything to do.</returns>
    public bool Run(IReadOnlyList<GeneratedChoice> active, Action<GeneratedChoice, Exception> fail)
    {
        Plan(active);
        if (_parts.Count == 0)
        {
            return active.Any(choice => choice.IsOver);
        }

        long start = Stopwatch.GetTimestamp();
        int promptRows = _parts.Sum(part => part.IsPrompt ? part.Count : 0);
        try
        {
            Compute(_parts, fail);
        }
        catch (Exception failure) when (_parts.Count == 1)
        {
            fail(_parts[0].Choice, failure);
        }
        catch (Exception)
        {
            // One of them is to blame, and the pass was taken back: alone, only that one fails.
            foreach (Part part in _parts.ToArray())
            {
                try
                {
                    Compute([part], fail);
                }
                catch (Exception failure)
                {
                    fail(part.Choice, failure);
                }
            }
        }

        Count(promptRows, Stopwatch.GetTimestamp() - start);
        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => _batch.Dispose();

    /// <summary>A token for each stream that is being read, and pieces of the prompts that are not done, shared evenly.</summary>
    private void Plan(IReadOnlyList<GeneratedChoice> active)
    {
        _parts.Clear();
        int prompts = 0;
        foreach (GeneratedChoice choice in active)
        {
            if (choice.IsOver)
            {
                continue;
            }

            if (!choice.IsDecoding)
            {
                prompts++;
            }
            else if (choice.Group.Unread < options.UnreadSteps)
            {
                choice.Row = [choice.Next];
                _parts.Add(new Part(choice, false, 1));
            }
        }

        _pass = prompts > 0 ? default : (_parts.Count, 0);
        for (int i = 0; prompts == 0 && i < _parts.Count; i++)
        {
            _parts[i] = Guess(_parts[i], _parts.Count);
        }

        int budget = _parts.Count == 0 ? options.PromptRows : RowsBesideStreams();
        foreach (GeneratedChoice choice in active)
        {
            if (choice.IsOver || choice.IsDecoding)
            {
                continue;
            }

            if (choice.Request.Generation.MaxTokens == 0 && !choice.Request.ReportsPrompt)
            {
                End(choice, null, [], FinishReason.Length); // nothing was asked
                continue;
            }

            int left = choice.Request.Prompt.Length - choice.PromptDone;
            int rows = Math.Min(left, Math.Max(LeastRows, budget / prompts));
            if (choice.Request.ReportsPrompt)
            {
                rows = (int)Math.Clamp(LogitBytesAtOnce / sizeof(float) / model.Config.VocabSize, 1, rows);
            }

            if (budget > 0)
            {
                _parts.Add(new Part(choice, true, rows));
                budget -= rows;
            }

            prompts--;
        }
    }

    /// <summary>A stream's token with what is guessed to follow it.</summary>
    private Part Guess(Part part, int streams)
    {
        GeneratedChoice choice = part.Choice;
        if (choice.Ahead is null)
        {
            return part;
        }

        int left = choice.Request.Generation.MaxTokens - choice.GeneratedTokens ?? int.MaxValue;
        int room = Math.Min(choice.Sequence!.ContextLength - choice.Sequence.Tokens.Count, left) - 1;
        int rows = (int)Math.Min(room, (LogitBytesAtOnce / sizeof(float) / model.Config.VocabSize / streams) - 1);
        try
        {
            choice.Row = [choice.Next, .. choice.Ahead.Guess(rows, streams)];
        }
        catch (Exception failure) when (failure is OutOfMemoryException or DamagedWeightsException)
        {
            choice.StopGuessing(); // it goes on without: nobody needs guesses
            return part;
        }

        _pass.Guessed += choice.Row.Length - 1;
        return part with { Count = choice.Row.Length };
    }

    private int RowsBesideStreams() =>
        _rowsPerSecond == 0 ? Math.Min(2 * LeastRows, options.PromptRows) : (int)Math.Clamp(_rowsPerSecond * options.StepTarget.TotalSeconds, Math.Min(2 * LeastRows, options.PromptRows), options.PromptRows);

    private void Compute(List<Part> parts, Action<GeneratedChoice, Exception> fail)
    {
        int mark = context.Mark();
        try
        {
            _batch.Clear();
            foreach (Part part in parts)
            {
                _batch.Add(part.Choice.Sequence!.Cache, part.Tokens, part.Rows, part.Choice.Request.Adapter);
            }

            Tensor logits = model.Forward(context, _batch);
            int row = 0;
            foreach (Part part in parts)
            {
                part.Choice.Sequence!.Added(part.Tokens);
                int rows = part.Rows switch { LogitRows.None => 0, LogitRows.Last => 1, _ => part.Count };
                try
                {
                    Take(part, logits, row);
                }
                catch (Exception failure)
                {
                    fail(part.Choice, failure); // its logits, or its mask; the others go on
                }

                row += rows;
            }
        }
        finally
        {
            context.ReleaseTo(mark);
        }
    }

    /// <summary>What a part's logits say.</summary>
    private void Take(Part part, Tensor logits, int row)
    {
        GeneratedChoice choice = part.Choice;
        if (part.IsPrompt)
        {
            int first = choice.PromptDone;
            choice.PromptDone += part.Count;
            for (int i = 0; choice.Request.ReportsPrompt && i < part.Count && first + i + 1 < choice.Request.Prompt.Length; i++)
            {
                choice.Likelihoods.Add(LikelihoodOf(Possible(logits.Row(row + i)), choice.Request.Prompt[first + i + 1], choice.Request.Alternatives ?? 0));
            }

            if (choice.PromptDone < choice.Request.Prompt.Length)
            {
                return;
            }

            choice.PromptTime = Stopwatch.GetElapsedTime(choice.Begun);
            if (choice.Request.Generation.MaxTokens == 0)
            {
                End(choice, null, [], FinishReason.Length);
                return;
            }

            row += part.Rows == LogitRows.All ? part.Count - 1 : 0;
            Draw(choice, Possible(logits.Row(row)), choice.Sequence!.Tokens.Count);
            return;
        }

        int held = 0;
        int length = choice.Sequence!.Tokens.Count - part.Count + 1; // without guesses
        for (bool holds = true; holds; held += holds ? 1 : 0)
        {
            int? guess = held + 1 < part.Count ? held : null;
            Draw(choice, Possible(logits.Row(row + held)), length + held, guess);
            holds = guess is not null && !choice.IsOver && choice.Next == choice.Row[held + 1];
        }

        if (part.Count > 1)
        {
            choice.Ahead!.Verified(part.Count - 1, held);
            choice.Sequence.Truncate(length + held);
        }
    }

    private Span<float> Possible(Span<float> logits)
    {
        if (vocabulary < logits.Length)
        {
            logits[vocabulary..].Fill(float.NegativeInfinity);
        }

        return logits;
    }

    /// <summary>Draws the next token of a sequence.</summary>
    /// <param name="choice">The sequence.</param>
    /// <param name="logits">[V]</param>
    /// <param name="length">Tokens before it.</param>
    /// <param name="guess">Which of the guesses stands there; null for none.</param>
    private void Draw(GeneratedChoice choice, Span<float> logits, int length, int? guess = null)
    {
        TokenLikelihood? likelihood = null;
        GenerationRequest request = choice.Request;
        float[]? own = request.Alternatives is not null && request.Mask is not null ? logits.ToArray() : null; // the mask writes onto them
        request.Mask?.Apply(logits);
        int id = guess is { } number ? choice.Ahead!.Decide(choice.Sampler, logits, number) : choice.Sampler.Sample(logits);
        request.Mask?.Accept(id);
        choice.DecodeTime = Stopwatch.GetElapsedTime(choice.Begun) - choice.PromptTime;
        if (request.Alternatives is { } alternatives)
        {
            likelihood = LikelihoodOf(own ?? logits, id, alternatives);
        }

        if (isEnd(id))
        {
            End(choice, null, choice.Text.Finish(), FinishReason.Stop, likelihood);
            return;
        }

        choice.Sampler.Accept(id);
        choice.Ahead?.Add(id);
        choice.Next = id;
        choice.GeneratedTokens++;
        GeneratedTokens++;
        AnswerPiece[] pieces = choice.Text.Push(id);
        choice.ReasoningTokens += choice.Text.IsInReasoning ? 1 : 0;
        FinishReason? finish = choice.Text.IsStopped ? FinishReason.StopString
            : choice.GeneratedTokens == request.Generation.MaxTokens || length == choice.Sequence!.ContextLength ? FinishReason.Length : null;
        if (finish is { } reason)
        {
            End(choice, id, [.. pieces, .. choice.Text.Finish()], reason, likelihood);
        }
        else
        {
            choice.Group.Report(new GenerationStep(choice.Index, id, pieces, likelihood, null));
        }
    }

    private void End(GeneratedChoice choice, int? token, IReadOnlyList<AnswerPiece> pieces, FinishReason reason, TokenLikelihood? likelihood = null)
    {
        choice.IsOver = true;
        Finished++;
        choice.Group.Report(new GenerationStep(choice.Index, token, pieces, likelihood, reason));
        choice.Group.Finished(null);
    }

    private static TokenLikelihood LikelihoodOf(ReadOnlySpan<float> logits, int id, int alternatives) =>
        new(id, TokenProbabilities.LogProbability(logits, id), alternatives == 0 ? [] : TokenProbabilities.TopTokens(logits, alternatives));

    private void Count(int promptRows, long ticks)
    {
        Steps++;
        SequenceSteps += _parts.Count;
        PromptTokens += promptRows;
        if (_pass is { Streams: > 0, Guessed: > 0 })
        {
            _costs.Verified(_pass.Guessed, ticks);
        }
        else if (_pass.Streams > 0)
        {
            _costs.Stepped(ticks);
        }

        if (promptRows == 0)
        {
            Volatile.Write(ref _decodeTicks, _decodeTicks + ticks);
            return;
        }

        Volatile.Write(ref _promptTicks, _promptTicks + ticks);
        if (promptRows >= LeastRows)
        {
            double rate = promptRows * (double)Stopwatch.Frequency / Math.Max(1, ticks);
            _rowsPerSecond = _rowsPerSecond == 0 ? rate : (0.75 * _rowsPerSecond) + (0.25 * rate);
        }
    }

    /// <summary>What one sequence computes in a step.</summary>
    /// <param name="Choice">The sequence.</param>
    /// <param name="IsPrompt">A piece of its prompt, or its last token and what is guessed after it.</param>
    /// <param name="Count">How many tokens.</param>
    private readonly record struct Part(GeneratedChoice Choice, bool IsPrompt, int Count)
    {
        public ReadOnlySpan<int> Tokens => IsPrompt ? Choice.Request.Prompt.AsSpan(Choice.PromptDone, Count) : Choice.Row;

        /// <summary>Which rows get logits: a prompt's last piece its last, one that is reported all, a token with its guesses all.</summary>
        public LogitRows Rows => !IsPrompt ? LogitRows.All
            : Choice.Request.ReportsPrompt ? LogitRows.All
            : Choice.PromptDone + Count == Choice.Request.Prompt.Length ? LogitRows.Last : LogitRows.None;
    }
}
