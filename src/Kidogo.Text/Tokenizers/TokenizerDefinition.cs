// A tokenizer's description in neutral terms: what a model file says about its vocabulary. Knows no file format.
namespace Kidogo.Text.Tokenizers;

/// <summary>Everything that determines a tokenizer whose description lies in a model file (GGUF's <c>tokenizer.ggml.*</c>, in the names of this record).</summary>
/// <remarks>What is null is what the file does not say; the kind then decides, as llama.cpp does.</remarks>
public sealed record TokenizerDefinition
{
    /// <summary>How text becomes pieces.</summary>
    public required TokenizerModelKind Model { get; init; }

    /// <summary>The pieces in the order of their ids, in the file's own spelling (<c>Ġ</c>, <c>▁</c>, <c>&lt;0x0A&gt;</c>).</summary>
    public required PieceList Pieces { get; init; }

    /// <summary>A score for each piece, or null; natural logarithms for <see cref="TokenizerModelKind.Unigram"/>, an order for <see cref="TokenizerModelKind.SentencePiece"/>.</summary>
    public float[]? Scores { get; init; }

    /// <summary>The kind of each piece as GGUF numbers it (see <see cref="TokenKind"/>), or null where all are normal. Other numbers count as undefined.</summary>
    public int[]? Kinds { get; init; }

    /// <summary>The merges, best first, as left and right half in turn (two entries a merge); needed by the byte-pair kinds.</summary>
    public PieceList? Merges { get; init; }

    /// <summary>The name of the pre-tokenizer (<c>tokenizer.ggml.pre</c>); null or unknown gives the default one and a warning.</summary>
    public string? PreTokenizer { get; init; }

    /// <summary>The token at the start of a text.</summary>
    public int? BosId { get; init; }

    /// <summary>The token at the end of a text.</summary>
    public int? EosId { get; init; }

    /// <summary>The token at the end of a turn.</summary>
    public int? EotId { get; init; }

    /// <summary>The token at the end of a message of a longer turn.</summary>
    public int? EomId { get; init; }

    /// <summary>The token for what has no piece.</summary>
    public int? UnkId { get; init; }

    /// <summary>The token between two texts; BERT's end.</summary>
    public int? SepId { get; init; }

    /// <summary>The token that fills up a batch.</summary>
    public int? PadId { get; init; }

    /// <summary>The token that stands for a hidden piece.</summary>
    public int? MaskId { get; init; }

    /// <summary>The tokens around a text with a hole in it.</summary>
    public NamedHoleTokens Hole { get; init; } = new();

    /// <summary>BERT's token at the start, where it is not <see cref="BosId"/>.</summary>
    public int? ClsId { get; init; }

    /// <summary>Whether <see cref="BosId"/> is put before a text.</summary>
    public bool? AddBos { get; init; }

    /// <summary>Whether <see cref="EosId"/> is put after a text.</summary>
    public bool? AddEos { get; init; }

    /// <summary>Whether <see cref="SepId"/> is put after a text.</summary>
    public bool? AddSep { get; init; }

    /// <summary>Whether a space is put before each stretch of text (SentencePiece, unigram).</summary>
    public bool? AddSpacePrefix { get; init; }

    /// <summary>Whether runs of spaces count as one and those at the ends as none (unigram).</summary>
    public bool? RemoveExtraWhitespaces { get; init; }

    /// <summary>Whether WordPiece lowers case; true where the file does not say.</summary>
    public bool? Lowercase { get; init; }

    /// <summary>Whether WordPiece drops accents; as <see cref="Lowercase"/> where the file does not say.</summary>
    public bool? StripAccents { get; init; }

    /// <summary>SentencePiece's compiled normalisation rules, or null for none.</summary>
    public byte[]? PrecompiledCharsMap { get; init; }

    /// <summary>Ids of added tokens that swallow the white space before them.</summary>
    public IReadOnlyList<int> TokensStrippingLeft { get; init; } = [];

    /// <summary>Ids of added tokens that swallow the white space after them (Phi-3's).</summary>
    public IReadOnlyList<int> TokensStrippingRight { get; init; } = [];

    /// <summary>Whether every added token but <c>&lt;unk&gt;</c>, <c>&lt;s&gt;</c> and <c>&lt;|endoftext|&gt;</c> swallows the white space after it, as in Phi-3's files, which do not say so.</summary>
    public bool AddedTokensStripRight { get; init; }
}

/// <summary>The tokens of a text with a hole in it that a file names; null where they are found by their spelling, or there are none.</summary>
/// <param name="Prefix">Before the text before the hole.</param>
/// <param name="Suffix">Before the text after it.</param>
/// <param name="Middle">Before what fills it.</param>
/// <param name="Padding">Fills up a batch of such texts.</param>
/// <param name="Repository">Before the name of a repository.</param>
/// <param name="File">Before the name of another file.</param>
public sealed record NamedHoleTokens(int? Prefix = null, int? Suffix = null, int? Middle = null, int? Padding = null, int? Repository = null, int? File = null)
{
    /// <summary>All of them, in this order.</summary>
    internal int?[] All => [Prefix, Suffix, Middle, Padding, Repository, File];

    /// <summary>The same with other ids.</summary>
    internal NamedHoleTokens With(Func<int?, int?> change) => new(change(Prefix), change(Suffix), change(Middle), change(Padding), change(Repository), change(File));
}
