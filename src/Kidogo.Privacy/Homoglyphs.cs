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

    /// <summary>A text whose letters among digits are the digits they look like: <c>O77 l23</c> is <c>077 123</c>.</summary>
    public static string WithDigits(string text)
    {
        char[]? changed = null;
        for (int i = 0; i < text.Length; i++)
        {
            if (DigitOf(text[i]) is { } digit && Digit(text, changed, i, -1) && Digit(text, changed, i, +1))
            {
                changed ??= text.ToCharArray();
                changed[i] = digit;
            }
        }

        return changed is null ? text : new string(changed);
    }

    /// <summary>Whether what stands beside, across one separator, is a digit or looks like one, and no word begins there.</summary>
    private static bool Digit(string text, char[]? changed, int at, int step)
    {
        int look = at + step;
        if (look < 0 || look >= text.Length || text[look] is ' ' or '-' or '.')
        {
            int beyond = look + step;
            return step < 0 ? look < 0 || Near(text, at, +1) : beyond < 0 || beyond >= text.Length || char.IsAsciiDigit(text[beyond]) || !char.IsLetter(text[beyond]) || Near(text, at, -1);
        }

        return char.IsAsciiDigit(text[look]) || (changed is not null && char.IsAsciiDigit(changed[look])) || DigitOf(text[look]) is not null;
    }

    private static bool Near(string text, int at, int step)
    {
        int look = at + step;
        while (look >= 0 && look < text.Length && DigitOf(text[look]) is not null)
        {
            look += step;
        }

        return look >= 0 && look < text.Length && char.IsAsciiDigit(text[look]);
    }

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
