// DRY's sequence breakers from strings to token sequences. Knows a vocabulary only as a list of pieces and a function.
namespace Kidogo.Inference.Sampling;

/// <summary>Makes <see cref="SamplerOptions.DrySequenceBreakers"/> of strings.</summary>
public static class DryBreakers
{
    /// <summary>What llama.cpp breaks at unless told otherwise: newline, colon, double quote, asterisk.</summary>
    public static IReadOnlyList<string> Defaults { get; } = Array.AsReadOnly(["\n", ":", "\"", "*"]);

    /// <summary>The longest breaker in characters; what is longer is cut, as in llama.cpp.</summary>
    public const int MaxLength = 40;

    private const int MaxTail = 20;

    /// <summary>
    /// Every token sequence that can hold one of the strings: a token that contains the string alone, or a token that ends with the string's beginning, followed by the ids of the rest.
    /// </summary>
    /// <param name="strings">The breakers, none empty.</param>
    /// <param name="pieces">The text of each token, by id.</param>
    /// <param name="tokenize">Text to ids, with nothing added and no control tokens.</param>
    public static IReadOnlyList<IReadOnlyList<int>> FromStrings(IEnumerable<string> strings, IReadOnlyList<string> pieces, Func<string, IReadOnlyList<int>> tokenize)
    {
        ArgumentNullException.ThrowIfNull(strings);
        ArgumentNullException.ThrowIfNull(pieces);
        ArgumentNullException.ThrowIfNull(tokenize);
        List<IReadOnlyList<int>> sequences = [];
        foreach (string given in strings)
        {
            if (string.IsNullOrEmpty(given))
            {
                throw new ArgumentException("A DRY sequence breaker is empty; it has to be at least one character.", nameof(strings));
            }

            string breaker = given.Length > MaxLength ? given[..MaxLength] : given;
            int[]?[] tails = new int[]?[breaker.Length]; // by characters that the first token holds
            for (int id = 0; id < pieces.Count; id++)
            {
                string piece = pieces[id];
                if (piece.Contains(breaker, StringComparison.Ordinal))
                {
                    sequences.Add([id]);
                    continue;
                }

                for (int held = Math.Min(breaker.Length - 1, piece.Length); held > 0; held--)
                {
                    if (piece.AsSpan().EndsWith(breaker.AsSpan(0, held), StringComparison.Ordinal))
                    {
                        tails[held] ??= [.. tokenize(breaker[held..]).Take(MaxTail)];
                        sequences.Add([id, .. tails[held]!]);
                    }
                }
            }
        }

        return sequences;
    }
}
