// Where the characters of an input line stand on a screen of a given width. Knows no terminal.
using System.Text;

namespace Kidogo.Cli.Chat;

/// <summary>A text laid out in rows.</summary>
/// <param name="Rows">Each row with its prompt.</param>
/// <param name="CursorRow">From 0.</param>
/// <param name="CursorColumn">From 0.</param>
internal sealed record LineLayout(IReadOnlyList<string> Rows, int CursorRow, int CursorColumn)
{
    private const int SmallestWidth = 8;

    /// <summary>Lays out a text. The last column stays free, for terminals differ in what they do after it.</summary>
    /// <param name="prompt">Before the first row.</param>
    /// <param name="continuation">Before each further line; rows that are wrapped have none.</param>
    /// <param name="text">Lines end with <c>\n</c>.</param>
    /// <param name="cursor">Place in the text, in UTF-16 units.</param>
    /// <param name="width">Columns of the terminal.</param>
    public static LineLayout Of(string prompt, string continuation, string text, int cursor, int width)
    {
        int usable = Math.Max(width, SmallestWidth) - 1;
        List<string> rows = [];
        StringBuilder row = new(prompt);
        int column = TextWidth.Of(prompt), at = 0, cursorRow = 0, cursorColumn = column;
        foreach (Rune rune in text.EnumerateRunes())
        {
            int columns = rune.Value == '\n' ? 0 : TextWidth.Of(rune);
            if (column + columns > usable)
            {
                rows.Add(row.ToString());
                row.Clear();
                column = 0;
            }

            if (at == cursor)
            {
                (cursorRow, cursorColumn) = (rows.Count, column);
            }

            at += rune.Utf16SequenceLength;
            if (rune.Value == '\n')
            {
                rows.Add(row.ToString());
                row.Clear().Append(continuation);
                column = TextWidth.Of(continuation);
            }
            else
            {
                row.Append(rune.ToString());
                column += columns;
            }
        }

        if (at <= cursor)
        {
            (cursorRow, cursorColumn) = (rows.Count, column);
        }

        rows.Add(row.ToString());
        return new LineLayout(rows, cursorRow, cursorColumn);
    }

    /// <summary>At most <paramref name="height"/> rows around the cursor.</summary>
    public LineLayout Within(int height)
    {
        height = Math.Max(1, height);
        if (Rows.Count <= height)
        {
            return this;
        }

        int first = Math.Clamp(CursorRow - (height / 2), 0, Rows.Count - height);
        return new LineLayout([.. Rows.Skip(first).Take(height)], CursorRow - first, CursorColumn);
    }
}
