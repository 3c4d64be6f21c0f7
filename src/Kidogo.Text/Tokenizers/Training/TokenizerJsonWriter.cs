// Writes tokenizer.json and tokenizer_config.json as Hugging Face's tokenizers reads them. Knows not how pieces were found.
using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Text.Tokenizers.Training;

/// <summary>A piece of the unigram kind.</summary>
/// <param name="Text">Its characters, <c>▁</c> for a space.</param>
/// <param name="Score">The natural logarithm of its probability; exactly a float32, which is what GGUF stores.</param>
internal readonly record struct ScoredPiece(string Text, float Score);

/// <summary>Puts what was trained into files.</summary>
internal static class TokenizerJsonWriter
{
    /// <summary>Byte-level byte-pair encoding: Split by the pattern, ByteLevel, BPE, ByteLevel.</summary>
    public static TrainedTokenizer Bpe(MergedVocabulary vocabulary, TokenizerTrainingOptions options, TokenizerTrainingReport report)
    {
        int special = options.SpecialTokens.Count;
        string[] pieces = new string[special + vocabulary.Pieces.Count];
        ByteBuffer spelling = new();
        for (int id = 0; id < pieces.Length; id++)
        {
            spelling.Clear();
            if (id >= special)
            {
                ByteAlphabet.Spell(vocabulary.Pieces[id - special], spelling);
            }

            pieces[id] = id < special ? options.SpecialTokens[id] : Encoding.UTF8.GetString(spelling.Span);
        }

        byte[] file = Write(json =>
        {
            WriteHead(json, options.SpecialTokens);
            json.WriteNull("normalizer");
            json.WriteStartObject("pre_tokenizer");
            json.WriteString("type", "Sequence");
            json.WriteStartArray("pretokenizers");
            json.WriteStartObject();
            json.WriteString("type", "Split");
            json.WriteStartObject("pattern");
            json.WriteString("Regex", ByteLevelCutter.Pattern);
            json.WriteEndObject();
            json.WriteString("behavior", "Isolated");
            json.WriteBoolean("invert", false);
            json.WriteEndObject();
            json.WriteStartObject();
            WriteByteLevel(json);
            json.WriteEndObject();
            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteStartObject("post_processor");
            WriteByteLevel(json);
            json.WriteEndObject();
            json.WriteStartObject("decoder");
            WriteByteLevel(json);
            json.WriteEndObject();
            json.WriteStartObject("model");
            json.WriteString("type", "BPE");
            json.WriteNull("dropout");
            json.WriteNull("unk_token");
            json.WriteNull("continuing_subword_prefix");
            json.WriteNull("end_of_word_suffix");
            json.WriteBoolean("fuse_unk", false);
            json.WriteBoolean("byte_fallback", false);
            json.WriteBoolean("ignore_merges", false);
            json.WriteStartObject("vocab");
            for (int id = 0; id < pieces.Length; id++)
            {
                json.WriteNumber(pieces[id], id);
            }

            json.WriteEndObject();
            json.WriteStartArray("merges");
            foreach ((int left, int right) in vocabulary.Merges)
            {
                json.WriteStringValue($"{pieces[left]} {pieces[right]}"); // the form that every version reads; no piece has a space in this alphabet
            }

            json.WriteEndArray();
            json.WriteEndObject();
        });
        return new TrainedTokenizer(TokenizerKind.Bpe, file, Config(options, options.SpecialTokens, null), Template(options), report);
    }

    /// <summary>Unigram with byte fallback: Metaspace, Unigram, then bytes and spaces put back.</summary>
    /// <param name="special">Special tokens in the order of their ids, the unknown one first.</param>
    /// <param name="pieces">The pieces after the special tokens and the 256 bytes.</param>
    /// <param name="byteScore">The score of the tokens of bytes.</param>
    /// <param name="options">Settings.</param>
    /// <param name="report">What it was trained on.</param>
    public static TrainedTokenizer Unigram(IReadOnlyList<string> special, IReadOnlyList<ScoredPiece> pieces, float byteScore, TokenizerTrainingOptions options,
        TokenizerTrainingReport report)
    {
        byte[] file = Write(json =>
        {
            WriteHead(json, special);
            json.WriteNull("normalizer");
            json.WriteStartObject("pre_tokenizer");
            WriteMetaspace(json);
            json.WriteEndObject();
            json.WriteNull("post_processor");
            json.WriteStartObject("decoder");
            json.WriteString("type", "Sequence");
            json.WriteStartArray("decoders");
            json.WriteStartObject();
            json.WriteString("type", "Replace");
            json.WriteStartObject("pattern");
            json.WriteString("String", "▁");
            json.WriteEndObject();
            json.WriteString("content", " ");
            json.WriteEndObject();
            json.WriteStartObject();
            json.WriteString("type", "ByteFallback");
            json.WriteEndObject();
            json.WriteStartObject();
            json.WriteString("type", "Fuse");
            json.WriteEndObject();
            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteStartObject("model");
            json.WriteString("type", "Unigram");
            json.WriteNumber("unk_id", 0);
            json.WriteStartArray("vocab");
            foreach (string token in special)
            {
                WriteScored(json, token, 0);
            }

            for (int value = 0; value < 256; value++)
            {
                WriteScored(json, $"<0x{value:X2}>", byteScore);
            }

            foreach (ScoredPiece piece in pieces)
            {
                WriteScored(json, piece.Text, piece.Score);
            }

            json.WriteEndArray();
            json.WriteBoolean("byte_fallback", true);
            json.WriteEndObject();
        });
        return new TrainedTokenizer(TokenizerKind.Unigram, file, Config(options, special, TokenizerTrainingOptions.Unknown), Template(options), report);
    }

    private static byte[] Write(Action<Utf8JsonWriter> body)
    {
        ArrayBufferWriter<byte> output = new(1 << 16);
        using (Utf8JsonWriter json = new(output,
            new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, NewLine = "\n" }))
        {
            json.WriteStartObject();
            body(json);
            json.WriteEndObject();
        }

        output.Write("\n"u8);
        return output.WrittenSpan.ToArray();
    }

    private static void WriteHead(Utf8JsonWriter json, IReadOnlyList<string> special)
    {
        json.WriteString("version", "1.0");
        json.WriteNull("truncation");
        json.WriteNull("padding");
        json.WriteStartArray("added_tokens");
        for (int id = 0; id < special.Count; id++)
        {
            json.WriteStartObject();
            json.WriteNumber("id", id);
            WriteAdded(json, special[id]);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteAdded(Utf8JsonWriter json, string token)
    {
        json.WriteString("content", token);
        json.WriteBoolean("single_word", false);
        json.WriteBoolean("lstrip", false);
        json.WriteBoolean("rstrip", false);
        json.WriteBoolean("normalized", false);
        json.WriteBoolean("special", true);
    }

    private static void WriteByteLevel(Utf8JsonWriter json)
    {
        json.WriteString("type", "ByteLevel");
        json.WriteBoolean("add_prefix_space", false);
        json.WriteBoolean("trim_offsets", false);
        json.WriteBoolean("use_regex", false);
    }

    private static void WriteMetaspace(Utf8JsonWriter json)
    {
        json.WriteString("type", "Metaspace");
        json.WriteString("replacement", "▁");
        json.WriteString("prepend_scheme", "never");
        json.WriteBoolean("split", true);
    }

    private static void WriteScored(Utf8JsonWriter json, string piece, float score)
    {
        json.WriteStartArray();
        json.WriteStringValue(piece);
        json.WriteNumberValue((double)score);
        json.WriteEndArray();
    }

    private static byte[] Config(TokenizerTrainingOptions options, IReadOnlyList<string> special, string? unknown) => Write(json =>
    {
        json.WriteStartObject("added_tokens_decoder");
        for (int id = 0; id < special.Count; id++)
        {
            json.WriteStartObject(id.ToString(System.Globalization.CultureInfo.InvariantCulture));
            WriteAdded(json, special[id]);
            json.WriteEndObject();
        }

        json.WriteEndObject();
        json.WriteString("bos_token", options.BosToken);
        json.WriteBoolean("clean_up_tokenization_spaces", false);
        json.WriteString("eos_token", options.EosToken);
        json.WriteString("pad_token", options.PadToken);
        json.WriteString("tokenizer_class", "PreTrainedTokenizerFast");
        json.WriteString("unk_token", unknown);
    });

    private static string? Template(TokenizerTrainingOptions options) => options.ChatTemplate ? BuiltInChatTemplates.Find("chatml") : null;
}
