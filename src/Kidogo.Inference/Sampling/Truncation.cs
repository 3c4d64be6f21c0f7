// The steps that drop tokens: top-k, top-p, min-p, typical, top-n-sigma and XTC. They know a set of candidates and one number each.
using System.Numerics.Tensors;

namespace Kidogo.Inference.Sampling;

/// <summary>Steps that only remove tokens. Each finds a border; what is equal at a border is decided by the lower id.</summary>
internal static class Truncation
{
    /// <summary>Top-p (arXiv 1904.09751): the fewest largest with a sum of at least p.</summary>
    public static void TopP(CandidateSet set, double p, int minKeep)
    {
        ReadOnlySpan<float> weights = set.Weigh();
        double mass = p * set.Total;
        if (minKeep <= 1)
        {
            // Tokens below (1 - p) / n hold less than 1 - p together, so the border lies above them: drop them by a plain pass. Half of that leaves room for rounding.
            double least = (1 - p) / 2 * set.Total / set.Count;
            int kept = 0;
            for (int i = 0; i < weights.Length; i++)
            {
                if (weights[i] >= least)
                {
                    set.Move(i, kept++);
                }
            }

            set.Truncate(kept);
            weights = set.Weigh();
        }

        TensorPrimitives.Negate<float>(set.Logits, set.Keys);
        set.KeepNearest(weights, mass, needsMore: false, minKeep);
    }

    /// <summary>Min-p (arXiv 2407.01082): probabilities of at least p times the largest, that is logits of at least the largest plus ln p.</summary>
    public static void MinP(CandidateSet set, double p, int minKeep)
    {
        set.Weigh();
        double least = set.Largest + Math.Log(p);
        int kept = 0;
        foreach (float logit in set.Logits)
        {
            kept += logit >= least ? 1 : 0;
        }

        if (kept < minKeep)
        {
            set.KeepLargest(minKeep);
            return;
        }

        KeepAtLeast(set, least);
    }

    /// <summary>Top-n-sigma (arXiv 2411.07641): logits of at least the largest minus n population standard deviations of those not removed.</summary>
    /// <remarks>The others keep their place with weight 0, as in llama.cpp: dynamic temperature counts them.</remarks>
    public static void TopNSigma(CandidateSet set, double n)
    {
        set.Weigh();
        double sum = 0;
        int count = 0;
        foreach (float logit in set.Logits)
        {
            if (logit != float.NegativeInfinity)
            {
                sum += logit;
                count++;
            }
        }

        double mean = sum / count;
        double squares = 0;
        foreach (float logit in set.Logits)
        {
            double distance = logit - mean;
            squares += logit == float.NegativeInfinity ? 0 : distance * distance;
        }

        double least = set.Largest - (n * Math.Sqrt(squares / count));
        foreach (ref float logit in set.Logits)
        {
            logit = logit < least ? float.NegativeInfinity : logit;
        }

        set.Changed();
    }

    /// <summary>Locally typical (arXiv 2202.00666): the tokens whose surprise is nearest to the entropy, until their sum is greater than p.</summary>
    public static void Typical(CandidateSet set, double p, int minKeep)
    {
        ReadOnlySpan<float> weights = set.Weigh();
        double logTotal = Math.Log(set.Total);
        double entropy = Temperatures.Entropy(set);
        for (int i = 0; i < weights.Length; i++)
        {
            // Surprise in nats; a token without probability is infinitely far.
            set.Keys[i] = weights[i] > 0 ? (float)Math.Abs(logTotal + set.Largest - set.Logits[i] - entropy) : float.PositiveInfinity;
        }

        set.KeepNearest(weights, p * set.Total, needsMore: true, minKeep);
    }

    /// <summary>XTC ("exclude top choices"): of the tokens with at least the threshold's probability all but the least likely go, if there are two or more.</summary>
    public static void Xtc(CandidateSet set, double threshold, int minKeep)
    {
        ReadOnlySpan<float> weights = set.Weigh();
        double least = threshold * set.Total;
        int last = -1;
        int obvious = 0;
        for (int i = 0; i < weights.Length; i++)
        {
            if (weights[i] >= least && weights[i] > 0)
            {
                obvious++;
                last = last < 0 || weights[i] <= weights[last] ? i : last;
            }
        }

        if (obvious < 2 || set.Count - (obvious - 1) < minKeep)
        {
            return;
        }

        int kept = 0;
        for (int i = 0; i < weights.Length; i++)
        {
            if (i == last || weights[i] < least)
            {
                set.Move(i, kept++);
            }
        }

        set.Truncate(kept);
    }

    /// <summary>Keeps logits of at least <paramref name="least"/>.</summary>
    public static void KeepAtLeast(CandidateSet set, double least)
    {
        int kept = 0;
        for (int i = 0; i < set.Count; i++)
        {
            if (set.Logits[i] >= least)
            {
                set.Move(i, kept++);
            }
        }

        set.Truncate(kept);
    }
}
