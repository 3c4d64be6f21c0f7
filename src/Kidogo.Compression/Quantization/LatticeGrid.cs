// The blocks of a format of codebooks as a grid: scales as its encoder finds them, points as a method needs them. Knows no method and no format by name.
using Kidogo.Tensors.Formats;

namespace Kidogo.Compression.Quantization;

/// <summary>One row of a format whose weights share points, eight at a time. Its bytes are those of a file, and decode to exactly what <see cref="RoundUnit"/> returned.</summary>
public sealed class LatticeGrid : IStoredGrid
{
    private const int Eight = 8;
    private readonly WeightFormat _format;
    private readonly byte[] _bytes;
    private readonly float[] _decoded;

    /// <summary>A grid for one row.</summary>
    /// <param name="format">A format with points (<see cref="WeightFormat.Lattice"/>).</param>
    /// <param name="columns">Columns of the row: whole blocks.</param>
    /// <exception cref="ArgumentException">The format has no points, or its blocks do not divide the row.</exception>
    public LatticeGrid(WeightFormat format, int columns)
    {
        if (format.Lattice is null)
        {
            throw new ArgumentException($"The weights of {format.Name} share no points.", nameof(format));
        }

        _format = format;
        _bytes = new byte[format.RowBytes(columns)];
        _decoded = new float[format.BlockSize];
    }

    /// <inheritdoc/>
    public int GroupColumns => _format.BlockSize;

    /// <inheritdoc/>
    public int UnitColumns => Eight;

    /// <inheritdoc/>
    public ReadOnlySpan<byte> Bytes => _bytes;

    /// <inheritdoc/>
    /// <exception cref="WeightEncodingException">A weight is not finite, or too large for the format's scales.</exception>
    public void Fit(int group, ReadOnlySpan<float> weights, ReadOnlySpan<float> importance) => _format.Encode(weights, importance, Block(group));

    /// <inheritdoc/>
    public float Round(int group, int column, float weight) => throw new NotSupportedException($"The weights of {_format.Name} are rounded eight at a time.");

    /// <inheritdoc/>
    public void RoundUnit(int group, int column, ReadOnlySpan<float> weights, ReadOnlySpan<float> upper, Span<float> rounded)
    {
        int first = column - (group * _format.BlockSize);
        _format.RoundEight(Block(group), first / Eight, weights, upper);
        _format.Decode(Block(group), _decoded);
        _decoded.AsSpan(first, Eight).CopyTo(rounded);
    }

    private Span<byte> Block(int group) => _bytes.AsSpan(group * _format.BlockBytes, _format.BlockBytes);
}
