// From the tensors of one file to those that another kind of file has: fused or apart, with rows and norms as they are kept there. Knows no names but canonical ones.
using Kidogo.Models.Families;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Export;

/// <summary>How a kind of file keeps what all keep.</summary>
/// <param name="Rotary">Which rows of queries and keys rotate together.</param>
/// <param name="UnitOffset">Whether norms are stored as offsets from 1.</param>
/// <param name="FusesQkv">Whether queries, keys and values are one tensor.</param>
/// <param name="FusesGate">Whether the gate and the other half of the feed-forward are one tensor.</param>
internal sealed record TensorConventions(RotaryLayout Rotary, bool UnitOffset, bool FusesQkv, bool FusesGate);

/// <summary>Rearranges tensors.</summary>
/// <param name="config">The model, in the conventions that <paramref name="tensors"/> follow.</param>
/// <param name="tensors">The tensors by canonical name, in any of the ways that are read.</param>
/// <param name="target">How they shall be kept.</param>
internal sealed class TensorArrangement(DecoderConfig config, IEnumerable<ModelTensor> tensors, TensorConventions target)
{
    private readonly Dictionary<string, ModelTensor> _left = tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
    private readonly List<ModelTensor> _done = [];

    /// <summary>What adding 1 to a norm, or taking it off, lost by rounding: by canonical name, where there is any.</summary>
    public Dictionary<string, float[]> Residuals { get; } = new(StringComparer.Ordinal);

    /// <summary>All tensors: those before the layers, the layers one after the other, those behind.</summary>
    /// <param name="residuals">What an earlier conversion lost, which is given back; null for nothing.</param>
    public List<ModelTensor> Arrange(IReadOnlyDictionary<string, float[]>? residuals = null)
    {
        Take("token_embd.weight");
        Take("position_embd.weight");
        for (int i = 0; i < config.NumLayers; i++)
        {
            Layer(i, config.Layers[i]);
        }

        foreach (string name in _left.Keys.Order(StringComparer.Ordinal).ToArray())
        {
            Take(name);
        }

        return _done.ConvertAll(tensor => IsNorm(tensor) && config.Norm.UnitOffset != target.UnitOffset ? Offset(tensor, residuals?.GetValueOrDefault(tensor.Name)) : tensor);
    }

    private static bool IsNorm(ModelTensor tensor) => tensor.IsVector && tensor.Name.EndsWith("norm.weight", StringComparison.Ordinal);

    private ModelTensor Offset(ModelTensor tensor, float[]? given)
    {
        float term = target.UnitOffset ? -1 : 1;
        float[] before = tensor.ReadFloats();
        float[] after = new float[before.Length];
        float[] lost = new float[before.Length];
        for (int i = 0; i < before.Length; i++)
        {
            // What a sum of two floats loses is a float (Møller 1965, Knuth), so that giving it back gives the very weight there was.
            after[i] = (float)((double)before[i] + term + (given is not null && given.Length == before.Length ? given[i] : 0f));
            lost[i] = (float)(before[i] - ((double)after[i] - term));
        }

        if (given is null && lost.Any(value => value != 0 && float.IsFinite(value)))
        {
            Residuals.Add(tensor.Name, lost);
        }

        return ModelTensor.Vector(tensor.Name, after);
    }

    private void Layer(int index, LayerConfig layer)
    {
        string In(string name) => CanonicalNames.InLayer(index, name);
        Qkv(In, layer, "weight");
        Qkv(In, layer, "bias");
        NormOfHeads(In("attn_q_norm.weight"), layer);
        NormOfHeads(In("attn_k_norm.weight"), layer);
        Gate(In, layer, "weight");
        Gate(In, layer, "bias");
        string front = In("");
        foreach (string name in _left.Keys.Where(name => name.StartsWith(front, StringComparison.Ordinal)).Order(StringComparer.Ordinal).ToArray())
        {
            Take(name);
        }
    }

    private void Qkv(Func<string, string> name, LayerConfig layer, string what)
    {
        string fused = name($"attn_qkv.{what}");
        string[] apart = [name($"attn_q.{what}"), name($"attn_k.{what}"), name($"attn_v.{what}")];
        ModelTensor[] parts;
        if (_left.Remove(fused, out ModelTensor? whole))
        {
            int q = layer.QuerySize, kv = layer.KvSize;
            parts = [whole.Picked(TensorOrders.Range(0, q)), whole.Picked(TensorOrders.Range(q, kv)), whole.Picked(TensorOrders.Range(q + kv, kv))];
        }
        else if (apart.All(_left.ContainsKey))
        {
            parts = Array.ConvertAll(apart, part => _left[part]);
            Array.ForEach(apart, part => _left.Remove(part));
        }
        else
        {
            return; // no biases, or a model that is checked elsewhere
        }

        parts[0] = parts[0].Picked(RotaryOrder(layer, layer.NumHeads));
        parts[1] = parts[1].Picked(RotaryOrder(layer, layer.NumKvHeads));
        if (target.FusesQkv)
        {
            _done.Add(ModelTensor.Joined(fused, parts));
            return;
        }

        for (int i = 0; i < parts.Length; i++)
        {
            _done.Add(parts[i].Named(apart[i]));
        }
    }

    private void NormOfHeads(string name, LayerConfig layer)
    {
        if (_left.Remove(name, out ModelTensor? norm))
        {
            _done.Add(norm.Picked(RotaryOrder(layer, 1)));
        }
    }

    private void Gate(Func<string, string> name, LayerConfig layer, string what)
    {
        if (!layer.Gated)
        {
            return;
        }

        string gate = name($"ffn_gate.{what}"), up = name($"ffn_up.{what}");
        if (!_left.Remove(up, out ModelTensor? rest))
        {
            return;
        }

        int width = layer.IntermediateSize;
        bool isApart = _left.Remove(gate, out ModelTensor? front);
        if (isApart == !target.FusesGate)
        {
            _done.AddRange(front is null ? [rest] : [front, rest]);
        }
        else if (isApart)
        {
            _done.Add(ModelTensor.Joined(up, front!, rest));
        }
        else
        {
            _done.Add(rest.Picked(TensorOrders.Range(0, width)).Named(gate));
            _done.Add(rest.Picked(TensorOrders.Range(width, width)));
        }
    }

    private int[]? RotaryOrder(LayerConfig layer, int heads) => RotaryOf(config, layer) is { } rope ? TensorOrders.Rotary(rope.Layout, target.Rotary, heads, layer.HeadDim, Math.Min(rope.RotaryDims, layer.HeadDim)) : null;

    /// <summary>The rotation that a layer's queries and keys are laid out for. Layers without one are turned as the others are, which changes nothing: queries and keys are turned alike.</summary>
    internal static RopeConfig? RotaryOf(DecoderConfig config, LayerConfig layer) => layer.Rope ?? config.Layers.Select(each => each.Rope).FirstOrDefault(each => each is not null);

    private void Take(string name)
    {
        if (_left.Remove(name, out ModelTensor? tensor))
        {
            _done.Add(tensor);
        }
    }
}
