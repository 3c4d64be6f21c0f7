// Reads what a person types: a line editor over Console.ReadKey with history and several lines. Knows no chat.
using System.Text;

namespace Kidogo.Cli.Chat;

/// <summary>How an input ended.</summary>
internal enum InputEnd
{
    /// <summary>With Enter: there is a text.</summary>
    Line,

    /// <summary>With Ctrl-D on an empty line, or the terminal is gone.</summary>
    EndOfFile,

    /// <summary>With Ctrl-C on an empty line.</summary>
    Interrupt,
}

/// <summary>Edits a line in the terminal. Arrows, Home, End, word moves, history, several lines with a trailing backslash, Alt+Enter or Ctrl-J, bracketed paste.</summary>
/// <param name="output">The terminal.</param>
/// <param name="keys">The keyboard.</param>
/// <param name="size">Columns and rows of the terminal.</param>
internal sealed class LineEditor(TextWriter output, KeyReader keys, Func<(int Width, int Height)> size)
{
    private const int MaxHistory = 1000;
    private readonly List<string> _history = [];
    private int _rowsAboveCursor;

    /// <summary>Reads one input.</summary>
    /// <param name="prompt">Before the first line.</param>
    /// <param name="continuation">Before further lines.</param>
    public (InputEnd End, string Text) Read(string prompt, string continuation)
    {
        LineBuffer line = new();
        int place = _history.Count;
        string draft = "";
        _rowsAboveCursor = 0;
        keys.TakeTypedAhead();
        output.Write("\u001b[?2004h"); // pastes come in brackets
        try
        {
            while (true)
            {
                Draw(prompt, continuation, line);
                KeyEvent key = keys.Read();
                if (key.Pasted is not null)
                {
                    line.Insert(key.Pasted);
                    continue;
                }

                switch (Apply(key.Key, line))
                {
                    case Result.Submit:
                        Remember(line.Text);
                        line.Set(line.Text); // the cursor to the end, so that what follows stands below
                        Draw(prompt, continuation, line);
                        return (InputEnd.Line, line.Text);
                    case Result.EndOfFile:
                        return (InputEnd.EndOfFile, "");
                    case Result.Interrupt:
                        return (InputEnd.Interrupt, "");
                    case Result.Older when place > 0:
                        draft = place == _history.Count ? line.Text : draft;
                        line.Set(_history[--place]);
                        break;
                    case Result.Newer when place < _history.Count:
                        line.Set(++place == _history.Count ? draft : _history[place]);
                        break;
                    case Result.Redraw:
                        output.Write("\u001b[2J\u001b[H");
                        _rowsAboveCursor = 0;
                        break;
                }
            }
        }
        finally
        {
            output.Write("\u001b[?2004l\r\n");
            output.Flush();
        }
    }

    private enum Result
    {
        Go,
        Submit,
        EndOfFile,
        Interrupt,
        Older,
        Newer,
        Redraw,
    }

    private static Result Apply(ConsoleKeyInfo key, LineBuffer line)
    {
        bool control = key.Modifiers.HasFlag(ConsoleModifiers.Control), alt = key.Modifiers.HasFlag(ConsoleModifiers.Alt);
        if (key.KeyChar == '\n' || (control && key.Key == ConsoleKey.J) || (key.Key == ConsoleKey.Enter && (alt || key.Modifiers.HasFlag(ConsoleModifiers.Shift))))
        {
            line.Insert("\n");
            return Result.Go;
        }

        switch (key.Key)
        {
            case ConsoleKey.Enter:
                return EndsWithBackslash(line) ? Result.Go : Result.Submit;
            case ConsoleKey.UpArrow:
                return line.Up() ? Result.Go : Result.Older;
            case ConsoleKey.DownArrow:
                return line.Down() ? Result.Go : Result.Newer;
            case ConsoleKey.C when control:
                bool wasEmpty = line.Length == 0;
                line.Set("");
                return wasEmpty ? Result.Interrupt : Result.Go;
            case ConsoleKey.D when control && line.Length == 0:
                return Result.EndOfFile;
            case ConsoleKey.L when control:
                return Result.Redraw;
            case ConsoleKey.P when control:
                return Result.Older;
            case ConsoleKey.N when control:
                return Result.Newer;
            default:
                Edit(key, control, alt, line);
                return Result.Go;
        }
    }

    private static void Edit(ConsoleKeyInfo key, bool control, bool alt, LineBuffer line)
    {
        switch (key.Key)
        {
            case ConsoleKey.LeftArrow when control || alt:
            case ConsoleKey.B when alt:
                line.WordLeft();
                break;
            case ConsoleKey.RightArrow when control || alt:
            case ConsoleKey.F when alt:
                line.WordRight();
                break;
            case ConsoleKey.LeftArrow:
            case ConsoleKey.B when control:
                line.Left();
                break;
            case ConsoleKey.RightArrow:
            case ConsoleKey.F when control:
                line.Right();
                break;
            case ConsoleKey.Home:
            case ConsoleKey.A when control:
                line.Home();
                break;
            case ConsoleKey.End:
            case ConsoleKey.E when control:
                line.End();
                break;
            case ConsoleKey.Backspace when control || alt:
            case ConsoleKey.W when control:
                line.DeleteWordLeft();
                break;
            case ConsoleKey.Backspace:
            case ConsoleKey.H when control:
                line.Backspace();
                break;
            case ConsoleKey.Delete when control || alt:
            case ConsoleKey.D when alt:
                line.DeleteWordRight();
                break;
            case ConsoleKey.Delete:
            case ConsoleKey.D when control:
                line.Delete();
                break;
            case ConsoleKey.K when control:
                line.DeleteToEnd();
                break;
            case ConsoleKey.U when control:
                line.DeleteToStart();
                break;
            default:
                if (!control && key.KeyChar != '\0')
                {
                    line.Insert(key.KeyChar.ToString());
                }

                break;
        }
    }

    /// <summary>A backslash before the cursor at the end asks for another line: it becomes the line's end.</summary>
    private static bool EndsWithBackslash(LineBuffer line)
    {
        if (line.Cursor != line.Length || !line.Text.EndsWith('\\'))
        {
            return false;
        }

        line.Backspace();
        line.Insert("\n");
        return true;
    }

    private void Remember(string text)
    {
        if (text.Trim().Length > 0 && (_history.Count == 0 || _history[^1] != text))
        {
            _history.Add(text);
            if (_history.Count > MaxHistory)
            {
                _history.RemoveAt(0);
            }
        }
    }

    private void Draw(string prompt, string continuation, LineBuffer line)
    {
        (int width, int height) = size();
        LineLayout layout = LineLayout.Of(prompt, continuation, line.Text, line.Cursor, width).Within(height - 1);
        StringBuilder drawing = new("\r");
        drawing.Append(_rowsAboveCursor > 0 ? $"\u001b[{_rowsAboveCursor}A" : "").Append("\u001b[J").Append(string.Join("\r\n", layout.Rows));
        int rowsBelow = layout.Rows.Count - 1 - layout.CursorRow;
        drawing.Append(rowsBelow > 0 ? $"\u001b[{rowsBelow}A" : "").Append('\r').Append(layout.CursorColumn > 0 ? $"\u001b[{layout.CursorColumn}C" : "");
        _rowsAboveCursor = layout.CursorRow;
        output.Write(drawing);
        output.Flush();
    }
}
