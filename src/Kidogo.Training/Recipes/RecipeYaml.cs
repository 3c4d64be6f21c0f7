// From YAML to values, by events, with limits on size and depth. Knows no field's meaning.
using System.Globalization;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Kidogo.Training.Recipes;

/// <summary>Reads the part of YAML that recipes are written in: fields, lists and plain values. Anchors, aliases and tags are refused.</summary>
public static class RecipeYaml
{
    /// <summary>Characters of the longest recipe.</summary>
    public const int MaxCharacters = 1 << 20;

    private const int MaxDepth = 8;

    /// <summary>Reads a file.</summary>
    /// <exception cref="RecipeException">It is no recipe.</exception>
    /// <exception cref="IOException">It is absent or cannot be read.</exception>
    public static RecipeMap ReadFile(string path)
    {
        using StreamReader file = new(path);
        char[] text = new char[MaxCharacters + 1]; // a device or a pipe has no length to look at
        int read = file.ReadBlock(text);
        if (read > MaxCharacters)
        {
            throw new RecipeException($"{path} has more than the {MaxCharacters} characters that a recipe may have. Is it the right file?");
        }

        return Read(new string(text, 0, read), path) is RecipeMap map ? map : throw new RecipeException($"{path}: expected fields such as \"data: texts\", "
            + "one a line.");
    }

    /// <summary>Reads a text.</summary>
    /// <param name="text">YAML.</param>
    /// <param name="place">What it is, for messages: a file's name or an option's.</param>
    /// <exception cref="RecipeException">It is no YAML, or too large.</exception>
    public static RecipeNode Read(string text, string place)
    {
        if (text.Length > MaxCharacters)
        {
            throw new RecipeException($"{place} has {text.Length} characters; at most {MaxCharacters} are read.");
        }

        bool isFile = !place.StartsWith("--", StringComparison.Ordinal);
        try
        {
            Parser parser = new(new StringReader(text));
            parser.Consume<StreamStart>();
            if (parser.Accept<StreamEnd>(out _))
            {
                return new RecipeMap(place, []);
            }

            parser.Consume<DocumentStart>();
            RecipeNode node = ReadNode(parser, place, isFile, 0);
            parser.Consume<DocumentEnd>();
            return parser.Accept<StreamEnd>(out _) ? node : throw new RecipeException($"{place} has more than one document; a recipe is one.");
        }
        catch (YamlException failure)
        {
            string where = isFile ? string.Create(CultureInfo.InvariantCulture, $"{place}, line {failure.Start.Line}") : place;
            throw new RecipeException($"{where}: this is not YAML. {failure.Message.TrimEnd('.')}.", failure);
        }
    }

    private static RecipeNode ReadNode(Parser parser, string source, bool isFile, int depth)
    {
        ParsingEvent next = parser.Consume<ParsingEvent>();
        string place = isFile ? string.Create(CultureInfo.InvariantCulture, $"{source}, line {next.Start.Line}") : source;
        if (next is NodeEvent node && (!node.Anchor.IsEmpty || (!node.Tag.IsEmpty && node.Tag != "!")))
        {
            throw new RecipeException($"{place}: anchors (&) and tags (!) are not read in recipes. Write the value out.");
        }

        if (depth > MaxDepth)
        {
            throw new RecipeException($"{place}: values lie in one another more than {MaxDepth} deep; no field needs that.");
        }

        switch (next)
        {
            case Scalar scalar:
                return new RecipeText(place, scalar is { Style: ScalarStyle.Plain, Value: "~" or "null" } ? "" : scalar.Value);
            case SequenceStart:
                List<RecipeNode> items = [];
                while (!parser.TryConsume<SequenceEnd>(out _))
                {
                    items.Add(ReadNode(parser, source, isFile, depth + 1));
                }

                return new RecipeList(place, items);
            case MappingStart:
                return ReadMap(parser, source, place, isFile, depth);
            default:
                throw new RecipeException($"{place}: aliases (*) are not read in recipes. Write the value out.");
        }
    }

    private static RecipeMap ReadMap(Parser parser, string source, string place, bool isFile, int depth)
    {
        List<KeyValuePair<string, RecipeNode>> fields = [];
        HashSet<string> names = new(StringComparer.Ordinal);
        while (!parser.TryConsume<MappingEnd>(out _))
        {
            if (ReadNode(parser, source, isFile, depth + 1) is not RecipeText name)
            {
                throw new RecipeException($"{place}: a field's name has to be a word.");
            }

            if (!names.Add(name.Text))
            {
                throw new RecipeException($"{name.Place}: the field {name.Text} is there twice. Keep one.");
            }

            fields.Add(KeyValuePair.Create(name.Text, ReadNode(parser, source, isFile, depth + 1)));
        }

        return new RecipeMap(place, fields);
    }
}
