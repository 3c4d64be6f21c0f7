// A language of the village: words with their forms, and sentences with places for words. Knows no grammar but what its file says, and no stories.
using System.Globalization;
using System.Text;

namespace Kidogo.Data.Village;

/// <summary>A language that stories are told in, as its file describes it (docs/how-to/village.md). Immutable.</summary>
public sealed class VillageLanguage
{
    private const int MostLookups = 64; // of a form that is made of forms: ends those that are made of themselves
    private readonly IReadOnlyDictionary<string, string> _forms;
    private readonly IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> _classes;
    private readonly IReadOnlyList<VillageJoin> _joins;
    private readonly IReadOnlyDictionary<string, IReadOnlyList<string>> _sentences;

    internal VillageLanguage(
        string code, string name, IReadOnlyDictionary<string, string> forms, IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> classes, IReadOnlyList<VillageJoin> joins,
        IReadOnlyDictionary<string, IReadOnlyList<VillageWord>> words, IReadOnlyDictionary<string, IReadOnlyList<string>> sentences)
    {
        (Code, Name, _forms, _classes, _joins, _sentences) = (code, name, forms, classes, joins, sentences);
        (People, Places, Things, Goods) = (words["people"], words["places"], words["things"], words["goods"]);
    }

    /// <summary>The short name, such as <c>fr</c>.</summary>
    public string Code { get; }

    /// <summary>What its speakers call it.</summary>
    public string Name { get; }

    /// <summary>The codes of the languages that come with the program.</summary>
    public static IReadOnlyList<string> BuiltInCodes { get; } = ["en", "fr", "sw"];

    internal IReadOnlyList<VillageWord> People { get; }

    internal IReadOnlyList<VillageWord> Places { get; }

    /// <summary>Things of which there is one.</summary>
    internal IReadOnlyList<VillageWord> Things { get; }

    /// <summary>Things that are counted.</summary>
    internal IReadOnlyList<VillageWord> Goods { get; }

    /// <summary>A language that comes with the program; null where there is none of this code or name.</summary>
    public static VillageLanguage? BuiltIn(string name)
    {
        string? file = name.ToLowerInvariant() switch { "en" or "english" => "english", "fr" or "french" or "français" => "french", "sw" or "swahili" or "kiswahili" => "swahili", _ => null };
        if (file is null)
        {
            return null;
        }

        string resource = $"Kidogo.Data.Village.{file}.village";
        using Stream stream = typeof(VillageLanguage).Assembly.GetManifestResourceStream(resource) ?? throw new InvalidOperationException($"The program lacks its resource {resource}.");
        using StreamReader reader = new(stream, Encoding.UTF8);
        return VillageLanguageReader.Parse(reader.ReadToEnd(), $"{file}.village");
    }

    /// <summary>Reads a language from a file.</summary>
    /// <exception cref="DataFormatException">The file is not as docs/how-to/village.md says: the message has the line and what to do.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    public static VillageLanguage Read(string path) => VillageLanguageReader.Read(path);

    /// <summary>A sentence with its words put in: capital at the beginning, joins made.</summary>
    /// <param name="name">Section and key, such as <c>events went</c>.</param>
    /// <param name="cast">What the places stand for.</param>
    /// <param name="variant">Which of several ways to say it; beyond the last, the first is taken.</param>
    internal string Say(string name, in VillageCast cast, int variant = 0)
    {
        IReadOnlyList<string> ways = _sentences[name];
        return Capital(Joined(Fill(ways[variant < ways.Count ? variant : 0], cast)));
    }

    /// <summary>Ways to say a sentence.</summary>
    internal int Ways(string name) => _sentences[name].Count;

    /// <summary>The sentences, for the reader's checks.</summary>
    internal IEnumerable<KeyValuePair<string, IReadOnlyList<string>>> Sentences => _sentences;

    /// <summary>A form of a word, before joins; null where neither the word nor its class nor the language has it, or it is made of itself.</summary>
    internal string? Form(VillageWord word, string form)
    {
        int left = MostLookups;
        return Form(word, form, ref left);
    }

    private string? Form(VillageWord word, string form, ref int left)
    {
        if (--left < 0 || Pattern(word, form) is not { } pattern)
        {
            return null;
        }

        StringBuilder text = new();
        foreach ((string before, string? slot) in Parts(pattern))
        {
            text.Append(before);
            if (slot is not null)
            {
                if (Form(word, slot, ref left) is not { } inner)
                {
                    return null;
                }

                text.Append(inner);
            }
        }

        return text.ToString();
    }

    /// <summary>The pieces of a text with <c>{…}</c>: what is before each, and what is in it; null after the last.</summary>
    internal static IEnumerable<(string Before, string? Slot)> Parts(string pattern)
    {
        int at = 0;
        while (pattern.IndexOf('{', at) is >= 0 and var open && pattern.IndexOf('}', open) is >= 0 and var close)
        {
            yield return (pattern[at..open], pattern[(open + 1)..close]);
            at = close + 1;
        }

        yield return (pattern[at..], null);
    }

    /// <summary>The word that a place of a sentence stands for, and the form that is wanted.</summary>
    internal (VillageWord? Word, string Form) Find(string slot, in VillageCast cast)
    {
        (string role, string form) = slot.Split('.', 2) is [var left, var right] ? (left, right) : (slot, "one");
        VillageWord? word = role switch
        {
            "who" => At(People, cast.Person),
            "other" => At(People, cast.Other),
            "place" => At(Places, cast.Place),
            "thing" => At(Things, cast.Thing),
            "good" => At(Goods, cast.Good),
            _ => null,
        };
        return (word, form.Replace("*", cast.Count.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal));
    }

    private static VillageWord? At(IReadOnlyList<VillageWord> words, int index) => index >= 0 && index < words.Count ? words[index] : null;

    private string Fill(string sentence, in VillageCast cast)
    {
        StringBuilder text = new();
        foreach ((string before, string? slot) in Parts(sentence))
        {
            text.Append(before);
            if (slot is not null)
            {
                (VillageWord? word, string form) = Find(slot, cast);
                text.Append(word is null ? null : Form(word, form) ?? throw new InvalidOperationException($"{Code}: {slot} has no text, which the reader should have refused."));
            }
        }

        return text.ToString();
    }

    // The nearest has the word: its own form, its class's, the language's; each exactly or, with a number, by the form with a *.
    private string? Pattern(VillageWord word, string form)
    {
        char last = form.Length > 0 ? form[^1] : ' ';
        string? many = char.IsAsciiDigit(last) ? form[..^1] + "*" : null;
        foreach (IReadOnlyDictionary<string, string> forms in (IReadOnlyDictionary<string, string>[])[word.Forms, _classes[word.Class], _forms])
        {
            if (forms.TryGetValue(form, out string? exact))
            {
                return exact;
            }

            if (many is not null && forms.TryGetValue(many, out string? counted))
            {
                return counted.Replace('*', last);
            }
        }

        return null;
    }

    private string Joined(string text)
    {
        if (_joins.Count == 0)
        {
            return text;
        }

        List<string> words = [.. text.Split(' ')];
        foreach (VillageJoin join in _joins)
        {
            join.Apply(words);
        }

        return string.Join(' ', words);
    }

    private static string Capital(string text) => text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..];
}

/// <summary>A word with its forms.</summary>
/// <param name="Key">What all languages call it.</param>
/// <param name="Class">Its class: gender, noun class.</param>
/// <param name="Forms">Its own forms.</param>
internal sealed record VillageWord(string Key, string Class, IReadOnlyDictionary<string, string> Forms);

/// <summary>What the places of a sentence stand for: indexes into the language's lists, -1 for none.</summary>
internal readonly record struct VillageCast(int Person, int Other = -1, int Place = -1, int Thing = -1, int Good = -1, int Count = 0);

/// <summary>What becomes of words that meet: elision, contraction.</summary>
/// <param name="First">The word.</param>
/// <param name="Second">The word after it; null where its first letter decides.</param>
/// <param name="Letters">Those letters.</param>
/// <param name="Result">What takes the place of the first, or of both. One that ends with an apostrophe is joined to the next word.</param>
internal sealed record VillageJoin(string First, string? Second, string Letters, string Result)
{
    /// <summary>Changes the words of a sentence.</summary>
    public void Apply(List<string> words)
    {
        for (int i = 0; i + 1 < words.Count; i++)
        {
            bool meets = words[i] == First && (Second is not null ? words[i + 1] == Second : words[i + 1].Length > 0 && Letters.Contains(char.ToLowerInvariant(words[i + 1][0])));
            if (!meets)
            {
                continue;
            }

            words[i] = Second is null && Result.EndsWith('\'') ? Result + words[i + 1] : Result;
            if (Second is not null || Result.EndsWith('\''))
            {
                words.RemoveAt(i + 1);
            }
        }
    }
}
