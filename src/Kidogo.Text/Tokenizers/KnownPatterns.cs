// The patterns that are matched by hand, by their text, and those that have names in GGUF files. Knows no ids.
using System.Globalization;
using Kidogo.Text.Unicode;

namespace Kidogo.Text.Tokenizers;

/// <summary>Finds the matcher for a pattern's text; what is not well known is compiled.</summary>
internal static class KnownPatterns
{
    private const string ContractionsGpt2 = "'s|'t|'re|'ve|'m|'ll|'d";
    private const string ContractionsFolded = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
    private const string ContractionsAscii = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
    private const string Gpt2Body = "| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)";
    private const string Llama3Word = "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|";
    private const string Llama3Tail = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    private const string SlashTail = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    private const string Upper = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]", Lower = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]", Lead = "[^\\r\\n\\p{L}\\p{N}]?";
    private const string DeepSeekWords = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    // Letters of bicameral scripts, as DeepSeek lists them; escaped, since some are equal to others under normalisation.
    private const string Latin = "[A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370-\u0373\u0376\u0377\u037B-\u037D"
        + "\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-"
        + "\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-"
        + "\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-"
        + "\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139"
        + "\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-"
        + "\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\U00010400-\U0001044F\U000104B0-"
        + "\U000104D3\U000104D8-\U000104FB\U00010C80-\U00010CB2\U00010CC0-\U00010CF2\U000118A0-\U000118DF\U0001E900-\U0001E943]+";
    private const string Cjk = "[一-龥\u0800-一가-\uD7FF]+";

    /// <summary>The matcher of a pattern.</summary>
    /// <exception cref="TokenizerFormatException">The pattern cannot be read.</exception>
    public static TextPattern Of(string pattern) => pattern switch
    {
        ContractionsGpt2 + Gpt2Body or ContractionsGpt2 + Gpt2Body + "|\\s+" => Gpt2(),
        ContractionsFolded + Llama3Word + "\\p{N}{1,3}" + Llama3Tail => Llama3(Contractions.Folded, 3),
        ContractionsFolded + Llama3Word + "\\p{N}" + Llama3Tail => Llama3(Contractions.Folded, 1),
        ContractionsFolded + Llama3Word + "\\p{N}+" + Llama3Tail => Llama3(Contractions.Folded, int.MaxValue),
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+" =>
            new ShapePattern { Shape = WordShape.Llama3, Contractions = Contractions.Folded, MaxDigits = 1, MarksAreLetters = true },
        Lead + Upper + "*" + Lower + "+" + ContractionsFolded + "?|" + Lead + Upper + "+" + Lower + "*" + ContractionsFolded + "?|\\p{N}{1,3}" + SlashTail =>
            Gpt4o(Contractions.Folded, 3, CaseRule.Unicode),
        Lead + Upper + "*" + Lower + "+|" + Lead + Upper + "+" + Lower + "*|\\p{N}" + SlashTail => Gpt4o(Contractions.None, 1, CaseRule.Unicode),
        "\\p{N}" or "\\p{N}{1}" => Numbers(1),
        "\\p{N}{1,3}" => Numbers(3),
        "\\p{N}+" => Numbers(int.MaxValue),
        "\\d{1,3}(?=(?:\\d{3})*\\b)" => new DigitGroupPattern(DigitGroups.BeforeBoundary),
        "(?=(\\d{3})+(?!\\d))" => new DigitGroupPattern(DigitGroups.Any),
        _ => new RegexPattern(new CodePointRegex(pattern)),
    };

    /// <summary>The pre-tokenizer that GGUF files mean by a name (<c>tokenizer.ggml.pre</c>), or null for a name that is not known.</summary>
    /// <remarks>The names and patterns are those that llama.cpp accepts; each pattern cuts what the one before it left.</remarks>
    public static TextPattern[]? OfName(string name) => name switch
    {
        "llama3" or "llama-v3" or "llama-bpe" or "falcon3" or "falcon-h1" or "pixtral" or "midm-2.0" or "lfm2" or "jina-v5-nano"
            or "dbrx" or "smaug-bpe" or "glm4" or "chatglm-bpe" => [Llama3(Contractions.AnyCase, 3)],
        "qwen2" or "deepseek-r1-qwen" or "kormo" or "f2llmv2" or "stablelm2" or "megrez" or "hunyuan" or "grok-2" or "solar-open" => [Llama3(Contractions.AnyCase, 1)],
        "gpt-2" or "phi-2" or "jina-es" or "jina-de" or "gigachat" or "jina-v2-es" or "jina-v2-de" or "a.x-4.0" or "mellum" or "modern-bert" or "jina-v1-en" or "jina-v2-code"
            or "roberta-bpe" or "mpt" or "olmo" or "jais" or "trillion" or "granite-docling" or "exaone4" or "gpt-neox" => [Gpt2()],
        "starcoder" or "refact" or "command-r" or "smollm" or "codeshell" or "exaone" or "minerva-7b" or "mellum2" => [Numbers(1), Gpt2()],
        _ => OfRareName(name),
    };

    // Apart from the others, since a program that starts compiles what it calls.
    private static TextPattern[]? OfRareName(string name) => name switch
    {
        "qwen35" => [new ShapePattern { Shape = WordShape.Llama3, Contractions = Contractions.AnyCase, MaxDigits = 1, MarksAreLetters = true }],
        "ufakzeka" => [Llama3(Contractions.None, 1)],
        "minicpm5" => [Numbers(3), Llama3(Contractions.AnyCase, int.MaxValue)],
        "laguna" => [Of("[^\\n]+|[\\n]+"), Llama3(Contractions.AnyCase, 1)],
        "seed-coder" => [new ShapePattern { Shape = WordShape.Llama3, Contractions = Contractions.AnyCase, MaxDigits = 1, NewlineAfterPunctuation = false }],
        "bailingmoe" or "bailingmoe2" or "llada-moe" =>
            [Of("'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+")],
        "exaone-moe" =>
            [Of(ContractionsAscii + "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+")],
        "jais-2" => [Of(ContractionsAscii + Llama3Word + "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)"
            + "|\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s{1}")],
        "falcon" => [Of("[\\p{P}\\$\\+<=>\\^~\\|`]+"), Gpt2(), Of("[0-9][0-9][0-9]")],
        "deepseek-llm" => [Of("[\\r\\n]"), Of("\\s?" + Latin), Of("\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+"), Of("\\s+$"), Of(Cjk), Numbers(int.MaxValue)],
        "deepseek-coder" => [Of("[\\r\\n]"), Of("\\s?\\p{L}+"), Of("\\s?\\p{P}+"), Of(Cjk), Numbers(1)],
        "deepseek-v3" or "hunyuan-dense" or "joyai-llm" or "hy_v4" => [Numbers(3), Of("[一-龥぀-ゟ゠-ヿ]+"), Of(DeepSeekWords)],
        "spark2_5" => [Numbers(3), Of("[一-龥぀-ゟ゠-ヿ]+"), Of(DeepSeekWords.Replace("]+[\\r\\n]*|\\s*[\\r\\n]+|", "]+|[\\r\\n]|", StringComparison.Ordinal)), Numbers(1)],
        "afmoe" => [new DigitGroupPattern(DigitGroups.WithTextBefore), Of("[一-鿿㐀-䶿豈-\uFAFF぀-ゟ゠-ヿ･-ﾟ⼀-\u2FDFเ-\u0E7F\u0E80-\u0EFFក-\u17FFက-႟ꩠ-ꩿꧠ-\uA9FF가-\uD7AFᄀ-ᇿ]+"),
            Of(DeepSeekWords)],
        "youtu" => [Of("[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+"), Gpt4o(Contractions.AnyCase, 1, CaseRule.None)],
        "poro-chat" or "bloom" or "gpt3-finnish" => [Bloom()],
        "viking" => [Bloom(), Numbers(1)],
        "tekken" => [Gpt4o(Contractions.None, 1, CaseRule.AsciiLetters)],
        "gpt-4o" or "llama4" or "kanana2" or "talkie" or "minimax-m2" => [Gpt4o(Contractions.AnyCase, 3, CaseRule.AsciiLetters)],
        "granite-embed-multi-97m" => [Gpt4o(Contractions.AnyCase, 3, CaseRule.AsciiLettersAndMarks)],
        "tiny_aya" or "cohere2moe" => [new DigitGroupPattern(DigitGroups.WithTextBefore), Gpt4o(Contractions.AnyCase, 3, CaseRule.None)],
        "superbpe" => [Numbers(int.MaxValue), new DigitGroupPattern(DigitGroups.Any)],
        "kimi-k2" => [Of("[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}&&[^\\p{Han}]]+" + ContractionsFolded + "?|\\p{N}{1,3}" + Llama3Tail)],
        "chameleon" => [Of("<sentinel:[0-9]+>"), Of("(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z"), Of("([\\t\\n]|    |  )"), Numbers(1), Of("[\\p{P}!-/:-@\\[-`{-~]"), Gpt2()],
        "gemma4" or "granite-embed-multi-311m" or "sarvam-moe" => [Of("[^\\n]+|[\\n]+")],
        "whitespace" => [Of("\\S+")],
        "default" => [Of("[\\p{P}\\$\\+<=>\\^~\\|]+"), Gpt2(), Numbers(int.MaxValue), Of("[0-9][0-9][0-9]")],
        _ => null,
    };

    /// <summary>Whether a word that is a piece is that piece, for the vocabularies of this pre-tokenizer.</summary>
    public static bool IgnoresMerges(string? name) => name is "llama3" or "llama-v3" or "llama-bpe" or "falcon3" or "falcon-h1" or "pixtral" or "midm-2.0" or "lfm2" or "jina-v5-nano"
        or "tekken" or "youtu" or "minicpm5" or "granite-embed-multi-97m";

    /// <summary>Whether a start token is added where the file does not say.</summary>
    public static bool AddsBos(string? name) => name is "llama3" or "llama-v3" or "llama-bpe" or "falcon3" or "falcon-h1" or "pixtral" or "midm-2.0" or "lfm2" or "jina-v5-nano" or "tekken" or "chameleon";

    /// <summary>Whether pieces are plain UTF-8 with <c>▁</c> for a space, not GPT-2's alphabet of bytes.</summary>
    public static bool IsPlain(string? name) => name is "gemma4" or "granite-embed-multi-311m" or "sarvam-moe" or "whitespace";

    /// <summary>The start of Punctuation as tokenizer.json and BERT mean it: ASCII's, and Unicode's category.</summary>
    public static bool IsPunctuation(int codePoint) => codePoint switch
    {
        (>= 33 and <= 47) or (>= 58 and <= 64) or (>= 91 and <= 96) or (>= 123 and <= 126) => true,
        < 128 => false,
        _ => (CodePoints.CategoryBit(codePoint) & CodePoints.Punctuation) != 0,
    };

    /// <summary>Whether a mark is of the kind that StripAccents drops.</summary>
    public static bool IsMark(int codePoint) => CodePoints.IsMark(codePoint);

    /// <summary>Whether a mark takes no room of its own.</summary>
    public static bool IsNonSpacingMark(int codePoint) => codePoint >= 0x300 && CharUnicodeInfo.GetUnicodeCategory(codePoint) == UnicodeCategory.NonSpacingMark;

    /// <summary>GPT-2's pattern.</summary>
    public static ShapePattern Gpt2() => new() { Shape = WordShape.Gpt2, Contractions = Contractions.LowerCase };

    private static ShapePattern Llama3(Contractions contractions, int maxDigits) => new() { Shape = WordShape.Llama3, Contractions = contractions, MaxDigits = maxDigits };

    private static ShapePattern Gpt4o(Contractions contractions, int maxDigits, CaseRule rule) =>
        new() { Shape = WordShape.Gpt4o, Contractions = contractions, MaxDigits = maxDigits, SlashAfterPunctuation = true, CaseRule = rule };

    private static ClassPattern Numbers(int longest) => new(CodePoints.IsNumber, longest);

    private static TextPattern Bloom() => Of(" ?[^(\\s|.,!?…。，、।۔،)]+");
}
