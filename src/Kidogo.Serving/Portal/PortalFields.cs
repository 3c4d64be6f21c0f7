// The fields of portal.yaml, read one by one, so that none is ignored: what nobody asked for in the end is unknown. Knows no field's meaning.
using System.Globalization;
using Kidogo.Models;
using Kidogo.Serving.Access;
using Kidogo.Text;

namespace Kidogo.Serving.Portal;

/// <summary>Reads the fields of a map. A field without a value counts as absent.</summary>
internal sealed class PortalFields
{
    private const int LongestQuoted = 60;

    private readonly YamlMap _map;
    private readonly string _path;
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);

    private PortalFields(YamlMap map, string path)
    {
        _map = map;
        _path = path;
    }

    /// <summary>Where the fields stand.</summary>
    public string Place => _map.Place;

    /// <summary>Reads fields, and refuses what was not asked for.</summary>
    /// <exception cref="ServerSetupException">A field is unknown, or the reading refuses one.</exception>
    public static T Read<T>(YamlValue value, string path, Func<PortalFields, T> read)
    {
        PortalFields fields = new(value as YamlMap ?? throw new ServerSetupException($"{value.Place}: {(path.Length == 0 ? "the file" : path)} has to be fields, one a line, such as \"name: Our school\"."), path);
        T result = read(fields);
        fields.RejectUnknown();
        return result;
    }

    /// <summary>A field's full name.</summary>
    public string PathOf(string name) => _path.Length == 0 ? name : $"{_path}.{name}";

    /// <summary>A field as it is written; null where it is absent.</summary>
    public YamlValue? Value(string name)
    {
        _known.Add(name);
        return _map.Fields.FirstOrDefault(field => field.Key == name).Value is { } value and not YamlText { Text: "" } ? value : null;
    }

    public string? Text(string name, int longest) => Value(name) switch
    {
        null => null,
        YamlText text when text.Text.Length <= longest && !text.Text.Any(c => char.IsControl(c) && c != '\n') => text.Text,
        var other => throw Wrong(name, other, $"a text of at most {longest} characters"),
    };

    public string RequiredText(string name, int longest) => Text(name, longest) ?? throw new ServerSetupException($"{Place}: {PathOf(name)} is missing; it has to be a text of at most {longest} characters.");

    public bool? Flag(string name) => Value(name) switch
    {
        null => null,
        YamlText { Text: "true" or "True" or "yes" or "on" } => true,
        YamlText { Text: "false" or "False" or "no" or "off" } => false,
        var other => throw Wrong(name, other, "true or false"),
    };

    public int? Whole(string name, int min, int max) => Value(name) switch
    {
        null => null,
        YamlText text when int.TryParse(text.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number) && number >= min && number <= max => number,
        var other => throw Wrong(name, other, string.Create(CultureInfo.InvariantCulture, $"a whole number from {min:#,0} to {max:#,0}")),
    };

    /// <summary>A field that is one of some words.</summary>
    public T? Word<T>(string name, IReadOnlyDictionary<string, T> words)
        where T : struct => Value(name) switch
    {
        null => null,
        YamlText text when words.TryGetValue(text.Text, out T value) => value,
        var other => throw Wrong(name, other, string.Join(", ", words.Keys)),
    };

    /// <summary>A text, or one for each of some languages.</summary>
    public OwnText? Own(string name, int longest)
    {
        if (Value(name) is not YamlMap map)
        {
            return Text(name, longest) is { } text ? OwnText.Of(text) : null;
        }

        return Read(map, PathOf(name), fields =>
        {
            Dictionary<string, string> texts = [];
            foreach (string language in Words.Languages)
            {
                if (fields.Text(language, longest) is { } text)
                {
                    texts.Add(language, text);
                }
            }

            return new OwnText(texts);
        });
    }

    /// <summary>The items of a list; none where it is absent.</summary>
    public IReadOnlyList<YamlValue> List(string name, int most) => Value(name) switch
    {
        null => [],
        YamlList list when list.Items.Count <= most => list.Items,
        YamlList list => throw new ServerSetupException($"{list.Place}: {PathOf(name)} has {list.Items.Count} items; at most {most} are shown."),
        var other => throw Wrong(name, other, "a list"),
    };

    /// <summary>The texts of a list.</summary>
    public IReadOnlyList<string> Texts(string name, int most, int longest) =>
        [.. List(name, most).Select(item => item is YamlText text && text.Text.Length > 0 && text.Text.Length <= longest ? text.Text : throw Wrong(name, item, $"a list of texts of at most {longest} characters"))];

    /// <summary>Says what is wrong with a field.</summary>
    public ServerSetupException Wrong(string name, YamlValue value, string expected)
    {
        string given = value switch
        {
            YamlText text => $"\"{(text.Text.Length > LongestQuoted ? text.Text[..LongestQuoted] + "…" : text.Text)}\"",
            YamlList => "a list",
            _ => "a list of fields",
        };
        return new ServerSetupException($"{value.Place}: {PathOf(name)} is {given}; it has to be {expected}.");
    }

    private void RejectUnknown()
    {
        foreach ((string name, YamlValue value) in _map.Fields)
        {
            if (!_known.Contains(name))
            {
                string shown = PathOf(name.Length > LongestQuoted ? name[..LongestQuoted] + "…" : name);
                string nearest = NearestName.Likely(name, _known) is { } other ? $"; did you mean {PathOf(other)}?" : $". Fields here are {string.Join(", ", _known)}.";
                throw new ServerSetupException($"{value.Place}: the field {shown} is unknown{nearest}");
            }
        }
    }
}
