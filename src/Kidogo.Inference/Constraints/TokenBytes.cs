// The tokens of a vocabulary sorted by their bytes, so that what they share is looked at once. Knows no grammars.
using Kidogo.Text.Tokenizers;

namespace Kidogo.Inference.Constraints;

/// <summary>All tokens of a vocabulary that write text. Made once a model.</summary>
public sealed class TokenBytes
{
    private TokenBytes(int[] ids, byte[][] bytes, int[] shared, byte[]?[] byId, int vocabularySize, int[] ends)
    {
        (Ids, Bytes, Shared, ById, VocabularySize, Ends) = (ids, bytes, shared, byId, vocabularySize, ends);
    }

    /// <summary>The ids, in the order of their bytes.</summary>
    internal int[] Ids { get; }

    /// <summary>Their bytes.</summary>
    internal byte[][] Bytes { get; }

    /// <summary>How many bytes each shares with the one before.</summary>
    internal int[] Shared { get; }

    /// <summary>The bytes of a token by its id; null where it writes none.</summary>
    internal byte[]?[] ById { get; }

    /// <summary>Number of ids.</summary>
    public int VocabularySize { get; }

    /// <summary>The tokens that end an answer.</summary>
    internal int[] Ends { get; }

    /// <summary>Sorts a vocabulary. Control tokens write nothing: no text of a grammar is made of them.</summary>
    /// <param name="tokenizer">The vocabulary.</param>
    /// <param name="moreEnds">Tokens that end an answer besides the vocabulary's own.</param>
    /// <param name="spelledOut">Control tokens that count as the text that they are spelt with, such as those around calls.</param>
    public static TokenBytes Of(Tokenizer tokenizer, IEnumerable<int>? moreEnds = null, IReadOnlyCollection<int>? spelledOut = null)
    {
        HashSet<int> ends = [.. tokenizer.EndOfGenerationIds, .. moreEnds ?? []];
        byte[]?[] byId = new byte[]?[tokenizer.VocabularySize];
        for (int id = 0; id < byId.Length; id++)
        {
            bool writes = tokenizer.Kind(id) is TokenKind.Normal or TokenKind.Byte or TokenKind.UserDefined && !ends.Contains(id);
            byId[id] = spelledOut is not null && !ends.Contains(id) && spelledOut.Contains(id) ? System.Text.Encoding.UTF8.GetBytes(tokenizer.TokenText(id))
                : writes && tokenizer.PieceBytes(id) is { Length: > 0 } bytes ? bytes : null;
        }

        return Of(byId, [.. ends]);
    }

    /// <summary>Sorts tokens.</summary>
    /// <param name="byId">The bytes of each; null for those that write none.</param>
    /// <param name="ends">The tokens that end an answer.</param>
    internal static TokenBytes Of(byte[]?[] byId, int[] ends)
    {
        int[] ids = [.. Enumerable.Range(0, byId.Length).Where(id => byId[id] is not null)];
        byte[][] bytes = [.. ids.Select(id => byId[id]!)];
        Array.Sort(bytes, ids, Comparer<byte[]>.Create((a, b) => a.AsSpan().SequenceCompareTo(b)));
        int[] shared = new int[ids.Length];
        for (int i = 1; i < ids.Length; i++)
        {
            shared[i] = bytes[i].AsSpan().CommonPrefixLength(bytes[i - 1]);
        }

        return new TokenBytes(ids, bytes, shared, byId, byId.Length, ends);
    }
}
