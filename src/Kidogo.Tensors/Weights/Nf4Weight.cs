// A weight in NF4 in memory. Knows no files.
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Formats.Plain;

namespace Kidogo.Tensors;

/// <summary>A matrix as QLoRA keeps a base that is not trained (arXiv 2305.14314): four bits a weight, and a float32 for each 64.</summary>
/// <remarks>Blocks of 64 run over the flattened matrix, so a row may begin inside one. Scales that are quantised too are decoded once: what they save is saved in files.</remarks>
internal sealed class Nf4Weight : DecodedPanelWeight
{
    private readonly byte[] _codes;
    private readonly float[] _scales;

    /// <summary>Takes stored parts.</summary>
    /// <exception cref="InvalidDataException">A part is missing, of another type or of another length.</exception>
    public Nf4Weight(Nf4Format format, IReadOnlyDictionary<string, StoredPart> parts, int rows, int columns)
        : base(WeightFormats.ForName("F32")!, rows, columns)
    {
        _codes = format.Codes(parts, checked(rows * columns)).ToArray();
        _scales = format.Scales(parts, rows * columns).ToArray();
    }

    public override long MemoryBytes => _codes.Length + (sizeof(float) * (long)_scales.Length);

    public override void DecodeRow(int row, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)Rows, nameof(row));
        ReadOnlySpan<float> table = Nf4Format.Table;
        int at = row * Columns;
        for (int c = 0; c < Columns;)
        {
            float scale = _scales[at / Nf4Format.BlockSize];
            for (int end = Math.Min(((at / Nf4Format.BlockSize) + 1) * Nf4Format.BlockSize, at + Columns - c); at < end; at++, c++)
            {
                destination[c] = table[(_codes[at / 2] >> (at % 2 == 0 ? 4 : 0)) & 15] * scale;
            }
        }
    }
}
