// From YAML to a tree of texts, lists and fields, by events, with limits on size and depth. Knows no field's meaning.
using System.Globalization;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Kidogo.Text;

/// <summary>A value of a YAML file as it was written.</summary>
/// <param name="Place">Where it stands, for messages: <c>recipe.yaml, line 3</c>.</param>
public abstract record YamlValue(string Place);

/// <summary>A word, a number, a truth value; nothing is empty.</summary>
/// <param name="Place">Where it stands.</param>
/// <param name="Text">What is written.</param>
public sealed record YamlText(string Place, string Text) : YamlValue(Place);

/// <summary>A list.</summary>
/// <param name="Place">Where it stands.</param>
/// <param name="Items">The items.</param>
public sealed record YamlList(string Place, IReadOnlyList<YamlValue> Items) : YamlValue(Place);

/// <summary>Fields by name, each once, in the order in which they are written.</summary>
/// <param name="Place">Where it stands.</param>
/// <param name="Fields">The fields.</param>
public sealed record YamlMap(string Place, IReadOnlyList<KeyValuePair<string, YamlValue>> Fields) : YamlValue(Place);

/// <summary>A text is no YAML, or none that is read.</summary>
/// <param name="message">Where, and what to do.</param>
/// <param name="cause">What is behind it.</param>
public sealed class YamlFormatException(string message, Exception? cause = null) : Exception(message, cause);

/// <summary>Reads the part of YAML that people write by hand: fields, lists and plain values. Anchors, aliases and tags are refused.</summary>
public static class YamlTree
{
    /// <summary>Characters of the longest file.</summary>
    public const int MaxCharacters = 1 << 20;

    private const int MaxDepth = 8;

    /// <summary>Reads a file.</summary>
    /// <exception cref="YamlFormatException">It is no YAML, or too large.</exception>
    /// <exception cref="IOException">It is absent or cannot be read.</exception>
    public static YamlValue ReadFile(string path)
    {
        using StreamReader file = new(path);
        char[] text = new char[MaxCharacters + 1]; // a device or a pipe has no length to look at
        int read = file.ReadBlock(text);
        return read > MaxCharacters
            ? throw new YamlFormatException($"{path} has more than the {MaxCharacters} characters that such a file may have. Is it the right file?")
            : Read(new string(text, 0, read), path);
    }

    /// <summary>Reads a text. One without any value is a map without fields.</summary>
    /// <param name="text">YAML.</param>
    /// <param name="place">What it is, for messages: a file's name, or an option's with its dashes.</param>
    /// <exception cref="YamlFormatException">It is no YAML, or too large.</exception>
    public static YamlValue Read(string text, string place)
    {
        if (text.Length > MaxCharacters)
        {
            throw new YamlFormatException($"{place} has {text.Length} characters; at most {MaxCharacters} are read.");
        }

        bool isFile = !place.StartsWith("--", StringComparison.Ordinal);
        try
        {
            Parser parser = new(new StringReader(text));
            parser.Consume<StreamStart>();
            if (parser.Accept<StreamEnd>(out _))
            {
                return new YamlMap(place, []);
            }

            parser.Consume<DocumentStart>();
            YamlValue value = ReadValue(parser, place, isFile, 0);
            parser.Consume<DocumentEnd>();
            return parser.Accept<StreamEnd>(out _) ? value : throw new YamlFormatException($"{place} has more than one document; one is expected.");
        }
        catch (YamlException failure)
        {
            string where = isFile ? string.Create(CultureInfo.InvariantCulture, $"{place}, line {failure.Start.Line}") : place;
            throw new YamlFormatException($"{where}: this is not YAML. {failure.Message.TrimEnd('.')}.", failure);
        }
    }

    private static YamlValue ReadValue(Parser parser, string source, bool isFile, int depth)
    {
        ParsingEvent next = parser.Consume<ParsingEvent>();
        string place = isFile ? string.Create(CultureInfo.InvariantCulture, $"{source}, line {next.Start.Line}") : source;
        if (next is NodeEvent node && (!node.Anchor.IsEmpty || (!node.Tag.IsEmpty && node.Tag != "!")))
        {
            throw new YamlFormatException($"{place}: anchors (&) and tags (!) are not read. Write the value out.");
        }

        if (depth > MaxDepth)
        {
            throw new YamlFormatException($"{place}: values lie in one another more than {MaxDepth} deep; no field needs that.");
        }

        switch (next)
        {
            case Scalar scalar:
                return new YamlText(place, scalar is { Style: ScalarStyle.Plain, Value: "~" or "null" } ? "" : scalar.Value);
            case SequenceStart:
                List<YamlValue> items = [];
                while (!parser.TryConsume<SequenceEnd>(out _))
                {
                    items.Add(ReadValue(parser, source, isFile, depth + 1));
                }

                return new YamlList(place, items);
            case MappingStart:
                return ReadMap(parser, source, place, isFile, depth);
            default:
                throw new YamlFormatException($"{place}: aliases (*) are not read. Write the value out.");
        }
    }

    private static YamlMap ReadMap(Parser parser, string source, string place, bool isFile, int depth)
    {
        List<KeyValuePair<string, YamlValue>> fields = [];
        HashSet<string> names = new(StringComparer.Ordinal);
        while (!parser.TryConsume<MappingEnd>(out _))
        {
            if (ReadValue(parser, source, isFile, depth + 1) is not YamlText name)
            {
                throw new YamlFormatException($"{place}: a field's name has to be a word.");
            }

            if (!names.Add(name.Text))
            {
                throw new YamlFormatException($"{name.Place}: the field {name.Text} is there twice. Keep one.");
            }

            fields.Add(KeyValuePair.Create(name.Text, ReadValue(parser, source, isFile, depth + 1)));
        }

        return new YamlMap(place, fields);
    }
}
