// Regular expressions as expressions of a grammar: the part that says what a text is, without looking around. Knows no tokens.
namespace Kidogo.Inference.Constraints;

/// <summary>Reads the regular expressions that ECMA-262, Python and .NET share: classes, groups, alternatives, repetitions, <c>\d \w \s</c>, anchors at both ends.</summary>
/// <remarks>What needs memory or a look around (back references, look-ahead, word borders) is refused. Lazy repetitions mean the same as greedy ones here: a text either fits or not.</remarks>
public sealed class RegexReader
{
    private const int MostLength = 100_000;
    private const int MostDepth = 128;

    private static readonly CharacterSet s_digits = CharacterSet.Of(('0', '9'));
    private static readonly CharacterSet s_word = CharacterSet.Of(('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z'));
    private static readonly CharacterSet s_space = CharacterSet.Of((9, 13), (' ', ' '), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF));
    private static readonly CharacterSet s_lineEnds = CharacterSet.Of(('\n', '\n'), ('\r', '\r'), (0x2028, 0x2029));

    private readonly string _pattern;
    private readonly Func<CharacterSet, Expression> _leaf;
    private int _at;
    private int _depth;

    private RegexReader(string pattern, Func<CharacterSet, Expression> leaf) => (_pattern, _leaf) = (pattern, leaf);

    /// <summary>A grammar of the texts that a pattern matches as a whole.</summary>
    /// <exception cref="GrammarException">The pattern is malformed or asks for what is not supported, with the place.</exception>
    public static Grammar Read(string pattern)
    {
        Grammar grammar = new();
        grammar.Root = grammar.Add("root", Read(pattern, set => new CharacterClass(set), isSearch: false)).Rule;
        return grammar;
    }

    /// <summary>A pattern as an expression.</summary>
    /// <param name="pattern">The pattern.</param>
    /// <param name="leaf">What stands for one character of a set.</param>
    /// <param name="isSearch">Whether anything may stand before and after what matches, where no anchor says otherwise.</param>
    internal static Expression Read(string pattern, Func<CharacterSet, Expression> leaf, bool isSearch)
    {
        ArgumentNullException.ThrowIfNull(pattern);
        if (pattern.Length > MostLength)
        {
            throw new GrammarException($"The pattern has {pattern.Length} characters; at most {MostLength} are read.");
        }

        RegexReader reader = new(pattern, leaf);
        bool isFirst = reader.Take('^');
        bool isLast = pattern.EndsWith('$') && !EndsWithEscape(pattern);
        Expression body = reader.Alternatives(isLast ? pattern.Length - 1 : pattern.Length);
        if (reader._at < (isLast ? pattern.Length - 1 : pattern.Length))
        {
            throw reader.Wrong("unexpected )");
        }

        Expression anything = leaf(CharacterSet.All).Times(0);
        return Expression.Then([.. isSearch && !isFirst ? [anything] : Array.Empty<Expression>(), body, .. isSearch && !isLast ? [anything] : Array.Empty<Expression>()]);
    }

    private static bool EndsWithEscape(string pattern)
    {
        int slashes = 0;
        for (int i = pattern.Length - 2; i >= 0 && pattern[i] == '\\'; i--)
        {
            slashes++;
        }

        return slashes % 2 == 1;
    }

    private Expression Alternatives(int end)
    {
        if (++_depth > MostDepth)
        {
            throw Wrong($"groups are nested more than {MostDepth} deep");
        }

        List<Expression> choices = [Parts(end)];
        while (_at < end && Take('|'))
        {
            choices.Add(Parts(end));
        }

        _depth--;
        return Expression.Either([.. choices]);
    }

    private Expression Parts(int end)
    {
        List<Expression> parts = [];
        while (_at < end && _pattern[_at] is not ('|' or ')'))
        {
            parts.Add(Repeated(Part(), end));
        }

        return Expression.Then([.. parts]);
    }

    private Expression Part()
    {
        char next = _pattern[_at];
        switch (next)
        {
            case '(':
                _at++;
                if (Take('?') && !Take(':'))
                {
                    SkipGroupName();
                }

                Expression group = Alternatives(_pattern.Length);
                return Take(')') ? group : throw Wrong("expected )");
            case '[':
                _at++;
                return _leaf(Class());
            case '.':
                _at++;
                return _leaf(s_lineEnds.Complement());
            case '\\':
                return _leaf(Escape());
            case '^' or '$':
                throw Wrong($"{next} is supported at the {(next == '^' ? "start" : "end")} of the pattern only");
            case '*' or '+' or '?':
                throw Wrong($"{next} repeats nothing");
            default:
                return _leaf(Single(Character()));
        }
    }

    private void SkipGroupName()
    {
        int close = _pattern.IndexOf('>', _at);
        bool isNamed = _at < _pattern.Length && (_pattern[_at] == '<' || _pattern.AsSpan(_at).StartsWith("P<", StringComparison.Ordinal)) && close > 0;
        bool looks = isNamed && _pattern[_at + 1] is '=' or '!';
        _at = isNamed && !looks ? close + 1 : throw Wrong("of groups that begin with (? only (?: and named ones are supported: nothing here looks ahead or back");
    }

    private Expression Repeated(Expression part, int end)
    {
        while (_at < end)
        {
            int start = _at;
            if (Take('*'))
            {
                part = part.Times(0);
            }
            else if (Take('+'))
            {
                part = part.Times(1);
            }
            else if (Take('?'))
            {
                part = part.Maybe();
            }
            else if (Take('{') && Number() is { } least)
            {
                int? most = Take(',') ? Number() : least;
                part = Take('}') && (most is null || most >= least) ? part.Times(least, most) : throw Wrong("expected {n}, {n,} or {n,m} with m not below n");
            }
            else
            {
                _at = start; // a brace that begins no repetition is a character
                return part;
            }

            if (_at < end && _pattern[_at] == '+')
            {
                throw Wrong("possessive repetitions are not supported");
            }

            Take('?'); // lazy
        }

        return part;
    }

    private CharacterSet Class()
    {
        bool isNegative = Take('^');
        CharacterSet all = CharacterSet.Of();
        bool isFirst = true;
        while (true)
        {
            if (_at >= _pattern.Length)
            {
                throw Wrong("expected ] at the end of a class of characters");
            }

            if (!isFirst && Take(']'))
            {
                return isNegative ? all.Complement() : all;
            }

            if (isFirst && Take(']'))
            {
                return isNegative ? CharacterSet.All : throw Wrong("the class [] holds no character");
            }

            isFirst = false;
            bool isSet = _pattern[_at] == '\\' && _at + 1 < _pattern.Length && _pattern[_at + 1] is 'd' or 'D' or 'w' or 'W' or 's' or 'S';
            CharacterSet first = _pattern[_at] == '\\' ? Escape(inClass: true) : Single(Character());
            if (!isSet && _at + 1 < _pattern.Length && _pattern[_at] == '-' && _pattern[_at + 1] != ']')
            {
                _at++;
                CharacterSet last = _pattern[_at] == '\\' ? Escape(inClass: true) : Single(Character());
                bool isRange = last.Ranges.Count == 1 && last.Ranges[0].First == last.Ranges[0].Last && last.Ranges[0].First >= first.Ranges[0].First;
                first = isRange ? CharacterSet.Of((first.Ranges[0].First, last.Ranges[0].Last)) : throw Wrong("a range of characters ends before it begins, or with no character");
            }

            all = all.Union(first);
        }
    }

    private CharacterSet Escape(bool inClass = false)
    {
        _at++;
        if (_at >= _pattern.Length)
        {
            throw Wrong("expected a character after \\");
        }

        char escape = _pattern[_at++];
        return escape switch
        {
            'd' => s_digits,
            'D' => s_digits.Complement(),
            'w' => s_word,
            'W' => s_word.Complement(),
            's' => s_space,
            'S' => s_space.Complement(),
            'n' => Single('\n'),
            'r' => Single('\r'),
            't' => Single('\t'),
            'f' => Single('\f'),
            'v' => Single('\v'),
            '0' => Single(0),
            'b' when inClass => Single('\b'),
            'x' => Single(Hex(2)),
            'u' => Single(Hex(4)),
            _ when char.IsAsciiLetterOrDigit(escape) => throw Wrong($"\\{escape} is not supported"),
            _ => Single(escape),
        };
    }

    private static CharacterSet Single(int character) => CharacterSet.Of((character, character));

    private int Character() => CharacterScan.Character(_pattern, ref _at) ?? throw Wrong("half a surrogate pair is no character");

    private int Hex(int digits) => CharacterScan.Hex(_pattern, ref _at, digits) ?? throw Wrong($"expected {digits} hexadecimal digits of a character");

    private int? Number() => CharacterScan.TryNumber(_pattern, ref _at, out int? number) ? number : throw Wrong("a number of repetitions is too large");

    private bool Take(char expected)
    {
        if (_at >= _pattern.Length || _pattern[_at] != expected)
        {
            return false;
        }

        _at++;
        return true;
    }

    private GrammarException Wrong(string problem) => new($"The pattern cannot be used, at character {_at + 1}: {problem}.");
}
