// Numbers that lead to a person: phones, cards, identities, and long ones of unknown meaning. Knows no names.
using System.Text.RegularExpressions;

namespace Kidogo.Privacy;

/// <summary>Finds runs of digits, however they are spaced, and says what they are by length, check digits, the countries' plans and the words before them.</summary>
/// <remarks>
/// What is not certainly an amount, a date, a decimal or a count, and has eight digits or more, is held to be personal: numbers leave a person more easily than they come back.
/// </remarks>
internal static partial class NumberFinder
{
    private const int LongestGap = 3, LongestRun = 40, ContextLength = 48;

    /// <summary>Adds what is found.</summary>
    public static void Find(FoldedText folded, List<PersonalFinding> found)
    {
        string text = folded.Digits;
        for (int at = 0; at < text.Length;)
        {
            int first = text.AsSpan(at).IndexOfAnyInRange('0', '9');
            if (first < 0)
            {
                return;
            }

            Run run = Run.At(text, at + first);
            at = run.End;
            foreach (Run part in run.Parts())
            {
                if (KindOf(text, part) is { } kind)
                {
                    found.Add(folded.Finding(kind, part.Start, part.End - part.Start));
                }
            }
        }
    }

    private static PersonalKind? KindOf(string text, Run run)
    {
        string digits = run.Digits;
        int count = digits.Length;
        if (count < 5)
        {
            return null;
        }

        ReadOnlySpan<char> before = text.AsSpan(Math.Max(0, run.Start - ContextLength), Math.Min(ContextLength, run.Start));
        before = before[(before.LastIndexOfAny('\n', ';') + 1)..];
        ReadOnlySpan<char> after = text.AsSpan(run.End, Math.Min(20, text.Length - run.End));
        bool isAmount = run.IsGrouped || AmountAfter().IsMatch(after) || AmountBefore().IsMatch(before);
        PersonalKind? named = PhoneBefore().IsMatch(before) ? PersonalKind.Phone : IdBefore().IsMatch(before) ? PersonalKind.Id : null;
        if (count < 7)
        {
            return isAmount ? null : named;
        }

        if (run.IsDate || run.IsDecimal || run.IsYears)
        {
            return run.IsDate || run.IsYears ? null : count >= 12 && named is not null ? named : null;
        }

        if (!run.HasPlus && count is >= 13 and <= 19 && digits[0] is >= '2' and <= '6' && Checksums.Luhn(digits))
        {
            return PersonalKind.Card;
        }

        // Within a hash or a name of a file, digits are a part of something else; only what looks like a number to call is taken out of it.
        bool isWithin = IsLetter(text, run.Start - 1) || IsLetter(text, run.End);
        if (IsIdentity(digits) && !isWithin && !(isAmount && run.HasCommas))
        {
            return PersonalKind.Id;
        }

        if (IsPhone(run, digits) && !(isWithin && digits[0] != '0') && !(isAmount && digits[0] != '0' && !run.HasPlus))
        {
            return PersonalKind.Phone;
        }

        if (named is not null && !(isAmount && run.HasCommas))
        {
            return named;
        }

        return count >= 8 && !isWithin && !isAmount && !run.IsCounting ? PersonalKind.Number : null;
    }

    private static bool IsLetter(string text, int at) => at >= 0 && at < text.Length && (char.IsAsciiLetter(text[at]) || text[at] == '_');

    /// <summary>Identities that can be told by their form alone.</summary>
    private static bool IsIdentity(string digits) => digits.Length switch
    {
        9 => Checksums.Afm(digits), // Greece: AFM
        11 => (Checksums.IsDate(digits.AsSpan(0, 2), digits.AsSpan(2, 2)) && Checksums.Luhn(digits)) || Checksums.Verhoeff(digits), // Greece: AMKA; Nigeria: NIN
        13 => digits[0] is '1' or '2' || Checksums.Luhn(digits), // Senegal: CNI; France: NIR without its key; South Africa
        14 => digits[0] is '1' or '2', // Senegal: NIN
        15 => Checksums.Nir(digits),
        17 => digits[0] is '1' or '2', // the ECOWAS card
        20 => digits[0] is '1' or '2' && Checksums.IsDate(digits.AsSpan(6, 2), digits.AsSpan(4, 2)), // Tanzania: NIDA
        _ => false,
    };

    /// <summary>Numbering plans of Senegal, Tanzania, Kenya, Uganda, Greece, France, Nigeria, Ghana, South Africa, Britain and North America, and ITU E.164 for the rest.</summary>
    private static bool IsPhone(Run run, string digits)
    {
        if (run.HasPlus || digits.StartsWith("00", StringComparison.Ordinal))
        {
            return digits.Length is >= 8 and <= 17;
        }

        return digits.Length switch
        {
            7 => run.Groups is [3, 4] && run.HasDashes,
            8 => run.Groups is [2, 2, 2, 2] or [4, 4],
            9 => digits[0] is '6' or '7' || digits.StartsWith("33", StringComparison.Ordinal) || digits.StartsWith("30", StringComparison.Ordinal) || digits[0] == '0',
            10 => digits[0] == '0' || digits.StartsWith("69", StringComparison.Ordinal) || digits[0] == '2' || run.Groups is [3, 3, 4],
            11 => digits[0] == '0' || digits[0] == '1' || digits.StartsWith("221", StringComparison.Ordinal),
            12 => digits.StartsWith("221", StringComparison.Ordinal) || digits.StartsWith("25", StringComparison.Ordinal) || digits.StartsWith("30", StringComparison.Ordinal) || digits.StartsWith("23", StringComparison.Ordinal) || digits.StartsWith("27", StringComparison.Ordinal),
            _ => false,
        };
    }

    [GeneratedRegex(@"(?:^|\W)(?:t[eé]l(?:[eé]phone|\.)?|phones?|mobile|cell|portable|whatsapp|call|appel(?:er|ez)|simu|nambari|namba|lamba|sms|fax|contact|τηλ\w*|κιν\w*|κινητό|num[eé]ro|nimero|limat?|number|no\.|m-?pesa|wave)[\s:.#°º'is]{0,12}[^\d\n]{0,16}$", RegexOptions.IgnoreCase)]
    private static partial Regex PhoneBefore();

    [GeneratedRegex(@"(?:^|\W)(?:id|nida|nin|cni|nir|afm|amka|α\.?φ\.?μ\.?|αφμ|α\.?μ\.?κ\.?α\.?|αμκα|ταυτότητα\w*|διαβατήριο|ssn|bvn|kra|tin|huduma|passport|passeport|pasipoti|kitambulisho|identit[yé]|identification|identifiant|account|akaunti|compte|λογαριασμ\w*|iban|matricule|licen[cs]e|permis|leseni|pin|otp|patient|dossier|file|student|card|carte|kadi|cart[ea]|ref(?:erence)?|member|policy)[\s:.#°º'is]{0,6}(?:no|number|num[eé]ro|n°|namba|ni|yangu|wangu|is|est|:)?[^\d\n]{0,10}$", RegexOptions.IgnoreCase)]
    private static partial Regex IdBefore();

    [GeneratedRegex(@"^\s?(?:%|°|€|\$|£|/=|f?cfa|xof|tsh|tzs|ksh|kes|ngn|usd|eur|gbp|zar|shillings?|shilingi|dollars?|dola|euros?|ευρώ|francs?|naira|rand|pounds?|km|kg|m²|m2|m/s|meters?|metres?|mètres|tons?|tonnes|people|persons|habitants|inhabitants|watu|mutane|κάτοικ\w*|votes?|kura|million|milliard|billion|milioni|bilioni|years|miaka|ans|bytes|tokens?|hectares|hekta|liters?|litres|lita|barrels|units|mw|kwh|hz|seconds|rows|samples)(?:\W|$)", RegexOptions.IgnoreCase)]
    private static partial Regex AmountAfter();

    [GeneratedRegex(@"(?:[$€£₦]|(?:^|\W)(?:f?cfa|xof|tsh|tzs|ksh|kes|ngn|usd|eur|gbp|zar|shilingi|shs?|dola|fcfa|naira|r)\.?)\s?$", RegexOptions.IgnoreCase)]
    private static partial Regex AmountBefore();

    /// <summary>Digits that belong together.</summary>
    private sealed class Run
    {
        private readonly string _text;
        private readonly List<(int At, int Length)> _groups = [];

        private Run(string text, int start)
        {
            _text = text;
            Start = start;
        }

        public int Start { get; private set; }

        public int End { get; private set; }

        public bool HasPlus { get; private set; }

        public string Digits => string.Concat(_groups.Select(group => _text.Substring(group.At, group.Length)));

        public int[] Groups => [.. _groups.Select(group => group.Length)];

        public bool HasCommas => Between().Contains(',', StringComparison.Ordinal);

        public bool HasDashes => Between().Contains('-', StringComparison.Ordinal);

        /// <summary>Thousands: groups of three after a first of one to three, all with the same separator.</summary>
        public bool IsGrouped => _groups.Count >= 2 && _groups[0].Length <= 3 && _text[_groups[0].At] != '0' && !HasPlus && _groups.Skip(1).All(group => group.Length == 3)
            && Between() is var between && between.Distinct().Count() == 1 && between.Length == _groups.Count - 1 && (between[0] is ',' or '.' or '\'' || (between[0] == ' ' && !(Digits.Length == 9 && Digits[0] is '6' or '7')));

        /// <summary>One point within: 3.14159265.</summary>
        public bool IsDecimal => _groups.Count == 2 && Between() is "." or "," && _groups[0].Length <= 5 && !HasPlus;

        public bool IsYears => _groups.All(group => group.Length == 4 && int.Parse(_text.AsSpan(group.At, 4), System.Globalization.CultureInfo.InvariantCulture) is >= 1400 and <= 2199) && _groups.Count is 1 or 2;

        /// <summary>A date, with or without a time of day.</summary>
        public bool IsDate => DateShape().IsMatch(_text.AsSpan(Start, End - Start));

        /// <summary>1, 2, 3 and so on: somebody counts.</summary>
        public bool IsCounting
        {
            get
            {
                int[] values = [.. _groups.Select(group => group.Length < 6 ? int.Parse(_text.AsSpan(group.At, group.Length), System.Globalization.CultureInfo.InvariantCulture) : -1)];
                return values.Length >= 4 && values.Zip(values.Skip(1)).All(pair => pair.Second - pair.First == values[1] - values[0]);
            }
        }

        /// <summary>The digits from here on, across gaps of a few characters that are no letters.</summary>
        public static Run At(string text, int start)
        {
            Run run = new(text, start);
            int at = start;
            int total = 0;
            while (true)
            {
                int end = at;
                while (end < text.Length && char.IsAsciiDigit(text[end]))
                {
                    end++;
                }

                run._groups.Add((at, end - at));
                total += end - at;
                run.End = end;
                int next = end;
                while (next < text.Length && next - end <= LongestGap && text[next] is ' ' or '-' or '.' or '/' or '(' or ')' or '_' or ',' or '*' or '\t' or '\u00B7' or '\u2022' or ':' or '\'' or '\\' or '~' or '+' or '\n' or '\r')
                {
                    next++;
                }

                if (next >= text.Length || !char.IsAsciiDigit(text[next]) || next - end > LongestGap || next == end || total > LongestRun)
                {
                    break;
                }

                at = next;
            }

            int back = start;
            while (back > 0 && start - back < 3 && text[back - 1] is '(' or ' ')
            {
                back--;
            }

            if (back > 0 && text[back - 1] == '+')
            {
                run.HasPlus = true;
                run.Start = back - 1;
            }

            return run;
        }

        /// <summary>A list is many numbers: what stands between commas, or between other gaps that phones do not have, is looked at alone, unless it is single digits throughout.</summary>
        public IEnumerable<Run> Parts()
        {
            bool isSpacedOut = _groups.Count >= 7 && _groups.Count(group => group.Length <= 2) >= _groups.Count - 1;
            if (isSpacedOut || _groups.Count == 1)
            {
                return isSpacedOut && !IsCounting && !HasCommaList() ? [this] : IsCounting || !isSpacedOut ? Split() : [this];
            }

            return Split();
        }

        private bool HasCommaList() => _groups.Any(group => group.Length == 2) && Between().Contains(", ", StringComparison.Ordinal);

        private IEnumerable<Run> Split()
        {
            int from = 0;
            for (int i = 0; i < _groups.Count; i++)
            {
                bool isLast = i == _groups.Count - 1;
                string gap = isLast ? "" : _text[(_groups[i].At + _groups[i].Length).._groups[i + 1].At];
                bool isSplit = isLast || gap.Contains(", ", StringComparison.Ordinal) || gap.Contains('+', StringComparison.Ordinal) || gap is ": " or "\t" or ". " || gap.Contains('\n', StringComparison.Ordinal)
                    || (gap is " " && _groups.Count == 2 && IsYears);
                if (isSplit)
                {
                    Run part = new(_text, from == 0 ? Start : _groups[from].At) { HasPlus = (HasPlus && from == 0) || (from > 0 && _text[_groups[from].At - 1] == '+'), End = _groups[i].At + _groups[i].Length };
                    part._groups.AddRange(_groups[from..(i + 1)]);
                    yield return part;
                    from = i + 1;
                }
            }
        }

        private string Between() => string.Concat(_groups.Zip(_groups.Skip(1), (left, right) => _text[(left.At + left.Length)..right.At]));
    }

    [GeneratedRegex(@"^(?:(?:1\d|20)\d\d[-./](?:0?[1-9]|1[0-2])[-./](?:0?[1-9]|[12]\d|3[01])|(?:0?[1-9]|[12]\d|3[01])[-./](?:0?[1-9]|1[0-2])[-./](?:1\d|20)\d\d|(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01])/(?:19|20)\d\d|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])|(?:19|20)\d\d\s?[-/]\s?(?:19|20)?\d\d)(?:[ ,]{1,2}\d{1,2}[:.]\d\d(?:[:.]\d\d)?)?$")]
    private static partial Regex DateShape();
}
