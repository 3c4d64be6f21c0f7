// From YAML to fields with their places, by events, with limits on size and depth. Knows no field's meaning.
using System.Globalization;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Kidogo.Routing.Policy;

/// <summary>A mapping whose fields are taken one by one, so that none is ignored.</summary>
internal sealed class PolicyFields
{
    private const int MaxCharacters = 1 << 18, MaxDepth = 6;

    private readonly Dictionary<string, object> _fields = new(StringComparer.Ordinal);
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);
    private readonly string _place;

    private PolicyFields(string place) => _place = place;

    /// <summary>Reads a file.</summary>
    /// <exception cref="RoutingException">It is no policy, too large, or cannot be read.</exception>
    public static PolicyFields ReadFile(string path)
    {
        try
        {
            using StreamReader file = new(path);
            char[] text = new char[MaxCharacters + 1];
            int length = file.ReadBlock(text);
            return length <= MaxCharacters ? Read(new string(text, 0, length), path)
                : throw new RoutingException($"{path} has more than the {MaxCharacters} characters that a policy may have. Is it the right file?");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new RoutingException($"{path} cannot be read: {failure.Message}", failure);
        }
    }

    /// <summary>Reads a text.</summary>
    public static PolicyFields Read(string text, string place)
    {
        try
        {
            Parser parser = new(new StringReader(text));
            parser.Consume<StreamStart>();
            if (parser.Accept<StreamEnd>(out _))
            {
                return new PolicyFields(place);
            }

            parser.Consume<DocumentStart>();
            object value = Value(parser, place, 0);
            parser.Consume<DocumentEnd>();
            return value as PolicyFields ?? throw new RoutingException($"{place} has to be fields such as \"upstream:\", one a line.");
        }
        catch (YamlException failure)
        {
            throw new RoutingException(string.Create(CultureInfo.InvariantCulture, $"{place}, line {failure.Start.Line}: this is not YAML. {failure.Message.TrimEnd('.')}."), failure);
        }
    }

    public string? Text(string name) => Take(name) switch
    {
        null or "" => null,
        string text => text,
        _ => throw Wrong(name, "a text"),
    };

    public string RequiredText(string name) => Text(name) ?? throw new RoutingException($"{_place}: {name} is missing.");

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
        null or "" => [],
        string text => [text],
        List<object> list when list.All(item => item is string) => [.. list.Cast<string>()],
        _ => throw Wrong(name, "a list of texts"),
    };

    public PolicyFields? Object(string name) => Take(name) switch
    {
        null or "" => null,
        PolicyFields fields => fields,
        _ => throw Wrong(name, "fields of its own"),
    };

    /// <summary>One mapping, or a list of them.</summary>
    public IReadOnlyList<PolicyFields> Objects(string name) => Take(name) switch
    {
        null or "" => [],
        PolicyFields one => [one],
        List<object> list when list.All(item => item is PolicyFields) => [.. list.Cast<PolicyFields>()],
        _ => throw Wrong(name, "fields, or a list of such"),
    };

    /// <summary>Refuses what nobody has asked for.</summary>
    public void RejectUnknown()
    {
        if (_fields.Keys.FirstOrDefault(name => !_known.Contains(name)) is { } unknown)
        {
            throw new RoutingException($"{_place}: {unknown} is not a field here. Known: {string.Join(", ", _known.Order())}.");
        }
    }

    public RoutingException Wrong(string name, string expected) => new($"{_place}: {name} has to be {expected}.");

    private object? Take(string name)
    {
        _known.Add(name);
        return _fields.GetValueOrDefault(name);
    }

    private static object Value(Parser parser, string source, int depth)
    {
        ParsingEvent next = parser.Consume<ParsingEvent>();
        string place = string.Create(CultureInfo.InvariantCulture, $"{source.Split(", line")[0]}, line {next.Start.Line}");
        if (depth > MaxDepth || (next is NodeEvent node && (!node.Anchor.IsEmpty || !node.Tag.IsEmpty)) || next is AnchorAlias)
        {
            throw new RoutingException($"{place}: anchors, tags and values more than {MaxDepth} deep are not read. Write the value out.");
        }

        switch (next)
        {
            case Scalar scalar:
                return scalar is { Style: ScalarStyle.Plain, Value: "~" or "null" } ? "" : scalar.Value;
            case SequenceStart:
                List<object> items = [];
                while (!parser.TryConsume<SequenceEnd>(out _))
                {
                    items.Add(Value(parser, place, depth + 1));
                }

                return items;
            default:
                PolicyFields fields = new(place);
                while (!parser.TryConsume<MappingEnd>(out _))
                {
                    if (Value(parser, place, depth + 1) is not string name || !fields._fields.TryAdd(name, Value(parser, place, depth + 1)))
                    {
                        throw new RoutingException($"{place}: a field's name has to be a word, and be there once.");
                    }
                }

                return fields;
        }
    }
}
