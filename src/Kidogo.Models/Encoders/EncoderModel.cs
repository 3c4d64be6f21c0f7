// The encoder: one definition for every family. Knows token ids, not text, and nothing of pooling.
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Encoders;

/// <summary>An encoder of BERT's kind: every token sees its whole text.</summary>
/// <remarks>
/// <code>
///   ids ─ token_embd + position_embd + token_types ─ token_embd_norm ─ blk.0 … blk.n ─ states
/// </code>
/// Texts of a pass lie one after the other without padding, and none sees another, so a text's states do not depend on its neighbours.
/// Weights are immutable and shared: any number of passes may run at once, each in its own context.
/// </remarks>
public sealed class EncoderModel : IDisposable
{
    private readonly EncoderBlock[] _blocks;
    private TokenEmbedding _tokens, _positions;
    private TokenEmbedding? _types;
    private Norm _norm;

    internal EncoderModel(EncoderConfig config, TokenEmbedding tokens, TokenEmbedding positions, TokenEmbedding? types, Norm norm, EncoderBlock[] blocks)
    {
        Config = config;
        (_tokens, _positions, _types, _norm, _blocks) = (tokens, positions, types, norm, blocks);
    }

    /// <summary>What the model does.</summary>
    public EncoderConfig Config { get; }

    /// <summary>Bytes of memory that the weights hold beside the mapped file.</summary>
    public long MemoryBytes => Slots().Sum(slot => slot.MemoryBytes);

    /// <summary>Computes the states of some texts.</summary>
    /// <param name="context">The surroundings.</param>
    /// <param name="ids">The tokens of all texts, one text after the other. [T]</param>
    /// <param name="lengths">Tokens of each text; they add up to T.</param>
    /// <param name="types">For each token the kind of its segment; empty for 0 throughout.</param>
    /// <returns>The states after the last layer [T, D], valid until the context is released to a mark from before.</returns>
    /// <exception cref="ArgumentException">There is no token, a text is empty or longer than the context, an id or a kind does not exist, or lengths do not fit.</exception>
    public Tensor Forward(ComputeContext context, ReadOnlySpan<int> ids, ReadOnlySpan<int> lengths, ReadOnlySpan<int> types = default)
    {
        SequenceRows[] sequences = new SequenceRows[lengths.Length];
        int[] positions = new int[ids.Length];
        int[] kinds = types.IsEmpty ? new int[ids.Length] : types.ToArray();
        int first = 0;
        for (int i = 0; i < lengths.Length; i++)
        {
            if (lengths[i] < 1 || lengths[i] > Config.ContextLength || lengths[i] > ids.Length - first)
            {
                throw new ArgumentException($"Text {i} has {lengths[i]} tokens; expected 1 to {Config.ContextLength}, and {ids.Length} in all.", nameof(lengths));
            }

            sequences[i] = new SequenceRows(first, lengths[i], null);
            Place(ids.Slice(first, lengths[i]), positions.AsSpan(first, lengths[i]));
            first += lengths[i];
        }

        Check(ids, Config.VocabSize, "id");
        if (first != ids.Length || first == 0 || kinds.Length != ids.Length)
        {
            throw new ArgumentException($"The texts have {first} tokens and {kinds.Length} kinds of segments; there are {ids.Length} ids.", nameof(lengths));
        }

        Tensor x = AddOp.Apply(context, _tokens.Forward(context, ids), _positions.Forward(context, positions));
        if (_types is not null)
        {
            Check(kinds, Config.Types, "kind of segment");
            x = AddOp.Apply(context, x, _types.Forward(context, kinds));
        }

        x = _norm.Forward(context, x);
        Tensor states = context.Rent(x.Rows, x.Columns);
        int mark = context.Mark();
        foreach (EncoderBlock block in _blocks)
        {
            x = block.Forward(context, x, sequences);
            if (!context.IsTraining)
            {
                x.Span.CopyTo(states.Span); // so that the layer's buffers serve the next
                context.ReleaseTo(mark);
                x = states;
            }
        }

        return x;
    }

    /// <summary>What is in all slots, in the order of computation.</summary>
    public IReadOnlyList<Layer> Slots()
    {
        SlotList slots = new();
        Visit(slots);
        return slots.Layers;
    }

    /// <summary>Goes over all slots in the order of computation.</summary>
    public void Visit(ISlotVisitor visitor)
    {
        visitor.Visit(ref _tokens);
        visitor.Visit(ref _positions);
        if (_types is not null)
        {
            visitor.Visit(ref _types);
        }

        visitor.Visit(ref _norm);
        foreach (EncoderBlock block in _blocks)
        {
            block.Visit(visitor);
        }
    }

    /// <summary>Disposes the weights.</summary>
    public void Dispose()
    {
        foreach (Layer slot in Slots())
        {
            (slot as Linear)?.Weight.Dispose();
            (slot as TokenEmbedding)?.Weight.Dispose();
        }
    }

    /// <summary>Where each token stands: RoBERTa counts from the padding's id on, and leaves padding out.</summary>
    private void Place(ReadOnlySpan<int> ids, Span<int> positions)
    {
        int next = Config.FirstPosition;
        for (int i = 0; i < ids.Length; i++)
        {
            positions[i] = ids[i] == Config.PaddingId ? ids[i] : next++;
        }
    }

    private static void Check(ReadOnlySpan<int> values, int count, string what)
    {
        int wrong = values.IndexOfAnyExceptInRange(0, count - 1);
        if (wrong >= 0)
        {
            throw new ArgumentException($"Token {wrong} has the {what} {values[wrong]}; expected 0 to {count - 1}.", nameof(values));
        }
    }

    private sealed class SlotList : ISlotVisitor
    {
        public List<Layer> Layers { get; } = [];

        public void Visit<TLayer>(ref TLayer slot)
            where TLayer : Layer => Layers.Add(slot);
    }
}
