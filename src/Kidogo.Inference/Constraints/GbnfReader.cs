// Grammars as llama.cpp writes them (GBNF). Knows no tokens.
using System.Text;

namespace Kidogo.Inference.Constraints;

/// <summary>Reads GBNF: <c>name ::= "text" [a-z] (a | b)* other{2,3}</c>, comments after <c>#</c>, the rule <c>root</c> for whole texts.</summary>
public sealed class GbnfReader
{
    private const int MostLength = 1 << 20;
    private const int MostDepth = 128;

    private readonly string _text;
    private readonly Grammar _grammar = new();
    private readonly Dictionary<string, int> _rules = new(StringComparer.Ordinal);
    private readonly HashSet<int> _defined = [];
    private int _at;
    private int _depth;

    private GbnfReader(string text) => _text = text;

    /// <summary>Reads a grammar.</summary>
    /// <exception cref="GrammarException">It is malformed, with line and column, or has no rule <c>root</c>.</exception>
    public static Grammar Read(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.Length > MostLength)
        {
            throw new GrammarException($"The grammar has {text.Length} characters; at most {MostLength} are read.");
        }

        return new GbnfReader(text).Read();
    }

    private Grammar Read()
    {
        SkipSpace(acrossLines: true);
        while (_at < _text.Length)
        {
            string name = Name() ?? throw Wrong("expected the name of a rule");
            SkipSpace(acrossLines: true);
            if (!Take("::="))
            {
                throw Wrong($"expected ::= after {name}");
            }

            SkipSpace(acrossLines: true);
            int rule = RuleOf(name);
            if (!_defined.Add(rule))
            {
                throw Wrong($"the rule {name} is defined twice");
            }

            _grammar.Define(rule, Alternatives(isNested: false));
            SkipSpace(acrossLines: true);
        }

        if (!_rules.TryGetValue("root", out int root))
        {
            throw new GrammarException("The grammar has no rule root, which whole texts follow.");
        }

        _grammar.Root = root;
        return _grammar;
    }

    private Expression Alternatives(bool isNested)
    {
        if (++_depth > MostDepth)
        {
            throw Wrong($"groups are nested more than {MostDepth} deep");
        }

        List<Expression> choices = [Parts(isNested)];
        while (Take("|"))
        {
            SkipSpace(acrossLines: true);
            choices.Add(Parts(isNested));
        }

        _depth--;
        return Expression.Either([.. choices]);
    }

    private Expression Parts(bool isNested)
    {
        List<Expression> parts = [];
        while (_at < _text.Length)
        {
            Expression? part = Part();
            if (part is null)
            {
                break;
            }

            part = Repeated(part);
            parts.Add(part);
            SkipSpace(isNested);
        }

        return Expression.Then([.. parts]);
    }

    private Expression? Part()
    {
        switch (_text[_at])
        {
            case '"':
                _at++;
                StringBuilder literal = new();
                while (!Take("\""))
                {
                    literal.Append(char.ConvertFromUtf32(Character(inString: true)));
                }

                return Expression.Text(literal.ToString());
            case '[':
                _at++;
                return Class();
            case '.':
                _at++;
                return new CharacterClass(CharacterSet.All);
            case '(':
                _at++;
                SkipSpace(acrossLines: true);
                Expression group = Alternatives(isNested: true);
                SkipSpace(acrossLines: true);
                return Take(")") ? group : throw Wrong("expected )");
            default:
                return Name() is { } name ? new RuleReference(RuleOf(name)) : null;
        }
    }

    private Expression Repeated(Expression part)
    {
        while (true)
        {
            if (Take("*"))
            {
                part = part.Times(0);
            }
            else if (Take("+"))
            {
                part = part.Times(1);
            }
            else if (Take("?"))
            {
                part = part.Maybe();
            }
            else if (Take("{"))
            {
                int least = Number() ?? throw Wrong("expected a number after {");
                int? most = least;
                if (Take(","))
                {
                    most = Number();
                }

                part = Take("}") && (most is null || most >= least) ? part.Times(least, most) : throw Wrong("expected {n}, {n,} or {n,m} with m not below n");
            }
            else
            {
                return part;
            }
        }
    }

    private CharacterClass Class()
    {
        bool isNegative = Take("^");
        List<(int First, int Last)> ranges = [];
        while (!Take("]"))
        {
            int first = Character(inString: false);
            int last = first;
            if (_at + 1 < _text.Length && _text[_at] == '-' && _text[_at + 1] != ']')
            {
                _at++;
                last = Character(inString: false);
                if (last < first)
                {
                    throw Wrong("a range of characters ends before it begins");
                }
            }

            ranges.Add((first, last));
        }

        CharacterSet set = CharacterSet.Of([.. ranges]);
        return new CharacterClass(isNegative ? set.Complement() : set);
    }

    /// <summary>A character, escaped or not.</summary>
    private int Character(bool inString)
    {
        if (_at >= _text.Length || _text[_at] is '\n' or '\r')
        {
            throw Wrong(inString ? "expected \" at the end of a text" : "expected ] at the end of a class of characters");
        }

        if (_text[_at] != '\\')
        {
            return CharacterScan.Character(_text, ref _at) ?? throw Wrong("half a surrogate pair is no character");
        }

        char escape = _at + 1 < _text.Length ? _text[_at + 1] : throw Wrong("expected a character after \\");
        _at += 2;
        return escape switch
        {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '\\' or '"' or '[' or ']' or '-' or '^' => escape,
            'x' => Hex(2),
            'u' => Hex(4),
            'U' => Hex(8),
            _ => throw Wrong($"there is no escape \\{escape}"),
        };
    }

    private int Hex(int digits) => CharacterScan.Hex(_text, ref _at, digits) ?? throw Wrong($"expected {digits} hexadecimal digits of a character");

    private int? Number() => CharacterScan.TryNumber(_text, ref _at, out int? number) ? number : throw Wrong("a number of repetitions is too large");

    private string? Name()
    {
        int start = _at;
        while (_at < _text.Length && (char.IsAsciiLetterOrDigit(_text[_at]) || _text[_at] is '-' or '_'))
        {
            _at++;
        }

        return _at == start ? null : _text[start.._at];
    }

    private int RuleOf(string name)
    {
        if (!_rules.TryGetValue(name, out int rule))
        {
            _rules.Add(name, rule = _grammar.Declare(name));
        }

        return rule;
    }

    private bool Take(string expected)
    {
        if (!_text.AsSpan(_at).StartsWith(expected, StringComparison.Ordinal))
        {
            return false;
        }

        _at += expected.Length;
        return true;
    }

    private void SkipSpace(bool acrossLines)
    {
        while (_at < _text.Length)
        {
            char next = _text[_at];
            if (next == '#')
            {
                int end = _text.IndexOf('\n', _at);
                _at = end < 0 ? _text.Length : end;
            }
            else if (next is ' ' or '\t' || (acrossLines && next is '\n' or '\r'))
            {
                _at++;
            }
            else
            {
                break;
            }
        }
    }

    private GrammarException Wrong(string problem)
    {
        int line = 1, column = 1;
        for (int i = 0; i < Math.Min(_at, _text.Length); i++)
        {
            (line, column) = _text[i] == '\n' ? (line + 1, 1) : (line, column + 1);
        }

        return new GrammarException($"The grammar is malformed at line {line}, column {column}: {problem}.");
    }
}
