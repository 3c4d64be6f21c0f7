// Vocabularies small enough to reason about.
using System.Text;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Tests.Text.Tokenizers;

internal static class SmallVocabularies
{
    /// <summary>256 bytes in GPT-2's alphabet, merges for "hello" and runs of a, then control token "&lt;|x|&gt;" and user-defined "&lt;u&gt;".</summary>
    public static TokenizerDefinition ByteLevel(string? pre = "gpt-2")
    {
        PieceList pieces = new(), merges = new();
        List<int> kinds = [];
        for (int value = 0; value < 256; value++)
        {
            pieces.Add(new Rune(ByteAlphabet.CodePointOf((byte)value)).ToString());
            kinds.Add((int)TokenKind.Normal);
        }

        foreach (string merge in new[] { "h e", "l l", "he ll", "hell o", "a a", "aa aa", "Ġ hello" })
        {
            merges.AddMerge(Encoding.UTF8.GetBytes(merge));
            pieces.Add(merge.Replace(" ", "", StringComparison.Ordinal));
            kinds.Add((int)TokenKind.Normal);
        }

        pieces.Add("<|x|>");
        kinds.Add((int)TokenKind.Control);
        pieces.Add("<u>");
        kinds.Add((int)TokenKind.UserDefined);
        return new TokenizerDefinition { Model = TokenizerModelKind.ByteLevelBytePair, Pieces = pieces, Merges = merges, Kinds = [.. kinds], PreTokenizer = pre };
    }

    public const int Control = 263;
    public const int UserDefined = 264;

    /// <summary>SentencePiece: unknown, start, end, 256 bytes, then a few pieces.</summary>
    public static TokenizerDefinition SentencePiece(params string[] pieces)
    {
        PieceList list = new();
        List<int> kinds = [2, 3, 3];
        list.Add("<unk>");
        list.Add("<s>");
        list.Add("</s>");
        for (int value = 0; value < 256; value++)
        {
            list.Add($"<0x{value:X2}>");
            kinds.Add((int)TokenKind.Byte);
        }

        foreach (string piece in pieces)
        {
            list.Add(piece);
            kinds.Add((int)TokenKind.Normal);
        }

        float[] scores = [.. Enumerable.Range(0, list.Count).Select(static id => -(float)id)];
        return new TokenizerDefinition { Model = TokenizerModelKind.SentencePiece, Pieces = list, Scores = scores, Kinds = [.. kinds] };
    }

    /// <summary>A tokenizer.json with every sort of step, small enough to mutate.</summary>
    public const string Json = """
        {"version":"1.0","truncation":null,"padding":null,
        "added_tokens":[{"id":9,"content":"<s>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true},
                        {"id":10,"content":"<u>","single_word":false,"lstrip":true,"rstrip":true,"normalized":true,"special":false}],
        "normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Lowercase"},{"type":"Replace","pattern":{"Regex":"\\s{2,}"},"content":" "},{"type":"Prepend","prepend":" "}]},
        "pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\p{N}{1,3}|(?i:ab)+(?!c)|[^\\r\\n]?\\p{L}+"},"behavior":"Isolated","invert":false},
                         {"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true}]},
        "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],
                          "special_tokens":{"<s>":{"id":"<s>","ids":[9],"tokens":["<s>"]}}},
        "decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},
        "model":{"type":"BPE","dropout":null,"unk_token":"<unk>","continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":true,"byte_fallback":true,
                 "vocab":{"<unk>":0,"a":1,"b":2,"c":3,"▁":4,"ab":5,"▁a":6,"<0x41>":7,"\u00e9":8},"merges":["a b",["▁","a"]]}}
        """;
}
