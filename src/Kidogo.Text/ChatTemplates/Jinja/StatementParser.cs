// Reads statements: the whole template. Refuses what reads files (include, import, extends).
namespace Kidogo.Text.ChatTemplates.Jinja;

/// <summary>Reads a template.</summary>
internal sealed class StatementParser : ExpressionParser
{
    private int _loops;

    private StatementParser(List<Token> tokens)
        : base(tokens)
    {
    }

    /// <summary>The statements of a template.</summary>
    public static Statement[] Parse(string source) => new StatementParser(Lexer.Read(source)).ParseBody(new Token(TokenKind.Data, string.Empty, 1, 1), null);

    // Statements up to a block whose name is among the ends; its name stays the current token.
    private Statement[] ParseBody(Token opening, string? name, params ReadOnlySpan<string> ends)
    {
        Enter();
        List<Statement> body = [];
        while (true)
        {
            Token at = Current;
            switch (at.Kind)
            {
                case TokenKind.End:
                    if (name is not null)
                    {
                        throw Fail(opening, $"'{name}' is not closed: '{ends[^1]}' was expected before the end of the template");
                    }

                    Leave();
                    return [.. body];
                case TokenKind.Data:
                    Next();
                    body.Add(new TemplateText(at, at.Text));
                    break;
                case TokenKind.VariableBegin:
                    Next();
                    Token start = Current;
                    Expression value = ParseTuple(true);
                    Expect(TokenKind.VariableEnd, "'}}'");
                    body.Add(Check(new Output(start, value)));
                    break;
                default:
                    Expect(TokenKind.BlockBegin, "'{%'");
                    if (Current.Kind == TokenKind.Name && ends.Contains(Current.Text))
                    {
                        Leave();
                        return [.. body];
                    }

                    if (ParseStatement(name) is Statement statement)
                    {
                        body.Add(Check(statement));
                    }

                    break;
            }
        }
    }

    private Statement[] ParseBlockBody(Token opening, string name, string end)
    {
        Expect(TokenKind.BlockEnd, "'%}'");
        Statement[] body = ParseBody(opening, name, end);
        Next();
        if (name == "block" && Current.Kind == TokenKind.Name)
        {
            Next();
        }

        Expect(TokenKind.BlockEnd, "'%}'");
        return body;
    }

    private Statement? ParseStatement(string? inside)
    {
        Token at = ExpectName();
        switch (at.Text)
        {
            case "if": return ParseIf(at);
            case "for": return ParseFor(at);
            case "set": return ParseSet(at);
            case "macro": return ParseMacro(at);
            case "call": return ParseCall(at);
            case "filter": return ParseFilterBlock(at);
            case "with": return ParseWith(at);
            case "generation": return new Block(at, [], ParseIsolated(at, "generation", "endgeneration"));
            case "block":
                ExpectName();
                while (SkipName("scoped") || SkipName("required"))
                {
                }

                return new Block(at, [], ParseIsolated(at, "block", "endblock"));
            case "autoescape":
                Token value = Next();
                return value.IsName("false") || value.IsName("False")
                    ? new Block(at, [], ParseBlockBody(at, "autoescape", "endautoescape"))
                    : throw Fail(value, "only 'autoescape false' is supported: prompts are not HTML");
            case "break" or "continue":
                if (_loops == 0)
                {
                    throw Fail(at, $"'{at.Text}' stands outside of a loop");
                }

                Expect(TokenKind.BlockEnd, "'%}'");
                return new Jump(at, at.Text == "break" ? Flow.Break : Flow.Continue);
            case "print" or "do":
                Expression expression = ParseTuple(true);
                Expect(TokenKind.BlockEnd, "'%}'");
                return at.Text == "print" ? new Output(at, expression) : new Do(at, expression);
            case "include" or "import" or "from" or "extends":
                throw Fail(at, $"'{at.Text}' is refused: a chat template is one text and may not read others");
            default:
                throw Fail(at, inside is null ? $"unknown statement '{at.Text}'" : $"unknown statement '{at.Text}' inside '{inside}'");
        }
    }

    // A body that break and continue cannot leave, because in Jinja it is a function of its own.
    private Statement[] ParseIsolated(Token at, string name, string end)
    {
        int loops = _loops;
        _loops = 0;
        Statement[] body = ParseBlockBody(at, name, end);
        _loops = loops;
        return body;
    }

    private If ParseIf(Token at)
    {
        List<(Expression, Statement[])> branches = [];
        Statement[]? otherwise = null;
        while (true)
        {
            Expression test = ParseTuple(false);
            Expect(TokenKind.BlockEnd, "'%}'");
            branches.Add((test, ParseBody(at, "if", "elif", "else", "endif")));
            Token end = Next();
            if (end.Text == "elif")
            {
                continue;
            }

            if (end.Text == "else")
            {
                Expect(TokenKind.BlockEnd, "'%}'");
                otherwise = ParseBody(at, "if", "endif");
                Next();
            }

            Expect(TokenKind.BlockEnd, "'%}'");
            return new If(at, [.. branches], otherwise);
        }
    }

    private For ParseFor(Token at)
    {
        Target target = ParseTarget(false, "in");
        if (!SkipName("in"))
        {
            throw Fail(Current, $"'in' was expected, not {Current}");
        }

        Expression items = ParseTuple(false, "recursive");
        Expression? condition = SkipName("if") ? ParseExpression() : null;
        bool recursive = SkipName("recursive");
        Expect(TokenKind.BlockEnd, "'%}'");
        _loops++;
        Statement[] body = ParseBody(at, "for", "else", "endfor");
        _loops--;
        Statement[]? otherwise = null;
        if (Next().Text == "else")
        {
            Expect(TokenKind.BlockEnd, "'%}'");
            int loops = _loops;
            _loops = 0;
            otherwise = ParseBody(at, "for", "endfor");
            _loops = loops;
            Next();
        }

        Expect(TokenKind.BlockEnd, "'%}'");
        return new For(at, target, items, condition, recursive, body, otherwise);
    }

    private Statement ParseSet(Token at)
    {
        Target target = ParseTarget(true, null);
        if (Skip("="))
        {
            Expression value = ParseTuple(true);
            Expect(TokenKind.BlockEnd, "'%}'");
            return new Set(at, target, value);
        }

        FilterCall? filter = null;
        while (Current.Is("|"))
        {
            filter = ParseFilter(filter);
        }

        int loops = _loops;
        _loops = 0;
        Statement[] body = ParseBlockBody(at, "set", "endset");
        _loops = loops;
        return new SetBlock(at, target, filter, body);
    }

    private FilterBlock ParseFilterBlock(Token at)
    {
        FilterCall filter = ParseFilter(null);
        while (Current.Is("|"))
        {
            filter = ParseFilter(filter);
        }

        int loops = _loops;
        _loops = 0;
        Statement[] body = ParseBlockBody(at, "filter", "endfilter");
        _loops = loops;
        return new FilterBlock(at, filter, body);
    }

    private Block ParseWith(Token at)
    {
        List<(Target, Expression)> variables = [];
        while (Current.Kind != TokenKind.BlockEnd)
        {
            if (variables.Count > 0)
            {
                Expect(",");
            }

            Target target = ParseTarget(false, null, single: true);
            Expect("=");
            variables.Add((target, ParseExpression()));
        }

        return new Block(at, [.. variables], ParseBlockBody(at, "with", "endwith"));
    }

    private Macro ParseMacro(Token at)
    {
        Token name = ExpectName();
        return ParseMacroBody(at, name.Text, "macro", "endmacro", ParseParameters());
    }

    private CallBlock ParseCall(Token at)
    {
        (string[], Expression[]) parameters = Current.Is("(") ? ParseParameters() : ([], []);
        Token start = Current;
        if (ParseExpression() is not Call call)
        {
            throw Fail(start, "a call was expected after 'call'");
        }

        return new CallBlock(at, ParseMacroBody(at, "caller", "call", "endcall", parameters), call);
    }

    private Macro ParseMacroBody(Token at, string name, string statement, string end, (string[] Names, Expression[] Defaults) parameters)
    {
        HashSet<string> outer = NamesRead;
        NamesRead = new(StringComparer.Ordinal);
        Statement[] body = ParseIsolated(at, statement, end);
        HashSet<string> read = NamesRead;
        NamesRead = outer;
        outer.UnionWith(read);
        return Check(new Macro(at, name, parameters.Names, parameters.Defaults, body, read.Contains("varargs"), read.Contains("kwargs"), read.Contains("caller")));
    }

    private (string[] Names, Expression[] Defaults) ParseParameters()
    {
        Expect("(");
        List<string> names = [];
        List<Expression> defaults = [];
        while (!Current.Is(")"))
        {
            if (names.Count > 0)
            {
                Expect(",");
            }

            Token name = ExpectName();
            RefuseReserved(name);
            names.Add(name.Text);
            if (Skip("="))
            {
                defaults.Add(ParseExpression());
            }
            else if (defaults.Count > 0)
            {
                throw Fail(name, $"the parameter '{name.Text}' without a default follows one with a default");
            }
        }

        Expect(")");
        return ([.. names], [.. defaults]);
    }

    private Target ParseTarget(bool allowAttribute, string? end, bool single = false)
    {
        Token at = Current;
        List<Target> parts = [];
        bool isTuple = false;
        while (Current.Kind == TokenKind.Name && (end is null || !Current.IsName(end)) || Current.Is("("))
        {
            parts.Add(ParseSingleTarget(allowAttribute));
            if (single || !Skip(","))
            {
                break;
            }

            isTuple = true;
        }

        return parts.Count == 0 ? throw Fail(at, $"a variable's name was expected, not {at}")
            : isTuple ? Check(new Target(at, null, null, [.. parts]))
            : parts[0];
    }

    private Target ParseSingleTarget(bool allowAttribute)
    {
        Token at = Current;
        if (Skip("("))
        {
            Enter();
            Target inner = ParseTarget(allowAttribute, null);
            Leave();
            Expect(")");
            return inner;
        }

        Token name = ExpectName();
        if (allowAttribute && Skip("."))
        {
            NamesRead.Add(name.Text);
            return new Target(at, name.Text, ExpectName().Text, null);
        }

        RefuseReserved(name);
        return new Target(at, name.Text, null, null);
    }

    private static void RefuseReserved(Token name)
    {
        if (name.Text is "true" or "false" or "none" or "True" or "False" or "None")
        {
            throw Fail(name, $"'{name.Text}' cannot be assigned to");
        }
    }
}
