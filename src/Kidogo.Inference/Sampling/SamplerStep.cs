// The names of the steps that a sampler can put in any order. What each does lies in Truncation, Penalties, DryPenalty and Temperatures.
namespace Kidogo.Inference.Sampling;

/// <summary>One step of the chain from logits to the distribution that is drawn from.</summary>
public enum SamplerStep
{
    /// <summary>Repetition, frequency and presence penalties.</summary>
    Penalties,

    /// <summary>DRY: a penalty for going on with a repetition.</summary>
    Dry,

    /// <summary>Top-n-sigma: keeps logits within n standard deviations of the largest.</summary>
    TopNSigma,

    /// <summary>Top-k: keeps the k largest.</summary>
    TopK,

    /// <summary>Locally typical sampling.</summary>
    Typical,

    /// <summary>Top-p (nucleus).</summary>
    TopP,

    /// <summary>Min-p: keeps what is at least a share of the likeliest.</summary>
    MinP,

    /// <summary>XTC: now and then drops the most obvious choices.</summary>
    Xtc,

    /// <summary>Temperature, fixed or dynamic.</summary>
    Temperature,
}
