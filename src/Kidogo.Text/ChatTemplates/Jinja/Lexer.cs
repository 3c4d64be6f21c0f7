// Cuts a template into text and tokens, with the whitespace rules that Transformers sets (trim_blocks, lstrip_blocks). Knows no grammar.
using System.Globalization;
using System.Text;

namespace Kidogo.Text.ChatTemplates.Jinja;

internal enum TokenKind : byte
{
    Data,
    BlockBegin,
    BlockEnd,
    VariableBegin,
    VariableEnd,
    Name,
    Text,
    Integer,
    Float,
    Operator,
    End,
}

/// <summary>A token. <paramref name="Text"/> is the name, operator, digits, unescaped string or template text.</summary>
internal readonly record struct Token(TokenKind Kind, string Text, int Line, int Column)
{
    public bool Is(string @operator) => Kind == TokenKind.Operator && Text == @operator;

    public bool IsName(string name) => Kind == TokenKind.Name && Text == name;

    public override string ToString() => Kind switch
    {
        TokenKind.End => "the end of the template",
        TokenKind.BlockEnd => "'%}'",
        TokenKind.VariableEnd => "'}}'",
        TokenKind.BlockBegin => "'{%'",
        TokenKind.VariableBegin => "'{{'",
        TokenKind.Data => "template text",
        TokenKind.Text => "a string",
        _ => $"'{Text}'",
    };
}

/// <summary>The lexer.</summary>
internal sealed class Lexer
{
    // Longest first.
    private static readonly string[] s_operators =
        ["//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"];

    private readonly string _source;
    private readonly List<Token> _tokens = [];
    private readonly List<int> _lineStarts = [0];
    private int _at;

    private Lexer(string source)
    {
        _source = source;
        for (int i = 0; i < source.Length; i++)
        {
            if (source[i] == '\n')
            {
                _lineStarts.Add(i + 1);
            }
        }
    }

    /// <summary>All tokens of a template, ending with <see cref="TokenKind.End"/>.</summary>
    public static List<Token> Read(string source)
    {
        // Only these two: Python (and ReplaceLineEndings) know other line ends, which a template must keep.
        string normal = source.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        Lexer lexer = new(normal.EndsWith('\n') ? normal[..^1] : normal);
        lexer.ReadAll();
        return lexer._tokens;
    }

    private void ReadAll()
    {
        // Whether the text now read begins a line: at the start, and after a tag whose end took a line feed.
        bool lineStarting = true;
        while (_at < _source.Length)
        {
            int begin = FindTag(_at);
            if (begin < 0)
            {
                AddData(_at, _source[_at..]);
                _at = _source.Length;
                break;
            }

            char kind = _source[begin + 1];
            int inside = begin + 2;
            char sign = inside < _source.Length && _source[inside] is '-' or '+' ? _source[inside] : '\0';
            AddData(_at, Strip(_source[_at..begin], sign, kind != '{', lineStarting));
            inside += sign == '\0' ? 0 : 1;

            if (kind == '#')
            {
                int close = _source.IndexOf("#}", inside, StringComparison.Ordinal);
                _at = close < 0 ? throw Fail(begin, "the comment is not closed with '#}'") : close;
                char last = close > inside ? _source[close - 1] : '\0';
                _at = AfterTag(close + 2, last);
            }
            else if (kind == '%' && TryRaw(begin, inside))
            {
            }
            else
            {
                Add(kind == '%' ? TokenKind.BlockBegin : TokenKind.VariableBegin, string.Empty, begin);
                _at = inside;
                ReadTag(begin, kind == '%');
            }

            lineStarting = _at > 0 && _source[_at - 1] == '\n';
        }

        Add(TokenKind.End, string.Empty, _source.Length);
    }

    private int FindTag(int from)
    {
        for (int i = from; ;)
        {
            i = _source.IndexOf('{', i);
            if (i < 0 || i + 1 >= _source.Length)
            {
                return -1;
            }

            if (_source[i + 1] is '{' or '%' or '#')
            {
                return i;
            }

            i++;
        }
    }

    // The text before a tag: '-' takes all white space, otherwise white space between a line's start and a block or comment goes, unless '+'.
    private static string Strip(string text, char sign, bool block, bool lineStarting)
    {
        if (sign == '-')
        {
            int end = text.Length;
            while (end > 0 && PythonText.IsSpace(text[end - 1]))
            {
                end--;
            }

            return text[..end];
        }

        if (sign != '+' && block)
        {
            int line = text.LastIndexOf('\n') + 1;
            if (line > 0 || lineStarting)
            {
                for (int i = line; i < text.Length; i++)
                {
                    if (!PythonText.IsSpace(text[i]))
                    {
                        return text;
                    }
                }

                return text[..line];
            }
        }

        return text;
    }

    // The position after a block's or comment's end: '-' takes all white space, nothing takes one line feed, '+' takes none.
    private int AfterTag(int end, char sign)
    {
        if (sign == '-')
        {
            return SkipSpace(end);
        }

        return sign != '+' && end < _source.Length && _source[end] == '\n' ? end + 1 : end;
    }

    private int SkipSpace(int at)
    {
        while (at < _source.Length && PythonText.IsSpace(_source[at]))
        {
            at++;
        }

        return at;
    }

    // {% raw %} … {% endraw %}: everything between is text.
    private bool TryRaw(int begin, int inside)
    {
        int at = SkipSpace(inside);
        if (!_source.AsSpan(at).StartsWith("raw"))
        {
            return false;
        }

        at = SkipSpace(at + 3);
        bool strips = at < _source.Length && _source[at] == '-';
        at += strips ? 1 : 0;
        if (!_source.AsSpan(at).StartsWith("%}"))
        {
            return false;
        }

        int text = strips ? SkipSpace(at + 2) : at + 2;
        for (int i = text; (i = _source.IndexOf("{%", i, StringComparison.Ordinal)) >= 0; i += 2)
        {
            int name = i + 2;
            char sign = name < _source.Length && _source[name] is '-' or '+' ? _source[name] : '\0';
            name = SkipSpace(sign == '\0' ? name : name + 1);
            if (!_source.AsSpan(name).StartsWith("endraw"))
            {
                continue;
            }

            int close = SkipSpace(name + 6);
            char last = close < _source.Length && _source[close] is '-' or '+' ? _source[close] : '\0';
            close += last == '\0' ? 0 : 1;
            if (_source.AsSpan(close).StartsWith("%}"))
            {
                AddData(text, Strip(_source[text..i], sign, block: true, lineStarting: _source[text - 1] == '\n'));
                _at = AfterTag(close + 2, last);
                return true;
            }
        }

        throw Fail(begin, "the raw block is not closed with '{% endraw %}'");
    }

    private void ReadTag(int begin, bool block)
    {
        Stack<char> open = new();
        char second = block ? '%' : '}';
        while (true)
        {
            _at = SkipSpace(_at);
            if (_at >= _source.Length)
            {
                throw Fail(begin, block ? "the block is not closed with '%}'" : "the expression is not closed with '}}'");
            }

            if (open.Count == 0)
            {
                char sign = _source[_at];
                int end = sign == '-' || (sign == '+' && block) ? _at + 1 : _at;
                if (end + 1 < _source.Length && _source[end] == second && _source[end + 1] == '}')
                {
                    Add(block ? TokenKind.BlockEnd : TokenKind.VariableEnd, string.Empty, _at);
                    char mark = end == _at ? '\0' : sign;
                    _at = block ? AfterTag(end + 2, mark) : mark == '-' ? SkipSpace(end + 2) : end + 2;
                    return;
                }
            }

            ReadToken(open);
        }
    }

    private void ReadToken(Stack<char> open)
    {
        char first = _source[_at];
        int start = _at;
        if (first is '\'' or '"')
        {
            ReadString(first);
        }
        else if (char.IsAsciiDigit(first))
        {
            ReadNumber();
        }
        else if (first == '_' || char.IsLetter(first))
        {
            while (_at < _source.Length && (_source[_at] == '_' || char.IsLetterOrDigit(_source[_at])))
            {
                _at++;
            }

            Add(TokenKind.Name, _source[start.._at], start);
        }
        else
        {
            string? found = null;
            foreach (string candidate in s_operators)
            {
                if (_source.AsSpan(_at).StartsWith(candidate))
                {
                    found = candidate;
                    break;
                }
            }

            if (found is null)
            {
                throw Fail(_at, $"the character '{first}' (U+{(int)first:X4}) has no meaning in an expression");
            }

            if (found is "(" or "[" or "{")
            {
                open.Push(found[0] == '(' ? ')' : found[0] == '[' ? ']' : '}');
            }
            else if (found is ")" or "]" or "}" && (open.Count == 0 || open.Pop() != found[0]))
            {
                throw Fail(_at, $"'{found}' closes nothing that was opened");
            }

            _at += found.Length;
            Add(TokenKind.Operator, found, start);
        }
    }

    private void ReadNumber()
    {
        int start = _at;
        if (_source[_at] == '0' && _at + 2 < _source.Length && _source[_at + 1] is 'x' or 'X' or 'o' or 'O' or 'b' or 'B' && char.IsAsciiHexDigit(_source[_at + 2]))
        {
            int radix = char.ToLowerInvariant(_source[_at + 1]) switch { 'x' => 16, 'o' => 8, _ => 2 };
            _at += 2;
            ulong value = 0;
            while (_at < _source.Length && (char.IsAsciiHexDigit(_source[_at]) || _source[_at] == '_'))
            {
                if (_source[_at] != '_')
                {
                    int digit = Convert.ToInt32(_source[_at].ToString(), 16);
                    if (digit >= radix || value > (ulong)long.MaxValue / (ulong)radix)
                    {
                        throw Fail(start, "this number cannot be read, or is beyond 64 bits");
                    }

                    value = (value * (ulong)radix) + (ulong)digit;
                }

                _at++;
            }

            Add(TokenKind.Integer, value.ToString(CultureInfo.InvariantCulture), start);
            return;
        }

        Digits();
        bool isFloat = false;
        if (_at + 1 < _source.Length && _source[_at] == '.' && char.IsAsciiDigit(_source[_at + 1]))
        {
            isFloat = true;
            _at++;
            Digits();
        }

        if (_at < _source.Length && _source[_at] is 'e' or 'E')
        {
            int sign = _at + 1 < _source.Length && _source[_at + 1] is '+' or '-' ? 1 : 0;
            if (_at + 1 + sign < _source.Length && char.IsAsciiDigit(_source[_at + 1 + sign]))
            {
                isFloat = true;
                _at += 1 + sign;
                Digits();
            }
        }

        Add(isFloat ? TokenKind.Float : TokenKind.Integer, _source[start.._at].Replace("_", string.Empty, StringComparison.Ordinal), start);
    }

    private void Digits()
    {
        while (_at < _source.Length && (char.IsAsciiDigit(_source[_at]) ||
            (_source[_at] == '_' && _at + 1 < _source.Length && char.IsAsciiDigit(_source[_at + 1]))))
        {
            _at++;
        }
    }

    // Python's escapes; an unknown one stays as it is written.
    private void ReadString(char quote)
    {
        int start = _at++;
        StringBuilder text = new();
        while (true)
        {
            if (_at >= _source.Length)
            {
                throw Fail(start, $"the string is not closed with {quote}");
            }

            char next = _source[_at++];
            if (next == quote)
            {
                break;
            }

            if (next != '\\' || _at >= _source.Length)
            {
                text.Append(next);
                continue;
            }

            char escape = _source[_at++];
            switch (escape)
            {
                case '\n': break;
                case '\\' or '\'' or '"': text.Append(escape); break;
                case 'n': text.Append('\n'); break;
                case 't': text.Append('\t'); break;
                case 'r': text.Append('\r'); break;
                case 'a': text.Append('\a'); break;
                case 'b': text.Append('\b'); break;
                case 'f': text.Append('\f'); break;
                case 'v': text.Append('\v'); break;
                case 'x': text.Append((char)Hex(2)); break;
                case 'u': text.Append((char)Hex(4)); break;
                case 'U':
                    uint point = Hex(8);
                    text.Append(Rune.IsValid(point) ? new Rune(point).ToString() : throw Fail(_at - 10, @"\U names no character"));
                    break;
                case >= '0' and <= '7':
                    int value = escape - '0';
                    for (int i = 0; i < 2 && _at < _source.Length && _source[_at] is >= '0' and <= '7'; i++)
                    {
                        value = (value * 8) + _source[_at++] - '0';
                    }

                    text.Append((char)value);
                    break;
                default:
                    text.Append('\\').Append(escape);
                    break;
            }
        }

        Add(TokenKind.Text, text.ToString(), start);
    }

    private uint Hex(int digits)
    {
        if (_at + digits > _source.Length ||
            !uint.TryParse(_source.AsSpan(_at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint value))
        {
            throw Fail(_at - 2, $"an escape is not followed by {digits} hexadecimal digits");
        }

        _at += digits;
        return value;
    }

    private void AddData(int at, string text)
    {
        if (text.Length > 0)
        {
            Add(TokenKind.Data, text, at);
        }
    }

    private void Add(TokenKind kind, string text, int at)
    {
        (int line, int column) = Place(at);
        _tokens.Add(new Token(kind, text, line, column));
    }

    private (int Line, int Column) Place(int at)
    {
        int line = _lineStarts.BinarySearch(at);
        line = line < 0 ? ~line - 1 : line;
        return (line + 1, at - _lineStarts[line] + 1);
    }

    private ChatTemplateException Fail(int at, string problem)
    {
        (int line, int column) = Place(at);
        return new ChatTemplateException(problem, line, column);
    }
}
