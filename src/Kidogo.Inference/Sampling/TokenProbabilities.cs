// Logits to probabilities of single tokens, without any sampling. Knows ids and logits only.
using System.Numerics.Tensors;

namespace Kidogo.Inference.Sampling;

/// <summary>A token and its probability, 0 to 1.</summary>
public readonly record struct TokenProbability(int Id, double Probability);

/// <summary>The model's own distribution: softmax of the logits, and its likeliest tokens.</summary>
/// <remarks>The largest logit is subtracted first, so nothing overflows (<c>TensorPrimitives.SoftMax</c> does not do that).</remarks>
public static class TokenProbabilities
{
    /// <summary>Natural logarithms of the probabilities: z - max - ln(sum of e^(z - max)).</summary>
    /// <param name="logits">[vocabulary]; negative infinity means impossible.</param>
    /// <param name="logProbabilities">[vocabulary]; may be the same memory.</param>
    /// <exception cref="InvalidOperationException">A logit is NaN or positive infinity, or all are negative infinity.</exception>
    public static void LogSoftmax(ReadOnlySpan<float> logits, Span<float> logProbabilities)
    {
        if (logProbabilities.Length != logits.Length)
        {
            throw new ArgumentException($"There are {logits.Length} logits and room for {logProbabilities.Length} results.", nameof(logProbabilities));
        }

        double shift = LogSumExp(logits);
        for (int i = 0; i < logits.Length; i++)
        {
            logProbabilities[i] = (float)(logits[i] - shift);
        }
    }

    /// <summary>The natural logarithm of one token's probability.</summary>
    /// <exception cref="InvalidOperationException">As <see cref="LogSoftmax"/>.</exception>
    public static double LogProbability(ReadOnlySpan<float> logits, int id) => logits[id] - LogSumExp(logits);

    /// <summary>The likeliest tokens, best first; of equals the lower id first.</summary>
    /// <param name="logits">[vocabulary].</param>
    /// <param name="count">How many, 0 or more; fewer come back from a smaller vocabulary.</param>
    /// <exception cref="InvalidOperationException">As <see cref="LogSoftmax"/>.</exception>
    public static TokenProbability[] TopTokens(ReadOnlySpan<float> logits, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        double shift = LogSumExp(logits);
        if (count == 0)
        {
            return [];
        }

        CandidateSet set = new(logits.Length);
        set.LoadLargest(logits, count);
        TokenProbability[] tokens = new TokenProbability[set.Count];
        for (int i = 0; i < tokens.Length; i++)
        {
            tokens[i] = new TokenProbability(set.IdAt(i), set.Logits[i]);
        }

        Array.Sort(tokens, static (a, b) => a.Probability != b.Probability ? b.Probability.CompareTo(a.Probability) : a.Id.CompareTo(b.Id));
        for (int i = 0; i < tokens.Length; i++)
        {
            tokens[i] = tokens[i] with { Probability = Math.Exp(tokens[i].Probability - shift) };
        }

        return tokens;
    }

    /// <summary>The largest logit, after a check that the logits mean something.</summary>
    internal static float LargestOf(ReadOnlySpan<float> logits)
    {
        if (logits.IsEmpty)
        {
            throw new ArgumentException("There are no logits; at least one token is needed.", nameof(logits));
        }

        float largest = TensorPrimitives.Max(logits); // NaN if any is
        return float.IsFinite(largest) ? largest : throw BadLogits(logits);
    }

    /// <summary>What is wrong with logits of which one is NaN or positive infinity, or all are negative infinity.</summary>
    internal static DamagedLogitsException BadLogits(ReadOnlySpan<float> logits)
    {
        for (int i = 0; i < logits.Length; i++)
        {
            if (!(logits[i] <= float.MaxValue))
            {
                return new DamagedLogitsException(
                    $"The logit of token {i} is {(float.IsNaN(logits[i]) ? "NaN" : "positive infinity")}; logits have to be numbers. The model's weights are damaged: get the file again.");
            }
        }

        return new DamagedLogitsException($"All {logits.Length} logits are negative infinity: no token is possible.");
    }

    private static double LogSumExp(ReadOnlySpan<float> logits)
    {
        double largest = LargestOf(logits);
        double sum = 0;
        foreach (float logit in logits)
        {
            sum += Math.Exp(logit - largest);
        }

        return largest + Math.Log(sum);
    }
}
