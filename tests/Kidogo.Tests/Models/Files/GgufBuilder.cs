// Builds GGUF files by hand for tests, hostile ones included: every number that the format derives can be overridden. Checks nothing.
using System.Buffers.Binary;
using System.Text;

namespace Kidogo.Tests.Models.Files;

/// <summary>A GGUF file under construction.</summary>
internal sealed class GgufBuilder
{
    private readonly List<byte> _pairs = [];
    private readonly List<byte> _tensors = [];
    private readonly List<byte> _data = [];
    private ulong _pairCount;
    private ulong _tensorCount;

    public byte[] Magic { get; init; } = "GGUF"u8.ToArray();

    public uint Version { get; init; } = 3;

    /// <summary>Of the layout. It does not write general.alignment.</summary>
    public int Alignment { get; init; } = 32;

    public ulong? TensorCount { get; init; }

    public ulong? PairCount { get; init; }

    /// <summary>Bytes taken off the end of the data.</summary>
    public int Missing { get; init; }

    public GgufBuilder Add(string key, string value) => AddRaw(key, 8, String(Encoding.UTF8.GetBytes(value)));

    public GgufBuilder Add(string key, uint value) => AddRaw(key, 4, U32(value));

    public GgufBuilder Add(string key, float value) => AddRaw(key, 6, U32(BitConverter.SingleToUInt32Bits(value)));

    public GgufBuilder Add(string key, bool value) => AddRaw(key, 7, [value ? (byte)1 : (byte)0]);

    public GgufBuilder Add(string key, params string[] values) => AddArray(key, 8, (ulong)values.Length, Join(values.Select(value => String(Encoding.UTF8.GetBytes(value)))));

    public GgufBuilder Add(string key, params int[] values) => AddArray(key, 5, (ulong)values.Length, Join(values.Select(value => U32((uint)value))));

    public GgufBuilder Add(string key, params float[] values) => AddArray(key, 6, (ulong)values.Length, Join(values.Select(value => U32(BitConverter.SingleToUInt32Bits(value)))));

    public GgufBuilder AddArray(string key, uint elementType, ulong claimedCount, byte[] elements) => AddRaw(key, 9, [.. U32(elementType), .. U64(claimedCount), .. elements]);

    /// <summary>A pair with any type and any bytes.</summary>
    public GgufBuilder AddRaw(string key, uint type, byte[] value, ulong? keyLength = null) => AddRaw(Encoding.UTF8.GetBytes(key), type, value, keyLength);

    public GgufBuilder AddRaw(byte[] key, uint type, byte[] value, ulong? keyLength = null)
    {
        _pairs.AddRange(U64(keyLength ?? (ulong)key.Length));
        _pairs.AddRange(key);
        _pairs.AddRange(U32(type));
        _pairs.AddRange(value);
        _pairCount++;
        return this;
    }

    /// <summary>A tensor: dimensions in the file's order (innermost first), data as given, at the offset that is next or as claimed.</summary>
    public GgufBuilder AddTensor(string name, uint type, ulong[] dimensions, byte[] data, ulong? offset = null, uint? claimedDimensions = null)
    {
        byte[] nameBytes = Encoding.UTF8.GetBytes(name);
        _tensors.AddRange(U64((ulong)nameBytes.Length));
        _tensors.AddRange(nameBytes);
        _tensors.AddRange(U32(claimedDimensions ?? (uint)dimensions.Length));
        foreach (ulong dimension in dimensions)
        {
            _tensors.AddRange(U64(dimension));
        }

        _tensors.AddRange(U32(type));
        _tensors.AddRange(U64(offset ?? (ulong)_data.Count));
        _data.AddRange(data);
        Pad(_data);
        _tensorCount++;
        return this;
    }

    public byte[] Build()
    {
        List<byte> file = [.. Magic, .. U32(Version), .. U64(TensorCount ?? _tensorCount), .. U64(PairCount ?? _pairCount), .. _pairs, .. _tensors];
        if (_data.Count > 0)
        {
            Pad(file);
            file.AddRange(_data);
        }

        return [.. file[..^Missing]];
    }

    /// <summary>A small file that has something of everything.</summary>
    public static GgufBuilder Small() => new GgufBuilder()
        .Add("general.architecture", "llama")
        .Add("general.alignment", 32u)
        .Add("llama.block_count", 2u)
        .Add("llama.rope.freq_base", 10000f)
        .Add("tokenizer.ggml.add_bos_token", true)
        .AddRaw("some.u8", 0, [200])
        .AddRaw("some.i8", 1, [200])
        .AddRaw("some.i64", 11, U64(ulong.MaxValue))
        .AddRaw("some.f64", 12, U64(BitConverter.DoubleToUInt64Bits(0.5)))
        .Add("tokenizer.ggml.tokens", "<s>", "a", "", "é")
        .Add("tokenizer.ggml.token_type", 3, 1, 1, -1)
        .Add("tokenizer.ggml.scores", 0f, -1.5f, 2f, 3f)
        .AddTensor("token_embd.weight", (uint)TensorType.F32, [2, 3], Bytes(24))
        .AddTensor("blk.0.attn_q.weight", (uint)TensorType.Q4_0, [32, 2], Bytes(36))
        .AddTensor("ids", (uint)TensorType.I32, [3], Bytes(12));

    public static byte[] Bytes(int count) => [.. Enumerable.Range(0, count).Select(i => (byte)i)];

    public static byte[] U16(ushort value)
    {
        byte[] bytes = new byte[2];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, value);
        return bytes;
    }

    public static byte[] U32(uint value)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        return bytes;
    }

    public static byte[] U64(ulong value)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return bytes;
    }

    public static byte[] String(byte[] bytes) => [.. U64((ulong)bytes.Length), .. bytes];

    private static byte[] Join(IEnumerable<byte[]> parts) => [.. parts.SelectMany(part => part)];

    private void Pad(List<byte> bytes)
    {
        while (bytes.Count % Alignment != 0)
        {
            bytes.Add(0);
        }
    }
}

/// <summary>Numbers of tensor types in GGUF.</summary>
internal enum TensorType
{
    F32 = 0,
    Q4_0 = 2,
    I8 = 24,
    I32 = 26,
    I64 = 27,
}
