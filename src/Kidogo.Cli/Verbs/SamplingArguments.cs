// The options that choose tokens: one line each. Knows their names and ranges, not what they do.
using System.CommandLine;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Cli.Verbs;

/// <summary>Declares the sampling options of a verb and reads them.</summary>
internal sealed class SamplingArguments
{
    private readonly Option<double?> _temperature = Opt.Number("--temperature", "What logits are divided by; 0 always takes the likeliest token (default: the model's own, else 0.8)", 0, 100);
    private readonly Option<int?> _topK = Opt.Int("--top-k", "Keep this many of the likeliest tokens; 0 keeps all (default: the model's own, else 40)", 0);
    private readonly Option<double?> _topP = Opt.Number("--top-p", "Keep the likeliest tokens that hold this probability together (default: the model's own, else 0.95)", 0, 1);
    private readonly Option<double?> _minP = Opt.Number("--min-p", "Keep tokens with this share of the likeliest one's probability (default 0: off)", 0, 1);
    private readonly Option<double?> _typicalP = Opt.Number("--typical-p", "Keep the tokens of typical surprise that hold this probability (default 1: off)", 0, 1);
    private readonly Option<double?> _repetition = Opt.Number("--repetition-penalty", "Divides the logits of tokens that have occurred (default 1: off)", 0.01, 100);
    private readonly Option<double?> _presence = Opt.Number("--presence-penalty", "Subtracted once from tokens that have occurred (default 0)", -100, 100);
    private readonly Option<double?> _frequency = Opt.Number("--frequency-penalty", "Subtracted for each time a token has occurred (default 0)", -100, 100);
    private readonly Option<int?> _lastN = Opt.Int("--penalty-last-n", "Tokens that the three penalties look back; -1 for all (default 64)", -1);
    private readonly Option<double?> _dryMultiplier = Opt.Number("--dry-multiplier", "DRY: how strongly repeated sequences are punished (default 0: off)", 0, 100);
    private readonly Option<double?> _dryBase = Opt.Number("--dry-base", "DRY: growth with the length of the sequence (default 1.75)", 1, 100);
    private readonly Option<int?> _dryAllowed = Opt.Int("--dry-allowed-length", "DRY: sequences up to this length are free (default 2)", 0);
    private readonly Option<int?> _dryLastN = Opt.Int("--dry-penalty-last-n", "DRY: tokens to look back; -1 for all (default -1)", -1);
    private readonly Option<string[]> _dryBreakers = Opt.Texts("--dry-sequence-breaker", "TEXT", "DRY: a text that no sequence reaches over; may be repeated (default: newline, colon, quote, star)");
    private readonly Option<int?> _mirostat = Opt.Int("--mirostat", "1 or 2 steers the surprise of the text instead of truncating; 0 is off (default 0, or 2 with the options below)", 0, 2);
    private readonly Option<double?> _mirostatTau = Opt.Number("--mirostat-tau", "Mirostat: the surprise to steer to, in bits (default 5)", 0, 100);
    private readonly Option<double?> _mirostatEta = Opt.Number("--mirostat-eta", "Mirostat: the learning rate (default 0.1)", 0, 100);
    private readonly Option<string[]> _bias = Opt.Texts("--logit-bias", "ID=VALUE", "Add a value to a token's logit, -inf to forbid it; may be repeated");
    private readonly Option<ulong?> _seed = Opt.Seed();

    /// <summary>Adds the options to a verb.</summary>
    public void AddTo(Command command)
    {
        Option[] all = [_temperature, _topK, _topP, _minP, _typicalP, _repetition, _presence, _frequency, _lastN, _dryMultiplier, _dryBase, _dryAllowed, _dryLastN, _dryBreakers, _mirostat, _mirostatTau, _mirostatEta, _bias, _seed];
        foreach (Option option in all)
        {
            command.Options.Add(option);
        }
    }

    /// <summary>The command line over the model's recommendations over the defaults.</summary>
    public SamplerOptions Read(Session session, ParseResult parsed, ModelText text, GenerationDefaults recommended, int vocabulary)
    {
        SamplerOptions options = new SamplerOptions().WithModelDefaults(recommended.ToSampling(), session.Warn);
        bool steers = parsed.GetValue(_mirostatTau) is not null || parsed.GetValue(_mirostatEta) is not null;
        options = options with
        {
            Temperature = parsed.GetValue(_temperature) ?? options.Temperature,
            TopK = parsed.GetValue(_topK) ?? options.TopK,
            TopP = parsed.GetValue(_topP) ?? options.TopP,
            MinP = parsed.GetValue(_minP) ?? options.MinP,
            TypicalP = parsed.GetValue(_typicalP) ?? options.TypicalP,
            RepetitionPenalty = parsed.GetValue(_repetition) ?? options.RepetitionPenalty,
            PresencePenalty = parsed.GetValue(_presence) ?? options.PresencePenalty,
            FrequencyPenalty = parsed.GetValue(_frequency) ?? options.FrequencyPenalty,
            PenaltyLastN = parsed.GetValue(_lastN) ?? options.PenaltyLastN,
            DryMultiplier = parsed.GetValue(_dryMultiplier) ?? options.DryMultiplier,
            DryBase = parsed.GetValue(_dryBase) ?? options.DryBase,
            DryAllowedLength = parsed.GetValue(_dryAllowed) ?? options.DryAllowedLength,
            DryPenaltyLastN = parsed.GetValue(_dryLastN) ?? options.DryPenaltyLastN,
            Mirostat = parsed.GetValue(_mirostat) ?? (steers ? 2 : options.Mirostat),
            MirostatTau = parsed.GetValue(_mirostatTau) ?? options.MirostatTau,
            MirostatEta = parsed.GetValue(_mirostatEta) ?? options.MirostatEta,
            LogitBias = Biases(parsed.GetValue(_bias) ?? [], vocabulary),
            Seed = parsed.GetValue(_seed),
        };
        return options.DryMultiplier > 0 ? options with { DrySequenceBreakers = Breakers(parsed.GetValue(_dryBreakers), text.Tokenizer) } : options;
    }

    /// <summary>What to say where nothing can be drawn.</summary>
    public static string Impossible(Exception failure) => $"The sampling options (--logit-bias ID=-inf, penalties, --temperature) leave no token to choose. {failure.Message}";

    private static Dictionary<int, float> Biases(string[] given, int vocabulary)
    {
        Dictionary<int, float> biases = [];
        foreach (string text in given)
        {
            int at = text.IndexOf('=', StringComparison.Ordinal);
            if (at < 0 || !int.TryParse(text.AsSpan(0, at), NumberStyles.None, CultureInfo.InvariantCulture, out int id) || !TryValue(text[(at + 1)..], out float value))
            {
                throw new UsageException($"--logit-bias is \"{text}\"; it has to be ID=VALUE, such as 42=-1.5, with a value from -1000000 to 1000000 or -inf.");
            }

            if (id >= vocabulary)
            {
                throw new UsageException($"--logit-bias names the token id {id}, which is outside the model's vocabulary of {vocabulary} (0 to {vocabulary - 1}).");
            }

            biases[id] = value;
        }

        return biases;
    }

    private static bool TryValue(string text, out float value)
    {
        if (text is "-inf" or "-Infinity" or "-∞")
        {
            value = float.NegativeInfinity;
            return true;
        }

        const float Largest = 1e6f;
        return float.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value) && value is >= -Largest and <= Largest;
    }

    private static IReadOnlyList<IReadOnlyList<int>> Breakers(string[]? given, Tokenizer tokenizer)
    {
        string[] pieces = new string[tokenizer.VocabularySize];
        for (int id = 0; id < pieces.Length; id++)
        {
            pieces[id] = tokenizer.TokenText(id);
        }

        return DryBreakers.FromStrings(given is { Length: > 0 } ? given : ["\n", ":", "\"", "*"], pieces, text => tokenizer.Encode(text));
    }
}
