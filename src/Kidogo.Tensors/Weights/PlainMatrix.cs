// A matrix that is stored as codes with scales beside them, opened. Knows no files and no kernels.
using Kidogo.Tensors.Formats.Plain;

namespace Kidogo.Tensors;

/// <summary>A matrix in one of the <see cref="PlainFormats"/>, where its parts lie.</summary>
public sealed class PlainMatrix
{
    private readonly IReadOnlyDictionary<string, PlainPart> _parts;
    private readonly int[]? _rowOrder;
    private readonly PlainRows _opened;

    /// <summary>Opens a matrix: its scales are read and looked at.</summary>
    /// <param name="format">How it is stored.</param>
    /// <param name="storedRows">Rows that are stored.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="parts">Its parts by suffix.</param>
    /// <param name="rowOrder">For each row the stored row it is; null for row i = i.</param>
    /// <exception cref="InvalidDataException">A part is missing, of another type or length than the format has, or holds numbers that are no scales.</exception>
    public PlainMatrix(PlainFormat format, int storedRows, int columns, IReadOnlyDictionary<string, PlainPart> parts, int[]? rowOrder = null)
    {
        if (rowOrder is not null && rowOrder.Any(row => row < 0 || row >= storedRows))
        {
            throw new ArgumentException($"The matrix asks for rows that the {storedRows} rows stored cannot give.", nameof(rowOrder));
        }

        Format = format;
        Rows = rowOrder?.Length ?? storedRows;
        Columns = columns;
        _parts = parts;
        _rowOrder = rowOrder;
        _opened = format.Open(parts, storedRows, columns);
    }

    /// <summary>How it is stored.</summary>
    public PlainFormat Format { get; }

    /// <summary>Rows (outputs).</summary>
    public int Rows { get; }

    /// <summary>Columns (inputs).</summary>
    public int Columns { get; }

    /// <summary>Decodes a row to float32.</summary>
    /// <param name="row">The row.</param>
    /// <param name="destination">[Columns]</param>
    public void DecodeRow(int row, Span<float> destination) => _opened.Decode(Stored(row), destination[..Columns]);

    /// <summary>The codes of a row, as <see cref="PlainFormat.Integers"/> says.</summary>
    internal void ReadCodes(int row, Span<byte> codes) => _opened.ReadCodes(Stored(row), codes);

    /// <summary>The scale of a row.</summary>
    internal float ScaleOf(int row) => _opened.ScaleOf(Stored(row));

    /// <summary>Lets go of the file's pages.</summary>
    internal void LetGo()
    {
        foreach (PlainPart part in _parts.Values)
        {
            part.LetGo?.Invoke();
        }
    }

    private int Stored(int row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)Rows, nameof(row));
        return _rowOrder is null ? row : _rowOrder[row];
    }
}
