// The points of a codebook as numbers. Knows no blocks and no bytes.
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>Which signs eight weights of a codebook can have.</summary>
public enum LatticeSigns
{
    /// <summary>Coordinates have their own.</summary>
    None,

    /// <summary>An even number of minuses.</summary>
    Even,

    /// <summary>Any.</summary>
    Free,
}

/// <summary>The points that weights share: eight weights are one point of 8 coordinates, or two of 4, with or without signs.</summary>
public sealed class LatticePoints
{
    private readonly Vector256<float>[] _lanes; // [chunks, dimensions]: coordinate j of eight points side by side

    /// <summary>Unpacks points.</summary>
    /// <param name="points">A signed byte for each coordinate, the first lowest.</param>
    /// <param name="dimensions">8 or 4.</param>
    /// <param name="signs">Which signs they can get.</param>
    /// <param name="unit">What a byte is multiplied with.</param>
    internal LatticePoints(ReadOnlySpan<ulong> points, int dimensions, LatticeSigns signs, float unit = 1)
    {
        Count = points.Length;
        Dimensions = dimensions;
        Signs = signs;
        _lanes = new Vector256<float>[(Count + Vector256<float>.Count - 1) / Vector256<float>.Count * dimensions];
        for (int i = 0; i < _lanes.Length * Vector256<float>.Count; i++)
        {
            int chunk = i / dimensions / Vector256<float>.Count, j = i / Vector256<float>.Count % dimensions, lane = i % Vector256<float>.Count;
            ulong point = points[Math.Min((chunk * Vector256<float>.Count) + lane, Count - 1)];
            _lanes[(chunk * dimensions) + j] = _lanes[(chunk * dimensions) + j].WithElement(lane, (sbyte)(point >> (8 * j)) * unit);
        }
    }

    /// <summary>Number of points.</summary>
    public int Count { get; }

    /// <summary>Coordinates of a point.</summary>
    public int Dimensions { get; }

    /// <summary>Which signs they can get.</summary>
    public LatticeSigns Signs { get; }

    /// <summary>[chunks, dimensions] Points side by side, eight to a chunk; the last is repeated.</summary>
    internal ReadOnlySpan<Vector256<float>> Lanes => _lanes;

    /// <summary>Coordinate <paramref name="j"/> of a point.</summary>
    internal float this[int point, int j] => _lanes[(point / Vector256<float>.Count * Dimensions) + j][point % Vector256<float>.Count];
}
