// HTML with holes: what is put in is encoded, unless it is HTML that this program made. Knows no page.
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Unicode;

namespace Kidogo.Serving.Portal;

/// <summary>HTML that may stand in a page as it is.</summary>
internal sealed record Html(string Text);

/// <summary>What goes into the holes of a template: texts, HTML, truth values, and lists of more.</summary>
internal sealed class PageValues : Dictionary<string, object?>
{
    public PageValues()
        : base(StringComparer.Ordinal)
    {
    }
}

/// <summary>A template: <c>{{name}}</c> a value, <c>{{t key}}</c> words, <c>{{#name}}…{{/name}}</c> once where there is a value and once an item of a list, <c>{{^name}}…{{/name}}</c> where there is none.</summary>
internal sealed class HtmlTemplate
{
    private static readonly HtmlEncoder s_encoder = HtmlEncoder.Create(UnicodeRanges.All);

    private readonly List<Part> _parts;

    private HtmlTemplate(List<Part> parts) => _parts = parts;

    /// <summary>Reads a template.</summary>
    /// <exception cref="FormatException">A section does not end.</exception>
    public static HtmlTemplate Parse(string text)
    {
        int at = 0;
        return new HtmlTemplate(ReadParts(text, ref at, null));
    }

    /// <summary>A text as it stands in HTML, in quoted attributes too.</summary>
    public static string Encode(string text) => s_encoder.Encode(text);

    /// <summary>Fills the holes.</summary>
    public string Render(Words words, PageValues values)
    {
        StringBuilder html = new();
        Write(html, _parts, words, [values]);
        return html.ToString();
    }

    private static void Write(StringBuilder html, List<Part> parts, Words words, List<PageValues> scopes)
    {
        foreach (Part part in parts)
        {
            switch (part.Kind)
            {
                case '\0':
                    html.Append(part.Text);
                    break;
                case 't':
                    html.Append(Encode(words.Of(part.Text)));
                    break;
                case '=':
                    object? value = Find(scopes, part.Text);
                    html.Append(value is Html made ? made.Text : Encode(value?.ToString() ?? ""));
                    break;
                default:
                    WriteSection(html, part, words, scopes);
                    break;
            }
        }
    }

    private static void WriteSection(StringBuilder html, Part part, Words words, List<PageValues> scopes)
    {
        object? value = Find(scopes, part.Text);
        bool isThere = value is not (null or false or "" or Html { Text: "" } or IReadOnlyList<PageValues> { Count: 0 });
        if (part.Kind == '^')
        {
            if (!isThere)
            {
                Write(html, part.Inner!, words, scopes);
            }
        }
        else if (value is IReadOnlyList<PageValues> items)
        {
            foreach (PageValues item in items)
            {
                scopes.Add(item);
                Write(html, part.Inner!, words, scopes);
                scopes.RemoveAt(scopes.Count - 1);
            }
        }
        else if (isThere)
        {
            Write(html, part.Inner!, words, scopes);
        }
    }

    private static object? Find(List<PageValues> scopes, string name)
    {
        for (int i = scopes.Count - 1; i >= 0; i--)
        {
            if (scopes[i].TryGetValue(name, out object? value))
            {
                return value;
            }
        }

        return null;
    }

    private static List<Part> ReadParts(string text, ref int at, string? section)
    {
        List<Part> parts = [];
        while (at < text.Length)
        {
            int open = text.IndexOf("{{", at, StringComparison.Ordinal);
            if (open < 0)
            {
                break;
            }

            int close = text.IndexOf("}}", open, StringComparison.Ordinal);
            parts.Add(new Part('\0', text[at..open], null));
            string hole = text[(open + 2)..close];
            at = close + 2;
            switch (hole[0])
            {
                case '/':
                    return hole[1..] == section ? parts : throw new FormatException($"{{{{{hole}}}}} ends a section that is not open.");
                case '#' or '^':
                    parts.Add(new Part(hole[0], hole[1..], ReadParts(text, ref at, hole[1..])));
                    break;
                default:
                    parts.Add(hole.StartsWith("t ", StringComparison.Ordinal) ? new Part('t', hole[2..], null) : new Part('=', hole, null));
                    break;
            }
        }

        if (section is not null)
        {
            throw new FormatException($"The section {section} does not end.");
        }

        parts.Add(new Part('\0', text[at..], null));
        return parts;
    }

    private sealed record Part(char Kind, string Text, List<Part>? Inner);
}
