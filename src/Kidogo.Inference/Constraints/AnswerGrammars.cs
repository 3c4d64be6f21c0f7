// The grammars that answers of one model are held to, kept for the next answer of the same form. Knows no requests.
using System.Security.Cryptography;
using System.Text;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Inference.Constraints;

/// <summary>Makes grammars for a vocabulary. For any number of threads.</summary>
/// <param name="tokenizer">The vocabulary.</param>
/// <param name="ends">Tokens that end answers besides the vocabulary's own.</param>
/// <param name="markers">Control tokens that count as their text where a form is made of them too; null for none.</param>
public sealed class AnswerGrammars(Tokenizer tokenizer, IReadOnlyCollection<int> ends, IReadOnlyCollection<int>? markers = null)
{
    private const int MostKept = 32;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, TokenGrammar> _kept = new(StringComparer.Ordinal); // by the hash of what tells it from others
    private readonly Lazy<TokenBytes> _tokens = new(() => TokenBytes.Of(tokenizer, ends));
    private readonly Lazy<TokenBytes> _marked = new(() => TokenBytes.Of(tokenizer, ends, markers));

    /// <summary>A form of this vocabulary's tokens.</summary>
    /// <exception cref="GrammarException">It is malformed, or cannot be enforced.</exception>
    public TokenGrammar Of(AnswerForm form)
    {
        ArgumentNullException.ThrowIfNull(form);
        string key = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes($"{form.HasMarkers} {form.Key}"))); // schemas are long
        lock (_lock)
        {
            if (_kept.TryGetValue(key, out TokenGrammar? known))
            {
                return known;
            }
        }

        TokenGrammar made = new(form.Read(), (form.HasMarkers ? _marked : _tokens).Value);
        lock (_lock)
        {
            if (_kept.Count >= MostKept)
            {
                _kept.Clear(); // those in use stay as they are
            }

            return _kept.TryAdd(key, made) ? made : _kept[key];
        }
    }
}
