// What a model's own files recommend for sampling. Knows neither of the file formats it comes from.
namespace Kidogo.Inference.Sampling;

/// <summary>
/// A model's recommendations (<c>generation_config.json</c>, or <c>general.sampling.*</c> in GGUF metadata); null where it says nothing. See
/// <see cref="SamplerOptions.WithModelDefaults"/>. Fields mean what those of the same name in <see cref="SamplerOptions"/> mean.
/// </summary>
/// <remarks>A repetition penalty of <c>generation_config.json</c> looks at the whole history, so whoever reads one sets <see cref="PenaltyLastN"/> to -1 with it.</remarks>
public sealed record ModelSamplingDefaults
{
    /// <summary>False asks for the likeliest token always; true and null leave the temperature alone.</summary>
    public bool? DoSample { get; init; }

    /// <summary>See <see cref="SamplerOptions.Temperature"/>.</summary>
    public double? Temperature { get; init; }

    /// <summary>See <see cref="SamplerOptions.TopK"/>; negative counts as 0, off.</summary>
    public int? TopK { get; init; }

    /// <summary>See <see cref="SamplerOptions.TopP"/>.</summary>
    public double? TopP { get; init; }

    /// <summary>See <see cref="SamplerOptions.MinP"/>.</summary>
    public double? MinP { get; init; }

    /// <summary>See <see cref="SamplerOptions.TypicalP"/>.</summary>
    public double? TypicalP { get; init; }

    /// <summary>See <see cref="SamplerOptions.RepetitionPenalty"/>.</summary>
    public double? RepetitionPenalty { get; init; }

    /// <summary>See <see cref="SamplerOptions.FrequencyPenalty"/>.</summary>
    public double? FrequencyPenalty { get; init; }

    /// <summary>See <see cref="SamplerOptions.PresencePenalty"/>.</summary>
    public double? PresencePenalty { get; init; }

    /// <summary>See <see cref="SamplerOptions.PenaltyLastN"/>.</summary>
    public int? PenaltyLastN { get; init; }

    /// <summary>See <see cref="SamplerOptions.XtcProbability"/>.</summary>
    public double? XtcProbability { get; init; }

    /// <summary>See <see cref="SamplerOptions.XtcThreshold"/>.</summary>
    public double? XtcThreshold { get; init; }

    /// <summary>See <see cref="SamplerOptions.Mirostat"/>.</summary>
    public int? Mirostat { get; init; }

    /// <summary>See <see cref="SamplerOptions.MirostatTau"/>.</summary>
    public double? MirostatTau { get; init; }

    /// <summary>See <see cref="SamplerOptions.MirostatEta"/>.</summary>
    public double? MirostatEta { get; init; }
}
