// What kidogo quantize --method gptq|awq and --smooth need beyond rounding: a text, the model in memory, a folder for finished blocks. Knows no arithmetic.
using Kidogo.Cli.Shell;
using Kidogo.Compression.Calibration;
using Kidogo.Compression.Quantization;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Tensors;

namespace Kidogo.Cli.Verbs;

/// <summary>What to calibrate on.</summary>
/// <param name="Text">A text file.</param>
/// <param name="Ids">A file of ids.</param>
/// <param name="Tokens">How many tokens at most.</param>
/// <param name="Context">Tokens of a sequence.</param>
/// <param name="Work">The folder for finished blocks; null for one beside the output.</param>
/// <param name="Smooth">SmoothQuant's share; null for none.</param>
internal sealed record QuantizeText(string? Text, string? Ids, int Tokens, int Context, string? Work, float? Smooth)
{
    public void Check(string method)
    {
        if (Smooth is not null && method != "rtn")
        {
            throw new UsageException("--smooth goes with --method rtn: gptq makes errors good itself, and awq searches scales of its own.");
        }

        if (method == "rtn" && Smooth is null && (Text is not null || Ids is not null))
        {
            throw new UsageException("--text and --ids are for --method gptq or awq, and --smooth. For rounding to nearest, run kidogo calibrate on the text first and give its file with --calibration.");
        }

        if ((method != "rtn" || Smooth is not null) && Text is null == Ids is null)
        {
            throw new UsageException($"{(method == "rtn" ? "--smooth" : $"--method {method}")} calibrates on a text: name it with --text FILE, or its token ids with --ids FILE.");
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

/// <summary>Runs a method before the file is written.</summary>
internal sealed class MethodRun(Session session, string model, string output, string method, QuantizeText text, int? threads) : IDisposable
{
    private QuantizedRows? _rows;

    /// <summary>Chooses codes for the tensors of blocks, or changes the tensors.</summary>
    public (GgufContent Content, Dictionary<string, TensorChoice> Choices) Run(GgufContent content, Dictionary<string, TensorChoice> choices)
    {
        using ComputeContext context = ComputeContext.Training(threads ?? MachineInfo.CountPhysicalCores());
        using ModelHeader header = ModelHeader.Open(model);
        int[] ids = EvalVerb.ReadIds(text.Ids, text.Text, header, text.Tokens);
        using LoadedModel loaded = ModelLoader.Load(header, context);
        int length = Math.Min(text.Context, loaded.Config.ContextLength);
        using ProgressBar bar = new(session, method == "rtn" ? "smoothing" : method, method == "gptq" ? "steps" : "blocks");
        if (method != "gptq")
        {
            ModelScalingOptions options = new() { SequenceTokens = length, Smooth = text.Smooth, Progress = bar.Report };
            ScaledModel scaled = ModelScaling.Run(loaded.Model, context, content.Tensors, ids, name => choices.GetValueOrDefault(name)?.Format, options, session.Interrupted);
            return (content.With(scaled.Scales.Fold), scaled.WithImportance(choices));
        }

        _rows = ModelGptq.Run(
            loaded.Model, context, ids, slot => QuantizedRows.FormatOf(choices, slot),
            new ModelGptqOptions { WorkFolder = text.Work ?? $"{output}.work", SequenceTokens = length, Progress = bar.Report }, session.Interrupted);
        return (content, _rows.Encoders(choices));
    }

    /// <summary>The file is written: finished blocks are not needed any more.</summary>
    public void Done() => _rows?.Delete();

    public void Dispose() => _rows?.Dispose();
}
