// A grammar as a network of nodes that read bytes. Knows no tokens and no spelling of grammars.
namespace Kidogo.Inference.Constraints;

/// <summary>What a node does.</summary>
internal enum NodeKind : byte
{
    /// <summary>Reads a byte from Low to High and goes to Next.</summary>
    Match,

    /// <summary>Goes to Next and to Other without reading.</summary>
    Split,

    /// <summary>Goes through the rule that begins at Other, then to Next.</summary>
    Call,

    /// <summary>The end of a rule.</summary>
    End,
}

/// <summary>A node.</summary>
internal readonly record struct Node(NodeKind Kind, byte Low, byte High, int Next, int Other);

/// <summary>The nodes of all rules (Woods 1970, "Transition network grammars for natural language analysis"): a network for each, which calls others.</summary>
internal sealed class GrammarNetwork
{
    private const int MostNodes = 400_000;
    private const int MostRepeats = 100_000;
    private const int MostDepth = 256; // of expressions inside each other: what recursion over them may take of the stack

    private readonly Grammar _grammar;
    private readonly List<Node> _nodes = [];
    private readonly int[] _starts;
    private int _depth;

    /// <summary>Compiles a grammar.</summary>
    /// <exception cref="GrammarException">It is too large, a rule is not defined, or a rule begins with itself.</exception>
    public GrammarNetwork(Grammar grammar)
    {
        _grammar = grammar;
        _starts = new int[grammar.Rules.Count];
        for (int i = 0; i < _starts.Length; i++)
        {
            _starts[i] = Add(default); // so that calls know where to go
        }

        for (int i = 0; i < _starts.Length; i++)
        {
            Expression expression = grammar.Rules[i].Expression ?? throw new GrammarException($"The rule {grammar.Rules[i].Name} is used and not defined. Define it, or correct its name.");
            int end = Add(new Node(NodeKind.End, 0, 0, -1, -1));
            int first = Compile(expression, end);
            _nodes[_starts[i]] = new Node(NodeKind.Split, 0, 0, first, -1);
        }

        RefuseLeftRecursion();
        Start = _starts[grammar.Root];
        Nodes = [.. _nodes];
    }

    /// <summary>The nodes.</summary>
    public Node[] Nodes { get; }

    /// <summary>Where whole texts begin.</summary>
    public int Start { get; }

    private int Add(Node node)
    {
        if (_nodes.Count == MostNodes)
        {
            throw new GrammarException($"The grammar needs more than {MostNodes} nodes. Shorten repetitions, or split it.");
        }

        _nodes.Add(node);
        return _nodes.Count - 1;
    }

    /// <summary>Adds the nodes of an expression that go on to <paramref name="next"/>; returns where it begins.</summary>
    private int Compile(Expression expression, int next)
    {
        if (++_depth > MostDepth)
        {
            throw new GrammarException($"The grammar nests more than {MostDepth} groups. Give parts of it rules of their own.");
        }

        try
        {
            switch (expression)
            {
                case Literal literal:
                    for (int i = literal.Bytes.Length - 1; i >= 0; i--)
                    {
                        next = Add(new Node(NodeKind.Match, literal.Bytes[i], literal.Bytes[i], next, -1));
                    }

                    return next;
                case CharacterClass characters:
                    return CompileClass(characters.Set, next);
                case Sequence sequence:
                    for (int i = sequence.Parts.Count - 1; i >= 0; i--)
                    {
                        next = Compile(sequence.Parts[i], next);
                    }

                    return next;
                case Choice choice:
                    return Join([.. choice.Choices.Select(each => Compile(each, next))]);
                case Repeat repeat:
                    return CompileRepeat(repeat, next);
                case RuleReference reference:
                    return Add(new Node(NodeKind.Call, 0, 0, next, _starts[reference.Rule]));
                default:
                    throw new ArgumentException($"There is no expression {expression}.", nameof(expression));
            }
        }
        finally
        {
            _depth--;
        }
    }

    private int CompileClass(CharacterSet set, int next)
    {
        List<int> starts = [];
        foreach ((int first, int last) in set.Ranges)
        {
            foreach ((byte Low, byte High)[] bytes in CharacterSet.Utf8(first, last))
            {
                int at = next;
                for (int i = bytes.Length - 1; i >= 0; i--)
                {
                    at = Add(new Node(NodeKind.Match, bytes[i].Low, bytes[i].High, at, -1));
                }

                starts.Add(at);
            }
        }

        return starts.Count == 0 ? throw new GrammarException("A class of characters is empty: nothing could ever match it.") : Join(starts);
    }

    private int CompileRepeat(Repeat repeat, int next)
    {
        if (repeat.Least > MostRepeats || repeat.Most > MostRepeats || repeat.Least < 0 || repeat.Most < repeat.Least)
        {
            throw new GrammarException($"A part is to be repeated {repeat.Least} to {repeat.Most} times; expected numbers from 0 to {MostRepeats}, the larger one last.");
        }

        int at = next;
        if (repeat.Most is null)
        {
            int loop = Add(default);
            int body = Compile(repeat.Part, loop);
            _nodes[loop] = new Node(NodeKind.Split, 0, 0, body, next);
            at = loop;
        }

        for (int i = repeat.Least; i < repeat.Most; i++)
        {
            at = Join([Compile(repeat.Part, at), next]);
        }

        for (int i = 0; i < repeat.Least; i++)
        {
            at = Compile(repeat.Part, at);
        }

        return at;
    }

    private int Join(List<int> starts)
    {
        int at = starts.Count == 0 ? throw new GrammarException("A choice has no alternatives.") : starts[^1];
        for (int i = starts.Count - 2; i >= 0; i--)
        {
            at = Add(new Node(NodeKind.Split, 0, 0, starts[i], at));
        }

        return at;
    }

    /// <summary>A rule that can call itself before it reads anything would never end.</summary>
    private void RefuseLeftRecursion()
    {
        bool[] canBeEmpty = FindEmptyRules();
        int[] state = new int[_starts.Length]; // 0 not seen, 1 on the path, 2 done
        Dictionary<int, int> rules = [];
        for (int i = 0; i < _starts.Length; i++)
        {
            rules[_starts[i]] = i;
        }

        for (int i = 0; i < _starts.Length; i++)
        {
            Stack<(int Rule, Queue<int> Calls)> path = [];
            if (state[i] == 0)
            {
                Enter(i);
            }

            while (path.TryPeek(out (int Rule, Queue<int> Calls) top))
            {
                if (!top.Calls.TryDequeue(out int called))
                {
                    state[top.Rule] = 2;
                    path.Pop();
                }
                else if (state[called] == 1)
                {
                    throw new GrammarException($"The rule {_grammar.Rules[called].Name} begins with itself. Write the repetition behind what is repeated: instead of list ::= list item, list ::= item list?.");
                }
                else if (state[called] == 0)
                {
                    Enter(called);
                }
            }

            void Enter(int rule)
            {
                state[rule] = 1;
                path.Push((rule, new Queue<int>(FirstNodes(_starts[rule], canBeEmpty, rules).Where(at => _nodes[at].Kind == NodeKind.Call).Select(at => rules[_nodes[at].Other]).Distinct())));
            }
        }
    }

    private bool[] FindEmptyRules()
    {
        bool[] canBeEmpty = new bool[_starts.Length];
        Dictionary<int, int> rules = [];
        for (int i = 0; i < _starts.Length; i++)
        {
            rules[_starts[i]] = i;
        }

        for (bool grew = true; grew;)
        {
            grew = false;
            for (int i = 0; i < _starts.Length; i++)
            {
                if (!canBeEmpty[i] && FirstNodes(_starts[i], canBeEmpty, rules).Any(at => _nodes[at].Kind == NodeKind.End))
                {
                    canBeEmpty[i] = grew = true;
                }
            }
        }

        return canBeEmpty;
    }

    /// <summary>The nodes of a rule that are reached before anything is read.</summary>
    private IEnumerable<int> FirstNodes(int start, bool[] canBeEmpty, Dictionary<int, int> rules)
    {
        HashSet<int> seen = [];
        Stack<int> open = new([start]);
        while (open.TryPop(out int at))
        {
            if (at < 0 || !seen.Add(at))
            {
                continue;
            }

            Node node = _nodes[at];
            yield return at;
            if (node.Kind == NodeKind.Split)
            {
                open.Push(node.Next);
                open.Push(node.Other);
            }
            else if (node.Kind == NodeKind.Call && canBeEmpty[rules[node.Other]])
            {
                open.Push(node.Next);
            }
        }
    }
}
