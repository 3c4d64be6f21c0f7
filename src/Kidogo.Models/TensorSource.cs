// The tensors of a model by their canonical names, checked for shape when they are taken. Knows no layers.
using Kidogo.Models.Families;
using Kidogo.Models.Files;
using Kidogo.Tensors;

namespace Kidogo.Models;

/// <summary>Stored tensors under GGUF's names, whatever the file calls them.</summary>
/// <remarks>Remembers what was taken, so that a loader can refuse a file with weights that the configuration does not speak of: left out, they would make the model wrong in silence.</remarks>
internal sealed class TensorSource : IWeightSource
{
    private readonly string _file;
    private readonly Dictionary<string, StoredTensor> _tensors = new(StringComparer.Ordinal);
    private readonly HashSet<string> _taken = new(StringComparer.Ordinal);
    private readonly Func<string, bool> _isInputMajor;

    /// <summary>Sorts the tensors of a file.</summary>
    /// <param name="file">The path, for messages.</param>
    /// <param name="tensors">The tensors.</param>
    /// <param name="canonicalName">From the name in the file to GGUF's; null for tensors that are no weights of the decoder.</param>
    /// <param name="isInputMajor">Whether the matrix of a canonical name is stored [inputs, outputs].</param>
    /// <param name="fusedOrder">How the rows of fused queries, keys and values lie.</param>
    public TensorSource(string file, IEnumerable<StoredTensor> tensors, Func<string, string?> canonicalName, Func<string, bool> isInputMajor, FusedOrder fusedOrder)
    {
        _file = file;
        _isInputMajor = isInputMajor;
        FusedOrder = fusedOrder;
        foreach (StoredTensor tensor in tensors)
        {
            if (canonicalName(tensor.Name) is { } name && !_tensors.TryAdd(name, tensor))
            {
                throw new ModelFormatException(
                    tensor.Data.File.Path, tensor.Data.Offset, $"The tensors {ModelFormatException.Quote(_tensors[name].Name)} and {ModelFormatException.Quote(tensor.Name)} are both {ModelFormatException.Quote(name)}.");
            }
        }
    }

    /// <summary>How the rows of fused queries, keys and values lie.</summary>
    public FusedOrder FusedOrder { get; }

    /// <summary>Writes a matrix to where it is read from, for models in memory; null for files.</summary>
    public Action<StoredTensor>? Fill { get; set; }

    /// <summary>All tensors with their canonical names.</summary>
    public IEnumerable<KeyValuePair<string, StoredTensor>> All => _tensors;

    /// <summary>The tensor of this canonical name, or null.</summary>
    public StoredTensor? Find(string name) => _tensors.GetValueOrDefault(name);

    /// <inheritdoc/>
    public long? RowsOf(string name) => Find(name)?.Rows;

    /// <inheritdoc/>
    void IWeightSource.CheckMatrix(string name, int storedRows, int columns) => CheckMatrix(name, storedRows, columns);

    /// <inheritdoc/>
    void IWeightSource.CheckVector(string name, int storedLength) => CheckVector(name, storedLength);

    /// <inheritdoc/>
    public Weight OpenMatrix(string name, int storedRows, int columns, int[]? rowOrder, ComputeContext? context)
    {
        ArgumentNullException.ThrowIfNull(context);
        StoredTensor tensor = CheckMatrix(name, storedRows, columns);
        Fill?.Invoke(tensor);
        try
        {
            if (_isInputMajor(name))
            {
                return Weight.FromDense(Transposed(tensor, storedRows, columns, rowOrder, ScaleOf(name)));
            }

            return tensor.Plain is { } plain
                ? Weight.Open(plain.Open(rowOrder), context)
                : Weight.Open(new StoredMatrix(tensor.Format, rowOrder?.Length ?? storedRows, columns, tensor.Data, rowOrder, ScaleOf(name)), context);
        }
        catch (InvalidDataException damage)
        {
            throw new ModelFormatException(tensor.Data.File.Path, tensor.Data.Offset, $"The tensor {ModelFormatException.Quote(tensor.Name)} cannot be used. {damage.Message}", damage);
        }
    }

    /// <summary>The one scale that NVFP4 files keep for a whole matrix, in a tensor beside it; 1 where there is none. That of its inputs serves integer units that are not used here.</summary>
    internal float ScaleOf(string matrix)
    {
        if (Find(Beside(matrix, "scale")) is not { } tensor)
        {
            return 1;
        }

        Span<float> value = stackalloc float[1];
        ReadVector(tensor, 1, value);
        return float.IsFinite(value[0])
            ? value[0]
            : throw new ModelFormatException(tensor.Data.File.Path, tensor.Data.Offset, $"The tensor {ModelFormatException.Quote(tensor.Name)} is {value[0]}; expected the finite scale of a matrix.");
    }

    private static string Beside(string matrix, string what) => string.Concat(matrix.AsSpan(0, matrix.LastIndexOf('.') + 1), what);

    /// <summary>Checks that a matrix is there and has its shape, without reading it.</summary>
    public StoredTensor CheckMatrix(string name, int storedRows, int columns)
    {
        StoredTensor tensor = Take(name);
        _taken.Add(Beside(name, "scale"));
        _taken.Add(Beside(name, "input_scale"));
        bool inputMajor = _isInputMajor(name);
        (long rows, long width) = inputMajor ? (columns, storedRows) : ((long)storedRows, (long)columns);
        if (tensor.Rows != rows || tensor.Columns != width)
        {
            throw WrongShape(tensor, $"[{rows}, {width}]");
        }

        if (tensor.Plain is null && tensor.Columns % tensor.Format.BlockSize != 0)
        {
            throw new ModelFormatException(
                tensor.Data.File.Path, tensor.Data.Offset, $"The tensor {ModelFormatException.Quote(tensor.Name)} has rows of {tensor.Columns} weights, which are no whole {tensor.Format.Name} blocks of {tensor.Format.BlockSize}.");
        }

        return tensor;
    }

    /// <summary>Checks that a vector is there and has its length, without reading it.</summary>
    public StoredTensor CheckVector(string name, int storedLength)
    {
        StoredTensor tensor = Take(name);
        CheckVector(tensor, storedLength);
        return tensor;
    }

    /// <inheritdoc/>
    public Tensor ReadVector(string name, int storedLength, int[]? order = null)
    {
        StoredTensor tensor = CheckVector(name, storedLength);
        float[] values = new float[storedLength];
        ReadVector(tensor, storedLength, values);
        return new Tensor(order is null ? values : Array.ConvertAll(order, index => values[index]));
    }

    /// <summary>Bytes that the tensors of a decoder of <paramref name="layers"/> layers have in their files.</summary>
    public long Bytes(int layers) =>
        _tensors.Sum(pair => CanonicalNames.TrySplitLayer(pair.Key, out int layer, out _) && layer >= layers ? 0 : pair.Value.Bytes);

    /// <summary>Bytes that they take once they are loaded.</summary>
    public long LoadedBytes(int layers) =>
        _tensors.Sum(pair => CanonicalNames.TrySplitLayer(pair.Key, out int layer, out _) && layer >= layers ? 0 : LoadedBytes(pair.Key, pair.Value));

    private long LoadedBytes(string name, StoredTensor tensor) =>
        tensor.Shape.Length <= 1 || !tensor.IsWeight ? tensor.Data.Length
        : _isInputMajor(name) ? Weight.MemoryBytesOf(Export.FloatFormats.F32, tensor.Columns, tensor.Rows) // turned round in float32
        : tensor.Plain is { } plain ? Weight.MemoryBytesOf(plain.Format, plain.Rows, plain.Columns)
        : Weight.MemoryBytesOf(tensor.Format, tensor.Rows, tensor.Columns);

    /// <summary>Refuses a file that has weights in a layer that nothing asked for, be it one of the first <paramref name="layers"/> or beyond them.</summary>
    public void RefuseUnused(int layers)
    {
        foreach ((string name, StoredTensor tensor) in _tensors)
        {
            bool isInLayer = CanonicalNames.TrySplitLayer(name, out int layer, out _);
            if (isInLayer && layer >= layers)
            {
                throw new ModelFormatException(
                    tensor.Data.File.Path, tensor.Data.Offset,
                    $"The file has weights for layer {layer}, counted from 0, in the tensor {ModelFormatException.Quote(tensor.Name)}; the configuration speaks of {layers} layers. Without the others the model would be wrong: correct the number of layers, or get the file again.");
            }

            if (isInLayer && !_taken.Contains(name))
            {
                throw new ModelFormatException(
                    tensor.Data.File.Path, tensor.Data.Offset, $"The tensor {ModelFormatException.Quote(tensor.Name)} has no place in the model that the configuration describes. The file may be of a variant that Kidogo does not know.");
            }
        }
    }

    /// <summary>Reads all values of a tensor that is a vector.</summary>
    internal static void ReadVector(StoredTensor tensor, int length, Span<float> values)
    {
        CheckVector(tensor, length);
        new StoredMatrix(tensor.Format, 1, length, tensor.Data).DecodeRow(0, values);
    }

    private static void CheckVector(StoredTensor tensor, int length)
    {
        if (tensor.Columns != length || tensor.Rows != 1)
        {
            throw WrongShape(tensor, $"[{length}]");
        }

        if (length % tensor.Format.BlockSize != 0)
        {
            throw new ModelFormatException(tensor.Data.File.Path, tensor.Data.Offset, $"The tensor {ModelFormatException.Quote(tensor.Name)} has {length} values, which are no whole {tensor.Format.Name} blocks.");
        }
    }

    private static Tensor Transposed(StoredTensor tensor, int outputs, int inputs, int[]? rowOrder, float scale)
    {
        const int Tile = 16; // inputs that are decoded before they are written, so that a cache line of the result is written at once
        PlainMatrix? plain = tensor.Plain?.Open();
        StoredMatrix? stored = plain is null ? new(tensor.Format, inputs, outputs, tensor.Data, scale: scale) : null;
        int rows = rowOrder?.Length ?? outputs;
        Tensor dense = new(rows, inputs);
        Span<float> values = dense.Span;
        float[] lines = new float[Tile * outputs];
        for (int first = 0; first < inputs; first += Tile)
        {
            int count = Math.Min(Tile, inputs - first);
            for (int i = 0; i < count; i++)
            {
                Span<float> line = lines.AsSpan(i * outputs, outputs);
                if (plain is null)
                {
                    stored!.DecodeRow(first + i, line);
                }
                else
                {
                    plain.DecodeRow(first + i, line);
                }
            }

            for (int r = 0; r < rows; r++)
            {
                int source = rowOrder?[r] ?? r;
                for (int i = 0; i < count; i++)
                {
                    values[(r * inputs) + first + i] = lines[(i * outputs) + source];
                }
            }
        }

        return dense;
    }

    private StoredTensor Take(string name)
    {
        if (!_tensors.TryGetValue(name, out StoredTensor? tensor))
        {
            throw new ModelFormatException(_file, -1, $"The tensor {ModelFormatException.Quote(name)} is absent, which the configuration asks for. The file may be incomplete, or not of the architecture it names.");
        }

        _taken.Add(name);
        return tensor;
    }

    private static ModelFormatException WrongShape(StoredTensor tensor, string expected) => new(
        tensor.Data.File.Path, tensor.Data.Offset, $"The tensor {ModelFormatException.Quote(tensor.Name)} has the shape [{string.Join(", ", tensor.Shape)}]; expected {expected}.");
}
