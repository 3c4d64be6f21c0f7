// Where a text stands in a grammar, byte by byte. Knows no tokens.
using System.Runtime.InteropServices;

namespace Kidogo.Inference.Constraints;

/// <summary>A place to come back to when a rule ends, and those below it.</summary>
internal sealed class ReturnStack
{
    /// <summary>The place.</summary>
    public required int Node { get; init; }

    /// <summary>Where it comes back to next; null at the bottom.</summary>
    public required ReturnStack? Below { get; init; }

    /// <summary>How many places there are.</summary>
    public required int Depth { get; init; }
}

/// <summary>All places where a text can be in a grammar: of each a node that reads a byte, and where its rule comes back to.</summary>
internal sealed class GrammarState
{
    /// <summary>Nodes that read a byte, with their stacks.</summary>
    public required (int Node, ReturnStack? Stack)[] Places { get; init; }

    /// <summary>Whether the text can end here.</summary>
    public required bool CanEnd { get; init; }

    /// <summary>Whether the rule that was looked at alone can end here: what follows depends on who called it.</summary>
    public required bool Escapes { get; init; }

    /// <summary>Where each byte leads; null where not yet known.</summary>
    public GrammarState?[]? Next { get; set; }

    /// <summary>Nothing matches and nothing ended.</summary>
    public bool IsDead => Places.Length == 0 && !CanEnd && !Escapes;
}

/// <summary>Steps through a grammar's network, all readings of a text at once (as Thompson 1968 for regular expressions, with a stack for each reading). States are kept and met again.</summary>
/// <param name="network">The grammar.</param>
internal sealed class GrammarAutomaton(GrammarNetwork network)
{
    /// <summary>Below the bottom of a rule that is looked at alone.</summary>
    public static readonly ReturnStack Unknown = new() { Node = -2, Below = null, Depth = 1 };

    private const int MostDepth = 2_000;
    private const int MostPlaces = 4_000;
    private const int MostStates = 50_000;
    private readonly Node[] _nodes = network.Nodes;
    private readonly Dictionary<(int Node, ReturnStack? Below), ReturnStack> _stacks = [];
    private readonly Dictionary<PlacesKey, GrammarState> _states = [];
    private readonly HashSet<(int Node, ReturnStack? Stack)> _seen = [];
    private readonly Stack<(int Node, ReturnStack? Stack)> _open = [];
    private readonly List<(int Node, ReturnStack? Stack)> _places = [];
    private bool _canEnd, _escapes;

    /// <summary>Where texts begin.</summary>
    public GrammarState Start() => From(network.Start, null);

    /// <summary>The state of one place.</summary>
    public GrammarState From(int node, ReturnStack? stack)
    {
        Begin();
        Visit(node, stack);
        return Finish();
    }

    /// <summary>Where a byte leads.</summary>
    /// <exception cref="GrammarException">There are too many readings of the text.</exception>
    public GrammarState Step(GrammarState state, byte value)
    {
        state.Next ??= new GrammarState?[256];
        if (state.Next[value] is { } known)
        {
            return known;
        }

        Begin();
        foreach ((int node, ReturnStack? stack) in state.Places)
        {
            if (value >= _nodes[node].Low && value <= _nodes[node].High)
            {
                Visit(_nodes[node].Next, stack);
            }
        }

        return state.Next[value] = Finish();
    }

    private void Begin()
    {
        _seen.Clear();
        _places.Clear();
        _canEnd = _escapes = false;
    }

    private GrammarState Finish()
    {
        if (_places.Count > MostPlaces)
        {
            throw new GrammarException($"The text can be read in more than {MostPlaces} ways: the grammar is too ambiguous.");
        }

        PlacesKey key = new([.. _places], _canEnd, _escapes);
        if (_states.TryGetValue(key, out GrammarState? known))
        {
            return known;
        }

        if (_states.Count >= MostStates)
        {
            _states.Clear(); // states in use stay valid; they are only not met again
            _stacks.Clear();
        }

        GrammarState state = new() { Places = key.Places, CanEnd = _canEnd, Escapes = _escapes };
        _states.Add(key, state);
        return state;
    }

    /// <summary>Follows everything that reads nothing.</summary>
    private void Visit(int first, ReturnStack? firstStack)
    {
        _open.Push((first, firstStack));
        while (_open.TryPop(out (int Node, ReturnStack? Stack) place))
        {
            if (place.Node < 0 || !_seen.Add(place))
            {
                continue;
            }

            Node node = _nodes[place.Node];
            switch (node.Kind)
            {
                case NodeKind.Match:
                    _places.Add(place);
                    break;
                case NodeKind.Split:
                    _open.Push((node.Other, place.Stack));
                    _open.Push((node.Next, place.Stack));
                    break;
                case NodeKind.Call when _nodes[node.Next].Kind == NodeKind.End: // a last call needs no way back
                    _open.Push((node.Other, place.Stack));
                    break;
                case NodeKind.Call when place.Stack is null || place.Stack.Depth < MostDepth: // deeper texts are not generated
                    _open.Push((node.Other, Push(node.Next, place.Stack)));
                    break;
                case NodeKind.End when place.Stack is null:
                    _canEnd = true;
                    break;
                case NodeKind.End when place.Stack == Unknown:
                    _escapes = true;
                    break;
                case NodeKind.End:
                    _open.Push((place.Stack!.Node, place.Stack.Below));
                    break;
            }

            if (_seen.Count > 4 * MostPlaces)
            {
                _open.Clear();
                throw new GrammarException($"The text can be read in more than {MostPlaces} ways: the grammar is too ambiguous.");
            }
        }
    }

    private ReturnStack Push(int node, ReturnStack? below)
    {
        ref ReturnStack? stack = ref CollectionsMarshal.GetValueRefOrAddDefault(_stacks, (node, below), out bool exists);
        return exists ? stack! : stack = new ReturnStack { Node = node, Below = below, Depth = (below?.Depth ?? 0) + 1 };
    }

    /// <summary>Places in the order in which they were found, which is the same whenever the same places are met by the same way; another order only costs a state more.</summary>
    private readonly struct PlacesKey((int Node, ReturnStack? Stack)[] places, bool canEnd, bool escapes) : IEquatable<PlacesKey>
    {
        public (int Node, ReturnStack? Stack)[] Places => places;

        private bool CanEnd => canEnd;

        private bool Escapes => escapes;

        public bool Equals(PlacesKey other) => CanEnd == other.CanEnd && Escapes == other.Escapes && Places.AsSpan().SequenceEqual(other.Places);

        public override bool Equals(object? obj) => obj is PlacesKey other && Equals(other);

        public override int GetHashCode()
        {
            HashCode hash = default;
            hash.Add(canEnd);
            hash.Add(escapes);
            foreach ((int node, ReturnStack? stack) in places)
            {
                hash.Add(node);
                hash.Add(stack);
            }

            return hash.ToHashCode();
        }
    }
}
