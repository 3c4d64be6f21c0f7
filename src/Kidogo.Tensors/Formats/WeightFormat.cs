// A stored weight format as the rest of the house sees it: a name, a size, a way to float32 and, for most, a way back. Knows no files, no threads and no
// models.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Kidogo.Tensors.Formats.Encoding;

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

    /// <summary>How many codes each weight can have while the scales of its block stay; 0 where weights have no codes of their own, but share points of a codebook or are floating-point numbers.</summary>
    public abstract int CodeCount { get; }

    /// <summary>Changes the code of one weight, and nothing else: for methods that choose codes themselves. What a code means, <see cref="Decode"/> says.</summary>
    /// <param name="block">[BlockBytes]</param>
    /// <param name="element">Which weight of the block.</param>
    /// <param name="code">0 to <see cref="CodeCount"/> - 1.</param>
    /// <exception cref="ArgumentException">The block, the weight or the code is none of the format's.</exception>
    public void WriteCode(Span<byte> block, int element, int code)
    {
        if (block.Length != BlockBytes || (uint)element >= (uint)BlockSize || (uint)code >= (uint)CodeCount)
        {
            throw new ArgumentException($"Code {code} for weight {element} of a block of {block.Length} bytes; {Name} has {CodeCount} codes for {BlockSize} weights in {BlockBytes} bytes.");
        }

        WriteCodeTo(block, element, code);
    }

    /// <summary>The points that eight weights share; null where weights have codes of their own, or none.</summary>
    public abstract LatticePoints? Lattice { get; }

    /// <summary>Rounds eight weights that share points, so that little is left of their error once later weights have made good what they can; the scales of their block stay.</summary>
    /// <param name="block">[BlockBytes] Only the codes and signs of these weights change.</param>
    /// <param name="eight">Which eight weights.</param>
    /// <param name="weights">[8]</param>
    /// <param name="upper">[8, 8] How errors are passed on: row j is what the error of weight j, divided by the diagonal, takes from those behind. The identity where nothing is passed on.</param>
    /// <exception cref="NotSupportedException"><see cref="Lattice"/> is null.</exception>
    public void RoundEight(Span<byte> block, int eight, ReadOnlySpan<float> weights, ReadOnlySpan<float> upper)
    {
        if (block.Length != BlockBytes || (uint)eight >= (uint)(BlockSize / 8) || weights.Length != 8 || upper.Length != 64)
        {
            throw new ArgumentException($"{weights.Length} weights and {upper.Length} factors for eight {eight} of a block of {block.Length} bytes; {Name} has {BlockSize} weights in {BlockBytes} bytes, which are rounded eight at a time.");
        }

        RoundEightTo(block, eight, weights, upper);
    }

    /// <summary>Whether weights can be encoded to this format.</summary>
    public abstract bool CanEncode { get; }

    /// <summary>What encoding does with importance.</summary>
    public abstract ImportanceUse Importance { get; }

    /// <summary>Encodes one whole row: round to nearest, where the format has scales with the search for them that llama.cpp's quantiser does, to the same
    /// bytes.</summary>
    /// <param name="row">[C], whole blocks. A row, not a piece of it: some formats look at the mean square of the row when there is importance.</param>
    /// <param name="importance">[C] How much the squared error of each column counts, relative to others; not negative. Or empty: all alike.</param>
    /// <param name="destination">[RowBytes(C)]</param>
    /// <exception cref="ArgumentException">Lengths do not belong together, importance is not finite or negative, or is missing where it is
    /// required.</exception>
    /// <exception cref="NotSupportedException"><see cref="CanEncode"/> is false.</exception>
    /// <exception cref="WeightEncodingException">A weight is not finite, or too large for the format's scales.</exception>
    /// <remarks>The same bytes on every processor. docs/decisions/2026-11-22-encoders-equal-llama-cpp.md says where they are llama.cpp's and where
    /// not.</remarks>
    public void Encode(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<byte> destination)
    {
        CheckImportance(importance, row.Length);
        Encode(row, importance, destination, 0);
    }

    /// <summary>Encodes a row of a tensor, whose importance was checked before.</summary>
    internal void Encode(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<byte> destination, long rowNumber)
    {
        if (destination.Length != RowBytes(row.Length))
        {
            throw new ArgumentException($"A row of {row.Length} weights is {RowBytes(row.Length)} bytes of {Name}, not {destination.Length}.",
                nameof(destination));
        }

        int notFinite = RowChecks.FirstNotFinite(row, out float largest);
        if (notFinite >= 0)
        {
            throw new WeightEncodingException(Name, rowNumber, notFinite, row[notFinite]);
        }

        EncodeRow(row, importance, destination);
        if (largest > RowChecks.SurelySmall)
        {
            RefuseOverflow(row, destination, rowNumber);
        }
    }

    /// <summary>Whether this importance can be used for rows of <paramref name="columns"/> weights.</summary>
    /// <exception cref="ArgumentException">It cannot.</exception>
    internal void CheckImportance(ReadOnlySpan<float> importance, int columns)
    {
        if (importance.IsEmpty)
        {
            if (Importance == ImportanceUse.Required && columns > 0)
            {
                throw new ArgumentException(
                    $"{Name} is too coarse to be encoded without importance. Give an importance matrix, or choose a larger format.", nameof(importance));
            }

            return;
        }

        if (importance.Length != columns)
        {
            throw new ArgumentException($"Importance of {importance.Length} columns does not belong to a row of {columns} weights.", nameof(importance));
        }

        int unusable = RowChecks.FirstUnusableImportance(importance);
        if (unusable >= 0)
        {
            throw new ArgumentException($"Importance {importance[unusable]} of column {unusable} is not a finite number of at least 0.", nameof(importance));
        }
    }

    /// <summary>Writes a code that was checked.</summary>
    private protected abstract void WriteCodeTo(Span<byte> block, int element, int code);

    /// <summary>Rounds what was checked.</summary>
    private protected abstract void RoundEightTo(Span<byte> block, int eight, ReadOnlySpan<float> weights, ReadOnlySpan<float> upper);

    /// <summary>Encodes what was checked.</summary>
    private protected abstract void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<byte> destination);

    /// <summary>Looks whether scales overflowed, by decoding. Only rows with uncommonly large weights come here.</summary>
    private void RefuseOverflow(ReadOnlySpan<float> row, ReadOnlySpan<byte> blocks, long rowNumber)
    {
        float[] decoded = new float[BlockSize];
        for (int block = 0; block < row.Length / BlockSize; block++)
        {
            Decode(blocks.Slice(block * BlockBytes, BlockBytes), decoded);
            if (RowChecks.FirstNotFinite(decoded, out _) >= 0)
            {
                ReadOnlySpan<float> weights = row.Slice(block * BlockSize, BlockSize);
                int worst = RowChecks.IndexOfLargest(weights);
                throw new WeightEncodingException(Name, rowNumber, (block * BlockSize) + worst, weights[worst]);
            }
        }
    }

    /// <inheritdoc/>
    public override string ToString() => Name;
}

/// <summary>The format whose blocks are <typeparamref name="TBlock"/>.</summary>
internal sealed class BlockFormat<TBlock>() : WeightFormat(TBlock.Name, TBlock.GgufTypeId, TBlock.BlockSize, TBlock.BlockBytes)
    where TBlock : unmanaged, IWeightBlock<TBlock>
{
    internal override int StructBytes => Unsafe.SizeOf<TBlock>();

    public override int CodeCount => TBlock.CodeCount;

    public override LatticePoints? Lattice => TBlock.Lattice;

    public override bool CanEncode => TBlock.CanEncode;

    public override ImportanceUse Importance => TBlock.Importance;

    public override void Decode(ReadOnlySpan<byte> blocks, Span<float> destination)
    {
        if (blocks.Length % BlockBytes != 0 || destination.Length != (long)(blocks.Length / BlockBytes) * BlockSize)
        {
            throw new ArgumentException(
                $"{blocks.Length} bytes of {Name} do not decode to {destination.Length} weights: a block is {BlockBytes} bytes and {BlockSize} weights.");
        }

        TBlock.DecodeAll(MemoryMarshal.Cast<byte, TBlock>(blocks), destination);
    }

    private protected override void WriteCodeTo(Span<byte> block, int element, int code) => TBlock.WriteCode(ref MemoryMarshal.Cast<byte, TBlock>(block)[0], element, code);

    private protected override void RoundEightTo(Span<byte> block, int eight, ReadOnlySpan<float> weights, ReadOnlySpan<float> upper)
    {
        ref TBlock own = ref MemoryMarshal.Cast<byte, TBlock>(block)[0];
        (float scale, float offset) = TBlock.ScaleOf(in own, eight);
        Span<int> points = stackalloc int[2];
        int signs = LatticeSearch.Nearest(TBlock.Lattice!, weights, upper, scale, offset, points);
        TBlock.WriteEight(ref own, eight, points, signs);
    }

    private protected override void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<byte> destination) =>
        TBlock.EncodeRow(row, importance, MemoryMarshal.Cast<byte, TBlock>(destination));
}
