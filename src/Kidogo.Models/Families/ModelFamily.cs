// What is particular to a family of decoders: how its files name things. Contains no arithmetic.
using Kidogo.Models.Files;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Families;

/// <summary>How the rows of a fused projection of queries, keys and values lie.</summary>
public enum FusedOrder
{
    /// <summary>All queries, all keys, all values.</summary>
    Concatenated,

    /// <summary>Query, key and value of head 0, then of head 1, and so on.</summary>
    PerHead,
}

/// <summary>A family of decoders: from its files to a <see cref="DecoderConfig"/>, and from its tensor names to GGUF's.</summary>
/// <remarks>A new family is one file beside this and one line in <see cref="ModelFamilies"/>. The base class reads what most share with Llama; a family says what differs.</remarks>
public abstract class ModelFamily
{
    /// <summary>Buffers that old checkpoints carry in their layers and that are no weights.</summary>
    private static readonly string[] s_buffers =
    [
        "self_attn.rotary_emb.inv_freq", "attention.rotary_emb.inv_freq", "attn.bias", "attn.masked_bias", "attention.bias", "attention.masked_bias",
    ];

    /// <summary>The family's name for people.</summary>
    public abstract string Name { get; }

    /// <summary>The values of <c>general.architecture</c>.</summary>
    public abstract IReadOnlyList<string> GgufArchitectures { get; }

    /// <summary>The classes in <c>architectures</c> of a config.json.</summary>
    public abstract IReadOnlyList<string> HuggingFaceArchitectures { get; }

    /// <summary>The values of <c>model_type</c> in a config.json, for files that name no class.</summary>
    public abstract IReadOnlyList<string> HuggingFaceModelTypes { get; }

    /// <summary>Which values of a head GGUF files of this family rotate together.</summary>
    public virtual RotaryLayout GgufRotaryLayout => RotaryLayout.HalfSplit;

    /// <summary>How Hugging Face files order a fused projection of queries, keys and values; GGUF's is always concatenated.</summary>
    public virtual FusedOrder HuggingFaceFusedOrder => FusedOrder.Concatenated;

    /// <summary>Names of tensors that are absent where the Hugging Face file stores the model without a head: <c>model.</c>.</summary>
    protected virtual string BasePrefix => "model.";

    /// <summary>What the names of tensors in layers begin with, after the base prefix.</summary>
    protected virtual string LayerPrefix => "layers.";

    /// <summary>From the Hugging Face name of a module (in a layer: without <see cref="LayerPrefix"/> and number) to the canonical one.</summary>
    protected virtual IReadOnlyDictionary<string, string> ModuleNames => LlamaNames;

    /// <summary>The module names of Llama, which many took over.</summary>
    protected static IReadOnlyDictionary<string, string> LlamaNames { get; } = new Dictionary<string, string>
    {
        ["embed_tokens"] = "token_embd",
        ["norm"] = "output_norm",
        ["lm_head"] = "output",
        ["input_layernorm"] = "attn_norm",
        ["self_attn.q_proj"] = "attn_q",
        ["self_attn.k_proj"] = "attn_k",
        ["self_attn.v_proj"] = "attn_v",
        ["self_attn.o_proj"] = "attn_output",
        ["post_attention_layernorm"] = "ffn_norm",
        ["mlp.gate_proj"] = "ffn_gate",
        ["mlp.up_proj"] = "ffn_up",
        ["mlp.down_proj"] = "ffn_down",
    };

    /// <summary>Reads the configuration of a GGUF file.</summary>
    /// <exception cref="ModelFormatException">A value is absent, out of range, or asks for what the family cannot do.</exception>
    public virtual DecoderConfig ReadGguf(GgufModel model) => GgufDefaults.Read(model, GgufRotaryLayout);

    /// <summary>Reads a config.json.</summary>
    /// <exception cref="ModelFormatException">A value is absent, out of range, or asks for what the family cannot do.</exception>
    public virtual DecoderConfig ReadHuggingFace(JsonFields config) => HuggingFaceDefaults.Read(config, new HuggingFaceDefaults());

    /// <summary>Whether files of this family have queries, keys and values in one tensor, in both kinds of files.</summary>
    public virtual bool FusesQkv => false;

    /// <summary>Whether files of this family have the gate and the other half of the feed-forward in one tensor, in both kinds of files.</summary>
    public virtual bool FusesGate => false;

    /// <summary>The family whose Hugging Face files can say what this configuration does, which came from a file of this family.</summary>
    public virtual ModelFamily ForHuggingFace(DecoderConfig config) => this;

    /// <summary>What <c>general.architecture</c> says in GGUF files that are written of this family.</summary>
    public virtual string WrittenGgufArchitecture => GgufArchitectures[0];

    /// <summary>The same for a configuration: some architectures are the only ones whose readers let layers differ.</summary>
    public virtual string GgufArchitectureFor(DecoderConfig config) => WrittenGgufArchitecture;

    /// <summary>Sets the metadata under the architecture: what <see cref="ReadGguf"/> reads.</summary>
    /// <remarks>A family says what it can. Whether that is all is found by reading it back.</remarks>
    /// <exception cref="NotSupportedException">There is no key for something that the model does.</exception>
    public virtual void WriteGguf(DecoderConfig config, GgufMetadata metadata) => GgufWriting.Set(metadata, GgufArchitectureFor(config), config);

    /// <summary>The fields of a config.json, but for the tokens and what files call themselves: what <see cref="ReadHuggingFace"/> reads.</summary>
    /// <remarks>A family says what it can. Whether that is all is found by reading it back.</remarks>
    /// <exception cref="NotSupportedException">There is no name for something that the model does.</exception>
    public virtual HuggingFaceConfig WriteHuggingFace(DecoderConfig config) =>
        HuggingFaceWriting.Fields(config, new HuggingFaceSpelling { AlwaysHeadDim = true, AttentionBias = true, MlpBias = true });

    /// <summary>From GGUF's name of a tensor to that in a Hugging Face file: the reverse of <see cref="CanonicalName"/>.</summary>
    /// <exception cref="NotSupportedException">Hugging Face files of this family have no such tensor.</exception>
    public virtual string HuggingFaceName(string canonicalName)
    {
        bool isInLayer = CanonicalNames.TrySplitLayer(canonicalName, out int layer, out string rest);
        rest = isInLayer ? rest : canonicalName;
        int dot = rest.LastIndexOf('.');
        string module = HuggingFaceModule(rest[..Math.Max(dot, 0)])
            ?? throw new NotSupportedException($"Hugging Face files of the family {Name} have no name for the tensor {canonicalName}.");
        string suffix = rest[dot..];
        return isInLayer ? string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{BasePrefix}{LayerPrefix}{layer}.{module}{suffix}")
            : module == HeadModule ? module + suffix
            : BasePrefix + module + suffix;
    }

    /// <summary>The module of the head, which stands outside of the base model.</summary>
    protected virtual string HeadModule => "lm_head";

    /// <summary>From the canonical name of a module to Hugging Face's: of several that are read the last, which a family adds to those of Llama.</summary>
    private string? HuggingFaceModule(string canonicalModule) => canonicalModule == "output" ? HeadModule : ModuleNames.LastOrDefault(pair => pair.Value == canonicalModule).Key;

    /// <summary>Whether a Hugging Face file stores the matrix of this canonical name as [inputs, outputs].</summary>
    public virtual bool IsInputMajor(string canonicalName) => false;

    /// <summary>From a tensor's name in a Hugging Face file to GGUF's; null for what is no weight of the decoder.</summary>
    /// <remarks>A name in a layer that the family does not know stays as it is, behind <c>blk.N.</c>, so that the loader can refuse it.</remarks>
    public virtual string? CanonicalName(string name)
    {
        string rest = name.StartsWith(BasePrefix, StringComparison.Ordinal) ? name[BasePrefix.Length..] : name;
        bool isInLayer = CanonicalNames.TrySplitNumber(rest, LayerPrefix, out int layer, out string inLayer);
        rest = isInLayer ? inLayer : rest;
        if (isInLayer && s_buffers.Contains(rest))
        {
            return null;
        }

        int dot = rest.LastIndexOf('.');
        bool isKnown = dot > 0 && ModuleNames.TryGetValue(rest[..dot], out string? module);
        string? canonical = isKnown ? ModuleNames[rest[..dot]] + rest[dot..] : isInLayer ? rest : null;
        return canonical is null || !isInLayer ? canonical : CanonicalNames.InLayer(layer, canonical);
    }

    /// <summary>A dictionary with more entries.</summary>
    protected static IReadOnlyDictionary<string, string> With(IReadOnlyDictionary<string, string> names, params ReadOnlySpan<(string Module, string Canonical)> more)
    {
        Dictionary<string, string> all = new(names, StringComparer.Ordinal);
        foreach ((string module, string canonical) in more)
        {
            all[module] = canonical;
        }

        return all;
    }
}
