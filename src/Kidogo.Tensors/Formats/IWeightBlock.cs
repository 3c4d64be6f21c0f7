// What a stored weight format has to say about itself. Knows no files, no threads and no models.
namespace Kidogo.Tensors.Formats;

/// <summary>One block of a stored weight format: a struct laid out exactly as in the file, that can decode itself.</summary>
/// <typeparam name="TSelf">The struct: sequential, packed to 1 byte.</typeparam>
/// <remarks>A format is one file with one such struct and one line in <see cref="WeightFormats"/>.</remarks>
public interface IWeightBlock<TSelf>
    where TSelf : unmanaged, IWeightBlock<TSelf>
{
    /// <summary>The format's name, as in GGUF: <c>Q4_0</c>.</summary>
    static abstract string Name { get; }

    /// <summary>The number of <c>enum ggml_type</c> that GGUF files store.</summary>
    static abstract uint GgufTypeId { get; }

    /// <summary>Weights in a block.</summary>
    static abstract int BlockSize { get; }

    /// <summary>Bytes of a block in a file. A test compares it with the struct's size.</summary>
    static abstract int BlockBytes { get; }

    /// <summary>Writes the block's weights as float32.</summary>
    /// <param name="block">The block.</param>
    /// <param name="destination">[BlockSize]</param>
    /// <remarks>Any bytes decode to something: a block from a stranger cannot make this throw or read elsewhere.</remarks>
    static abstract void Decode(in TSelf block, Span<float> destination);

    /// <summary>Writes the weights of consecutive blocks as float32. Formats that can do better than block after block say so.</summary>
    /// <param name="blocks">[n]</param>
    /// <param name="destination">[n · BlockSize]</param>
    static virtual void DecodeAll(ReadOnlySpan<TSelf> blocks, Span<float> destination)
    {
        for (int i = 0; i < blocks.Length; i++)
        {
            TSelf.Decode(in blocks[i], destination.Slice(i * TSelf.BlockSize, TSelf.BlockSize));
        }
    }

    /// <summary>How many codes each weight can have while the scales of its block stay; 0 where weights have no codes of their own.</summary>
    static virtual int CodeCount => 0;

    /// <summary>Changes the code of one weight, and nothing else.</summary>
    /// <param name="block">The block.</param>
    /// <param name="element">0 to BlockSize - 1.</param>
    /// <param name="code">0 to <see cref="CodeCount"/> - 1.</param>
    static virtual void WriteCode(ref TSelf block, int element, int code) => throw new NotSupportedException($"The weights of {TSelf.Name} have no codes of their own.");

    /// <summary>The points that eight weights share; null where weights have codes of their own, or none.</summary>
    static virtual LatticePoints? Lattice => null;

    /// <summary>What makes weights of the coordinates of a point: w = scale · (coordinate + offset).</summary>
    /// <param name="block">The block.</param>
    /// <param name="eight">Which eight weights of it.</param>
    static virtual (float Scale, float Offset) ScaleOf(in TSelf block, int eight) => throw new NotSupportedException($"The weights of {TSelf.Name} share no points.");

    /// <summary>Changes the points and signs of eight weights, and nothing else.</summary>
    /// <param name="block">The block.</param>
    /// <param name="eight">Which eight weights of it.</param>
    /// <param name="points">One point of 8 coordinates, or two of 4.</param>
    /// <param name="signs">Bit j is set where weight j is negative; as <see cref="LatticePoints.Signs"/> allows.</param>
    static virtual void WriteEight(ref TSelf block, int eight, ReadOnlySpan<int> points, int signs) => throw new NotSupportedException($"The weights of {TSelf.Name} share no points.");

    /// <summary>Whether <see cref="EncodeRow"/> works.</summary>
    static virtual bool CanEncode => false;

    /// <summary>What <see cref="EncodeRow"/> does with importance.</summary>
    static virtual ImportanceUse Importance => ImportanceUse.Ignored;

    /// <summary>Encodes one whole row: some encoders look at the mean square of the row.</summary>
    /// <param name="row">[n · BlockSize], finite.</param>
    /// <param name="importance">[n · BlockSize], finite and not negative: how much the squared error of each column counts; or empty.</param>
    /// <param name="blocks">[n], any content.</param>
    /// <remarks>One thread, no allocation, the same bytes on every processor. A weight so large that a scale overflows may become infinite: the caller
    /// looks.</remarks>
    static virtual void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<TSelf> blocks) =>
        throw new NotSupportedException($"{TSelf.Name} can be read but not written.");
}
