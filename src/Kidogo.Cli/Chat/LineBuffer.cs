// The text of an input line and the place in it. Knows neither keys nor terminals.
using System.Globalization;
using System.Text;

namespace Kidogo.Cli.Chat;

/// <summary>A text of one or more lines with a cursor, which never stands inside a character that people see as one.</summary>
internal sealed class LineBuffer
{
    /// <summary>What a paste may bring at most; more is cut.</summary>
    public const int MaxLength = 4 * 1024 * 1024;

    private readonly StringBuilder _text = new();

    /// <summary>The text; lines end with <c>\n</c>.</summary>
    public string Text => _text.ToString();

    /// <summary>The place, in UTF-16 units from the start.</summary>
    public int Cursor { get; private set; }

    public int Length => _text.Length;

    /// <summary>Replaces everything; the cursor goes to the end.</summary>
    public void Set(string text)
    {
        _text.Clear().Append(text);
        Cursor = _text.Length;
    }

    /// <summary>Puts text in at the cursor. Line ends become <c>\n</c>, tabs spaces, and other control characters go.</summary>
    public void Insert(string text)
    {
        StringBuilder clean = new(text.Length);
        string lines = text.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n').Replace("\t", "    ", StringComparison.Ordinal);
        foreach (char c in lines)
        {
            if ((c == '\n' || !char.IsControl(c)) && _text.Length + clean.Length < MaxLength)
            {
                clean.Append(c);
            }
        }

        _text.Insert(Cursor, clean);
        Cursor += clean.Length;
    }

    public void Left() => Cursor = Before(Cursor);

    public void Right() => Cursor = After(Cursor);

    /// <summary>To the start of the line the cursor is in.</summary>
    public void Home() => Cursor = LineStart(Cursor);

    /// <summary>To the end of the line the cursor is in.</summary>
    public void End() => Cursor = LineEnd(Cursor);

    /// <summary>To the start of the word before.</summary>
    public void WordLeft()
    {
        while (Cursor > 0 && !IsWord(_text[Cursor - 1]))
        {
            Cursor--;
        }

        while (Cursor > 0 && IsWord(_text[Cursor - 1]))
        {
            Cursor--;
        }
    }

    /// <summary>To the end of the word after.</summary>
    public void WordRight()
    {
        while (Cursor < _text.Length && !IsWord(_text[Cursor]))
        {
            Cursor++;
        }

        while (Cursor < _text.Length && IsWord(_text[Cursor]))
        {
            Cursor++;
        }
    }

    /// <summary>To the line above, at the same column; false where there is none.</summary>
    public bool Up()
    {
        int start = LineStart(Cursor);
        if (start == 0)
        {
            return false;
        }

        int above = LineStart(start - 1);
        MoveTo(Math.Min(above + (Cursor - start), start - 1));
        return true;
    }

    /// <summary>To the line below, at the same column; false where there is none.</summary>
    public bool Down()
    {
        int end = LineEnd(Cursor);
        if (end == _text.Length)
        {
            return false;
        }

        MoveTo(Math.Min(end + 1 + (Cursor - LineStart(Cursor)), LineEnd(end + 1)));
        return true;
    }

    /// <summary>Removes the character before the cursor.</summary>
    public void Backspace() => Remove(Before(Cursor), Cursor);

    /// <summary>Removes the character after the cursor.</summary>
    public void Delete() => Remove(Cursor, After(Cursor));

    /// <summary>Removes the word before the cursor.</summary>
    public void DeleteWordLeft()
    {
        int end = Cursor;
        WordLeft();
        Remove(Cursor, end);
    }

    /// <summary>Removes the word after the cursor.</summary>
    public void DeleteWordRight()
    {
        int start = Cursor;
        WordRight();
        Remove(start, Cursor);
    }

    /// <summary>Removes from the cursor to the end of its line.</summary>
    public void DeleteToEnd() => Remove(Cursor, LineEnd(Cursor));

    /// <summary>Removes from the start of the cursor's line to it.</summary>
    public void DeleteToStart() => Remove(LineStart(Cursor), Cursor);

    private static bool IsWord(char c) => char.IsLetterOrDigit(c) || c == '_' || char.IsSurrogate(c);

    private void MoveTo(int place)
    {
        int start = LineStart(place);
        int at = start;
        while (at < place)
        {
            int next = After(at);
            if (next > place)
            {
                break;
            }

            at = next;
        }

        Cursor = at;
    }

    private void Remove(int start, int end)
    {
        _text.Remove(start, end - start);
        Cursor = start;
    }

    private int LineStart(int place)
    {
        while (place > 0 && _text[place - 1] != '\n')
        {
            place--;
        }

        return place;
    }

    private int LineEnd(int place)
    {
        while (place < _text.Length && _text[place] != '\n')
        {
            place++;
        }

        return place;
    }

    private int After(int place)
    {
        const int LongestCluster = 64;
        if (place >= _text.Length)
        {
            return place;
        }

        string ahead = _text.ToString(place, Math.Min(LongestCluster, _text.Length - place));
        return place + StringInfo.GetNextTextElementLength(ahead);
    }

    private int Before(int place)
    {
        if (place == 0)
        {
            return 0;
        }

        int line = _text[place - 1] == '\n' ? place - 1 : LineStart(place);
        for (int at = line; ;)
        {
            int next = After(at);
            if (next >= place)
            {
                return at;
            }

            at = next;
        }
    }
}
