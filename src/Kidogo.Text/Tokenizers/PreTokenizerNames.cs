// The steps of tokenizer.json that GGUF files mean by a name, and back. Knows the spellings, not what they do.
using System.Text.Json;

namespace Kidogo.Text.Tokenizers;

/// <summary>Recognises a pre-tokenizer by its steps.</summary>
internal static class PreTokenizerNames
{
    private const string Gpt2Step = "ByteLevel"; // its own pattern
    private const string DigitsStep = "Digits"; // one by one
    private const string FoldedContractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
    private const string AsciiContractions = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
    private const string Gpt2Regex = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
    private const string WordTail = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    private const string Word = "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|";
    private const string Upper = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]", Lower = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]", Lead = "[^\\r\\n\\p{L}\\p{N}]?";
    private const string SlashTail = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

    /// <summary>Steps with their name, for files that ignore merges where a word is a piece and for those that do not; the name for reading stands first.</summary>
    private static readonly (string[] Steps, string? Ignoring, string? Merging)[] s_known =
    [
        ([Gpt2Step], null, "gpt-2"),
        ([Gpt2Regex], null, "gpt-2"),
        ([DigitsStep, Gpt2Step], null, "smollm"),
        (["\\p{N}", Gpt2Regex], null, "smollm"),
        ([FoldedContractions + Word + "\\p{N}{1,3}" + WordTail], "llama-bpe", "dbrx"),
        ([AsciiContractions + Word + "\\p{N}{1,3}" + WordTail], "llama-bpe", "dbrx"),
        ([FoldedContractions + Word + "\\p{N}" + WordTail], null, "qwen2"),
        ([AsciiContractions + Word + "\\p{N}" + WordTail], null, "qwen2"),
        ([FoldedContractions + "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"], null, "qwen35"),
        ([Lead + Upper + "*" + Lower + "+" + FoldedContractions + "?|" + Lead + Upper + "+" + Lower + "*" + FoldedContractions + "?|\\p{N}{1,3}" + SlashTail], null, "gpt-4o"),
        ([Lead + Upper + "*" + Lower + "+|" + Lead + Upper + "+" + Lower + "*|\\p{N}" + SlashTail], "tekken", "tekken"),
    ];

    /// <summary>Names that mean the same as one that is written.</summary>
    private static readonly Dictionary<string, string> s_same = new(StringComparer.Ordinal)
    {
        ["llama3"] = "llama-bpe", ["llama-v3"] = "llama-bpe", ["falcon3"] = "llama-bpe", ["falcon-h1"] = "llama-bpe", ["pixtral"] = "llama-bpe", ["midm-2.0"] = "llama-bpe", ["lfm2"] = "llama-bpe",
        ["smaug-bpe"] = "dbrx", ["glm4"] = "dbrx", ["chatglm-bpe"] = "dbrx",
        ["deepseek-r1-qwen"] = "qwen2", ["stablelm2"] = "qwen2", ["megrez"] = "qwen2", ["hunyuan"] = "qwen2", ["grok-2"] = "qwen2", ["kormo"] = "qwen2",
        ["phi-2"] = "gpt-2", ["mpt"] = "gpt-2", ["olmo"] = "gpt-2", ["jais"] = "gpt-2", ["trillion"] = "gpt-2", ["exaone4"] = "gpt-2", ["gpt-neox"] = "gpt-2", ["roberta-bpe"] = "gpt-2",
        ["starcoder"] = "smollm", ["refact"] = "smollm", ["command-r"] = "smollm", ["codeshell"] = "smollm", ["exaone"] = "smollm", ["minerva-7b"] = "smollm",
        ["llama4"] = "gpt-4o", ["kanana2"] = "gpt-4o", ["talkie"] = "gpt-4o", ["minimax-m2"] = "gpt-4o",
    };

    /// <summary>The name of a pre-tokenizer, or null where none is known for it.</summary>
    /// <param name="json">The member of tokenizer.json; null where it is absent.</param>
    /// <param name="ignoresMerges">Whether a word that is a piece is that piece.</param>
    public static string? Of(JsonElement? json, bool ignoresMerges)
    {
        List<string>? steps = [];
        if (json is not { } element || !AddSteps(element, steps))
        {
            return null;
        }

        foreach ((string[] known, string? ignoring, string? merging) in s_known)
        {
            if (known.SequenceEqual(steps) && (ignoresMerges ? ignoring : merging) is { } name)
            {
                return name;
            }
        }

        return null;
    }

    /// <summary>Writes the pre-tokenizer of a name as a value; false where the name is none that can be written.</summary>
    public static bool Write(Utf8JsonWriter json, string? name)
    {
        string known = name is not null && s_same.TryGetValue(name, out string? same) ? same : name ?? "";
        string[]? steps = s_known.FirstOrDefault(each => each.Ignoring == known || each.Merging == known).Steps;
        if (steps is null)
        {
            return false;
        }

        json.WriteStartObject();
        json.WriteString("type", "Sequence");
        json.WriteStartArray("pretokenizers");
        foreach (string step in steps.Where(step => step != Gpt2Step))
        {
            json.WriteStartObject();
            if (step == DigitsStep)
            {
                json.WriteString("type", "Digits");
                json.WriteBoolean("individual_digits", true);
            }
            else
            {
                json.WriteString("type", "Split");
                json.WriteStartObject("pattern");
                json.WriteString("Regex", step);
                json.WriteEndObject();
                json.WriteString("behavior", "Isolated");
                json.WriteBoolean("invert", false);
            }

            json.WriteEndObject();
        }

        WriteByteLevel(json, usesPattern: steps.Contains(Gpt2Step));
        json.WriteEndArray();
        json.WriteEndObject();
        return true;
    }

    /// <summary>Writes the step that spells bytes.</summary>
    public static void WriteByteLevel(Utf8JsonWriter json, bool usesPattern)
    {
        json.WriteStartObject();
        json.WriteString("type", "ByteLevel");
        json.WriteBoolean("add_prefix_space", false);
        json.WriteBoolean("trim_offsets", true);
        json.WriteBoolean("use_regex", usesPattern);
        json.WriteEndObject();
    }

    private static bool AddSteps(JsonElement json, List<string> steps)
    {
        switch (json.Text("type"))
        {
            case "Sequence":
                return json.Items("pretokenizers").All(part => AddSteps(part, steps));
            case "ByteLevel":
                if (json.Flag("use_regex", true))
                {
                    steps.Add(Gpt2Step);
                }

                return !json.Flag("add_prefix_space", true);
            case "Digits":
                steps.Add(DigitsStep);
                return json.Flag("individual_digits", false);
            case "Split" when json.Text("behavior") == "Isolated" && !json.Flag("invert", false) && json.Member("pattern") is { } pattern && pattern.Text("Regex") is { } regex:
                steps.Add(regex);
                return true;
            default:
                return false;
        }
    }
}
