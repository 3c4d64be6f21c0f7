// Keys of a terminal, with pasted text in one piece. Knows no line.
using System.Text;

namespace Kidogo.Cli.Chat;

/// <summary>A key that was pressed, or a text that was pasted.</summary>
internal readonly record struct KeyEvent(ConsoleKeyInfo Key, string? Pasted);

/// <summary>Reads keys. Pastes are recognised by the brackets that terminals put around them when asked (xterm's mode 2004).</summary>
/// <param name="next">The next key.</param>
/// <param name="isReady">Whether one has come already.</param>
internal sealed class KeyReader(Func<ConsoleKeyInfo> next, Func<bool> isReady)
{
    private const string PasteStart = "[200~";
    private const string PasteEnd = "[201~";
    private const int LongestPaste = LineBuffer.MaxLength;
    private readonly Queue<ConsoleKeyInfo> _waiting = new();

    /// <summary>Takes in what was typed before anybody read, while a model was loaded or an answer was printed: the terminal gave Enter as a line feed then.</summary>
    public void TakeTypedAhead()
    {
        while (_waiting.Count < LongestPaste && isReady())
        {
            ConsoleKeyInfo key = next();
            _waiting.Enqueue(key.KeyChar == '\n' ? new ConsoleKeyInfo('\r', ConsoleKey.Enter, shift: false, alt: false, control: false) : key);
        }
    }

    /// <summary>The next key or paste.</summary>
    public KeyEvent Read()
    {
        ConsoleKeyInfo key = Next();
        if (key.Key != ConsoleKey.Escape || !IsReady)
        {
            return new KeyEvent(key, null);
        }

        // An escape and a key that comes with it: the brackets of a paste, or Alt with that key.
        StringBuilder sequence = new();
        List<ConsoleKeyInfo> keys = [];
        while (sequence.Length < PasteStart.Length && IsReady && PasteStart.StartsWith(sequence.ToString(), StringComparison.Ordinal))
        {
            ConsoleKeyInfo part = Next();
            keys.Add(part);
            sequence.Append(part.KeyChar);
        }

        if (sequence.ToString() == PasteStart)
        {
            return new KeyEvent(default, ReadPaste());
        }

        ConsoleKeyInfo first = keys[0];
        if (first.KeyChar == '[')
        {
            SwallowSequence(keys);
            return new KeyEvent(default, null); // a key that the system's table does not know: nothing
        }

        foreach (ConsoleKeyInfo rest in keys.Skip(1))
        {
            _waiting.Enqueue(rest);
        }

        return new KeyEvent(new ConsoleKeyInfo(first.KeyChar, first.Key, first.Modifiers.HasFlag(ConsoleModifiers.Shift), alt: true, first.Modifiers.HasFlag(ConsoleModifiers.Control)), null);
    }

    private bool IsReady => _waiting.Count > 0 || isReady();

    private ConsoleKeyInfo Next() => _waiting.TryDequeue(out ConsoleKeyInfo key) ? key : next();

    private void SwallowSequence(List<ConsoleKeyInfo> keys)
    {
        bool isComplete = keys.Skip(1).Any(key => key.KeyChar is >= '@' and <= '~');
        while (!isComplete && IsReady)
        {
            isComplete = Next().KeyChar is >= '@' and <= '~';
        }
    }

    private string ReadPaste()
    {
        StringBuilder text = new();
        while (text.Length < LongestPaste)
        {
            ConsoleKeyInfo key = Next();
            text.Append(key.Key == ConsoleKey.Escape ? '\u001b' : key.Key == ConsoleKey.Enter ? '\n' : key.KeyChar);
            if (key.KeyChar == '~' && text.ToString(Math.Max(0, text.Length - 6), Math.Min(6, text.Length)) == "\u001b" + PasteEnd)
            {
                text.Length -= 6;
                break;
            }
        }

        return text.ToString();
    }
}
