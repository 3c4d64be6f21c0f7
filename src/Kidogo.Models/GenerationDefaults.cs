// What a model's files recommend for generation. Knows no sampler.
using Kidogo.Models.Files;

namespace Kidogo.Models;

/// <summary>Settings that the makers of a model recommend; null where they say nothing.</summary>
public sealed record GenerationDefaults
{
    /// <summary>Whether tokens are drawn at all, or the likeliest is taken.</summary>
    public bool? DoSample { get; init; }

    /// <summary>What logits are divided by.</summary>
    public double? Temperature { get; init; }

    /// <summary>How many of the likeliest tokens are kept.</summary>
    public int? TopK { get; init; }

    /// <summary>The probability that the kept tokens have together.</summary>
    public double? TopP { get; init; }

    /// <summary>The probability, relative to the likeliest token's, below which tokens are dropped.</summary>
    public double? MinP { get; init; }

    /// <summary>What the logits of tokens that have occurred are divided by (where positive; multiplied where negative).</summary>
    public double? RepetitionPenalty { get; init; }

    /// <summary>Tokens that end an answer.</summary>
    public IReadOnlyList<int> EndTokens { get; init; } = [];

    /// <summary>Reads <c>generation_config.json</c>, and end tokens from <c>config.json</c> where that has none.</summary>
    /// <exception cref="ModelFormatException">A value is of the wrong kind or out of range.</exception>
    public static GenerationDefaults FromHuggingFace(HuggingFaceFolder folder)
    {
        JsonFields? generation = folder.GenerationConfig;
        IReadOnlyList<int> ends = generation is null ? [] : EndTokensOf(generation);
        if (ends.Count == 0 && folder.Config is { } config)
        {
            ends = EndTokensOf(config);
            ends = ends.Count == 0 && config.TryGetObject("text_config", out JsonFields text) ? EndTokensOf(text) : ends;
        }

        if (generation is null)
        {
            return new GenerationDefaults { EndTokens = ends };
        }

        return new GenerationDefaults
        {
            DoSample = generation.TryGetBool("do_sample", out bool sample) ? sample : null,
            Temperature = Float(generation, "temperature", 0, 1e6),
            TopK = generation.Contains("top_k") ? generation.GetInt("top_k", 0, int.MaxValue) : null,
            TopP = Float(generation, "top_p", 0, 1),
            MinP = Float(generation, "min_p", 0, 1),
            RepetitionPenalty = Float(generation, "repetition_penalty", 1e-6, 1e6),
            EndTokens = ends,
        };
    }

    /// <summary>Reads <c>general.sampling.*</c> and the end tokens of the tokenizer from GGUF metadata.</summary>
    /// <exception cref="ModelFormatException">A value is of the wrong kind or out of range.</exception>
    public static GenerationDefaults FromGguf(Metadata metadata)
    {
        List<int> ends = [];
        foreach (string key in (string[])["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"])
        {
            if (metadata.TryGetInt(key, out long id) && id is >= 0 and <= int.MaxValue && !ends.Contains((int)id))
            {
                ends.Add((int)id);
            }
        }

        double? Number(string name, double min, double max) => metadata.Contains("general.sampling." + name) ? metadata.GetFloat("general.sampling." + name, min, max) : null;
        return new GenerationDefaults
        {
            Temperature = Number("temp", 0, 1e6),
            TopK = metadata.Contains("general.sampling.top_k") ? metadata.GetInt("general.sampling.top_k", int.MinValue, int.MaxValue) : null,
            TopP = Number("top_p", 0, 1),
            MinP = Number("min_p", 0, 1),
            RepetitionPenalty = Number("penalty_repeat", 1e-6, 1e6),
            EndTokens = ends,
        };
    }

    private static double? Float(JsonFields fields, string name, double min, double max) => fields.Contains(name) ? fields.GetFloat(name, min, max) : null;

    private static IReadOnlyList<int> EndTokensOf(JsonFields fields)
    {
        const string Name = "eos_token_id";
        if (fields.KindOf(Name) == System.Text.Json.JsonValueKind.Array)
        {
            return fields.TryGetInts(Name, out int[] ids) ? [.. ids.Where(id => id >= 0)] : [];
        }

        return fields.TryGetInt(Name, out long id) && id is >= 0 and <= int.MaxValue ? [(int)id] : [];
    }
}
