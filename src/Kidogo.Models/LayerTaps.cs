// What a pass leaves of its inside, for losses that compare it. Knows no losses.
using Kidogo.Tensors;

namespace Kidogo.Models;

/// <summary>Queries, keys and values of a layer as its attention sees them: normalised and rotated where it does so.</summary>
/// <param name="Query">[T, H·E]</param>
/// <param name="Key">[T, K·E]</param>
/// <param name="Value">[T, K·E]</param>
public readonly record struct AttentionStates(Tensor Query, Tensor Key, Tensor Value);

/// <summary>Asks the passes of a batch (<see cref="SequenceBatch.Taps"/>) to leave the states of some layers.</summary>
/// <remarks>
/// In training these are the tensors of the pass itself: gradients flow into them until the backward pass is over. In inference they are copies, valid until
/// the next pass.
/// </remarks>
/// <param name="hidden">Layers whose output is left.</param>
/// <param name="attention">Layers whose queries, keys and values are left.</param>
public sealed class LayerTaps(IEnumerable<int> hidden, IEnumerable<int> attention)
{
    private readonly Dictionary<int, Tensor?> _hidden = hidden.Distinct().ToDictionary(layer => layer, _ => (Tensor?)null);
    private readonly Dictionary<int, Tensor?[]> _attention = attention.Distinct().ToDictionary(layer => layer, _ => new Tensor?[3]);

    /// <summary>The residual stream after a layer. [T, D]</summary>
    /// <exception cref="InvalidOperationException">No pass has left it.</exception>
    public Tensor Hidden(int layer) => _hidden.GetValueOrDefault(layer) ?? throw Missing(layer);

    /// <summary>Queries, keys and values of a layer.</summary>
    /// <exception cref="InvalidOperationException">No pass has left them.</exception>
    public AttentionStates Attention(int layer) =>
        _attention.TryGetValue(layer, out Tensor?[]? parts) && parts is [{ } query, { } key, { } value] ? new AttentionStates(query, key, value) : throw Missing(layer);

    internal void KeepHidden(ComputeContext context, SequenceBatch batch, int layer, Tensor x)
    {
        if (_hidden.TryGetValue(layer, out Tensor? there))
        {
            _hidden[layer] = Kept(context, batch, there, x);
        }
    }

    internal void KeepAttention(ComputeContext context, SequenceBatch batch, int layer, Tensor query, Tensor key, Tensor value)
    {
        if (_attention.TryGetValue(layer, out Tensor?[]? there))
        {
            there[0] = Kept(context, batch, there[0], query);
            there[1] = Kept(context, batch, there[1], key);
            there[2] = Kept(context, batch, there[2], value);
        }
    }

    /// <summary>In inference storage is used again at once, and sequences may be computed one by one.</summary>
    private static Tensor Kept(ComputeContext context, SequenceBatch batch, Tensor? there, Tensor x)
    {
        if (context.IsTraining)
        {
            return x;
        }

        Tensor copy = there is not null && there.Rows == batch.TokenCount && there.Columns == x.Columns ? there : new Tensor(batch.TokenCount, x.Columns);
        x.Span.CopyTo(copy.Span[(batch.FirstSelectedRow * x.Columns)..]);
        return copy;
    }

    private static InvalidOperationException Missing(int layer) => new($"No pass has left states of layer {layer}: ask for it when the taps are made, and run the batch first.");
}
