// kidogo calibrate: activation statistics for quantising.
using System.CommandLine;
using Kidogo.Cli.Shell;
using Kidogo.Compression.Calibration;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Cli.Verbs;

internal static class CalibrateVerb
{
    private sealed record Options(string? Text, string? Ids, string Out, int? Tokens, int Context, ModelRequest Request, bool Json);

    public static Command Create(Session session)
    {
        Argument<string> model = Opt.Model();
        Option<string?> text = Opt.Text("--text", "FILE", "The text");
        Option<string?> ids = Opt.Text("--ids", "FILE", "The text as token ids");
        Option<string> output = Opt.RequiredFile("--out", "The importance matrix that is written: GGUF, or llama.cpp's older binary where the name ends in .dat");
        Option<int?> tokens = Opt.Int("--tokens", "How many tokens of the text to take at most (default: all)", 1);
        Option<int?> context = Opt.Int("--context", "Tokens of a sequence (default 512)", 1);
        Option<string?> loadAs = Opt.LoadAs();
        Option<int?> threads = Opt.Threads();
        Option<bool> json = Opt.Json();
        Command command = new("calibrate", "Measure on a text which inputs of a model's matrices matter, for quantize --calibration") { model, text, ids, output, tokens, context, loadAs, threads, json };
        command.SetAction(parsed => Run(session, new Options(
            parsed.GetValue(text), parsed.GetValue(ids), parsed.GetRequiredValue(output), parsed.GetValue(tokens), parsed.GetValue(context) ?? 512,
            new ModelRequest(parsed.GetRequiredValue(model), parsed.GetValue(threads), Exact: false, parsed.GetValue(loadAs)), parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        using ModelHeader header = OpenModel.OpenHeader(options.Request);
        Overwriting.Refuse(options.Out, header, options.Text, options.Ids);
        int[] ids = EvalVerb.ReadIds(options.Ids, options.Text, header, options.Tokens);
        using ComputeContext context = ComputeContext.Training(options.Request.Threads ?? MachineInfo.CountPhysicalCores());
        using LoadedModel loaded = ModelLoader.Load(header, context);
        ImportanceMatrix matrix;
        using (ProgressBar bar = new(session, "calibrating", "tokens"))
        {
            matrix = ImportanceCollector.Run(loaded.Model, context, ids, new CalibrationOptions { SequenceTokens = options.Context, Progress = bar.Report }, session.Interrupted);
        }

        matrix = new ImportanceMatrix(matrix.Columns) { ChunkTokens = matrix.ChunkTokens, Datasets = [Path.GetFileName(options.Text ?? options.Ids!)] };
        AtomicFile.Guarded(options.Out, () => ImportanceFile.Write(options.Out, matrix));
        if (options.Json)
        {
            JsonOutput.Write(session, json =>
            {
                json.WriteNumber("tokens", matrix.Tokens);
                json.WriteNumber("layers", loaded.Config.NumLayers);
            });
            return ExitCode.Done;
        }

        session.Tell($"{options.Out}: {matrix.Columns.Count} matrices of {loaded.Config.NumLayers} layers on {matrix.Tokens} tokens");
        return ExitCode.Done;
    }
}
