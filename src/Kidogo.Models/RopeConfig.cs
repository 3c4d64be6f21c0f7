// How queries and keys are rotated by their positions, and how the rotation is stretched for long contexts. Knows no files and no tensors.
using Kidogo.Tensors.Ops;

namespace Kidogo.Models;

/// <summary>A rotary embedding (Su et al. 2021).</summary>
/// <param name="Theta">The base of the wavelengths.</param>
/// <param name="RotaryDims">How many of the first values of each head are rotated; even.</param>
/// <param name="Layout">Which two values make a pair.</param>
/// <param name="Scaling">How wavelengths are changed; null for not at all.</param>
public sealed record RopeConfig(double Theta, int RotaryDims, RotaryLayout Layout, RopeScaling? Scaling = null)
{
    /// <summary>Whether the rotation of a position depends on how long the sequence (or the declared context) is.</summary>
    public bool DependsOnLength => Scaling is { DependsOnLength: true };

    /// <summary>The angle by which each pair turns from one position to the next.</summary>
    /// <param name="length">Length of the whole sequence, or the context that generation declares; only <see cref="DependsOnLength"/> kinds look at it.</param>
    /// <returns>The angles in radians [RotaryDims / 2], and the factor on both sine and cosine.</returns>
    public (double[] InverseFrequencies, float AttentionFactor) Frequencies(int length)
    {
        double[] angles = Unscaled(Theta, RotaryDims);
        return Scaling is null ? (angles, 1f) : (Scaling.Apply(angles, this, length), (float)Scaling.AttentionFactor);
    }

    /// <summary>theta^(-2i/d) for every pair i.</summary>
    internal static double[] Unscaled(double theta, int dims)
    {
        double[] angles = new double[dims / 2];
        for (int i = 0; i < angles.Length; i++)
        {
            angles[i] = Math.Pow(theta, -2.0 * i / dims);
        }

        return angles;
    }
}

/// <summary>A way to make wavelengths longer, so that a model reads longer texts than it was trained on.</summary>
public abstract record RopeScaling
{
    /// <summary>The factor on both sine and cosine.</summary>
    public virtual double AttentionFactor => 1;

    /// <summary>Whether the result depends on the length of the sequence.</summary>
    public virtual bool DependsOnLength => false;

    /// <summary>Whether it goes on beyond the context that the model was made for, whatever the length.</summary>
    public virtual bool StretchesWithoutEnd => false;

    /// <summary>Changes the angles.</summary>
    /// <param name="angles">Unscaled angles per position, highest frequency first; may be changed and returned.</param>
    /// <param name="rope">The embedding that is scaled.</param>
    /// <param name="length">Length of the whole sequence, or the declared context.</param>
    internal abstract double[] Apply(double[] angles, RopeConfig rope, int length);
}

/// <summary>Positions divided by a factor (Chen et al. 2023, position interpolation).</summary>
/// <param name="Factor">1 or more.</param>
public sealed record LinearScaling(double Factor) : RopeScaling
{
    internal override double[] Apply(double[] angles, RopeConfig rope, int length) => Array.ConvertAll(angles, angle => angle / Factor);
}

/// <summary>Each pair's angle divided by a number of its own, as GGUF files store the result of a scaling.</summary>
/// <param name="Factors">[RotaryDims / 2], each above 0.</param>
/// <param name="Inner">What is applied before; null for nothing.</param>
public sealed record FactorScaling(IReadOnlyList<float> Factors, RopeScaling? Inner = null) : RopeScaling
{
    /// <inheritdoc/>
    public override double AttentionFactor => Inner?.AttentionFactor ?? 1;

    /// <inheritdoc/>
    public override bool DependsOnLength => Inner is { DependsOnLength: true };

    /// <inheritdoc/>
    public override bool StretchesWithoutEnd => Inner is { StretchesWithoutEnd: true };

    internal override double[] Apply(double[] angles, RopeConfig rope, int length)
    {
        double[] scaled = Inner?.Apply(angles, rope, length) ?? angles;
        for (int i = 0; i < scaled.Length; i++)
        {
            scaled[i] /= Factors[i];
        }

        return scaled;
    }
}

/// <summary>The base grows with the sequence once that is longer than the model's context ("dynamic NTK").</summary>
/// <param name="Factor">1 or more.</param>
/// <param name="OriginalContext">Positions up to which nothing changes.</param>
public sealed record DynamicNtkScaling(double Factor, int OriginalContext) : RopeScaling
{
    /// <inheritdoc/>
    public override bool DependsOnLength => true;

    /// <inheritdoc/>
    public override bool StretchesWithoutEnd => true;

    internal override double[] Apply(double[] angles, RopeConfig rope, int length)
    {
        double d = rope.RotaryDims;
        if (length <= OriginalContext || d <= 2)
        {
            return angles;
        }

        double growth = (Factor * length / OriginalContext) - (Factor - 1);
        return RopeConfig.Unscaled(rope.Theta * Math.Pow(growth, d / (d - 2)), rope.RotaryDims);
    }
}

/// <summary>YaRN (Peng et al. 2023): short wavelengths are kept, long ones divided, those between blended; scores are sharpened.</summary>
public sealed record YarnScaling : RopeScaling
{
    /// <summary>How much longer contexts become.</summary>
    public required double Factor { get; init; }

    /// <summary>The context that the model was trained with.</summary>
    public required int OriginalContext { get; init; }

    /// <summary>Turns within the original context above which a pair is kept.</summary>
    public double BetaFast { get; init; } = 32;

    /// <summary>Turns within the original context below which a pair is divided by the factor.</summary>
    public double BetaSlow { get; init; } = 1;

    /// <summary>Whether the ends of the blended range are rounded to whole pairs.</summary>
    public bool Truncate { get; init; } = true;

    /// <summary>The factor on sine and cosine where the file names it; null for the formula below.</summary>
    public double? GivenAttentionFactor { get; init; }

    /// <summary>With <see cref="MscaleAllDim"/>: the factor is the quotient of the two scales instead.</summary>
    public double? Mscale { get; init; }

    /// <summary>See <see cref="Mscale"/>.</summary>
    public double? MscaleAllDim { get; init; }

    /// <inheritdoc/>
    public override double AttentionFactor =>
        GivenAttentionFactor ?? (Mscale is { } all and not 0 && MscaleAllDim is { } below and not 0 ? Sharpening(Factor, all) / Sharpening(Factor, below) : Sharpening(Factor, 1));

    /// <summary>0.1 · m · ln(factor) + 1, section 3.4 of the paper.</summary>
    internal static double Sharpening(double factor, double m) => factor <= 1 ? 1 : (0.1 * m * Math.Log(factor)) + 1;

    internal override double[] Apply(double[] angles, RopeConfig rope, int length)
    {
        double low = PairThatTurns(BetaFast, rope);
        double high = PairThatTurns(BetaSlow, rope);
        if (Truncate)
        {
            (low, high) = (Math.Floor(low), Math.Ceiling(high));
        }

        low = Math.Max(low, 0);
        high = Math.Min(high, rope.RotaryDims - 1);
        double width = high == low ? 0.001 : high - low;
        for (int i = 0; i < angles.Length; i++)
        {
            double divided = Math.Clamp((i - low) / width, 0, 1);
            angles[i] = (angles[i] * (1 - divided)) + (angles[i] / Factor * divided);
        }

        return angles;
    }

    /// <summary>The (fractional) pair that makes <paramref name="turns"/> turns within the original context.</summary>
    private double PairThatTurns(double turns, RopeConfig rope) => rope.RotaryDims * Math.Log(OriginalContext / (turns * 2 * Math.PI)) / (2 * Math.Log(rope.Theta));
}

/// <summary>The scaling of Llama 3.1: wavelengths are kept, blended or divided by how often they fit in the original context.</summary>
/// <param name="Factor">What long wavelengths are multiplied by.</param>
/// <param name="LowFrequencyFactor">Wavelengths longer than the context over this are divided.</param>
/// <param name="HighFrequencyFactor">Wavelengths shorter than the context over this are kept.</param>
/// <param name="OriginalContext">The context that the model was trained with.</param>
public sealed record Llama3Scaling(double Factor, double LowFrequencyFactor, double HighFrequencyFactor, int OriginalContext) : RopeScaling
{
    /// <summary>What each pair's angle is divided by, as GGUF files store it.</summary>
    internal float[] Factors(RopeConfig rope)
    {
        double[] plain = RopeConfig.Unscaled(rope.Theta, rope.RotaryDims);
        double[] scaled = Apply(RopeConfig.Unscaled(rope.Theta, rope.RotaryDims), rope, OriginalContext);
        return [.. plain.Select((angle, i) => (float)(angle / scaled[i]))];
    }

    internal override double[] Apply(double[] angles, RopeConfig rope, int length)
    {
        for (int i = 0; i < angles.Length; i++)
        {
            double fits = OriginalContext * angles[i] / (2 * Math.PI); // how many wavelengths fit in the original context
            if (fits > HighFrequencyFactor)
            {
                continue;
            }

            double kept = fits < LowFrequencyFactor ? 0 : (fits - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor);
            angles[i] = ((1 - kept) * angles[i] / Factor) + (kept * angles[i]);
        }

        return angles;
    }
}

/// <summary>LongRoPE (Ding et al. 2024): a factor for each pair, one set for short sequences and one for long ones.</summary>
/// <param name="ShortFactors">[RotaryDims / 2] for sequences up to <paramref name="OriginalContext"/>.</param>
/// <param name="LongFactors">[RotaryDims / 2] for longer ones.</param>
/// <param name="OriginalContext">The context that the model was trained with.</param>
/// <param name="Attention">The factor on sine and cosine.</param>
public sealed record LongRopeScaling(IReadOnlyList<float> ShortFactors, IReadOnlyList<float> LongFactors, int OriginalContext, double Attention) : RopeScaling
{
    /// <inheritdoc/>
    public override double AttentionFactor => Attention;

    /// <inheritdoc/>
    public override bool DependsOnLength => true;

    /// <summary>The factor on sine and cosine of a model whose context is <paramref name="growth"/> times the original: √(1 + ln growth / ln original).</summary>
    public static double AttentionFor(double growth, int originalContext) => growth <= 1 ? 1 : Math.Sqrt(1 + (Math.Log(growth) / Math.Log(originalContext)));

    internal override double[] Apply(double[] angles, RopeConfig rope, int length)
    {
        IReadOnlyList<float> factors = length > OriginalContext ? LongFactors : ShortFactors;
        for (int i = 0; i < angles.Length; i++)
        {
            angles[i] /= factors[i];
        }

        return angles;
    }
}
