// kidogo compare --against: what routing is worth on the user's own test.
using System.CommandLine;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation.Machine;
using Kidogo.Inference;
using Kidogo.Routing;
using Kidogo.Routing.Policy;
using Kidogo.Routing.Worth;

namespace Kidogo.Cli.Verbs;

internal sealed class CompareAgainst
{
    private readonly LargeModelArguments _large = new();
    private readonly Option<string?> _test = Opt.Text("--test", "FILE", "With --against: your questions with what is right, a JSON object a line");
    private readonly Option<string?> _calibration = Opt.Text("--calibration", "FILE", "With --against: when this machine's answers are trusted, of kidogo route calibrate (default: the policy's, or not calibrated)");
    private readonly Option<int?> _tokens = Opt.Int("--max-tokens", "With --against: tokens of an answer at most (default 128)", 1);
    private readonly Option<double?> _watts = Opt.Number("--watts", "With --against: watts of a busy core, where the processor does not count its energy (default 10)", 0.1, 1000);
    private readonly Option<double?> _power = Opt.Number("--price-kwh", "With --against: price of a kilowatt-hour (default 0)", 0, 1000);

    public IEnumerable<Option> All => [.. _large.All, _test, _calibration, _tokens, _watts, _power];

    /// <summary>Whether this is what is asked for.</summary>
    public bool IsAsked(ParseResult parsed) => _large.Against(parsed) is not null || parsed.GetValue(_test) is not null;

    /// <summary>Asks both and prints the three rows.</summary>
    public async Task<int> RunAsync(Session session, ParseResult parsed, string[] models, int? threads, bool asJson, CancellationToken cancellation)
    {
        if (_large.Against(parsed) is null || parsed.GetValue(_test) is not { } test || models.Length != 1)
        {
            throw new UsageException("--against and --test go together, with one MODEL: the small one.");
        }

        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation, session.Interrupted);
        try
        {
            IReadOnlyList<TestItem> items = TestItem.Read(test);
            RoutingOptions? policy = _large.Policy(parsed);
            ConfidenceRule rule = parsed.GetValue(_calibration) is { } file ? RoutingFile.Calibration(file) : policy?.Confidence ?? new ConfidenceRule();
            int most = parsed.GetValue(_tokens) ?? 128;
            using KidogoChatClient client = KidogoChatClient.Load(new KidogoOptions { Model = ModelChoice.Locate(models[0]), Threads = threads ?? MachineInfo.CountPhysicalCores() });
            List<LocalRun> runs = [];
            EnergyReading energy;
            using (ProgressBar bar = new(session, "asking here", "questions"))
            {
                EnergyMeter meter = new(parsed.GetValue(_watts) ?? EnergyMeter.UsualWattsPerCore);
                foreach (TestItem item in items)
                {
                    runs.Add(await LocalRun.AskAsync(client, item.Prompt, rule, most, stop.Token).ConfigureAwait(false));
                    bar.Report(runs.Count, items.Count);
                }

                energy = meter.Read();
            }

            IReadOnlyList<LargeAnswer?> answers;
            using (ProgressBar bar = new(session, "asking the large model", "questions"))
            {
                answers = await _large.AskAsync(parsed, policy, items, most, done => bar.Report(done, items.Count), stop.Token).ConfigureAwait(false);
            }

            (double input, double output) = _large.Prices(parsed, policy);
            WorthPrices prices = new() { Input = input, Output = output, KilowattHour = parsed.GetValue(_power) ?? 0 };
            WorthReport report = WorthReport.Of([.. items.Select((item, index) => new WorthCase(item, runs[index], answers[index]))], rule, prices, energy.Joules, energy.Source, energy.IsMeasured);
            if (asJson)
            {
                foreach (WorthRow row in report.Rows)
                {
                    JsonOutput.Write(session, json => report.Write(json, row));
                }
            }
            else
            {
                session.Output.Write(report.Draw());
                session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"prices: {input} and {output} for a million tokens in and out, {prices.KilowattHour} a kilowatt-hour; confidence {(rule.Model is null ? "not calibrated" : "calibrated")}, threshold {rule.Threshold:0.###}"));
            }

            return ExitCode.Done;
        }
        catch (Exception failure) when (failure is RoutingException or UpstreamException)
        {
            throw new FailureException(failure.Message);
        }
    }
}
