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
    private readonly List<CachedSequence> _branches = []; // one for each answer
    private readonly SequenceBatch _batch = new();

    /// <summary>The logarithms of answers' probabilities after a prompt, in nats: sums over their tokens. All answers go through the model side by side.</summary>
    /// <param name="prompt">One token or more.</param>
    /// <param name="answers">Each one token or more.</param>
    /// <param name="seen">Called with the number of an answer, the logits before each of its tokens, and the token; may be null.</param>
    /// <exception cref="ArgumentException">The prompt with an answer is more than the model's context.</exception>
    public double[] LogProbabilities(ReadOnlySpan<int> prompt, IReadOnlyList<int[]> answers, Action<int, ReadOnlySpan<float>, int>? seen = null)
    {
        CheckLength(prompt.Length + answers.Max(answer => answer.Length));
        Prepare(prompt);
        _batch.Clear();
        for (int i = 0; i < answers.Count; i++)
        {
            if (_branches.Count == i)
            {
                _branches.Add(new CachedSequence(model, 0, context.CacheFormat));
            }

            _branches[i].CopyFrom(_sequence, prompt);
            _batch.Add(_branches[i].Cache, [prompt[^1], .. answers[i][..^1]], LogitRows.All);
        }

        int mark = context.Mark();
        Tensor logits = model.Forward(context, _batch);
        double[] sums = new double[answers.Count];
        for (int i = 0, row = 0; i < answers.Count; i++)
        {
            foreach (int token in answers[i])
            {
                sums[i] += TokenProbabilities.LogProbability(logits.Row(row), token);
                seen?.Invoke(i, logits.Row(row), token);
                row++;
            }
        }

        context.ReleaseTo(mark);
        return sums;
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
        _branches.ForEach(branch => branch.Dispose());
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
