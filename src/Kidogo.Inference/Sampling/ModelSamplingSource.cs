// From what a model's files recommend to what the sampler understands. Knows no values of its own.
using Kidogo.Models;

namespace Kidogo.Inference.Sampling;

/// <summary>Bridges the recommendations of files and of samplers.</summary>
public static class ModelSamplingSource
{
    /// <summary>A model's recommendations in the sampler's terms.</summary>
    /// <remarks>A repetition penalty there looks at the whole history, as Transformers does.</remarks>
    public static ModelSamplingDefaults ToSampling(this GenerationDefaults defaults) => new()
    {
        DoSample = defaults.DoSample,
        Temperature = defaults.Temperature,
        TopK = defaults.TopK,
        TopP = defaults.TopP,
        MinP = defaults.MinP,
        RepetitionPenalty = defaults.RepetitionPenalty,
        PenaltyLastN = defaults.RepetitionPenalty is null ? null : -1,
    };
}
