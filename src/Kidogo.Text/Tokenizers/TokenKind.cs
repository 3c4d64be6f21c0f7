// The kinds of tokens and of models, as GGUF numbers the former. Knows no vocabulary.
namespace Kidogo.Text.Tokenizers;

/// <summary>What a token is; the values are those of GGUF's <c>tokenizer.ggml.token_type</c>.</summary>
public enum TokenKind : byte
{
    /// <summary>Not said.</summary>
    Undefined = 0,

    /// <summary>A piece of text.</summary>
    Normal = 1,

    /// <summary>Stands for what has no token.</summary>
    Unknown = 2,

    /// <summary>Steers the model (begin of text, end of turn): text becomes such a token only where special tokens are asked for.</summary>
    Control = 3,

    /// <summary>Added by the vocabulary's author; always recognised in text, before anything else.</summary>
    UserDefined = 4,

    /// <summary>A filler that nothing becomes.</summary>
    Unused = 5,

    /// <summary>One byte, written <c>&lt;0xNN&gt;</c>.</summary>
    Byte = 6,
}

/// <summary>How text becomes pieces.</summary>
public enum TokenizerModelKind
{
    /// <summary>Byte-pair encoding over the visible spelling of bytes that GPT-2 introduced (<c>Ġ</c> is a space); GGUF <c>gpt2</c>.</summary>
    ByteLevelBytePair,

    /// <summary>Byte-pair encoding over characters, <c>▁</c> for a space and <c>&lt;0xNN&gt;</c> for what has no piece; GGUF <c>gemma4</c>.</summary>
    PlainBytePair,

    /// <summary>SentencePiece's BPE: the pair whose piece has the highest score is merged first, bytes for what has no piece; GGUF <c>llama</c>.</summary>
    SentencePiece,

    /// <summary>The likeliest segmentation under a unigram model; GGUF <c>t5</c>.</summary>
    Unigram,

    /// <summary>BERT's longest match from the left; GGUF <c>bert</c>, where pieces that begin a word begin with <c>▁</c>.</summary>
    WordPiece,
}
