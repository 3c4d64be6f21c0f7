// Reads the file of a language, and refuses one with which some story could not be told. Knows the format, no language.
namespace Kidogo.Data.Village;

/// <summary>Parses language files: sections in brackets, a line each for what is in them.</summary>
internal static class VillageLanguageReader
{
    private const int MaxBytes = 1 << 20;
    private const int FewestPeople = 4, FewestPlaces = 3, FewestThings = 2, FewestGoods = 1, MostWords = 100, MostShown = 80;

    private static readonly string[] s_words = ["people", "places", "things", "goods"];

    /// <summary>Sentences that stories, questions and answers are made of, with the roles that each may name.</summary>
    private static readonly (string Section, string Key, string Roles)[] s_needed =
    [
        ("events", "was", "who place"), ("events", "went", "who place"), ("events", "arrived", "who place"), ("events", "lay", "thing place"), ("events", "took", "who thing"),
        ("events", "left", "who thing place"), ("events", "gave", "who other thing"), ("events", "lost", "who thing"), ("events", "found", "who thing place"), ("events", "bought", "who good"),
        ("events", "sold", "who good"), ("events", "shared", "who other good"), ("events", "counted", "who good"), ("events", "wanted", "who thing"), ("events", "rejoiced", "who"), ("events", "grieved", "who"),
        ("questions", "where-person", "who"), ("questions", "where-thing", "thing"), ("questions", "who-has", "thing"), ("questions", "who-at", "place"), ("questions", "who-gave", "other thing"),
        ("questions", "how-many", "who good"), ("questions", "came-first", "place"), ("questions", "place-before", "who place"), ("questions", "holder-before", "other thing"), ("questions", "summary", ""),
        ("questions", "ending", ""),
        ("answers", "place", "place"), ("answers", "person", "who"), ("answers", "number", "good"), ("answers", "unknown", ""), ("answers", "well", ""), ("answers", "badly", ""),
        ("summaries", "met", "who thing"), ("summaries", "other", "who other thing"), ("summaries", "lost", "who thing"), ("summaries", "unmet", "who thing"), ("summaries", "place", "who place"),
        ("summaries", "place-thing", "who place thing"), ("summaries", "unknown", "who"),
    ];

    /// <summary>Reads a file.</summary>
    public static VillageLanguage Read(string path)
    {
        FileInfo file = new(path);
        if (file.Exists && file.Length > MaxBytes)
        {
            throw new DataFormatException(path, 0, $"the file has {file.Length} bytes; the file of a language has at most {MaxBytes}.");
        }

        using StreamReader reader = new(path, System.Text.Encoding.UTF8);
        char[] text = new char[MaxBytes + 1]; // a pipe has no length
        int length = reader.ReadBlock(text);
        return length <= MaxBytes ? Parse(new string(text, 0, length), path) : throw new DataFormatException(path, 0, $"the file has more than {MaxBytes} characters.");
    }

    /// <summary>Reads a text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="path">What errors call it.</param>
    public static VillageLanguage Parse(string text, string path)
    {
        Draft draft = new(path);
        string[] lines = text.Split('\n');
        for (int i = 0; i < lines.Length; i++)
        {
            string line = lines[i].TrimStart('\uFEFF').Trim();
            if (line.Length > 0 && line[0] != '#')
            {
                draft.Add(line, i + 1);
            }
        }

        return draft.Finish();
    }

    private sealed class Draft(string path)
    {
        private readonly Dictionary<string, string> _forms = [];
        private readonly Dictionary<string, IReadOnlyDictionary<string, string>> _classes = [];
        private readonly Dictionary<string, List<VillageWord>> _words = s_words.ToDictionary(name => name, _ => new List<VillageWord>());
        private readonly List<VillageJoin> _joins = [];
        private readonly Dictionary<string, IReadOnlyList<string>> _sentences = [];
        private readonly Dictionary<string, int> _lineOf = [];
        private Dictionary<string, string>? _class;
        private string _section = "";
        private (string Code, string Name)? _language;

        public void Add(string line, int number)
        {
            if (line[0] == '[')
            {
                Open(line, number);
                return;
            }

            switch (_section)
            {
                case "":
                    Head(line, number);
                    break;
                case "joins":
                    _joins.Add(Join(line, number));
                    break;
                case "forms":
                    Put(_forms, line, number);
                    break;
                case "class":
                    Put(_class!, line, number);
                    break;
                case "people" or "places" or "things" or "goods":
                    _words[_section].Add(Word(line, number));
                    break;
                default:
                    Sentence(line, number);
                    break;
            }
        }

        public VillageLanguage Finish()
        {
            (string code, string name) = _language ?? throw new DataFormatException(path, 1, "the file does not say its language; begin it with a line such as: language = pt Português");
            foreach ((string section, int fewest) in (ReadOnlySpan<(string, int)>)[("people", FewestPeople), ("places", FewestPlaces), ("things", FewestThings), ("goods", FewestGoods)])
            {
                if (_words[section].Count < fewest || _words[section].Count > MostWords)
                {
                    throw new DataFormatException(path, 0, $"[{section}] has {_words[section].Count} words; stories need {fewest} to {MostWords}.");
                }

                foreach (VillageWord word in _words[section].Where(word => !_classes.ContainsKey(word.Class)))
                {
                    throw new DataFormatException(path, _lineOf[$"{section} {word.Key}"], $"{word.Key} is of the class {word.Class}, which the file does not have. Classes: "
                        + $"{string.Join(", ", _classes.Keys)}. Add a section [class {word.Class}].");
                }
            }

            VillageLanguage language = new(code, name, _forms, _classes, _joins, _words.ToDictionary(words => words.Key, words => (IReadOnlyList<VillageWord>)words.Value), _sentences);
            foreach ((string section, string key, string roles) in s_needed)
            {
                Check(language, $"{section} {key}", roles.Split(' '));
            }

            Distinct(language, "answers place", language.Places.Count, i => new VillageCast(-1, Place: i));
            Distinct(language, "answers person", language.People.Count, i => new VillageCast(i));
            for (int good = 0; good < language.Goods.Count; good++)
            {
                Distinct(language, "answers number", VillageWorld.MostGoods + 1, i => new VillageCast(-1, Good: good, Count: i));
            }

            return language;
        }

        private void Open(string line, int number)
        {
            string name = line[^1] == ']' ? line[1..^1].Trim() : throw new DataFormatException(path, number, $"{Shown(line)} begins like the name of a section; expected ] at its end.");
            string[] known = [.. s_words, "joins", "forms", "events", "questions", "answers", "summaries"];
            if (name.StartsWith("class ", StringComparison.Ordinal))
            {
                _class = [];
                (_section, string called) = ("class", name["class ".Length..].Trim());
                if (!_classes.TryAdd(called, _class))
                {
                    throw new DataFormatException(path, number, $"the class {Shown(called)} is there twice.");
                }

                return;
            }

            _section = known.Contains(name) ? name : throw new DataFormatException(path, number, $"there is no section {Shown(name)}; sections are [{string.Join("], [", known)}] and [class NAME].");
        }

        private void Head(string line, int number)
        {
            string[] parts = line.Split('=', 2);
            string[] value = parts.Length == 2 ? parts[1].Trim().Split(' ', 2) : [];
            _language = parts[0].Trim() == "language" && value.Length == 2 && value[0].Length is > 0 and <= 16 && value[0].All(c => char.IsAsciiLetterOrDigit(c) || c == '-')
                ? (value[0], value[1].Trim())
                : throw new DataFormatException(path, number, $"{Shown(line)} stands before the first section; expected only: language = CODE NAME, such as: language = pt Português");
        }

        private void Put(Dictionary<string, string> forms, string line, int number)
        {
            (string key, string value) = Pair(line, number);
            if (!forms.TryAdd(key, value))
            {
                throw new DataFormatException(path, number, $"{Shown(key)} is there twice in this section.");
            }
        }

        private (string Key, string Value) Pair(string line, int number)
        {
            int at = line.IndexOf('=');
            string key = at > 0 ? line[..at].Trim() : "";
            string value = line[(at + 1)..].Trim();
            if (key.Length == 0 || key.Any(c => char.IsWhiteSpace(c) || c is '{' or '}'))
            {
                throw new DataFormatException(path, number, $"{Shown(line)} was read where a form was expected: NAME = text, such as: the = le {{one}}");
            }

            if (value.Count(c => c == '{') != value.Count(c => c == '}'))
            {
                throw new DataFormatException(path, number, $"{Shown(value)} has braces that do not match.");
            }

            return (key, value);
        }

        private VillageWord Word(string line, int number)
        {
            int at = line.IndexOf(':');
            string[] parts = at > 0 ? line[(at + 1)..].Split(';') : [];
            string key = at > 0 ? line[..at].Trim() : "";
            if (key.Length == 0 || parts.Length < 2 || key.Any(char.IsWhiteSpace))
            {
                throw new DataFormatException(path, number, $"{Shown(line)} was read where a word was expected: KEY: CLASS; one = text, such as: key: f; one = clé");
            }

            Dictionary<string, string> forms = [];
            foreach (string part in parts.Skip(1))
            {
                Put(forms, part, number);
            }

            if (!_lineOf.TryAdd($"{_section} {key}", number))
            {
                throw new DataFormatException(path, number, $"{Shown(key)} is there twice in [{_section}].");
            }

            return new VillageWord(key, parts[0].Trim(), forms);
        }

        private VillageJoin Join(string line, int number)
        {
            string[] sides = line.Split("->", 2);
            string[] from = sides[0].Trim().Split(' ', StringSplitOptions.RemoveEmptyEntries);
            string[] to = sides.Length == 2 ? sides[1].Trim().Split(' ', StringSplitOptions.RemoveEmptyEntries) : [];
            return (from.Length, to) switch
            {
                (1, [var result, "before", var letters]) => new VillageJoin(from[0], null, letters, result),
                (2, [var result]) => new VillageJoin(from[0], from[1], "", result),
                _ => throw new DataFormatException(path, number, $"{Shown(line)} was read where a join was expected: le -> l' before aeiou, or: de le -> du"),
            };
        }

        private void Sentence(string line, int number)
        {
            (string key, string value) = Pair(line, number);
            string name = $"{_section} {key}";
            if (!s_needed.Any(needed => $"{needed.Section} {needed.Key}" == name))
            {
                throw new DataFormatException(path, number, $"[{_section}] has no {Shown(key)}; it has {string.Join(", ", s_needed.Where(needed => needed.Section == _section).Select(needed => needed.Key))}.");
            }

            string[] ways = [.. value.Split('|').Select(way => way.Trim())];
            if (ways.Contains(""))
            {
                throw new DataFormatException(path, number, $"{Shown(key)} has no text; write the sentence after the =.");
            }

            if (!_sentences.TryAdd(name, ways) || !_lineOf.TryAdd(name, number))
            {
                throw new DataFormatException(path, number, $"{Shown(key)} is there twice in [{_section}].");
            }
        }

        /// <summary>Every place of a sentence has a text, whichever word comes there.</summary>
        private void Check(VillageLanguage language, string name, string[] roles)
        {
            if (!_sentences.TryGetValue(name, out IReadOnlyList<string>? ways))
            {
                string[] parts = name.Split(' ');
                throw new DataFormatException(path, 0, $"[{parts[0]}] lacks {parts[1]}, which stories need. Add a line: {parts[1]} = …");
            }

            foreach (string slot in ways.SelectMany(VillageLanguage.Parts).Where(part => part.Slot is not null).Select(part => part.Slot!))
            {
                string role = slot.Split('.')[0];
                if (!roles.Contains(role))
                {
                    throw new DataFormatException(path, _lineOf[name], $"{{{slot}}} stands for nothing here; this sentence may name {string.Join(", ", roles.Where(each => each.Length > 0).DefaultIfEmpty("nothing"))}.");
                }

                IReadOnlyList<VillageWord> words = role switch { "who" or "other" => language.People, "place" => language.Places, "thing" => language.Things, _ => language.Goods };
                int fewest = name.StartsWith("answers", StringComparison.Ordinal) ? 0 : 1;
                for (int word = 0; word < words.Count; word++)
                {
                    for (int count = fewest; count <= (slot.Contains('*') ? VillageWorld.MostGoods : fewest); count++)
                    {
                        (VillageWord? found, string form) = language.Find(slot, new VillageCast(word, word, word, word, word, count));
                        if (language.Form(found!, form) is null)
                        {
                            throw new DataFormatException(path, _lineOf[name], $"{{{slot}}} needs the form {Shown(form)}, which {words[word].Key} does not have, nor its class {words[word].Class}, nor [forms] (or it is made "
                                + $"of itself). Add it to one of them.");
                        }
                    }
                }
            }
        }

        /// <summary>Answers that read the same could not be told from each other.</summary>
        private void Distinct(VillageLanguage language, string name, int count, Func<int, VillageCast> cast)
        {
            HashSet<string> seen = [language.Say("answers unknown", new VillageCast(-1))];
            for (int i = 0; i < count; i++)
            {
                string answer = language.Say(name, cast(i));
                if (!seen.Add(answer))
                {
                    throw new DataFormatException(path, _lineOf[name], $"two different answers read {Shown(answer)}: give their words different texts.");
                }
            }
        }

        private static string Shown(string text) => $"\"{(text.Length <= MostShown ? text : text[..MostShown] + "…")}\"";
    }
}
