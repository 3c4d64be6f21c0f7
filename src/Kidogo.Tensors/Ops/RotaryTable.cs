// Cosines and sines of rotary position embeddings. Knows no heads beyond their size, and no models.
namespace Kidogo.Tensors.Ops;

/// <summary>Which values of a head are turned together.</summary>
public enum RotaryLayout
{
    /// <summary>Value i with value i + n/2: Hugging Face checkpoints, and most GGUF architectures.</summary>
    HalfSplit,

    /// <summary>Value 2i with value 2i + 1: GGUF files of the Llama architecture.</summary>
    Interleaved,
}

/// <summary>Rotation by position (Su et al., arXiv 2104.09864, section 3.4.2): pair i of a head at position p is turned by the angle p · frequency i.</summary>
/// <remarks>Angles are computed in double: float32 knows an angle of 2,000 radians only to 1e-4. Tables grow by 256 positions at a time and are shared by all passes.</remarks>
public sealed class RotaryTable
{
    private const int PagePositions = 256;

    private readonly double[] _frequencies;
    private readonly float _factor;
    private readonly Lock _growth = new();
    private volatile float[][] _pages = [];

    /// <summary>A table.</summary>
    /// <param name="inverseFrequencies">Radians that a position turns pair i by. [n / 2]: the first n values of a head are turned.</param>
    /// <param name="attentionFactor">Cosines and sines are multiplied with this (YaRN, arXiv 2309.00071, section 3.4); 1 for none.</param>
    /// <param name="layout">Which values make a pair.</param>
    public RotaryTable(ReadOnlySpan<double> inverseFrequencies, float attentionFactor, RotaryLayout layout)
    {
        _frequencies = inverseFrequencies.ToArray();
        _factor = attentionFactor;
        Layout = layout;
    }

    /// <summary>Which values make a pair.</summary>
    public RotaryLayout Layout { get; }

    /// <summary>n / 2: pairs of a head that are turned.</summary>
    public int Pairs => _frequencies.Length;

    /// <summary>Grows the table so that it holds <paramref name="position"/>.</summary>
    internal void Prepare(int position)
    {
        if (position / PagePositions >= _pages.Length)
        {
            Grow((position / PagePositions) + 1);
        }
    }

    /// <summary>The cosines, then the sines, of a position. [2 · Pairs]</summary>
    internal ReadOnlySpan<float> Row(int position)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        float[][] pages = _pages;
        int page = position / PagePositions;
        if (page >= pages.Length)
        {
            pages = Grow(page + 1);
        }

        return pages[page].AsSpan(position % PagePositions * 2 * Pairs, 2 * Pairs);
    }

    /// <summary>The cosines, then the sines, of a turn by <paramref name="positions"/>, which may be negative: without the attention factor, which keys have already. [2 · Pairs]</summary>
    internal float[] Turn(int positions)
    {
        float[] turn = new float[2 * Pairs];
        for (int i = 0; i < Pairs; i++)
        {
            (double sin, double cos) = Math.SinCos(positions * _frequencies[i]);
            turn[i] = (float)cos;
            turn[Pairs + i] = (float)sin;
        }

        return turn;
    }

    private float[][] Grow(int count)
    {
        lock (_growth)
        {
            float[][] pages = _pages;
            if (count <= pages.Length)
            {
                return pages;
            }

            float[][] grown = new float[count][];
            pages.CopyTo(grown, 0);
            for (int page = pages.Length; page < count; page++)
            {
                float[] rows = new float[PagePositions * 2 * Pairs];
                for (int p = 0; p < PagePositions; p++)
                {
                    for (int i = 0; i < Pairs; i++)
                    {
                        (double sin, double cos) = Math.SinCos(((page * PagePositions) + p) * _frequencies[i]);
                        rows[(p * 2 * Pairs) + i] = (float)(cos * _factor);
                        rows[(p * 2 * Pairs) + Pairs + i] = (float)(sin * _factor);
                    }
                }

                grown[page] = rows;
            }

            _pages = grown;
            return grown;
        }
    }
}
