// Normalisers, pre-tokenizers, decoders and post-processors as tokenizer.json describes them. Knows no vocabulary but by a look-up.
using System.Text;
using System.Text.Json;
using Kidogo.Text.Unicode;

namespace Kidogo.Text.Tokenizers;

/// <summary>Makes the steps of tokenizer.json's pipeline from their descriptions.</summary>
internal static class TokenizerJsonSteps
{
    private const int MaxSteps = 256;

    public static Normalizer NormalizerOf(JsonElement json)
    {
        List<Normalizer> steps = [];
        AddNormalizers(json, steps);
        return steps.Count == 1 ? steps[0] : new SequenceNormalizer(steps);
    }

    /// <summary>The steps in order. ByteLevel at the very end stays out if <paramref name="modelSpells"/> and is reported by <paramref name="rawBytes"/>.</summary>
    public static PreTokenizer? PreTokenizerOf(JsonElement json, bool modelSpells, out bool rawBytes)
    {
        List<PreTokenizer> steps = [];
        AddPreTokenizers(json, steps);
        rawBytes = modelSpells && steps.Count > 0 && steps[^1] is SpellingPreTokenizer && steps.Count(step => step is SpellingPreTokenizer) == 1;
        if (rawBytes)
        {
            steps.RemoveAt(steps.Count - 1);
        }

        return steps.Count switch
        {
            0 => null,
            1 => steps[0],
            _ => new SequencePreTokenizer(steps),
        };
    }

    public static PieceDecoder DecoderOf(JsonElement? json)
    {
        List<DecoderStep> steps = [];
        if (json is { } decoder)
        {
            AddDecoders(decoder, steps);
        }
        else
        {
            steps.Add(new DecoderStep.Join());
        }

        return steps is [DecoderStep.ByteLevel] ? new ByteLevelPieceDecoder() : new ChainDecoder(steps);
    }

    /// <summary>Puts what a post-processor adds round a text around <paramref name="prefix"/> and <paramref name="suffix"/>; false if it adds nothing at all by its nature.</summary>
    public static bool AddSurroundings(JsonElement json, Vocabulary vocabulary, List<int> prefix, List<int> suffix)
    {
        CheckCount(prefix.Count + suffix.Count);
        switch (Type(json))
        {
            case "Sequence":
                bool any = false;
                foreach (JsonElement part in json.Items("processors"))
                {
                    any |= AddSurroundings(part, vocabulary, prefix, suffix);
                }

                return any;
            case "ByteLevel":
                return false;
            case "BertProcessing" or "RobertaProcessing":
                prefix.Insert(0, IdOfPair(json, "cls", vocabulary));
                suffix.Add(IdOfPair(json, "sep", vocabulary));
                return true;
            case "TemplateProcessing":
                AddTemplate(json, vocabulary, prefix, suffix);
                return true;
            default:
                throw Unknown("post-processor", Type(json));
        }
    }

    private static string Type(JsonElement json) => json.Required("type").AsText("type");

    private static TokenizerFormatException Unknown(string what, string type) => new($"The {what} '{(type.Length > 60 ? type[..60] : type)}' is not known.");

    private static void CheckCount(int count)
    {
        if (count > MaxSteps)
        {
            throw new TokenizerFormatException($"There are more than {MaxSteps} steps in a sequence.");
        }
    }

    private static void AddNormalizers(JsonElement json, List<Normalizer> steps)
    {
        CheckCount(steps.Count);
        switch (Type(json))
        {
            case "Sequence":
                foreach (JsonElement part in json.Items("normalizers"))
                {
                    AddNormalizers(part, steps);
                }

                break;
            case "NFC":
                steps.Add(new UnicodeNormalizer(compatibility: false, compose: true));
                break;
            case "NFD":
                steps.Add(new UnicodeNormalizer(compatibility: false, compose: false));
                break;
            case "NFKC":
                steps.Add(new UnicodeNormalizer(compatibility: true, compose: true));
                break;
            case "NFKD":
                steps.Add(new UnicodeNormalizer(compatibility: true, compose: false));
                break;
            case "Lowercase":
                steps.Add(new LowercaseNormalizer());
                break;
            case "Strip" or "StripNormalizer":
                steps.Add(new StripNormalizer(json.Flag("strip_left", true), json.Flag("strip_right", true)));
                break;
            case "StripAccents":
                steps.Add(new DropNormalizer(KnownPatterns.IsMark));
                break;
            case "Replace":
                (string? literal, string? regex) = PatternOf(json.Required("pattern"));
                steps.Add(new ReplaceNormalizer(literal ?? "", regex is null ? null : new CodePointRegex(regex), json.Required("content").AsText("content")));
                break;
            case "Prepend":
                steps.Add(new PrependNormalizer(json.Required("prepend").AsText("prepend")));
                break;
            case "BertNormalizer":
                bool lower = json.Flag("lowercase", true);
                steps.Add(new BertNormalizer(json.Flag("clean_text", true), json.Flag("handle_chinese_chars", true), json.Flag("strip_accents", lower), lower));
                break;
            case "Precompiled":
                if (json.Text("precompiled_charsmap") is { Length: > 0 } map)
                {
                    steps.Add(new PrecompiledNormalizer(new PrecompiledCharsMap(Base64(map))));
                }

                break;
            case "Nmt":
                steps.Add(new NmtNormalizer());
                break;
            case "ByteLevel":
                steps.Add(new ByteLevelNormalizer());
                break;
            default:
                throw Unknown("normalizer", Type(json));
        }
    }

    private static byte[] Base64(string text)
    {
        byte[] bytes = new byte[(text.Length / 4 * 3) + 3];
        return Convert.TryFromBase64String(text, bytes, out int written) ? bytes[..written] : throw new TokenizerFormatException("'precompiled_charsmap' is not base 64.");
    }

    private static void AddPreTokenizers(JsonElement json, List<PreTokenizer> steps)
    {
        CheckCount(steps.Count);
        switch (Type(json))
        {
            case "Sequence":
                foreach (JsonElement part in json.Items("pretokenizers"))
                {
                    AddPreTokenizers(part, steps);
                }

                break;
            case "ByteLevel":
                if (json.Flag("add_prefix_space", true))
                {
                    steps.Add(new SpacePrefixPreTokenizer());
                }

                if (json.Flag("use_regex", true))
                {
                    steps.Add(new SplitPreTokenizer(KnownPatterns.Gpt2(), SplitBehavior.Isolated));
                }

                steps.Add(new SpellingPreTokenizer());
                break;
            case "Split":
                (string? literal, string? regex) = PatternOf(json.Required("pattern"));
                TextPattern pattern = regex is null ? new LiteralPattern(Encoding.UTF8.GetBytes(literal!)) : KnownPatterns.Of(regex);
                steps.Add(new SplitPreTokenizer(pattern, BehaviorOf(json), json.Flag("invert", false)));
                break;
            case "Whitespace":
                // \w+|[^\w\s]+: words and runs of the rest, white space dropped.
                steps.Add(new SplitPreTokenizer(new ClassPattern(CodePoints.IsSpace, int.MaxValue), SplitBehavior.Removed));
                steps.Add(new SplitPreTokenizer(new ClassPattern(CodePoints.IsWord, int.MaxValue), SplitBehavior.Isolated));
                break;
            case "WhitespaceSplit":
                steps.Add(new SplitPreTokenizer(new ClassPattern(CodePoints.IsSpace, int.MaxValue), SplitBehavior.Removed));
                break;
            case "Digits":
                steps.Add(new SplitPreTokenizer(new ClassPattern(CodePoints.IsNumber, json.Flag("individual_digits", false) ? 1 : int.MaxValue), SplitBehavior.Isolated));
                break;
            case "Punctuation":
                steps.Add(new SplitPreTokenizer(new ClassPattern(KnownPatterns.IsPunctuation, 1), BehaviorOf(json)));
                break;
            case "BertPreTokenizer":
                steps.Add(DefinitionBuilder.BertWords());
                break;
            case "CharDelimiterSplit":
                string delimiter = json.Required("delimiter").AsText("delimiter");
                steps.Add(new SplitPreTokenizer(new LiteralPattern(Encoding.UTF8.GetBytes(delimiter)), SplitBehavior.Removed));
                break;
            case "Metaspace":
                steps.Add(new MetaspacePreTokenizer(Marker(json), SchemeOf(json), json.Flag("split", true)));
                break;
            case "FixedLength":
                steps.Add(new FixedLengthPreTokenizer(json.Int("length", 1, int.MaxValue) ?? 5));
                break;
            default:
                throw Unknown("pre-tokenizer", Type(json));
        }
    }

    private static string Marker(JsonElement json) => json.Text("replacement") is { Length: > 0 } marker ? marker : "▁";

    private static PrependScheme SchemeOf(JsonElement json) => json.Text("prepend_scheme") switch
    {
        "always" => PrependScheme.Always,
        "first" => PrependScheme.First,
        "never" => PrependScheme.Never,
        null => json.Flag("add_prefix_space", true) ? PrependScheme.Always : PrependScheme.Never,
        string other => throw Unknown("prepend scheme", other),
    };

    private static SplitBehavior BehaviorOf(JsonElement json) => json.Text("behavior") switch
    {
        null or "Isolated" => SplitBehavior.Isolated,
        "Removed" => SplitBehavior.Removed,
        "MergedWithPrevious" => SplitBehavior.MergedWithPrevious,
        "MergedWithNext" => SplitBehavior.MergedWithNext,
        "Contiguous" => SplitBehavior.Contiguous,
        string other => throw Unknown("behavior of a split", other),
    };

    private static (string? Literal, string? Regex) PatternOf(JsonElement json) => json.ValueKind == JsonValueKind.String
        ? (json.GetString(), null)
        : json.Text("Regex") is { } regex ? (null, regex) : (json.Required("String").AsText("String"), null);

    private static void AddDecoders(JsonElement json, List<DecoderStep> steps)
    {
        CheckCount(steps.Count);
        switch (Type(json))
        {
            case "Sequence":
                foreach (JsonElement part in json.Items("decoders"))
                {
                    AddDecoders(part, steps);
                }

                break;
            case "ByteLevel":
                steps.Add(new DecoderStep.ByteLevel());
                break;
            case "ByteFallback":
                steps.Add(new DecoderStep.ByteFallback());
                break;
            case "Fuse":
                steps.Add(new DecoderStep.Fuse());
                break;
            case "Replace":
                (string? literal, string? regex) = PatternOf(json.Required("pattern"));
                if (regex is not null)
                {
                    throw new TokenizerFormatException("A decoder that replaces a regular expression is not understood; expected a string.");
                }

                steps.Add(new DecoderStep.Replace(Encoding.UTF8.GetBytes(literal!), Encoding.UTF8.GetBytes(json.Required("content").AsText("content"))));
                break;
            case "Strip":
                steps.Add(new DecoderStep.Strip(Encoding.UTF8.GetBytes(json.Required("content").AsText("content")), json.Int("start", 0, int.MaxValue) ?? 0, json.Int("stop", 0, int.MaxValue) ?? 0));
                break;
            case "Metaspace":
                steps.Add(new DecoderStep.Metaspace(Encoding.UTF8.GetBytes(Marker(json)), SchemeOf(json) != PrependScheme.Never));
                break;
            case "WordPiece":
                steps.Add(new DecoderStep.WordPiece(new WordPieceDecoder(json.Text("prefix") ?? "##", prefixBeginsWord: false, json.Flag("cleanup", true))));
                break;
            case "BPEDecoder":
                steps.Add(new DecoderStep.Suffix(Encoding.UTF8.GetBytes(json.Text("suffix") ?? "</w>")));
                break;
            case "CTC":
                steps.Add(new DecoderStep.Ctc(Encoding.UTF8.GetBytes(json.Text("pad_token") ?? "<pad>"), Encoding.UTF8.GetBytes(json.Text("word_delimiter_token") ?? "|"), json.Flag("cleanup", true)));
                break;
            default:
                throw Unknown("decoder", Type(json));
        }
    }

    private static int IdOfPair(JsonElement json, string name, Vocabulary vocabulary)
    {
        JsonElement[] pair = [.. json.Items(name)];
        return pair.Length == 2 ? pair[1].AsInt(name, 0, vocabulary.Count - 1) : throw new TokenizerFormatException($"'{name}' has {pair.Length} elements; expected a token and its id.");
    }

    private static void AddTemplate(JsonElement json, Vocabulary vocabulary, List<int> prefix, List<int> suffix)
    {
        JsonElement? tokens = json.Member("special_tokens");
        List<int> before = [];
        bool afterText = false;
        foreach (JsonElement part in json.Items("single"))
        {
            if (part.Member("Sequence") is not null)
            {
                afterText = true;
                continue;
            }

            string name = part.Required("SpecialToken").Required("id").AsText("id");
            if (tokens?.Member(name) is not { } token)
            {
                throw new TokenizerFormatException($"The template names the special token '{name}', which it does not describe.");
            }

            foreach (JsonElement id in token.Items("ids"))
            {
                (afterText ? suffix : before).Add(id.AsInt("ids", 0, vocabulary.Count - 1));
                CheckCount(suffix.Count + before.Count);
            }
        }

        prefix.InsertRange(0, before);
    }
}
