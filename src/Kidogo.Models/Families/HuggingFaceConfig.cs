// The fields of a config.json that is to be written. Knows no setting by name.
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Kidogo.Models.Families;

/// <summary>Fields with their values, in the order of their names, as Transformers writes them.</summary>
public sealed class HuggingFaceConfig
{
    private static readonly JsonWriterOptions s_options = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, NewLine = "\n" };
    private readonly SortedDictionary<string, Action<Utf8JsonWriter>> _fields = new(StringComparer.Ordinal);

    /// <summary>Whether there is a field of this name.</summary>
    public bool Contains(string name) => _fields.ContainsKey(name);

    /// <summary>Sets an integer.</summary>
    public void Set(string name, int value) => _fields[name] = json => json.WriteNumberValue(value);

    /// <summary>Sets an integer, or null.</summary>
    public void SetOrNull(string name, int? value) => _fields[name] = json =>
    {
        if (value is { } number)
        {
            json.WriteNumberValue(number);
        }
        else
        {
            json.WriteNullValue();
        }
    };

    /// <summary>Sets a number with a point, which Python takes for a float.</summary>
    public void Set(string name, double value) => _fields[name] = json => json.WriteRawValue(Text(value));

    /// <summary>Sets a number of float32, in its shortest spelling.</summary>
    public void Set(string name, float value) => Set(name, double.Parse(value.ToString("R", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture));

    /// <summary>Sets a number, or null.</summary>
    public void SetOrNull(string name, float? value)
    {
        if (value is { } number)
        {
            Set(name, number);
        }
        else
        {
            SetNull(name);
        }
    }

    /// <summary>Sets a truth value.</summary>
    public void Set(string name, bool value) => _fields[name] = json => json.WriteBooleanValue(value);

    /// <summary>Sets a text.</summary>
    public void Set(string name, string value) => _fields[name] = json => json.WriteStringValue(value);

    /// <summary>Sets null, which for some fields is not the same as leaving them out.</summary>
    public void SetNull(string name) => _fields[name] = json => json.WriteNullValue();

    /// <summary>Sets a list of texts.</summary>
    public void Set(string name, IEnumerable<string> values) => SetList(name, values, (json, value) => json.WriteStringValue(value));

    /// <summary>Sets a list of integers.</summary>
    public void Set(string name, IEnumerable<int> values) => SetList(name, values, (json, value) => json.WriteNumberValue(value));

    /// <summary>Sets a list of numbers.</summary>
    public void Set(string name, IEnumerable<float> values) =>
        SetList(name, values, (json, value) => json.WriteRawValue(Text(double.Parse(value.ToString("R", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture))));

    /// <summary>Sets an object.</summary>
    public void Set(string name, HuggingFaceConfig value) => _fields[name] = value.Write;

    /// <summary>Sets what another file had, as it was.</summary>
    public void Set(string name, JsonElement value) => _fields[name] = value.WriteTo;

    /// <summary>The file.</summary>
    public byte[] ToBytes()
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, s_options))
        {
            Write(json);
        }

        bytes.WriteByte((byte)'\n');
        return bytes.ToArray();
    }

    private void SetList<T>(string name, IEnumerable<T> values, Action<Utf8JsonWriter, T> write)
    {
        T[] all = [.. values];
        _fields[name] = json =>
        {
            json.WriteStartArray();
            foreach (T value in all)
            {
                write(json, value);
            }

            json.WriteEndArray();
        };
    }

    private void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        foreach ((string name, Action<Utf8JsonWriter> value) in _fields)
        {
            json.WritePropertyName(name);
            value(json);
        }

        json.WriteEndObject();
    }

    private static string Text(double value)
    {
        string text = value.ToString("R", CultureInfo.InvariantCulture).Replace("E", "e", StringComparison.Ordinal);
        return text.AsSpan().ContainsAny(".en".AsSpan()) ? text : text + ".0";
    }
}
