// The decoder: one definition for every family, in every mode. Knows token ids, not text, and nothing of sampling.
using Kidogo.Models.Adapters;
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models;

/// <summary>A decoder-only language model.</summary>
/// <remarks>
/// <code>
///   ids ─ token_embd (· scale) (+ position_embd) ─ blk.0 … blk.n ─ output_norm ─ output (or token_embd) (· scale) (cap) ─ logits
/// </code>
/// Weights are immutable and shared: any number of passes may run at once, each in its own context with its own batch and caches.
/// </remarks>
public sealed class DecoderModel : IDisposable
{
    private readonly DecoderBlock[] _blocks;
    private readonly bool _dependsOnLength;
    private TokenEmbedding _embedding;
    private TokenEmbedding? _positions;
    private Norm _norm;
    private Linear? _head;

    internal DecoderModel(DecoderConfig config, DecoderParts parts)
    {
        Config = config;
        _blocks = parts.Blocks;
        _embedding = parts.Embedding;
        _positions = parts.Positions;
        _norm = parts.Norm;
        _head = parts.Head;
        Adapters = new AdapterSet(this);
        _dependsOnLength = config.Layers.Any(layer => layer.Rope is { DependsOnLength: true });
        long counted = Slots().Sum(slot => slot.ParameterCount);
        if (counted != config.ParameterCount)
        {
            throw new InvalidOperationException($"The slots hold {counted} parameters, but by the configuration there should be {config.ParameterCount}: a slot is not visited, or the formula is wrong.");
        }
    }

    /// <summary>What the model does.</summary>
    public DecoderConfig Config { get; }

    /// <summary>The adapters that hang on the model.</summary>
    public AdapterSet Adapters { get; }

    /// <summary>Bytes of memory that the weights hold beside the mapped file.</summary>
    public long MemoryBytes => Slots().Sum(slot => slot.MemoryBytes);

    internal IReadOnlyList<DecoderBlock> Blocks => _blocks;

    /// <summary>The norm before the head.</summary>
    internal Norm FinalNorm => _norm;

    /// <summary>An empty cache for one sequence.</summary>
    /// <param name="contextLength">Positions that may be cached, where positions are learned no more than those; 0 for the model's own context. Rotations that depend on the length go by it.</param>
    /// <param name="format">How keys and values are stored.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative.</exception>
    public KvCache CreateCache(int contextLength = 0, KvFormat format = KvFormat.F16)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(contextLength);
        int wanted = contextLength == 0 ? Config.ContextLength : contextLength;
        return new KvCache(this, Config.LearnedPositions > 0 ? Math.Min(wanted, Config.LearnedPositions) : wanted, format);
    }

    /// <summary>Computes the new tokens of a batch and adds them to the caches.</summary>
    /// <param name="context">The surroundings.</param>
    /// <param name="batch">The sequences.</param>
    /// <returns>The logits [rows that get logits, V], in the order of the batch, valid until the context is released to a mark from before.</returns>
    /// <exception cref="ArgumentException">The batch is empty, has an id outside the vocabulary, or a sequence would outgrow its context.</exception>
    /// <exception cref="DamagedWeightsException">A key or value for a cache in float16 is infinite or no number: the weights are damaged.</exception>
    /// <exception cref="OutOfMemoryException">The system has no room for the caches.</exception>
    /// <remarks>
    /// Whatever it throws, the caches are as they were: a pass that fails in the middle is taken back.
    /// In a training context every sequence is whole and has no cache, nothing is attended across sequences, each begins at position 0 (so packed documents are sequences),
    /// and the batch must stay as it is until the backward pass is over.
    /// </remarks>
    public Tensor Forward(ComputeContext context, SequenceBatch batch)
    {
        if (context.IsTraining)
        {
            batch.PrepareWithoutCaches(this);
            return ForwardPrepared(context, batch);
        }

        batch.Prepare(this, context.CacheFormat);
        int mark = context.Mark();
        try
        {
            return ForwardPrepared(context, batch);
        }
        catch
        {
            batch.TakeBack();
            context.ReleaseTo(mark);
            throw;
        }
        finally
        {
            context.SetVariants([]);
        }
    }

    /// <summary>Goes over all slots in the order of computation.</summary>
    public void Visit(ISlotVisitor visitor)
    {
        visitor.Visit(ref _embedding);
        if (_positions is not null)
        {
            visitor.Visit(ref _positions);
        }

        foreach (DecoderBlock block in _blocks)
        {
            block.Visit(visitor);
        }

        visitor.Visit(ref _norm);
        if (_head is not null)
        {
            visitor.Visit(ref _head);
        }
    }

    /// <summary>What is in all slots, in the order of computation.</summary>
    public IReadOnlyList<Layer> Slots()
    {
        SlotCollector collector = new();
        Visit(collector);
        return collector.Layers;
    }

    /// <summary>Puts something else into slots. Not while a pass runs.</summary>
    /// <param name="replacement">From what is in a slot to what shall be there: itself to keep it. What is taken out is the caller's to dispose.</param>
    /// <exception cref="ArgumentException">A slot cannot hold what it was given.</exception>
    public void Replace(Func<Layer, Layer> replacement) => Visit(new SlotReplacer(replacement));

    /// <summary>Disposes the weights.</summary>
    public void Dispose()
    {
        foreach (Layer slot in Slots())
        {
            (slot as Linear)?.Weight.Dispose();
            (slot as TokenEmbedding)?.Weight.Dispose();
        }
    }

    /// <summary>The cross entropy of the rows that ask for logits, in a training context: the same as of <see cref="Forward"/>'s logits, but these are never whole.</summary>
    /// <param name="context">A training context.</param>
    /// <param name="batch">Whole sequences without caches; it must stay as it is until the backward pass is over.</param>
    /// <param name="targets">For each row with logits an id, or <see cref="CrossEntropyOp.NoTarget"/>.</param>
    /// <param name="options">What the loss is; null for plain cross entropy.</param>
    /// <exception cref="ArgumentException">The batch or the targets do not fit.</exception>
    /// <exception cref="NotSupportedException">The context is not for training, or the sequences need rotations of their own.</exception>
    /// <remarks>What is said of gradients at <see cref="HeadLossOp"/> holds: go back through it, and through nothing after it.</remarks>
    public CrossEntropyResult Loss(ComputeContext context, SequenceBatch batch, ReadOnlySpan<int> targets, CrossEntropyOptions? options = null)
    {
        if (!context.IsTraining)
        {
            throw new NotSupportedException("The loss of a batch is computed in a training context. Use ComputeContext.Training; judging a model is the evaluation's business.");
        }

        if (_head is { IsPlain: false } || batch.LogitRowCount == 0)
        {
            return CrossEntropyOp.Apply(context, Forward(context, batch), targets, (options ?? new CrossEntropyOptions()) with { OverwritesLogits = true });
        }

        batch.PrepareWithoutCaches(this);
        if (_dependsOnLength && !batch.HasOneRotaryLength)
        {
            throw LengthsDiffer();
        }

        batch.Select(0, batch.Count);
        LossHead head = new(_head?.Weight ?? _embedding.Weight, _head?.Bias, Config.LogitScale, Config.LogitSoftcap);
        return HeadLossOp.Apply(context, LastRows(context, batch), head, targets, options);
    }

    /// <summary>Where a pass first has a value that is infinite or no number: the slot or the layer whose output it is. The head, whose logits may be large, is left out.</summary>
    /// <param name="context">A training context; what it recorded is forgotten.</param>
    /// <param name="batch">As for <see cref="Loss"/>.</param>
    /// <returns><c>token_embd</c>, <c>blk.N</c> or <c>output_norm</c>; null where all these outputs are finite.</returns>
    public string? FirstNonFinite(ComputeContext context, SequenceBatch batch)
    {
        batch.PrepareWithoutCaches(this);
        batch.Select(0, batch.Count);
        try
        {
            Tensor x = _embedding.Forward(context, batch.Tokens);
            if (IsNonFinite(x))
            {
                return _embedding.Name;
            }

            x = _positions is null ? x : AddOp.Apply(context, x, _positions.Forward(context, batch.Positions));
            for (int i = 0; i < _blocks.Length; i++)
            {
                x = Run(context, _blocks[i], x, batch);
                if (IsNonFinite(x))
                {
                    return string.Create(System.Globalization.CultureInfo.InvariantCulture, $"blk.{i}");
                }
            }

            return IsNonFinite(_norm.Forward(context, x)) ? _norm.Name : null;
        }
        finally
        {
            context.Forget();
        }
    }

    private static bool IsNonFinite(Tensor values) => values.Span.ContainsAnyExceptInRange(float.MinValue, float.MaxValue); // no number compares as less than all

    /// <summary>Tells the layers which adapter each row is computed with. In training all rows go with the model's own.</summary>
    private void SetVariants(ComputeContext context, SequenceBatch batch, bool ofLogits)
    {
        if (Adapters.All.Count > 0 && !context.IsTraining)
        {
            context.SetVariants(ofLogits ? batch.LogitVariants() : batch.RowVariants());
        }
    }

    private static NotSupportedException LengthsDiffer() =>
        new("Sequences of different lengths cannot be in one training batch of a model whose rotary scaling depends on the length. Train on sequences of one length.");

    private Tensor ForwardPrepared(ComputeContext context, SequenceBatch batch)
    {
        if (!_dependsOnLength || batch.HasOneRotaryLength)
        {
            batch.Select(0, batch.Count);
            return ForwardSelected(context, batch);
        }

        // Sequences whose rotations differ go one by one; that changes how, not what.
        if (context.IsTraining)
        {
            throw LengthsDiffer();
        }

        Tensor logits = context.Rent(batch.LogitRowCount, Config.VocabSize);
        int row = 0;
        for (int i = 0; i < batch.Count; i++)
        {
            int mark = context.Mark();
            batch.Select(i, 1);
            Tensor part = ForwardSelected(context, batch);
            part.Span.CopyTo(logits.Span[(row * Config.VocabSize)..]);
            row += part.Rows;
            context.ReleaseTo(mark);
        }

        return logits;
    }

    private Tensor ForwardSelected(ComputeContext context, SequenceBatch batch)
    {
        if (batch.SelectedLogitRows.Length == 0)
        {
            Hidden(context, batch);
            return context.Rent(0, Config.VocabSize);
        }

        Tensor x = LastRows(context, batch);
        SetVariants(context, batch, ofLogits: true);
        return Logits(context, x);
    }

    /// <summary>The logits of rows that went through the last norm. [T, V]</summary>
    internal Tensor Logits(ComputeContext context, Tensor x)
    {
        Tensor logits = _head is null ? LinearOp.ApplyRefined(context, x, _embedding.Weight, null) : _head.ForwardAsHead(context, x);
        logits = Config.LogitScale == 1 ? logits : ScaleOp.Apply(context, logits, Config.LogitScale);
        return Config.LogitSoftcap == 0 ? logits : SoftcapOp.Apply(context, logits, Config.LogitSoftcap);
    }

    /// <summary>The rows that get logits, normalised.</summary>
    private Tensor LastRows(ComputeContext context, SequenceBatch batch)
    {
        Tensor x = Hidden(context, batch);
        if (batch.SelectedLogitRows.Length < x.Rows)
        {
            x = RowsOp.Apply(context, x, batch.SelectedLogitRows);
        }

        return _norm.Forward(context, x);
    }

    /// <summary>What goes into the first block.</summary>
    internal Tensor Embed(ComputeContext context, SequenceBatch batch)
    {
        Tensor x = _embedding.Forward(context, batch.Tokens);
        return _positions is null ? x : AddOp.Apply(context, x, _positions.Forward(context, batch.Positions));
    }

    /// <summary>What comes out of the last block.</summary>
    private Tensor Hidden(ComputeContext context, SequenceBatch batch)
    {
        if (batch.Taps is not null && context.IsTraining && (context.CheckpointActivations || context.StoresBFloat16))
        {
            throw new NotSupportedException("States of layers are left only by passes that keep them: without activations that are computed again, and in float32.");
        }

        SetVariants(context, batch, ofLogits: false);
        Tensor x = Embed(context, batch);
        for (int i = 0; i < _blocks.Length; i++)
        {
            x = context.IsTraining ? Run(context, _blocks[i], x, batch) : _blocks[i].Forward(context, x, batch);
            batch.Taps?.KeepHidden(context, batch, i, x);
        }

        return x;
    }

    // In a method of its own: what the function holds on to is allocated only here.
    private static Tensor Run(ComputeContext context, DecoderBlock block, Tensor x, SequenceBatch batch) => context.RunBlock(x, input => block.Forward(context, input, batch));

    private sealed class SlotCollector : ISlotVisitor
    {
        public List<Layer> Layers { get; } = [];

        public void Visit<TLayer>(ref TLayer slot)
            where TLayer : Layer => Layers.Add(slot);
    }

    private sealed class SlotReplacer(Func<Layer, Layer> replacement) : ISlotVisitor
    {
        public void Visit<TLayer>(ref TLayer slot)
            where TLayer : Layer
        {
            Layer given = replacement(slot);
            slot = given as TLayer ?? throw new ArgumentException($"The slot {slot.Name} holds a {typeof(TLayer).Name}; it cannot hold the {given.GetType().Name} it was given.");
        }
    }
}

/// <summary>The parts of a decoder.</summary>
/// <param name="Embedding">[V, D]</param>
/// <param name="Positions">[positions, D], or null.</param>
/// <param name="Blocks">The layers.</param>
/// <param name="Norm">Before the head.</param>
/// <param name="Head">[V, D]; null where it is the embedding.</param>
internal sealed record DecoderParts(TokenEmbedding Embedding, TokenEmbedding? Positions, DecoderBlock[] Blocks, Norm Norm, Linear? Head);
