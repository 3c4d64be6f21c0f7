// Evenly spaced points: integers times a scale. Knows no file format.
namespace Kidogo.Compression.Quantization;

/// <summary>How a <see cref="UniformGrid"/> is laid.</summary>
public sealed record UniformGridOptions
{
    /// <summary>Bits of a code, 1 to 8. Default 4.</summary>
    public int Bits { get; init; } = 4;

    /// <summary>Whether zero lies in the middle of the codes, so that no zero point is stored. All codes are used. Default false.</summary>
    public bool Symmetric { get; init; }

    /// <summary>Whether the range of a group is widened to hold 0, as GPTQ's authors do; AWQ's do not. Default true.</summary>
    public bool HoldsZero { get; init; } = true;

    /// <summary>Columns that share a scale; 0 for the whole row. Default 0.</summary>
    public int GroupColumns { get; init; }

    /// <summary>Whether a smaller range is taken where the sum of |error|^2.4 is smaller for it (GPTQ's search over 80 ranges). Default false.</summary>
    public bool SearchesRange { get; init; }
}

/// <summary>w ≈ (q - zero) · scale with integers q from 0 to 2^bits - 1, as in GPTQ (Frantar et al., arXiv 2210.17323) and its authors' code.</summary>
/// <remarks>Scales are quotients, and so is w / scale: a product with the reciprocal decides ties otherwise.</remarks>
public sealed class UniformGrid : IRowGrid
{
    private const int RangesTried = 80;
    private const float RangeStep = 100; // of hundredths of the range
    private const double ErrorPower = 2.4;
    private const float LeastScale = 1e-5f; // of a range that is not widened: a group of equal weights has none

    private readonly UniformGridOptions _options;
    private readonly int _largest;
    private readonly float[] _scales;
    private readonly float[] _zeros;
    private readonly byte[] _codes;

    /// <summary>A grid for one row.</summary>
    /// <param name="columns">Columns of the row.</param>
    /// <param name="options">How it is laid.</param>
    public UniformGrid(int columns, UniformGridOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(options.GroupColumns);
        if (options.Bits is < 1 or > 8)
        {
            throw new ArgumentOutOfRangeException(nameof(options), $"A code of {options.Bits} bits; expected 1 to 8.");
        }

        _options = options;
        _largest = (1 << options.Bits) - 1;
        GroupColumns = options.GroupColumns == 0 ? columns : options.GroupColumns;
        int groups = (columns + GroupColumns - 1) / GroupColumns;
        _scales = new float[groups];
        _zeros = new float[groups];
        _codes = new byte[columns];
    }

    /// <inheritdoc/>
    public int GroupColumns { get; }

    /// <summary>The scale of each group.</summary>
    public ReadOnlySpan<float> Scales => _scales;

    /// <summary>The code that means 0 in each group.</summary>
    public ReadOnlySpan<float> Zeros => _zeros;

    /// <summary>The code of each column.</summary>
    public ReadOnlySpan<byte> Codes => _codes;

    /// <inheritdoc/>
    /// <remarks>Importance does not count here.</remarks>
    public void Fit(int group, ReadOnlySpan<float> weights, ReadOnlySpan<float> importance)
    {
        float low = _options.HoldsZero ? 0 : float.PositiveInfinity;
        float high = _options.HoldsZero ? 0 : float.NegativeInfinity;
        foreach (float weight in weights)
        {
            low = Math.Min(low, weight);
            high = Math.Max(high, weight);
        }

        if (_options.Symmetric)
        {
            high = Math.Max(-low, high);
            low = low < 0 ? -high : low;
        }

        if (_options.HoldsZero && low == 0 && high == 0)
        {
            (low, high) = (-1, 1);
        }

        (_scales[group], _zeros[group]) = Lay(low, high);
        if (!_options.SearchesRange)
        {
            return;
        }

        double least = double.PositiveInfinity;
        for (int i = 0; i < RangesTried; i++)
        {
            float part = 1 - (i / RangeStep);
            (float scale, float zero) = Lay(part * low, part * high);
            double error = 0;
            foreach (float weight in weights)
            {
                error += Math.Pow(Math.Abs(Point(Code(weight, scale, zero), scale, zero) - weight), ErrorPower);
            }

            if (error < least)
            {
                least = error;
                (_scales[group], _zeros[group]) = (scale, zero);
            }
        }
    }

    /// <inheritdoc/>
    public float Round(int group, int column, float weight)
    {
        float code = Code(weight, _scales[group], _zeros[group]);
        _codes[column] = (byte)code;
        return Point(code, _scales[group], _zeros[group]);
    }

    private (float Scale, float Zero) Lay(float low, float high)
    {
        float scale = (high - low) / _largest;
        if (!_options.HoldsZero)
        {
            scale = Math.Max(scale, LeastScale);
            return (scale, Math.Clamp(-MathF.Round(low / scale), 0, _largest));
        }

        return (scale, _options.Symmetric ? (_largest + 1) / 2 : MathF.Round(-low / scale));
    }

    private float Code(float weight, float scale, float zero) => Math.Clamp(MathF.Round(weight / scale) + zero, 0, _largest);

    private static float Point(float code, float scale, float zero) => scale * (code - zero);
}
