// The owner's colours, and whether people can read them. Knows no file.
using System.Drawing;
using System.Globalization;

namespace Kidogo.Serving.Portal;

/// <summary>Colours of one mode, light or dark.</summary>
internal sealed record PortalTheme(Color Background, Color Text, Color Accent)
{
    /// <summary>White or black, whichever is read better on the accent: one of them always has a contrast of 4.5.</summary>
    public Color OnAccent => PortalColours.Contrast(Color.White, Accent) >= PortalColours.Contrast(Color.Black, Accent) ? Color.White : Color.Black;

    /// <summary>A shade of the background, for boxes.</summary>
    public Color Surface => PortalColours.Mix(Background, Text, 0.05);

    /// <summary>Lines and edges that have to be seen: a contrast of 3 at least, where the text allows.</summary>
    public Color Line => PortalColours.Toward(Background, Text, Background, 3);

    /// <summary>Text that matters less, and can be read all the same.</summary>
    public Color Muted => PortalColours.Toward(Background, Text, Surface, PortalColours.LeastContrast);
}

/// <summary>The colours of a portal.</summary>
internal sealed record PortalColours(PortalTheme Light, PortalTheme Dark)
{
    /// <summary>The contrast between text and what is behind it that WCAG 2.2 asks for at level AA (1.4.3).</summary>
    public const double LeastContrast = 4.5;

    private const int Steps = 100;

    /// <summary>The colours of an owner who names none.</summary>
    public static PortalColours Default { get; } = Of(
        new PortalTheme(Color.White, Color.FromArgb(0x1c, 0x1e, 0x21), Color.FromArgb(0x0b, 0x6e, 0x4f)), Color.FromArgb(0x16, 0x18, 0x1c), Color.FromArgb(0xec, 0xed, 0xee), null);

    /// <summary>Colours of which the dark accent may be left to be found: the light one, as much lighter as is needed to be read.</summary>
    public static PortalColours Of(PortalTheme light, Color darkBackground, Color darkText, Color? darkAccent) =>
        new(light, new PortalTheme(darkBackground, darkText, darkAccent ?? Readable(light.Accent, darkBackground)));

    /// <summary>A colour that is written as #rgb, #rrggbb or one of CSS's names; null where a text is none.</summary>
    public static Color? Parse(string text)
    {
        if (text.StartsWith('#'))
        {
            string digits = text.Length == 4 ? string.Concat(text[1..].Select(digit => new string(digit, 2))) : text[1..];
            return digits.Length == 6 && int.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int rgb) ? Color.FromArgb(255, Color.FromArgb(rgb)) : null;
        }

        Color named = Color.FromName(text);
        return named is { IsKnownColor: true, IsSystemColor: false, A: 255 } ? Color.FromArgb(named.ToArgb()) : null;
    }

    /// <summary>A colour as CSS writes it.</summary>
    public static string Css(Color colour) => string.Create(CultureInfo.InvariantCulture, $"#{colour.R:x2}{colour.G:x2}{colour.B:x2}");

    /// <summary>WCAG's contrast ratio, from 1 to 21.</summary>
    public static double Contrast(Color one, Color other)
    {
        double a = Luminance(one), b = Luminance(other);
        return (Math.Max(a, b) + 0.05) / (Math.Min(a, b) + 0.05);
    }

    /// <summary>The nearest shade of a colour that can be read on a background.</summary>
    public static Color Readable(Color colour, Color background) =>
        Toward(colour, Contrast(Color.White, background) > Contrast(Color.Black, background) ? Color.White : Color.Black, background, LeastContrast);

    /// <summary>The first colour on the way from one to another that has a contrast with a third; the other where none has.</summary>
    public static Color Toward(Color from, Color to, Color against, double contrast)
    {
        for (int step = 0; step < Steps; step++)
        {
            Color mixed = Mix(from, to, step / (double)Steps);
            if (Contrast(mixed, against) >= contrast)
            {
                return mixed;
            }
        }

        return to;
    }

    /// <summary>A mixture; share 0 is the first, 1 the second.</summary>
    public static Color Mix(Color one, Color other, double share)
    {
        return Color.FromArgb(Channel(one.R, other.R), Channel(one.G, other.G), Channel(one.B, other.B));

        int Channel(byte a, byte b) => (int)Math.Round(a + ((b - a) * share));
    }

    /// <summary>The colours as custom properties of CSS, for both modes.</summary>
    public string Properties() => $$"""
        :root { color-scheme: light dark; {{Properties(Light)}} }
        @media (prefers-color-scheme: dark) { :root:not([data-theme="light"]) { {{Properties(Dark)}} } }
        :root[data-theme="light"] { color-scheme: light; }
        :root[data-theme="dark"] { color-scheme: dark; {{Properties(Dark)}} }

        """;

    private static string Properties(PortalTheme theme) =>
        $"--background: {Css(theme.Background)}; --surface: {Css(theme.Surface)}; --text: {Css(theme.Text)}; --muted: {Css(theme.Muted)}; --line: {Css(theme.Line)}; --accent: {Css(theme.Accent)}; --on-accent: {Css(theme.OnAccent)};";

    // Relative luminance of sRGB, as WCAG 2.2 defines it.
    private static double Luminance(Color colour)
    {
        return (0.2126 * Linear(colour.R)) + (0.7152 * Linear(colour.G)) + (0.0722 * Linear(colour.B));

        static double Linear(byte channel) => channel / 255.0 is var c && c <= 0.04045 ? c / 12.92 : Math.Pow((c + 0.055) / 1.055, 2.4);
    }
}
