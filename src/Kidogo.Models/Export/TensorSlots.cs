// Which slots of a decoder the rows of a stored matrix belong to. Knows no values.
using Kidogo.Models.Families;

namespace Kidogo.Models.Export;

/// <summary>From a stored matrix, which may be several fused ones, to slots.</summary>
public static class TensorSlots
{
    /// <summary>The slots, each with its rows, in the order in which they lie.</summary>
    /// <param name="tensor">A matrix by its canonical name, <c>NAME.weight</c>.</param>
    /// <param name="config">The model that it is of.</param>
    public static IReadOnlyList<(string Slot, int Rows)> Of(ModelTensor tensor, DecoderConfig config)
    {
        string slot = tensor.Name[..Math.Max(0, tensor.Name.LastIndexOf('.'))];
        if (CanonicalNames.TrySplitLayer($"{slot}.", out int index, out string rest) && index < config.NumLayers)
        {
            LayerConfig layer = config.Layers[index];
            string In(string name) => CanonicalNames.InLayer(index, name);
            if (rest == "attn_qkv.")
            {
                return [(In("attn_q"), layer.QuerySize), (In("attn_k"), layer.KvSize), (In("attn_v"), layer.KvSize)];
            }

            if (rest == "ffn_up." && layer.Gated && tensor.Rows == 2L * layer.IntermediateSize)
            {
                return [(In("ffn_gate"), layer.IntermediateSize), (In("ffn_up"), layer.IntermediateSize)];
            }
        }

        return [(slot, tensor.Rows)];
    }
}
