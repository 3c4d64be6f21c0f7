// The grammars that answers of one model are held to, kept for the next request with the same. Knows no requests.
using System.Security.Cryptography;
using System.Text;
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
    private readonly Dictionary<string, TokenGrammar> _kept = new(StringComparer.Ordinal); // by the hash of what tells it from others
    private TokenBytes? _marked;
    private readonly Lazy<TokenBytes> _tokens = new(() => TokenBytes.Of(tokenizer, ends));

    /// <summary>Any JSON object.</summary>
    public TokenGrammar OfAnyObject() => Of("object", JsonSchemaReader.AnyObject);

    /// <summary>JSON that obeys a schema.</summary>
    /// <exception cref="GrammarException">It cannot be enforced.</exception>
    public TokenGrammar OfSchema(JsonElement schema)
    {
        string text = schema.GetRawText();
        return Of($"schema {text}", () => JsonSchemaReader.Read(text));
    }

    /// <summary>A grammar in GBNF.</summary>
    /// <exception cref="GrammarException">It is malformed.</exception>
    public TokenGrammar OfGrammar(string grammar) => Of($"grammar {grammar}", () => GbnfReader.Read(grammar));

    /// <summary>Texts that a regular expression matches as a whole.</summary>
    /// <exception cref="GrammarException">It is malformed.</exception>
    public TokenGrammar OfPattern(string pattern) => Of($"pattern {pattern}", () => RegexReader.Read(pattern));

    /// <summary>A form.</summary>
    /// <param name="key">What tells it from others.</param>
    /// <param name="make">Makes the grammar.</param>
    /// <exception cref="GrammarException">It is malformed, or cannot be enforced.</exception>
    public TokenGrammar Of(string key, Func<Grammar> make) => Keep(key, make, () => _tokens.Value);

    /// <summary>A form of which markers are part: calls, or what comes after reasoning.</summary>
    /// <param name="key">What tells it from others.</param>
    /// <param name="markers">Control tokens that count as their text; the same whenever this is called.</param>
    /// <param name="make">Makes the grammar.</param>
    /// <exception cref="GrammarException">It cannot be enforced.</exception>
    public TokenGrammar OfMarked(string key, IReadOnlyCollection<int> markers, Func<Grammar> make)
    {
        TokenBytes Marked()
        {
            lock (_lock)
            {
                return _marked ??= TokenBytes.Of(tokenizer, ends, markers);
            }
        }

        return Keep($"marked {key}", make, Marked);
    }

    private TokenGrammar Keep(string key, Func<Grammar> make, Func<TokenBytes> tokens)
    {
        string hash = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(key))); // schemas are long
        lock (_lock)
        {
            if (_kept.TryGetValue(hash, out TokenGrammar? known))
            {
                return known;
            }
        }

        TokenGrammar made = new(make(), tokens());
        lock (_lock)
        {
            if (_kept.Count >= MostKept)
            {
                _kept.Clear(); // those in use stay as they are
            }

            return _kept.TryAdd(hash, made) ? made : _kept[hash];
        }
    }
}
