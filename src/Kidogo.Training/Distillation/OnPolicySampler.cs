// Texts that the student goes on with itself, in place of those of the data (GKD). Knows no loss.
using System.Globalization;
using System.Runtime.InteropServices;
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Training.Distillation;

/// <summary>Replaces the batches of some steps: each row keeps the beginning of its first sequence, and the student draws the rest, token by token at
/// temperature 1 (Agarwal et al., arXiv 2306.13649,
/// algorithm 1). No gradient flows through drawing. What is drawn depends on the weights, the seed and the step alone, so that a run that is resumed draws
/// the same.</summary>
/// <param name="model">The student.</param>
/// <param name="share">Share of steps, 0 to 1.</param>
/// <param name="seed">The run's.</param>
/// <param name="threads">Threads.</param>
internal sealed class OnPolicySampler(DecoderModel model, double share, ulong seed, int threads) : IDisposable
{
    private const double PromptShare = 0.25; // of the row
    private readonly ComputeContext _context = ComputeContext.Inference(threads, ComputePrecision.Exact);
    private readonly SequenceBatch _sequences = new();

    /// <summary>Whether the texts of a step are the student's.</summary>
    public bool Samples(long step) => Uniform(PlacedDraws.Stream("distillation.policy", seed) + (ulong)step) < share;

    /// <summary>Goes on with the rows of a micro-batch.</summary>
    /// <param name="batch">Filled with texts; afterwards with the student's.</param>
    /// <param name="step">The step.</param>
    /// <param name="part">The micro-batch's number in it.</param>
    public void Replace(TokenBatch batch, long step, int part)
    {
        List<int[]> prompts = [.. batch.Segments.GroupBy(segment => segment.First / batch.Context).Select(row => Prompt(batch, row.First()))];
        int length = Math.Min(batch.Context, model.Config.LongestSequence) + 1; // the last token is a target alone
        List<int>[] texts = [.. prompts.Select(prompt => prompt.ToList())];
        KvCache[] caches = [.. prompts.Select(_ => model.CreateCache(length - 1, KvFormat.F32))];
        ulong[] random = [.. prompts.Select((_, row) => PlacedDraws.Stream(string.Create(CultureInfo.InvariantCulture, $"distillation.texts.{step}.{part}.{row}"), seed))];
        try
        {
            int[] fed = new int[texts.Length]; // tokens that are in the caches
            while (true)
            {
                int mark = _context.Mark();
                int[] going = [.. Enumerable.Range(0, texts.Length).Where(row => texts[row].Count < length)];
                if (going.Length == 0)
                {
                    break;
                }

                _sequences.Clear();
                foreach (int row in going)
                {
                    _sequences.Add(caches[row], CollectionsMarshal.AsSpan(texts[row])[fed[row]..], LogitRows.Last);
                    fed[row] = texts[row].Count;
                }

                Tensor logits = model.Forward(_context, _sequences);
                for (int i = 0; i < going.Length; i++)
                {
                    texts[going[i]].Add(Token(logits.Row(i), Uniform(random[going[i]] + (ulong)texts[going[i]].Count)));
                }

                _context.ReleaseTo(mark);
            }
        }
        finally
        {
            Array.ForEach(caches, cache => cache.Dispose());
        }

        batch.Refill([.. texts.Select((text, row) => (text.ToArray(), text.Select((_, at) => at >= prompts[row].Length).ToArray(), -1))], isSampled: true);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _sequences.Dispose();
        _context.Dispose();
    }

    private static int[] Prompt(TokenBatch batch, BatchSegment segment) =>
        batch.Ids.AsSpan(segment.First, Math.Clamp((int)(PromptShare * batch.Context), 1, segment.Length)).ToArray();

    /// <summary>A token by the probabilities of the whole vocabulary.</summary>
    private static int Token(ReadOnlySpan<float> logits, double at)
    {
        double largest = System.Numerics.Tensors.TensorPrimitives.Max(logits), sum = 0;
        foreach (float logit in logits)
        {
            sum += Math.Exp(logit - largest);
        }

        double left = at * sum;
        for (int id = 0; id < logits.Length; id++)
        {
            left -= Math.Exp(logits[id] - largest);
            if (left < 0)
            {
                return id;
            }
        }

        return logits.Length - 1;
    }

    /// <summary>A number from 0 to 1.</summary>
    private static double Uniform(ulong place)
    {
        Span<float> drawn = [0];
        PlacedDraws.Uniform(drawn, place, 0.5);
        return drawn[0] + 0.5;
    }
}
