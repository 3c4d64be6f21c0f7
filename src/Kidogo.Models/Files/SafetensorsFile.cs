// A safetensors file. Knows the format, not what a model is.
using System.Text.Json;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;

namespace Kidogo.Models.Files;

/// <summary>A safetensors file, mapped into memory: tensors where they lie.</summary>
/// <remarks>
/// Layout: 8 bytes N, N bytes of JSON, the data (huggingface/safetensors, README). All that its reference reader checks is checked: the data are covered by
/// the tensors without holes, overlaps or a remainder. F32, F16 and BF16 are weights; other types are listed.
/// </remarks>
public sealed class SafetensorsFile : IDisposable
{
    /// <summary>As in the reference reader.</summary>
    private const long MaxHeaderBytes = 100_000_000;

    /// <summary>Characters of all names and metadata together.</summary>
    internal const long MaxTextChars = 8 * 1024 * 1024;

    private const int MaxTensors = 65_536;
    private const int MaxDimensions = 16;
    private const int MaxDepth = 8;

    private static readonly string[] s_types =
    [
        "F32", "F16", "BF16", "F64", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL", "C64",
        "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F6_E2M3", "F6_E3M2", "F4",
    ];

    private readonly MappedFile _file;
    private readonly List<StoredTensor> _tensors = [];
    private readonly Dictionary<string, int> _index = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _metadata = new(StringComparer.Ordinal);

    private SafetensorsFile(MappedFile file)
    {
        _file = file;
        Read();
    }

    /// <summary>The path that was opened.</summary>
    public string Path => _file.Path;

    /// <summary>Bytes of the file.</summary>
    public long TotalBytes => _file.Length;

    /// <summary>The pairs of <c>__metadata__</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _metadata;

    /// <summary>All tensors, in the order of their data.</summary>
    public IReadOnlyList<StoredTensor> Tensors => _tensors;

    /// <summary>Characters of all names and metadata: they are held, so they must be few.</summary>
    internal long TextChars { get; private set; }

    /// <summary>Opens a safetensors file.</summary>
    /// <exception cref="ModelFormatException">The file is not what the format prescribes.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    public static SafetensorsFile Open(string path)
    {
        MappedFile file = MappedFile.Open(path);
        try
        {
            return new SafetensorsFile(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The tensor of this name, or null.</summary>
    public StoredTensor? Find(string name) => _index.TryGetValue(name, out int index) ? _tensors[index] : null;

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private void Read()
    {
        HeaderReader front = new(_file, 8 + 1);
        if (_file.Length < 8)
        {
            throw front.Refuse(0, $"The file has {_file.Length} bytes; a safetensors file begins with the 8 bytes of its header's length.");
        }

        ulong length = front.UInt64("the header's length");
        if (length > MaxHeaderBytes || (long)length > _file.Length - 8)
        {
            string hint = (uint)length == 0x46554747 ? "It begins as a GGUF file does: give it as one. " : "";
            throw front.Refuse(0, $"The header claims {length} bytes; {_file.Length - 8} follow and at most {MaxHeaderBytes} are accepted. {hint}The file may be cut short, or no safetensors file.");
        }

        if (length == 0 || front.Take(1, "the header")[0] != (byte)'{')
        {
            throw front.Refuse(8, "The header must begin with \"{\".");
        }

        long dataStart = 8 + (long)length;
        Place(ReadHeader((long)length), dataStart);
    }

    private List<Claim> ReadHeader(long length)
    {
        JsonTokens json = new(_file, 8, length, MaxDepth);
        List<Claim> claims = [];
        bool metadataSeen = false;
        json.Expect(JsonTokenType.StartObject, "an object");
        while (json.Read() && json.Type == JsonTokenType.PropertyName)
        {
            string name = Text(ref json, "a tensor's name");
            if (name == "__metadata__")
            {
                if (metadataSeen)
                {
                    throw json.Refuse("__metadata__ occurs twice.");
                }

                metadataSeen = true;
                ReadMetadata(ref json);
                continue;
            }

            if (!_index.TryAdd(name, 0))
            {
                throw json.Refuse($"There are two tensors named {ModelFormatException.Quote(name)}.");
            }

            if (claims.Count == MaxTensors)
            {
                throw json.Refuse($"The header lists more than {MaxTensors} tensors.");
            }

            claims.Add(ReadTensor(ref json, name));
        }

        if (json.Read())
        {
            throw json.Refuse("Something follows the header's object.");
        }

        return claims;
    }

    private string Text(ref JsonTokens json, string what)
    {
        string text = json.Text(what);
        TextChars += text.Length;
        return TextChars <= MaxTextChars ? text : throw json.Refuse($"The names and texts of the header take more than {MaxTextChars} characters together.");
    }

    private void ReadMetadata(ref JsonTokens json)
    {
        json.Expect(JsonTokenType.StartObject, "an object of strings as __metadata__");
        while (json.Read() && json.Type == JsonTokenType.PropertyName)
        {
            string key = Text(ref json, "a key of __metadata__");
            json.Expect(JsonTokenType.String, "a string in __metadata__");
            if (!_metadata.TryAdd(key, Text(ref json, "a value of __metadata__")))
            {
                throw json.Refuse($"__metadata__ has the key {ModelFormatException.Quote(key)} twice.");
            }

            if (_metadata.Count > MaxTensors)
            {
                throw json.Refuse($"__metadata__ has more than {MaxTensors} keys.");
            }
        }
    }

    private static Claim ReadTensor(ref JsonTokens json, string name)
    {
        long at = json.Position;
        string? type = null;
        long[]? shape = null;
        long[]? offsets = null;
        json.Expect(JsonTokenType.StartObject, "an object that describes a tensor");
        while (json.Read() && json.Type == JsonTokenType.PropertyName)
        {
            if (json.Is("dtype"))
            {
                RefuseTwice(json, name, type);
                json.Expect(JsonTokenType.String, "a string as dtype");
                type = KnownType(json) ?? throw json.Refuse($"The tensor {ModelFormatException.Quote(name)} has the dtype {ModelFormatException.Quote(json.Text("a dtype"))}, which is none of the format's.");
            }
            else if (json.Is("shape"))
            {
                RefuseTwice(json, name, shape);
                shape = ReadCounts(ref json, MaxDimensions, "the shape of a tensor");
            }
            else if (json.Is("data_offsets"))
            {
                RefuseTwice(json, name, offsets);
                offsets = ReadCounts(ref json, 2, "the data_offsets of a tensor");
            }
            else
            {
                json.Read();
                json.SkipValue();
            }
        }

        if (type is null || shape is null || offsets is not { Length: 2 })
        {
            throw json.Refuse($"The tensor {ModelFormatException.Quote(name)} needs a dtype, a shape, and data_offsets of two numbers.");
        }

        return Check(json, new Claim(name, shape, type, at, offsets[0], offsets[1]));
    }

    private static void RefuseTwice(in JsonTokens json, string name, object? earlier)
    {
        if (earlier is not null)
        {
            throw json.Refuse($"The tensor {ModelFormatException.Quote(name)} has one of its fields twice.");
        }
    }

    private static long[] ReadCounts(ref JsonTokens json, int max, string what)
    {
        Span<long> counts = stackalloc long[MaxDimensions];
        int count = 0;
        json.Expect(JsonTokenType.StartArray, "a list of integers");
        while (json.Read() && json.Type != JsonTokenType.EndArray)
        {
            if (count == max)
            {
                throw json.Refuse($"{what} has more than {max} numbers.");
            }

            counts[count] = json.Count(what);
            count++;
        }

        return counts[..count].ToArray();
    }

    // One string for all tensors of a type: a header of many tensors must not fill the memory with them.
    private static string? KnownType(in JsonTokens json)
    {
        foreach (string type in s_types)
        {
            if (json.Is(type))
            {
                return type;
            }
        }

        return null;
    }

    private static Claim Check(in JsonTokens json, Claim claim)
    {
        int bits = BitsOf(claim.Type);
        long product = 1; // of the dimensions that are not zero: it must fit even where the tensor is empty
        foreach (long size in claim.Shape)
        {
            long factor = Math.Max(size, 1);
            if (factor > long.MaxValue / product)
            {
                throw json.Refuse($"The tensor {ModelFormatException.Quote(claim.Name)} claims more than {long.MaxValue} elements: [{string.Join(", ", claim.Shape)}].");
            }

            product *= factor;
        }

        UInt128 allBits = claim.Shape.Contains(0) ? 0 : (UInt128)product * (uint)bits;
        if (allBits % 8 != 0 || claim.End < claim.Begin || allBits / 8 != (UInt128)(claim.End - claim.Begin))
        {
            throw json.Refuse($"The tensor {ModelFormatException.Quote(claim.Name)} of type {claim.Type} and shape [{string.Join(", ", claim.Shape)}] takes {allBits} bits, but its data_offsets are {claim.Begin} to {claim.End}.");
        }

        return claim;
    }

    private void Place(List<Claim> claims, long dataStart)
    {
        claims.Sort(static (a, b) => a.Begin != b.Begin ? a.Begin.CompareTo(b.Begin) : a.End.CompareTo(b.End));
        long available = _file.Length - dataStart;
        long end = 0;
        foreach (Claim claim in claims)
        {
            if (claim.Begin != end || claim.End > available)
            {
                throw new ModelFormatException(
                    Path,
                    claim.At,
                    $"The tensor {ModelFormatException.Quote(claim.Name)} lies at {claim.Begin} to {claim.End}; expected it to begin at {end}, where the one before ends, and to end within the {available} bytes of data.");
            }

            end = claim.End;
            WeightFormat? format = WeightFormats.ForSafetensorsName(claim.Type);
            _index[claim.Name] = _tensors.Count;
            _tensors.Add(new StoredTensor(claim.Name, claim.Shape, format, claim.Type, _file.Range(dataStart + claim.Begin, claim.End - claim.Begin)));
        }

        if (end != available)
        {
            throw new ModelFormatException(Path, dataStart + end, $"{available - end} bytes follow the last tensor; the format allows none. The file may be cut short or damaged.");
        }
    }

    /// <summary>Whether the format has a type of this name.</summary>
    internal static bool IsKnownType(string type) => s_types.Contains(type);

    /// <summary>Bits of an element of a type of the format.</summary>
    internal static int BitsOf(string type) => type switch
    {
        "F4" => 4,
        "F6_E2M3" or "F6_E3M2" => 6,
        "U16" or "I16" or "F16" or "BF16" => 16,
        "U32" or "I32" or "F32" => 32,
        "U64" or "I64" or "F64" or "C64" => 64,
        _ => 8, // of those in s_types
    };

    /// <summary>What the header says of one tensor.</summary>
    private sealed record Claim(string Name, long[] Shape, string Type, long At, long Begin, long End);
}
