// SmolLM3.
using Kidogo.Models.Files;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Families;

/// <summary>SmolLM3: Llama in which every fourth layer has no rotary embedding (NoPE).</summary>
public sealed class SmolLM3 : ModelFamily
{
    private const int NoRopeEvery = 4;
    internal const string RopeLayersKey = "kidogo.rope_layers";

    /// <inheritdoc/>
    public override string Name => "SmolLM3";

    /// <inheritdoc/>
    public override IReadOnlyList<string> GgufArchitectures => ["smollm3"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceArchitectures => ["SmolLM3ForCausalLM"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceModelTypes => ["smollm3"];

    /// <inheritdoc/>
    /// <remarks>Converted as Llama is.</remarks>
    public override RotaryLayout GgufRotaryLayout => RotaryLayout.Interleaved;

    /// <inheritdoc/>
    /// <remarks>GGUF has no key for which layers have a rotation: it is three of four, unless a key of Kidogo's own says otherwise.</remarks>
    public override DecoderConfig ReadGguf(GgufModel model)
    {
        DecoderConfig decoder = base.ReadGguf(model);
        if (!model.Metadata.TryGetBools(RopeLayersKey, out bool[] hasRope))
        {
            hasRope = [.. Enumerable.Range(0, decoder.NumLayers).Select(i => (i + 1) % NoRopeEvery != 0)];
        }

        return hasRope.Length == decoder.NumLayers
            ? decoder.WithLayers((layer, i) => hasRope[i] ? layer : layer with { Rope = null })
            : throw model.Metadata.Refuse(RopeLayersKey, $"holds {hasRope.Length} values; expected one for each of the {decoder.NumLayers} layers.");
    }

    /// <inheritdoc/>
    public override void WriteGguf(DecoderConfig config, GgufMetadata metadata)
    {
        base.WriteGguf(config, metadata);
        bool[] hasRope = [.. config.Layers.Select(layer => layer.Rope is not null)];
        if (hasRope.Where((has, i) => has != ((i + 1) % NoRopeEvery != 0)).Any())
        {
            metadata.Set(RopeLayersKey, hasRope); // llama.cpp goes by its rule and would give other logits: nothing can be written that it understands
        }
    }

    /// <inheritdoc/>
    public override DecoderConfig ReadHuggingFace(JsonFields config)
    {
        HuggingFaceDefaults defaults = new() { NumKvHeads = 4, ContextLength = 32_768, RopeTheta = 2_000_000, TiedHead = true };
        DecoderConfig decoder = HuggingFaceDefaults.WithUsedWindow(HuggingFaceDefaults.Read(config, defaults), config);
        if (config.TryGetInts("no_rope_layers", out int[] hasRope))
        {
            // Despite its name the list holds a 1 for each layer that has one.
            return hasRope.Length == decoder.NumLayers
                ? decoder.WithLayers((layer, i) => hasRope[i] == 0 ? layer with { Rope = null } : layer)
                : throw config.Refuse("no_rope_layers", $"has {hasRope.Length} entries; expected one for each of the {decoder.NumLayers} layers.");
        }

        int every = config.GetInt("no_rope_layer_interval", 1, int.MaxValue, NoRopeEvery);
        return decoder.WithLayers((layer, i) => (i + 1) % every == 0 ? layer with { Rope = null } : layer);
    }

    /// <inheritdoc/>
    public override HuggingFaceConfig WriteHuggingFace(DecoderConfig config)
    {
        HuggingFaceConfig fields = HuggingFaceWriting.Fields(config, new HuggingFaceSpelling { AttentionBias = true, MlpBias = true });
        HuggingFaceWriting.SetUsedWindow(fields, config);
        fields.Set("no_rope_layers", config.Layers.Select(layer => layer.Rope is null ? 0 : 1));
        return fields;
    }
}
