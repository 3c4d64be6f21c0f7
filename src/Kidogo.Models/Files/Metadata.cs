// The typed key-value pairs of a GGUF file. Knows how values are stored, not what any key means.
using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Kidogo.Tensors;

namespace Kidogo.Models.Files;

/// <summary>The types of metadata values, numbered as in GGUF.</summary>
public enum MetadataKind
{
    /// <summary>8 bits without sign.</summary>
    UInt8 = 0,

    /// <summary>8 bits with sign.</summary>
    Int8 = 1,

    /// <summary>16 bits without sign.</summary>
    UInt16 = 2,

    /// <summary>16 bits with sign.</summary>
    Int16 = 3,

    /// <summary>32 bits without sign.</summary>
    UInt32 = 4,

    /// <summary>32 bits with sign.</summary>
    Int32 = 5,

    /// <summary>IEEE single.</summary>
    Float32 = 6,

    /// <summary>One byte; all but 0 is true.</summary>
    Bool = 7,

    /// <summary>Bytes that should be UTF-8.</summary>
    String = 8,

    /// <summary>Several values of one kind.</summary>
    Array = 9,

    /// <summary>64 bits without sign.</summary>
    UInt64 = 10,

    /// <summary>64 bits with sign.</summary>
    Int64 = 11,

    /// <summary>IEEE double.</summary>
    Float64 = 12,
}

/// <summary>The metadata of a GGUF file: typed access with ranges, and nothing copied before it is asked for.</summary>
/// <remarks>
/// A key that is absent makes <c>TryGet…</c> false; a key that is there with another type, or a value out of range, throws <see cref="ModelFormatException"/>, so that nothing is overlooked in silence.
/// Integers of all widths are read alike, floats too, and integers pass for floats. Values live as long as the file is open.
/// </remarks>
public sealed class Metadata
{
    /// <summary>Arrays with more numbers than this open, but are not read: 16 MiB of them is four times any model's.</summary>
    private const long MaxNumbers = 4 * 1024 * 1024;

    private readonly MappedFile _file;
    private readonly List<string> _keys = [];
    private readonly List<MetadataEntry> _entries = [];
    private readonly Dictionary<string, int> _index = new(StringComparer.Ordinal);

    internal Metadata(MappedFile file) => _file = file;

    /// <summary>The path of the file.</summary>
    public string File => _file.Path;

    /// <summary>All keys, in the order of the file.</summary>
    public IReadOnlyList<string> Keys => _keys;

    /// <summary>Whether <paramref name="key"/> is there.</summary>
    public bool Contains(string key) => _index.ContainsKey(key);

    /// <summary>The type of the value of <paramref name="key"/>, or null where it is absent.</summary>
    public MetadataKind? KindOf(string key) => Entry(key)?.Kind;

    /// <summary>The type of the elements of an array, or null where <paramref name="key"/> is absent or no array.</summary>
    public MetadataKind? ElementKindOf(string key) => Entry(key) is { Kind: MetadataKind.Array } entry ? entry.ElementKind : null;

    /// <summary>The number of elements of an array, or 1 for a single value, or 0 where <paramref name="key"/> is absent.</summary>
    public long CountOf(string key) => Entry(key) is { } entry ? entry.Kind == MetadataKind.Array ? entry.Count : 1 : 0;

    /// <summary>The text of <paramref name="key"/>, with U+FFFD for bytes that are no UTF-8.</summary>
    public bool TryGetString(string key, out string value)
    {
        bool found = TryGetUtf8(key, out ReadOnlySpan<byte> bytes);
        value = found ? Encoding.UTF8.GetString(bytes) : "";
        return found;
    }

    /// <summary>The bytes of the text of <paramref name="key"/>.</summary>
    public bool TryGetUtf8(string key, out ReadOnlySpan<byte> value)
    {
        MetadataEntry? entry = Entry(key, MetadataKind.String, "a string");
        value = entry is null ? default : _file.Read(entry.Offset, (int)entry.Count);
        return entry is not null;
    }

    /// <summary>The text of <paramref name="key"/>, which must be there.</summary>
    public string GetString(string key) => TryGetString(key, out string value) ? value : throw Missing(key, "a string");

    /// <summary>The text of <paramref name="key"/>, or <paramref name="whenAbsent"/>.</summary>
    public string GetString(string key, string whenAbsent) => TryGetString(key, out string value) ? value : whenAbsent;

    /// <summary>The integer of <paramref name="key"/>, of any width.</summary>
    public bool TryGetInt(string key, out long value)
    {
        value = 0;
        if (Entry(key) is not { } entry)
        {
            return false;
        }

        value = entry.Kind switch
        {
            MetadataKind.UInt8 or MetadataKind.UInt16 or MetadataKind.UInt32 or MetadataKind.Int8 or MetadataKind.Int16 or MetadataKind.Int32 or MetadataKind.Int64 => (long)entry.Bits,
            MetadataKind.UInt64 when entry.Bits <= long.MaxValue => (long)entry.Bits,
            MetadataKind.UInt64 => throw Refuse(key, $"is {entry.Bits}; expected at most {long.MaxValue}."),
            _ => throw WrongKind(key, entry, "an integer"),
        };
        return true;
    }

    /// <summary>The integer of <paramref name="key"/>, which must be there and lie in [<paramref name="min"/>, <paramref name="max"/>].</summary>
    public int GetInt(string key, int min, int max)
    {
        if (!TryGetInt(key, out long value))
        {
            throw Missing(key, $"an integer from {min} to {max}");
        }

        return value >= min && value <= max ? (int)value : throw Refuse(key, $"is {value}; expected an integer from {min} to {max}.");
    }

    /// <summary>The integer of <paramref name="key"/>, which must lie in [<paramref name="min"/>, <paramref name="max"/>], or <paramref name="whenAbsent"/>.</summary>
    public int GetInt(string key, int min, int max, int whenAbsent) => Contains(key) ? GetInt(key, min, max) : whenAbsent;

    /// <summary>The number of <paramref name="key"/>: a float of either width, or an integer. May be infinite or not a number.</summary>
    public bool TryGetFloat(string key, out double value)
    {
        value = 0;
        if (Entry(key) is not { } entry)
        {
            return false;
        }

        value = entry.Kind switch
        {
            MetadataKind.Float32 => BitConverter.UInt32BitsToSingle((uint)entry.Bits),
            MetadataKind.Float64 => BitConverter.UInt64BitsToDouble(entry.Bits),
            MetadataKind.UInt64 => entry.Bits,
            MetadataKind.String or MetadataKind.Array or MetadataKind.Bool => throw WrongKind(key, entry, "a number"),
            _ => (long)entry.Bits,
        };
        return true;
    }

    /// <summary>The number of <paramref name="key"/>, which must be there and lie in [<paramref name="min"/>, <paramref name="max"/>].</summary>
    public double GetFloat(string key, double min, double max)
    {
        if (!TryGetFloat(key, out double value))
        {
            throw Missing(key, Invariant($"a number from {min} to {max}"));
        }

        return value >= min && value <= max ? value : throw Refuse(key, Invariant($"is {value}; expected a number from {min} to {max}."));
    }

    /// <summary>The number of <paramref name="key"/>, which must lie in [<paramref name="min"/>, <paramref name="max"/>], or <paramref name="whenAbsent"/>.</summary>
    public double GetFloat(string key, double min, double max, double whenAbsent) => Contains(key) ? GetFloat(key, min, max) : whenAbsent;

    /// <summary>The truth value of <paramref name="key"/>.</summary>
    public bool TryGetBool(string key, out bool value)
    {
        MetadataEntry? entry = Entry(key, MetadataKind.Bool, "true or false");
        value = entry is { Bits: not 0 };
        return entry is not null;
    }

    /// <summary>The truth value of <paramref name="key"/>, or <paramref name="whenAbsent"/>.</summary>
    public bool GetBool(string key, bool whenAbsent) => TryGetBool(key, out bool value) ? value : whenAbsent;

    /// <summary>The strings of <paramref name="key"/>, still where they lie.</summary>
    public bool TryGetStrings(string key, out Utf8Strings value)
    {
        MetadataEntry? entry = ArrayEntry(key, "strings");
        value = null!;
        if (entry is null)
        {
            return false;
        }

        if (entry.ElementKind != MetadataKind.String)
        {
            throw WrongKind(key, entry, "an array of strings");
        }

        // One object for each key, so that the places of the strings are looked for once.
        value = entry.Strings ??= new Utf8Strings(_file, key, entry.Offset, entry.End, entry.Count);
        return true;
    }

    /// <summary>The integers of <paramref name="key"/>, of any width in the file, each of which must fit in 32 bits with sign.</summary>
    public bool TryGetInts(string key, out int[] value)
    {
        value = [];
        if (ArrayEntry(key, "integers") is not { } entry)
        {
            return false;
        }

        if (entry.ElementKind is MetadataKind.String or MetadataKind.Bool or MetadataKind.Float32 or MetadataKind.Float64)
        {
            throw WrongKind(key, entry, "an array of integers");
        }

        ReadOnlySpan<byte> bytes = Numbers(key, entry);
        int size = MetadataEntry.SizeOf(entry.ElementKind);
        value = new int[entry.Count];
        for (int i = 0; i < value.Length; i++)
        {
            ulong bits = MetadataEntry.ReadBits(entry.ElementKind, bytes.Slice(i * size, size));
            bool fits = entry.ElementKind == MetadataKind.UInt64 ? bits <= int.MaxValue : (long)bits is >= int.MinValue and <= int.MaxValue;
            value[i] = fits ? (int)(long)bits : throw Refuse(key, $"holds {bits} at index {i}; expected integers of 32 bits with sign.");
        }

        return true;
    }

    /// <summary>The numbers of <paramref name="key"/>: floats of either width, as float32.</summary>
    public bool TryGetFloats(string key, out float[] value)
    {
        value = [];
        if (ArrayEntry(key, "numbers") is not { } entry)
        {
            return false;
        }

        if (entry.ElementKind is not (MetadataKind.Float32 or MetadataKind.Float64))
        {
            throw WrongKind(key, entry, "an array of floats");
        }

        ReadOnlySpan<byte> bytes = Numbers(key, entry);
        value = new float[entry.Count];
        for (int i = 0; i < value.Length; i++)
        {
            value[i] = entry.ElementKind == MetadataKind.Float32
                ? BinaryPrimitives.ReadSingleLittleEndian(bytes[(i * sizeof(float))..])
                : (float)BinaryPrimitives.ReadDoubleLittleEndian(bytes[(i * sizeof(double))..]);
        }

        return true;
    }

    /// <summary>The truth values of <paramref name="key"/>: an array of bools or of integers, where all but 0 is true.</summary>
    public bool TryGetBools(string key, out bool[] value)
    {
        value = [];
        if (ArrayEntry(key, "truth values") is not { } entry)
        {
            return false;
        }

        if (entry.ElementKind is MetadataKind.String or MetadataKind.Float32 or MetadataKind.Float64)
        {
            throw WrongKind(key, entry, "an array of truth values");
        }

        ReadOnlySpan<byte> bytes = Numbers(key, entry);
        int size = MetadataEntry.SizeOf(entry.ElementKind);
        value = new bool[entry.Count];
        for (int i = 0; i < value.Length; i++)
        {
            value[i] = bytes.Slice(i * size, size).ContainsAnyExcept((byte)0);
        }

        return true;
    }

    /// <summary>One integer per layer: an array of exactly <paramref name="layers"/> values, or a single value that holds for all. Each must lie in [<paramref name="min"/>, <paramref name="max"/>].</summary>
    public int[] GetIntPerLayer(string key, int layers, int min, int max)
    {
        int[] values;
        if (KindOf(key) != MetadataKind.Array)
        {
            values = new int[layers];
            Array.Fill(values, GetInt(key, min, max));
            return values;
        }

        TryGetInts(key, out values);
        if (values.Length != layers)
        {
            throw Refuse(key, $"holds {values.Length} values; expected one for each of the {layers} layers.");
        }

        int wrong = Array.FindIndex(values, value => value < min || value > max);
        return wrong < 0 ? values : throw Refuse(key, $"holds {values[wrong]} for layer {wrong}; expected integers from {min} to {max}.");
    }

    /// <summary>The value of <paramref name="key"/> for people: at most <paramref name="limit"/> characters of a text, the first <paramref name="items"/> elements of an array, safe for a terminal.</summary>
    public string Describe(string key, int limit = 80, int items = 4) => Entry(key) is { } entry ? MetadataText.Describe(_file, this, key, entry, limit, items) : "";

    /// <summary>The exception that says what is wrong with the value of <paramref name="key"/>, for those who know what it should be.</summary>
    /// <param name="key">The key.</param>
    /// <param name="problem">The end of a sentence that begins with the key: "is 7; expected …".</param>
    public ModelFormatException Refuse(string key, string problem) =>
        new(File, Entry(key)?.Offset ?? -1, $"The metadata {ModelFormatException.Quote(key)} {problem}");

    /// <summary>The value of <paramref name="key"/> as it lies in the file, for those who pass it on.</summary>
    internal GgufMetadata.Value ReadValue(string key)
    {
        MetadataEntry entry = Entry(key) ?? throw Missing(key, "a value");
        byte[] bytes = new byte[checked((int)(entry.End - entry.Offset))];
        _file.CopyTo(entry.Offset, bytes);
        return new GgufMetadata.Value(entry.Kind, entry.ElementKind, entry.Kind is MetadataKind.String or MetadataKind.Array ? entry.Count : 1, bytes);
    }

    internal void EnsureCapacity(int pairs)
    {
        _keys.EnsureCapacity(pairs);
        _entries.EnsureCapacity(pairs);
        _index.EnsureCapacity(pairs);
    }

    internal bool TryAdd(string key, MetadataEntry entry)
    {
        if (!_index.TryAdd(key, _entries.Count))
        {
            return false;
        }

        _keys.Add(key);
        _entries.Add(entry);
        return true;
    }

    internal MetadataEntry? Entry(string key) => _index.TryGetValue(key, out int index) ? _entries[index] : null;

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private MetadataEntry? Entry(string key, MetadataKind kind, string expected) =>
        Entry(key) is not { } entry ? null : entry.Kind == kind ? entry : throw WrongKind(key, entry, expected);

    private MetadataEntry? ArrayEntry(string key, string expected) => Entry(key, MetadataKind.Array, $"an array of {expected}");

    private ReadOnlySpan<byte> Numbers(string key, MetadataEntry entry) => entry.Count <= MaxNumbers
        ? _file.Read(entry.Offset, (int)(entry.End - entry.Offset))
        : throw Refuse(key, $"holds {entry.Count} numbers; at most {MaxNumbers} are read.");

    private ModelFormatException WrongKind(string key, MetadataEntry entry, string expected)
    {
        string found = entry.Kind == MetadataKind.Array ? $"an array of {entry.Count} {entry.ElementKind}" : $"of type {entry.Kind}";
        return Refuse(key, $"is {found}; expected {expected}.");
    }

    private ModelFormatException Missing(string key, string expected) => new(File, -1, $"The metadata {ModelFormatException.Quote(key)} is absent; expected {expected}. The file may be of another kind, or made by a broken converter.");
}
