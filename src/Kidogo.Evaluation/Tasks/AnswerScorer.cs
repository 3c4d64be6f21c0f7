// What a model thinks of given answers, and what it answers itself. Knows ids, no questions.
using System.Numerics.Tensors;
using Kidogo.Inference;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Tensors;
using Tensor = Kidogo.Tensors.Tensor;

namespace Kidogo.Evaluation.Tasks;

/// <summary>Compares answers to a prompt by their likelihood. What prompts share at their start is computed once.</summary>
/// <param name="model">The model.</param>
/// <param name="context">Its surroundings.</param>
internal sealed class AnswerScorer(DecoderModel model, ComputeContext context) : IDisposable
{
    private readonly CachedSequence _sequence = new(model, 0, context.CacheFormat);
    private readonly SequenceBatch _batch = new();

    /// <summary>The logarithm of an answer's probability after a prompt, in nats: the sum over its tokens.</summary>
    /// <param name="prompt">One token or more.</param>
    /// <param name="answer">One token or more.</param>
    /// <param name="seen">Called with the logits before each token of the answer, and the token; may be null.</param>
    /// <exception cref="ArgumentException">Both are more than the model's context.</exception>
    public double LogProbability(ReadOnlySpan<int> prompt, ReadOnlySpan<int> answer, Action<ReadOnlyMemory<float>, int>? seen = null)
    {
        CheckLength(prompt.Length + answer.Length);
        Prepare(prompt);
        double sum = 0;
        int[] tokens = [prompt[^1], .. answer[..^1]];
        int mark = context.Mark();
        Tensor logits = Pass(tokens, LogitRows.All);
        for (int i = 0; i < answer.Length; i++)
        {
            sum += TokenProbabilities.LogProbability(logits.Row(i), answer[i]);
            seen?.Invoke(logits.Row(i).ToArray(), answer[i]);
        }

        context.ReleaseTo(mark);
        return sum;
    }

    /// <summary>The likeliest token after the likeliest token, up to one that ends the answer.</summary>
    /// <param name="prompt">One token or more.</param>
    /// <param name="most">Tokens at most.</param>
    /// <param name="isEnd">Whether an id ends an answer.</param>
    public int[] Greedy(ReadOnlySpan<int> prompt, int most, Func<int, bool> isEnd)
    {
        CheckLength(prompt.Length);
        Prepare(prompt);
        List<int> answer = [];
        int next = prompt[^1];
        for (int made = 0; made < most && _sequence.Tokens.Count < _sequence.ContextLength; made++)
        {
            int mark = context.Mark();
            next = TensorPrimitives.IndexOfMax<float>(Pass([next], LogitRows.Last).Row(0));
            context.ReleaseTo(mark);
            if (isEnd(next))
            {
                break;
            }

            answer.Add(next);
        }

        return [.. answer];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _batch.Dispose();
        _sequence.Dispose();
    }

    private void CheckLength(int tokens)
    {
        if (tokens > _sequence.ContextLength)
        {
            throw new ArgumentException($"A story with its question and an answer has {tokens} tokens, but the model's context has {_sequence.ContextLength}. Take shorter stories, or a model with a longer context.");
        }
    }

    /// <summary>Computes all of the prompt but its last token.</summary>
    private void Prepare(ReadOnlySpan<int> prompt)
    {
        const int RowsAtOnce = 256;
        int cached = _sequence.Reuse(prompt);
        for (int first = cached; first < prompt.Length - 1; first += RowsAtOnce)
        {
            int mark = context.Mark();
            Pass(prompt[first..Math.Min(first + RowsAtOnce, prompt.Length - 1)], LogitRows.None);
            context.ReleaseTo(mark);
        }
    }

    private Tensor Pass(ReadOnlySpan<int> tokens, LogitRows rows)
    {
        _batch.Clear();
        _batch.Add(_sequence.Cache, tokens, rows);
        Tensor logits = model.Forward(context, _batch);
        _sequence.Added(tokens);
        return logits;
    }
}
