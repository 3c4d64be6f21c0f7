// What guesses the tokens that come next. Knows nothing of who decides.
using Kidogo.Inference.Sampling;

namespace Kidogo.Inference.Speculation;

/// <summary>Guesses how a text goes on, cheaply; a model then looks at all guesses in one pass and keeps those that it would have said itself.</summary>
/// <remarks>Belongs to one generation at a time. A guess changes speed, never what may be said.</remarks>
public interface IDrafter
{
    /// <summary>What a guess costs, as a share of what a pass of the model over one token does. 0 or more: an estimate that does not depend on the machine.</summary>
    double RelativeCost { get; }

    /// <summary>Whether the guesses for the text that was begun are certain, never drawn by chance: then which are made changes no token, not even a sampled one.</summary>
    bool IsCertain { get; }

    /// <summary>Begins a text; what was known of another is forgotten.</summary>
    /// <param name="prompt">Its tokens so far.</param>
    /// <param name="sampling">How the model's tokens will be chosen.</param>
    /// <param name="seed">The seed of that.</param>
    void Begin(ReadOnlySpan<int> prompt, SamplerOptions sampling, ulong seed);

    /// <summary>Notes the token that came next.</summary>
    void Add(int id);

    /// <summary>Guesses what comes after all that.</summary>
    /// <param name="guesses">Room for as many as are wanted.</param>
    /// <returns>How many there are; often none.</returns>
    int Draft(Span<int> guesses);

    /// <summary>The probabilities [V] that a guess of the last draft was drawn by; empty where guesses are certain.</summary>
    ReadOnlySpan<float> Distribution(int guess);
}
