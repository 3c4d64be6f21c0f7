// Names of persons, by exclusion: a capital that nothing else explains. Knows three lists of words and how names are introduced.
using System.Buffers;
using System.Collections.Frozen;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Kidogo.Privacy;

/// <summary>Finds names in scripts that have capitals, and after words that introduce one in any.</summary>
/// <remarks>
/// No list has all names, so the question is turned round: a word with a capital is a name unless it is known as a common word, a place, a people, a month, a firm. What is not known is held to be somebody.
/// A first or family name that is also such a word (Asia, Sunday, Fall) counts beside another name or after a title. In isiZulu a name has its capital after a prefix: uThandi, nguZuma.
/// </remarks>
internal sealed partial class NameFinder(IEnumerable<string> allow)
{
    private const int ShortestShouted = 6;

    private static readonly FrozenSet<string> s_zulu = new[]
    {
        "ukuthi", "futhi", "kodwa", "ngoba", "uthe", "uthi", "kule", "lokhu", "leli", "lolu", "uma", "kanye", "ngesikhathi", "nje", "manje", "ukuba", "ukuze", "khona", "yakhe", "wakhe", "babo", "okwamanje", "yini",
    }.ToFrozenSet(StringComparer.Ordinal);

    private static readonly SearchValues<char> s_starts = SearchValues.Create(".!?:;\n\"“”«»…•*#>|[]{}=_/0123456789(");

    private static readonly FrozenSet<string> s_particles = new[] { "de", "da", "di", "du", "del", "van", "von", "der", "den", "bin", "bint", "ibn", "al", "el", "ould", "ben", "abu", "le", "la", "wa" }.ToFrozenSet(StringComparer.Ordinal);

    private readonly HashSet<string> _allow = [.. allow.SelectMany(word => word.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Select(word => FoldedText.Key(word))];

    private enum Likeness
    {
        None,
        Ambiguous,
        Name,
    }

    /// <summary>Adds what is found.</summary>
    public void Find(FoldedText folded, List<PersonalFinding> found)
    {
        string text = folded.Text;
        List<Token> tokens = Tokens(text);
        bool isZulu = IsZulu(tokens);
        bool isTitle = tokens.Count(token => token.Starts) > 0.6 * tokens.Count;
        for (int i = 0; i < tokens.Count; i++)
        {
            tokens[i].Likeness = LikenessOf(tokens[i], isZulu, isTitle);
        }

        for (int i = 0; i < tokens.Count;)
        {
            int end = Stretch(tokens, i);
            Token[] stretch = [.. tokens[i..end]];
            bool isTitled = i > 0 && tokens[i - 1].Gap.Length <= 2 && Title().IsMatch(tokens[i - 1].Word);
            int sure = stretch.Count(token => token.Likeness == Likeness.Name);
            int ambiguous = stretch.Count(token => token.Likeness == Likeness.Ambiguous);
            bool isFull = !isTitle && stretch.Length >= 2 && stretch.Any(token => token.Likeness == Likeness.Ambiguous && !IsThing(token.Key)) && stretch.All(token => !IsThing(token.Key) && !(token.IsInitial && token.Likeness == Likeness.None));
            bool isBeside = !isTitle && stretch.Zip(stretch.Skip(1)).Any(pair => pair.First.Likeness == Likeness.Ambiguous && !Lexicon.Shared.Words.Contains(pair.Second.Key)); // a first name, and a place that is also a family name
            if (end > i && (sure > 0 || isFull || isBeside || ambiguous >= 2 || (ambiguous > 0 && isTitled) || (isTitled && stretch[0].Starts && !IsKnown(stretch[0]) && !tokens[i - 1].IsInitialOnly)))
            {
                Token first = stretch.FirstOrDefault(token => !token.IsInitial || token.Likeness != Likeness.None) ?? stretch[0]; // "Meet Fatou Diop": the sentence's first word is no name
                found.Add(folded.Finding(PersonalKind.Name, first.Start, stretch[^1].End - first.Start));
            }

            i = Math.Max(end, i + 1);
        }

        FindSmall(folded, tokens, found);
        foreach (Match match in Introduced().Matches(text))
        {
            Group name = match.Groups["name"];
            if (!Lexicon.Shared.Words.Contains(FoldedText.Key(name.ValueSpan.Trim())) || char.IsUpper(name.Value[0]))
            {
                found.Add(folded.Finding(PersonalKind.Name, name.Index, name.Length));
            }
        }
    }

    /// <summary>Names in small letters: two beside each other that are no words.</summary>
    private void FindSmall(FoldedText folded, List<Token> tokens, List<PersonalFinding> found)
    {
        for (int i = 0; i + 1 < tokens.Count; i++)
        {
            if (tokens[i].Gap == " " && IsOnlyName(tokens[i]) && IsOnlyName(tokens[i + 1]) && !(tokens[i].Starts && tokens[i + 1].Starts))
            {
                found.Add(folded.Finding(PersonalKind.Name, tokens[i].Start, tokens[i + 1].End - tokens[i].Start));
            }
        }
    }

    private bool IsOnlyName(Token token) =>
        token.Word.Length > 2 && !_allow.Contains(token.Key) && Lexicon.Shared.Names.Contains(token.Key) && !IsKnown(token);

    /// <summary>Where the words with capitals that stand together end; an initial or a particle may lie between.</summary>
    private static int Stretch(List<Token> tokens, int from)
    {
        int end = from;
        while (end < tokens.Count && tokens[end].Starts && (end == from || tokens[end - 1].Gap is " " or "-" or ". " or "'" or "" or "  "))
        {
            end++;
            int over = end;
            while (over < tokens.Count && over - end < 2 && tokens[over - 1].Gap == " " && s_particles.Contains(tokens[over].Key) && !tokens[over].Starts)
            {
                over++;
            }

            if (over > end && over < tokens.Count && tokens[over].Starts && tokens[over - 1].Gap is " " or "-")
            {
                end = over;
            }
        }

        return end;
    }

    private Likeness LikenessOf(Token token, bool isZulu, bool isTitle)
    {
        string word = token.Word;
        if (_allow.Contains(token.Key))
        {
            return Likeness.None;
        }

        if (token.Prefix > 0)
        {
            string name = FoldedText.Key(word.AsSpan(token.Prefix));
            return name.Length > 2 && !IsThing(name) && Prefix().IsMatch(word.AsSpan(0, token.Prefix)) ? Likeness.Name : Likeness.None;
        }

        if (!token.Starts || word.Length < 2)
        {
            return Likeness.None;
        }

        Lexicon lexicon = Lexicon.Shared;
        bool isWord = lexicon.Words.Contains(token.Key) || IsThing(token.Key);
        if (lexicon.Names.Contains(token.Key))
        {
            // Within a sentence a common word has no capital, unless all have.
            return !isWord || (!token.IsInitial && !isTitle && word.Length > 3 && !IsThing(token.Key)) ? Likeness.Name : Likeness.Ambiguous;
        }

        bool isShouted = word.All(c => !char.IsLower(c));
        if (isWord || (isShouted && word.Length < ShortestShouted) || IsPartsKnown(word))
        {
            return Likeness.None;
        }

        if (token.IsInitial)
        {
            // The first word has a capital in any case; where no list of the language is long, it says nothing alone.
            return isZulu || word[0] > 0x24F ? Likeness.None : Likeness.Name;
        }

        return Humps().IsMatch(word) && !Clan().IsMatch(word) ? Likeness.None : Likeness.Name;
    }

    private static bool IsKnown(Token token) => Lexicon.Shared.Words.Contains(token.Key) || IsThing(token.Key);

    /// <summary>Whether a word is a place or another thing: as it is, with the ending of Hausa's genitive, or with a prefix of Swahili's or isiZulu's classes.</summary>
    private static bool IsThing(string key)
    {
        FrozenSet<string> known = Lexicon.Shared.Known;
        if (known.Contains(key) || key.EndsWith("'s", StringComparison.Ordinal) && known.Contains(key[..^2]))
        {
            return true;
        }

        if (key.Length > 4 && key[^1] is 'n' or 'r' or 's' && known.Contains(key[..^1]))
        {
            return true;
        }

        foreach (string prefix in (string[])["wa", "m", "ki", "u", "ma", "kwa", "e", "ba", "se", "isi", "ama"])
        {
            if (key.Length > Math.Max(prefix.Length + 3, 6) && key.StartsWith(prefix, StringComparison.Ordinal) && (known.Contains(key[prefix.Length..]) || known.Contains($"{key[prefix.Length..]}u")))
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsPartsKnown(string word)
    {
        string[] parts = word.Split('-', '\'');
        return parts.Length > 1 && !parts.Any(part => part.Length > 2 && Lexicon.Shared.Names.Contains(FoldedText.Key(part))) && parts.All(part => part.Length < 3 || FoldedText.Key(part) is var key && (Lexicon.Shared.Words.Contains(key) || IsThing(key)));
    }

    private static bool IsZulu(List<Token> tokens)
    {
        int small = 0, like = 0;
        foreach (Token token in tokens.Where(token => !token.Starts))
        {
            small++;
            like += s_zulu.Contains(token.Key) || Nguni().IsMatch(token.Word) ? 1 : 0;
        }

        return like >= 1 && like >= 0.15 * small && tokens.Count(token => token.Key is "ya" or "wa" or "na" or "ni" or "za" or "the" or "of" or "de" or "da" or "katika") <= 0.08 * tokens.Count;
    }

    private static List<Token> Tokens(string text)
    {
        List<Token> tokens = [];
        int last = 0;
        foreach (ValueMatch match in Word().EnumerateMatches(text))
        {
            string gap = text[last..match.Index];
            if (tokens.Count > 0)
            {
                tokens[^1].Gap = gap;
            }

            string word = MixedToLatin(text.Substring(match.Index, match.Length));
            tokens.Add(new Token(word, match.Index, IsStart(gap, tokens.Count == 0)));
            last = match.Index + match.Length;
        }

        return tokens;
    }

    /// <summary>A word of two scripts is a Latin one in disguise.</summary>
    private static string MixedToLatin(string word)
    {
        if (word.All(c => c < 0x250) || word.All(c => c >= 0x250 || c is '-' or '\''))
        {
            return word;
        }

        return string.Concat(word.Select(Homoglyphs.ToLatin));
    }

    /// <summary>Whether a sentence, a line, a quotation or an item of a list begins after a gap.</summary>
    private static bool IsStart(string gap, bool isFirst) => isFirst || gap.AsSpan().ContainsAny(s_starts) || (gap.Contains(" - ", StringComparison.Ordinal) || gap is " '" or "('");

    /// <summary>A word where it stands.</summary>
    private sealed class Token
    {
        public Token(string word, int start, bool isInitial)
        {
            Word = word;
            Start = start;
            IsInitial = isInitial;
            Key = FoldedText.Key(word);
            bool isCapital = char.IsUpper(word[0]) || CharUnicodeInfo.GetUnicodeCategory(word[0]) == UnicodeCategory.TitlecaseLetter;
            int inner = -1;
            for (int i = 1; i + 2 < word.Length && i <= 7 && inner < 0; i++)
            {
                inner = char.IsUpper(word[i]) && char.IsLower(word[i + 1]) ? i : inner;
            }

            bool isPrefixed = inner > 0 && ((!isCapital && word.AsSpan(0, inner).IndexOfAnyExceptInRange('a', 'z') is < 0 or > 0) || (isCapital && inner == 1 && word[0] is 'U' or 'K' or 'N'));
            Prefix = isPrefixed && !word.AsSpan(inner + 1).ContainsAnyInRange('A', 'Z') ? inner : 0;
            Starts = isCapital || (Prefix > 0 && NameFinder.Prefix().IsMatch(word.AsSpan(0, Prefix)));
        }

        public string Word { get; }

        public string Key { get; }

        public int Start { get; }

        public int End => Start + Word.Length;

        /// <summary>Whether a sentence begins with it.</summary>
        public bool IsInitial { get; }

        public bool IsInitialOnly => Word.Length == 1;

        /// <summary>Whether it has a capital where names have one.</summary>
        public bool Starts { get; }

        /// <summary>Letters before the capital of a word such as uThandi.</summary>
        public int Prefix { get; }

        /// <summary>What stands between it and the next.</summary>
        public string Gap { get; set; } = "";

        public Likeness Likeness { get; set; }
    }

    [GeneratedRegex(@"\p{L}\p{M}*(?:['-]?[\p{L}\p{M}])*")]
    private static partial Regex Word();

    [GeneratedRegex(@"^[a-z]{0,4}(?:u|ngu|no|ku|ka|nga|kwa|ngo|ko|U|K|N)-?$")]
    private static partial Regex Prefix();

    [GeneratedRegex(@"[a-z][A-Z]")]
    private static partial Regex Humps();

    [GeneratedRegex(@"^(?:Mc|Mac|O'|D'|De|Di|Da|La|Le|Van|Ben)[A-Z]")]
    private static partial Regex Clan();

    [GeneratedRegex(@"^(?:uku|ngok|esi|izi|owa|wase|eku|ezi|oku|yis|lesi|kwez|kwem|nge\p{L}{3}|abe\p{L}{3}|aba\p{L}{4}|ama\p{L}{4}|uba\p{L}{3}|ese\p{L}{3}|ngen|ngez|ngem)")]
    private static partial Regex Nguni();

    [GeneratedRegex(@"^(?:mr|mrs|ms|miss|dr|prof|sir|madam|mister|m|mme|mlle|monsieur|madame|docteur|bw|bi|bwana|bibi|mzee|ndugu|mama|dada|kaka|mwalimu|daktari|dkt|mheshimiwa|rais|waziri|alhaji|alhaja|malam|mallam|hajiya|chief|oba|ọba|sheikh|sheik|imam|serigne|sëriñ|sokhna|imaam|pastor|reverend|rev|father|sister|brother|uncle|aunt|president|minister|captain|judge|sanata|shugaba|gwamna|κ|κος|κα|κύριος|κύριο|κυρία|κυρίας|κύριε|δρ|ogbeni|ọ̀gbẹ́ni|arábìnrin|baba|bàbá|màmá|nkk|mnumzane|mnu|unkosikazi)$", RegexOptions.IgnoreCase)]
    private static partial Regex Title();

    [GeneratedRegex(@"(?<!\w)(?:my name is|my names are|(?:je )?m'appelle|je me nomme|mon nom est|son nom est|his name is|her name is|(?:s'|qui s')appelle|jina langu ni|ninaitwa|naitwa|anaitwa|jina lake ni|με λένε|με λενε|ονομάζομαι|λέγομαι|τον λένε|τη λένε|sunana|suna na|sunansa|sunanta|maa ngi tudd|mangi tudd|maangi tudd|tudd naa|turam mooy|orúkọ mi ni|oruko mi ni|igama lami ngu|igama lami|ngingu|ስሜ|اسمي|меня зовут|mi nombre es|me llamo|meu nome é|mein name ist|ich heiße|signed|name|full name|patient name|nom|prénom|nom complet|jina|jina kamili|όνομα|ονοματεπώνυμο|επώνυμο|suna)\s?[:,-]?\s(?<name>[\p{L}'-]{2,24}(?:\s(?-i:\p{Lu})[\p{L}'-]{1,24}){0,3})(?<!(?:my name is|jina|nom|name|suna)\s(?:of|is|the|de|la|du|des|ya|ni|wa|and|or|on|in|a|an|for|to|that|it|this|et|ou|your|my|to|three|two|five|some|one|all))", RegexOptions.IgnoreCase)]
    private static partial Regex Introduced();
}
