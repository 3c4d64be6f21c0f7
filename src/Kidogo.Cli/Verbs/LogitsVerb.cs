// kidogo logits: one causal pass, all logits to a file.
using System.CommandLine;
using System.Diagnostics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Kidogo.Cli.Shell;
using Kidogo.Inference;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Cli.Verbs;

internal static class LogitsVerb
{
    private sealed record Options(ModelRequest Request, string Ids, string Out, bool Json);

    public static Command Create(Session session)
    {
        Argument<string> model = Opt.Model();
        Option<string> ids = Opt.RequiredFile("--ids", "Token ids: decimal numbers with white space between them");
        Option<string> output = Opt.RequiredFile("--out", "The logits: float32, little-endian, row-major [tokens, vocabulary]");
        Option<int?> threads = Opt.Threads();
        Option<string?> loadAs = Opt.LoadAs();
        Option<string?> adapter = Opt.Adapter();
        Option<bool> exact = Opt.Exact();
        Option<bool> json = Opt.Json();
        Command command = new("logits", "Compute the logits of every position in one causal pass") { model, ids, output, threads, exact, loadAs, adapter, json };
        command.SetAction(parsed => Run(session, new Options(
            new ModelRequest(parsed.GetRequiredValue(model), parsed.GetValue(threads), parsed.GetValue(exact), parsed.GetValue(loadAs)) { Adapter = parsed.GetValue(adapter) }, parsed.GetRequiredValue(ids), parsed.GetRequiredValue(output), parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        using ModelHeader header = OpenModel.OpenHeader(options.Request);
        int vocabulary = header.Config.VocabSize;
        Overwriting.Refuse(options.Out, header, options.Ids);
        int[] ids = IdFile.ReadAll(options.Ids, vocabulary, header.Config.LongestSequence, "which are all that the model's context holds. Cut the file into windows of at most that many.");
        if (ids.Length == 0)
        {
            throw new FailureException($"{options.Ids} holds no token ids; give at least one.");
        }

        using AtomicFile file = AtomicFile.Create(session, options.Out);
        using OpenModel open = OpenModel.Load(session, options.Request, header, ids.Length, options.Request.Exact ? KvFormat.F32 : KvFormat.F16);
        Stopwatch clock = Stopwatch.StartNew();
        using (ProgressBar bar = new(session, "computing", "tokens"))
        {
            using LogitStream stream = new(open.Model, open.Context, ids);
            while (stream.Next() is { } logits)
            {
                session.Interrupted.ThrowIfCancellationRequested();
                if (!float.IsFinite(TensorPrimitives.MaxMagnitude(logits.Span))) // NaN if any is
                {
                    throw new FailureException($"{header.Path}: some logits are NaN or infinite, so the model's weights are damaged; {options.Out} was not written. Get the model's file again.");
                }

                AtomicFile.Guarded(options.Out, () => file.Stream.Write(MemoryMarshal.AsBytes(logits.Span)));
                bar.Report(stream.Position, stream.Length);
            }
        }

        double seconds = clock.Elapsed.TotalSeconds;
        AtomicFile.Guarded(options.Out, file.Commit);
        if (options.Json)
        {
            JsonOutput.Write(session, json =>
            {
                json.WriteNumber("tokens", ids.Length);
                json.WriteNumber("vocabulary", vocabulary);
                json.WriteNumber("seconds", seconds);
            });
        }

        return ExitCode.Done;
    }
}
