// Finds added tokens in text before anything else looks at it. Knows not how the rest is tokenised.
using System.Buffers;
using System.Text;

namespace Kidogo.Text.Tokenizers;

/// <summary>How one added token is recognised.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Special">Whether it is found only where special tokens are asked for.</param>
/// <param name="SingleWord">Whether it counts only with no word character on either side.</param>
/// <param name="StripLeft">Whether it swallows the white space before it.</param>
/// <param name="StripRight">Whether it swallows the white space after it.</param>
internal readonly record struct AddedToken(int Id, bool Special, bool SingleWord, bool StripLeft, bool StripRight);

/// <summary>A stretch of a text: bytes <paramref name="Start"/> to <paramref name="End"/>, a token if <paramref name="Id"/> is not negative.</summary>
internal readonly record struct Fragment(int Start, int End, int Id);

/// <summary>A set of added tokens, found leftmost first and longest first.</summary>
internal sealed class AddedTokens
{
    private readonly List<AddedToken> _tokens = [];
    private readonly PieceTrie _trie = new();
    private readonly bool[] _starts = new bool[256];
    private readonly bool _asciiSpaceOnly;
    private SearchValues<byte>? _startBytes;

    /// <param name="asciiSpaceOnly">Whether only ASCII white space is swallowed (llama.cpp), or all of Unicode's (tokenizer.json).</param>
    public AddedTokens(bool asciiSpaceOnly) => _asciiSpaceOnly = asciiSpaceOnly;

    public bool IsEmpty => _tokens.Count == 0;

    public void Add(ReadOnlySpan<byte> piece, AddedToken token)
    {
        if (piece.IsEmpty)
        {
            return;
        }

        _trie.Add(piece, _tokens.Count);
        _tokens.Add(token);
        _starts[piece[0]] = true;
        _startBytes = null;
    }

    /// <summary>To be called once, after the last <see cref="Add"/>.</summary>
    public void Freeze()
    {
        Span<byte> starts = stackalloc byte[256];
        int count = 0;
        for (int value = 0; value < 256; value++)
        {
            if (_starts[value])
            {
                starts[count++] = (byte)value;
            }
        }

        _startBytes = SearchValues.Create(starts[..count]);
    }

    /// <summary>Cuts <paramref name="text"/> into added tokens and what lies between.</summary>
    /// <param name="text">Valid UTF-8.</param>
    /// <param name="untrusted">Ascending, disjoint stretches in which no special token may have any character; <c>[0, length)</c> for none at all.</param>
    /// <param name="fragments">What is found is appended, in order.</param>
    public void Cut(ReadOnlySpan<byte> text, ReadOnlySpan<Fragment> untrusted, List<Fragment> fragments)
    {
        int plain = 0, at = 0, barrier = 0;
        while (_startBytes is not null && at < text.Length)
        {
            int skip = text[at..].IndexOfAny(_startBytes);
            if (skip < 0)
            {
                break;
            }

            at += skip;
            while (barrier < untrusted.Length && untrusted[barrier].End <= at)
            {
                barrier++;
            }

            int limit = barrier < untrusted.Length ? untrusted[barrier].Start : text.Length;
            int found = Match(text, at, limit, out int end);
            if (found < 0)
            {
                at++;
                continue;
            }

            AddedToken token = _tokens[found];
            int start = at;
            if (token.StripLeft)
            {
                start = Math.Max(plain, StartOfSpaceBefore(text, start));
            }

            if (token.StripRight)
            {
                end = EndOfSpaceAfter(text, end);
            }

            if (start > plain)
            {
                fragments.Add(new Fragment(plain, start, -1));
            }

            fragments.Add(new Fragment(start, end, token.Id));
            plain = at = end;
        }

        if (plain < text.Length)
        {
            fragments.Add(new Fragment(plain, text.Length, -1));
        }
    }

    // The longest token at a place; special ones must end at or before the limit.
    private int Match(ReadOnlySpan<byte> text, int at, int limit, out int end)
    {
        int best = -1, node = 0;
        end = at;
        for (int i = at; i < text.Length; i++)
        {
            node = _trie.Child(node, text[i]);
            if (node < 0)
            {
                break;
            }

            int value = _trie.ValueAt(node);
            if (value >= 0 && (!_tokens[value].Special || i + 1 <= limit) && (!_tokens[value].SingleWord || IsSingleWord(text, at, i + 1)))
            {
                best = value;
                end = i + 1;
            }
        }

        return best;
    }

    private static bool IsSingleWord(ReadOnlySpan<byte> text, int start, int end)
    {
        bool before = start > 0 && Rune.DecodeLastFromUtf8(text[..start], out Rune left, out _) == OperationStatus.Done && Unicode.CodePoints.IsWord(left.Value);
        bool after = end < text.Length && Rune.DecodeFromUtf8(text[end..], out Rune right, out _) == OperationStatus.Done && Unicode.CodePoints.IsWord(right.Value);
        return !before && !after;
    }

    private int StartOfSpaceBefore(ReadOnlySpan<byte> text, int start)
    {
        while (start > 0 && Rune.DecodeLastFromUtf8(text[..start], out Rune rune, out int length) == OperationStatus.Done && IsSpace(rune.Value))
        {
            start -= length;
        }

        return start;
    }

    private int EndOfSpaceAfter(ReadOnlySpan<byte> text, int end)
    {
        while (end < text.Length && Rune.DecodeFromUtf8(text[end..], out Rune rune, out int length) == OperationStatus.Done && IsSpace(rune.Value))
        {
            end += length;
        }

        return end;
    }

    private bool IsSpace(int codePoint) => Unicode.CodePoints.IsSpace(codePoint) && (!_asciiSpaceOnly || codePoint < 0x80);
}
