// Which tokens may come next in a text that follows a grammar. Knows no models.
using System.Numerics.Tensors;
using Kidogo.Inference.Sampling;

namespace Kidogo.Inference.Constraints;

/// <summary>A grammar for the tokens of one vocabulary. Made once and used for any number of answers, also at the same time.</summary>
/// <remarks>
/// What may follow is found for each place in the grammar by itself once (as Dong et al., arXiv 2411.15100, section 3): tokens that are right there whatever surrounds the rule, and
/// tokens that run past the rule's end, which are tried for each caller. All of it is kept, so a place that is met again costs a copy of bits.
/// </remarks>
public sealed class TokenGrammar
{
    private const int MostMasks = 4_000;

    private readonly Lock _lock = new();
    private readonly TokenBytes _tokens;
    private readonly GrammarAutomaton _automaton;
    private readonly Dictionary<int, Template> _templates = [];
    private readonly Dictionary<GrammarState, ulong[]> _masks = [];

    /// <summary>Prepares a grammar for a vocabulary.</summary>
    /// <exception cref="GrammarException">The grammar cannot be used.</exception>
    public TokenGrammar(Grammar grammar, TokenBytes tokens)
    {
        _tokens = tokens;
        _automaton = new GrammarAutomaton(new GrammarNetwork(grammar));
        Start = _automaton.Start();
    }

    internal GrammarState Start { get; }

    /// <summary>Tokens of the vocabulary that the grammar was prepared for.</summary>
    public int VocabularySize => _tokens.VocabularySize;

    /// <summary>Makes the logits of all tokens that may not come next negative infinity.</summary>
    /// <returns>Whether any token is left.</returns>
    internal bool Mask(GrammarState state, Span<float> logits)
    {
        ulong[] mask;
        lock (_lock)
        {
            mask = MaskOf(state);
        }

        bool any = false;
        for (int word = 0; word * 64 < logits.Length; word++)
        {
            Span<float> part = logits.Slice(word * 64, Math.Min(64, logits.Length - (word * 64)));
            ulong bits = word < mask.Length ? mask[word] : 0;
            if (bits == 0)
            {
                part.Fill(float.NegativeInfinity);
                continue;
            }

            any = true;
            for (int i = 0; bits != ulong.MaxValue && i < part.Length; i++)
            {
                if ((bits >> i & 1) == 0)
                {
                    part[i] = float.NegativeInfinity;
                }
            }
        }

        return any;
    }

    /// <summary>Where a token leads; dead where it may not come.</summary>
    internal GrammarState Step(GrammarState state, int id)
    {
        ReadOnlySpan<byte> bytes = (uint)id < (uint)_tokens.ById.Length ? _tokens.ById[id] : null;
        lock (_lock)
        {
            return Run(state, bytes);
        }
    }

    /// <summary>Gives the tokens that end answers one and the same logit.</summary>
    internal void AllowEnds(Span<float> logits)
    {
        foreach (int end in _tokens.Ends)
        {
            if (end < logits.Length)
            {
                logits[end] = 0;
            }
        }
    }

    /// <summary>Whether an id ends answers.</summary>
    internal bool IsEnd(int id) => Array.IndexOf(_tokens.Ends, id) >= 0;

    private GrammarState Run(GrammarState state, ReadOnlySpan<byte> bytes)
    {
        foreach (byte value in bytes)
        {
            if (state.Places.Length == 0)
            {
                return _automaton.Step(state, value); // dead
            }

            state = _automaton.Step(state, value);
        }

        return state;
    }

    private ulong[] MaskOf(GrammarState state)
    {
        if (_masks.TryGetValue(state, out ulong[]? known))
        {
            return known;
        }

        ulong[] mask = new ulong[(_tokens.VocabularySize + 63) / 64];
        foreach ((int node, ReturnStack? stack) in state.Places)
        {
            Template template = TemplateOf(node);
            TensorPrimitives.BitwiseOr(mask, template.Allowed, mask);
            if (template.Uncertain.Length > 0)
            {
                GrammarState place = _automaton.From(node, stack);
                foreach (int index in template.Uncertain)
                {
                    int id = _tokens.Ids[index];
                    if ((mask[id >> 6] >> (id & 63) & 1) == 0 && !Run(place, _tokens.Bytes[index]).IsDead)
                    {
                        Allow(mask, id);
                    }
                }
            }
        }

        foreach (int end in _tokens.Ends)
        {
            if (state.CanEnd && end < _tokens.VocabularySize)
            {
                Allow(mask, end);
            }
        }

        if (_masks.Count >= MostMasks)
        {
            _masks.Clear();
        }

        _masks.Add(state, mask);
        return mask;
    }

    private static void Allow(ulong[] mask, int id) => mask[id >> 6] |= 1UL << (id & 63);

    /// <summary>All tokens tried from a node, with nothing known of what follows its rule.</summary>
    private Template TemplateOf(int node)
    {
        if (_templates.TryGetValue(node, out Template? known))
        {
            return known;
        }

        ulong[] allowed = new ulong[(_tokens.VocabularySize + 63) / 64];
        List<int> uncertain = [];
        List<GrammarState> path = [_automaton.From(node, GrammarAutomaton.Unknown)]; // the states after 0, 1, 2, ... bytes of the last token
        int escaped = int.MaxValue; // after how many bytes of it the rule could first end
        for (int i = 0; i < _tokens.Ids.Length; i++)
        {
            int shared = _tokens.Shared[i];
            if (path.Count > shared + 1)
            {
                path.RemoveRange(shared + 1, path.Count - shared - 1);
            }

            escaped = escaped <= shared ? escaped : int.MaxValue;
            byte[] bytes = _tokens.Bytes[i];
            while (path.Count <= bytes.Length && path[^1].Places.Length > 0)
            {
                GrammarState next = _automaton.Step(path[^1], bytes[path.Count - 1]);
                path.Add(next);
                if (next.Escapes && escaped == int.MaxValue)
                {
                    escaped = path.Count - 1;
                }
            }

            bool isWhole = path.Count == bytes.Length + 1;
            if (isWhole && !path[^1].IsDead)
            {
                Allow(allowed, _tokens.Ids[i]);
            }
            else if (escaped < bytes.Length)
            {
                uncertain.Add(i);
            }
        }

        Template template = new(allowed, [.. uncertain]);
        _templates.Add(node, template);
        return template;
    }

    /// <summary>What may follow a node, whoever called its rule.</summary>
    /// <param name="Allowed">A bit for each id.</param>
    /// <param name="Uncertain">Places, in the order of bytes, of tokens that run past the end of the rule.</param>
    private sealed record Template(ulong[] Allowed, int[] Uncertain);
}

/// <summary>Holds one answer to a grammar: hides tokens that may not come, and follows those that did.</summary>
/// <param name="grammar">The grammar.</param>
public sealed class TokenConstraint(TokenGrammar grammar) : ITokenMask
{
    private GrammarState _state = grammar.Start;

    /// <summary>Whether the answer could end here.</summary>
    public bool CanEnd => _state.CanEnd;

    /// <summary>Whether nothing but the end may come.</summary>
    public bool IsComplete => _state.CanEnd && _state.Places.Length == 0;

    /// <summary>Makes the logits of all tokens that may not come next negative infinity.</summary>
    /// <param name="logits">[vocabulary]</param>
    /// <returns>Whether any token is left; where none is, the vocabulary cannot say what the grammar asks for, and the answer ends.</returns>
    /// <exception cref="GrammarException">There are too many readings of the text.</exception>
    public bool Mask(Span<float> logits) => grammar.Mask(_state, logits);

    /// <inheritdoc/>
    /// <remarks>Where no token is left, the vocabulary cannot say what the grammar asks for: then the answer may end.</remarks>
    /// <exception cref="GrammarException">There are too many readings of the text.</exception>
    public void Apply(Span<float> logits)
    {
        if (!Mask(logits))
        {
            grammar.AllowEnds(logits);
        }
    }

    /// <summary>Follows a token.</summary>
    /// <exception cref="ArgumentException">It may not come here.</exception>
    public void Accept(int id)
    {
        if (grammar.IsEnd(id))
        {
            return;
        }

        GrammarState next = grammar.Step(_state, id);
        _state = next.IsDead ? throw new ArgumentException($"The token {id} may not come here: the grammar has no text that goes on like this.", nameof(id)) : next;
    }

    /// <summary>Back to the start of an answer.</summary>
    public void Reset() => _state = grammar.Start;
}
