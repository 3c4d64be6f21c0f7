// A growing run of characters that is handed out as a span. Allocates only when it grows.
namespace Kidogo.Inference.Output;

/// <summary>Characters gathered for one answer to a caller.</summary>
internal sealed class TextBuffer
{
    private char[] _chars = new char[256];

    public int Length { get; private set; }

    public ReadOnlySpan<char> Text => _chars.AsSpan(0, Length);

    public void Clear() => Length = 0;

    public void Append(char c)
    {
        if (Length == _chars.Length)
        {
            Array.Resize(ref _chars, 2 * _chars.Length);
        }

        _chars[Length++] = c;
    }

    public void Append(ReadOnlySpan<char> text)
    {
        foreach (char c in text)
        {
            Append(c);
        }
    }

    /// <summary>Drops the last <paramref name="count"/> characters.</summary>
    public void DropLast(int count) => Length -= count;

    /// <summary>Drops the first <paramref name="count"/> characters.</summary>
    public void DropFirst(int count)
    {
        _chars.AsSpan(count, Length - count).CopyTo(_chars);
        Length -= count;
    }
}
