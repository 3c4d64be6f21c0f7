// Mirostat 1 and 2: keeps the surprise of the text near a target. Knows a set of candidates and its own mu.
namespace Kidogo.Inference.Sampling;

/// <summary>Mirostat (arXiv 2007.14966), algorithms 1 and 2, as llama.cpp computes them. Surprises are in bits.</summary>
internal sealed class MirostatState(SamplerOptions options, int vocabularySize)
{
    /// <summary>How many of the likeliest tokens algorithm 1 estimates Zipf's exponent from.</summary>
    private const int Estimators = 100;

    private readonly float[] _likeliest = new float[Estimators];

    /// <summary>The largest surprise that is let through (algorithm 2), or the target of the estimate (algorithm 1).</summary>
    public double Mu { get; private set; } = 2 * options.MirostatTau;

    public void Reset() => Mu = 2 * options.MirostatTau;

    /// <summary>Drops the tokens that would surprise too much; at least one stays.</summary>
    public void Truncate(CandidateSet set)
    {
        set.Weigh();
        if (options.Mirostat == 1)
        {
            set.KeepLargest(EstimateK(set));
            return;
        }

        // -log2 p <= mu, with p = e^(z - max) / S.
        double least = set.Largest + Math.Log(set.Total) - (Mu * Math.Log(2));
        if (least > set.Largest)
        {
            set.KeepOnly(set.IndexOfLargest());
            return;
        }

        Truncation.KeepAtLeast(set, least);
    }

    /// <summary>Learns from a draw: <paramref name="probability"/> is that of the drawn token among those that were kept.</summary>
    public void Observe(double probability) => Mu -= options.MirostatEta * (-Math.Log2(probability) - options.MirostatTau);

    /// <summary>Algorithm 1: the exponent s of Zipf's law by least squares, then the k whose cut has the surprise mu (equation 30 there).</summary>
    private int EstimateK(CandidateSet set)
    {
        int count = LargestWeights(set.Weigh());
        double products = 0;
        double squares = 0;
        for (int i = 0; i + 1 < count; i++)
        {
            double t = Math.Log((i + 2.0) / (i + 1));
            double b = Math.Log(_likeliest[i] / (double)_likeliest[i + 1]);
            products += t * b;
            squares += t * t;
        }

        double s = products / squares;
        double epsilon = s - 1;
        double k = Math.Pow(epsilon * Math.Pow(2, Mu) / (1 - Math.Pow(vocabularySize, -epsilon)), 1 / s);
        return double.IsNaN(k) ? 1 : (int)Math.Clamp(k, 1, int.MaxValue); // NaN: one token, or all equal
    }

    /// <summary>Fills <see cref="_likeliest"/> in descending order with the largest weights above 0 and returns how many there are.</summary>
    private int LargestWeights(ReadOnlySpan<float> weights)
    {
        int count = 0;
        foreach (float weight in weights)
        {
            if (weight <= 0 || (count == Estimators && weight <= _likeliest[count - 1]))
            {
                continue;
            }

            int place = count < Estimators ? count++ : count - 1;
            for (; place > 0 && _likeliest[place - 1] < weight; place--)
            {
                _likeliest[place] = _likeliest[place - 1];
            }

            _likeliest[place] = weight;
        }

        return count;
    }
}
