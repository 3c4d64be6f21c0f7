// Where the rows of a stored matrix lie. Knows no arithmetic beyond decoding a row.
using System.Numerics.Tensors;
using Kidogo.Tensors.Formats;

namespace Kidogo.Tensors;

/// <summary>A matrix in a file, row after row, in a stored format.</summary>
/// <remarks>A row order lets one file tensor be read as several matrices (a fused q, k, v) or in another order of rows, without a copy.</remarks>
public sealed class StoredMatrix
{
    private readonly MappedRange _data;
    private readonly int[]? _rowOrder;
    private readonly int _rowBytes;

    /// <summary>Describes the matrix.</summary>
    /// <param name="format">How a row is stored.</param>
    /// <param name="rows">Rows (outputs) of the matrix.</param>
    /// <param name="columns">Columns (inputs).</param>
    /// <param name="data">The bytes of the file tensor, a whole number of rows.</param>
    /// <param name="rowOrder">For each row the row of the file tensor it is; null for row i = i.</param>
    /// <param name="scale">What every decoded weight is multiplied with: some files keep one scale for a whole tensor beside it.</param>
    /// <exception cref="ArgumentException">The sizes do not belong together.</exception>
    public StoredMatrix(WeightFormat format, int rows, int columns, MappedRange data, int[]? rowOrder = null, float scale = 1)
    {
        long rowBytes = format.RowBytes(columns);
        long storedRows = rowBytes == 0 ? 0 : data.Length / rowBytes;
        if (rows < 0 || columns <= 0 || rowBytes > int.MaxValue || data.Length % rowBytes != 0)
        {
            throw new ArgumentException($"{data.Length} bytes are no {rows} x {columns} matrix in {format.Name}, whose rows take {rowBytes} bytes.");
        }

        if (rowOrder is null ? rows > storedRows : rowOrder.Length != rows || rowOrder.Any(row => row < 0 || row >= storedRows))
        {
            throw new ArgumentException($"The matrix asks for {rows} rows in an order that the {storedRows} rows stored cannot give.", nameof(rowOrder));
        }

        Scale = scale;
        Format = format;
        Rows = rows;
        Columns = columns;
        _data = data;
        _rowOrder = rowOrder;
        _rowBytes = (int)rowBytes;
    }

    /// <summary>How a row is stored.</summary>
    public WeightFormat Format { get; }

    /// <summary>Rows (outputs).</summary>
    public int Rows { get; }

    /// <summary>Columns (inputs).</summary>
    public int Columns { get; }

    /// <summary>What every decoded weight is multiplied with; 1 for most.</summary>
    public float Scale { get; }

    /// <summary>Bytes that the rows take in the file.</summary>
    public long Bytes => (long)Rows * _rowBytes;

    /// <summary>The stored bytes of a row.</summary>
    public ReadOnlySpan<byte> RowBytes(int row) => _data.Read((long)SourceRow(row) * _rowBytes, _rowBytes);

    /// <summary>Decodes a row to float32.</summary>
    /// <param name="row">The row.</param>
    /// <param name="destination">[Columns]</param>
    public void DecodeRow(int row, Span<float> destination)
    {
        Format.Decode(RowBytes(row), destination);
        if (Scale != 1)
        {
            TensorPrimitives.Multiply(destination, Scale, destination);
        }
    }

    /// <summary>Tells the system that these bytes of the file will not be read again soon, so that their memory can be used for other things.</summary>
    internal void LetGo() => _data.LetGo();

    private int SourceRow(int row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)Rows, nameof(row));
        return _rowOrder is null ? row : _rowOrder[row];
    }
}
