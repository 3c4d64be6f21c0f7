// Reads expressions, with Jinja's precedences. Knows tokens and expressions; refuses to know statements.
using System.Globalization;

namespace Kidogo.Text.ChatTemplates.Jinja;

/// <summary>Walks over tokens and reads expressions.</summary>
internal class ExpressionParser(List<Token> tokens)
{
    private int _at;
    private int _nesting;

    /// <summary>Names read, so that a macro knows whether its body uses <c>varargs</c>, <c>kwargs</c> or <c>caller</c>.</summary>
    protected HashSet<string> NamesRead { get; set; } = new(StringComparer.Ordinal);

    protected Token Current => tokens[_at];

    protected Token Next() => _at < tokens.Count - 1 ? tokens[_at++] : tokens[_at];

    protected Token Peek() => tokens[Math.Min(_at + 1, tokens.Count - 1)];

    protected bool Skip(string @operator)
    {
        if (Current.Is(@operator))
        {
            Next();
            return true;
        }

        return false;
    }

    protected bool SkipName(string name)
    {
        if (Current.IsName(name))
        {
            Next();
            return true;
        }

        return false;
    }

    protected void Expect(string @operator)
    {
        if (!Skip(@operator))
        {
            throw Fail(Current, $"'{@operator}' was expected, not {Current}");
        }
    }

    protected void Expect(TokenKind kind, string what)
    {
        if (Current.Kind != kind)
        {
            throw Fail(Current, $"{what} was expected, not {Current}");
        }

        Next();
    }

    protected Token ExpectName()
    {
        if (Current.Kind != TokenKind.Name)
        {
            throw Fail(Current, $"a name was expected, not {Current}");
        }

        return Next();
    }

    protected static ChatTemplateException Fail(Token at, string problem) => new(problem, at.Line, at.Column);

    /// <summary>Checks a new node's depth, so that no chain of postfixes and filters makes a tree too deep to walk.</summary>
    protected static T Check<T>(T node)
        where T : Node => node.Depth <= ChatTemplateLimits.MaxNesting
            ? node
            : throw new ChatTemplateException($"the nesting is deeper than {ChatTemplateLimits.MaxNesting}", node.Line, node.Column);

    protected void Enter()
    {
        if (++_nesting > 2 * ChatTemplateLimits.MaxNesting)
        {
            throw Fail(Current, $"the nesting is deeper than {ChatTemplateLimits.MaxNesting}");
        }
    }

    protected void Leave() => _nesting--;

    /// <summary>An expression with <c>… if … else …</c>.</summary>
    protected Expression ParseExpression()
    {
        Enter();
        Token at = Current;
        Expression first = ParseOr();
        List<(Token At, Expression Yes, Expression Test)> chain = [];
        Expression? last = null;
        while (SkipName("if"))
        {
            chain.Add((at, first, ParseOr()));
            if (!SkipName("else"))
            {
                last = null;
                first = null!;
                break;
            }

            at = Current;
            first = ParseOr();
        }

        last = first;
        for (int i = chain.Count - 1; i >= 0; i--)
        {
            last = Check(new Conditional(chain[i].At, chain[i].Test, chain[i].Yes, last));
        }

        Leave();
        return last!;
    }

    /// <summary>An expression or, with a comma, a tuple. Ends at a block's or expression's end, or at a name in <paramref name="end"/>.</summary>
    protected Expression ParseTuple(bool conditional, string? end = null)
    {
        Token at = Current;
        List<Expression> items = [];
        bool isTuple = false;
        while (!AtTupleEnd(end))
        {
            items.Add(conditional ? ParseExpression() : ParseOr());
            if (!Skip(","))
            {
                break;
            }

            isTuple = true;
        }

        return isTuple ? Check(new ListLiteral(at, [.. items], true))
            : items.Count == 1 ? items[0]
            : throw Fail(Current, $"an expression was expected, not {Current}");
    }

    private bool AtTupleEnd(string? end) =>
        Current.Kind is TokenKind.VariableEnd or TokenKind.BlockEnd or TokenKind.End || Current.Is(")") || (end is not null && Current.IsName(end));

    protected Expression ParseOr()
    {
        Enter();
        Expression value = ParseJunction("or", () => ParseJunction("and", ParseNot));
        Leave();
        return value;
    }

    private Expression ParseJunction(string name, Func<Expression> part)
    {
        Token at = Current;
        Expression first = part();
        if (!Current.IsName(name))
        {
            return first;
        }

        List<Expression> parts = [first];
        while (SkipName(name))
        {
            parts.Add(part());
        }

        return Check(new Junction(at, [.. parts], name == "or"));
    }

    private Expression ParseNot()
    {
        Token at = Current;
        if (!SkipName("not"))
        {
            return ParseComparison();
        }

        Enter();
        Expression inner = ParseNot();
        Leave();
        return Check(new Not(at, inner));
    }

    private Expression ParseComparison()
    {
        Token at = Current;
        Expression first = ParseSum();
        List<(string, Expression)> rest = [];
        while (true)
        {
            string? @operator = Current.Kind == TokenKind.Operator && Current.Text is "==" or "!=" or "<" or "<=" or ">" or ">=" ? Current.Text
                : Current.IsName("in") ? "in"
                : Current.IsName("not") && Peek().IsName("in") ? "not in"
                : null;
            if (@operator is null)
            {
                return rest.Count == 0 ? first : Check(new Comparison(at, first, [.. rest]));
            }

            Next();
            if (@operator == "not in")
            {
                Next();
            }

            rest.Add((@operator, ParseSum()));
        }
    }

    private Expression ParseSum() => ParseArithmetic(ParseConcatenation, "+", "-");

    private Expression ParseConcatenation()
    {
        Token at = Current;
        Expression first = ParseProduct();
        if (!Current.Is("~"))
        {
            return first;
        }

        List<Expression> parts = [first];
        while (Skip("~"))
        {
            parts.Add(ParseProduct());
        }

        return Check(new Concatenation(at, [.. parts]));
    }

    private Expression ParseProduct() => ParseArithmetic(() => ParseArithmetic(() => ParseUnary(true), "**"), "*", "/", "//", "%");

    private Expression ParseArithmetic(Func<Expression> part, params ReadOnlySpan<string> operators)
    {
        Token at = Current;
        Expression first = part();
        List<(Token, Expression)>? rest = null;
        while (Current.Kind == TokenKind.Operator && operators.Contains(Current.Text))
        {
            Token @operator = Next();
            (rest ??= []).Add((@operator, part()));
        }

        return rest is null ? first : Check(new Arithmetic(at, first, [.. rest]));
    }

    private Expression ParseUnary(bool filters)
    {
        Token at = Current;
        Expression value;
        if (at.Is("-") || at.Is("+"))
        {
            Next();
            Enter();
            value = Check(new Sign(at, ParseUnary(false), at.Is("-")));
            Leave();
        }
        else
        {
            value = ParsePrimary();
        }

        value = ParsePostfix(value);
        return filters ? ParseFilters(value) : value;
    }

    private Expression ParsePrimary()
    {
        Token at = Current;
        switch (at.Kind)
        {
            case TokenKind.Name:
                Next();
                switch (at.Text)
                {
                    case "true" or "True": return new Constant(at, Value.True);
                    case "false" or "False": return new Constant(at, Value.False);
                    case "none" or "None": return new Constant(at, Value.None);
                    default:
                        NamesRead.Add(at.Text);
                        return new Variable(at, at.Text);
                }

            case TokenKind.Text:
                string text = Next().Text;
                if (Current.Kind == TokenKind.Text)
                {
                    System.Text.StringBuilder all = new(text);
                    while (Current.Kind == TokenKind.Text)
                    {
                        all.Append(Next().Text);
                    }

                    text = all.ToString();
                }

                return new Constant(at, Value.Of(text));
            case TokenKind.Integer:
                Next();
                return long.TryParse(at.Text, NumberStyles.None, CultureInfo.InvariantCulture, out long integer)
                    ? new Constant(at, Value.Of(integer))
                    : throw Fail(at, $"the integer {at.Text} is beyond 64 bits");
            case TokenKind.Float:
                Next();
                return new Constant(at, Value.Of(double.Parse(at.Text, CultureInfo.InvariantCulture)));
        }

        if (Skip("("))
        {
            Expression inner = Current.Is(")") ? new ListLiteral(at, [], true) : ParseTuple(true);
            Expect(")");
            return inner;
        }

        if (Skip("["))
        {
            List<Expression> items = ParseItems("]", ParseExpression);
            return Check(new ListLiteral(at, [.. items], false));
        }

        if (Skip("{"))
        {
            List<Expression> values = [];
            List<Expression> keys = ParseItems("}", () =>
            {
                Expression key = ParseExpression();
                Expect(":");
                values.Add(ParseExpression());
                return key;
            });
            return Check(new MappingLiteral(at, [.. keys], [.. values]));
        }

        throw Fail(at, $"an expression was expected, not {at}");
    }

    private List<Expression> ParseItems(string close, Func<Expression> item)
    {
        List<Expression> items = [];
        while (!Current.Is(close))
        {
            if (items.Count > 0)
            {
                Expect(",");
                if (Current.Is(close))
                {
                    break;
                }
            }

            items.Add(item());
        }

        Expect(close);
        return items;
    }

    private Expression ParsePostfix(Expression value)
    {
        while (true)
        {
            Token at = Current;
            if (Skip("."))
            {
                Token name = Next();
                value = name.Kind switch
                {
                    TokenKind.Name => Check(new Attribute(at, value, name.Text)),
                    TokenKind.Integer when long.TryParse(name.Text, NumberStyles.None, CultureInfo.InvariantCulture, out long index) =>
                        Check(new Subscript(at, value, new Constant(name, Value.Of(index)))),
                    _ => throw Fail(name, $"a name or number was expected after '.', not {name}"),
                };
            }
            else if (Skip("["))
            {
                value = ParseSubscript(at, value);
            }
            else if (Current.Is("("))
            {
                value = Check(new Call(at, value, ParseArguments()));
            }
            else
            {
                return value;
            }
        }
    }

    private Expression ParseSubscript(Token at, Expression value)
    {
        if (Current.Is("]"))
        {
            throw Fail(Current, "an index was expected, not ']'");
        }

        Expression? start = Current.Is(":") ? null : ParseExpression();
        if (Skip(":"))
        {
            Expression? stop = Current.Is(":") || Current.Is("]") ? null : ParseExpression();
            Expression? step = Skip(":") && !Current.Is("]") ? ParseExpression() : null;
            Expect("]");
            return Check(new Slice(at, value, start, stop, step));
        }

        if (Current.Is(","))
        {
            List<Expression> items = [start!];
            while (Skip(",") && !Current.Is("]"))
            {
                items.Add(ParseExpression());
            }

            start = Check(new ListLiteral(at, [.. items], true));
        }

        Expect("]");
        return Check(new Subscript(at, value, start!));
    }

    protected Expression ParseFilters(Expression value)
    {
        while (true)
        {
            Token at = Current;
            if (Current.Is("|"))
            {
                value = ParseFilter(value);
            }
            else if (SkipName("is"))
            {
                value = ParseTest(at, value);
            }
            else if (Current.Is("("))
            {
                value = Check(new Call(at, value, ParseArguments()));
            }
            else
            {
                return value;
            }
        }
    }

    /// <summary>One filter; the current token is '|', or its name where a block begins with it.</summary>
    protected FilterCall ParseFilter(Expression? value)
    {
        Token at = Current;
        Skip("|");
        string name = ParseDottedName();
        ArgumentList arguments = Current.Is("(") ? ParseArguments() : NoArguments();
        return Check(new FilterCall(at, value, name, arguments));
    }

    private string ParseDottedName()
    {
        string name = ExpectName().Text;
        for (int i = 0; i < 8 && Skip("."); i++)
        {
            name += "." + ExpectName().Text;
        }

        return name;
    }

    private static ArgumentList NoArguments() => new([], [], null, null);

    private Expression ParseTest(Token at, Expression value)
    {
        bool negated = SkipName("not");
        string name = ParseDottedName();
        ArgumentList arguments;
        if (Current.Is("("))
        {
            arguments = ParseArguments();
        }
        else if ((Current.Kind is TokenKind.Name or TokenKind.Text or TokenKind.Integer or TokenKind.Float || Current.Is("[") || Current.Is("{")) &&
            !(Current.Kind == TokenKind.Name && Current.Text is "else" or "or" or "and" or "is" or "if" or "in" or "not" or "recursive"))
        {
            arguments = new([ParsePostfix(ParsePrimary())], [], null, null);
        }
        else if (Current.IsName("is"))
        {
            throw Fail(Current, "tests cannot be chained with 'is'");
        }
        else
        {
            arguments = NoArguments();
        }

        TestCall test = Check(new TestCall(at, value, name, arguments));
        return negated ? Check(new Not(at, test)) : test;
    }

    protected ArgumentList ParseArguments()
    {
        Expect("(");
        List<Expression> positional = [];
        List<KeyValuePair<string, Expression>> named = [];
        Expression? star = null;
        Expression? doubleStar = null;
        bool first = true;
        while (!Current.Is(")"))
        {
            if (!first)
            {
                Expect(",");
                if (Current.Is(")"))
                {
                    break;
                }
            }

            first = false;
            Token at = Current;
            if (Skip("*"))
            {
                star = star is null && doubleStar is null ? ParseExpression() : throw Fail(at, "'*' stands in the wrong place");
            }
            else if (Skip("**"))
            {
                doubleStar = doubleStar is null ? ParseExpression() : throw Fail(at, "'**' stands twice");
            }
            else if (Current.Kind == TokenKind.Name && Peek().Is("="))
            {
                string name = Next().Text;
                Next();
                if (named.Exists(pair => pair.Key == name))
                {
                    throw Fail(at, $"the argument '{name}' is given twice");
                }

                named.Add(new(name, ParseExpression()));
            }
            else if (named.Count > 0 || star is not null || doubleStar is not null)
            {
                throw Fail(at, "an argument by position follows one by name");
            }
            else
            {
                positional.Add(ParseExpression());
            }
        }

        Expect(")");
        return new ArgumentList([.. positional], [.. named], star, doubleStar);
    }
}
