// A weight in NF4 in memory. Knows no files.
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Formats.Plain;

namespace Kidogo.Tensors;

/// <summary>A matrix as QLoRA keeps a base that is not trained (arXiv 2305.14314): four bits a weight, and a float32 for each 64.</summary>
/// <remarks>Scales that are quantised too are decoded once: what they save is saved in files.</remarks>
internal sealed class Nf4Weight(PlainRows values, int rows, int columns) : DecodedWeight(WeightFormats.ForName("F32")!, rows, columns)
{
    public override long MemoryBytes
    {
        get
        {
            long weights = (long)Rows * Columns;
            return ((weights + 1) / 2) + (sizeof(float) * ((weights + Nf4Format.BlockSize - 1) / Nf4Format.BlockSize));
        }
    }

    public override void DecodeRow(int row, Span<float> destination) => values.Decode(row, destination);
}
