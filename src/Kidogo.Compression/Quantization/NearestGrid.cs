// Any format as a grid whose weights are rounded as its encoder does. Knows no method.
using Kidogo.Tensors.Formats;

namespace Kidogo.Compression.Quantization;

/// <summary>Rounds a group as the format's encoder does, codebooks included: for methods that change weights before they are rounded, and not in between.</summary>
/// <param name="format">The format.</param>
public sealed class NearestGrid(WeightFormat format) : IRowGrid
{
    private readonly byte[] _block = new byte[format.BlockBytes];
    private readonly float[] _rounded = new float[format.BlockSize];

    /// <inheritdoc/>
    public int GroupColumns => format.BlockSize;

    /// <inheritdoc/>
    public void Fit(int group, ReadOnlySpan<float> weights, ReadOnlySpan<float> importance)
    {
        format.Encode(weights, importance, _block);
        format.Decode(_block, _rounded);
    }

    /// <inheritdoc/>
    /// <remarks>Of the group that was fitted last, the weights that it was fitted to.</remarks>
    public float Round(int group, int column, float weight) => _rounded[column - (group * format.BlockSize)];
}
