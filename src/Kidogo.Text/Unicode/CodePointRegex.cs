// Matches regular expressions over the code points of UTF-8, in bounded time. Knows no tokens.
using Kidogo.Text.Tokenizers;

namespace Kidogo.Text.Unicode;

/// <summary>A regular expression over code points. Immutable.</summary>
/// <remarks>.NET's own works on UTF-16 code units, so its <c>\p{L}</c> misses every letter beyond U+FFFF, and its safe mode has no look-ahead; tokenizers need both.</remarks>
internal sealed class CodePointRegex
{
    private readonly RegexStep[] _steps;

    /// <exception cref="TokenizerFormatException">The pattern is malformed, too large, or uses what is not understood here.</exception>
    public CodePointRegex(string pattern)
    {
        Pattern = pattern;
        _steps = CodePointRegexParser.Compile(pattern);
    }

    public string Pattern { get; }

    /// <summary>Whether the pattern is one alternative that begins with an unbounded greedy run: then a failed run need not be tried from within.</summary>
    public bool BeginsWithRun => _steps[0] is { Op: RegexOp.Greedy or RegexOp.Possessive, Min: 1, Max: int.MaxValue };

    internal ReadOnlySpan<RegexStep> Steps => _steps;

    /// <summary>What searching one text needs; its work is limited by the text's length in bytes.</summary>
    public RegexRun Start(int textLength) => new(this, textLength);
}

/// <summary>The state of one search: a stack of places to come back to and a count of the work left.</summary>
internal sealed class RegexRun(CodePointRegex regex, int textLength)
{
    private const int MemoAfter = 2_000;
    private readonly Stack<(int Step, int Low, int High)> _pending = new();
    private HashSet<long>? _seen;
    private long _left = 5_000_000 + (200L * textLength);
    private int _furthest;

    /// <summary>The first match that starts at or after <paramref name="from"/>, which must lie between characters.</summary>
    /// <exception cref="TokenizerException">The search took more work than any sensible pattern needs.</exception>
    public bool Find(ReadOnlySpan<byte> text, int from, out int start, out int end)
    {
        for (start = from; start <= text.Length;)
        {
            _pending.Clear();
            _seen = null;
            _furthest = start;
            end = Run(text, 0, start, top: true);
            if (end >= 0)
            {
                return true;
            }

            if (start == text.Length)
            {
                break;
            }

            CodePoints.Decode(text, start, out int length);
            start = regex.BeginsWithRun && _furthest > start ? _furthest : start + length;
        }

        end = start = -1;
        return false;
    }

    // The end of the match of the program from a step on, or -1. Calls itself only for look-arounds and atomic groups, whose nesting the parser bounds.
    private int Run(ReadOnlySpan<byte> text, int step, int at, bool top)
    {
        ReadOnlySpan<RegexStep> steps = regex.Steps;
        int floor = _pending.Count;
        int work = 0;
        while (true)
        {
            bool failed = false;
            ref readonly RegexStep now = ref steps[step];
            Spend(1);
            work++;
            switch (now.Op)
            {
                case RegexOp.Match:
                    Drop(floor);
                    return at;
                case RegexOp.Set:
                    if (at < text.Length && now.Set!.Contains(CodePoints.Decode(text, at, out int length)))
                    {
                        at += length;
                        step++;
                    }
                    else
                    {
                        failed = true;
                    }

                    break;
                case RegexOp.Greedy or RegexOp.Possessive:
                    int low = at, count = 0, high = at;
                    for (; count < now.Max && high < text.Length && now.Set!.Contains(CodePoints.Decode(text, high, out length)); count++)
                    {
                        high += length;
                        low = count < now.Min ? high : low;
                    }

                    Spend(count >> 2);
                    _furthest = top && step == 0 ? high : _furthest;
                    if (count < now.Min)
                    {
                        failed = true;
                        break;
                    }

                    step++;
                    if (now.Op == RegexOp.Greedy && high > low)
                    {
                        _pending.Push((step, low, Before(text, high)));
                    }

                    at = high;
                    break;
                case RegexOp.Lazy:
                    failed = !RunLazy(text, step, now, ref at);
                    step++;
                    break;
                case RegexOp.Split:
                    _pending.Push((now.Y, at, at));
                    step = now.X;
                    break;
                case RegexOp.Jump:
                    step = now.X;
                    // A loop whose body matched nothing would go round for ever: the second visit of one place ends it.
                    failed = work > MemoAfter && IsSeen(step, at, top);
                    break;
                case RegexOp.Look:
                    failed = Run(text, now.X, at, top: false) >= 0 == (now.Min == 1);
                    step = now.Y;
                    break;
                case RegexOp.LookBehind:
                    failed = (at > 0 && now.Set!.Contains(CodePoints.DecodeBefore(text, at, out _))) == (now.Min == 1);
                    step++;
                    break;
                case RegexOp.Atomic:
                    int atomic = Run(text, now.X, at, top: false);
                    failed = atomic < 0;
                    at = failed ? at : atomic;
                    step = now.Y;
                    break;
                case RegexOp.Assert:
                    failed = !IsAt(text, at, (char)now.Min);
                    step++;
                    break;
            }

            while (failed)
            {
                if (_pending.Count == floor)
                {
                    return -1;
                }

                (step, int lowest, at) = _pending.Pop();
                if (at > lowest)
                {
                    _pending.Push((step, lowest, Before(text, at)));
                }

                Spend(1);
                failed = work > MemoAfter && IsSeen(step, at, top);
            }
        }
    }

    // A short run: one character more each time what follows fails, written as a detour over a single pending place.
    private bool RunLazy(ReadOnlySpan<byte> text, int step, RegexStep now, ref int at)
    {
        for (int count = 0; ; count++)
        {
            if (count >= now.Min)
            {
                int rest = Run(text, step + 1, at, top: false);
                if (rest >= 0)
                {
                    return true;
                }
            }

            if (count >= now.Max || at >= text.Length || !now.Set!.Contains(CodePoints.Decode(text, at, out int length)))
            {
                return false;
            }

            Spend(1);
            at += length;
        }
    }

    // Without captures and back references a place tried once need not be tried again; look-arounds have their own places and do without.
    private bool IsSeen(int step, int at, bool top) => top && !(_seen ??= []).Add(((long)step << 32) | (uint)at);

    private void Drop(int floor)
    {
        while (_pending.Count > floor)
        {
            _pending.Pop();
        }
    }

    private void Spend(int work)
    {
        _left -= work;
        if (_left < 0)
        {
            throw new TokenizerException($"The pre-tokenizer's pattern '{regex.Pattern}' takes more than {5_000_000 + (200L * textLength)} steps on a text of {textLength} bytes; "
                + "cut the text into shorter pieces.");
        }
    }

    private static int Before(ReadOnlySpan<byte> text, int at)
    {
        do
        {
            at--;
        }
        while (at > 0 && (text[at] & 0xC0) == 0x80);
        return at;
    }

    private static bool IsAt(ReadOnlySpan<byte> text, int at, char place) => place switch
    {
        '^' => at == 0 || text[at - 1] == '\n',
        '$' => at == text.Length || text[at] == '\n',
        'A' or 'G' => at == 0,
        'z' => at == text.Length,
        'Z' => at == text.Length || (at == text.Length - 1 && text[at] == '\n'),
        _ => IsBoundary(text, at) == (place == 'b'),
    };

    private static bool IsBoundary(ReadOnlySpan<byte> text, int at) =>
        (at > 0 && CodePoints.IsPatternWord(CodePoints.DecodeBefore(text, at, out _))) != (at < text.Length && CodePoints.IsPatternWord(CodePoints.Decode(text, at, out _)));
}
