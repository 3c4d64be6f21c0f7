// The options of kidogo prune, and what they mean together. Knows no arithmetic.
using System.CommandLine;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Compression.Pruning;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Training;

namespace Kidogo.Cli.Verbs;

/// <summary>Declares the options and reads them.</summary>
internal sealed class PruneOptions
{
    private const string Structured = "structured";
    private readonly Option<string?> _method = Opt.Choice("--method", "How: magnitude, wanda, sparsegpt choose single weights; structured makes shapes smaller (default: structured where a structure or a target is named, else magnitude)", "magnitude", "wanda", "sparsegpt", Structured);
    private readonly Option<string?> _sparsity = Opt.Text("--sparsity", "SHARE|N:M", "How many weights become zero: 0.5, 50% or 2:4 (2 of each 4 neighbours)");
    private readonly Option<double?> _threshold = Opt.Number("--threshold", "With magnitude: all weights up to this size instead", 1e-30, 1e30);
    private readonly Option<string?> _per = Opt.Choice("--per", "Among which weights, or neurons, the least are looked for: row, layer or model (default: layer; wanda row)", "row", "layer", "model");
    private readonly Option<double?> _neurons = Opt.Number("--neurons", "The share of the feed-forward's neurons that goes", 0, 0.999);
    private readonly Option<double?> _heads = Opt.Number("--heads", "The share of each group's query heads that goes", 0, 0.999);
    private readonly Option<double?> _groups = Opt.Number("--groups", "The share of key and value heads that goes, with their query heads", 0, 0.999);
    private readonly Option<double?> _hidden = Opt.Number("--hidden", "The share of the model's width that goes", 0, 0.999);
    private readonly Option<int?> _layers = Opt.Int("--layers", "How many layers go: those with the least influence", 0);
    private readonly Option<long?> _parameters = Opt.Bytes("--parameters", "A target: so many parameters at most (60M)");
    private readonly Option<long?> _bytes = Opt.Bytes("--bytes", "A target: a file of so many bytes at most");
    private readonly Option<double?> _share = Opt.Number("--share", "A target: this share of the parameters at most", 0.001, 0.999);
    private readonly Option<string?> _speed = Opt.Text("--speed", "FACTOR", "A target: tokens so many times as fast on this machine, measured: 1.5x");
    private readonly Option<string?> _structures = Opt.Text("--structures", "KINDS", "What a target may take from: neurons, heads, groups, hidden, layers, with commas between (default neurons,groups)");
    private readonly Option<string?> _by = Opt.Choice("--by", "What structure is judged by: activation, minitron (activations alone), taylor (gradients), gate (gradients of heads' outputs); whole layers always by block influence but with the last two (default activation)", "activation", "minitron", "taylor", "gate", "influence");
    private readonly Option<int?> _multiple = Opt.Int("--multiple", "Widths that stay are multiples of this (default 32, so that blocks of formats fit)", 1, 4096);
    private readonly Option<int?> _context = Opt.Int("--context", "Tokens of a sequence (default 512)", 2);
    private readonly Option<string?> _format = Opt.Text("--format", "NAME", "Formats of the result, as kidogo quantize knows them (default: as they are, where they hold zeros); with sparsegpt weights are pruned and rounded in one pass");
    private readonly Option<string[]> _heal = Opt.Texts("--heal", "DATA", "Train afterwards on these texts, with the unpruned model as teacher: a file or folder; may be given several times");
    private readonly Option<int?> _steps = Opt.Int("--steps", "Steps of that training, in all rounds together", 1);
    private readonly Option<int?> _rounds = Opt.Int("--rounds", "Prune in so many rounds of rising sparsity, with training after each (default 1)", 1, 1000);
    private readonly Option<double?> _learningRate = Opt.Number("--learning-rate", "The highest learning rate of that training", 1e-9, 10);
    private readonly Option<int?> _batch = Opt.Int("--batch", "Sequences of a step", 1, 65536);

    /// <summary>The text to judge on.</summary>
    public Option<string?> Text { get; } = Opt.Text("--text", "FILE", "The text that what matters is measured on; what is left of it judges the result");

    /// <summary>The same as ids.</summary>
    public Option<string?> Ids { get; } = Opt.Text("--ids", "FILE", "The text as token ids");

    /// <summary>Statistics in place of a text.</summary>
    public Option<string?> Calibration { get; } = Opt.Text("--calibration", "FILE", "In place of a text, for wanda and for --neurons by activation: an importance matrix, of kidogo calibrate or of llama.cpp");

    /// <summary>How much of it.</summary>
    public Option<int?> Tokens { get; } = Opt.Int("--tokens", "How many tokens of the text to measure on at most (default 65536)", 1);

    /// <summary>Where rounds are kept.</summary>
    public Option<string?> Work { get; } = Opt.Text("--work", "FOLDER", "Where rounds of training are kept until the model is written, to go on from after an interruption (default OUT.work)");

    /// <summary>The report.</summary>
    public Option<string?> Report { get; } = Opt.Text("--report", "PATH", "Write a page (Markdown) and an object (JSON) about what went and what it cost: NAME.md or NAME.json, or a folder");

    /// <summary>The text to compare on.</summary>
    public Option<string?> ReportText { get; } = Opt.Text("--report-text", "FILE", "The text to compare both models on (default: what is left of --text)");

    /// <summary>The same as ids.</summary>
    public Option<string?> ReportIds { get; } = Opt.Text("--report-ids", "FILE", "The same as token ids");

    /// <summary>For the passport.</summary>
    public Option<string[]> Measure { get; } = Provenance.Measure();

    /// <summary>Threads.</summary>
    public Option<int?> Threads { get; } = Opt.Threads();

    /// <summary>JSON.</summary>
    public Option<bool> Json { get; } = Opt.Json();

    /// <summary>All of them.</summary>
    public IReadOnlyList<Option> All =>
    [
        _method, _sparsity, _threshold, _per, _neurons, _heads, _groups, _hidden, _layers, _parameters, _bytes, _share, _speed, _structures, _by, _multiple, Text, Ids, Calibration, Tokens, _context, _format,
        _heal, _steps, _rounds, _learningRate, _batch, Work, Report, ReportText, ReportIds, Measure, Threads, Json,
    ];

    private Option[] OfWeights => [_sparsity, _threshold];

    private Option[] OfTargets => [_parameters, _bytes, _share, _speed];

    private Option[] OfShares => [_neurons, _heads, _groups, _hidden, _layers];

    /// <summary>Refuses what does not go together, before any work.</summary>
    public void Check(ParseResult parsed)
    {
        string method = Method(parsed);
        bool isStructured = method == Structured;
        Refuse(parsed, isStructured ? OfWeights : [.. OfShares, .. OfTargets, _structures, _by, _multiple], isStructured
            ? "makes single weights zero; --method structured makes shapes smaller. Leave one away, or prune twice"
            : $"makes shapes smaller; --method {method} makes single weights zero. Leave one away, or prune twice");
        if (isStructured)
        {
            CheckStructure(parsed);
        }
        else
        {
            CheckWeights(parsed, method);
        }

        CheckCalibration(parsed, method);
        if (method != "magnitude" && parsed.GetValue(Text) is null && parsed.GetValue(Ids) is null && parsed.GetValue(Calibration) is null)
        {
            throw new UsageException($"--method {method} measures on a text what matters: name it with --text FILE, or its token ids with --ids FILE.");
        }

        bool heals = parsed.GetValue(_heal) is { Length: > 0 };
        if (heals != (parsed.GetValue(_steps) is not null))
        {
            throw new UsageException("--heal DATA and --steps N go together: on which texts the pruned model is trained, and how long.");
        }

        if (!heals)
        {
            Refuse(parsed, [_rounds, _learningRate, _batch], "is about training after pruning: give --heal DATA and --steps N too");
        }

        if (isStructured && parsed.GetValue(_rounds) > 1)
        {
            throw new UsageException("--rounds is for single weights, whose sparsity rises from round to round; structure goes at once.");
        }

        if (parsed.GetValue(_rounds) > 1 && parsed.GetValue(_threshold) is not null)
        {
            throw new UsageException("--rounds raises --sparsity from round to round: give that instead of --threshold.");
        }

        if (parsed.GetValue(_rounds) > parsed.GetValue(_steps))
        {
            throw new UsageException($"{parsed.GetValue(_rounds)} rounds need as many steps at least; --steps is {parsed.GetValue(_steps)}.");
        }
    }

    /// <summary>What the options ask for, but for the text and the training.</summary>
    public PruneRequest Request(ParseResult parsed)
    {
        string method = Method(parsed);
        PruneRequest request = new() { SequenceTokens = parsed.GetValue(_context) ?? 512, Format = Format(parsed) };
        return method == Structured
            ? request with { Structure = Structure(parsed) }
            : request with
            {
                Weights = new WeightPruning(
                    method switch { "wanda" => WeightCriterion.Wanda, "sparsegpt" => WeightCriterion.SparseGpt, _ => WeightCriterion.Magnitude },
                    parsed.GetValue(_sparsity) is { } text ? Sparsity.TryParse(text) : null, (float)(parsed.GetValue(_threshold) ?? 0),
                    parsed.GetValue(_per) switch { "row" => PruneScope.Row, "model" => PruneScope.Model, _ => PruneScope.Layer }),
            };
    }

    /// <summary>The training that is asked for; null for none.</summary>
    public HealRequest? Heal(ParseResult parsed, string work, TrainingObserver observer, int threads)
    {
        if (parsed.GetValue(_heal) is not { Length: > 0 } data)
        {
            return null;
        }

        Dictionary<string, IReadOnlyList<string>> fields = new() { ["data"] = data, ["threads"] = [threads.ToString(CultureInfo.InvariantCulture)] };
        void Add(string field, object? value)
        {
            if (value is IFormattable number)
            {
                fields[field] = [number.ToString(null, CultureInfo.InvariantCulture)];
            }
        }

        Add("learning_rate", parsed.GetValue(_learningRate));
        Add("batch", parsed.GetValue(_batch));
        Add("context", parsed.GetValue(_context));
        return new HealRequest { Fields = [.. fields], Steps = parsed.GetValue(_steps)!.Value, Rounds = parsed.GetValue(_rounds) ?? 1, WorkFolder = Path.GetFullPath(work), Observer = observer };
    }

    /// <summary>For the passport: all that changes the result.</summary>
    public IReadOnlyList<(string Name, object? Value)> Described(ParseResult parsed) =>
    [
        ("method", Method(parsed)), ("sparsity", parsed.GetValue(_sparsity)), ("threshold", parsed.GetValue(_threshold)), ("per", parsed.GetValue(_per)), ("neurons", parsed.GetValue(_neurons)),
        ("heads", parsed.GetValue(_heads)), ("groups", parsed.GetValue(_groups)), ("hidden", parsed.GetValue(_hidden)), ("layers", parsed.GetValue(_layers)), ("parameters", parsed.GetValue(_parameters)),
        ("bytes", parsed.GetValue(_bytes)), ("share", parsed.GetValue(_share)), ("speed", parsed.GetValue(_speed)), ("structures", parsed.GetValue(_structures)), ("by", parsed.GetValue(_by)),
        ("multiple", parsed.GetValue(_multiple)), ("format", parsed.GetValue(_format)), ("tokens", parsed.GetValue(Tokens)), ("context", parsed.GetValue(_context)), ("steps", parsed.GetValue(_steps)),
        ("rounds", parsed.GetValue(_rounds)), ("learning-rate", parsed.GetValue(_learningRate)), ("batch", parsed.GetValue(_batch)),
    ];

    /// <summary>For the passport: the files that came into it.</summary>
    public IEnumerable<(string Role, string Path)> DataFiles(ParseResult parsed)
    {
        if (parsed.GetValue(Text) is { } text)
        {
            yield return ("text", text);
        }

        if (parsed.GetValue(Ids) is { } ids)
        {
            yield return ("ids", ids);
        }

        if (parsed.GetValue(Calibration) is { } calibration)
        {
            yield return ("calibration", calibration);
        }

        foreach (string data in parsed.GetValue(_heal) ?? [])
        {
            yield return ("training", data);
        }
    }

    private string Method(ParseResult parsed) =>
        parsed.GetValue(_method) ?? (((Option[])[.. OfShares, .. OfTargets]).Any(option => Opt.IsGiven(parsed, option)) ? Structured : "magnitude");

    private void CheckWeights(ParseResult parsed, string method)
    {
        string? sparsity = parsed.GetValue(_sparsity);
        if (sparsity is not null && Sparsity.TryParse(sparsity) is null)
        {
            throw new UsageException($"--sparsity is \"{Session.OneLine(sparsity)}\"; it has to be a share above 0 and below 1 such as 0.5 or 50%, or N:M with N below M, such as 2:4.");
        }

        if (sparsity is null == parsed.GetValue(_threshold) is null || (method != "magnitude" && sparsity is null))
        {
            throw new UsageException(method == "magnitude" ? "Name how many weights go: --sparsity 0.5 (or 2:4), or --threshold X." : $"--method {method} needs --sparsity: 0.5 or 2:4.");
        }

        if (method == "wanda" && parsed.GetValue(_per) is "layer" or "model")
        {
            throw new UsageException("Wanda compares weights within a row: leave --per away.");
        }

        if (method == "sparsegpt" && Opt.IsGiven(parsed, _per))
        {
            throw new UsageException("SparseGPT compares weights within blocks of 128 columns: leave --per away.");
        }
    }

    private void CheckStructure(ParseResult parsed)
    {
        Option[] targets = [.. OfTargets.Where(option => Opt.IsGiven(parsed, option))], shares = [.. OfShares.Where(option => Opt.IsGiven(parsed, option))];
        if (targets.Length > 1)
        {
            throw new UsageException($"{targets[0].Name} and {targets[1].Name} exclude each other; name one target.");
        }

        if (targets.Length == 1 && shares.Length > 0)
        {
            throw new UsageException($"{targets[0].Name} finds the shares itself: leave {shares[0].Name} away. --structures says what it may take from.");
        }

        if (targets.Length + shares.Length == 0)
        {
            throw new UsageException("Name what goes (--neurons, --heads, --groups, --hidden, --layers), or a target (--parameters, --bytes, --share, --speed).");
        }

        if (targets.Length == 0)
        {
            Refuse(parsed, [_structures], "says what a target may take from: name a target too");
        }

        if (parsed.GetValue(_by) == "influence" && (targets.Length > 0 ? Kinds(parsed) != StructureKinds.Layers : shares.Any(option => option != _layers)))
        {
            throw new UsageException("--by influence judges whole layers: give --layers N alone, or a target with --structures layers.");
        }

        if (parsed.GetValue(_per) is "row")
        {
            throw new UsageException("--per row is for single weights; neurons are compared in a layer or in the model.");
        }

        if (parsed.GetValue(_speed) is { } speed && SpeedOf(speed) is null)
        {
            throw new UsageException($"--speed is \"{Session.OneLine(speed)}\"; it has to be a factor above 1 and at most 100, such as 1.5x.");
        }

        _ = Kinds(parsed);
    }

    private void CheckCalibration(ParseResult parsed, string method)
    {
        if (parsed.GetValue(Calibration) is null)
        {
            return;
        }

        bool isNeurons = method == Structured && (parsed.GetValue(_by) ?? "activation") == "activation"
            && (OfShares.Any(option => Opt.IsGiven(parsed, option)) ? OfShares.All(option => option == _neurons || !Opt.IsGiven(parsed, option)) : Kinds(parsed) == StructureKinds.Neurons);
        if (method != "wanda" && !isNeurons)
        {
            throw new UsageException("--calibration holds mean squares of inputs, which is enough for --method wanda and for neurons by activation alone (--neurons, or a target with --structures neurons). Else give --text FILE.");
        }
    }

    private StructurePruning Structure(ParseResult parsed) => new()
    {
        Shares = new StructureShares
        {
            Neurons = parsed.GetValue(_neurons) ?? 0,
            QueryHeads = parsed.GetValue(_heads) ?? 0,
            KvHeads = parsed.GetValue(_groups) ?? 0,
            Hidden = parsed.GetValue(_hidden) ?? 0,
            Layers = parsed.GetValue(_layers) ?? 0,
        },
        Criterion = parsed.GetValue(_by) switch { "minitron" => StructureCriterion.Minitron, "taylor" => StructureCriterion.Taylor, "gate" => StructureCriterion.Gate, _ => StructureCriterion.Activation },
        Plan = new StructurePlanOptions { Multiple = parsed.GetValue(_multiple) ?? 32, AcrossLayers = parsed.GetValue(_per) == "model" },
        Kinds = Kinds(parsed),
        Parameters = parsed.GetValue(_parameters),
        Bytes = parsed.GetValue(_bytes),
        Share = parsed.GetValue(_share),
        Speed = parsed.GetValue(_speed) is { } speed ? SpeedOf(speed) : null,
    };

    private StructureKinds Kinds(ParseResult parsed)
    {
        StructureKinds kinds = StructureKinds.None;
        foreach (string word in (parsed.GetValue(_structures) ?? "neurons,groups").Split(',', StringSplitOptions.TrimEntries))
        {
            kinds |= StructureWords.All.FirstOrDefault(each => each.Word == word) is { Kind: not StructureKinds.None } found
                ? found.Kind
                : throw new UsageException($"--structures names \"{Session.OneLine(word)}\"{(NearestName.Likely(word, StructureWords.All.Select(each => each.Word)) is { } nearest ? $"; the nearest is {nearest}" : "")}. Known: {string.Join(", ", StructureWords.All.Select(each => each.Word))}.");
        }

        return kinds;
    }

    private FormatMix? Format(ParseResult parsed) => parsed.GetValue(_format) is not { } name ? null
        : FormatMix.ForName(name) ?? throw new UsageException($"--format is {FormatMix.Unknown(name)}");

    private static double? SpeedOf(string text) =>
        double.TryParse(text.TrimEnd('x', 'X'), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double factor) && factor is > 1 and <= 100 ? factor : null;

    private static void Refuse(ParseResult parsed, IEnumerable<Option> options, string problem)
    {
        if (options.FirstOrDefault(option => Opt.IsGiven(parsed, option)) is { } given)
        {
            throw new UsageException($"{given.Name} {problem}.");
        }
    }
}
