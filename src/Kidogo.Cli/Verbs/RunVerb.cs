// kidogo run: answers a prompt, or chats in a terminal.
using System.CommandLine;
using Kidogo.Cli.Chat;
using Kidogo.Cli.Shell;
using Kidogo.Inference;
using Kidogo.Inference.Output;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Cli.Verbs;

/// <summary>What one run of the verb was asked for.</summary>
internal sealed record RunOptions
{
    public required ModelRequest Request { get; init; }

    public string? Prompt { get; init; }

    public string? IdsFile { get; init; }

    public string? System { get; init; }

    public bool Raw { get; init; }

    public bool Special { get; init; }

    public int? MaxTokens { get; init; }

    public string[] StopStrings { get; init; } = [];

    public int? Context { get; init; }

    public int? Sinks { get; init; }

    public KvFormat KvCache { get; init; }

    public string? ChatTemplate { get; init; }

    public bool? Think { get; init; }

    public bool Json { get; init; }
}

internal static class RunVerb
{
    private const int UsualContext = 8192;

    public static Command Create(Session session)
    {
        Argument<string[]> words = new("[MODEL] [PROMPT]") { Description = "A model, a prompt, or both. One alone is a model if it exists, ends in .gguf or looks like org/name; else it is the prompt", Arity = new ArgumentArity(0, 2) };
        Option<string?> system = Opt.Text("--system", "TEXT", "What the model is told before the conversation");
        Option<bool> raw = Opt.Flag("--raw", "Continue the prompt as it is, without a chat template");
        Option<bool> special = Opt.Flag("--special", "With --raw: let control tokens that are spelled out in the prompt count as such");
        Option<string?> ids = Opt.Text("--ids", "FILE", "The prompt as token ids");
        Option<int?> maxTokens = Opt.Int("--max-tokens", "Tokens to answer with at most (default: as many as the context holds)", 0);
        Option<string[]> stop = Opt.Texts("--stop", "TEXT", "End the answer before this text; may be repeated");
        Option<int?> context = Opt.Int("--context", "Tokens of prompt and answer together (default: the model's own, at most 8192)", 1);
        Option<int?> sinks = Opt.Int("--sinks", "Go on past the context: keep this many tokens at the start and forget the oldest after them", 0);
        Option<string?> cache = Opt.KvCache();
        Option<string?> template = Opt.ChatTemplate();
        Option<string?> think = Opt.Choice("--think", "Switch the model's reasoning on or off, where its template allows", "on", "off");
        Option<int?> threads = Opt.Threads();
        Option<string?> loadAs = Opt.LoadAs();
        Option<string?> adapter = Opt.Adapter();
        Option<bool> exact = Opt.Exact();
        Option<bool> json = Opt.Json();
        SamplingArguments sampling = new();
        Command command = new("run", "Answer a prompt, or chat in a terminal") { words, system, raw, special, ids, maxTokens, stop, context, sinks, cache, template, think, threads, exact, loadAs, adapter, json };
        sampling.AddTo(command);
        FormArguments form = new();
        form.AddTo(command);
        SpeculationArguments speculation = new();
        speculation.AddTo(command);
        command.SetAction(parsed =>
        {
            (string? model, string? prompt) = Split(parsed.GetValue(words) ?? []);
            RunOptions options = new()
            {
                Request = new ModelRequest(model, parsed.GetValue(threads), parsed.GetValue(exact), parsed.GetValue(loadAs)) { Adapter = parsed.GetValue(adapter) },
                Prompt = prompt,
                IdsFile = parsed.GetValue(ids),
                System = parsed.GetValue(system),
                Raw = parsed.GetValue(raw),
                Special = parsed.GetValue(special),
                MaxTokens = parsed.GetValue(maxTokens),
                StopStrings = parsed.GetValue(stop) ?? [],
                Context = parsed.GetValue(context),
                Sinks = parsed.GetValue(sinks),
                KvCache = Opt.KvFormatOf(parsed.GetValue(cache), parsed.GetValue(exact)),
                ChatTemplate = parsed.GetValue(template),
                Think = parsed.GetValue(think) is { } word ? word == "on" : null,
                Json = parsed.GetValue(json),
            };
            return Run(session, options, parsed, sampling, form, speculation);
        });
        return command;
    }

    private static (string? Model, string? Prompt) Split(string[] words) => words switch
    {
        [] => (null, null),
        [{ } one] => ModelLocator.LooksLikeModel(one) ? (one, null) : (null, one),
        [{ } model, { } prompt, ..] => (model, prompt),
    };

    private static int Run(Session session, RunOptions options, ParseResult parsed, SamplingArguments sampling, FormArguments form, SpeculationArguments speculation)
    {
        StopStringMatcher.Validate(options.StopStrings);
        if (options.IdsFile is not null && (options.Prompt is not null || options.System is not null))
        {
            throw new UsageException("--ids is the whole prompt, so it does not go with a prompt or --system.");
        }

        if (options.Special && !options.Raw)
        {
            session.Warn("--special has no effect without --raw: a chat template marks the control tokens itself.");
        }

        bool chats = options.Prompt is null && options.IdsFile is null && !Console.IsInputRedirected && !Console.IsOutputRedirected;
        if (chats && options.Json)
        {
            throw new UsageException("--json prints one answer, so it needs a prompt: as an argument, on standard input or with --ids.");
        }

        ModelHeader header = OpenModel.OpenHeader(options.Request);
        try
        {
            options = chats || options.IdsFile is not null ? options : options with { Prompt = FullPrompt(session, options.Prompt) };
            Prompting prompting = Prompting.Create(session, options, header, chats);
            int context = ContextOf(options, header.Config, chats ? 0 : prompting.OneShot(options).Ids.Count);
            GenerationOptions generation = new()
            {
                MaxTokens = options.MaxTokens,
                StopStrings = options.StopStrings,
                Sampling = sampling.Read(session, parsed, prompting.Text, header.Generation, header.Config.VocabSize),
            };
            HeldForm? held = form.Read(parsed, prompting, header.Generation.EndTokens);
            using OpenModel open = OpenModel.Load(session, options.Request, header, context, options.KvCache);
            using Guessing? guessing = speculation.Read(session, parsed, open, context);
            if (!prompting.Text.HasTokenizer && options.IdsFile is not null)
            {
                AnswerOptions how = new() { Generation = generation, Sinks = options.Sinks, EndTokens = open.Loaded.Generation.EndTokens, Drafter = guessing?.Drafter };
                return IdContinuation.Run(session, open, prompting.OneShot(options).Ids, how, context, options.KvCache, options.Json);
            }

            using Answerer answerer = new(session, open, prompting, options, generation, context) { Form = held, Drafter = guessing?.Drafter };
            return chats ? new ChatLoop(session, answerer, prompting, options).Run() : answerer.OneShot();
        }
        catch
        {
            header.Dispose();
            throw;
        }
    }

    private static string FullPrompt(Session session, string? prompt)
    {
        string? piped = StandardInput.ReadPiped(session);
        string whole = prompt is null ? piped ?? (Console.IsInputRedirected ? "" : StandardInput.ReadText(session)) : piped is null ? prompt : $"{prompt}\n\n{piped}";
        return whole.Length > 0 ? whole : throw new FailureException("The prompt is empty. Give a text as an argument or on standard input, or token ids with --ids FILE.");
    }

    private static int ContextOf(RunOptions options, DecoderConfig config, int promptTokens)
    {
        if (options.Context > config.LongestSequence)
        {
            string advice = options.Sinks is null ? "Leave it away, or use --sinks 4 to go on past the end." : "Leave it away: --sinks goes on past the end.";
            throw new FailureException($"--context {options.Context} is more than the {config.ContextLength} tokens that the model was made for. {advice}");
        }

        long needed = (long)promptTokens + (options.MaxTokens ?? 1024);
        int context = options.Context ?? (int)(promptTokens > config.ContextLength ? Math.Min(config.LongestSequence, needed) : Math.Min(config.ContextLength, Math.Max(UsualContext, needed)));
        return promptTokens <= context
            ? context
            : throw new FailureException($"The prompt has {promptTokens} tokens, but the context holds {context}. Shorten the prompt{(context < config.ContextLength ? $", or give up to --context {config.ContextLength}" : "")}.");
    }
}
