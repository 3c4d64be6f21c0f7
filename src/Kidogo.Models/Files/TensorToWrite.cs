// A tensor that a file is to be written with: its place in a header, and a way to its bytes. Knows no format of files.
using Kidogo.Tensors.Formats;

namespace Kidogo.Models.Files;

/// <summary>A tensor that is written when its turn comes, so that no more than one has to be in memory.</summary>
/// <param name="Name">The name in the file.</param>
/// <param name="Shape">Row-major: outermost dimension first. Empty for a scalar.</param>
/// <param name="Type">The type as safetensors and GGUF spell it: <c>F32</c>, <c>BF16</c>, <c>I8</c>, <c>Q4_K</c>.</param>
/// <param name="Bytes">Bytes of all rows.</param>
/// <param name="Write">Writes exactly that many.</param>
public sealed record TensorToWrite(string Name, IReadOnlyList<long> Shape, string Type, long Bytes, Action<Stream> Write)
{
    /// <summary>A tensor whose bytes are in memory.</summary>
    public static TensorToWrite Of(string name, IReadOnlyList<long> shape, string type, ReadOnlyMemory<byte> bytes) =>
        new(name, shape, type, bytes.Length, stream => stream.Write(bytes.Span));

    /// <summary>A tensor in a weight format.</summary>
    /// <param name="name">The name in the file.</param>
    /// <param name="shape">Row-major.</param>
    /// <param name="format">How rows are stored.</param>
    /// <param name="write">Writes all rows.</param>
    public static TensorToWrite Of(string name, IReadOnlyList<long> shape, WeightFormat format, Action<Stream> write)
    {
        long columns = shape.Count == 0 ? 1 : shape[^1];
        long rows = 1;
        for (int i = 0; i < shape.Count - 1; i++)
        {
            rows = checked(rows * shape[i]);
        }

        return new TensorToWrite(name, shape, format.Name, checked(rows * format.RowBytes(columns)), write);
    }

    /// <summary>Writes the bytes and makes sure that there are as many as was said.</summary>
    /// <param name="stream">Where to; must know its position.</param>
    /// <exception cref="InvalidOperationException">There were not.</exception>
    internal void WriteChecked(Stream stream)
    {
        long start = stream.Position;
        Write(stream);
        if (stream.Position - start != Bytes)
        {
            throw new InvalidOperationException($"The tensor {Name} announced {Bytes} bytes and wrote {stream.Position - start}.");
        }
    }
}
