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

/// <summary>The surroundings of a forward pass. One pass at a time.</summary>
public sealed class ComputeContext : IDisposable
{
    private readonly Workspace _workspace = new();

    private ComputeContext(int threads, ComputePrecision precision, bool isRecording)
    {
        Team = new WorkerTeam(threads);
        Precision = precision;
        IsRecording = isRecording;
        Works = new Ops.OpWorks(threads);
    }

    /// <summary>A context that keeps nothing for gradients and uses its buffers again.</summary>
    /// <param name="threads">Threads to compute with; 0 for one per processor.</param>
    /// <param name="precision">The arithmetic.</param>
    public static ComputeContext Inference(int threads = 0, ComputePrecision precision = ComputePrecision.Fast) =>
        new(threads == 0 ? Environment.ProcessorCount : threads, precision, isRecording: false);

    /// <summary>A context that records a forward pass for gradients. Ops that have no backward refuse to run under it.</summary>
    /// <param name="threads">Threads to compute with; 0 for one per processor.</param>
    public static ComputeContext Training(int threads = 0) =>
        new(threads == 0 ? Environment.ProcessorCount : threads, ComputePrecision.Exact, isRecording: true);

    /// <summary>The threads.</summary>
    public WorkerTeam Team { get; }

    /// <summary>The arithmetic.</summary>
    public ComputePrecision Precision { get; }

    /// <summary>How this precision keeps keys and values: float16, or float32 where everything is.</summary>
    public KvFormat CacheFormat => Precision == ComputePrecision.Exact ? KvFormat.F32 : KvFormat.F16;

    /// <summary>Whether gradients are asked for.</summary>
    public bool IsRecording { get; }

    /// <summary>The reusable work items and scratch buffers of the ops.</summary>
    internal Ops.OpWorks Works { get; }

    /// <summary>A tensor of undefined content, valid until <see cref="ReleaseTo"/> returns to an earlier mark.</summary>
    public Tensor Rent(int rows, int columns) => IsRecording ? new Tensor(rows, columns) : _workspace.Rent(rows, columns);

    /// <summary>Remembers what is rented now.</summary>
    public int Mark() => _workspace.Mark();

    /// <summary>Gives back every tensor that was rented after <paramref name="mark"/>. Does nothing while recording.</summary>
    public void ReleaseTo(int mark) => _workspace.ReleaseTo(mark);

    /// <summary>Called by an op that has no backward.</summary>
    /// <exception cref="NotSupportedException">Gradients are asked for.</exception>
    internal void RefuseGradient(string op)
    {
        if (IsRecording)
        {
            throw new NotSupportedException($"{op} has no backward pass, so it cannot run in a training context. Use ComputeContext.Inference, or add the backward beside the forward.");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Team.Dispose();
}
