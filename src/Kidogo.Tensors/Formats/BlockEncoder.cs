// Encodes the rows of a tensor with all threads. Knows no files and no tensor names.
namespace Kidogo.Tensors.Formats;

/// <summary>Encodes many rows at once. Each row is encoded alone, so results do not depend on the number of threads, nor on how a tensor is cut into calls.</summary>
public static class BlockEncoder
{
    /// <summary>Encodes rows of float32.</summary>
    /// <param name="target">The format to write.</param>
    /// <param name="weights">[R, C]</param>
    /// <param name="columns">C, a multiple of the target's block size.</param>
    /// <param name="importance">[C], one for all rows, or empty.</param>
    /// <param name="destination">[R · RowBytes(C)]</param>
    /// <param name="team">The threads.</param>
    /// <param name="firstRow">The number that the exception gives to the first row, where a tensor comes in pieces.</param>
    /// <inheritdoc cref="WeightFormat.Encode(ReadOnlySpan{float}, ReadOnlySpan{float}, Span{byte})" path="/exception"/>
    public static void Encode(
        WeightFormat target, ReadOnlyMemory<float> weights, int columns, ReadOnlyMemory<float> importance, Memory<byte> destination, WorkerTeam team, long firstRow = 0)
    {
        int rows = CountRows(target, weights.Length, columns, 1, destination.Length);
        target.CheckImportance(importance.Span, columns);
        team.Run(new FloatRows(target, weights, columns, importance, destination, firstRow) { Items = rows });
    }

    /// <summary>Encodes rows that are stored in another format, with no more memory than a row of float32 a thread.</summary>
    /// <param name="target">The format to write.</param>
    /// <param name="source">The format of <paramref name="stored"/>.</param>
    /// <param name="stored">[R · source.RowBytes(C)]</param>
    /// <param name="columns">C, a multiple of both block sizes.</param>
    /// <param name="importance">[C], one for all rows, or empty.</param>
    /// <param name="destination">[R · target.RowBytes(C)]</param>
    /// <param name="team">The threads.</param>
    /// <param name="firstRow">The number that the exception gives to the first row, where a tensor comes in pieces.</param>
    /// <inheritdoc cref="WeightFormat.Encode(ReadOnlySpan{float}, ReadOnlySpan{float}, Span{byte})" path="/exception"/>
    public static void Encode(
        WeightFormat target,
        WeightFormat source,
        ReadOnlyMemory<byte> stored,
        int columns,
        ReadOnlyMemory<float> importance,
        Memory<byte> destination,
        WorkerTeam team,
        long firstRow = 0)
    {
        int rows = CountRows(target, stored.Length, columns, source.RowBytes(columns), destination.Length);
        target.CheckImportance(importance.Span, columns);
        team.Run(new StoredRows(target, source, stored, columns, importance, destination, team.Threads, firstRow) { Items = rows });
    }

    /// <summary>R, where all lengths agree. <paramref name="length"/> is in floats where <paramref name="rowBytes"/> is 1, else in bytes.</summary>
    private static int CountRows(WeightFormat target, int length, int columns, long rowBytes, int destinationBytes)
    {
        if (!target.CanEncode)
        {
            throw new NotSupportedException($"{target.Name} can be read but not written.");
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        long rowLength = rowBytes == 1 ? columns : rowBytes;
        long rows = length / rowLength;
        return length % rowLength == 0 && rows * target.RowBytes(columns) == destinationBytes
            ? (int)rows
            : throw new ArgumentException(
                $"{length} {(rowBytes == 1 ? "weights" : "bytes")} in rows of {columns} weights are no whole number of rows, or are not {destinationBytes} bytes of {target.Name}.");
    }

    private sealed class FloatRows(
        WeightFormat target, ReadOnlyMemory<float> weights, int columns, ReadOnlyMemory<float> importance, Memory<byte> destination, long firstRow) : SharedWork
    {
        private readonly int _rowBytes = (int)target.RowBytes(columns);

        public override void Do(int item, int worker) =>
            target.Encode(weights.Span.Slice(item * columns, columns), importance.Span, destination.Span.Slice(item * _rowBytes, _rowBytes), firstRow + item);
    }

    private sealed class StoredRows : SharedWork
    {
        private readonly WeightFormat _target;
        private readonly WeightFormat _source;
        private readonly ReadOnlyMemory<byte> _stored;
        private readonly ReadOnlyMemory<float> _importance;
        private readonly Memory<byte> _destination;
        private readonly float[][] _rows;
        private readonly int _sourceBytes;
        private readonly int _targetBytes;
        private readonly long _firstRow;

        public StoredRows(
            WeightFormat target,
            WeightFormat source,
            ReadOnlyMemory<byte> stored,
            int columns,
            ReadOnlyMemory<float> importance,
            Memory<byte> destination,
            int threads,
            long firstRow)
        {
            _target = target;
            _source = source;
            _stored = stored;
            _importance = importance;
            _destination = destination;
            _firstRow = firstRow;
            _sourceBytes = (int)source.RowBytes(columns);
            _targetBytes = (int)target.RowBytes(columns);
            _rows = new float[threads][];
            for (int i = 0; i < threads; i++)
            {
                _rows[i] = new float[columns];
            }
        }

        public override void Do(int item, int worker)
        {
            float[] row = _rows[worker];
            _source.Decode(_stored.Span.Slice(item * _sourceBytes, _sourceBytes), row);
            _target.Encode(row, _importance.Span, _destination.Span.Slice(item * _targetBytes, _targetBytes), _firstRow + item);
        }
    }
}
