// Reads a regular expression and lays it out as a program. Knows not how programs run.
using System.Globalization;
using System.Text;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Text.Unicode;

/// <summary>What an instruction of a pattern's program does.</summary>
internal enum RegexOp : byte
{
    /// <summary>One code point of the set.</summary>
    Set,

    /// <summary>A run of Min to Max code points of the set, as long as possible, then shorter.</summary>
    Greedy,

    /// <summary>A run as short as possible, then longer.</summary>
    Lazy,

    /// <summary>A run as long as possible, and no other.</summary>
    Possessive,

    /// <summary>Goes on at X, and at Y should that fail.</summary>
    Split,

    /// <summary>Goes on at X.</summary>
    Jump,

    /// <summary>The program from X on matches here (or does not, if Min is 1); goes on at Y.</summary>
    Look,

    /// <summary>The code point before is in the set (or is not, if Min is 1).</summary>
    LookBehind,

    /// <summary>Takes the first match of the program from X on; goes on at Y after it.</summary>
    Atomic,

    /// <summary>A place: Min is the letter of <c>^ $ A z Z b B</c>.</summary>
    Assert,

    /// <summary>The end.</summary>
    Match,
}

/// <summary>One step of a pattern's program.</summary>
internal readonly record struct RegexStep(RegexOp Op, CodePointSet? Set, int Min, int Max, int X, int Y);

/// <summary>A recursive-descent reader of the syntax that tokenizers use: that of Oniguruma, without back references, with bounded depth and size.</summary>
internal sealed partial class CodePointRegexParser
{
    private const int MaxDepth = 32;
    private const int MaxSteps = 20_000;
    private const int MaxLength = 65_536;
    private readonly string _pattern;
    private readonly List<RegexStep> _steps = [];
    private int _at;
    private int _depth;
    private bool _ignoreCase;

    private CodePointRegexParser(string pattern) => _pattern = pattern;

    private abstract record Node;

    private sealed record Single(CodePointSet Set) : Node;

    private sealed record Place(char Kind) : Node;

    private sealed record Sequence(List<Node> Parts) : Node;

    private sealed record Choice(List<Node> Parts) : Node;

    private sealed record Repeat(Node Part, int Min, int Max, RegexOp Mode) : Node;

    private sealed record Look(Node Part, bool Negated, bool Behind) : Node;

    private sealed record Atomic(Node Part) : Node;

    /// <summary>The program of <paramref name="pattern"/>; it starts at step 0.</summary>
    /// <exception cref="TokenizerFormatException">The pattern is malformed, too large, or uses what is not understood here.</exception>
    public static RegexStep[] Compile(string pattern)
    {
        if (pattern.Length > MaxLength)
        {
            throw new TokenizerFormatException($"A pattern of {pattern.Length} characters is too long; at most {MaxLength} are read.");
        }

        CodePointRegexParser parser = new(pattern);
        Node node = parser.ReadChoice();
        if (parser._at < pattern.Length)
        {
            throw parser.Error("an unmatched ')'");
        }

        parser.Emit(node);
        parser.Add(new RegexStep(RegexOp.Match, null, 0, 0, 0, 0));
        return [.. parser._steps];
    }

    private TokenizerFormatException Error(string what) =>
        new($"The pattern '{(_pattern.Length > 200 ? _pattern[..200] + "…" : _pattern)}' has {what} at character {_at}.");

    private Node ReadChoice()
    {
        if (++_depth > MaxDepth)
        {
            throw Error($"groups nested deeper than {MaxDepth}");
        }

        bool ignoreCase = _ignoreCase;
        List<Node> choices = [ReadSequence()];
        while (_at < _pattern.Length && _pattern[_at] == '|')
        {
            _at++;
            choices.Add(ReadSequence());
        }

        _ignoreCase = ignoreCase;
        _depth--;
        return choices.Count == 1 ? choices[0] : new Choice(choices);
    }

    private Sequence ReadSequence()
    {
        List<Node> parts = [];
        while (_at < _pattern.Length && _pattern[_at] is not ('|' or ')'))
        {
            Node? atom = ReadAtom();
            if (atom is not null)
            {
                parts.Add(ReadQuantifiers(atom));
            }
        }

        return new Sequence(parts);
    }

    private Node? ReadAtom()
    {
        char c = _pattern[_at];
        switch (c)
        {
            case '(':
                return ReadGroup();
            case '[':
                return new Single(ReadSet());
            case '^' or '$':
                _at++;
                return new Place(c);
            case '.':
                _at++;
                CodePointSet any = new() { Negated = true };
                any.AddRange('\n', '\n');
                return new Single(any.Freeze());
            case '*' or '+' or '?':
                throw Error($"a '{c}' with nothing to repeat");
            case '\\':
                if (_at + 1 < _pattern.Length && _pattern[_at + 1] is 'b' or 'B' or 'A' or 'z' or 'Z' or 'G')
                {
                    _at += 2;
                    return new Place(_pattern[_at - 1]);
                }

                return new Single(ReadEscape(out int literal) ?? CodePointSet.Of(literal, _ignoreCase));
            default:
                return new Single(CodePointSet.Of(ReadCodePoint(), _ignoreCase));
        }
    }

    private Node? ReadGroup()
    {
        _at++; // (
        if (!Skip("?"))
        {
            return Closed(ReadChoice());
        }

        if (Skip(":"))
        {
            return Closed(ReadChoice());
        }

        if (Skip("="))
        {
            return new Look(Closed(ReadChoice()), false, false);
        }

        if (Skip("!"))
        {
            return new Look(Closed(ReadChoice()), true, false);
        }

        if (Skip(">"))
        {
            return new Atomic(Closed(ReadChoice()));
        }

        if (Skip("<=") || Skip("<!"))
        {
            bool negated = _pattern[_at - 1] == '!';
            return new Look(Closed(ReadChoice()), negated, true);
        }

        if (Skip("<") || Skip("P<"))
        {
            int end = _pattern.IndexOf('>', _at);
            _at = end < 0 ? throw Error("a group name without '>'") : end + 1;
            return Closed(ReadChoice());
        }

        return ReadOptions();
    }

    // (?i) holds to the end of the enclosing group, (?i:…) for its own.
    private Node? ReadOptions()
    {
        bool on = true, ignoreCase = _ignoreCase;
        while (_at < _pattern.Length && _pattern[_at] is not (':' or ')'))
        {
            switch (_pattern[_at++])
            {
                case '-':
                    on = false;
                    break;
                case 'i':
                    ignoreCase = on;
                    break;
                case 'm' or 's' or 'u':
                    break;
                default:
                    throw Error("a group option that is not understood");
            }
        }

        if (Skip(")"))
        {
            _ignoreCase = ignoreCase;
            return null;
        }

        if (!Skip(":"))
        {
            throw Error("a group that does not end");
        }

        bool outer = _ignoreCase;
        _ignoreCase = ignoreCase;
        Node node = Closed(ReadChoice());
        _ignoreCase = outer;
        return node;
    }

    private Node Closed(Node node) => Skip(")") ? node : throw Error("a group that does not end");

    private bool Skip(string text)
    {
        bool there = string.CompareOrdinal(_pattern, _at, text, 0, text.Length) == 0;
        _at += there ? text.Length : 0;
        return there;
    }

    private Node ReadQuantifiers(Node atom)
    {
        for (int stacked = 0; _at < _pattern.Length; stacked++)
        {
            int min, max;
            switch (_pattern[_at])
            {
                case '*':
                    (min, max) = (0, int.MaxValue);
                    _at++;
                    break;
                case '+':
                    (min, max) = (1, int.MaxValue);
                    _at++;
                    break;
                case '?':
                    (min, max) = (0, 1);
                    _at++;
                    break;
                case '{' when ReadCounts(out min, out max):
                    break;
                default:
                    return atom;
            }

            RegexOp mode = Skip("?") ? RegexOp.Lazy : Skip("+") ? RegexOp.Possessive : RegexOp.Greedy;
            if (min > max || stacked > 3 || (max != int.MaxValue && max > 4096))
            {
                throw Error("a repetition that cannot be read or is too large");
            }

            atom = new Repeat(atom, min, max, mode);
        }

        return atom;
    }

    private bool ReadCounts(out int min, out int max)
    {
        int end = _pattern.IndexOf('}', _at);
        min = max = 0;
        if (end < 0)
        {
            return false;
        }

        string[] parts = _pattern[(_at + 1)..end].Split(',');
        bool read = parts.Length is 1 or 2 && int.TryParse(parts[0].Length == 0 ? "0" : parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out min);
        if (!read || (parts.Length == 1 && parts[0].Length == 0))
        {
            return false;
        }

        max = min;
        if (parts.Length == 2)
        {
            max = int.MaxValue;
            if (parts[1].Length > 0 && !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out max))
            {
                return false;
            }
        }

        if (min > 4096)
        {
            throw Error("a repetition of more than 4096");
        }

        _at = end + 1;
        return true;
    }

    private CodePointSet ReadSet()
    {
        if (++_depth > MaxDepth)
        {
            throw Error($"sets nested deeper than {MaxDepth}");
        }

        _at++; // [
        CodePointSet set = new() { IgnoreCase = _ignoreCase, Negated = Skip("^") };
        for (bool first = true; ; first = false)
        {
            if (_at >= _pattern.Length)
            {
                throw Error("a set that does not end");
            }

            if (_pattern[_at] == ']' && !first)
            {
                _at++;
                _depth--;
                return set.Freeze();
            }

            if (Skip("&&"))
            {
                CodePointSet rest = ReadRestAsSet();
                set.Intersect(rest);
                _depth--;
                return set.Freeze();
            }

            if (Skip("[:"))
            {
                int end = _pattern.IndexOf(":]", _at, StringComparison.Ordinal);
                string name = end < 0 ? throw Error("a class name without ':]'") : _pattern[_at..end];
                set.Add(CodePointSet.OfProperty(name switch { "alpha" => "L", "digit" => "Nd", "punct" => "P", "upper" => "Lu", "lower" => "Ll", "cntrl" => "Cc", _ => name }, false)
                    ?? throw Error($"the class '{name}', which is not known,"));
                _at = end + 2;
                continue;
            }

            if (_pattern[_at] == '[')
            {
                set.Add(ReadSet());
                continue;
            }

            ReadSetItem(set);
        }
    }

    // What follows && up to the closing bracket, which is read too.
    private CodePointSet ReadRestAsSet()
    {
        CodePointSet rest = new() { IgnoreCase = _ignoreCase };
        while (_at < _pattern.Length && _pattern[_at] != ']')
        {
            if (_pattern[_at] == '[')
            {
                rest.Add(ReadSet());
            }
            else
            {
                ReadSetItem(rest);
            }
        }

        return Skip("]") ? rest.Freeze() : throw Error("a set that does not end");
    }

    private void ReadSetItem(CodePointSet set)
    {
        int first;
        if (_pattern[_at] == '\\')
        {
            if (ReadEscape(out first) is { } escaped)
            {
                set.Add(escaped);
                return;
            }
        }
        else
        {
            first = ReadCodePoint();
        }

        int last = first;
        if (_at + 1 < _pattern.Length && _pattern[_at] == '-' && _pattern[_at + 1] != ']')
        {
            _at++;
            last = _pattern[_at] != '\\' ? ReadCodePoint() : ReadEscape(out int escapedLast) is null ? escapedLast : throw Error("a range that ends in a class");
            if (last < first)
            {
                throw Error("a range whose end lies before its start");
            }
        }

        set.AddRange(first, last);
    }

    // A set, or null and the code point that is meant.
    private CodePointSet? ReadEscape(out int literal)
    {
        literal = 0;
        _at++; // backslash
        if (_at >= _pattern.Length)
        {
            throw Error("a backslash with nothing after it");
        }

        char c = _pattern[_at];
        if (c is 'p' or 'P')
        {
            return ReadProperty(c == 'P');
        }

        if (CodePointSet.OfEscape(c) is { } set && c is not ('h' or 'H'))
        {
            _at++;
            return set;
        }

        literal = c switch
        {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'f' => '\f',
            'v' => '\v',
            'a' => '\a',
            'e' => 27,
            '0' => 0,
            'x' or 'u' => ReadHex(c),
            >= '1' and <= '9' => throw Error("a back reference, which is not understood"),
            _ => ReadCodePoint(),
        };
        if (c is 'n' or 'r' or 't' or 'f' or 'v' or 'a' or 'e' or '0')
        {
            _at++;
        }

        return null;
    }

    private int ReadHex(char kind)
    {
        _at++;
        int length = kind == 'u' ? 4 : 2;
        if (Skip("{"))
        {
            int end = _pattern.IndexOf('}', _at);
            length = end < 0 ? 0 : end - _at;
        }

        if (length is < 1 or > 8 || _at + length > _pattern.Length
            || !int.TryParse(_pattern.AsSpan(_at, length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value) || (uint)value > 0x10FFFF)
        {
            throw Error("a character number that cannot be read");
        }

        _at += length;
        Skip("}");
        return value;
    }

    private CodePointSet ReadProperty(bool negated)
    {
        _at++; // p
        string name;
        if (Skip("{"))
        {
            negated ^= Skip("^");
            int end = _pattern.IndexOf('}', _at);
            name = end < 0 ? throw Error("a property without '}'") : _pattern[_at..end];
            _at = end + 1;
        }
        else
        {
            name = _at < _pattern.Length ? _pattern[_at++].ToString() : "";
        }

        return CodePointSet.OfProperty(name, negated) ?? throw Error($"the property '{name}', which is not known,");
    }

    private int ReadCodePoint()
    {
        if (Rune.DecodeFromUtf16(_pattern.AsSpan(_at), out Rune rune, out int length) != System.Buffers.OperationStatus.Done)
        {
            throw Error("half a surrogate pair");
        }

        _at += length;
        return rune.Value;
    }
}
