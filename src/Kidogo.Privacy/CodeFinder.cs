// What has a form of its own: e-mail, accounts, machines, identities with letters, addresses, dates of birth. Knows no names of persons.
using System.Text.RegularExpressions;

namespace Kidogo.Privacy;

/// <summary>Finds by form. Every expression is matched in time linear in the text.</summary>
internal static partial class CodeFinder
{
    private const int ShortestIban = 15, LongestIban = 34;

    /// <summary>Adds what is found.</summary>
    public static void Find(FoldedText folded, List<PersonalFinding> found)
    {
        string latin = folded.Latin, text = folded.Text;
        if (text.Contains('@', StringComparison.Ordinal) || text.Contains("%40", StringComparison.Ordinal) || SpelledAt().IsMatch(text))
        {
            Add(folded, found, PersonalKind.Email, Email(), latin);
            Add(folded, found, PersonalKind.Email, Email(), text);
            Add(folded, found, PersonalKind.Email, SpelledEmail(), latin);
        }

        foreach (Match match in IbanShape().Matches(latin))
        {
            if (IbanLength(match.Value) is { } length)
            {
                found.Add(folded.Finding(PersonalKind.Iban, match.Index, length));
            }
        }

        Add(folded, found, PersonalKind.Ip, Ip4(), folded.Digits, IsIp4);
        Add(folded, found, PersonalKind.Ip, Ip6(), latin, IsIp6);
        Add(folded, found, PersonalKind.Id, LetterId(), latin);
        Add(folded, found, PersonalKind.Address, Street(), text);
        Add(folded, found, PersonalKind.Address, GreekStreet(), text);
        Add(folded, found, PersonalKind.Address, Box(), text);
        foreach (Match match in BirthWord().Matches(text))
        {
            int from = match.Index + match.Length;
            if (BirthDate().Match(text, from, Math.Min(60, text.Length - from)) is { Success: true } date)
            {
                found.Add(folded.Finding(PersonalKind.Birth, date.Index, date.Length));
            }
        }
    }

    private static void Add(FoldedText folded, List<PersonalFinding> found, PersonalKind kind, Regex regex, string text, Func<string, bool>? holds = null)
    {
        foreach (Match match in regex.Matches(text))
        {
            if (holds?.Invoke(match.Value) != false)
            {
                found.Add(folded.Finding(kind, match.Index, match.Length));
            }
        }
    }

    /// <summary>How much of a match is an account number: what follows it may look like more of it.</summary>
    private static int? IbanLength(string match)
    {
        Span<char> plain = stackalloc char[LongestIban];
        int? length = null;
        int count = 0;
        for (int i = 0; i < match.Length && count < LongestIban; i++)
        {
            if (char.IsAsciiLetterOrDigit(match[i]))
            {
                plain[count++] = match[i];
                if (count >= ShortestIban && Checksums.Iban(plain[..count]))
                {
                    length = i + 1;
                }
            }
        }

        return length;
    }

    private static bool IsIp4(string text) => text.Split('.').All(part => int.Parse(part, System.Globalization.CultureInfo.InvariantCulture) <= 255) && text.Split('.').Any(part => part.Length > 1);

    private static bool IsIp6(string text) => text.Count(c => c == ':') is >= 2 and <= 7 && text.Any(char.IsAsciiHexDigit) && (System.Net.IPAddress.TryParse(text, out _) || text.Length == 17);

    [GeneratedRegex(@"[\p{L}\p{N}._%+'-]{1,64}(?:\s{0,2}@\s{0,2}|%40)[\p{L}\p{N}-]{1,63}(?:\s?\.\s?[\p{L}\p{N}-]{2,24}){1,4}")]
    private static partial Regex Email();

    [GeneratedRegex(@"\bat\b|\barobase\b|\(at\)|\[at\]", RegexOptions.IgnoreCase)]
    private static partial Regex SpelledAt();

    [GeneratedRegex(@"[\p{L}\p{N}._-]{1,64}\s?(?:\(at\)|\[at\]|\{at\}|\sat\s|\sarobase\s)\s?[\p{L}\p{N}-]{1,63}\s?(?:\(dot\)|\[dot\]|\{dot\}|\.|\sdot\s|\spoint\s)\s?(?:com|org|net|edu|info|io|co|sn|tz|ke|gr|ng|fr|uk|za|gh|ug|rw|africa|gov|ac|go)\b", RegexOptions.IgnoreCase)]
    private static partial Regex SpelledEmail();

    [GeneratedRegex(@"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,40}")]
    private static partial Regex IbanShape();

    [GeneratedRegex(@"(?<![\d.])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\d.]\d)")]
    private static partial Regex Ip4();

    [GeneratedRegex(@"(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])|(?<![\w:-])(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}(?![\w:-])")]
    private static partial Regex Ip6();

    // Ghana's card, Kenya's PIN, Britain's NINO, Greece's identity card and the old ones of others, passports, America's SSN, France's NIR of Corsica.
    [GeneratedRegex(@"(?<![A-Za-z0-9])(?:GHA[- ]?\d{9}[- ]?\d|[AP]\d{9}[A-Z]|[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]|[A-Z]{1,2}[- ]?\d{6,8}|\d{3}-\d{2}-\d{4}|[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?2[AB] ?\d{3} ?\d{3}(?: ?\d{2})?|C[MF]\d{6,8}[A-Z0-9]{4,8})(?![A-Za-z0-9])")]
    private static partial Regex LetterId();

    [GeneratedRegex(@"(?<!\w)(?:\d{1,5}[a-z]?,?\s(?:bis\s|ter\s)?(?:rue|avenue|av\.|boulevard|bd|blvd|impasse|all[ée]e|chemin|route de|place|quai|cours)\s(?:d[eu]s?\s|de la\s|d'|l')?[\p{L}'-]{2,}(?:\s(?-i:\p{Lu})[\p{L}'-]+){0,3}|(?:rue|avenue|boulevard|impasse|corniche)\s(?:[A-Z]{2,3}[- ]?\d{1,4}|\d{1,4}\s?x\s?\d{1,4}|(?:d[eu]s?\s|de la\s|d'|l')?[\p{L}'-]{2,}(?:\s(?-i:\p{Lu})[\p{L}'-]+){0,3},?\s(?:n[°ºo]\.?\s?)?\d{1,4})|(?:villa|cit[ée]|sicap|hlm|parcelles?|unit[ée]|immeuble|appartement|appt|lot|quartier|ilot)\s(?:(?-i:\p{Lu})[\p{L}'-]+\s){0,3}(?:n[°ºo]\.?\s?|villa\s)?\d{1,5}[a-z]?|(?:villa|lot|maison)\sn[°ºo]\.?\s?\d{1,5}|quartier\s(?-i:\p{Lu})[\p{L}'-]+(?:\s(?-i:\p{Lu})[\p{L}'-]+)?|\d{1,5}[A-Za-z]?,?\s(?:(?-i:\p{Lu})[\p{L}'.-]+\s){1,4}(?:street|st\.?|avenue|ave\.?|road|rd\.?|lane|ln\.?|drive|dr\.?|close|crescent|court|way|square|highway|boulevard|blvd\.?|estate)(?!\w)|(?:plot|house|flat|apartment|apt|block|room|stand|erf)\s(?:no\.?|number|n[°º]|\#)?\s?\d{1,5}[a-z]?(?:[\s,/-]{1,3}(?:block|plot|flat|house)\s[\p{L}\d]{1,4})?|(?:nyumba|kiwanja|jengo|kitalu)\s(?:namba|nambari|na\.|no\.?)\s?\d{1,5}[a-z]?|(?:mtaa wa|barabara ya|kata ya|kijiji cha|kitongoji cha)\s(?-i:\p{Lu})[\p{L}'-]+(?:\s(?-i:\p{Lu})[\p{L}'-]+)?(?:,?\s(?:nyumba|namba|na\.|no\.?|kata|mtaa|wilaya)[^,.;\n]{0,30})?)", RegexOptions.IgnoreCase)]
    private static partial Regex Street();

    [GeneratedRegex(@"(?<!\w)(?:(?:οδός|οδού|οδό|λεωφόρος|λεωφόρου|λεωφ\.|πλατεία|πλατείας|πάροδος)\s\p{L}[\p{L}'.-]+(?:\s(?-i:\p{Lu})[\p{L}'.-]+){0,3}(?:,?\s(?:αρ\.?\s?)?\d{1,4}[α-ω]?)?|(?-i:\p{Lu})[\p{Ll}ά-ώ]{3,}(?:\s(?-i:\p{Lu})[\p{Ll}ά-ώ]{2,}){0,2}\s\d{1,3}[α-ωa-z]?,?\s(?:Τ\.?Κ\.?\s?|T\.?K\.?\s?)?\d{3}\s?\d{2}(?!\d)(?:,?\s(?-i:\p{Lu})\p{Ll}+)?|(?:Τ\.?Κ\.?|T\.?K\.?)\s?\d{3}\s?\d{2}|(?:odos|leoforos)\s\p{L}[\p{L}'-]+(?:\s(?-i:\p{Lu})[\p{L}'-]+){0,2}\s\d{1,4})", RegexOptions.IgnoreCase)]
    private static partial Regex GreekStreet();

    [GeneratedRegex(@"(?<!\w)(?:p\.?\s?o\.?\s?box|s\.?\s?l\.?\s?p\.?|b\.?\s?p\.?|bo[iî]te postale|τ\.?\s?θ\.?|private bag)\s{0,2}[:#]?\s?\d{1,6}", RegexOptions.IgnoreCase)]
    private static partial Regex Box();

    // Also as programs name a field: date_of_birth, birthDate.
    [GeneratedRegex(@"(?:(?<![\p{L}\p{M}\p{N}])|(?<=\p{Ll})(?=(?-i:[BDN])))(?:born|birth(?:day|date)?|d\.?o\.?b\.?|né\(?e?\)?|née|naissance|naquit|alizaliwa|amezaliwa|nilizaliwa|nimezaliwa|mzaliwa|kuzaliwa|γεννήθηκ\p{L}+|γέννησης|γεννηθείς|ημ\.?\s?γεν\p{L}*|haihuwa\p{L}*|haife\p{L}*|haifu\p{L}*|judd\p{L}+|ìbí|zalwa|wazalwa|ngazalwa|gennith\p{L}+)(?![\p{L}\p{M}\p{N}])", RegexOptions.IgnoreCase)]
    private static partial Regex BirthWord();

    [GeneratedRegex(@"(?:\d{1,4}\s?[./-]\s?\d{1,2}\s?[./-]\s?\d{2,4}|\d{1,2}(?:st|nd|rd|th|er|η)?\s(?:of\s|de\s|ya\s|Mei\s)?\p{L}{3,12}\.?,?\s\d{4}|\p{L}{3,12}\s\d{1,2}(?:st|nd|rd|th)?,?\s\d{4}|(?:in|en|mwaka|το|a|ci)\s(?:wa\s)?(?:19|20)\d\d|(?:19|20)\d{6}|(?<!\d)(?:19|20)\d\d(?!\d))", RegexOptions.IgnoreCase)]
    private static partial Regex BirthDate();
}
