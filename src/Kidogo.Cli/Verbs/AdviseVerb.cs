// kidogo advise: six questions, one answer, and which of the answers made it.
using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Kidogo.Catalog.Advice;
using Kidogo.Catalog.Hub;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;
using Kidogo.Models.Files;

namespace Kidogo.Cli.Verbs;

internal static class AdviseVerb
{
    private const double UsualKilowattHour = 0.20, UsualMillion = 1.00;

    private sealed record Options(IReadOnlyDictionary<string, string> Given, string? JsonFile, bool Json, string? Language, double KilowattHour, double Million, string? CatalogueFile, int Threads);

    public static Command Create(Session session)
    {
        Option<string?>[] answers = [.. Question.All.Select(question => Opt.Choice($"--{question.Name}", $"{question.Text} {string.Join("; ", question.Choices.Select(choice => $"{choice.Word}: {choice.Meaning}"))}", [.. question.Choices.Select(choice => choice.Word)]))];
        Option<string?> json = Opt.Text("--json", "FILE", "Print one JSON object; with FILE, or - for standard input, the answers are read from there: {\"task\": \"easy\", …}");
        json.Arity = ArgumentArity.ZeroOrOne;
        Option<string?> language = StoreArguments.Language();
        Option<double?> kilowattHour = Opt.Number("--kwh-price", FormattableString.Invariant($"What a kilowatt hour costs (default {UsualKilowattHour:0.00})"), 0, 1000);
        Option<double?> million = Opt.Number("--cloud-price", FormattableString.Invariant($"What a million tokens of a large model cost, in the same money (default {UsualMillion:0.00})"), 0, 100_000);
        Option<string?> catalogue = StoreArguments.CatalogueFile();
        Option<int?> threads = Opt.Threads();
        Command command = new("advise", "Six questions, and then: small or large or both, which model, which format, and why") { json, language, kilowattHour, million, catalogue, threads };
        foreach (Option<string?> answer in answers)
        {
            command.Options.Add(answer);
        }

        command.SetAction(parsed => Run(session, new Options(
            answers.Select(answer => (Name: answer.Name[2..], Word: parsed.GetValue(answer))).Where(pair => pair.Word is not null).ToDictionary(pair => pair.Name, pair => pair.Word!, StringComparer.Ordinal),
            parsed.GetValue(json), parsed.GetResult(json) is not null, parsed.GetValue(language), parsed.GetValue(kilowattHour) ?? UsualKilowattHour, parsed.GetValue(million) ?? UsualMillion,
            parsed.GetValue(catalogue), parsed.GetValue(threads) ?? MachineInfo.CountPhysicalCores())));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        Answers answers = Read(session, options);
        ModelPlaces places = ModelPlaces.FromEnvironment();
        IReadOnlyList<Candidate> candidates = Candidate.All(StoreArguments.OpenCatalogue(options.CatalogueFile), new HubCache(places.CacheFolder), new ModelLocator(places).Default());
        Recommendation advice = new Advisor(candidates, AdvisedMachine.Measure(options.Threads), options.Language).Advise(answers);
        if (options.Json)
        {
            PrintJson(session, advice, options);
        }
        else
        {
            Print(session, advice, options);
        }

        return ExitCode.Done;
    }

    private static Answers Read(Session session, Options options)
    {
        Dictionary<string, string> given = new(options.Given, StringComparer.Ordinal);
        bool isPiped = options.Json && Console.IsInputRedirected && given.Count < Question.All.Count;
        if (options.JsonFile is { } file && file != "-")
        {
            Add(given, JsonFile.ReadObject(file), file);
        }
        else if ((options.JsonFile == "-" || isPiped) && StandardInput.ReadText(session) is { Length: > 0 } text && text.Trim().Length > 0)
        {
            Add(given, ParseObject(text), "standard input");
        }

        List<int> numbers = [];
        foreach (Question question in Question.All)
        {
            numbers.Add(given.TryGetValue(question.Name, out string? word) ? question.IndexOf(word)
                : Console.IsInputRedirected || options.Json ? throw Missing(given)
                : Ask(session, question));
        }

        return Answers.Of(numbers);
    }

    private static UsageException Missing(Dictionary<string, string> given) =>
        new($"There is no answer to {string.Join(", ", Question.All.Where(question => !given.ContainsKey(question.Name)).Select(question => $"--{question.Name} {string.Join('|', question.Choices.Select(choice => choice.Word))}"))}.");

    private static Dictionary<string, JsonElement> ParseObject(string text)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 4 });
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? document.RootElement.EnumerateObject().GroupBy(member => member.Name).ToDictionary(group => group.Key, group => group.Last().Value.Clone(), StringComparer.Ordinal)
                : throw new FailureException("Standard input has to hold a JSON object such as {\"task\": \"easy\", …}.");
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException)
        {
            throw new FailureException($"Standard input is no JSON: {failure.Message}");
        }
    }

    /// <summary>Answers of a file; an option of the same name comes first.</summary>
    private static void Add(Dictionary<string, string> given, Dictionary<string, JsonElement> members, string place)
    {
        foreach ((string name, JsonElement value) in members)
        {
            if (Question.All.All(question => question.Name != name))
            {
                string nearest = NearestName.Likely(name, Question.All.Select(question => question.Name)) is { } near ? $"; the nearest is {near}" : "";
                throw new FailureException($"{place} answers {ModelFormatException.Quote(name)}, which is not asked{nearest}. The questions are {string.Join(", ", Question.All.Select(question => question.Name))}.");
            }

            given.TryAdd(name, value.ValueKind == JsonValueKind.String ? value.GetString()! : throw new FailureException($"{place}: {name} has to be a word in quotes."));
        }
    }

    private static int Ask(Session session, Question question)
    {
        session.Error.WriteLine($"\n{question.Text}");
        for (int i = 0; i < question.Choices.Count; i++)
        {
            session.Error.WriteLine($"  {i + 1}  {question.Choices[i].Word}: {question.Choices[i].Meaning}");
        }

        while (true)
        {
            session.Error.Write("> ");
            string line = Console.ReadLine()?.Trim() ?? throw new OperationCanceledException();
            session.Interrupted.ThrowIfCancellationRequested();
            if (int.TryParse(line, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= 1 && number <= question.Choices.Count)
            {
                return number - 1;
            }

            try
            {
                return question.IndexOf(line);
            }
            catch (HubException failure)
            {
                session.Error.WriteLine($"{failure.Message} Or a number from 1 to {question.Choices.Count}.");
            }
        }
    }

    private static void Print(Session session, Recommendation advice, Options options)
    {
        TextWriter output = session.Output;
        string model = advice.Model is { } small ? $"{small.Name}{(small.Name.EndsWith($":{small.Format}", StringComparison.Ordinal) ? "" : $" in {small.Format}")}" : "";
        output.WriteLine(advice.Where switch
        {
            Size.Small => $"small: {model}",
            Size.Large => "large: a model behind an OpenAI-compatible endpoint",
            Size.Both => $"both: {model} first, and a large model for what it is not sure of",
            _ => "none: what was asked for does not go together",
        });
        if (advice.Shortfall is { } shortfall)
        {
            output.WriteLine($"but {shortfall}");
        }

        if (advice is { Model: { } chosen, Expected: { } expected })
        {
            output.WriteLine($"\n  {(chosen.IsHere ? $"kidogo run {chosen.Name}" : $"kidogo pull {chosen.Name}")}{(chosen.IsHere || chosen.Name.Contains(':', StringComparison.Ordinal) ? "" : $"; kidogo run {chosen.Name} --load-as {chosen.Format}")}\n");
            output.Write(Show.Table(["expected", ""],
            [
                ["speed", $"{Show.Number(expected.DecodeTokensPerSecond)} tokens/s, a first word after {Show.Number(expected.FirstTokenSeconds)} s (a question of {Expectation.PromptTokens} tokens)"],
                ["memory", $"{Show.Bytes(expected.MemoryBytes)} of {Show.Bytes(advice.Machine.AvailableBytes)}"],
                ["energy", $"{Show.Number(expected.JoulesPerToken)} J a token, {Show.Number(expected.JoulesPerAnswer / 3600)} Wh an answer of {Expectation.AnswerTokens} tokens ({advice.Machine.WattsSource})"],
                ["cost", Costs(advice, options)],
                ["computed from", $"{Show.Bytes(advice.Machine.BandwidthBytesPerSecond)}/s and {Show.Number(advice.Machine.FloatsPerSecond / 1e9)} GFLOP/s, {(advice.Machine.IsMeasured ? "measured now on this machine" : "typical of its kind, not measured")}"],
            ]));
        }
        else if (advice.Where == Size.Large)
        {
            output.WriteLine($"\n  {Costs(advice, options)}");
        }

        output.WriteLine("\nbecause");
        foreach (Because because in advice.Because)
        {
            StringBuilder line = new($"  {(because.Decided ? "*" : " ")} {because.Question} {because.Answer}: {because.Reason}");
            if (because is { Decided: true, Otherwise: { } other })
            {
                line.Append($"; with {other.Answer} it would be {Word(other.Where)}{(other.Model is null ? "" : $" ({other.Model.Name})")}");
            }

            output.WriteLine(line);
        }

        output.WriteLine("  * decided");
    }

    private static string Costs(Recommendation advice, Options options) =>
        $"{(Electricity(advice, options) is { } own ? $"{Show.Number(own)} a thousand answers for electricity at {Show.Number(options.KilowattHour)} a kWh; " : "")}a large model {Show.Number(Cloud(options))} at {Show.Number(options.Million)} a million tokens";

    private static double? Electricity(Recommendation advice, Options options) => advice.Expected is { } expected ? expected.JoulesPerAnswer * 1000 / 3.6e6 * options.KilowattHour : null;

    private static double Cloud(Options options) => (Expectation.PromptTokens + Expectation.AnswerTokens) * 1000 / 1e6 * options.Million;

    private static string Word(Size size) => size.ToString().ToLowerInvariant();

    private static void PrintJson(Session session, Recommendation advice, Options options) => JsonOutput.Write(session, json =>
    {
        json.WriteString("where", Word(advice.Where));
        json.WriteString("model", advice.Model?.Name);
        json.WriteString("format", advice.Model?.Format);
        json.WriteStartArray("because");
        foreach (Because because in advice.Because)
        {
            json.WriteStartObject();
            json.WriteString("question", because.Question);
            json.WriteString("answer", because.Answer);
            json.WriteString("reason", because.Reason);
            json.WriteBoolean("decided", because.Decided);
            if (because.Otherwise is { } other)
            {
                json.WriteStartObject("otherwise");
                json.WriteString("answer", other.Answer);
                json.WriteString("where", Word(other.Where));
                json.WriteString("model", other.Model?.Name);
                json.WriteEndObject();
            }
            else
            {
                json.WriteNull("otherwise");
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartObject("expected");
        json.WriteString("shortfall", advice.Shortfall);
        if (advice.Expected is { } expected)
        {
            json.WriteFinite("decode_tokens_per_second", expected.DecodeTokensPerSecond);
            json.WriteFinite("prefill_tokens_per_second", expected.PrefillTokensPerSecond);
            json.WriteFinite("first_token_seconds", expected.FirstTokenSeconds);
            json.WriteNumber("memory_bytes", expected.MemoryBytes);
            json.WriteFinite("energy_j_per_token", expected.JoulesPerToken);
            json.WriteFinite("energy_j_per_answer", expected.JoulesPerAnswer);
            json.WriteString("energy_source", advice.Machine.WattsSource);
            json.WriteFinite("electricity_per_1000_answers", Electricity(advice, options)!.Value);
        }

        json.WriteFinite("cloud_per_1000_answers", Cloud(options));
        json.WriteNumber("available_bytes", advice.Machine.AvailableBytes);
        json.WriteFinite("bandwidth_bytes_per_second", advice.Machine.BandwidthBytesPerSecond);
        json.WriteFinite("flops_per_second", advice.Machine.FloatsPerSecond);
        json.WriteBoolean("measured", advice.Machine.IsMeasured);
        json.WriteEndObject();
    });
}
