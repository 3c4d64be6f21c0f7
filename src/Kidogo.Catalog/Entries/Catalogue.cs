// The catalogue of well-known models: one YAML file, read strictly. Knows no network.
using System.Globalization;
using System.Text;
using Kidogo.Catalog.Hub;
using Kidogo.Models;
using Kidogo.Text;

namespace Kidogo.Catalog.Entries;

/// <summary>Models by name.</summary>
public sealed class Catalogue
{
    private const string ResourceName = "Kidogo.Catalog.catalogue.yaml";
    private const int MostEntries = 1000;

    private static readonly string[] s_fields =
        ["name", "title", "repository", "gguf", "licence", "gated", "languages", "level", "good_at", "bad_at", "context", "parameters", "shape", "bytes"];

    private static readonly string[] s_shape = ["layers", "width", "feed_forward", "heads", "kv_heads", "head_dim", "vocabulary"];

    private Catalogue(IReadOnlyList<CatalogueEntry> entries) => Entries = entries;

    /// <summary>All entries, in the order of the file.</summary>
    public IReadOnlyList<CatalogueEntry> Entries { get; }

    /// <summary>The catalogue that comes with the program (<c>models/catalogue.yaml</c>).</summary>
    public static Catalogue BuiltIn()
    {
        using Stream resource = typeof(Catalogue).Assembly.GetManifestResourceStream(ResourceName)!;
        using StreamReader text = new(resource, Encoding.UTF8);
        return Parse(text.ReadToEnd(), "models/catalogue.yaml");
    }

    /// <summary>A catalogue in a file.</summary>
    /// <exception cref="HubException">It is none.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    public static Catalogue ReadFile(string path) => Of(path, () => YamlTree.ReadFile(path));

    /// <summary>A catalogue in a text.</summary>
    /// <param name="text">YAML.</param>
    /// <param name="place">What it is, for messages.</param>
    /// <exception cref="HubException">It is none.</exception>
    public static Catalogue Parse(string text, string place) => Of(place, () => YamlTree.Read(text, place));

    /// <summary>The entry of a name, whatever its case; also by the name of one of its repositories. Null where there is none.</summary>
    public CatalogueEntry? Find(string name) => Entries.FirstOrDefault(entry => Same(entry.Name, name)) ?? OfRepository(name);

    /// <summary>The entry that a repository is the original or the copy of; null where there is none.</summary>
    public CatalogueEntry? OfRepository(string repository) => Entries.FirstOrDefault(entry => Same(entry.Repository, repository) || (entry.Gguf is { } gguf && Same(gguf, repository)));

    private static bool Same(string one, string other) => one.Equals(other, StringComparison.OrdinalIgnoreCase);

    private static Catalogue Of(string place, Func<YamlValue> read)
    {
        try
        {
            if (read() is not YamlMap { Fields: [{ Key: "models", Value: YamlList list }] } || list.Items.Count > MostEntries)
            {
                throw new HubException($"{place}: expected one field, models, with a list of up to {MostEntries}.");
            }

            List<CatalogueEntry> entries = [.. list.Items.Select(ReadEntry)];
            return entries.GroupBy(entry => entry.Name, StringComparer.OrdinalIgnoreCase).FirstOrDefault(group => group.Count() > 1) is { } twice
                ? throw new HubException($"{place}: {twice.Key} is there twice. Keep one.")
                : new Catalogue(entries);
        }
        catch (YamlFormatException failure)
        {
            throw new HubException(failure.Message, failure);
        }
    }

    private static CatalogueEntry ReadEntry(YamlValue value)
    {
        Dictionary<string, YamlValue> fields = Fields(value, s_fields);
        Dictionary<string, YamlValue> sizes = Fields(fields["shape"], s_shape);
        int[] shape = [.. s_shape.Select(name => (int)Number(sizes[name], name, 1, 1 << 22))];
        long parameters = Number(fields["parameters"], "parameters", 1_000, 1_000_000_000_000);
        CatalogueEntry entry = new()
        {
            Name = Word(fields["name"], "name", name => HubName.IsRepository(name) && !name.Contains('/', StringComparison.Ordinal), "letters, digits, dots and dashes"),
            Title = Word(fields["title"], "title", _ => true, "a text"),
            Repository = Word(fields["repository"], "repository", IsRepository, "org/name"),
            Gguf = fields["gguf"] is YamlText { Text: "" } ? null : Word(fields["gguf"], "gguf", IsRepository, "org/name, or null"),
            Licence = Word(fields["licence"], "licence", _ => true, "a short name"),
            IsGated = Word(fields["gated"], "gated", text => text is "true" or "false", "true or false") == "true",
            Languages = Words(fields["languages"]),
            Level = (int)Number(fields["level"], "level", 1, 4),
            GoodAt = Word(fields["good_at"], "good_at", _ => true, "a text"),
            BadAt = Word(fields["bad_at"], "bad_at", _ => true, "a text"),
            Context = (int)Number(fields["context"], "context", 1, int.MaxValue),
            Parameters = parameters,
            Shape = new CatalogueShape(shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6]),
            Formats = ReadFormats(fields["bytes"], parameters),
        };
        return entry.Shape.Heads % entry.Shape.KvHeads == 0 ? entry : throw Wrong(fields["shape"], "heads has to be a multiple of kv_heads");
    }

    /// <summary>Sizes that no format could have are found here; those that could be, when the hub announces the file.</summary>
    private static List<CatalogueFormat> ReadFormats(YamlValue value, long parameters)
    {
        const double FewestBits = 1, MostBits = 40;
        if (value is not YamlMap { Fields.Count: > 0 } map)
        {
            throw Wrong(value, "bytes has to be a list of formats such as {Q4_K_M: 105044736}");
        }

        List<CatalogueFormat> formats = [];
        foreach ((string name, YamlValue size) in map.Fields)
        {
            long bytes = Number(size, $"bytes of {name}", 1, 1L << 50);
            double bits = 8.0 * bytes / parameters;
            formats.Add(bits is >= FewestBits and <= MostBits ? new CatalogueFormat(name, bytes)
                : throw Wrong(size, string.Create(CultureInfo.InvariantCulture, $"{bytes} bytes of {name} for {parameters} parameters are {bits:0.#} bits each; expected {FewestBits} to {MostBits}")));
        }

        return [.. formats.OrderBy(format => format.Bytes)];
    }

    private static Dictionary<string, YamlValue> Fields(YamlValue value, string[] names)
    {
        if (value is not YamlMap map)
        {
            throw Wrong(value, $"expected the fields {string.Join(", ", names)}");
        }

        Dictionary<string, YamlValue> fields = map.Fields.ToDictionary(field => field.Key, field => field.Value, StringComparer.Ordinal);
        string? unknown = fields.Keys.FirstOrDefault(name => !names.Contains(name));
        string? missing = names.FirstOrDefault(name => !fields.ContainsKey(name));
        return unknown is not null ? throw Wrong(map, $"{unknown} is no field{(NearestName.Likely(unknown, names) is { } near ? $"; the nearest is {near}" : "")}")
            : missing is not null ? throw Wrong(map, $"the field {missing} is missing")
            : fields;
    }

    private static bool IsRepository(string text) => HubName.IsRepository(text) && text.Contains('/', StringComparison.Ordinal);

    private static string Word(YamlValue value, string name, Func<string, bool> isRight, string expected) =>
        value is YamlText { Text: { Length: > 0 and <= 1000 } text } && !text.Any(char.IsControl) && isRight(text) ? text : throw Wrong(value, $"{name} has to be {expected}");

    private static IReadOnlyList<string> Words(YamlValue value) => value is YamlList { Items: { Count: > 0 and <= 500 } items }
        ? [.. items.Select(item => Word(item, "a language", text => text.Length is 2 or 3 && text.All(char.IsAsciiLetterLower), "a code of two or three small letters"))]
        : throw Wrong(value, "languages has to be a list such as [en, sw]");

    private static long Number(YamlValue value, string name, long min, long max) =>
        value is YamlText { Text: { } text } && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number) && number >= min && number <= max
            ? number
            : throw Wrong(value, $"{name} has to be a whole number from {min} to {max}");

    private static HubException Wrong(YamlValue value, string problem) => new($"{value.Place}: {problem}.");
}
