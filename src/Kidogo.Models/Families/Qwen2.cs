// Qwen 1.5, 2 and 2.5.
using Kidogo.Models.Files;

namespace Kidogo.Models.Families;

/// <summary>Qwen 2: Llama with biases on queries, keys and values (Yang et al. 2024).</summary>
public sealed class Qwen2 : ModelFamily
{
    /// <inheritdoc/>
    public override string Name => "Qwen2";

    /// <inheritdoc/>
    public override IReadOnlyList<string> GgufArchitectures => ["qwen2"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceArchitectures => ["Qwen2ForCausalLM"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceModelTypes => ["qwen2"];

    /// <inheritdoc/>
    public override DecoderConfig ReadHuggingFace(JsonFields config)
    {
        DecoderConfig decoder = HuggingFaceDefaults.Read(config, new HuggingFaceDefaults { ContextLength = 32_768 });
        return HuggingFaceDefaults.WithUsedWindow(decoder, config).WithLayers((layer, _) => layer with { QkvBias = true, OutputBias = false });
    }

    /// <inheritdoc/>
    public override HuggingFaceConfig WriteHuggingFace(DecoderConfig config)
    {
        HuggingFaceConfig fields = HuggingFaceWriting.Fields(config, new HuggingFaceSpelling());
        HuggingFaceWriting.SetUsedWindow(fields, config);
        return fields;
    }
}
