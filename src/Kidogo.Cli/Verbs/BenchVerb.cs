// kidogo bench: how fast a model reads and writes here.
using System.CommandLine;
using System.Diagnostics;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation;
using Kidogo.Models;

namespace Kidogo.Cli.Verbs;

internal static class BenchVerb
{
    private sealed record Options(ModelRequest Request, SpeedOptions Speed, int Repeat, bool Json);

    public static Command Create(Session session)
    {
        Argument<string?> model = Opt.OptionalModel();
        Option<int?> prompt = Opt.Int("--prompt", "Tokens of the prompt (default 512)", 1);
        Option<int?> generate = Opt.Int("--generate", "Tokens to generate after it (default 128)", 0);
        Option<int?> repeat = Opt.Int("--repeat", "Repetitions (default 3)", 1, 10_000);
        Option<int?> batch = Opt.Int("--batch", "Sequences at once; rates are summed over them (default 1)", 1, 4096);
        Option<string?> cache = Opt.KvCache();
        Option<int?> threads = Opt.Threads();
        Option<string?> loadAs = Opt.LoadAs();
        Option<string?> adapter = Opt.Adapter();
        Option<bool> exact = Opt.Exact();
        Option<bool> json = Opt.Json();
        Command command = new("bench", "Measure prefill and decode; with --speculate or --draft the decoding of the model's own greedy answer to a made-up prompt") { model, prompt, generate, repeat, batch, cache, threads, exact, loadAs, adapter, json };
        SpeculationArguments speculation = new();
        speculation.AddTo(command);
        command.SetAction(parsed => Run(session, parsed, speculation, new Options(
            new ModelRequest(parsed.GetValue(model), parsed.GetValue(threads), parsed.GetValue(exact), parsed.GetValue(loadAs)) { Adapter = parsed.GetValue(adapter) },
            new SpeedOptions
            {
                PromptTokens = parsed.GetValue(prompt) ?? 512,
                GeneratedTokens = parsed.GetValue(generate) ?? 128,
                BatchSize = parsed.GetValue(batch) ?? 1,
                CacheFormat = Opt.KvFormatOf(parsed.GetValue(cache), parsed.GetValue(exact)),
                Answers = speculation.AreGiven(parsed),
            },
            parsed.GetValue(repeat) ?? 3,
            parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, ParseResult parsed, SpeculationArguments speculation, Options options)
    {
        if (options.Speed is { Answers: true, BatchSize: > 1 })
        {
            throw new UsageException("--speculate and --draft are measured for one sequence: leave --batch away.");
        }

        ModelHeader header = OpenModel.OpenHeader(options.Request);
        long length = (long)options.Speed.PromptTokens + options.Speed.GeneratedTokens;
        if (length > header.Config.ContextLength)
        {
            header.Dispose();
            throw new FailureException($"--prompt {options.Speed.PromptTokens} and --generate {options.Speed.GeneratedTokens} make {length} tokens, but the model's context has {header.Config.ContextLength}.");
        }

        Stopwatch loading = Stopwatch.StartNew();
        using OpenModel open = OpenModel.Load(session, options.Request, header, (int)length, options.Speed.CacheFormat!.Value, options.Speed.BatchSize);
        using Guessing? guessing = speculation.Read(session, parsed, open, (int)length);
        SpeedOptions speed = options.Speed with { Drafter = guessing?.Drafter };
        double loadSeconds = loading.Elapsed.TotalSeconds;
        if (!options.Json)
        {
            session.Output.WriteLine("repetition  prefill tokens/s  decode tokens/s  first token s  peak memory");
        }

        using ProgressBar bar = new(session, "measuring", "repetitions");
        for (int i = 0; i < options.Repeat; i++)
        {
            SpeedReport report = Speed.Measure(open.Model, open.Context, speed, session.Interrupted);
            long peak = Process.GetCurrentProcess().PeakWorkingSet64;
            if (options.Json)
            {
                JsonOutput.Write(session, json =>
                {
                    json.WriteFinite("prefill_tokens_per_second", report.PrefillTokensPerSecond);
                    json.WriteFinite("decode_tokens_per_second", report.DecodeTokensPerSecond);
                    json.WriteFinite("first_token_seconds", report.FirstToken.TotalSeconds);
                    json.WriteFinite("load_seconds", loadSeconds);
                    json.WriteNumber("peak_memory_bytes", peak);
                    if (guessing is not null)
                    {
                        Chat.Answerer.WriteGuesses(json, report.Guesses);
                    }
                });
            }
            else
            {
                session.Output.WriteLine($"{i + 1,10}  {Show.Number(report.PrefillTokensPerSecond),16}  {Show.Number(report.DecodeTokensPerSecond),15}  {report.FirstToken.TotalSeconds,13:0.000}  {Show.Bytes(peak),11}");
                session.Output.Flush();
            }

            bar.Report(i + 1, options.Repeat);
        }

        return ExitCode.Done;
    }
}
