using Kidogo.Cli.Chat;

namespace Kidogo.EndToEndTests.Chat;

public sealed class LineBufferTests
{
    [Fact]
    public void Left_OverACharacterOfSeveralCodePoints_MovesOnce()
    {
        LineBuffer line = new();
        line.Insert("a👩‍👩‍👧b");
        line.Left();
        line.Left();
        Assert.Equal(1, line.Cursor);
        line.Delete();
        Assert.Equal("ab", line.Text);
    }

    [Fact]
    public void WordMoves_StopAtWords()
    {
        LineBuffer line = new();
        line.Insert("one, two  three");
        line.WordLeft();
        Assert.Equal(10, line.Cursor);
        line.WordLeft();
        Assert.Equal(5, line.Cursor);
        line.WordRight();
        Assert.Equal(8, line.Cursor);
        line.DeleteWordLeft();
        Assert.Equal("one,   three", line.Text);
    }

    [Fact]
    public void UpAndDown_KeepTheColumnWithinLines()
    {
        LineBuffer line = new();
        line.Insert("long line\nab\nanother");
        Assert.True(line.Up());
        Assert.Equal(12, line.Cursor);
        Assert.True(line.Up());
        Assert.False(line.Up());
        Assert.True(line.Down());
        Assert.True(line.Down());
        Assert.False(line.Down());
    }

    [Fact]
    public void Insert_ControlCharacters_AreDropped()
    {
        LineBuffer line = new();
        line.Insert("a\u001b[31mb\r\nc\td\u0007");
        Assert.Equal("a[31mb\nc    d", line.Text);
    }

    [Fact]
    public void Backspace_AtTheStart_DoesNothing()
    {
        LineBuffer line = new();
        line.Backspace();
        line.Left();
        line.Delete();
        Assert.Equal("", line.Text);
    }

    [Theory]
    [InlineData(8, 3)]
    [InlineData(80, 1)]
    public void Layout_OfAnyWidth_WrapsBeforeTheLastColumn(int width, int rows)
    {
        LineLayout layout = LineLayout.Of("> ", "  ", "0123456789abcdef", 16, width);
        Assert.Equal(rows, layout.Rows.Count);
        Assert.All(layout.Rows, row => Assert.True(row.Length < width));
        Assert.Equal(rows - 1, layout.CursorRow);
    }

    [Fact]
    public void Layout_OfWideCharacters_CountsTwoColumns()
    {
        LineLayout layout = LineLayout.Of("> ", "  ", "日本", 1, 80);
        Assert.Equal(4, layout.CursorColumn);
    }

    [Fact]
    public void Keys_OfAPaste_ComeInOnePiece()
    {
        Queue<ConsoleKeyInfo> keys = new("\u001b[200~two\rlines \u001b[31m\u001b[201~x".Select(Key));
        KeyReader reader = new(keys.Dequeue, () => keys.Count > 0);
        Assert.Equal("two\nlines \u001b[31m", reader.Read().Pasted);
        Assert.Equal('x', reader.Read().Key.KeyChar);
    }

    [Fact]
    public void Keys_AfterEscape_HaveAlt()
    {
        Queue<ConsoleKeyInfo> keys = new("\u001bbx".Select(Key));
        KeyReader reader = new(keys.Dequeue, () => keys.Count > 0);
        ConsoleKeyInfo word = reader.Read().Key;
        Assert.Equal((ConsoleKey.B, ConsoleModifiers.Alt), (word.Key, word.Modifiers));
        Assert.Equal('x', reader.Read().Key.KeyChar);
    }

    [Fact]
    public void Editor_HistoryAndSeveralLines_Work()
    {
        Queue<ConsoleKeyInfo> keys = new(
        [
            .. "first".Select(Key), Key('\r'), .. "a\\".Select(Key), Key('\r'), .. "b".Select(Key), Key('\r'),
            Arrow(ConsoleKey.UpArrow), Arrow(ConsoleKey.UpArrow), Arrow(ConsoleKey.UpArrow), Key('\r'), new ConsoleKeyInfo('\u0004', ConsoleKey.D, false, false, true),
        ]);
        LineEditor editor = new(TextWriter.Null, new KeyReader(keys.Dequeue, () => keys.Count > 0), () => (20, 10));
        Assert.Equal((InputEnd.Line, "first"), editor.Read("> ", "  "));
        Assert.Equal((InputEnd.Line, "a\nb"), editor.Read("> ", "  "));
        Assert.Equal((InputEnd.Line, "first"), editor.Read("> ", "  "));
        Assert.Equal(InputEnd.EndOfFile, editor.Read("> ", "  ").End);
    }

    private static ConsoleKeyInfo Arrow(ConsoleKey key) => new('\0', key, false, false, false);

    private static ConsoleKeyInfo Key(char c) => new(c, c switch
    {
        '\u001b' => ConsoleKey.Escape,
        '\r' => ConsoleKey.Enter,
        >= 'a' and <= 'z' => (ConsoleKey)char.ToUpperInvariant(c),
        _ => ConsoleKey.None,
    }, false, false, false);
}
