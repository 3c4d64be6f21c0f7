// What a tokenizer is made of, and what one call needs. Knows no file format.

namespace Kidogo.Text.Tokenizers;

/// <summary>The parts of a tokenizer, in the order in which text meets them.</summary>
internal sealed record TokenizerParts
{
    public required Vocabulary Vocabulary { get; init; }

    /// <summary>Added tokens that are looked for in the text as it comes.</summary>
    public required AddedTokens Added { get; init; }

    public Normalizer? Normalizer { get; init; }

    /// <summary>Added tokens that are looked for after normalisation.</summary>
    public AddedTokens? AddedNormalized { get; init; }

    public PreTokenizer? PreTokenizer { get; init; }

    /// <summary>Built at the first encoding: many programs only decode, or never come to it.</summary>
    public required Lazy<SubwordModel> Model { get; init; }

    public required PieceDecoder Decoder { get; init; }

    /// <summary>What goes before a text.</summary>
    public int[] Prefix { get; init; } = [];

    /// <summary>What goes after a text.</summary>
    public int[] Suffix { get; init; } = [];

    public int? BosId { get; init; }

    public int? EosId { get; init; }

    public int? EotId { get; init; }

    public int? PadId { get; init; }

    public int? UnkId { get; init; }

    public int? SepId { get; init; }

    public int? MaskId { get; init; }

    /// <summary>The tokens around a hole; null where one is missing.</summary>
    public FillInMiddleTokens? Hole { get; init; }

    public required HashSet<int> Ends { get; init; }

    public IReadOnlyList<string> Warnings { get; init; } = [];
}

/// <summary>The buffers of one encoding, kept by the tokenizer for the next.</summary>
internal sealed class EncodeState
{
    public MergeWorkspace Workspace { get; } = new();

    public WordCache Cache { get; } = new();

    public PreTokenizedText Words { get; } = new();

    public ByteBuffer Normalized { get; } = new();

    /// <summary>Bytes that normalising and pre-tokenising may still make.</summary>
    public long GrowthLeft { get; set; }

    public List<Fragment> Fragments { get; } = [];

    public List<Fragment> InnerFragments { get; } = [];

    public ByteBuffer Input { get; } = new();

    public List<Fragment> Untrusted { get; } = [];

    public IdList Ids { get; private set; } = new();

    /// <summary>An empty list of ids, without holding on to the memory of a huge text for ever.</summary>
    public IdList FreshIds()
    {
        const int Kept = 1 << 20;
        if (Ids.Count > Kept)
        {
            Ids = new IdList();
        }

        Ids.Truncate(0);
        return Ids;
    }
}
