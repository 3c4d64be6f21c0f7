// The fields that are more than a number or a word: sources of data and tokenizers. Knows no files.
using System.Globalization;
using Kidogo.Data;

namespace Kidogo.Training.Recipes;

/// <summary>Reads and writes <c>data</c> and <c>tokenizer</c>.</summary>
internal static class StructuredFields
{
    private const string SourceRange = "a path, random, or a list of {path, weight, field, documents}";
    private const string TokenizerRange = "a path, bpe, unigram, or {kind: bpe or unigram, vocabulary: 260 to 1,000,000}";
    private static readonly string[] s_sourceFields = ["path", "weight", "field", "documents"];
    private static readonly string[] s_tokenizerFields = ["kind", "vocabulary"];

    public static IReadOnlyList<DataSource> ReadSources(RecipeNode node, DataRecipe defaults)
    {
        DataSource[] sources = node is RecipeList list ? [.. list.Items.Select(item => ReadSource(item, defaults))] : [ReadSource(node, defaults)];
        return sources.Length > 0 ? sources : throw RecipeField.Refuse(node, "data", SourceRange);
    }

    public static RecipeNode? WriteSources(DataRecipe data)
    {
        if (data.Sources.Count == 0)
        {
            return null;
        }

        return new RecipeList("", [.. data.Sources.Select(source =>
        {
            List<KeyValuePair<string, RecipeNode>> fields = [KeyValuePair.Create<string, RecipeNode>("path", RecipeField.Written(source.Path))];
            if (source.Weight is { } weight)
            {
                fields.Add(KeyValuePair.Create<string, RecipeNode>("weight", RecipeField.Written(weight.ToString("R", CultureInfo.InvariantCulture))));
            }

            fields.Add(KeyValuePair.Create<string, RecipeNode>("field", RecipeField.Written(source.Field)));
            string documents = source.Documents switch { DocumentBorder.Line => "line", DocumentBorder.File => "file", _ => "blank" };
            fields.Add(KeyValuePair.Create<string, RecipeNode>("documents", RecipeField.Written(documents)));
            return new RecipeMap("", fields);
        })]);
    }

    public static TokenizerRecipe ReadTokenizer(RecipeNode node)
    {
        if (node is RecipeText { Text.Length: > 0 } text)
        {
            return text.Text is "bpe" or "unigram" ? new TokenizerRecipe { Kind = text.Text } : new TokenizerRecipe { Path = text.Text };
        }

        if (node is not RecipeMap map)
        {
            throw RecipeField.Refuse(node, "tokenizer", TokenizerRange);
        }

        TokenizerRecipe tokenizer = new();
        foreach ((string name, RecipeNode value) in map.Fields)
        {
            tokenizer = name switch
            {
                "kind" => value is RecipeText { Text: "bpe" or "unigram" } kind ? tokenizer with { Kind = kind.Text }
                    : throw RecipeField.Refuse(value, "tokenizer.kind", "bpe or unigram"),
                "vocabulary" => RecipeField.ReadNumber(value) is { } size && size is >= 260 and <= 1_000_000 && size == Math.Floor(size)
                    ? tokenizer with { Vocabulary = (int)size }
                    : throw RecipeField.Refuse(value, "tokenizer.vocabulary", "a whole number, 260 to 1,000,000"),
                _ => throw RecipeFields.Unknown(value, $"tokenizer.{name}", s_tokenizerFields.Select(field => $"tokenizer.{field}")),
            };
        }

        return tokenizer;
    }

    /// <summary>One of a few words.</summary>
    public static T ReadWord<T>(RecipeNode node, string name, IReadOnlyList<(string Word, T Value)> words)
    {
        foreach ((string word, T value) in words)
        {
            if (node is RecipeText text && text.Text.Equals(word, StringComparison.OrdinalIgnoreCase))
            {
                return value;
            }
        }

        throw RecipeField.Refuse(node, name, $"one of {string.Join(", ", words.Select(word => word.Word))}");
    }

    /// <summary>One text, several with commas between them, or a list.</summary>
    public static IReadOnlyList<string> ReadTexts(RecipeNode node, string name)
    {
        string[] texts = node switch
        {
            RecipeText text => text.Text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries),
            RecipeList list when list.Items.All(item => item is RecipeText) => [.. list.Items.SelectMany(item => ReadTexts(item, name))],
            _ => [],
        };
        return texts.Length > 0 ? texts : throw RecipeField.Refuse(node, name, "a name, or a list of names");
    }

    public static RecipeNode? WriteTokenizer(TokenizerRecipe? tokenizer)
    {
        if (tokenizer is null || tokenizer.Path is not null)
        {
            return tokenizer is null ? null : RecipeField.Written(tokenizer.Path!);
        }

        List<KeyValuePair<string, RecipeNode>> fields = [KeyValuePair.Create<string, RecipeNode>("kind", RecipeField.Written(tokenizer.Kind))];
        if (tokenizer.Vocabulary is { } vocabulary)
        {
            fields.Add(KeyValuePair.Create<string, RecipeNode>("vocabulary", RecipeField.Written(vocabulary.ToString(CultureInfo.InvariantCulture))));
        }

        return new RecipeMap("", fields);
    }

    private static DataSource ReadSource(RecipeNode node, DataRecipe defaults)
    {
        if (node is RecipeText { Text.Length: > 0 } text)
        {
            return Named(text.Text, defaults);
        }

        if (node is not RecipeMap map)
        {
            throw RecipeField.Refuse(node, "data", SourceRange);
        }

        if (map.Fields.All(field => field.Key != "path"))
        {
            throw map.Refuse("a source of data has no path. Give {path: FOLDER, …}.");
        }

        DataSource source = Named("", defaults);
        foreach ((string name, RecipeNode value) in map.Fields)
        {
            source = (name, value) switch
            {
                ("path", RecipeText { Text.Length: > 0 } path) =>
                    Named(path.Text, defaults) with { Weight = source.Weight, Field = source.Field, Documents = source.Documents },
                ("weight", _) => RecipeField.ReadNumber(value) is { } weight && weight > 0 ? source with { Weight = weight }
                    : throw RecipeField.Refuse(value, "data.weight", "a number above 0"),
                ("field", RecipeText { Text.Length: > 0 } field) => source with { Field = field.Text },
                ("documents", RecipeText { Text: "blank" }) => source with { Documents = DocumentBorder.Blank },
                ("documents", RecipeText { Text: "line" }) => source with { Documents = DocumentBorder.Line },
                ("documents", RecipeText { Text: "file" }) => source with { Documents = DocumentBorder.File },
                ("documents", _) => throw RecipeField.Refuse(value, "data.documents", "one of blank, line, file"),
                ("path" or "field", _) => throw RecipeField.Refuse(value, $"data.{name}", "a text"),
                _ => throw RecipeFields.Unknown(value, $"data.{name}", s_sourceFields.Select(field => $"data.{field}")),
            };
        }

        return source;
    }

    private static DataSource Named(string path, DataRecipe defaults) => new()
    {
        Path = path,
        Field = defaults.Field,
        Documents = defaults.Documents,
        Kind = path == DataSource.RandomPath ? SourceKind.Random : SourceKind.Detect,
    };
}
