// The family that docs/how-to/add-a-model-family.md adds: a test holds the two equal.
using Kidogo.Models;
using Kidogo.Models.Families;
using Kidogo.Models.Files;
using Kidogo.Tensors.Ops;

namespace Kidogo.Tests.Models;

/// <summary>StarCoder 2: LayerNorms, biases everywhere, a plain feed-forward, a window (Lozhkov et al. 2024).</summary>
public sealed class StarCoder2 : ModelFamily
{
    public override string Name => "StarCoder 2";

    public override IReadOnlyList<string> GgufArchitectures => ["starcoder2"];

    public override IReadOnlyList<string> HuggingFaceArchitectures => ["Starcoder2ForCausalLM"];

    public override IReadOnlyList<string> HuggingFaceModelTypes => ["starcoder2"];

    protected override IReadOnlyDictionary<string, string> ModuleNames { get; } = With(LlamaNames, ("mlp.c_fc", "ffn_up"), ("mlp.c_proj", "ffn_down"));

    public override DecoderConfig ReadGguf(GgufModel model) =>
        base.ReadGguf(model).WithLayers((layer, _) => layer with { Activation = Activation.GeluTanh, Gated = false });

    public override DecoderConfig ReadHuggingFace(JsonFields config)
    {
        HuggingFaceDefaults defaults = new() { NormKind = NormKind.Layer, EpsilonKey = "norm_epsilon", Epsilon = 1e-5, Activation = "gelu_pytorch_tanh", TiedHead = true };
        bool bias = config.GetBool("use_bias", true);
        int window = config.GetInt("sliding_window", 1, int.MaxValue, 0);
        return HuggingFaceDefaults.Read(config, defaults).WithLayers((layer, _) => layer with
        {
            Gated = false,
            QkvBias = bias,
            OutputBias = bias,
            MlpBias = bias,
            SlidingWindow = window,
        });
    }
}
