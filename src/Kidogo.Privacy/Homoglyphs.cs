// Letters that look like others. Knows no words.
namespace Kidogo.Privacy;

/// <summary>Folds look-alikes, one character to one character, so that places stay what they are.</summary>
internal static class Homoglyphs
{
    private const string Others = "АВЕЅІЈКМНОРСТУХаеіјорсухѕԁԛԝһӀΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορυχⅼꓐꓓꓔꓖꓗꓘᎪᏴᏟᎠᎬᏀᎻᎫᏦᏞᎷᏢᏚᎢᏙᎳᏃοՕօһԼԱՏ";
    private const string Latins = "ABESIJKMHOPCTYXaeijopcyxsdqwhIABEZHIKMNOPTYXaiknopyxlBDTGKKABCDEGHJKLMPSTVWZoOohLUS";

    /// <summary>The Latin letter that a Cyrillic, Greek, Cherokee, Armenian or Lisu one looks like; else the character.</summary>
    public static char ToLatin(char c)
    {
        if (c < 0x370)
        {
            return c;
        }

        int at = Others.IndexOf(c, StringComparison.Ordinal);
        return at < 0 ? c : Latins[at];
    }

    /// <summary>A text whose letters among digits are the digits they look like: <c>O77 l23</c> is <c>077 123</c>. A word with any other letter stays what it is.</summary>
    public static string WithDigits(string text)
    {
        char[]? changed = null;
        for (int at = 0; at < text.Length;)
        {
            int end = at;
            int digits = 0, alike = 0;
            while (end < text.Length && IsPart(text[end]))
            {
                digits += char.IsAsciiDigit(text[end]) ? 1 : 0;
                alike += DigitOf(text[end]) is null ? 0 : 1;
                end++;
            }

            bool isNumber = alike > 0 && digits + alike == end - at && (digits > 0 || (alike == 1 && IsDigit(text, at - 2) && IsDigit(text, end + 1)));
            for (int i = at; isNumber && i < end; i++)
            {
                changed ??= text.ToCharArray();
                changed[i] = DigitOf(text[i]) ?? text[i];
            }

            at = Math.Max(end, at + 1);
        }

        return changed is null ? text : new string(changed);
    }

    private static bool IsPart(char c) => char.IsLetterOrDigit(c) || c is '|' or '!';

    private static bool IsDigit(string text, int at) => at >= 0 && at < text.Length && char.IsAsciiDigit(text[at]);

    private static char? DigitOf(char c) => c switch
    {
        'O' or 'o' or 'О' or 'о' or 'Ο' or 'ο' or 'Օ' or 'օ' or 'Q' or 'D' => '0',
        'I' or 'l' or '|' or 'i' or 'І' or 'Ι' or 'і' or 'ı' or 'Ӏ' or '!' => '1',
        'Z' or 'z' => '2',
        'З' or 'з' or 'Ʒ' or 'ʒ' or 'Ȝ' => '3',
        'S' or 's' or 'Ѕ' or 'ѕ' => '5',
        'б' or 'Ь' => '6',
        'B' or 'В' or 'Β' => '8',
        _ => null,
    };
}
