// Writes safetensors files, one tensor after the other. Knows the format, not what a model is.
using System.Buffers;
using System.Buffers.Binary;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Kidogo.Models.Files;

/// <summary>Writes a safetensors file: 8 bytes N, N bytes of JSON, the data without holes (huggingface/safetensors, README).</summary>
public static class SafetensorsWriter
{
    private const int Alignment = 8; // of the data, which the header is filled up to with spaces

    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>Writes the whole file.</summary>
    /// <param name="stream">Where to; must know its position.</param>
    /// <param name="tensors">The tensors, in any order: wide types come first, then names in order, as the reference library does.</param>
    /// <param name="metadata">The pairs of <c>__metadata__</c>; null for none.</param>
    /// <param name="written">Called after each tensor; may be null.</param>
    /// <exception cref="ArgumentException">Two tensors have one name, or a type is none of the format's.</exception>
    /// <exception cref="IOException">It cannot be written.</exception>
    public static void Write(
        Stream stream, IEnumerable<TensorToWrite> tensors, IEnumerable<KeyValuePair<string, string>>? metadata = null, Action<TensorToWrite>? written = null)
    {
        TensorToWrite[] ordered = InOrder(tensors);
        byte[] header = Header(ordered, metadata);
        Span<byte> length = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
        stream.Write(length);
        stream.Write(header);
        foreach (TensorToWrite tensor in ordered)
        {
            tensor.WriteChecked(stream);
            written?.Invoke(tensor);
        }
    }

    /// <summary>Bytes that the file will have.</summary>
    public static long FileBytes(IEnumerable<TensorToWrite> tensors, IEnumerable<KeyValuePair<string, string>>? metadata = null)
    {
        TensorToWrite[] ordered = InOrder(tensors);
        return sizeof(ulong) + Header(ordered, metadata).Length + ordered.Sum(tensor => tensor.Bytes);
    }

    private static TensorToWrite[] InOrder(IEnumerable<TensorToWrite> tensors)
    {
        (TensorToWrite Tensor, int Bits)[] measured = [.. tensors.Select(tensor => (tensor, BitsOf(tensor.Type)))];
        TensorToWrite[] ordered = [.. measured.OrderByDescending(each => each.Bits).ThenBy(each => each.Tensor.Name, StringComparer.Ordinal).Select(each => each.Tensor)];
        HashSet<string> names = new(StringComparer.Ordinal) { "__metadata__" };
        TensorToWrite? twice = Array.Find(ordered, tensor => !names.Add(tensor.Name));
        return twice is null ? ordered : throw new ArgumentException($"Two tensors are named {twice.Name}, or one has a name that the format keeps for itself.", nameof(tensors));
    }

    private static int BitsOf(string type) => SafetensorsFile.IsKnownType(type)
        ? SafetensorsFile.BitsOf(type)
        : throw new ArgumentException($"Safetensors files have no type {type}; expected one such as F32, F16, BF16, I8 or U8.", nameof(type));

    private static byte[] Header(TensorToWrite[] tensors, IEnumerable<KeyValuePair<string, string>>? metadata)
    {
        ArrayBufferWriter<byte> header = new();
        using (Utf8JsonWriter json = new(header, s_options))
        {
            json.WriteStartObject();
            WriteMetadata(json, metadata);
            long offset = 0;
            foreach (TensorToWrite tensor in tensors)
            {
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", tensor.Type);
                json.WriteStartArray("shape");
                foreach (long size in tensor.Shape)
                {
                    json.WriteNumberValue(size);
                }

                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset = checked(offset + tensor.Bytes));
                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        int padding = (Alignment - (header.WrittenCount % Alignment)) % Alignment;
        header.GetSpan(padding)[..padding].Fill((byte)' ');
        header.Advance(padding);
        return header.WrittenSpan.ToArray();
    }

    private static void WriteMetadata(Utf8JsonWriter json, IEnumerable<KeyValuePair<string, string>>? metadata)
    {
        if (metadata is null || !metadata.Any())
        {
            return;
        }

        json.WriteStartObject("__metadata__");
        foreach ((string key, string value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            json.WriteString(key, value);
        }

        json.WriteEndObject();
    }
}
