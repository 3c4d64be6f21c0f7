// Reads the safetensors files of reference data whole, for tests alone. Trusts its input: the product has its own, careful reader.
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Kidogo.TestSupport;

/// <summary>A tensor of a reference file: its element type as the file spells it, its shape and its bytes.</summary>
internal sealed record FixtureTensor(string DType, long[] Shape, byte[] Bytes)
{
    /// <summary>The elements as the machine type of the same width: <c>F32</c> as float, <c>I64</c> as long, <c>U8</c> as byte.</summary>
    public T[] As<T>()
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(Bytes).ToArray();
}

/// <summary>Reads a safetensors file into memory. No test but those of reference values depends on it.</summary>
internal static class SafetensorsFixture
{
    /// <summary>All tensors of the file by name.</summary>
    public static IReadOnlyDictionary<string, FixtureTensor> Read(string path)
    {
        byte[] file = File.ReadAllBytes(path);
        int headerLength = checked((int)BinaryPrimitives.ReadUInt64LittleEndian(file));
        int dataStart = sizeof(ulong) + headerLength;
        using JsonDocument header = JsonDocument.Parse(file.AsMemory(sizeof(ulong), headerLength));
        Dictionary<string, FixtureTensor> tensors = new(StringComparer.Ordinal);
        foreach (JsonProperty entry in header.RootElement.EnumerateObject())
        {
            if (entry.Name == "__metadata__")
            {
                continue;
            }

            JsonElement offsets = entry.Value.GetProperty("data_offsets");
            byte[] bytes = file[(dataStart + offsets[0].GetInt32())..(dataStart + offsets[1].GetInt32())];
            long[] shape = [.. entry.Value.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64())];
            tensors.Add(entry.Name, new FixtureTensor(entry.Value.GetProperty("dtype").GetString()!, shape, bytes));
        }

        return tensors;
    }
}
