// How a forward pass is computed: with which threads, in which precision, with or without a record for gradients. Knows no models.
namespace Kidogo.Tensors;

/// <summary>What arithmetic a context uses for weights that are stored in blocks.</summary>
public enum ComputePrecision
{
    /// <summary>Activations are rounded to 8 bits where a block format has a fast kernel; keys and values are kept in float16.</summary>
    Fast,

    /// <summary>Everything in float32.</summary>
    Exact,
}

/// <summary>Neighbouring rows of a pass that are computed with one variant of the weights.</summary>
/// <param name="FirstRow">Their first.</param>
/// <param name="Rows">How many.</param>
/// <param name="Variant">The variant, by a number that layers know; 0 for the weights as they are.</param>
public readonly record struct RowVariant(int FirstRow, int Rows, int Variant);

/// <summary>The surroundings of a forward pass. One pass at a time.</summary>
public sealed class ComputeContext : IDisposable
{
    private readonly Workspace _workspace = new();
    private readonly GradientTape? _tape;
    private readonly List<RowVariant> _variants = [];

    private ComputeContext(int threads, ComputePrecision precision, bool isTraining, bool checkpointActivations, bool storesBFloat16)
    {
        StoresBFloat16 = storesBFloat16;
        CheckpointActivations = checkpointActivations;
        Team = new WorkerTeam(threads);
        Precision = precision;
        Works = new Ops.OpWorks(threads);
        _tape = isTraining ? new GradientTape(checkpointActivations, storesBFloat16) : null;
    }

    /// <summary>A context that keeps nothing for gradients and uses its buffers again.</summary>
    /// <param name="threads">Threads to compute with; 0 for one per processor.</param>
    /// <param name="precision">The arithmetic.</param>
    public static ComputeContext Inference(int threads = 0, ComputePrecision precision = ComputePrecision.Fast) =>
        new(threads == 0 ? Environment.ProcessorCount : threads, precision, isTraining: false, checkpointActivations: false, storesBFloat16: false);

    /// <summary>A context that records a forward pass for gradients. Ops that have no backward refuse to run under it.</summary>
    /// <param name="threads">Threads to compute with; 0 for one per processor.</param>
    /// <param name="checkpointActivations">Whether models keep only what goes from block to block, and compute a block again for its gradients (<see cref="Recompute"/>): a third more
    /// time, much less memory, and the same bits.</param>
    /// <param name="storesBFloat16">Whether weights and activations are stored as bfloat16; see <see cref="StoresBFloat16"/>.</param>
    /// <remarks>
    /// Tensors that are rented live until <see cref="Backward"/> has passed the op that made them, or <see cref="Forget"/>; marks do nothing.
    /// No op writes onto its input here.
    /// </remarks>
    public static ComputeContext Training(int threads = 0, bool checkpointActivations = false, bool storesBFloat16 = false) =>
        new(threads == 0 ? Environment.ProcessorCount : threads, ComputePrecision.Exact, isTraining: true, checkpointActivations, storesBFloat16);

    /// <summary>Bytes of the buffers in which a training context brings the sides of a product into the form of the kernels.</summary>
    /// <param name="extent">The most rows of a left side, some columns of which are packed at a time.</param>
    /// <param name="values">The most values of a right side.</param>
    public static long PackedBytes(long extent, long values) =>
        sizeof(float) * (Math.Min(extent * Ops.ProductWork.BlockDepth, Ops.ProductWork.MostPackedFloats) + Math.Min(values, Ops.ProductWork.MostPackedFloats));

    /// <summary>The threads.</summary>
    public WorkerTeam Team { get; }

    /// <summary>The arithmetic.</summary>
    public ComputePrecision Precision { get; }

    /// <summary>How this precision keeps keys and values: float16, or float32 where everything is.</summary>
    public KvFormat CacheFormat => Precision == ComputePrecision.Exact ? KvFormat.F32 : KvFormat.F16;

    /// <summary>Whether the context is for training: no op writes onto its input, and attention reads no cache.</summary>
    public bool IsTraining => _tape is not null;

    /// <summary>Whether models compute their blocks again for the gradients instead of keeping what is in them.</summary>
    public bool CheckpointActivations { get; }

    /// <summary>Whether weights and activations are seen as bfloat16.</summary>
    /// <remarks>
    /// Every value of a trained weight, norm, bias or table is rounded to nearest even as it is read, forward and backward; the weight itself stays float32, and its gradient goes
    /// straight to it. What an op of a block gives is rounded where it is made, so that what is kept for gradients takes two bytes a value and loses nothing: the bits are the same
    /// with and without <see cref="CheckpointActivations"/>. Logits, gradients, and every sum, are float32.
    /// </remarks>
    public bool StoresBFloat16 { get; }

    /// <summary>Whether ops are recorded now: in training, but not in the first pass of a block that is computed again for its gradients.</summary>
    public bool IsRecording => _tape is { IsPaused: false };

    /// <summary>Bytes of the tensors of a training context: rented, or waiting to be rented again. 0 in inference.</summary>
    public long TapeBytes => _tape?.Bytes ?? 0;

    /// <summary>Which variant of the weights each row of the pass is computed with, in the order of rows; empty where all rows are alike.</summary>
    public ReadOnlySpan<RowVariant> Variants => System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_variants);

    /// <summary>The reusable work items and scratch buffers of the ops.</summary>
    internal Ops.OpWorks Works { get; }

    /// <summary>A tensor of undefined content, valid until <see cref="ReleaseTo"/> returns to an earlier mark; in training until the backward pass has used it.</summary>
    public Tensor Rent(int rows, int columns) => _tape?.Rent(rows, columns) ?? _workspace.Rent(rows, columns);

    /// <summary>Says which variant of the weights rows are computed with from here on.</summary>
    /// <param name="variants">In the order of rows, without gaps; empty where all rows are alike.</param>
    public void SetVariants(ReadOnlySpan<RowVariant> variants)
    {
        _variants.Clear();
        _variants.AddRange(variants);
    }

    /// <summary>Remembers what is rented now.</summary>
    public int Mark() => _workspace.Mark();

    /// <summary>Gives back every tensor that was rented after <paramref name="mark"/>. Does nothing in training.</summary>
    public void ReleaseTo(int mark) => _workspace.ReleaseTo(mark);

    /// <summary>Finds the gradients of a loss with respect to everything it was computed from, and forgets the pass.</summary>
    /// <param name="loss">[1, 1]</param>
    /// <remarks>Gradients of parameters add up (<see cref="Tensor.Gradient"/>); all others are given back.</remarks>
    /// <exception cref="InvalidOperationException">The context is not for training, or nothing recorded led to the loss.</exception>
    public void Backward(Tensor loss) => Tape.Backward(loss);

    /// <summary>Forgets a recorded pass without going back through it, and gives back all its tensors.</summary>
    public void Forget() => Tape.Forget();

    /// <summary>Computes one of the blocks that follow each other. What is kept of it for its gradients is chosen here: all of it, all of it as bfloat16
    /// (<see cref="StoresBFloat16"/>), or its input alone (<see cref="CheckpointActivations"/>, and see <see cref="Recompute"/>).</summary>
    /// <param name="x">What it is computed from; nothing but the block reads it from here on, and it may be empty until gradients are asked for.</param>
    /// <param name="block">The computation, the same each time it is called; it may use parameters, but no other recorded tensor than x.</param>
    /// <returns>What the computation gives, the same bits in each of these forms.</returns>
    public Tensor RunBlock(Tensor x, Func<Tensor, Tensor> block) => Tape.Run(x, block);

    /// <summary>Computes something without recording it, between the passes that are: the storage is that of these passes, all of it is given back at the end, and blocks keep
    /// nothing (<see cref="RunBlock"/>).</summary>
    /// <param name="compute">The computation; what it returns must hold no tensor of its own.</param>
    /// <exception cref="InvalidOperationException">The context is not for training, or a pass was recorded and not gone back through.</exception>
    public T Judge<T>(Func<T> compute) => Tape.Judge(compute);

    /// <summary>Computes something whose inner values are not kept: they are computed again when its gradients are asked for (Chen et al., arXiv 1604.06174).</summary>
    /// <param name="x">What it is computed from.</param>
    /// <param name="block">The computation, the same each time it is called; it may use parameters, but no other recorded tensor than x.</param>
    /// <returns>What the computation gives: bit for bit the same as without.</returns>
    /// <remarks>Where activations are stored as bfloat16 and x is nothing else, x is kept in two bytes a value and is empty from here until its gradients are asked for.</remarks>
    public Tensor Recompute(Tensor x, Func<Tensor, Tensor> block) => Tape.Recompute(x, block);

    /// <summary>Whether an op must record its backward: gradients are asked for, and one of its inputs needs one.</summary>
    internal bool Records(Tensor x, Tensor? y = null, Tensor? z = null) =>
        IsRecording && (x.NeedsGradient || y is { NeedsGradient: true } || z is { NeedsGradient: true });

    /// <summary>Records how the gradient of <paramref name="output"/> flows into the inputs it was computed from.</summary>
    /// <param name="output">What the op computed.</param>
    /// <param name="backward">Called once, when <c>output.Gradient</c> is complete; adds to the gradients of those inputs that need one (<see cref="GradientOf(Tensor)"/>).</param>
    internal void Record(Tensor output, Action backward) => Tape.Record(output, backward);

    /// <summary>The gradient of a tensor, to be added to.</summary>
    /// <param name="x">A tensor that needs a gradient.</param>
    /// <param name="isNew">Whether nothing is in it yet: then its content is undefined, and all of it must be written.</param>
    internal Tensor GradientOf(Tensor x, out bool isNew) => Tape.GradientOf(x, out isNew);

    /// <summary>The gradient of a tensor, zeros if nothing is in it yet, to be added to.</summary>
    /// <param name="x">A tensor that needs a gradient.</param>
    internal Tensor GradientOf(Tensor x)
    {
        Tensor gradient = GradientOf(x, out bool isNew);
        if (isNew)
        {
            gradient.Span.Clear();
        }

        return gradient;
    }

    /// <summary>Passes the gradient of an output on to an input as it is, without a copy, where nothing is in the input's yet.</summary>
    /// <param name="output">The output, whose gradient nothing may read afterwards.</param>
    /// <param name="x">An input of the same shape that needs a gradient.</param>
    /// <returns>Whether it was: otherwise the caller must add it (<see cref="GradientOf(Tensor)"/>).</returns>
    internal static bool HandOver(Tensor output, Tensor x) => GradientTape.HandOver(output, x);

    /// <summary>Takes the storage of a recorded tensor that nothing will read again for something of the same shape: x is empty afterwards.</summary>
    /// <returns>A tensor with the values of x.</returns>
    internal Tensor Overwrite(Tensor x) => Tape.Overwrite(x);

    /// <summary>A parameter as it is stored for computing: itself, or a copy rounded to bfloat16. For vectors; matrices are rounded while they are packed.</summary>
    internal Tensor Stored(Tensor parameter)
    {
        if (!StoresBFloat16 || !parameter.IsParameter)
        {
            return parameter;
        }

        Tensor rounded = Rent(parameter.Rows, parameter.Columns);
        parameter.Span.CopyTo(rounded.Span);
        Kernels.BFloat16Rounding.Round(rounded.Span);
        return rounded;
    }

    /// <summary>Rounds what an op has made to the form in which it is stored: in place, and where values are bfloat16 only.</summary>
    internal void Store(Tensor y)
    {
        if (StoresBFloat16)
        {
            RoundOperation operation = Works.Cached<RoundOperation>();
            operation.Y = y;
            Works.Rows.Run(Team, operation, y.Rows, y.Columns);
        }
    }

    /// <summary>Gives back a tensor that a backward, or an op that is recorded, rented for itself. Does nothing in inference, which has marks (<see cref="ReleaseTo"/>).</summary>
    internal void Return(Tensor tensor) => _tape?.Return(tensor);

    /// <summary>Called by an op that has no backward.</summary>
    /// <exception cref="NotSupportedException">Gradients are asked for.</exception>
    internal void RefuseGradient(string op)
    {
        if (IsTraining)
        {
            throw new NotSupportedException($"{op} has no backward pass, so it cannot run in a training context. Use ComputeContext.Inference, or add the backward beside the forward.");
        }
    }

    private GradientTape Tape => _tape ?? throw new InvalidOperationException("This context is for inference: it records nothing. Use ComputeContext.Training.");

    /// <inheritdoc/>
    public void Dispose() => Team.Dispose();

    private sealed class RoundOperation : Ops.IRowOperation
    {
        public Tensor? Y;

        public void Do(int row) => Kernels.BFloat16Rounding.Round(Y!.Row(row));
    }
}
