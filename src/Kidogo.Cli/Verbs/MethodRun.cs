// What kidogo quantize needs beyond rounding: a text, the model in memory, sensitivities, a folder for what is done. Knows no arithmetic.
using Kidogo.Cli.Shell;
using Kidogo.Compression.Calibration;
using Kidogo.Compression.Quantization;
using Kidogo.Compression.Search;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Passports;
using Kidogo.Tensors;

namespace Kidogo.Cli.Verbs;

/// <summary>What to calibrate on.</summary>
/// <param name="Text">A text file.</param>
/// <param name="Ids">A file of ids.</param>
/// <param name="Tokens">How many tokens at most.</param>
/// <param name="Context">Tokens of a sequence.</param>
/// <param name="Work">The folder for finished blocks and sensitivities; null for one beside the output.</param>
/// <param name="Smooth">SmoothQuant's share; null for none.</param>
internal sealed record QuantizeText(string? Text, string? Ids, int Tokens, int Context, string? Work, float? Smooth)
{
    /// <summary>The file, whichever it is.</summary>
    public string? File => Text ?? Ids;

    /// <summary>Refuses what does not go together.</summary>
    /// <param name="method">The method.</param>
    /// <param name="measures">The option that needs sensitivities; null for none.</param>
    public void Check(string method, string? measures)
    {
        if (Smooth is not null && method != "rtn")
        {
            throw new UsageException("--smooth goes with --method rtn: gptq makes errors good itself, and awq searches scales of its own.");
        }

        if (method == "rtn" && Smooth is null && measures is null && File is not null)
        {
            throw new UsageException("--text and --ids are for --method gptq or awq, --smooth, a size to hit and --report. For rounding to nearest, run kidogo calibrate on the text first and give its file with --calibration.");
        }

        string? needs = Smooth is not null ? "--smooth" : method != "rtn" ? $"--method {method}" : measures is "--report" ? null : measures;
        if (Text is not null && Ids is not null)
        {
            throw new UsageException("--text and --ids exclude each other; name one.");
        }

        if (needs is not null && File is null)
        {
            throw new UsageException($"{needs} calibrates on a text: name it with --text FILE, or its token ids with --ids FILE.");
        }
    }

    /// <summary>An importance matrix that fits a model.</summary>
    public static ImportanceMatrix ReadImportance(string path, ModelHeader header)
    {
        ImportanceMatrix importance = ImportanceFile.Read(path);
        importance.CheckFits(GgufContent.Of(header).Tensors, path);
        return importance;
    }
}

/// <summary>Measures and runs a method before the file is written.</summary>
internal sealed class MethodRun : IDisposable
{
    private readonly Session _session;
    private readonly string _output;
    private readonly string _method;
    private readonly QuantizeText _text;
    private readonly ComputeContext _context;
    private readonly LoadedModel _loaded;
    private readonly int[] _ids;
    private readonly int _length;
    private QuantizedRows? _rows;

    /// <summary>Loads the model and reads the text.</summary>
    public MethodRun(Session session, string model, string output, string method, QuantizeText text, int? threads)
    {
        (_session, _output, _method, _text) = (session, output, method, text);
        using ModelHeader header = ModelHeader.Open(model);
        int[] ids = EvalVerb.ReadIds(text.Ids, text.Text, header);
        Unused = ids.Length > text.Tokens ? ids.AsMemory(text.Tokens) : default;
        _ids = ids.Length > text.Tokens ? ids[..text.Tokens] : ids;
        _context = ComputeContext.Training(threads ?? MachineInfo.CountPhysicalCores());
        try
        {
            _loaded = ModelLoader.Load(model, _context);
        }
        catch
        {
            _context.Dispose();
            throw;
        }

        _length = Math.Min(text.Context, _loaded.Config.ContextLength);
    }

    /// <summary>The text that is calibrated on.</summary>
    public ReadOnlyMemory<int> Ids => _ids;

    /// <summary>The file that it is of.</summary>
    public string TextName => Path.GetFileName(_text.File!);

    /// <summary>What is left of the text behind it.</summary>
    public ReadOnlyMemory<int> Unused { get; }

    /// <summary>What tensors may be stored as, once measured.</summary>
    public ModelCosts? Costs { get; private set; }

    private string Work => _text.Work ?? $"{_output}.work";

    private string SensitivityPath => Path.Combine(Work, "sensitivity.json");

    /// <summary>Measures what storing each of these tensors in each format costs.</summary>
    public ModelCosts Measure(IReadOnlyList<ModelTensor> tensors)
    {
        using ProgressBar bar = new(_session, "measuring sensitivity", "tensors");
        SensitivityOptions options = new() { SequenceTokens = Math.Min(_length, Math.Max(1, _ids.Length)), MakesErrorsGood = _method == "gptq", Known = new SensitivityFile(SensitivityPath), Progress = bar.Report };
        AtomicFile.Guarded(SensitivityPath, () => Costs = SensitivityRun.Measure(_loaded.Model, _context, tensors, _ids, options, _session.Interrupted));
        return Costs!;
    }

    /// <summary>The importance of the inputs on the text.</summary>
    public ImportanceMatrix Importance()
    {
        using ProgressBar bar = new(_session, "calibrating", "tokens");
        return ImportanceCollector.Run(_loaded.Model, _context, _ids, new CalibrationOptions { SequenceTokens = _length, Progress = bar.Report }, _session.Interrupted);
    }

    /// <summary>Chooses codes for the tensors of blocks, or changes the tensors.</summary>
    public (GgufContent Content, Dictionary<string, TensorChoice> Choices) Run(GgufContent content, Dictionary<string, TensorChoice> choices)
    {
        using ProgressBar bar = new(_session, _method == "rtn" ? "smoothing" : _method, _method == "gptq" ? "steps" : "blocks");
        if (_method != "gptq")
        {
            ModelScalingOptions options = new() { SequenceTokens = _length, Smooth = _text.Smooth, Progress = bar.Report };
            ScaledModel scaled = ModelScaling.Run(_loaded.Model, _context, content.Tensors, _ids, name => choices.GetValueOrDefault(name)?.Format, options, _session.Interrupted);
            return (content.With(scaled.Scales.Fold), scaled.WithImportance(choices));
        }

        ModelGptqOptions gptq = new() { WorkFolder = Work, SequenceTokens = _length, KeepsZeros = SparseModel.IsOne(_loaded.Header), Progress = bar.Report };
        gptq = Costs is null ? gptq : gptq with { HeadRidge = Costs.HeadRidge };
        _rows = ModelGptq.Run(_loaded.Model, _context, _ids, slot => QuantizedRows.FormatOf(choices, slot), gptq, _session.Interrupted);
        return (content, _rows.Encoders(choices));
    }

    /// <summary>The file is written: finished blocks are not needed any more. Sensitivities stay where a folder was named for them, for another size.</summary>
    public void Done()
    {
        if (_text.Work is null && Costs is not null)
        {
            File.Delete(SensitivityPath);
        }

        _rows?.Delete();
        if (_text.Work is null && Directory.Exists(Work) && !Directory.EnumerateFileSystemEntries(Work).Any())
        {
            Directory.Delete(Work);
        }
    }

    public void Dispose()
    {
        _rows?.Dispose();
        _loaded.Dispose();
        _context.Dispose();
    }
}
