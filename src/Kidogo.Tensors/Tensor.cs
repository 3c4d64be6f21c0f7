// The one compute type: float32, dense, row-major. Knows no formats, no tape and no threads.
namespace Kidogo.Tensors;

/// <summary>A dense float32 matrix in row-major order: the values that flow between layers. Vectors are one row.</summary>
/// <remarks>
/// Storage is a pinned array whose first element lies on a 64-byte boundary, so that vector loads of whole rows do not cross cache lines. A tensor
/// from a <see cref="ComputeContext"/>'s workspace is valid until the workspace is released to a mark that lies before it.
/// </remarks>
public sealed class Tensor
{
    private const int AlignmentBytes = 64;
    private const int HugePageBytes = 2 << 20;
    private const int AdviseHugePages = 14; // MADV_HUGEPAGE of Linux

    private float[] _storage = [];
    private int _start;

    /// <summary>A tensor of zeros.</summary>
    /// <param name="rows">Rows, 0 or more.</param>
    /// <param name="columns">Columns, 0 or more.</param>
    public Tensor(int rows, int columns)
    {
        Reshape(rows, columns);
        Span.Clear();
    }

    /// <summary>A vector (one row) with a copy of <paramref name="values"/>.</summary>
    public Tensor(ReadOnlySpan<float> values)
    {
        Reshape(1, values.Length);
        values.CopyTo(Span);
    }

    /// <summary>An empty tensor that the workspace shapes later.</summary>
    internal Tensor()
    {
    }

    /// <summary>Whether a recorded pass must find the gradient of a loss with respect to these values.</summary>
    public bool NeedsGradient { get; internal set; }

    /// <summary>Whether these are weights that are trained: their gradient adds up from pass to pass until it is cleared.</summary>
    public bool IsParameter { get; private set; }

    /// <summary>The gradient of the loss with respect to these values, of the same shape; null before anything has flowed into it.</summary>
    public Tensor? Gradient { get; internal set; }

    /// <summary>Makes these values weights that are trained.</summary>
    /// <returns>The tensor itself.</returns>
    public Tensor AsParameter()
    {
        IsParameter = NeedsGradient = true;
        return this;
    }

    /// <summary>Lets what flows into these values flow into those of another tensor: both have one gradient from here on.</summary>
    /// <param name="other">A parameter of the same shape, as this is one.</param>
    /// <exception cref="ArgumentException">The shapes differ, or one of them is no parameter.</exception>
    public void ShareGradient(Tensor other)
    {
        if (other.Rows != Rows || other.Columns != Columns || !other.IsParameter || !IsParameter)
        {
            throw new ArgumentException($"A gradient of {Rows} x {Columns} cannot be shared with {other.Rows} x {other.Columns}: both have to be parameters of one shape.", nameof(other));
        }

        other.ClearGradient();
        Gradient = other.Gradient;
    }

    /// <summary>Makes the gradient zeros, also where nothing has flowed into it yet.</summary>
    public void ClearGradient()
    {
        Gradient ??= new Tensor(Rows, Columns);
        Gradient.Span.Clear();
    }

    /// <summary>Rows: usually tokens, T.</summary>
    public int Rows { get; private set; }

    /// <summary>Columns: the width of a row.</summary>
    public int Columns { get; private set; }

    /// <summary>Number of values.</summary>
    public int Length => Rows * Columns;

    /// <summary>All values, row after row.</summary>
    public Span<float> Span => _storage.AsSpan(_start, Length);

    /// <summary>The values of row <paramref name="index"/>. [Columns]</summary>
    public Span<float> Row(int index)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)Rows, nameof(index));
        return _storage.AsSpan(_start + (index * Columns), Columns);
    }

    /// <summary>Gives the storage away: the tensor is empty afterwards.</summary>
    internal float[] TakeStorage()
    {
        float[] storage = _storage;
        (_storage, _start, Rows, Columns) = ([], 0, 0, 0);
        return storage;
    }

    /// <summary>Takes the storage and the shape of another tensor, which is empty afterwards.</summary>
    internal void TakeOver(Tensor other)
    {
        (_storage, _start, Rows, Columns) = (other._storage, other._start, other.Rows, other.Columns);
        other.TakeStorage();
    }

    /// <summary>A tensor of undefined content in storage that another gave away.</summary>
    internal static Tensor InStorage(float[] storage, int rows, int columns)
    {
        Tensor tensor = new() { _storage = storage };
        tensor._start = FirstAligned(storage);
        tensor.Reshape(rows, columns);
        return tensor;
    }

    /// <summary>Values that a storage has room for, whatever its alignment.</summary>
    internal static int RoomOf(float[] storage) => storage.Length - (AlignmentBytes / sizeof(float));

    /// <summary>Gives the tensor another shape; what it held is undefined afterwards.</summary>
    internal void Reshape(int rows, int columns)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegative(columns);
        long length = (long)rows * columns;
        const int Slack = AlignmentBytes / sizeof(float);
        if (length > Array.MaxLength - Slack)
        {
            throw new ArgumentException($"A tensor of {rows} x {columns} values is larger than an array can be ({Array.MaxLength - Slack} values).");
        }

        if (_storage.Length < length + Slack)
        {
            _storage = GC.AllocateUninitializedArray<float>((int)length + Slack, pinned: true);
            _start = FirstAligned(_storage);
            if (length >= HugePageBytes / sizeof(float))
            {
                AskForHugePages(_storage);
            }
        }

        Rows = rows;
        Columns = columns;
    }

    // Products write tiles of 12 rows: with small pages each row is another page, and addresses take longer to translate than some values to compute. Advice only: where it is refused,
    // small pages serve. Rounded outwards, since such arrays lie side by side: what else is on the pages is the collector's, and loses nothing.
    private static unsafe void AskForHugePages(float[] pinned)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        fixed (float* first = pinned)
        {
            nuint start = (nuint)first / HugePageBytes * HugePageBytes;
            nuint end = ((nuint)(first + pinned.Length) + HugePageBytes - 1) / HugePageBytes * HugePageBytes;
            _ = MemoryAdvice.Advise((nint)start, end - start, AdviseHugePages);
        }
    }

    private static unsafe int FirstAligned(float[] pinned)
    {
        fixed (float* first = pinned)
        {
            return (int)((AlignmentBytes - ((nuint)first % AlignmentBytes)) % AlignmentBytes / sizeof(float));
        }
    }
}
