// A part of a model: fewer layers, heads, neurons, channels. Knows which rows and columns belong to what; what stays is decided elsewhere.
using Kidogo.Models.Families;

namespace Kidogo.Models.Export;

/// <summary>What stays of a layer. All lists are in rising order, without repetition.</summary>
/// <param name="Index">Its number before.</param>
/// <param name="Neurons">Columns of the feed-forward's inner width; null for all.</param>
/// <param name="KvHeads">Key and value heads; null for all.</param>
/// <param name="QueryHeads">Query heads, equally many of each key and value head that stays; null for all of those.</param>
public sealed record KeptLayer(int Index, int[]? Neurons = null, int[]? KvHeads = null, int[]? QueryHeads = null);

/// <summary>Cuts a model to the part of it that stays. Every tensor loses the rows and columns of what goes; values are copied as they are stored where that can be.</summary>
public sealed class ModelReshape
{
    private readonly DecoderConfig _before;
    private readonly IReadOnlyList<KeptLayer> _layers;
    private readonly int[]? _hidden;
    private readonly Dictionary<int, int> _numbers = [];

    /// <summary>Prepares the cut.</summary>
    /// <param name="config">The whole model.</param>
    /// <param name="layers">What stays of the layers that stay, in their order.</param>
    /// <param name="hidden">Channels of the residual stream that stay, in rising order; null for all.</param>
    /// <exception cref="ArgumentException">A list is empty, out of order or out of range, or the key and value heads would be left with different numbers of query heads.</exception>
    public ModelReshape(DecoderConfig config, IReadOnlyList<KeptLayer> layers, int[]? hidden = null)
    {
        (_before, _layers, _hidden) = (config, layers, hidden);
        Check([.. layers.Select(layer => layer.Index)], config.NumLayers, "layers");
        Check(hidden, config.HiddenSize, "hidden channels");
        for (int i = 0; i < layers.Count; i++)
        {
            LayerConfig whole = config.Layers[layers[i].Index];
            Check(layers[i].Neurons, whole.IntermediateSize, $"neurons of layer {layers[i].Index}");
            Check(layers[i].KvHeads, whole.NumKvHeads, $"key and value heads of layer {layers[i].Index}");
            Check(layers[i].QueryHeads, whole.NumHeads, $"query heads of layer {layers[i].Index}");
            _numbers.Add(layers[i].Index, i);
            CheckGroups(layers[i], whole);
        }

        Config = config with
        {
            HiddenSize = hidden?.Length ?? config.HiddenSize,
            Layers = [.. layers.Select(kept => Apply(kept, config.Layers[kept.Index]))],
        };
    }

    /// <summary>What the part does.</summary>
    public DecoderConfig Config { get; }

    /// <summary>The name that a tensor has in the part; null where it goes with its layer.</summary>
    public string? Rename(string name)
    {
        if (!CanonicalNames.TrySplitLayer(name, out int layer, out string rest))
        {
            return name;
        }

        return _numbers.TryGetValue(layer, out int number) ? CanonicalNames.InLayer(number, rest) : null;
    }

    /// <summary>What stays of a tensor; null for nothing.</summary>
    /// <param name="tensor">A tensor of the whole model, by its canonical name, outputs as rows, fused parts one after the other.</param>
    public ModelTensor? Apply(ModelTensor tensor)
    {
        if (!CanonicalNames.TrySplitLayer(tensor.Name, out int index, out string rest))
        {
            return tensor.Name switch
            {
                "token_embd.weight" or "position_embd.weight" or "output.weight" => tensor.PickedColumns(_hidden),
                "output_norm.weight" or "output_norm.bias" => tensor.Picked(_hidden),
                _ => tensor,
            };
        }

        if (!_numbers.TryGetValue(index, out int number))
        {
            return null;
        }

        (KeptLayer kept, LayerConfig layer) = (_layers[number], _before.Layers[index]);
        string slot = rest[..Math.Max(0, rest.LastIndexOf('.'))];
        ModelTensor part = slot switch
        {
            "attn_norm" or "ffn_norm" or "post_attention_norm" or "post_ffw_norm" => tensor.Picked(_hidden),
            "attn_q" => Outputs(tensor, Rows(QueryHeads(kept, layer), layer.HeadDim)),
            "attn_k" or "attn_v" => Outputs(tensor, Rows(kept.KvHeads, layer.HeadDim)),
            "attn_qkv" => Outputs(tensor, Fused(kept, layer)),
            "attn_output" => Inputs(tensor, Rows(QueryHeads(kept, layer), layer.HeadDim)),
            "ffn_gate" => Outputs(tensor, kept.Neurons),
            "ffn_up" when layer.Gated && tensor.Rows == 2L * layer.IntermediateSize => Outputs(tensor, kept.Neurons is null ? null : [.. kept.Neurons, .. kept.Neurons.Select(row => row + layer.IntermediateSize)]),
            "ffn_up" => Outputs(tensor, kept.Neurons),
            "ffn_down" => Inputs(tensor, kept.Neurons),
            _ => tensor,
        };
        return part.Named(CanonicalNames.InLayer(number, rest));
    }

    private static LayerConfig Apply(KeptLayer kept, LayerConfig whole)
    {
        int[]? queries = QueryHeads(kept, whole);
        return whole with
        {
            IntermediateSize = kept.Neurons?.Length ?? whole.IntermediateSize,
            NumKvHeads = kept.KvHeads?.Length ?? whole.NumKvHeads,
            NumHeads = queries?.Length ?? whole.NumHeads,
        };
    }

    /// <summary>The query heads that stay: those named, or those of the key and value heads that stay.</summary>
    private static int[]? QueryHeads(KeptLayer kept, LayerConfig layer)
    {
        int group = layer.NumHeads / layer.NumKvHeads;
        return kept.QueryHeads ?? (kept.KvHeads is null ? null : [.. kept.KvHeads.SelectMany(head => Enumerable.Range(head * group, group))]);
    }

    private static int[]? Rows(int[]? heads, int width) => heads is null ? null : [.. heads.SelectMany(head => Enumerable.Range(head * width, width))];

    private static int[]? Fused(KeptLayer kept, LayerConfig layer)
    {
        if (kept.KvHeads is null && kept.QueryHeads is null)
        {
            return null;
        }

        int[] queries = Rows(QueryHeads(kept, layer), layer.HeadDim) ?? TensorOrders.Range(0, layer.QuerySize);
        int[] keys = Rows(kept.KvHeads, layer.HeadDim) ?? TensorOrders.Range(0, layer.KvSize);
        return [.. queries, .. keys.Select(row => row + layer.QuerySize), .. keys.Select(row => row + layer.QuerySize + layer.KvSize)];
    }

    /// <summary>A matrix that reads the stream, or its bias: loses outputs.</summary>
    private ModelTensor Outputs(ModelTensor tensor, int[]? rows) => tensor.IsVector ? tensor.Picked(rows) : tensor.Picked(rows).PickedColumns(_hidden);

    /// <summary>A matrix that writes to the stream, or its bias: loses inputs.</summary>
    private ModelTensor Inputs(ModelTensor tensor, int[]? columns) => tensor.IsVector ? tensor.Picked(_hidden) : tensor.Picked(_hidden).PickedColumns(columns);

    private static void Check(int[]? kept, int count, string what)
    {
        if (kept is null)
        {
            return;
        }

        bool isInOrder = kept.Length > 0 && kept[0] >= 0 && kept[^1] < count && !kept.Zip(kept.Skip(1)).Any(pair => pair.First >= pair.Second);
        if (!isInOrder)
        {
            throw new ArgumentException($"The {what} that stay have to be one or more of 0 to {count - 1}, in rising order.");
        }
    }

    private static void CheckGroups(KeptLayer kept, LayerConfig layer)
    {
        if (kept.QueryHeads is not { } queries)
        {
            return;
        }

        int group = layer.NumHeads / layer.NumKvHeads;
        int[] groups = kept.KvHeads ?? TensorOrders.Range(0, layer.NumKvHeads);
        int each = queries.Length / groups.Length;
        if (each == 0 || !queries.GroupBy(head => head / group).Select(heads => (heads.Key, Count: heads.Count())).SequenceEqual(groups.Select(head => (head, each))))
        {
            throw new ArgumentException($"The {queries.Length} query heads of layer {kept.Index} that stay are not equally many of each of the {groups.Length} key and value heads that stay.");
        }
    }
}
