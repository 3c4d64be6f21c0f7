// How the next token is chosen: every knob with its default and its range. Knows no model, no file and no command line.
using System.Globalization;

namespace Kidogo.Inference.Sampling;

/// <summary>How the next token is chosen from the logits. The defaults are temperature 0.8, top-p 0.95 and top-k 40; everything else is off.</summary>
/// <remarks>Names, formulas and order are those of llama.cpp's samplers. <see cref="Validate"/> states the range of each field; <see cref="Sampler"/> calls it.</remarks>
public sealed record SamplerOptions
{
    /// <summary>llama.cpp's order: penalties, DRY, top-n-sigma, top-k, typical, top-p, min-p, XTC, temperature.</summary>
    public static IReadOnlyList<SamplerStep> DefaultOrder { get; } = Array.AsReadOnly(
    [
        SamplerStep.Penalties, SamplerStep.Dry, SamplerStep.TopNSigma, SamplerStep.TopK, SamplerStep.Typical,
        SamplerStep.TopP, SamplerStep.MinP, SamplerStep.Xtc, SamplerStep.Temperature,
    ]);

    /// <summary>The likeliest token, always: temperature 0, nothing else.</summary>
    public static SamplerOptions Greedy { get; } = new() { Temperature = 0, TopK = 0, TopP = 1 };

    /// <summary>Logits are divided by it. 0 to 100, default 0.8; 0 takes the largest logit, the lowest id of equals, and draws nothing; 1 changes nothing.</summary>
    public double Temperature { get; init; } = 0.8;

    /// <summary>Dynamic temperature: half the width of the range around <see cref="Temperature"/> (not below 0). 0 to 100, default 0: off.</summary>
    /// <remarks>T = low + (high - low) * (entropy / ln N)^exponent, with N the tokens left at this step. While it is on, temperature 0 means a range that begins at 0.</remarks>
    public double DynamicTemperatureRange { get; init; }

    /// <summary>The exponent of the normalised entropy in dynamic temperature. 0 to 100, default 1.</summary>
    public double DynamicTemperatureExponent { get; init; } = 1;

    /// <summary>Keeps exactly this many of the largest logits; of equals at the border the lowest ids stay. 0 or more, default 40; 0 is off.</summary>
    public int TopK { get; init; } = 40;

    /// <summary>Keeps the fewest largest tokens whose probabilities add up to at least this. 0 to 1, default 0.95; 1 is off.</summary>
    public double TopP { get; init; } = 0.95;

    /// <summary>Keeps tokens with at least this share of the likeliest token's probability. 0 to 1, default 0: off.</summary>
    public double MinP { get; init; }

    /// <summary>Locally typical sampling (arXiv 2202.00666): the tokens whose surprise is nearest to the entropy, until they hold more than this. 0 to 1, default 1: off.</summary>
    public double TypicalP { get; init; } = 1;

    /// <summary>Top-p, min-p and typical keep at least this many tokens, and XTC does nothing where it would leave fewer. 0 or more, default 0.</summary>
    public int MinKeep { get; init; }

    /// <summary>Top-n-sigma (arXiv 2411.07641): keeps logits of at least the largest minus this many population standard deviations. 0 to 1000, default 0: off.</summary>
    public double TopNSigma { get; init; }

    /// <summary>How often XTC is applied to a token's choice. 0 to 1, default 0: off.</summary>
    public double XtcProbability { get; init; }

    /// <summary>XTC drops all but the least likely of the tokens with at least this probability, if there are two. 0 to 1, default 0.1; above 0.5 it is off.</summary>
    public double XtcThreshold { get; init; } = 0.1;

    /// <summary>Logits of tokens in the window are divided by it if positive, else multiplied. 0.01 to 100, default 1: off.</summary>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>Subtracted from a token's logit for each time it stands in the window. -100 to 100 (OpenAI allows -2 to 2), default 0: off.</summary>
    public double FrequencyPenalty { get; init; }

    /// <summary>Subtracted once from the logit of each token in the window. -100 to 100 (OpenAI allows -2 to 2), default 0: off.</summary>
    public double PresencePenalty { get; init; }

    /// <summary>The window of the three penalties: that many last tokens. -1 is the whole context, 0 switches them off, default 64.</summary>
    public int PenaltyLastN { get; init; } = 64;

    /// <summary>Whether frequency and presence count the prompt's tokens too, as llama.cpp does (the default). OpenAI counts only generated ones.</summary>
    public bool FrequencyCountsPrompt { get; init; } = true;

    /// <summary>DRY's multiplier: a token that would continue a repetition of n tokens loses multiplier * base^(n - allowed length). 0 to 100, default 0: off.</summary>
    public double DryMultiplier { get; init; }

    /// <summary>DRY's base. 1 to 100, default 1.75.</summary>
    public double DryBase { get; init; } = 1.75;

    /// <summary>Repetitions shorter than this cost nothing. 0 or more tokens, default 2.</summary>
    public int DryAllowedLength { get; init; } = 2;

    /// <summary>DRY looks at that many last tokens. -1 (default) is the whole context, 0 switches it off.</summary>
    public int DryPenaltyLastN { get; init; } = -1;

    /// <summary>Token sequences that a repetition does not reach back over; a sequence of one token is never punished itself. Default none.</summary>
    /// <remarks><see cref="DryBreakers"/>.FromStrings makes them from strings such as a newline.</remarks>
    public IReadOnlyList<IReadOnlyList<int>> DrySequenceBreakers { get; init; } = [];

    /// <summary>0 (default) is off; 1 and 2 are the two algorithms of Mirostat (arXiv 2007.14966).</summary>
    /// <remarks>While it is on, the truncating steps (top-n-sigma, top-k, typical, top-p, min-p, XTC) are skipped, as in llama.cpp; temperature 0 is greedy all the same.</remarks>
    public int Mirostat { get; init; }

    /// <summary>The surprise that Mirostat steers to, in bits. 0 to 100, default 5.</summary>
    public double MirostatTau { get; init; } = 5;

    /// <summary>Mirostat's learning rate. 0 to 100, default 0.1.</summary>
    public double MirostatEta { get; init; } = 0.1;

    /// <summary>Added to the logits of single tokens, by id, before everything else; negative infinity removes the token. -1e6 to 1e6, default none.</summary>
    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = new Dictionary<int, float>();

    /// <summary>The steps in the order in which they run, each at most once; a step that is left out does not run. Default <see cref="DefaultOrder"/>.</summary>
    public IReadOnlyList<SamplerStep> Order { get; init; } = DefaultOrder;

    /// <summary>The seed of the draws; the same seed gives the same draws for ever. Null (default) takes one from the system.</summary>
    public ulong? Seed { get; init; }

    /// <summary>Whether the choice needs no chance: temperature 0, and not dynamic.</summary>
    public bool IsGreedy => Temperature == 0 && DynamicTemperatureRange == 0;

    /// <summary>These options with penalties as OpenAI means them, where any is given: over the whole answer, frequency and presence over what was generated alone.</summary>
    /// <param name="frequency">See <see cref="FrequencyPenalty"/>; null leaves it.</param>
    /// <param name="presence">See <see cref="PresencePenalty"/>; null leaves it.</param>
    /// <param name="repetition">See <see cref="RepetitionPenalty"/>; null leaves it.</param>
    public SamplerOptions WithAnswerPenalties(double? frequency, double? presence, double? repetition) => frequency is null && presence is null && repetition is null ? this : this with
    {
        FrequencyPenalty = frequency ?? FrequencyPenalty,
        PresencePenalty = presence ?? PresencePenalty,
        RepetitionPenalty = repetition ?? RepetitionPenalty,
        PenaltyLastN = -1,
        FrequencyCountsPrompt = false,
    };

    /// <summary>These options with what a model recommends, where it does; the rest stays.</summary>
    /// <param name="defaults">The model's own recommendations.</param>
    /// <param name="warn">Told in one sentence about each recommendation that lies outside its field's range and is ignored: a model's file is no reason to fail.</param>
    public SamplerOptions WithModelDefaults(ModelSamplingDefaults defaults, Action<string>? warn = null)
    {
        ArgumentNullException.ThrowIfNull(defaults);
        SamplerOptions merged = this;
        Take(defaults.Temperature, static (o, v) => o with { Temperature = v });
        Take(defaults.TopK, static (o, v) => o with { TopK = Math.Max(v, 0) }); // -1 is another way to say off
        Take(defaults.TopP, static (o, v) => o with { TopP = v });
        Take(defaults.MinP, static (o, v) => o with { MinP = v });
        Take(defaults.TypicalP, static (o, v) => o with { TypicalP = v });
        Take(defaults.RepetitionPenalty, static (o, v) => o with { RepetitionPenalty = v });
        Take(defaults.FrequencyPenalty, static (o, v) => o with { FrequencyPenalty = v });
        Take(defaults.PresencePenalty, static (o, v) => o with { PresencePenalty = v });
        Take(defaults.PenaltyLastN, static (o, v) => o with { PenaltyLastN = v });
        Take(defaults.XtcProbability, static (o, v) => o with { XtcProbability = v });
        Take(defaults.XtcThreshold, static (o, v) => o with { XtcThreshold = v });
        Take(defaults.Mirostat, static (o, v) => o with { Mirostat = v });
        Take(defaults.MirostatTau, static (o, v) => o with { MirostatTau = v });
        Take(defaults.MirostatEta, static (o, v) => o with { MirostatEta = v });
        if (defaults.DoSample == false)
        {
            merged = merged with { Temperature = 0 };
        }

        return merged;

        void Take<T>(T? value, Func<SamplerOptions, T, SamplerOptions> set)
            where T : struct
        {
            if (value is not { } given)
            {
                return;
            }

            SamplerOptions next = set(merged, given);
            if (next.FirstProblem() is { } problem)
            {
                warn?.Invoke($"The model's recommended sampling is ignored in one field: {problem}");
            }
            else
            {
                merged = next;
            }
        }
    }

    /// <summary>Checks every field.</summary>
    /// <exception cref="ArgumentException">A field is outside its range; the message names the field, the range and the value.</exception>
    public void Validate()
    {
        if (FirstProblem() is { } problem)
        {
            throw new ArgumentException(problem);
        }
    }

    private string? FirstProblem() =>
        Range(nameof(Temperature), Temperature, 0, 100)
        ?? Range(nameof(DynamicTemperatureRange), DynamicTemperatureRange, 0, 100)
        ?? Range(nameof(DynamicTemperatureExponent), DynamicTemperatureExponent, 0, 100)
        ?? Range(nameof(TopK), TopK, 0, int.MaxValue)
        ?? Range(nameof(TopP), TopP, 0, 1)
        ?? Range(nameof(MinP), MinP, 0, 1)
        ?? Range(nameof(TypicalP), TypicalP, 0, 1)
        ?? Range(nameof(MinKeep), MinKeep, 0, int.MaxValue)
        ?? Range(nameof(TopNSigma), TopNSigma, 0, 1000)
        ?? Range(nameof(XtcProbability), XtcProbability, 0, 1)
        ?? Range(nameof(XtcThreshold), XtcThreshold, 0, 1)
        ?? Range(nameof(RepetitionPenalty), RepetitionPenalty, 0.01, 100)
        ?? Range(nameof(FrequencyPenalty), FrequencyPenalty, -100, 100)
        ?? Range(nameof(PresencePenalty), PresencePenalty, -100, 100)
        ?? Range(nameof(PenaltyLastN), PenaltyLastN, -1, int.MaxValue)
        ?? Range(nameof(DryMultiplier), DryMultiplier, 0, 100)
        ?? Range(nameof(DryBase), DryBase, 1, 100)
        ?? Range(nameof(DryAllowedLength), DryAllowedLength, 0, int.MaxValue)
        ?? Range(nameof(DryPenaltyLastN), DryPenaltyLastN, -1, int.MaxValue)
        ?? Range(nameof(Mirostat), Mirostat, 0, 2)
        ?? Range(nameof(MirostatTau), MirostatTau, 0, 100)
        ?? Range(nameof(MirostatEta), MirostatEta, 0, 100)
        ?? BreakerProblem()
        ?? BiasProblem()
        ?? OrderProblem();

    private static string? Range(string name, double value, double low, double high) =>
        value >= low && value <= high // false for NaN
            ? null
            : string.Create(CultureInfo.InvariantCulture, $"{name} is {value}; it has to be from {low} to {high}.");

    private string? BreakerProblem()
    {
        for (int i = 0; i < DrySequenceBreakers.Count; i++)
        {
            if (DrySequenceBreakers[i].Count == 0)
            {
                return $"{nameof(DrySequenceBreakers)}[{i}] is empty; every breaker needs at least one token id.";
            }
        }

        return null;
    }

    private string? BiasProblem()
    {
        foreach ((int id, float bias) in LogitBias)
        {
            if (id < 0)
            {
                return $"{nameof(LogitBias)} names the token id {id}; ids begin at 0.";
            }

            if (bias != float.NegativeInfinity && Range($"{nameof(LogitBias)}[{id}]", bias, -1e6, 1e6) is { } problem)
            {
                return problem;
            }
        }

        return null;
    }

    private string? OrderProblem()
    {
        for (int i = 0; i < Order.Count; i++)
        {
            if (!Enum.IsDefined(Order[i]))
            {
                return $"{nameof(Order)}[{i}] is {(int)Order[i]}; the steps are {string.Join(", ", Enum.GetNames<SamplerStep>())}.";
            }

            for (int j = 0; j < i; j++)
            {
                if (Order[j] == Order[i])
                {
                    return $"{nameof(Order)} has {Order[i]} twice; each step may stand in it once.";
                }
            }
        }

        return null;
    }
}
