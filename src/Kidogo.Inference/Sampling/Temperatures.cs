// Temperature, fixed and dynamic. Knows a set of candidates and the options' numbers.
using System.Numerics.Tensors;

namespace Kidogo.Inference.Sampling;

/// <summary>The steps that stretch or squeeze the logits.</summary>
internal static class Temperatures
{
    /// <summary>Divides the logits by the temperature; 0 keeps the first of the largest.</summary>
    public static void Fixed(CandidateSet set, double temperature)
    {
        if (temperature == 1)
        {
            return;
        }

        set.Weigh();
        float divisor = (float)temperature;

        // So cold that the quotient overflows: then the largest is the only one that anything could tell apart.
        if (divisor == 0 || !float.IsFinite(set.Largest / divisor))
        {
            set.KeepOnly(set.IndexOfLargest());
            return;
        }

        TensorPrimitives.Divide(set.Logits, divisor, set.Logits);
        set.Changed();
    }

    /// <summary>Dynamic temperature: low + (high - low) * (entropy / ln N)^exponent, from max(0, temperature - range) to temperature + range.</summary>
    public static void Dynamic(CandidateSet set, double temperature, double range, double exponent)
    {
        if (set.Count <= 1)
        {
            return;
        }

        double low = Math.Max(0, temperature - range);
        double high = temperature + range;
        double share = Math.Clamp(Entropy(set) / Math.Log(set.Count), 0, 1); // rounding can leave [0, 1]
        Fixed(set, low + ((high - low) * Math.Pow(share, exponent)));
    }

    /// <summary>The entropy of the set in nats.</summary>
    public static double Entropy(CandidateSet set)
    {
        // With w = e^(z - max) and S their sum: -sum p ln p = ln S - (sum w (z - max)) / S.
        ReadOnlySpan<float> weights = set.Weigh();
        ReadOnlySpan<float> logits = set.Logits;
        double sum = 0;
        for (int i = 0; i < weights.Length; i++)
        {
            sum += weights[i] > 0 ? weights[i] * (double)(logits[i] - set.Largest) : 0;
        }

        return Math.Log(set.Total) - (sum / set.Total);
    }
}
