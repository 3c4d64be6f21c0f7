// Writes GGUF files of version 3, one tensor after the other. Knows the format, not what a model is.
using System.Text;

namespace Kidogo.Models.Files;

/// <summary>Writes a GGUF file of version 3, little endian (layout: ggml's docs/gguf.md).</summary>
public static class GgufWriter
{
    /// <summary>What the offsets of tensors are multiples of, in bytes.</summary>
    public const int Alignment = 32;

    private const uint Version = 3;

    /// <summary>Writes the whole file.</summary>
    /// <param name="stream">Where to, at its start; must know its position.</param>
    /// <param name="metadata">The metadata. An alignment that it asks for is not written: it is always 32.</param>
    /// <param name="tensors">The tensors, in the order of the file.</param>
    /// <param name="written">Called after each tensor; may be null.</param>
    /// <exception cref="ArgumentException">Two tensors have one name, a name is longer than ggml's 63 bytes, or a type is none of GGUF's.</exception>
    /// <exception cref="IOException">It cannot be written.</exception>
    public static void Write(Stream stream, GgufMetadata metadata, IReadOnlyList<TensorToWrite> tensors, Action<TensorToWrite>? written = null)
    {
        byte[] header = Header(metadata, tensors);
        stream.Write(header);
        Pad(stream, header.Length);
        foreach (TensorToWrite tensor in tensors)
        {
            tensor.WriteChecked(stream);
            Pad(stream, tensor.Bytes);
            written?.Invoke(tensor);
        }
    }

    /// <summary>Bytes that the file will have.</summary>
    public static long FileBytes(GgufMetadata metadata, IReadOnlyList<TensorToWrite> tensors) => Aligned(Header(metadata, tensors).Length) + tensors.Sum(tensor => Aligned(tensor.Bytes));

    /// <summary>Bytes rounded up to whole alignments.</summary>
    public static long Aligned(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;

    private static void Pad(Stream stream, long bytes)
    {
        Span<byte> zeros = stackalloc byte[Alignment];
        zeros.Clear();
        stream.Write(zeros[..(int)(Aligned(bytes) - bytes)]);
    }

    internal static byte[] Header(GgufMetadata metadata, IReadOnlyList<TensorToWrite> tensors)
    {
        string[] keys = [.. metadata.Keys.Where(key => key != GgufHeader.AlignmentKey)];
        MemoryStream bytes = new();
        using BinaryWriter writer = new(bytes);
        writer.Write("GGUF"u8);
        writer.Write(Version);
        writer.Write((ulong)tensors.Count);
        writer.Write((ulong)keys.Length);
        foreach (string key in keys)
        {
            WritePair(writer, key, metadata[key]);
        }

        HashSet<string> names = new(StringComparer.Ordinal);
        long offset = 0;
        foreach (TensorToWrite tensor in tensors)
        {
            if (!names.Add(tensor.Name))
            {
                throw new ArgumentException($"Two tensors are named {tensor.Name}.", nameof(tensors));
            }

            WriteTensor(writer, tensor, offset);
            offset = checked(offset + Aligned(tensor.Bytes));
        }

        writer.Flush();
        return bytes.ToArray();
    }

    private static void WritePair(BinaryWriter writer, string key, GgufMetadata.Value value)
    {
        WriteString(writer, Encoding.UTF8.GetBytes(key));
        writer.Write((uint)value.Kind);
        if (value.Kind == MetadataKind.String)
        {
            writer.Write((ulong)value.Count);
        }
        else if (value.Kind == MetadataKind.Array)
        {
            writer.Write((uint)value.Element);
            writer.Write((ulong)value.Count);
        }

        writer.Write(value.Payload.Span);
    }

    private static void WriteTensor(BinaryWriter writer, TensorToWrite tensor, long offset)
    {
        byte[] name = Encoding.UTF8.GetBytes(tensor.Name);
        if (name.Length > GgufHeader.MaxTensorNameBytes)
        {
            throw new ArgumentException($"The name {tensor.Name} has {name.Length} bytes; GGUF files have room for {GgufHeader.MaxTensorNameBytes}.", nameof(tensor));
        }

        uint type = GgufStoredTypes(tensor.Type);
        WriteString(writer, name);
        writer.Write((uint)tensor.Shape.Count);
        for (int i = tensor.Shape.Count - 1; i >= 0; i--)
        {
            writer.Write((ulong)tensor.Shape[i]); // innermost first
        }

        writer.Write(type);
        writer.Write((ulong)offset);
    }

    private static uint GgufStoredTypes(string type) =>
        GgufStoredType.IdOf(type) ?? throw new ArgumentException($"GGUF files have no type {type}; expected one such as F32, F16, BF16 or Q4_K.", nameof(type));

    private static void WriteString(BinaryWriter writer, ReadOnlySpan<byte> value)
    {
        writer.Write((ulong)value.Length);
        writer.Write(value);
    }
}
