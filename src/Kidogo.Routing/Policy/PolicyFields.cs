// The fields of a policy, taken one by one, so that none is ignored. Knows no field's meaning.
using System.Globalization;
using Kidogo.Text;

namespace Kidogo.Routing.Policy;

/// <summary>A mapping whose fields are taken one by one.</summary>
/// <param name="map">The fields as they were written.</param>
internal sealed class PolicyFields(YamlMap map)
{
    private readonly Dictionary<string, YamlValue> _fields = map.Fields.ToDictionary(StringComparer.Ordinal);
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);

    /// <summary>Reads a file.</summary>
    /// <exception cref="RoutingException">It is no policy, too large, or cannot be read.</exception>
    public static PolicyFields ReadFile(string path)
    {
        try
        {
            return Of(YamlTree.ReadFile(path), path);
        }
        catch (Exception failure) when (failure is YamlFormatException or IOException or UnauthorizedAccessException)
        {
            throw new RoutingException(failure.Message, failure);
        }
    }

    /// <summary>Reads a text.</summary>
    public static PolicyFields Read(string text, string place)
    {
        try
        {
            return Of(YamlTree.Read(text, place), place);
        }
        catch (YamlFormatException failure)
        {
            throw new RoutingException(failure.Message, failure);
        }
    }

    public string? Text(string name) => Take(name) switch
    {
        null or YamlText { Text: "" } => null,
        YamlText text => text.Text,
        _ => throw Wrong(name, "a text"),
    };

    public string RequiredText(string name) => Text(name) ?? throw new RoutingException($"{map.Place}: {name} is missing.");

    public double? Number(string name, double min, double max) => Text(name) is not { } text ? null
        : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && value >= min && value <= max ? value
        : throw Wrong(name, string.Create(CultureInfo.InvariantCulture, $"a number from {min} to {max}"));

    public int? Int(string name, int min, int max) => Number(name, min, max) is not { } value ? null : value == Math.Floor(value) ? (int)value : throw Wrong(name, "a whole number");

    public bool? Flag(string name) => Text(name) switch
    {
        null => null,
        "true" or "yes" => true,
        "false" or "no" => false,
        _ => throw Wrong(name, "true or false"),
    };

    public TimeSpan? Seconds(string name) => Number(name, 0.01, 3600) is { } value ? TimeSpan.FromSeconds(value) : null;

    public string? Choice(string name, params string[] words) => Text(name) is not { } text ? null : words.Contains(text) ? text : throw Wrong(name, $"one of {string.Join(", ", words)}");

    public IReadOnlyList<string> Texts(string name) => Take(name) switch
    {
        null or YamlText { Text: "" } => [],
        YamlText text => [text.Text],
        YamlList list when list.Items.All(item => item is YamlText) => [.. list.Items.Cast<YamlText>().Select(item => item.Text)],
        _ => throw Wrong(name, "a list of texts"),
    };

    public PolicyFields? Object(string name) => Take(name) switch
    {
        null or YamlText { Text: "" } => null,
        YamlMap fields => new PolicyFields(fields),
        _ => throw Wrong(name, "fields of its own"),
    };

    /// <summary>One mapping, or a list of them.</summary>
    public IReadOnlyList<PolicyFields> Objects(string name) => Take(name) switch
    {
        null or YamlText { Text: "" } => [],
        YamlMap one => [new PolicyFields(one)],
        YamlList list when list.Items.All(item => item is YamlMap) => [.. list.Items.Cast<YamlMap>().Select(item => new PolicyFields(item))],
        _ => throw Wrong(name, "fields, or a list of such"),
    };

    /// <summary>Refuses what nobody has asked for.</summary>
    public void RejectUnknown()
    {
        if (_fields.Keys.FirstOrDefault(name => !_known.Contains(name)) is { } unknown)
        {
            throw new RoutingException($"{map.Place}: {unknown} is not a field here. Known: {string.Join(", ", _known.Order())}.");
        }
    }

    public RoutingException Wrong(string name, string expected) => new($"{map.Place}: {name} has to be {expected}.");

    private YamlValue? Take(string name)
    {
        _known.Add(name);
        return _fields.GetValueOrDefault(name);
    }

    private static PolicyFields Of(YamlValue value, string place) =>
        new(value as YamlMap ?? throw new RoutingException($"{place} has to be fields such as \"upstream:\", one a line."));
}
