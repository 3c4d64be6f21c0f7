// A model's blocks one at a time, for those who look at what flows between them. Knows no reason to.
using Kidogo.Models.Layers;
using Kidogo.Tensors;

namespace Kidogo.Models;

/// <summary>Runs whole sequences through a model block by block, so that only the residual stream has to be kept between.</summary>
/// <remarks>
/// What goes through is what <see cref="DecoderModel.Forward"/> computes in a training context: no cache, each sequence from position 0. The caller keeps the stream; whatever is rented
/// from the context is the caller's to forget.
/// </remarks>
public sealed class BlockWalk : IDisposable
{
    private readonly DecoderModel _model;
    private readonly ComputeContext _context;
    private readonly SequenceBatch _batch = new();
    private readonly SlotsByBlock _slots;

    /// <summary>Begins.</summary>
    /// <param name="model">The model.</param>
    /// <param name="context">A training context.</param>
    /// <exception cref="ArgumentException">The context is for inference.</exception>
    public BlockWalk(DecoderModel model, ComputeContext context)
    {
        if (!context.IsTraining)
        {
            throw new ArgumentException("Blocks are walked without caches, which needs a training context.", nameof(context));
        }

        (_model, _context) = (model, context);
        _slots = new SlotsByBlock();
    }

    /// <summary>Number of blocks.</summary>
    public int Blocks => _model.Blocks.Count;

    /// <summary>What is in the slots of a block, in the order of computation.</summary>
    public IReadOnlyList<Layer> Slots(int block)
    {
        _slots.Layers.Clear();
        _model.Blocks[block].Visit(_slots);
        return [.. _slots.Layers];
    }

    /// <summary>What goes into the first block.</summary>
    /// <param name="ids">Sequences one after the other, of <paramref name="length"/> tokens each.</param>
    /// <param name="length">Tokens of a sequence.</param>
    /// <returns>[T, D], rented.</returns>
    public Tensor Embed(ReadOnlySpan<int> ids, int length)
    {
        Fill(ids, length);
        return _model.Embed(_context, _batch);
    }

    /// <summary>Runs a block.</summary>
    /// <param name="block">Which.</param>
    /// <param name="x">[T, D] What goes in.</param>
    /// <param name="ids">The tokens that it is of.</param>
    /// <param name="length">Tokens of a sequence.</param>
    /// <returns>[T, D] What comes out, rented.</returns>
    public Tensor Run(int block, Tensor x, ReadOnlySpan<int> ids, int length)
    {
        Fill(ids, length);
        return _model.Blocks[block].Forward(_context, x, _batch);
    }

    /// <summary>What goes into the head.</summary>
    /// <param name="x">[T, D] What came out of the last block.</param>
    /// <returns>[T, D], rented.</returns>
    public Tensor Finish(Tensor x) => _model.FinalNorm.Forward(_context, x);

    /// <summary>What the head makes of it.</summary>
    /// <param name="x">[T, D] What <see cref="Finish"/> gave, or some rows of it.</param>
    /// <returns>[T, V], rented.</returns>
    public Tensor Logits(Tensor x) => _model.Logits(_context, x);

    /// <inheritdoc/>
    public void Dispose() => _batch.Dispose();

    private void Fill(ReadOnlySpan<int> ids, int length)
    {
        if (length < 1 || ids.Length == 0 || ids.Length % length != 0)
        {
            throw new ArgumentException($"{ids.Length} tokens are no whole sequences of {length}.", nameof(ids));
        }

        _batch.Clear();
        for (int first = 0; first < ids.Length; first += length)
        {
            _batch.Add(null, ids.Slice(first, length), LogitRows.None);
        }

        _batch.PrepareWithoutCaches(_model);
        _batch.Select(0, _batch.Count);
    }

    private sealed class SlotsByBlock : ISlotVisitor
    {
        public List<Layer> Layers { get; } = [];

        public void Visit<TLayer>(ref TLayer slot)
            where TLayer : Layer => Layers.Add(slot);
    }
}
