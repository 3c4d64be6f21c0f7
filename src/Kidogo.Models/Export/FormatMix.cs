// The mixes of formats that people know by name, as llama.cpp's quantiser deals them out. Knows names and shapes of tensors, not their weights.
using Kidogo.Models.Families;
using Kidogo.Models.Files;
using Kidogo.Tensors.Formats;

namespace Kidogo.Models.Export;

/// <summary>What a mix looks at in a model.</summary>
/// <param name="Architecture">The value of <c>general.architecture</c>.</param>
/// <param name="Layers">Number of layers.</param>
/// <param name="HeadsPerKvHead">Query heads to a key-value head.</param>
/// <param name="HasOutput">Whether the head is a tensor of its own.</param>
/// <param name="HasImportance">Whether importance of columns is known.</param>
public sealed record MixModel(string Architecture, int Layers, int HeadsPerKvHead, bool HasOutput, bool HasImportance)
{
    /// <summary>What a mix looks at in a model with these files.</summary>
    public static MixModel Of(ModelHeader header, GgufContent content, bool hasImportance)
    {
        LayerConfig layer = header.Config.Layers[0];
        return new MixModel(
            header.Gguf is null ? header.Family.WrittenGgufArchitecture : header.Architecture, header.Config.NumLayers, layer.NumHeads / layer.NumKvHeads,
            content.Tensors.Any(tensor => tensor.Name == "output.weight"), hasImportance);
    }
}

/// <summary>The format of a tensor.</summary>
/// <param name="Format">What it gets.</param>
/// <param name="Wanted">What the mix had for it, where its rows are no whole blocks of that; else null.</param>
public readonly record struct MixedFormat(WeightFormat Format, WeightFormat? Wanted);

/// <summary>From tensors to formats.</summary>
/// <remarks>The rules are llama.cpp's (src/llama-quant.cpp), so that a name means the same everywhere; they are facts of that program, kept here as a table of conditions. Mixtures of experts are left out.</remarks>
public sealed class FormatMix
{
    private static readonly (string Name, uint FileType, string Format)[] s_known =
    [
        ("F32", 0, "F32"), ("F16", 1, "F16"), ("BF16", 32, "BF16"),
        ("Q4_0", 2, "Q4_0"), ("Q4_1", 3, "Q4_1"), ("Q5_0", 8, "Q5_0"), ("Q5_1", 9, "Q5_1"), ("Q8_0", 7, "Q8_0"),
        ("Q2_K", 10, "Q2_K"), ("Q2_K_S", 21, "Q2_K"), ("Q3_K_S", 11, "Q3_K"), ("Q3_K_M", 12, "Q3_K"), ("Q3_K_L", 13, "Q3_K"), ("Q4_K_S", 14, "Q4_K"), ("Q4_K_M", 15, "Q4_K"),
        ("Q5_K_S", 16, "Q5_K"), ("Q5_K_M", 17, "Q5_K"), ("Q6_K", 18, "Q6_K"),
        ("IQ2_XXS", 19, "IQ2_XXS"), ("IQ2_XS", 20, "IQ2_XS"), ("IQ2_S", 28, "IQ2_XS"), ("IQ2_M", 29, "IQ2_S"), ("IQ3_XXS", 23, "IQ3_XXS"), ("IQ3_XS", 22, "IQ3_S"), ("IQ3_S", 26, "IQ3_S"),
        ("IQ3_M", 27, "IQ3_S"), ("IQ4_NL", 25, "IQ4_NL"), ("IQ4_XS", 30, "IQ4_XS"), ("IQ1_S", 24, "IQ1_S"), ("IQ1_M", 31, "IQ1_M"), ("TQ1_0", 36, "TQ1_0"), ("TQ2_0", 37, "TQ2_0"),
        ("SQ4_0", 1024, "SQ4_0"),
    ];

    private FormatMix(string name, uint? fileType, WeightFormat format, bool isPure)
    {
        Name = name;
        FileType = fileType;
        Format = format;
        IsPure = isPure;
    }

    /// <summary>The name: <c>Q4_K_M</c>.</summary>
    public string Name { get; }

    /// <summary>llama.cpp's number for files of this mix; null for those it has none for.</summary>
    public uint? FileType { get; }

    /// <summary>What most tensors get.</summary>
    public WeightFormat Format { get; }

    /// <summary>Whether all tensors that are quantised get it.</summary>
    public bool IsPure { get; }

    /// <summary>The names of mixes, and of formats, which are mixes of one.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [.. s_known.Where(mix => WeightFormats.ForName(mix.Format)!.CanEncode).Select(mix => mix.Name), .. WeightFormats.All.Where(format => format.CanEncode && !s_known.Any(mix => mix.Format == format.Name)).Select(format => format.Name)];

    /// <summary>The mix of a name, in any case; null where there is none.</summary>
    /// <param name="name">A mix or a format.</param>
    /// <param name="pure">Whether all tensors get the mix's main format.</param>
    public static FormatMix? ForName(string name, bool pure = false)
    {
        string known = name.ToUpperInvariant() switch { "Q3_K" => "Q3_K_M", "Q4_K" => "Q4_K_M", "Q5_K" => "Q5_K_M", var other => other };
        foreach ((string mix, uint fileType, string format) in s_known)
        {
            if (mix == known && WeightFormats.ForName(format) is { CanEncode: true } found)
            {
                return new FormatMix(mix, fileType, found, pure || found.BlockSize == 1);
            }
        }

        return WeightFormats.ForName(known) is { CanEncode: true } plain ? new FormatMix(plain.Name, null, plain, isPure: true) : null;
    }

    /// <summary>What is wrong with a name of no mix, as the rest of a sentence: the nearest name, and all.</summary>
    /// <param name="name">The name.</param>
    /// <param name="names">The names that would do; null for those of mixes.</param>
    public static string Unknown(string name, IEnumerable<string>? names = null)
    {
        string nearest = NearestName.Likely(name, names ?? Names) is { } found ? $"; the nearest is {found}" : "";
        return $"{ModelFormatException.Quote(name)}, which is no format that can be written{nearest}. Known: {string.Join(", ", names ?? Names)}.";
    }

    /// <summary>Whether a tensor is quantised at all: matrices are, but for small ones that others add or look up.</summary>
    public static bool Quantizes(string name, bool isVector)
    {
        string[] never = ["_norm.weight", "ffn_gate_inp.weight", "position_embd.weight", "token_types.weight", "attn_rel_b.weight", "ssm_conv1d.weight", "shortconv.conv.weight"];
        return !isVector && name.EndsWith("weight", StringComparison.Ordinal) && !never.Any(part => name.Contains(part, StringComparison.Ordinal));
    }

    /// <summary>The format of a tensor that is quantised.</summary>
    /// <param name="name">The canonical name.</param>
    /// <param name="columns">Weights of a row.</param>
    /// <param name="model">The model.</param>
    public MixedFormat Choose(string name, int columns, MixModel model)
    {
        WeightFormat wanted = IsPure ? Format : WeightFormats.ForName(Mixed(name, columns, model))!;
        return Fitting(wanted, columns);
    }

    /// <summary>The format itself where rows are whole blocks of it, else that which llama.cpp falls back to.</summary>
    public static MixedFormat Fitting(WeightFormat wanted, int columns)
    {
        if (columns % wanted.BlockSize == 0)
        {
            return new MixedFormat(wanted, null);
        }

        WeightFormat next = WeightFormats.ForName(wanted.Name switch
        {
            "TQ1_0" or "TQ2_0" or "Q2_K" or "Q3_K" or "SQ4_0" => "Q4_0",
            "Q4_K" => "Q5_0",
            "Q5_K" => "Q5_1",
            "Q6_K" => "Q8_0",
            "IQ2_XXS" or "IQ2_XS" or "IQ2_S" or "IQ3_XXS" or "IQ3_S" or "IQ1_S" or "IQ1_M" or "IQ4_XS" => "IQ4_NL",
            _ => "F16",
        })!;
        return new MixedFormat(columns % next.BlockSize == 0 ? next : WeightFormats.ForName("F16")!, wanted);
    }

    private string Mixed(string name, int columns, MixModel model)
    {
        int layer = CanonicalNames.TrySplitLayer(name, out int found, out string rest) ? found : -1;
        if (name == "output.weight" || (!model.HasOutput && name == "token_embd.weight"))
        {
            return Head(columns);
        }

        return (layer < 0 ? name : rest) switch
        {
            "token_embd.weight" => Embedding(),
            "attn_v.weight" or "attn_qkv.weight" => Values(layer, model),
            "attn_k.weight" or "attn_q.weight" => Name switch { "IQ3_XS" => "IQ3_XXS", "IQ3_XXS" => "IQ2_S", _ => Format.Name },
            "attn_output.weight" => Output(),
            "ffn_down.weight" => Down(layer, model),
            "ffn_gate.weight" or "ffn_up.weight" => Name == "IQ3_XS" && layer >= model.Layers / 8 && layer < 7 * model.Layers / 8 ? "IQ3_XXS" : Format.Name,
            _ => Format.Name,
        };
    }

    private bool IsTwoBits => Name is "IQ2_XXS" or "IQ2_XS" or "IQ2_S" or "IQ2_M" or "IQ1_S" or "IQ1_M";

    private bool IsLargerTwoBits => Name is "IQ2_S" or "IQ2_M";

    private static bool UsesMoreBits(int layer, int layers) => layer < layers / 8 || layer >= 7 * layers / 8 || (layer - (layers / 8)) % 3 == 2;

    private string Head(int columns) =>
        columns % Format.BlockSize != 0 || Format.Name == "Q8_0" ? "Q8_0" : IsTwoBits || Name == "IQ3_XXS" ? "Q5_K" : "Q6_K";

    private string Embedding() => Name switch
    {
        "IQ2_XXS" or "IQ2_XS" or "IQ1_S" or "IQ1_M" => "Q2_K",
        "IQ2_S" or "IQ2_M" or "IQ3_XXS" => "IQ3_S",
        "TQ1_0" or "TQ2_0" => "Q4_K",
        "SQ4_0" => "Q6_K", // only the matrices of layers are sparse
        _ => Format.Name,
    };

    private string Values(int layer, MixModel model)
    {
        bool shares = model.HeadsPerKvHead >= 4;
        string chosen = Name switch
        {
            _ when IsTwoBits => shares ? "Q4_K" : IsLargerTwoBits ? "IQ3_S" : "Q2_K",
            "Q2_K" => shares ? "Q4_K" : "Q3_K",
            "Q2_K_S" when shares => "Q4_K",
            "IQ3_XXS" => shares ? "Q4_K" : model.HasImportance ? "IQ3_XXS" : "IQ3_S",
            "IQ3_XS" or "IQ3_S" when shares => "Q4_K",
            "IQ3_M" => "Q4_K",
            "Q3_K_M" => layer < 2 ? "Q5_K" : "Q4_K",
            "Q3_K_L" => "Q5_K",
            "IQ4_NL" or "IQ4_XS" when shares => "Q5_K",
            "Q4_K_M" or "Q5_K_M" when UsesMoreBits(layer, model.Layers) => "Q6_K",
            "Q4_K_S" when layer < 4 => "Q5_K",
            _ => Format.Name,
        };
        bool isSeventyBillion = model.Architecture == "llama" && model.Layers == 80 && model.HeadsPerKvHead > 1;
        return isSeventyBillion && !IsTwoBits && chosen is ("Q3_K" or "Q4_K") ? "Q5_K" : chosen;
    }

    private string Output() => Name switch
    {
        "IQ1_S" or "IQ1_M" => "IQ2_XXS",
        "IQ2_S" or "IQ2_M" => "IQ3_S",
        "Q2_K" => "Q3_K",
        "IQ3_XXS" => "IQ3_S",
        "Q3_K_M" or "IQ3_M" => "Q4_K",
        "Q3_K_L" => "Q5_K",
        _ => Format.Name,
    };

    private string Down(int layer, MixModel model)
    {
        bool isFirstEighth = layer < model.Layers / 8;
        return Name switch
        {
            _ when IsTwoBits => isFirstEighth ? IsLargerTwoBits ? "IQ3_S" : "Q2_K" : Format.Name,
            "Q2_K" => "Q3_K",
            "Q2_K_S" when isFirstEighth => "Q4_K",
            "IQ3_XXS" when !model.HasImportance => isFirstEighth ? "Q4_K" : "Q3_K",
            "Q3_K_M" => layer < model.Layers / 16 ? "Q5_K" : "Q4_K",
            "IQ3_M" when isFirstEighth => "Q4_K",
            "Q3_K_L" => "Q5_K",
            "Q4_K_M" or "Q5_K_M" when UsesMoreBits(layer, model.Layers) => "Q6_K",
            "IQ4_NL" or "IQ4_XS" when isFirstEighth && !model.HasImportance => "Q5_K",
            "Q4_K_S" when isFirstEighth => "Q5_K",
            "Q4_0" when isFirstEighth && model.HasImportance => "Q4_1",
            "Q5_0" when isFirstEighth && model.HasImportance => "Q5_1",
            _ => Format.Name,
        };
    }
}
