// The texts of JSON, and the same values as Python writes them, as expressions of a grammar. Knows no schemas.
using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Kidogo.Inference.Constraints;

/// <summary>Rules for JSON's values (RFC 8259), shared within one grammar.</summary>
internal sealed class JsonText
{
    private const int MostDigits = 16; // so that a model that cannot stop does
    private const int MostIndent = 20;
    private const int MostOfName = 63;

    private static readonly CharacterSet s_digits = CharacterSet.Of(('0', '9'));
    private static readonly CharacterSet s_plain = CharacterSet.Of((0, 0x1F), ('"', '"'), ('\\', '\\')).Complement();
    private static readonly JsonSerializerOptions s_relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Grammar _grammar;
    private readonly bool _isPython;
    private RuleReference? _space, _string, _value, _object, _array, _arguments;

    /// <summary>Rules for a grammar.</summary>
    /// <param name="grammar">Where they belong.</param>
    /// <param name="isPython">Whether values are spelt as Python's literals, which differ from JSON in <c>True</c>, <c>False</c> and <c>None</c>.</param>
    public JsonText(Grammar grammar, bool isPython = false)
    {
        _grammar = grammar;
        _isPython = isPython;
        True = Expression.Text(isPython ? "True" : "true");
        False = Expression.Text(isPython ? "False" : "false");
        Null = Expression.Text(isPython ? "None" : "null");
    }

    /// <summary>The value that is true.</summary>
    public Expression True { get; }

    /// <summary>The value that is false.</summary>
    public Expression False { get; }

    /// <summary>The value that is none.</summary>
    public Expression Null { get; }

    /// <summary>A digit.</summary>
    public static Expression Digit { get; } = new CharacterClass(s_digits);

    /// <summary>A number without limits.</summary>
    public static Expression Number { get; } = Expression.Then(
        Integer(), Expression.Then(Expression.Text("."), Digit.Times(1, MostDigits)).Maybe(), Expression.Then(Expression.OneOf(('E', 'E'), ('e', 'e')), Expression.OneOf(('+', '+'), ('-', '-')).Maybe(), Digit.Times(1, 3)).Maybe());

    /// <summary>What may stand between the parts of an object or array: nothing, a space, or a line end and an indent.</summary>
    public RuleReference Space => _space ??= _grammar.Add("space", Expression.Either(
        Expression.Empty, Expression.Text(" "), Expression.Then(Expression.Text("\n"), Expression.OneOf((' ', ' '), ('\t', '\t')).Times(0, MostIndent))));

    /// <summary>Any string.</summary>
    public RuleReference String => _string ??= _grammar.Add("string", Quoted(Character(CharacterSet.All).Times(0)));

    /// <summary>Any object.</summary>
    public RuleReference Object
    {
        get
        {
            if (_object is null)
            {
                _object = new RuleReference(_grammar.Declare("object"));
                Expression member = Member(String, Value);
                _grammar.Define(_object.Rule, Braced("{", Listed(member, 0, null), "}"));
            }

            return _object;
        }
    }

    /// <summary>Any array.</summary>
    public RuleReference Array
    {
        get
        {
            if (_array is null)
            {
                _array = new RuleReference(_grammar.Declare("array"));
                _grammar.Define(_array.Rule, Braced("[", Listed(Value, 0, null), "]"));
            }

            return _array;
        }
    }

    /// <summary>Any value.</summary>
    public RuleReference Value
    {
        get
        {
            if (_value is null)
            {
                _value = new RuleReference(_grammar.Declare("value"));
                _grammar.Define(_value.Rule, Expression.Either(String, Number, True, False, Null, Object, Array));
            }

            return _value;
        }
    }

    /// <summary>Any arguments of a call in Python: names and values.</summary>
    public RuleReference AnyArguments
    {
        get
        {
            Expression letter = Expression.OneOf(('A', 'Z'), ('a', 'z'), ('_', '_')), next = Expression.OneOf(('A', 'Z'), ('a', 'z'), ('_', '_'), ('0', '9'));
            return _arguments ??= _grammar.Add("arguments", Listed(Expression.Then(letter, next.Times(0, MostOfName), Expression.Text("="), Value), 0, null));
        }
    }

    /// <summary>An integer without limits.</summary>
    public static Expression Integer() => Expression.Then(
        Expression.Text("-").Maybe(), Expression.Either(Expression.Text("0"), Expression.Then(Expression.OneOf(('1', '9')), Digit.Times(0, MostDigits - 1))));

    /// <summary>A value as it stands in a schema.</summary>
    public Expression Exactly(JsonElement value)
    {
        if (_isPython && value.ValueKind is not (JsonValueKind.String or JsonValueKind.Number))
        {
            return InPython(value);
        }

        ArrayBufferWriter<byte> bytes = new();
        using (Utf8JsonWriter writer = new(bytes, new JsonWriterOptions { Encoder = s_relaxed.Encoder }))
        {
            value.WriteTo(writer);
        }

        return new Literal(bytes.WrittenSpan.ToArray());
    }

    private Expression InPython(JsonElement value)
    {
        return value.ValueKind switch
        {
            JsonValueKind.True => True,
            JsonValueKind.False => False,
            JsonValueKind.Array => Between("[", value.EnumerateArray().Select(Exactly), "]"),
            JsonValueKind.Object => Between("{", value.EnumerateObject().Select(each => Expression.Then(Exactly(each.Name), Expression.Text(": "), Exactly(each.Value))), "}"),
            _ => Null,
        };

        static Expression Between(string open, IEnumerable<Expression> parts, string close) =>
            Expression.Then([Expression.Text(open), .. parts.Select((part, i) => i == 0 ? part : Expression.Then(Expression.Text(", "), part)), Expression.Text(close)]);
    }

    /// <summary>A name or another known string.</summary>
    public static Expression Exactly(string text) => new Literal(Encoding.UTF8.GetBytes($"\"{JsonEncodedText.Encode(text, s_relaxed.Encoder)}\""));

    /// <summary>A string around an expression of characters that are already escaped.</summary>
    public static Expression Quoted(Expression characters) => Expression.Then(Expression.Text("\""), characters, Expression.Text("\""));

    /// <summary>One character of a set as it is spelt in a string.</summary>
    public static Expression Character(CharacterSet set)
    {
        List<Expression> spellings = [];
        CharacterSet plain = set.Except(s_plain.Complement());
        if (plain.Ranges.Count > 0)
        {
            spellings.Add(new CharacterClass(plain));
        }

        List<(int, int)> escapes = [];
        foreach ((char character, char letter) in new[] { ('"', '"'), ('\\', '\\'), ('\b', 'b'), ('\f', 'f'), ('\n', 'n'), ('\r', 'r'), ('\t', 't') })
        {
            if (set.Contains(character))
            {
                escapes.Add((letter, letter));
            }
        }

        if (escapes.Count > 0)
        {
            spellings.Add(Expression.Then(Expression.Text("\\"), Expression.OneOf([.. escapes])));
        }

        return spellings.Count > 0 ? Expression.Either([.. spellings]) : throw new GrammarException("A pattern asks for a character that no JSON string of Kidogo's spells: a control character other than tab, line end, form feed and backspace.");
    }

    /// <summary>A member of an object.</summary>
    public Expression Member(Expression name, Expression value) => Expression.Then(name, Expression.Text(":"), Space, value);

    /// <summary>Parts between brackets.</summary>
    public Expression Braced(string open, Expression inside, string close) => Expression.Then(Expression.Text(open), Space, inside, Space, Expression.Text(close));

    /// <summary>Parts with commas between them.</summary>
    public Expression Listed(Expression part, int least, int? most)
    {
        if (most == 0)
        {
            return Expression.Empty;
        }

        Expression more = Expression.Then(Expression.Text(","), Space, part).Times(Math.Max(0, least - 1), most - 1);
        Expression some = Expression.Then(part, more);
        return least == 0 ? some.Maybe() : some;
    }
}
