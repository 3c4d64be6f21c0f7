// Who looks at whom: the softmax of attention, computed again from the queries and keys that a pass leaves. Knows ids, not text.
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Evaluation.Explanations;

/// <summary>Where a head looks, as shares of its attention that add up to 1.</summary>
/// <param name="First">At the first token.</param>
/// <param name="Previous">At the token just before.</param>
/// <param name="Itself">At the token itself.</param>
/// <param name="Others">At all other tokens.</param>
/// <param name="Picked">Of that, what goes to the one other token that is looked at most: large where a head picks out a word, small where it spreads out.</param>
public readonly record struct AttentionHabit(double First, double Previous, double Itself, double Others, double Picked);

/// <summary>The attention of a model over a text, head by head.</summary>
/// <remarks>
/// The pass itself never has these weights in memory: it leaves queries and keys as its attention sees them (<see cref="LayerTaps"/>), and each head's matrix is computed from
/// them when it is asked for, in float64. Nothing is added to what models do otherwise.
/// </remarks>
public sealed class AttentionWeights
{
    /// <summary>The longest text, in tokens: a picture of more cannot be read.</summary>
    public const int MostTokens = 256;

    private readonly DecoderConfig _config;
    private readonly LayerTaps _taps;

    private AttentionWeights(DecoderConfig config, LayerTaps taps, int tokens) => (_config, _taps, Tokens) = (config, taps, tokens);

    /// <summary>T: tokens of the text.</summary>
    public int Tokens { get; }

    /// <summary>Number of layers.</summary>
    public int Layers => _config.NumLayers;

    /// <summary>Query heads of a layer.</summary>
    public int HeadsOf(int layer) => _config.Layers[layer].NumHeads;

    /// <summary>Runs a text through a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="context">For inference; its precision is that of the queries and keys.</param>
    /// <param name="ids">The text, 1 to <see cref="MostTokens"/> tokens.</param>
    /// <exception cref="ExplanationException">The text is empty or too long.</exception>
    public static AttentionWeights Of(DecoderModel model, ComputeContext context, ReadOnlySpan<int> ids)
    {
        int most = Math.Min(MostTokens, model.Config.LongestSequence);
        if (ids.Length < 1 || ids.Length > most)
        {
            throw new ExplanationException(ids.Length == 0 ? "The text is empty: there is nobody who looks. Give a few words."
                : $"The text has {ids.Length} tokens; a picture of who looks at whom can be had of {most} at most. Give a shorter one.");
        }

        LayerTaps taps = new([], Enumerable.Range(0, model.Config.NumLayers));
        using SequenceBatch batch = new() { Taps = taps };
        batch.Add(null, ids, LogitRows.None);
        int mark = context.Mark();
        model.Forward(context, batch);
        context.ReleaseTo(mark);
        return new AttentionWeights(model.Config, taps, ids.Length);
    }

    /// <summary>The weights of a head: row i is how token i shares out its attention among the tokens before it and itself. [T, T]</summary>
    /// <param name="layer">Counted from 0.</param>
    /// <param name="head">Counted from 0.</param>
    public double[,] Of(int layer, int head)
    {
        LayerConfig config = _config.Layers[layer];
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)head, (uint)config.NumHeads, nameof(head));
        (Tensor query, Tensor key, _) = _taps.Attention(layer);
        int size = config.HeadDim, shared = head / (config.NumHeads / config.NumKvHeads);
        double[,] weights = new double[Tokens, Tokens];
        double[] scores = new double[Tokens];
        for (int row = 0; row < Tokens; row++)
        {
            int first = config.SlidingWindow > 0 ? Math.Max(0, row - config.SlidingWindow + 1) : 0;
            double largest = double.NegativeInfinity, sum = 0;
            for (int seen = first; seen <= row; seen++)
            {
                scores[seen] = Score(query.Row(row).Slice(head * size, size), key.Row(seen).Slice(shared * size, size), config);
                largest = Math.Max(largest, scores[seen]);
            }

            for (int seen = first; seen <= row; seen++)
            {
                scores[seen] = Math.Exp(scores[seen] - largest);
                sum += scores[seen];
            }

            for (int seen = first; seen <= row; seen++)
            {
                weights[row, seen] = scores[seen] / sum;
            }
        }

        return weights;
    }

    /// <summary>Where a head looks on average, from the third token on (before, the first token is the previous one too); of shorter texts, the last token.</summary>
    /// <param name="weights">What <see cref="Of(int, int)"/> gave.</param>
    public static AttentionHabit HabitOf(double[,] weights)
    {
        int tokens = weights.GetLength(0), begin = Math.Min(2, tokens - 1), rows = tokens - begin;
        double first = 0, previous = 0, itself = 0, picked = 0;
        for (int row = begin; row < tokens; row++)
        {
            itself += weights[row, row];
            previous += row > 0 ? weights[row, row - 1] : 0;
            first += row > 1 ? weights[row, 0] : 0;
            double largest = 0;
            for (int seen = 1; seen < row - 1; seen++)
            {
                largest = Math.Max(largest, weights[row, seen]);
            }

            picked += largest;
        }

        return new AttentionHabit(first / rows, previous / rows, itself / rows, Math.Max(0, 1 - ((first + previous + itself) / rows)), picked / rows);
    }

    private static double Score(ReadOnlySpan<float> query, ReadOnlySpan<float> key, LayerConfig config)
    {
        double dot = 0;
        for (int i = 0; i < query.Length; i++)
        {
            dot += (double)query[i] * key[i];
        }

        double score = dot * config.AttentionScale;
        return config.AttentionSoftcap > 0 ? config.AttentionSoftcap * Math.Tanh(score / config.AttentionSoftcap) : score;
    }
}
