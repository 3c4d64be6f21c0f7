// The grammars that answers of one model are held to, kept for the next request with the same. Knows no requests.
using System.Text.Json;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Inference.Constraints;

/// <summary>Makes grammars for a vocabulary. For any number of threads.</summary>
/// <param name="tokenizer">The vocabulary.</param>
/// <param name="ends">Tokens that end answers besides the vocabulary's own.</param>
public sealed class AnswerGrammars(Tokenizer tokenizer, IReadOnlyCollection<int> ends)
{
    private const int MostKept = 32;

    private readonly Lock _lock = new();
    private readonly Dictionary<(string Kind, string Text), TokenGrammar> _kept = [];
    private readonly Lazy<TokenBytes> _tokens = new(() => TokenBytes.Of(tokenizer, ends));

    /// <summary>Any JSON object.</summary>
    public TokenGrammar OfAnyObject() => Keep("object", "", _ => JsonSchemaReader.AnyObject());

    /// <summary>JSON that obeys a schema.</summary>
    /// <exception cref="GrammarException">It cannot be enforced.</exception>
    public TokenGrammar OfSchema(JsonElement schema) => Keep("schema", schema.GetRawText(), JsonSchemaReader.Read);

    /// <summary>A grammar in GBNF.</summary>
    /// <exception cref="GrammarException">It is malformed.</exception>
    public TokenGrammar OfGrammar(string grammar) => Keep("grammar", grammar, GbnfReader.Read);

    /// <summary>Texts that a regular expression matches as a whole.</summary>
    /// <exception cref="GrammarException">It is malformed.</exception>
    public TokenGrammar OfPattern(string pattern) => Keep("pattern", pattern, RegexReader.Read);

    private TokenGrammar Keep(string kind, string text, Func<string, Grammar> read)
    {
        lock (_lock)
        {
            if (_kept.TryGetValue((kind, text), out TokenGrammar? known))
            {
                return known;
            }
        }

        TokenGrammar made = new(read(text), _tokens.Value);
        lock (_lock)
        {
            if (_kept.Count >= MostKept)
            {
                _kept.Clear(); // those in use stay as they are
            }

            return _kept.TryAdd((kind, text), made) ? made : _kept[(kind, text)];
        }
    }
}
