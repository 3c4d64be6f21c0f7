// From the conventions of adapter files to those of a base in memory, and back: fused or apart, rows of heads in one layout or the other. Knows no files.
using Kidogo.Models.Export;
using Kidogo.Models.Families;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Kidogo.Models.Adapters;

/// <summary>How a kind of adapter file keeps what it changes.</summary>
/// <param name="Rotary">Which rows of queries and keys rotate together.</param>
/// <param name="FusedOrder">How the rows of fused queries, keys and values lie.</param>
/// <param name="FusesQkv">Whether queries, keys and values are changed as one matrix.</param>
/// <param name="FusesGate">Whether the gate and the other half of the feed-forward are.</param>
internal sealed record AdapterConventions(RotaryLayout Rotary, FusedOrder FusedOrder, bool FusesQkv, bool FusesGate)
{
    /// <summary>Those of PEFT: Hugging Face's modules.</summary>
    public static AdapterConventions OfPeft(ModelFamily family) => new(RotaryLayout.HalfSplit, family.HuggingFaceFusedOrder, family.FusesQkv, family.FusesGate);

    /// <summary>Those of llama.cpp: GGUF's tensors.</summary>
    public static AdapterConventions OfGguf(ModelFamily family) => new(family.GgufRotaryLayout, FusedOrder.Concatenated, family.FusesQkv, family.FusesGate);

    /// <summary>What a change of a file changes in a base.</summary>
    /// <param name="config">The base.</param>
    /// <param name="change">A change whose slot may be a fused one, with as many rows as it has there.</param>
    public IEnumerable<SlotChange> ToBase(DecoderConfig config, SlotChange change)
    {
        if (!CanonicalNames.TrySplitLayer($"{change.Slot}.", out int index, out string rest) || index >= config.NumLayers)
        {
            return [change];
        }

        LayerConfig layer = config.Layers[index];
        string In(string name) => CanonicalNames.InLayer(index, name);
        int[]? Heads(int heads) => RotaryOrder(config, layer, heads, toBase: true);
        switch (rest)
        {
            case "attn_q.":
                return [Picked(change, change.Slot, Heads(layer.NumHeads))];
            case "attn_k.":
                return [Picked(change, change.Slot, Heads(layer.NumKvHeads))];
            case "attn_qkv.":
                int[] parts = FusedOrder == FusedOrder.PerHead ? TensorOrders.HeadsToParts(layer) : TensorOrders.Range(0, layer.QuerySize + (2 * layer.KvSize));
                int q = layer.QuerySize, kv = layer.KvSize;
                return
                [
                    Picked(Picked(change, In("attn_q"), parts[..q]), In("attn_q"), Heads(layer.NumHeads)),
                    Picked(Picked(change, In("attn_k"), parts[q..(q + kv)]), In("attn_k"), Heads(layer.NumKvHeads)),
                    Picked(change, In("attn_v"), parts[(q + kv)..]),
                ];
            case "ffn_up." when layer.Gated && change.Change.B.Rows == 2L * layer.IntermediateSize:
                int width = layer.IntermediateSize;
                return [Picked(change, In("ffn_gate"), TensorOrders.Range(0, width)), Picked(change, In("ffn_up"), TensorOrders.Range(width, width))];
            default:
                return [change];
        }
    }

    /// <summary>Rows that a slot of a file has in a base; null where the base has no such slot.</summary>
    public (int Rows, int Columns)? ShapeOf(DecoderConfig config, string slot)
    {
        if (slot == "output")
        {
            return config.TiedHead ? null : (config.VocabSize, config.HiddenSize);
        }

        if (!CanonicalNames.TrySplitLayer($"{slot}.", out int index, out string rest) || index >= config.NumLayers)
        {
            return null;
        }

        LayerConfig layer = config.Layers[index];
        return rest switch
        {
            "attn_q." => (layer.QuerySize, config.HiddenSize),
            "attn_k." or "attn_v." => (layer.KvSize, config.HiddenSize),
            "attn_qkv." => (layer.QuerySize + (2 * layer.KvSize), config.HiddenSize),
            "attn_output." => (config.HiddenSize, layer.QuerySize),
            "ffn_gate." => layer.Gated ? (layer.IntermediateSize, config.HiddenSize) : null,
            "ffn_up." => (layer.Gated && FusesGate ? 2 * layer.IntermediateSize : layer.IntermediateSize, config.HiddenSize),
            "ffn_down." => (config.HiddenSize, layer.IntermediateSize),
            _ => null,
        };
    }

    /// <summary>The changes of an adapter as files have them: starts joined with what they are taken off from, fused where files fuse.</summary>
    /// <exception cref="NotSupportedException">Magnitudes are given for some parts of a matrix that files fuse, and not for the others.</exception>
    public List<SlotChange> ToFile(DecoderConfig config, Adapter adapter)
    {
        List<SlotChange> changes = [];
        Dictionary<string, SlotChange> left = new(StringComparer.Ordinal);
        foreach (SlotChange change in adapter.Changes.Values)
        {
            left.Add(change.Slot, change with { Change = Joined(change.Change) });
        }

        for (int i = 0; i < config.NumLayers; i++)
        {
            LayerConfig layer = config.Layers[i];
            string In(string name) => CanonicalNames.InLayer(i, name);
            SlotChange? Take(string name) => left.Remove(In(name), out SlotChange? taken) ? taken : null;
            SlotChange? q = Take("attn_q") is { } queries ? Picked(queries, queries.Slot, RotaryOrder(config, layer, layer.NumHeads, toBase: false)) : null;
            SlotChange? k = Take("attn_k") is { } keys ? Picked(keys, keys.Slot, RotaryOrder(config, layer, layer.NumKvHeads, toBase: false)) : null;
            Add(In("attn_qkv"), FusesQkv, (q, layer.QuerySize), (k, layer.KvSize), (Take("attn_v"), layer.KvSize));
            if (FusesQkv && FusedOrder == FusedOrder.PerHead && changes.Count > 0 && changes[^1].Slot == In("attn_qkv"))
            {
                changes[^1] = Picked(changes[^1], changes[^1].Slot, TensorOrders.PartsToHeads(layer));
            }

            foreach (SlotChange output in new[] { Take("attn_output") }.OfType<SlotChange>())
            {
                changes.Add(output);
            }

            Add(In("ffn_up"), FusesGate && layer.Gated, (Take("ffn_gate"), layer.IntermediateSize), (Take("ffn_up"), layer.IntermediateSize));
            foreach (SlotChange down in new[] { Take("ffn_down") }.OfType<SlotChange>())
            {
                changes.Add(down);
            }
        }

        changes.AddRange(left.Values);
        return changes;

        void Add(string fused, bool isFused, params (SlotChange? Change, int Rows)[] parts)
        {
            SlotChange[] present = [.. parts.Select(part => part.Change).OfType<SlotChange>()];
            if (!isFused || present.Length == 0)
            {
                changes.AddRange(present);
                return;
            }

            changes.Add(Fused(fused, parts));
        }
    }

    /// <summary>One change of a fused matrix: where the parts have one A, that; else all of them, each B in its own columns.</summary>
    private static SlotChange Fused(string slot, (SlotChange? Change, int Rows)[] parts)
    {
        SlotChange[] present = [.. parts.Select(part => part.Change).OfType<SlotChange>()];
        bool isOne = Array.TrueForAll(present, part => part.Change.A == present[0].Change.A);
        float scale = present[0].Change.Scale;
        Tensor a = isOne ? present[0].Change.A : Rows([.. present.Select(part => part.Change.A)]);
        Tensor b = new(parts.Sum(part => part.Rows), a.Rows);
        int row = 0, column = 0;
        foreach ((SlotChange? part, int rows) in parts)
        {
            for (int i = 0; part is not null && i < rows; i++)
            {
                Span<float> target = b.Row(row + i).Slice(column, part.Change.B.Columns);
                TensorPrimitives.Multiply(part.Change.B.Row(i), part.Change.Scale / scale, target);
            }

            row += rows;
            column += part is null || isOne ? 0 : part.Change.B.Columns;
        }

        bool hasMagnitudes = Array.Exists(present, part => part.Magnitudes is not null);
        if (hasMagnitudes && Array.Exists(parts, part => part.Change?.Magnitudes is null))
        {
            throw new NotSupportedException($"Files keep {slot} as one matrix, so its parts have magnitudes together or not at all. Adapt all of its parts, or use lora.");
        }

        return new SlotChange(slot, new LowRankChange(a, b, scale), hasMagnitudes ? new Tensor([.. present.SelectMany(part => part.Magnitudes!.Span.ToArray())]) : null);
    }

    /// <summary>s (B A - B₀ A₀) = s [B, -B₀] [A; A₀].</summary>
    private static LowRankChange Joined(LowRankChange change)
    {
        if (change.StartA is null)
        {
            return change;
        }

        int rank = change.Rank;
        Tensor b = new(change.B.Rows, 2 * rank);
        for (int row = 0; row < b.Rows; row++)
        {
            change.B.Row(row).CopyTo(b.Row(row));
            TensorPrimitives.Negate(change.StartB!.Row(row), b.Row(row)[rank..]);
        }

        return new LowRankChange(Rows([change.A, change.StartA]), b, change.Scale);
    }

    private static Tensor Rows(IReadOnlyList<Tensor> parts)
    {
        Tensor all = new(parts.Sum(part => part.Rows), parts[0].Columns);
        int at = 0;
        foreach (Tensor part in parts)
        {
            part.Span.CopyTo(all.Span[at..]);
            at += part.Length;
        }

        return all;
    }

    private static SlotChange Picked(SlotChange change, string slot, int[]? order)
    {
        if (order is null)
        {
            return change with { Slot = slot };
        }

        Tensor b = new(order.Length, change.Change.B.Columns);
        Tensor? magnitudes = change.Magnitudes is null ? null : new Tensor(1, order.Length);
        for (int row = 0; row < order.Length; row++)
        {
            change.Change.B.Row(order[row]).CopyTo(b.Row(row));
            if (magnitudes is not null)
            {
                magnitudes.Span[row] = change.Magnitudes!.Span[order[row]];
            }
        }

        return new SlotChange(slot, change.Change with { B = b }, magnitudes);
    }

    private int[]? RotaryOrder(DecoderConfig config, LayerConfig layer, int heads, bool toBase) => TensorArrangement.RotaryOf(config, layer) is { } rope
        ? TensorOrders.Rotary(toBase ? Rotary : rope.Layout, toBase ? rope.Layout : Rotary, heads, layer.HeadDim, Math.Min(rope.RotaryDims, layer.HeadDim))
        : null;
}
