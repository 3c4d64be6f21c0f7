// The blocks of a stored format as a grid: scales as its encoder finds them, codes as a method chooses them. Knows no method and no format by name.
using Kidogo.Tensors.Formats;

namespace Kidogo.Compression.Quantization;

/// <summary>One row of any format whose weights have codes of their own. Its bytes are those of a file, and decode to exactly what <see cref="Round"/> returned.</summary>
/// <remarks>
/// <see cref="Fit"/> encodes a block and keeps its scales. What each code means then is found by decoding the block with that code, once for each code; weights that share a scale lie in runs of
/// 16 in every format (or in multiples of it), so the points are found and kept once a run.
/// </remarks>
public sealed class BlockFormatGrid : IStoredGrid
{
    private const int Run = 16;
    private readonly WeightFormat _format;
    private readonly byte[] _bytes;
    private readonly int _codes;
    private readonly float[] _points; // [runs, codes], rising
    private readonly byte[] _codeOf; // [runs, codes]: which code each point is
    private readonly int[] _distinct; // [runs]: points that differ
    private readonly float[] _decoded;
    private readonly float[] _sorting;
    private readonly int[] _sorted;
    private readonly byte[] _trial;

    /// <summary>A grid for one row.</summary>
    /// <param name="format">A format with codes (<see cref="WeightFormat.CodeCount"/>).</param>
    /// <param name="columns">Columns of the row: whole blocks.</param>
    /// <exception cref="ArgumentException">The format has no codes, or its blocks do not divide the row.</exception>
    public BlockFormatGrid(WeightFormat format, int columns)
    {
        if (format.CodeCount == 0 || format.BlockSize % Run != 0)
        {
            throw new ArgumentException($"The weights of {format.Name} have no codes of their own.", nameof(format));
        }

        _format = format;
        _codes = format.CodeCount;
        _bytes = new byte[format.RowBytes(columns)];
        _points = new float[columns / Run * _codes];
        _codeOf = new byte[columns / Run * _codes];
        _distinct = new int[columns / Run];
        _decoded = new float[format.BlockSize];
        _sorting = new float[_codes];
        _sorted = new int[_codes];
        _trial = new byte[format.BlockBytes];
    }

    /// <inheritdoc/>
    public int GroupColumns => _format.BlockSize;

    /// <inheritdoc/>
    public ReadOnlySpan<byte> Bytes => _bytes;

    /// <inheritdoc/>
    /// <exception cref="WeightEncodingException">A weight is not finite, or too large for the format's scales.</exception>
    public void Fit(int group, ReadOnlySpan<float> weights, ReadOnlySpan<float> importance)
    {
        Span<byte> block = Block(group);
        _format.Encode(weights, importance, block);
        block.CopyTo(_trial);
        int size = _format.BlockSize;
        for (int code = 0; code < _codes; code++)
        {
            for (int element = 0; element < size; element += Run)
            {
                _format.WriteCode(_trial, element, code); // of a run the first is enough
            }

            _format.Decode(_trial, _decoded);
            for (int run = 0; run < size / Run; run++)
            {
                _points[(((group * size / Run) + run) * _codes) + code] = _decoded[run * Run];
            }
        }

        for (int run = 0; run < size / Run; run++)
        {
            SortRun((group * size / Run) + run);
        }
    }

    /// <inheritdoc/>
    public float Round(int group, int column, float weight)
    {
        int run = column / Run;
        ReadOnlySpan<float> points = _points.AsSpan(run * _codes, _distinct[run]);
        int low = 0;
        for (int high = points.Length - 1; low < high;)
        {
            int middle = (low + high) / 2;
            // The nearer of two neighbours; of two equally near ones the lower.
            if (weight - points[middle] > points[middle + 1] - weight)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        _format.WriteCode(Block(group), column - (group * _format.BlockSize), _codeOf[(run * _codes) + low]);
        return points[low];
    }

    private Span<byte> Block(int group) => _bytes.AsSpan(group * _format.BlockBytes, _format.BlockBytes);

    private void SortRun(int run)
    {
        for (int code = 0; code < _codes; code++)
        {
            _sorting[code] = _points[(run * _codes) + code];
            _sorted[code] = code;
        }

        Array.Sort(_sorting, _sorted);
        int distinct = 0;
        for (int i = 0; i < _codes; i++)
        {
            int at = (run * _codes) + distinct;
            if (distinct > 0 && _sorting[i] == _points[at - 1])
            {
                _codeOf[at - 1] = (byte)Math.Min(_codeOf[at - 1], _sorted[i]); // codes that mean the same: the first, however they were sorted
                continue;
            }

            _points[at] = _sorting[i];
            _codeOf[at] = (byte)_sorted[i];
            distinct++;
        }

        _distinct[run] = distinct;
    }
}
