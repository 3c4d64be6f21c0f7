// A JSON object of settings with typed, range-checked fields. Knows no setting by name.
using System.Globalization;
using System.Text.Json;
using Kidogo.Text;

namespace Kidogo.Models.Files;

/// <summary>A JSON object from an untrusted file, read-only. A field that is <c>null</c> counts as absent.</summary>
/// <remarks>A field of the wrong kind or out of range throws <see cref="ModelFormatException"/>, which names the file and the field.</remarks>
public sealed class JsonFields
{
    private const int MaxDepth = 32;
    private readonly string _where;

    private JsonFields(string file, string where, JsonElement element)
    {
        File = file;
        _where = where;
        Element = element;
        try
        {
            foreach (JsonProperty property in element.EnumerateObject())
            {
                _ = property.Name; // a name that is no Unicode throws here, once, instead of at each use
            }
        }
        catch (InvalidOperationException e)
        {
            throw new ModelFormatException(file, -1, $"The name of a field {(where.Length == 0 ? "" : $"of {ModelFormatException.Quote(where)} ")}is not valid Unicode.", e);
        }
    }

    /// <summary>The path of the file.</summary>
    public string File { get; }

    /// <summary>The object itself, for those who pass it on unread.</summary>
    public JsonElement Element { get; }

    /// <summary>The names of all fields, in the order of the file.</summary>
    public IEnumerable<string> Names
    {
        get
        {
            foreach (JsonProperty property in Element.EnumerateObject())
            {
                yield return property.Name;
            }
        }
    }

    /// <summary>Reads a file that holds one JSON object.</summary>
    /// <param name="path">The file.</param>
    /// <param name="maxBytes">Longer files are refused unread.</param>
    /// <exception cref="ModelFormatException">The file is too long, no JSON, nested too deep, has a field twice, or holds something else than an object.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    public static JsonFields Load(string path, int maxBytes) => Parse(path, SmallFile.Read(path, maxBytes));

    /// <summary>Reads one JSON object.</summary>
    /// <param name="path">What messages call the file.</param>
    /// <param name="bytes">The file.</param>
    /// <exception cref="ModelFormatException">It is no JSON, nested too deep, has a field twice, or holds something else than an object.</exception>
    public static JsonFields Parse(string path, byte[] bytes)
    {
        try
        {
            JsonElement root = JsonDocument.Parse(bytes, new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false }).RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                throw new ModelFormatException(path, 0, $"Expected a JSON object, found {root.ValueKind}.");
            }

            return new JsonFields(path, "", root);
        }
        catch (JsonException e)
        {
            throw new ModelFormatException(path, SmallFile.OffsetOf(bytes, e), $"This is not the JSON that was expected: {JsonProblem.Of(e)}.", e);
        }
        catch (InvalidOperationException e) // names are compared to find those that occur twice
        {
            throw new ModelFormatException(path, -1, "The name of a field is not valid Unicode.", e);
        }
    }

    /// <summary>Whether the field is there and not null.</summary>
    public bool Contains(string name) => TryGet(name, out _);

    /// <summary>The kind of the field's value; <see cref="JsonValueKind.Undefined"/> where it is absent or null.</summary>
    public JsonValueKind KindOf(string name) => TryGet(name, out JsonElement value) ? value.ValueKind : JsonValueKind.Undefined;

    /// <summary>An integer; 4096.0 counts as one.</summary>
    public bool TryGetInt(string name, out long value)
    {
        value = 0;
        if (!TryGet(name, out JsonElement element))
        {
            return false;
        }

        value = Int(element) ?? throw Wrong(name, element, "an integer");
        return true;
    }

    /// <summary>An integer that must be there and lie in [<paramref name="min"/>, <paramref name="max"/>].</summary>
    public int GetInt(string name, int min, int max)
    {
        if (!TryGetInt(name, out long value))
        {
            throw Missing(name, $"an integer from {min} to {max}");
        }

        return value >= min && value <= max ? (int)value : throw Refuse(name, $"is {value}; expected an integer from {min} to {max}.");
    }

    /// <summary>An integer that must lie in [<paramref name="min"/>, <paramref name="max"/>], or <paramref name="whenAbsent"/>.</summary>
    public int GetInt(string name, int min, int max, int whenAbsent) => Contains(name) ? GetInt(name, min, max) : whenAbsent;

    /// <summary>A number, which JSON keeps finite.</summary>
    public bool TryGetFloat(string name, out double value)
    {
        value = 0;
        if (!TryGet(name, out JsonElement element))
        {
            return false;
        }

        value = Float(element) ?? throw Wrong(name, element, "a number");
        return true;
    }

    /// <summary>A number that must be there and lie in [<paramref name="min"/>, <paramref name="max"/>].</summary>
    public double GetFloat(string name, double min, double max)
    {
        if (!TryGetFloat(name, out double value))
        {
            throw Missing(name, Invariant($"a number from {min} to {max}"));
        }

        return value >= min && value <= max ? value : throw Refuse(name, Invariant($"is {value}; expected a number from {min} to {max}."));
    }

    /// <summary>A number that must lie in [<paramref name="min"/>, <paramref name="max"/>], or <paramref name="whenAbsent"/>.</summary>
    public double GetFloat(string name, double min, double max, double whenAbsent) => Contains(name) ? GetFloat(name, min, max) : whenAbsent;

    /// <summary>true or false.</summary>
    public bool TryGetBool(string name, out bool value)
    {
        value = false;
        if (!TryGet(name, out JsonElement element))
        {
            return false;
        }

        value = element.ValueKind is JsonValueKind.True or JsonValueKind.False ? element.GetBoolean() : throw Wrong(name, element, "true or false");
        return true;
    }

    /// <summary>true or false, or <paramref name="whenAbsent"/>.</summary>
    public bool GetBool(string name, bool whenAbsent) => TryGetBool(name, out bool value) ? value : whenAbsent;

    /// <summary>A string.</summary>
    public bool TryGetString(string name, out string value)
    {
        value = "";
        if (!TryGet(name, out JsonElement element))
        {
            return false;
        }

        value = String(name, element);
        return true;
    }

    /// <summary>A string that must be there.</summary>
    public string GetString(string name) => TryGetString(name, out string value) ? value : throw Missing(name, "a string");

    /// <summary>A string, or <paramref name="whenAbsent"/>.</summary>
    public string GetString(string name, string whenAbsent) => TryGetString(name, out string value) ? value : whenAbsent;

    /// <summary>An object.</summary>
    public bool TryGetObject(string name, out JsonFields value)
    {
        value = null!;
        if (!TryGet(name, out JsonElement element))
        {
            return false;
        }

        value = element.ValueKind == JsonValueKind.Object ? new JsonFields(File, Path(name), element) : throw Wrong(name, element, "an object");
        return true;
    }

    /// <summary>A list of objects.</summary>
    public bool TryGetObjects(string name, out JsonFields[] value) => TryGetList(name, "objects", (element, place) =>
        element.ValueKind == JsonValueKind.Object ? new JsonFields(File, Path(place), element) : throw Wrong(place, element, "an object"), out value);

    /// <summary>A list of integers of 32 bits.</summary>
    public bool TryGetInts(string name, out int[] value) => TryGetList(name, "integers", (element, place) =>
        Int(element) is { } number and >= int.MinValue and <= int.MaxValue ? (int)number : throw Wrong(place, element, "an integer of 32 bits"), out value);

    /// <summary>A list of numbers.</summary>
    public bool TryGetFloats(string name, out double[] value) => TryGetList(name, "numbers", (element, place) =>
        Float(element) ?? throw Wrong(place, element, "a number"), out value);

    /// <summary>A list of strings.</summary>
    public bool TryGetStrings(string name, out string[] value) => TryGetList(name, "strings", (element, place) => String(place, element), out value);

    /// <summary>A list of true and false.</summary>
    public bool TryGetBools(string name, out bool[] value) => TryGetList(name, "truth values", (element, place) =>
        element.ValueKind is JsonValueKind.True or JsonValueKind.False ? element.GetBoolean() : throw Wrong(place, element, "true or false"), out value);

    /// <summary>The exception that says what is wrong with a field, for those who know what it should be.</summary>
    /// <param name="name">The field.</param>
    /// <param name="problem">The end of a sentence that begins with the field: "is 7; expected …".</param>
    public ModelFormatException Refuse(string name, string problem) => new(File, -1, $"The field {ModelFormatException.Quote(Path(name))} {problem}");

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    // Numbers such as 1e999 do not fit in a double: .NET reads them as infinite.
    private static double? Float(JsonElement element) =>
        element.ValueKind == JsonValueKind.Number && element.TryGetDouble(out double value) && double.IsFinite(value) ? value : null;

    private static long? Int(JsonElement element)
    {
        if (element.ValueKind == JsonValueKind.Number && element.TryGetInt64(out long value))
        {
            return value;
        }

        const double largestExact = 1L << 53;
        return Float(element) is { } number && Math.Floor(number) == number && Math.Abs(number) <= largestExact ? (long)number : null;
    }

    private bool TryGet(string name, out JsonElement value) => Element.TryGetProperty(name, out value) && value.ValueKind != JsonValueKind.Null;

    private string Path(string name) => _where.Length == 0 ? name : $"{_where}.{name}";

    private bool TryGetList<T>(string name, string what, Func<JsonElement, string, T> read, out T[] value)
    {
        value = [];
        if (!TryGet(name, out JsonElement element))
        {
            return false;
        }

        if (element.ValueKind != JsonValueKind.Array)
        {
            throw Wrong(name, element, $"a list of {what}");
        }

        value = new T[element.GetArrayLength()];
        int i = 0;
        foreach (JsonElement item in element.EnumerateArray())
        {
            value[i] = read(item, $"{name}[{i}]");
            i++;
        }

        return true;
    }

    private string String(string name, JsonElement element)
    {
        if (element.ValueKind != JsonValueKind.String)
        {
            throw Wrong(name, element, "a string");
        }

        try
        {
            return element.GetString()!;
        }
        catch (InvalidOperationException e) // half of a surrogate pair, escaped
        {
            throw new ModelFormatException(File, -1, $"The field {ModelFormatException.Quote(Path(name))} is not valid Unicode.", e);
        }
    }

    private ModelFormatException Wrong(string name, JsonElement element, string expected)
    {
        string found = element.ValueKind == JsonValueKind.Number ? element.GetRawText() : $"of kind {element.ValueKind}";
        return Refuse(name, $"is {(found.Length > 40 ? found[..40] : found)}; expected {expected}.");
    }

    private ModelFormatException Missing(string name, string expected) => new(File, -1, $"The field {ModelFormatException.Quote(Path(name))} is absent; expected {expected}.");
}
