// The reusable work items and buffers of the ops of one context. Knows no models.
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>What ops keep between calls so that a pass allocates nothing: their work items and each thread's scratch buffers.</summary>
internal sealed class OpWorks
{
    private readonly List<IRowOperation> _operations = [];

    public OpWorks(int threads)
    {
        Scratch = new KernelScratch[threads];
        for (int i = 0; i < threads; i++)
        {
            Scratch[i] = new KernelScratch();
        }
    }

    /// <summary>Buffers, one for each thread.</summary>
    public KernelScratch[] Scratch { get; }

    /// <summary>Activations in the layout of matrix products.</summary>
    public ActivationTiles FloatTiles { get; } = new();

    /// <summary>Activations rounded to 8 bits.</summary>
    public ActivationTiles Int8Tiles { get; } = new();

    public LinearWork Linear { get; } = new();

    public ProductWork Products { get; } = new();

    public IterationBuffers Iteration { get; } = new();

    public FlashWork Flash { get; } = new();

    public TileWork Tiles { get; } = new();

    public RowWork Rows { get; } = new();

    public ChunkWork Chunks { get; } = new();

    public AttentionWork Attention { get; } = new();

    /// <summary>The one instance of an op's row operation that this context uses again and again.</summary>
    public T Cached<T>()
        where T : class, IRowOperation, new()
    {
        foreach (IRowOperation operation in _operations)
        {
            if (operation is T found)
            {
                return found;
            }
        }

        T added = new();
        _operations.Add(added);
        return added;
    }
}
