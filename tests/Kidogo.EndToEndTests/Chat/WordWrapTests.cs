using Kidogo.Cli.Chat;
using Kidogo.Cli.Shell;

namespace Kidogo.EndToEndTests.Chat;

public sealed class WordWrapTests
{
    [Theory]
    [InlineData("one two three", 7, 0, "one two\nthree")]
    [InlineData("one two three", 6, 0, "one\ntwo\nthree")]
    [InlineData("one two three", 80, 0, "one two three")]
    [InlineData("abcdefghij kl", 4, 0, "abcdefghij\nkl")]
    [InlineData("/x one two", 7, 3, "/x one\n   two")]
    [InlineData("", 10, 0, "")]
    public void Wrap_BreaksBetweenWordsOnly(string text, int width, int indent, string expected) => Assert.Equal(expected, WordWrap.Wrap(text, width, indent));

    [Fact]
    public void KeysTypedAhead_EnterAsLineFeed_SendsTheLine()
    {
        Queue<ConsoleKeyInfo> typed = new();
        foreach (char c in "hi\nyo")
        {
            typed.Enqueue(new ConsoleKeyInfo(c, c == '\n' ? ConsoleKey.J : 0, shift: false, alt: false, control: c == '\n'));
        }

        Queue<ConsoleKeyInfo> later = new([new ConsoleKeyInfo('\n', ConsoleKey.J, shift: false, alt: false, control: true), new ConsoleKeyInfo('\r', ConsoleKey.Enter, false, false, false)]);
        LineEditor editor = new(TextWriter.Null, new KeyReader(() => typed.Count > 0 ? typed.Dequeue() : later.Dequeue(), () => typed.Count > 0), () => (80, 24));
        Assert.Equal((InputEnd.Line, "hi"), editor.Read("> ", "  "));
        Assert.Equal((InputEnd.Line, "yo\n"), editor.Read("> ", "  ")); // Ctrl-J that is pressed at the prompt is a new line
    }
}
