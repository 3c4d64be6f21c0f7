// How far one model's predictions are from another's. Changes nothing; knows logits, not where they are from.
using Kidogo.Inference.Sampling;

namespace Kidogo.Evaluation;

/// <summary>How far a model is from a base on the same text.</summary>
/// <param name="MeanKl">Mean KL(base ‖ model) over the positions, in nats.</param>
/// <param name="KlP99">The 99th percentile of the positions' divergences.</param>
/// <param name="Top1Agreement">Share of positions where both have the same likeliest token.</param>
/// <param name="Tokens">Positions.</param>
public sealed record DivergenceReport(double MeanKl, double KlP99, double Top1Agreement, int Tokens);

/// <summary>Collects the divergence position by position.</summary>
public sealed class Divergence
{
    private readonly List<double> _divergences = [];
    private float[] _base = [];
    private float[] _model = [];
    private int _agreeing;

    /// <summary>Adds a position.</summary>
    /// <param name="baseLogits">[V]</param>
    /// <param name="modelLogits">[V]</param>
    /// <returns>The position's divergence, in nats.</returns>
    /// <exception cref="ArgumentException">The vocabularies differ.</exception>
    public double Add(ReadOnlySpan<float> baseLogits, ReadOnlySpan<float> modelLogits)
    {
        if (baseLogits.Length != modelLogits.Length)
        {
            throw new ArgumentException($"The base has a vocabulary of {baseLogits.Length}, the model one of {modelLogits.Length}: only models with the same vocabulary can be compared.");
        }

        if (_base.Length != baseLogits.Length)
        {
            _base = new float[baseLogits.Length];
            _model = new float[baseLogits.Length];
        }

        TokenProbabilities.LogSoftmax(baseLogits, _base);
        TokenProbabilities.LogSoftmax(modelLogits, _model);
        double sum = 0;
        int baseBest = 0, modelBest = 0;
        for (int i = 0; i < _base.Length; i++)
        {
            double probability = Math.Exp(_base[i]);
            if (probability > 0) // 0 · ln 0 is 0, also where the model says impossible
            {
                sum += probability * ((double)_base[i] - _model[i]);
            }

            baseBest = _base[i] > _base[baseBest] ? i : baseBest;
            modelBest = _model[i] > _model[modelBest] ? i : modelBest;
        }

        sum = Math.Max(0, sum); // below 0 only by rounding
        _divergences.Add(sum);
        _agreeing += baseBest == modelBest ? 1 : 0;
        return sum;
    }

    /// <summary>The report so far.</summary>
    /// <exception cref="InvalidOperationException">No position was added.</exception>
    public DivergenceReport Report()
    {
        if (_divergences.Count == 0)
        {
            throw new InvalidOperationException("There are no positions to compare.");
        }

        double[] sorted = [.. _divergences.Order()];
        int index = Math.Max(0, (int)Math.Ceiling(0.99 * sorted.Length) - 1); // nearest rank
        return new DivergenceReport(_divergences.Average(), sorted[index], (double)_agreeing / sorted.Length, sorted.Length);
    }
}
