// A tensor under its canonical name, on the way from one place to another: rows that can be picked, joined and turned. Knows no families and no files.
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Kidogo.Tensors.Formats;

namespace Kidogo.Models.Export;

/// <summary>Copies stored rows.</summary>
/// <param name="first">The first row.</param>
/// <param name="count">How many, one after the other.</param>
/// <param name="destination">[count · bytes of a row]</param>
public delegate void RowReader(int first, int count, Span<byte> destination);

/// <summary>A tensor of a model that is to be written somewhere, read row by row when that happens.</summary>
/// <remarks>A vector has its values as rows of one column, so that what is done with the rows of a matrix can be done with a bias.</remarks>
public sealed class ModelTensor
{
    private const int PassBytes = 1 << 20;
    private readonly RowReader _read;

    /// <summary>A tensor that is read by a method.</summary>
    /// <param name="name">The canonical name: <c>blk.0.attn_q.weight</c>.</param>
    /// <param name="rows">Outputs; values of a vector.</param>
    /// <param name="columns">Inputs; 1 for a vector.</param>
    /// <param name="isVector">Whether it is written with one dimension.</param>
    /// <param name="format">How rows are stored.</param>
    /// <param name="read">Copies them.</param>
    public ModelTensor(string name, int rows, int columns, bool isVector, WeightFormat format, RowReader read)
    {
        Name = name;
        Rows = rows;
        Columns = columns;
        IsVector = isVector;
        Format = format;
        RowBytes = checked((int)format.RowBytes(columns));
        _read = read;
    }

    /// <summary>The canonical name.</summary>
    public string Name { get; }

    /// <summary>Outputs; values of a vector.</summary>
    public int Rows { get; }

    /// <summary>Inputs; 1 for a vector.</summary>
    public int Columns { get; }

    /// <summary>Whether it is written with one dimension.</summary>
    public bool IsVector { get; }

    /// <summary>How rows are stored.</summary>
    public WeightFormat Format { get; }

    /// <summary>Number of values.</summary>
    public long Elements => (long)Rows * Columns;

    internal int RowBytes { get; }

    internal IReadOnlyList<long> Shape => IsVector ? [Rows] : [Rows, Columns];

    /// <summary>A matrix of float32, filled row by row when it is written.</summary>
    /// <param name="name">The canonical name.</param>
    /// <param name="rows">Outputs.</param>
    /// <param name="columns">Inputs.</param>
    /// <param name="fill">Copies a row [columns].</param>
    public static ModelTensor Matrix(string name, int rows, int columns, Action<int, Span<float>> fill) => new(name, rows, columns, isVector: false, FloatFormats.F32, (first, count, destination) =>
    {
        Span<float> values = MemoryMarshal.Cast<byte, float>(destination);
        for (int i = 0; i < count; i++)
        {
            fill(first + i, values.Slice(i * columns, columns));
        }
    });

    /// <summary>A vector of float32.</summary>
    /// <param name="name">The canonical name.</param>
    /// <param name="values">Its values, read when it is written.</param>
    public static ModelTensor Vector(string name, ReadOnlyMemory<float> values) => new(
        name, values.Length, 1, isVector: true, FloatFormats.F32, (first, count, destination) => MemoryMarshal.AsBytes(values.Span.Slice(first, count)).CopyTo(destination));

    /// <summary>Copies stored rows.</summary>
    public void Read(int first, int count, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)first + count, Rows, nameof(count));
        _read(first, count, destination[..checked(count * RowBytes)]);
    }

    /// <summary>All values in float32. For vectors and tests: a matrix is read in pieces.</summary>
    public float[] ReadFloats()
    {
        byte[] bytes = new byte[checked(Rows * RowBytes)];
        Read(0, Rows, bytes);
        float[] values = new float[checked(Rows * Columns)];
        Format.Decode(bytes, values);
        return values;
    }

    /// <summary>The same under another name.</summary>
    internal ModelTensor Named(string name) => new(name, Rows, Columns, IsVector, Format, _read);

    /// <summary>The rows of this order; null for all as they are.</summary>
    internal ModelTensor Picked(int[]? order)
    {
        if (order is null)
        {
            return this;
        }

        return new ModelTensor(Name, order.Length, Columns, IsVector, Format, (first, count, destination) =>
        {
            for (int i = 0; i < count;)
            {
                int run = 1;
                while (i + run < count && order[first + i + run] == order[first + i] + run)
                {
                    run++;
                }

                _read(order[first + i], run, destination.Slice(i * RowBytes, run * RowBytes));
                i += run;
            }
        });
    }

    /// <summary>The columns of this order; null for all as they are. In float32 where rows are stored in blocks.</summary>
    internal ModelTensor PickedColumns(int[]? order)
    {
        if (order is null)
        {
            return this;
        }

        ModelTensor source = Format.BlockSize == 1 ? this : Decoded();
        int width = source.Format.BlockBytes;
        return new ModelTensor(Name, Rows, order.Length, IsVector, source.Format, (first, count, destination) =>
        {
            int pass = Math.Max(1, PassBytes / source.RowBytes);
            byte[] stored = new byte[Math.Min(count, pass) * source.RowBytes];
            for (int i = 0; i < count; i++)
            {
                if (i % pass == 0)
                {
                    int rows = Math.Min(pass, count - i);
                    source._read(first + i, rows, stored.AsSpan(0, rows * source.RowBytes));
                }

                ReadOnlySpan<byte> row = stored.AsSpan(i % pass * source.RowBytes, source.RowBytes);
                Span<byte> picked = destination.Slice(i * order.Length * width, order.Length * width);
                for (int c = 0; c < order.Length; c++)
                {
                    row.Slice(order[c] * width, width).CopyTo(picked[(c * width)..]);
                }
            }
        });
    }

    /// <summary>The rows of several tensors of one width and format, one tensor after the other.</summary>
    internal static ModelTensor Joined(string name, params ModelTensor[] parts)
    {
        if (parts.Any(part => part.Format != parts[0].Format))
        {
            parts = [.. parts.Select(part => part.Decoded())];
        }

        ModelTensor front = parts[0];
        return new ModelTensor(name, parts.Sum(part => part.Rows), front.Columns, front.IsVector, front.Format, (first, count, destination) =>
        {
            int start = 0;
            foreach (ModelTensor part in parts)
            {
                int from = Math.Max(first, start), to = Math.Min(first + count, start + part.Rows);
                if (from < to)
                {
                    part._read(from - start, to - from, destination.Slice((from - first) * front.RowBytes, (to - from) * front.RowBytes));
                }

                start += part.Rows;
            }
        });
    }

    /// <summary>The same in float32.</summary>
    internal ModelTensor Decoded() => Format == FloatFormats.F32 ? this : new ModelTensor(Name, Rows, Columns, IsVector, FloatFormats.F32, (first, count, destination) =>
    {
        int pass = Math.Max(1, PassBytes / RowBytes);
        byte[] stored = new byte[Math.Min(count, pass) * RowBytes];
        Span<float> values = MemoryMarshal.Cast<byte, float>(destination);
        for (int i = 0; i < count; i += pass)
        {
            int rows = Math.Min(pass, count - i);
            _read(first + i, rows, stored.AsSpan(0, rows * RowBytes));
            Format.Decode(stored.AsSpan(0, rows * RowBytes), values.Slice(i * Columns, rows * Columns));
        }
    });

    /// <summary>A vector with a number added to every value, in float32.</summary>
    internal ModelTensor Plus(float term)
    {
        ModelTensor decoded = Decoded();
        return new ModelTensor(Name, Rows, Columns, IsVector, FloatFormats.F32, (first, count, destination) =>
        {
            decoded._read(first, count, destination);
            Span<float> values = MemoryMarshal.Cast<byte, float>(destination);
            TensorPrimitives.Add(values, term, values);
        });
    }

    /// <summary>A matrix turned round: rows become columns. Plain formats only; it is in memory as a whole while it is read.</summary>
    internal ModelTensor Transposed()
    {
        ModelTensor source = Format.BlockSize == 1 ? this : Decoded();
        int width = source.Format.BlockBytes;
        byte[]? turned = null;
        return new ModelTensor(Name, Columns, Rows, IsVector, source.Format, (first, count, destination) =>
        {
            int rowBytes = Rows * width;
            turned ??= source.Turn(width);
            turned.AsSpan(first * rowBytes, count * rowBytes).CopyTo(destination);
            if (first + count == Columns)
            {
                turned = null; // read to the end
            }
        });
    }

    private byte[] Turn(int width)
    {
        byte[] straight = new byte[checked(Rows * RowBytes)];
        byte[] turned = new byte[straight.Length];
        _read(0, Rows, straight);
        for (int row = 0; row < Rows; row++)
        {
            for (int column = 0; column < Columns; column++)
            {
                straight.AsSpan(((row * Columns) + column) * width, width).CopyTo(turned.AsSpan(((column * Rows) + row) * width));
            }
        }

        return turned;
    }
}
