// What a caller asks of one generation. Knows no model.
using Kidogo.Inference.Sampling;

namespace Kidogo.Inference.Output;

/// <summary>How one generation chooses its tokens and where it ends.</summary>
public sealed record GenerationOptions
{
    /// <summary>The most tokens to generate. 0 or more; null (default) is as many as the context has room for.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Texts that end the answer and are not part of it; see <see cref="StopStringMatcher"/> for the limits. Default none.</summary>
    public IReadOnlyList<string> StopStrings { get; init; } = [];

    /// <summary>How tokens are chosen, with the seed.</summary>
    public SamplerOptions Sampling { get; init; } = new();

    /// <summary>Checks every field.</summary>
    /// <exception cref="ArgumentException">A field is outside its range; the message names it.</exception>
    public void Validate()
    {
        if (MaxTokens < 0)
        {
            throw new ArgumentException($"{nameof(MaxTokens)} is {MaxTokens}; it has to be 0 or more, or left out.");
        }

        StopStringMatcher.Validate(StopStrings);
        Sampling.Validate();
    }
}
