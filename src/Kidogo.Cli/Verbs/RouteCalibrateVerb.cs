// kidogo route calibrate: from the user's own examples to a threshold of confidence.
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Kidogo.Cli.Shell;
using Kidogo.Inference;
using Kidogo.Routing;
using Kidogo.Routing.Worth;

namespace Kidogo.Cli.Verbs;

internal static class RouteCalibrateVerb
{
    public static Command Create(Session session)
    {
        Argument<string?> model = Opt.OptionalModel();
        Option<string> examples = Opt.RequiredFile("--examples", "Questions with what is right, a JSON object a line: question, and answer, choices, contains or regex");
        LargeModelArguments large = new();
        Option<double?> assumed = Opt.Number("--large-quality", "Share of questions that the large model is taken to answer rightly, where --against is not given (default 0.95)", 0, 1);
        Option<double?> quality = Opt.Number("--quality", "Aim at this share of the large model's quality, at as few calls as will do (default 0.95)", 0, 2);
        Option<double?> calls = Opt.Number("--calls", "Aim at a cost instead: the share of requests that may go to the large model", 0, 1);
        Option<int?> look = Opt.Int("--look-ahead", "Tokens that are looked at, and held back in a stream (default 64)", 1, 4096);
        Option<int?> samples = Opt.Int("--samples", "Further answers that are drawn to see whether they agree (default 0)", 0, 8);
        Option<int?> tokens = Opt.Int("--max-tokens", "Tokens of an answer at most (default 128)", 1);
        Option<string?> output = Opt.Text("--out", "FILE", "Where the calibration goes (default calibration.json)");
        Option<int?> threads = Opt.Threads();
        Option<bool> json = Opt.Json();
        Command command = new("calibrate", "Learn from your own examples when an answer of this machine can be trusted") { model, examples, assumed, quality, calls, look, samples, tokens, output, threads, json };
        foreach (Option option in large.All)
        {
            command.Options.Add(option);
        }

        command.SetAction(async (parsed, cancellation) =>
        {
            string path = parsed.GetValue(output) ?? "calibration.json";
            ConfidenceRule rule = new() { LookAhead = parsed.GetValue(look) ?? 64, Samples = parsed.GetValue(samples) ?? 0 };
            CalibrationTarget target = new() { Quality = parsed.GetValue(quality) ?? 0.95, Calls = parsed.GetValue(calls) };
            int most = parsed.GetValue(tokens) ?? 128;
            using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation, session.Interrupted);
            try
            {
                IReadOnlyList<TestItem> items = TestItem.Read(parsed.GetValue(examples)!);
                RoutingOptions? policy = large.Policy(parsed);
                using KidogoChatClient client = KidogoChatClient.Load(new KidogoOptions { Model = ModelChoice.Locate(parsed.GetValue(model)), Threads = parsed.GetValue(threads) ?? Kidogo.Evaluation.Machine.MachineInfo.CountPhysicalCores() });
                IReadOnlyList<LargeAnswer?> answers = large.Against(parsed) is null ? [] : await large.AskAsync(parsed, policy, items, most, _ => { }, stop.Token).ConfigureAwait(false);
                List<CalibrationExample> judged = [];
                using ProgressBar bar = new(session, "asking", "examples");
                foreach ((TestItem item, int index) in items.Select((item, index) => (item, index)))
                {
                    LocalRun run = await LocalRun.AskAsync(client, item.Prompt, rule, most, stop.Token).ConfigureAwait(false);
                    bar.Report(index + 1, items.Count);
                    bool isHere = answers.Count > 0 && answers[index] is null; // it may never leave, so it says nothing of the threshold
                    if (run.Signs is { } signs && !isHere)
                    {
                        double right = answers.Count == 0 ? parsed.GetValue(assumed) ?? 0.95 : AnswerJudge.IsRight(item, answers[index]!.Text) ? 1 : 0;
                        judged.Add(new CalibrationExample(signs, AnswerJudge.IsRight(item, run.Text), right));
                    }
                }

                Report(session, Calibration.Of(judged, target, rule), path, parsed.GetValue(json));
            }
            catch (Exception failure) when (failure is RoutingException or UpstreamException)
            {
                throw new FailureException(failure.Message);
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static void Report(Session session, Calibration calibration, string path, bool asJson)
    {
        AtomicFile.Guarded(path, () =>
        {
            using AtomicFile file = AtomicFile.Create(session, path);
            using (Utf8JsonWriter json = new(file.Stream, new JsonWriterOptions { Indented = true }))
            {
                json.WriteStartObject();
                calibration.Write(json);
                json.WriteEndObject();
            }

            file.Commit();
        });
        if (asJson)
        {
            JsonOutput.Write(session, calibration.Write);
            return;
        }

        session.Output.Write(calibration.Draw());
        session.Output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"\n{calibration.Examples} examples: this machine is right in {calibration.SmallQuality:0.0 %}, the large model in {calibration.LargeQuality:0.0 %}. Below a confidence of {calibration.Rule.Threshold:0.000}, {calibration.Chosen.Calls:0.0 %} of requests go to the large model; {calibration.Chosen.Quality:0.0 %} are then right."));
        session.Tell($"written: {path}. In the policy: confidence: {{ calibration: {path} }}");
    }
}
