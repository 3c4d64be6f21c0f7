// A stored weight format as the rest of the house sees it: a name, a size, and a way to float32. Knows no files, no threads and no models.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats;

/// <summary>How the weights of a row are stored: in blocks of a fixed number of weights and bytes.</summary>
public abstract class WeightFormat
{
    private protected WeightFormat(string name, uint ggufTypeId, int blockSize, int blockBytes)
    {
        Name = name;
        GgufTypeId = ggufTypeId;
        BlockSize = blockSize;
        BlockBytes = blockBytes;
    }

    /// <summary>The format's name, as in GGUF: <c>Q4_0</c>.</summary>
    public string Name { get; }

    /// <summary>The number of <c>enum ggml_type</c> that GGUF files store.</summary>
    public uint GgufTypeId { get; }

    /// <summary>Weights in a block; 1 for the plain floating-point formats.</summary>
    public int BlockSize { get; }

    /// <summary>Bytes of a block.</summary>
    public int BlockBytes { get; }

    /// <summary>Bytes of the block struct, for the test that compares them with <see cref="BlockBytes"/>.</summary>
    internal abstract int StructBytes { get; }

    /// <summary>Bits that one weight takes on average.</summary>
    public double BitsPerWeight => 8.0 * BlockBytes / BlockSize;

    /// <summary>Bytes of a row of <paramref name="columns"/> weights.</summary>
    /// <exception cref="ArgumentException"><paramref name="columns"/> is negative or no multiple of <see cref="BlockSize"/>.</exception>
    /// <exception cref="OverflowException">The row would be longer than any file.</exception>
    public long RowBytes(long columns) => columns >= 0 && columns % BlockSize == 0
        ? checked(columns / BlockSize * BlockBytes)
        : throw new ArgumentException($"A row of {columns} weights is no whole number of {Name} blocks, which hold {BlockSize}.", nameof(columns));

    /// <summary>Decodes whole blocks to float32.</summary>
    /// <param name="blocks">[n · BlockBytes]</param>
    /// <param name="destination">[n · BlockSize]</param>
    /// <exception cref="ArgumentException">The lengths do not belong together.</exception>
    public abstract void Decode(ReadOnlySpan<byte> blocks, Span<float> destination);

    /// <inheritdoc/>
    public override string ToString() => Name;
}

/// <summary>The format whose blocks are <typeparamref name="TBlock"/>.</summary>
internal sealed class BlockFormat<TBlock>() : WeightFormat(TBlock.Name, TBlock.GgufTypeId, TBlock.BlockSize, TBlock.BlockBytes)
    where TBlock : unmanaged, IWeightBlock<TBlock>
{
    internal override int StructBytes => Unsafe.SizeOf<TBlock>();

    public override void Decode(ReadOnlySpan<byte> blocks, Span<float> destination)
    {
        if (blocks.Length % BlockBytes != 0 || destination.Length != (long)(blocks.Length / BlockBytes) * BlockSize)
        {
            throw new ArgumentException(
                $"{blocks.Length} bytes of {Name} do not decode to {destination.Length} weights: a block is {BlockBytes} bytes and {BlockSize} weights.");
        }

        TBlock.DecodeAll(MemoryMarshal.Cast<byte, TBlock>(blocks), destination);
    }
}
