// How options and arguments are declared: numbers in the invariant culture, with their ranges in the message. Knows no verb.
using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Kidogo.Models.Export;
using Kidogo.Tensors;

namespace Kidogo.Cli.Shell;

/// <summary>Makes options.</summary>
internal static class Opt
{
    /// <summary>Whether an option stands in the command line.</summary>
    public static bool IsGiven(ParseResult parsed, Option option) => parsed.GetResult(option) is { Implicit: false };

    /// <summary>A switch.</summary>
    public static Option<bool> Flag(string name, string description) => new(name) { Description = description };

    /// <summary>A text.</summary>
    public static Option<string?> Text(string name, string value, string description) => new(name) { Description = description, HelpName = value };

    /// <summary>A file that must be named.</summary>
    public static Option<string> RequiredFile(string name, string description) => new(name) { Description = description, HelpName = "FILE", Required = true };

    /// <summary>A whole number.</summary>
    public static Option<int?> Int(string name, string description, int min, int max = int.MaxValue) => Value<int>(
        name, description, "N", max == int.MaxValue ? $"a whole number, {min} or more (up to {int.MaxValue})" : $"a whole number from {min} to {max}",
        text => int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) && value >= min && value <= max ? value : null);

    /// <summary>A seed.</summary>
    public static Option<ulong?> Seed() => Value<ulong>(
        "--seed", "Seed of everything that is drawn; the same seed gives the same answer (default: a new one each time)", "N", "a whole number from 0 to 18446744073709551615",
        text => ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong value) ? value : null);

    /// <summary>A number, never NaN.</summary>
    public static Option<double?> Number(string name, string description, double min, double max) => Value<double>(
        name, description, "X", string.Create(CultureInfo.InvariantCulture, $"a number from {min} to {max}"),
        text => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && value >= min && value <= max ? value : null);

    /// <summary>Bytes, with a unit or without: 60000000, 60MB, 57.2MiB.</summary>
    public static Option<long?> Bytes(string name, string description) => Value<long>(name, description, "SIZE", "a number of bytes such as 60MB, 57.2MiB or 60000000", ReadBytes);

    /// <summary>Bytes a second: 2MB/s, 500KB, 250000.</summary>
    public static Option<long?> Rate(string name, string description) => Value<long>(
        name, description, "RATE", "a number of bytes a second such as 2MB/s, 500KB or 250000", text => ReadBytes(text.EndsWith("/s", StringComparison.OrdinalIgnoreCase) ? text[..^2] : text));

    private static long? ReadBytes(string text)
    {
        string digits = text.TrimEnd([.. "bBiIkKmMgG "]);
        double? unit = text[digits.Length..].Trim().ToUpperInvariant() switch
        {
            "" or "B" => 1, "K" or "KB" => 1e3, "M" or "MB" => 1e6, "G" or "GB" => 1e9, "KIB" => 1024, "MIB" => 1024 * 1024, "GIB" => 1024 * 1024 * 1024, _ => null,
        };
        return unit is not null && double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number) && number > 0 && number * unit < 1e18 ? (long)(number * unit) : null;
    }

    /// <summary>One of a few words.</summary>
    public static Option<string?> Choice(string name, string description, params string[] words) => new(name)
    {
        Description = description,
        HelpName = string.Join('|', words),
        CustomParser = result =>
        {
            string given = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
            string? word = words.FirstOrDefault(candidate => candidate.Equals(given, StringComparison.OrdinalIgnoreCase));
            if (word is null)
            {
                Refuse(result, name, $"one of {string.Join(", ", words)}");
            }

            return word;
        },
    };

    /// <summary>A text that may be given several times.</summary>
    public static Option<string[]> Texts(string name, string value, string description) => new(name) { Description = description, HelpName = value, Arity = ArgumentArity.OneOrMore, AllowMultipleArgumentsPerToken = false };

    /// <summary>One JSON object instead of text.</summary>
    public static Option<bool> Json() => Flag("--json", "Print one JSON object");

    /// <summary>Threads to compute with.</summary>
    public static Option<int?> Threads() => Int("--threads", "Threads to compute with (default: the physical cores)", 1, 1024);

    /// <summary>Float32 throughout.</summary>
    public static Option<bool> Exact() => Flag("--exact", "Compute in float32 throughout instead of rounding activations to 8 bits");

    /// <summary>A format that weights are brought into while they are loaded.</summary>
    public static Option<string?> LoadAs() => Text("--load-as", "FORMAT", "Quantise while loading, with no file in between: Q4_0, Q8_0, Q4_K_M or another that kidogo quantize knows");

    /// <summary>What <c>--load-as</c> means; null where it was not given.</summary>
    /// <exception cref="UsageException">It is no format.</exception>
    public static FormatMix? MixOf(string? loadAs) =>
        loadAs is null ? null : FormatMix.ForName(loadAs) ?? throw new UsageException($"--load-as is {FormatMix.Unknown(loadAs)}");

    /// <summary>An adapter over the model.</summary>
    public static Option<string?> Adapter() => Text("--adapter", "NAME|FOLDER|FILE", "An adapter to compute with: a PEFT folder, a GGUF adapter, a name in models/adapters, or org/name of the model cache");

    /// <summary>A chat template in place of the model's own.</summary>
    public static Option<string?> ChatTemplate() => Text("--chat-template", "NAME|FILE", "A chat template in place of the model's own: a built-in name or a Jinja file");

    /// <summary>How keys and values are stored.</summary>
    public static Option<string?> KvCache() => Choice("--kv-cache", "How keys and values are stored (default f16; with --exact f32)", "f16", "q8_0");

    /// <summary>What <c>--kv-cache</c> and <c>--exact</c> mean together.</summary>
    public static KvFormat KvFormatOf(string? word, bool exact = false) => word switch
    {
        "q8_0" => KvFormat.Q8_0,
        "f16" => KvFormat.F16,
        _ => exact ? KvFormat.F32 : KvFormat.F16,
    };

    /// <summary>A model that must be named.</summary>
    public static Argument<string> Model() => new("MODEL") { Description = "A .gguf file, a Hugging Face folder, a checkpoint folder, or org/name of the model cache" };

    /// <summary>Where a model is written.</summary>
    public static Argument<string> Out() => new("OUT") { Description = "What is written: a name that ends in .gguf is a GGUF file, any other a Hugging Face folder" };

    /// <summary>A model that may be left out: then the default one in models/.</summary>
    public static Argument<string?> OptionalModel() => new("MODEL")
    {
        Description = "A .gguf file, a Hugging Face folder, a checkpoint folder, or org/name of the model cache; nothing for the default model in models/",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private static Option<T?> Value<T>(string name, string description, string valueName, string expected, Func<string, T?> read)
        where T : struct => new(name)
        {
            Description = description,
            HelpName = valueName,
            CustomParser = result =>
            {
                T? value = result.Tokens.Count == 1 ? read(result.Tokens[0].Value) : null;
                if (value is null)
                {
                    Refuse(result, name, expected);
                }

                return value;
            },
        };

    private static void Refuse(ArgumentResult result, string name, string expected) =>
        result.AddError($"{name} is \"{Session.OneLine(result.Tokens.Count == 1 ? result.Tokens[0].Value : "")}\"; it has to be {expected}.");
}
