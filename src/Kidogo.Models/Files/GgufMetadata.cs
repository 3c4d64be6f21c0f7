// Metadata that a GGUF file is to be written with: typed values in order. Knows no key by name.
using System.Buffers.Binary;
using System.Text;

namespace Kidogo.Models.Files;

/// <summary>Keys with typed values, in the order they were first set.</summary>
public sealed class GgufMetadata
{
    private readonly List<string> _keys = [];
    private readonly Dictionary<string, Value> _values = new(StringComparer.Ordinal);

    /// <summary>A value as it lies in a file: for an array what follows its length, for a string its bytes.</summary>
    internal readonly record struct Value(MetadataKind Kind, MetadataKind Element, long Count, ReadOnlyMemory<byte> Payload);

    /// <summary>The keys, in order.</summary>
    public IReadOnlyList<string> Keys => _keys;

    /// <summary>Whether there is a value.</summary>
    public bool Contains(string key) => _values.ContainsKey(key);

    /// <summary>Takes a value away.</summary>
    public void Remove(string key)
    {
        if (_values.Remove(key))
        {
            _keys.Remove(key);
        }
    }

    /// <summary>Gives a value another key, in the same place.</summary>
    internal void Rename(string key, string name)
    {
        if (_values.Remove(key, out Value value))
        {
            Remove(name);
            _keys[_keys.IndexOf(key)] = name;
            _values[name] = value;
        }
    }

    /// <summary>Sets an unsigned integer of 32 bits, which most keys have.</summary>
    public void Set(string key, uint value) => Set(key, MetadataKind.UInt32, sizeof(uint), bytes => BinaryPrimitives.WriteUInt32LittleEndian(bytes, value));

    /// <summary>Sets a float.</summary>
    public void Set(string key, float value) => Set(key, MetadataKind.Float32, sizeof(float), bytes => BinaryPrimitives.WriteSingleLittleEndian(bytes, value));

    /// <summary>Sets a truth value.</summary>
    public void Set(string key, bool value) => Set(key, MetadataKind.Bool, 1, bytes => bytes[0] = value ? (byte)1 : (byte)0);

    /// <summary>Sets a text.</summary>
    public void Set(string key, string value) => SetUtf8(key, Encoding.UTF8.GetBytes(value));

    /// <summary>Sets a text in bytes.</summary>
    public void SetUtf8(string key, ReadOnlyMemory<byte> bytes)
    {
        Put(key, new Value(MetadataKind.String, default, bytes.Length, bytes));
    }

    /// <summary>Sets an array of texts.</summary>
    public void Set(string key, IReadOnlyCollection<string> values)
    {
        using MemoryStream bytes = new();
        foreach (string value in values)
        {
            WriteString(bytes, Encoding.UTF8.GetBytes(value));
        }

        Put(key, new Value(MetadataKind.Array, MetadataKind.String, values.Count, bytes.ToArray()));
    }

    /// <summary>Sets an array of texts in bytes.</summary>
    /// <param name="key">The key.</param>
    /// <param name="count">How many.</param>
    /// <param name="item">The bytes of one.</param>
    public void SetStrings(string key, int count, Func<int, ReadOnlyMemory<byte>> item)
    {
        using MemoryStream bytes = new();
        for (int i = 0; i < count; i++)
        {
            WriteString(bytes, item(i).Span);
        }

        Put(key, new Value(MetadataKind.Array, MetadataKind.String, count, bytes.ToArray()));
    }

    /// <summary>Sets an array of integers of 32 bits with sign.</summary>
    public void Set(string key, ReadOnlySpan<int> values)
    {
        byte[] bytes = new byte[values.Length * sizeof(int)];
        for (int i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(i * sizeof(int)), values[i]);
        }

        Put(key, new Value(MetadataKind.Array, MetadataKind.Int32, values.Length, bytes));
    }

    /// <summary>Sets an array of floats.</summary>
    public void Set(string key, ReadOnlySpan<float> values)
    {
        byte[] bytes = new byte[values.Length * sizeof(float)];
        for (int i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), values[i]);
        }

        Put(key, new Value(MetadataKind.Array, MetadataKind.Float32, values.Length, bytes));
    }

    /// <summary>Sets an array of truth values.</summary>
    public void Set(string key, ReadOnlySpan<bool> values)
    {
        byte[] bytes = new byte[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            bytes[i] = values[i] ? (byte)1 : (byte)0;
        }

        Put(key, new Value(MetadataKind.Array, MetadataKind.Bool, values.Length, bytes));
    }

    /// <summary>Sets an array of bytes.</summary>
    public void SetBytes(string key, ReadOnlyMemory<byte> bytes) => Put(key, new Value(MetadataKind.Array, MetadataKind.UInt8, bytes.Length, bytes));

    /// <summary>Sets what another file has under the same key, bit for bit.</summary>
    public void Copy(string key, Metadata from) => Put(key, from.ReadValue(key));

    internal Value this[string key] => _values[key];

    /// <summary>Whether the value is the same number as the file has, be it of another type, or the same text; arrays never count as the same.</summary>
    internal bool Says(string key, Metadata other)
    {
        Value value = _values[key];
        return value.Kind switch
        {
            MetadataKind.UInt32 => other.KindOf(key) is { } kind and not (MetadataKind.String or MetadataKind.Array or MetadataKind.Bool or MetadataKind.Float32 or MetadataKind.Float64 or MetadataKind.UInt64)
                && kind >= 0 && other.TryGetInt(key, out long number) && number == BinaryPrimitives.ReadUInt32LittleEndian(value.Payload.Span),
            MetadataKind.Float32 => other.KindOf(key) is MetadataKind.Float32 or MetadataKind.Float64
                && other.TryGetFloat(key, out double number) && (float)number == BinaryPrimitives.ReadSingleLittleEndian(value.Payload.Span),
            _ => false,
        };
    }

    private static void WriteString(Stream stream, ReadOnlySpan<byte> value)
    {
        Span<byte> length = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)value.Length);
        stream.Write(length);
        stream.Write(value);
    }

    private void Set(string key, MetadataKind kind, int size, Action<byte[]> write)
    {
        byte[] bytes = new byte[size];
        write(bytes);
        Put(key, new Value(kind, default, 1, bytes));
    }

    private void Put(string key, Value value)
    {
        if (!_values.ContainsKey(key))
        {
            _keys.Add(key);
        }

        _values[key] = value;
    }
}
