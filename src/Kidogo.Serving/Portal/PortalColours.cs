// The owner's colours, and whether people can read them. Knows no file.
using System.Drawing;
using System.Globalization;
using System.Text;

namespace Kidogo.Serving.Portal;

/// <summary>The colours that an owner chooses for one mode, light or dark.</summary>
internal sealed record PortalTheme(Color Background, Color Text, Color Accent);

/// <summary>The colours of a portal.</summary>
internal sealed record PortalColours(PortalTheme Light, PortalTheme Dark)
{
    /// <summary>The contrast between text and what is behind it that WCAG 2.2 asks for at level AA (1.4.3).</summary>
    public const double LeastContrast = 4.5;

    private const double EdgeContrast = 3; // of fields and buttons (1.4.11)
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

    /// <summary>The nearest shade of a colour that can be read on some backgrounds.</summary>
    public static Color Readable(Color colour, params ReadOnlySpan<Color> backgrounds)
    {
        Color end = Contrast(Color.White, backgrounds[0]) > Contrast(Color.Black, backgrounds[0]) ? Color.White : Color.Black;
        return Toward(colour, end, LeastContrast, backgrounds);
    }

    /// <summary>The colours as the pages name them (styles/brand.css), in both modes.</summary>
    public string Css() =>
        $"/* The owner's colours. */\n:root {{ color-scheme: light; {Properties(Light, isDark: false)}}}\n:root[data-theme=\"dark\"] {{ color-scheme: dark; {Properties(Dark, isDark: true)}}}\n.mark {{ display: none; }}\n"; // the sign of this program, where the owner's name stands

    /// <summary>All colours that the pages need, from the three of the owner's: grounds are a shade nearer to another colour, as far as everything on them can still be read.</summary>
    public static IReadOnlyDictionary<string, Color> Palette(PortalTheme theme, bool isDark)
    {
        Color ground = theme.Background, ink = theme.Text, accent = theme.Accent, red = Color.FromArgb(0xa8, 0x32, 0x1f);
        Color surface = Shade(isDark ? ink : Color.White, isDark ? 0.04 : 1), side = Shade(ink, 0.03), raised = Shade(ink, 0.08), own = Shade(accent, 0.12), warning = Shade(red, 0.08);
        Color[] grounds = [ground, surface, side, raised, own, warning];
        return new Dictionary<string, Color>
        {
            ["ground"] = ground,
            ["surface"] = surface,
            ["side"] = side,
            ["raised"] = raised,
            ["ink"] = ink,
            ["faint"] = Toward(Mix(ground, ink, 0.5), ink, LeastContrast, grounds),
            ["line"] = Mix(ground, ink, 0.15),
            ["edge"] = Toward(Mix(ground, ink, 0.3), ink, EdgeContrast, grounds),
            ["accent"] = accent,
            ["on-accent"] = Contrast(Color.White, accent) >= Contrast(Color.Black, accent) ? Color.White : Color.Black, // one of them always has 4.5
            ["own"] = own,
            ["danger"] = Readable(red, grounds),
            ["warn-ground"] = warning,
            ["code-ground"] = side,
            ["code-comment"] = Toward(Mix(ground, ink, 0.5), ink, LeastContrast, grounds),
            ["code-string"] = Readable(Color.FromArgb(0x7a, 0x4a, 0x00), grounds),
            ["code-number"] = Readable(Color.FromArgb(0x8a, 0x2a, 0x63), grounds),
            ["code-keyword"] = Readable(Color.FromArgb(0x15, 0x5a, 0x9c), grounds),
        };

        Color Shade(Color toward, double share)
        {
            for (int step = Steps; step > 0; step--)
            {
                Color mixed = Mix(ground, toward, share * step / Steps);
                if (Contrast(ink, mixed) >= LeastContrast && Contrast(accent, mixed) >= LeastContrast)
                {
                    return mixed;
                }
            }

            return ground;
        }
    }

    private static string Properties(PortalTheme theme, bool isDark)
    {
        StringBuilder css = new();
        foreach ((string name, Color colour) in Palette(theme, isDark))
        {
            css.Append(CultureInfo.InvariantCulture, $"--{name}: {Css(colour)}; ");
        }

        return css.Append("--veil: rgb(0 0 0 / 50%); ").ToString();
    }

    /// <summary>The first colour on the way from one to another that has a contrast with all of some; the other where none has.</summary>
    private static Color Toward(Color from, Color to, double contrast, params ReadOnlySpan<Color> against)
    {
        for (int step = 0; step < Steps; step++)
        {
            Color mixed = Mix(from, to, step / (double)Steps);
            bool isEnough = true;
            foreach (Color other in against)
            {
                isEnough &= Contrast(mixed, other) >= contrast;
            }

            if (isEnough)
            {
                return mixed;
            }
        }

        return to;
    }

    private static Color Mix(Color one, Color other, double share)
    {
        return Color.FromArgb(Channel(one.R, other.R), Channel(one.G, other.G), Channel(one.B, other.B));

        int Channel(byte a, byte b) => (int)Math.Round(a + ((b - a) * share));
    }

    // Relative luminance of sRGB, as WCAG 2.2 defines it.
    private static double Luminance(Color colour)
    {
        return (0.2126 * Linear(colour.R)) + (0.7152 * Linear(colour.G)) + (0.0722 * Linear(colour.B));

        static double Linear(byte channel) => channel / 255.0 is var c && c <= 0.04045 ? c / 12.92 : Math.Pow((c + 0.055) / 1.055, 2.4);
    }
}
