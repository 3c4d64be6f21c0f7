// BERT's longest match from the left, and whole words. Knows not where words come from.
using System.Text;

namespace Kidogo.Text.Tokenizers;

/// <summary>Takes the longest piece that begins the word, then the longest that continues it, and so on; a word that cannot be covered so is unknown (Schuster and Nakajima 2012; BERT).</summary>
internal sealed class WordPieceModel : SubwordModel
{
    private readonly PieceTrie _first = new();
    private readonly PieceTrie _rest;
    private readonly byte[] _wordPrefix;
    private readonly byte[] _affix;
    private readonly int _unknownId;
    private readonly int _maxCharacters;

    /// <summary>GGUF's form: pieces that begin a word begin with <c>▁</c>, pieces that continue one are bare.</summary>
    public WordPieceModel(Vocabulary vocabulary, int unknownId)
    {
        _wordPrefix = "▁"u8.ToArray();
        _affix = _wordPrefix;
        _unknownId = unknownId;
        _maxCharacters = int.MaxValue;
        _rest = _first;
        for (int id = 0; id < vocabulary.Count; id++)
        {
            if (vocabulary.Kinds[id] is not (TokenKind.Control or TokenKind.Unknown))
            {
                _first.Add(vocabulary[id], id);
            }
        }
    }

    /// <summary>tokenizer.json's form: pieces that continue a word begin with <paramref name="continuingPrefix"/> (<c>##</c>).</summary>
    public WordPieceModel(Vocabulary vocabulary, int unknownId, string continuingPrefix, int maxCharacters)
    {
        _wordPrefix = [];
        _unknownId = unknownId;
        _maxCharacters = maxCharacters;
        byte[] prefix = Encoding.UTF8.GetBytes(continuingPrefix);
        _affix = prefix;
        _rest = new PieceTrie();
        for (int id = 0; id < vocabulary.Count; id++)
        {
            if (vocabulary.Kinds[id] is not (TokenKind.Control or TokenKind.Unknown))
            {
                ReadOnlySpan<byte> piece = vocabulary[id];
                _first.Add(piece, id);
                if (piece.StartsWith(prefix))
                {
                    _rest.Add(piece[prefix.Length..], id);
                }
            }
        }
    }

    public override void Encode(ReadOnlySpan<byte> word, MergeWorkspace workspace, IdList output)
    {
        int before = output.Count;
        if (word.Length > _maxCharacters && Encoding.UTF8.GetCharCount(word) > _maxCharacters && CountRunes(word) > _maxCharacters)
        {
            AddUnknown(output);
            return;
        }

        ReadOnlySpan<byte> rest = word;
        if (_wordPrefix.Length > 0)
        {
            workspace.Spelling.Clear();
            workspace.Spelling.Add(_wordPrefix);
            workspace.Spelling.Add(word);
            rest = workspace.Spelling.Span;
        }

        for (PieceTrie trie = _first; !rest.IsEmpty; trie = _rest)
        {
            int id = trie.Longest(rest, out int length);
            if (id < 0)
            {
                output.Truncate(before);
                AddUnknown(output);
                return;
            }

            output.Add(id);
            rest = rest[length..];
        }
    }

    protected override bool IsCharacter(ReadOnlySpan<byte> piece) =>
        base.IsCharacter(_affix.Length > 0 && piece.Length > _affix.Length && piece.StartsWith(_affix) ? piece[_affix.Length..] : piece);

    private static int CountRunes(ReadOnlySpan<byte> text)
    {
        int count = 0;
        foreach (byte value in text)
        {
            count += (value & 0xC0) != 0x80 ? 1 : 0;
        }

        return count;
    }

    private void AddUnknown(IdList output)
    {
        if (_unknownId >= 0)
        {
            output.Add(_unknownId);
        }
    }
}

/// <summary>A word is a token or unknown.</summary>
internal sealed class WordLevelModel(Vocabulary vocabulary, int unknownId) : SubwordModel
{
    public override void Encode(ReadOnlySpan<byte> word, MergeWorkspace workspace, IdList output)
    {
        int id = vocabulary.FindText(word);
        if (id >= 0 || unknownId >= 0)
        {
            output.Add(id >= 0 ? id : unknownId);
        }
    }
}
