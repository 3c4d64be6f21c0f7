// Rotary embeddings in config.json: rope_parameters of Transformers 5, and rope_theta with rope_scaling before it. Knows no family.
using Kidogo.Models.Files;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Families;

/// <summary>Reads rotary embeddings. Hugging Face files rotate the two halves of a head together.</summary>
internal static class HuggingFaceRope
{
    /// <summary>Reads the one rotary embedding of all layers.</summary>
    /// <param name="config">The file.</param>
    /// <param name="theta">The base where the file names none.</param>
    /// <param name="partial">The part of each head that is rotated where the file names none.</param>
    /// <param name="headDim">Values of a head.</param>
    /// <param name="context">Positions that the model is made for.</param>
    public static RopeConfig Read(JsonFields config, double theta, double partial, int headDim, int context)
    {
        JsonFields? parameters = config.Section("rope_parameters");
        JsonFields? scaling = parameters ?? config.Section("rope_scaling");
        double ownTheta = parameters?.TryFloat("rope_theta", 1e-3, ConfigLimits.Theta) ?? config.GetFloat("rope_theta", 1e-3, ConfigLimits.Theta, theta);
        double ownPartial = parameters?.TryFloat("partial_rotary_factor", 0, 1) ?? config.GetFloat("partial_rotary_factor", 0, 1, partial);
        return Read(config, scaling, ownTheta, ownPartial, headDim, context);
    }

    /// <summary>Reads a rotary embedding whose base is known.</summary>
    /// <param name="config">The file.</param>
    /// <param name="scaling">The object that may name a kind of scaling; null for none.</param>
    /// <param name="theta">The base.</param>
    /// <param name="partial">The part of each head that is rotated.</param>
    /// <param name="headDim">Values of a head.</param>
    /// <param name="context">Positions that the model is made for.</param>
    public static RopeConfig Read(JsonFields config, JsonFields? scaling, double theta, double partial, int headDim, int context)
    {
        int dims = (int)(headDim * partial);
        if (dims < 2 || dims % 2 != 0)
        {
            throw config.Refuse("partial_rotary_factor", $"leaves {dims} of the {headDim} values of a head to rotate; expected an even number of 2 or more.");
        }

        return new RopeConfig(theta, dims, RotaryLayout.HalfSplit, scaling is null ? null : ReadScaling(config, scaling, dims, context));
    }

    private static RopeScaling? ReadScaling(JsonFields config, JsonFields scaling, int dims, int context)
    {
        string type = scaling.GetString("rope_type", scaling.GetString("type", "default"));
        int? original = scaling.TryInt("original_max_position_embeddings", 1, ConfigLimits.Context) ?? config.TryInt("original_max_position_embeddings", 1, ConfigLimits.Context);
        switch (type)
        {
            case "default":
                return null;
            case "linear":
                return new LinearScaling(Factor(scaling));
            case "dynamic":
                return new DynamicNtkScaling(Factor(scaling), context);
            case "yarn":
                return new YarnScaling
                {
                    Factor = scaling.TryFloat("factor", 1, ConfigLimits.Factor) ?? (original is { } before
                        ? (double)context / before
                        : throw scaling.Refuse("factor", "is absent, and so is original_max_position_embeddings, from which it could be told; expected how many times longer yarn makes the context.")),
                    OriginalContext = original ?? context,
                    BetaFast = scaling.GetFloat("beta_fast", 1e-6, ConfigLimits.Factor, 32),
                    BetaSlow = scaling.GetFloat("beta_slow", 1e-6, ConfigLimits.Factor, 1),
                    Truncate = scaling.GetBool("truncate", true),
                    GivenAttentionFactor = scaling.TryFloat("attention_factor", 0, ConfigLimits.Factor),
                    Mscale = scaling.TryFloat("mscale", 0, ConfigLimits.Factor),
                    MscaleAllDim = scaling.TryFloat("mscale_all_dim", 0, ConfigLimits.Factor),
                };
            case "llama3":
                double low = scaling.GetFloat("low_freq_factor", 1e-6, ConfigLimits.Factor);
                double high = scaling.GetFloat("high_freq_factor", 1e-6, ConfigLimits.Factor);
                return high > low
                    ? new Llama3Scaling(Factor(scaling), low, high, original ?? throw scaling.Refuse("original_max_position_embeddings", "is absent; expected the context that the model was trained with."))
                    : throw scaling.Refuse("high_freq_factor", "is not above low_freq_factor.");
            case "longrope" or "su":
                int trained = original ?? context;
                double growth = original is null ? scaling.GetFloat("factor", 1, ConfigLimits.Factor, 1) : (double)context / trained;
                double attention = scaling.TryFloat("attention_factor", 0, ConfigLimits.Factor) ?? LongRopeScaling.AttentionFor(growth, trained);
                return new LongRopeScaling(Factors(scaling, "short_factor", dims / 2), Factors(scaling, "long_factor", dims / 2), trained, attention);
            default:
                throw scaling.Refuse("rope_type", $"is {ModelFormatException.Quote(type)}; expected default, linear, dynamic, yarn, llama3 or longrope.");
        }
    }

    private static float[] Factors(JsonFields scaling, string name, int count) => scaling.TryGetFloats(name, out double[] factors) && factors.Length == count
        ? Array.ConvertAll(factors, factor => (float)factor)
        : throw scaling.Refuse(name, $"is absent or has {factors.Length} entries; expected {count} numbers.");

    private static double Factor(JsonFields scaling) => scaling.GetFloat("factor", 1, ConfigLimits.Factor);
}
