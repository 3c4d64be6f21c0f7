// kidogo serve: models behind the OpenAI API, and the chat page.
using System.CommandLine;
using System.Net;
using System.Net.Sockets;
using Kidogo.Catalog.Advice;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation.Machine;
using Kidogo.Inference.Classification;
using Kidogo.Inference.Scheduling;
using Kidogo.Inference.Speculation;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Models.Encoders;
using Kidogo.Serving;
using Kidogo.Serving.Access;
using Kidogo.Serving.Feedback;
using Kidogo.Serving.Portal;
using Kidogo.Tensors;
using Kidogo.Training.Classification;

namespace Kidogo.Cli.Verbs;

internal static class ServeVerb
{
    private const int UsualContext = 8192;
    private const int MebiByte = 1024 * 1024;

    private sealed record Options(
        string[] Models, string? Folder, string[] Adapters, ModelRequest Request, string? ChatTemplate, int? Context, KvFormat KvCache, long? Memory, SchedulerOptions Scheduling, CertificateFiles? Certificate, ServerOptions Server)
    {
        public string? Draft { get; init; }

        public string? Portal { get; init; }

        public string? Feedback { get; init; }

        public int FeedbackDays { get; init; }
    }

    private sealed record CertificateFiles(string Path, string? Key, string? PasswordFile);

    public static Command Create(Session session)
    {
        Argument<string[]> models = new("MODEL") { Description = "Models: .gguf files, folders, org/name of the model cache, encoders and classifiers among them; nothing for the default model in models/", Arity = ArgumentArity.ZeroOrMore };
        Option<string?> folder = Opt.Text("--models", "FOLDER", "Serve every model in a folder");
        Option<string[]> adapters = Opt.Texts("--adapter", "NAME=PATH", "An adapter that clients choose as MODEL:NAME; with several models MODEL:NAME=PATH. Without a name it is used by default; may be repeated");
        Option<int?> memory = Opt.Int("--model-memory", "MiB that loaded models may take together (default: what is free at the start); those that nobody uses make room", 1);
        Option<string?> host = Opt.Text("--host", "ADDRESS", "The address to listen on (default 127.0.0.1, this machine alone)");
        Option<int?> port = Opt.Int("--port", "The port; 0 for any that is free (default 8080)", 0, 65535);
        Option<int?> parallel = Opt.Int("--parallel", "Answers at once, of each model (default 4)", 1, 1024);
        Option<int?> queue = Opt.Int("--queue", "Requests that may wait for a place (default 64)", 0);
        Option<int?> context = Opt.Int("--context", "Tokens of prompt and answer together, of each conversation (default: the model's own, at most 8192)", 1);
        context.Aliases.Add("--ctx");
        Option<int?> idle = Opt.Int("--cache-memory", "MiB of earlier prompts to keep for later ones that begin alike, of each model (default 512)", 0);
        Option<bool> share = Opt.Flag("--share-cache", "Let what one key's prompts computed serve another's; how long an answer takes then shows what others asked");
        Option<string?> keys = Opt.Text("--keys", "FILE", "Want a key of this file (default: of the one that kidogo key writes, but none on this machine alone)");
        Option<bool> noAuth = Opt.Flag("--no-auth", "Serve everyone who can reach the address, without keys");
        Option<string[]> origins = Opt.Texts("--allow-origin", "ORIGIN", "Let pages from there call, such as https://example.org; may be repeated");
        Option<string[]> hosts = Opt.Texts("--allow-host", "NAME", "A name by which the server may be called beside localhost; may be repeated");
        Option<string?> cert = Opt.Text("--cert", "FILE", "Serve HTTPS with this certificate: PEM with its key, or PFX; read again when it is renewed");
        Option<string?> certKey = Opt.Text("--cert-key", "FILE", "The key of --cert, where it lies in a PEM file of its own");
        Option<string?> certPassword = Opt.Text("--cert-password", "FILE", "A file whose first line is the password of the key or the PFX file");
        Option<string?> portal = Opt.Text("--portal", "FILE", "Serve a portal in your name: a front page, accounts, conversations kept here, as a file such as portal.yaml says (docs/how-to/portal.md has one to begin with)");
        Option<string?> feedback = Opt.Text("--feedback", "FILE", "Take thumbs for answers, and keep them here (SQLite), of those alone who agree, for kidogo learn");
        Option<int?> feedbackDays = Opt.Int("--feedback-days", "Days that --feedback keeps a rating (default 90)", 1, 3650);
        Option<int?> drain = Opt.Int("--drain-timeout", "Seconds that running answers have to end after Ctrl-C (default 30)", 0, 3600);
        Option<string?> upstream = Opt.Text("--upstream", "FILE", "A policy (cloud.yaml) that adds the models auto, local and the upstreams' names; without one no connection is opened");
        Option<bool> log = Opt.Flag("--log-requests", "One line a request on standard error, without contents");
        SpeculationArguments speculation = new();
        Option<string?> cache = Opt.KvCache();
        Option<string?> template = Opt.ChatTemplate();
        Option<int?> threads = Opt.Threads();
        Option<string?> loadAs = Opt.LoadAs();
        Option<bool> exact = Opt.Exact();
        Command command = new("serve", "Serve models: the OpenAI API and a chat page")
        {
            models, folder, adapters, memory, cert, certKey, certPassword, host, port, parallel, queue, context, idle, share, keys, noAuth, origins, hosts, portal, feedback, feedbackDays, drain, upstream, log, cache, template, threads, exact, loadAs,
        };
        speculation.AddTo(command);
        command.SetAction(parsed => Run(session, new Options(
            parsed.GetValue(models) ?? [],
            parsed.GetValue(folder),
            parsed.GetValue(adapters) ?? [],
            new ModelRequest(null, parsed.GetValue(threads), parsed.GetValue(exact), parsed.GetValue(loadAs)),
            parsed.GetValue(template),
            parsed.GetValue(context),
            Opt.KvFormatOf(parsed.GetValue(cache), parsed.GetValue(exact)),
            parsed.GetValue(memory) * (long)MebiByte,
            new SchedulerOptions
            {
                Parallel = parsed.GetValue(parallel) ?? 4,
                QueueLength = parsed.GetValue(queue) ?? 64,
                IdleCacheBytes = (parsed.GetValue(idle) ?? 512L) * MebiByte,
                SharesCache = parsed.GetValue(share),
                Drafter = speculation.LooksUp(parsed) ? () => new PromptLookup() : null,
            },
            parsed.GetValue(cert) is { } path ? new CertificateFiles(path, parsed.GetValue(certKey), parsed.GetValue(certPassword))
                : parsed.GetValue(certKey) is null && parsed.GetValue(certPassword) is null ? null : throw new UsageException("--cert-key and --cert-password go with --cert."),
            new ServerOptions
            {
                Address = AddressOf(parsed.GetValue(host)),
                Port = parsed.GetValue(port) ?? 8080,
                KeyFile = parsed.GetValue(keys) ?? (IPAddress.IsLoopback(AddressOf(parsed.GetValue(host))) ? null : KeyFile.DefaultPath),
                AllowsAnyone = parsed.GetValue(noAuth),
                AllowedOrigins = [.. (parsed.GetValue(origins) ?? []).Select(CheckedOrigin)],
                AllowedHosts = parsed.GetValue(hosts) ?? [],
                DrainTime = TimeSpan.FromSeconds(parsed.GetValue(drain) ?? 30),
                Routing = parsed.GetValue(upstream) is { } policy ? RouteVerb.Policy(policy) : null,
                Log = parsed.GetValue(log) ? session.Tell : null,
                Warn = session.Warn,
            })
        {
            Draft = speculation.DraftName(parsed),
            Portal = parsed.GetValue(portal),
            Feedback = parsed.GetValue(feedback) is null && parsed.GetValue(feedbackDays) is not null ? throw new UsageException("--feedback-days goes with --feedback FILE.") : parsed.GetValue(feedback),
            FeedbackDays = parsed.GetValue(feedbackDays) ?? 90,
        }));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        session.Patience = options.Server.DrainTime + TimeSpan.FromSeconds(5);
        try
        {
            using PortalSite? portal = options.Portal is { } file ? PortalSite.Open(file) : null;
            using FeedbackStore? ratings = options.Feedback is { } kept ? FeedbackStore.Open(kept, new FeedbackLimits { Retention = TimeSpan.FromDays(options.FeedbackDays) }) : null;
            ServerOptions server = options.Server with { Portal = portal, Feedback = ratings, Certificate = options.Certificate is { } files ? new Certificate(files.Path, files.Key, PasswordOf(files), session.Warn) : null };
            using ModelShelf shelf = new(Entries(session, options), () => MachineMemory.Read().AvailableBytes, options.Memory);
            return ServeAsync(session, server with { JoulesPerToken = JoulesPerToken(session, options, shelf) }, shelf).GetAwaiter().GetResult();
        }
        catch (Exception failure) when (failure is ServerSetupException or KeyFileException)
        {
            throw new FailureException(failure.Message);
        }
    }

    /// <summary>What a policy's joules a day are counted with: of the first model, its weights and cache read once a token. Null where no policy counts them.</summary>
    private static double? JoulesPerToken(Session session, Options options, ModelShelf shelf)
    {
        if (options.Server.Routing?.Budget.JoulesPerDay is null || shelf.Entries.FirstOrDefault(entry => entry.Kind == ModelKind.Decoder) is not { } model)
        {
            return null;
        }

        AdvisedMachine machine = AdvisedMachine.Measure(options.Request.Threads ?? MachineInfo.CountPhysicalCores());
        double joules = machine.JoulesPerToken(model.NeededBytes);
        session.Tell(FormattableString.Invariant($"energy: {joules:0.00} J a token of {model.Id} ({machine.WattsSource}, and the memory's bandwidth)"));
        return joules;
    }

    private static async Task<int> ServeAsync(Session session, ServerOptions options, ModelShelf shelf)
    {
        await using KidogoServer server = new(shelf, options);
        await shelf.LoadAsync(shelf.Entries[0]).ConfigureAwait(false); // the others when they are asked for
        try
        {
            await server.StartAsync(session.Interrupted).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is IOException or SocketException)
        {
            throw new FailureException($"The server cannot listen on {options.Address}, port {options.Port}: {failure.Message} Take another with --port, or --port 0 for any that is free.");
        }

        if (!server.RequiresKey && !IPAddress.IsLoopback(options.Address))
        {
            session.Warn($"Everyone who reaches {server.Address} can use this server: it asks for no key.");
        }

        if (options.Portal is { } portal && options.Certificate is null && !IPAddress.IsLoopback(options.Address))
        {
            session.Warn($"Passwords and conversations of {portal.Name} cross the network in the clear: give --cert, or let a proxy with TLS stand in front.");
        }

        session.Output.WriteLine($"kidogo serves {string.Join(", ", shelf.Entries.Select(entry => entry.Id).Concat(server.RouteNames))} at {server.Address}");
        session.Output.Flush();
        TaskCompletionSource stop = new(TaskCreationOptions.RunContinuationsAsynchronously);
        using (session.Interrupted.Register(stop.SetResult))
        {
            await stop.Task.ConfigureAwait(false);
        }

        int running = shelf.Loaded.OfType<ServedModel>().Sum(model => model.Scheduler.Status() is var status ? status.Active + status.Waiting : 0);
        if (running > 0)
        {
            session.Tell($"stopping: {running} answers have up to {options.DrainTime.TotalSeconds:0} s to end; Ctrl-C again cuts them");
        }

        await server.StopAsync().ConfigureAwait(false);
        return ExitCode.Done;
    }

    /// <summary>What can be served; of each model its header alone is looked at.</summary>
    private static ModelEntry[] Entries(Session session, Options options)
    {
        (string Id, string? Name)[] names = [.. Names(options)];
        if (names.GroupBy(name => name.Id).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new UsageException($"Two models are called {twice.Key}. Rename one of the files, so that requests can tell them apart.");
        }

        AdapterChoice[] adapters = [.. options.Adapters.Select(text => AdapterOf(text, [.. names.Select(name => name.Id)]))];
        ModelEntry[] entries = [.. names.Select(name => ModelChoice.Locate(name.Name) is var path && TextClassifier.IsOne(path) ? ClassifierEntry(session, options, name.Id, path)
            : LoadedEncoder.IsEncoder(path) ? EncoderEntry(session, options, name.Id, name.Name)
            : DecoderEntry(session, options, name.Id, name.Name, [.. adapters.Where(adapter => adapter.Model == name.Id)]))];
        return options.Draft is null || entries.Count(entry => entry.Kind == ModelKind.Decoder) <= 1 ? entries
            : throw new UsageException("--draft guesses for one model, and several that write are served. Serve the one alone, or use --speculate lookup.");
    }

    private static ModelEntry DecoderEntry(Session session, Options options, string id, string? name, AdapterChoice[] adapters)
    {
        ModelRequest request = options.Request with { Model = name };
        using ModelHeader header = OpenModel.OpenHeader(request);
        int context = options.Context ?? Math.Min(header.Config.ContextLength, UsualContext);
        if (context > header.Config.ContextLength)
        {
            throw new FailureException($"--context {context} is more than the {header.Config.ContextLength} tokens that {id} was made for.");
        }

        long draftBytes = 0;
        if (options.Draft is { } small)
        {
            using ModelHeader draft = ModelHeader.Open(ModelChoice.Locate(small));
            draftBytes = draft.Estimate(context, options.KvCache, options.Scheduling.Parallel).TotalBytes;
        }

        return new ModelEntry(id, () => LoadDecoder(session, options, id, request, context, adapters))
        {
            Facts = new ModelFacts(header.Config.VocabSize, context, header.Config.ContextLength, header.Config.ParameterCount),
            NeededBytes = header.Estimate(context, options.KvCache, options.Scheduling.Parallel).TotalBytes + draftBytes,
            Adapters = [.. adapters.Select(adapter => adapter.Name)],
        };
    }

    private static ServedModel LoadDecoder(Session session, Options options, string id, ModelRequest request, int context, AdapterChoice[] adapters)
    {
        ModelHeader header = OpenModel.OpenHeader(request);
        Text.ChatTemplates.ChatTemplate? template;
        try
        {
            template = ModelChoice.Template(options.ChatTemplate, ModelText.Of(header));
            if (template is null)
            {
                session.Warn($"{id} has no chat template, so it only continues texts (/v1/completions). --chat-template NAME gives it one.");
            }
        }
        catch
        {
            header.Dispose();
            throw;
        }

        OpenModel open = OpenModel.Load(session, request, header, context, options.KvCache, options.Scheduling.Parallel);
        LoadedModel? draft = null;
        try
        {
            foreach (AdapterChoice adapter in adapters)
            {
                open.Model.Adapters.Attach(AdapterFiles.Open(adapter.Path, open.Loaded.Header, open.Model, adapter.Name), open.Context, adapter.IsDefault);
            }

            draft = options.Draft is { } small ? SpeculationArguments.LoadDraft(session, small, open, context, options.Scheduling.Parallel) : null;
            return new ServedModel(id, open.Loaded, open.Context, template, options.Scheduling with { ContextLength = context, CacheFormat = options.KvCache }, session.Warn, draft);
        }
        catch
        {
            draft?.Dispose();
            open.Dispose();
            throw;
        }
    }

    private static ModelEntry ClassifierEntry(Session session, Options options, string id, string path)
    {
        if (options.Adapters.Any(adapter => adapter.StartsWith($"{id}:", StringComparison.Ordinal)))
        {
            throw new UsageException($"{id} is a classifier; adapters are for models that write text.");
        }

        TextClassifier Open()
        {
            session.Interrupted.ThrowIfCancellationRequested();
            return TextClassifier.Open(path, options.Request.Threads ?? MachineInfo.CountPhysicalCores(), ClassifierTraining.HashOf);
        }

        using TextClassifier probe = Open();
        return new ModelEntry(id, () => new ServedClassifier(id, Open(), options.Scheduling.QueueLength))
        {
            Facts = ServedClassifier.FactsOf(probe),
            NeededBytes = 2 * BytesOf(probe.Text.Path), // in the form that is computed with, and activations
        };
    }

    private static long BytesOf(string path) => File.Exists(path) ? new FileInfo(path).Length : new DirectoryInfo(path).EnumerateFiles("*.safetensors").Sum(file => file.Length);

    private static ModelEntry EncoderEntry(Session session, Options options, string id, string? name)
    {
        string path = ModelChoice.Locate(name);
        if (options.Adapters.Any(adapter => adapter.StartsWith($"{id}:", StringComparison.Ordinal)))
        {
            throw new UsageException($"{id} is an encoder; adapters are for models that write text.");
        }

        using LoadedEncoder probe = LoadEncoder(session, options, path, out ComputeContext context);
        using (context)
        {
            return new ModelEntry(id, () => new ServedEncoder(id, LoadEncoder(session, options, path, out ComputeContext own), own, options.Scheduling.QueueLength))
            {
                Facts = ServedEncoder.FactsOf(probe),
                NeededBytes = 2 * probe.Folder.TotalBytes, // in the form that is computed with, and activations
            };
        }
    }

    private static LoadedEncoder LoadEncoder(Session session, Options options, string path, out ComputeContext context)
    {
        context = ComputeContext.Inference(options.Request.Threads ?? MachineInfo.CountPhysicalCores(), options.Request.Exact ? ComputePrecision.Exact : ComputePrecision.Fast);
        try
        {
            session.Interrupted.ThrowIfCancellationRequested();
            return LoadedEncoder.Load(path, context);
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    /// <summary>An adapter as it is named on the command line: <c>PATH</c>, <c>NAME=PATH</c> or <c>MODEL:NAME=PATH</c>.</summary>
    private static AdapterChoice AdapterOf(string text, string[] models)
    {
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        string given = equals < 0 ? "" : text[..equals];
        string path = AdapterFiles.Locate(text[(equals + 1)..], ModelPlaces.FromEnvironment());
        int colon = given.LastIndexOf(':');
        string model = colon < 0 ? models[0] : given[..colon];
        if (models.Length > 1 && colon < 0)
        {
            throw new UsageException($"--adapter {Session.OneLine(text)}: several models are served, so say which it is for: --adapter {models[0]}:NAME=PATH");
        }

        if (!models.Contains(model, StringComparer.Ordinal))
        {
            throw new UsageException($"--adapter is for {Session.OneLine(model)}, which is not served. Served: {string.Join(", ", models)}.");
        }

        string name = equals < 0 ? Path.GetFileNameWithoutExtension(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path))) : given[(colon + 1)..];
        return name.Length > 0 && name != Adapter.None.Name && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_')
            ? new AdapterChoice(model, name, path, equals < 0)
            : throw new UsageException($"--adapter gives the name \"{Session.OneLine(name)}\"; a name has letters, digits, dots, dashes and underscores, and is not \"{Adapter.None.Name}\", which stands for the model as it is.");
    }

    private static string? PasswordOf(CertificateFiles files)
    {
        if (files.PasswordFile is not { } path)
        {
            return null;
        }

        using StreamReader reader = new(InputFile.Existing(path));
        return reader.ReadLine() ?? "";
    }

    /// <summary>The models by the names that clients call them: what was given, without folders and endings.</summary>
    private static IEnumerable<(string Id, string? Name)> Names(Options options)
    {
        List<string> names = [.. options.Models];
        if (options.Folder is { } folder)
        {
            if (!Directory.Exists(folder))
            {
                throw new FailureException($"There is no folder {folder}.");
            }

            names.AddRange(Directory.EnumerateFiles(folder, "*.gguf").Order(StringComparer.Ordinal));
            names.AddRange(Directory.EnumerateDirectories(folder).Where(child => File.Exists(Path.Combine(child, "config.json")) || TextClassifier.IsOne(child)).Order(StringComparer.Ordinal));
            if (names.Count == 0)
            {
                throw new FailureException($"There are no models in {folder}.");
            }
        }

        if (names.Count == 0)
        {
            return [(ModelChoice.ServedName(null), null)];
        }

        return names.Select(name => (ModelChoice.ServedName(name), (string?)name));
    }

    private static IPAddress AddressOf(string? host) => host switch
    {
        null or "localhost" => IPAddress.Loopback,
        "*" => IPAddress.Any,
        _ => IPAddress.TryParse(host, out IPAddress? address) ? address : throw new UsageException($"--host is \"{Session.OneLine(host)}\"; it has to be an address of this machine, such as 127.0.0.1 or 0.0.0.0."),
    };

    private static string CheckedOrigin(string origin) =>
        Uri.TryCreate(origin, UriKind.Absolute, out Uri? uri) && (uri.Scheme is "http" or "https") && uri.GetLeftPart(UriPartial.Authority).Equals(origin, StringComparison.OrdinalIgnoreCase)
            ? origin
            : throw new UsageException($"--allow-origin is \"{Session.OneLine(origin)}\"; it has to be a scheme and a host without a path, such as https://example.org.");

    /// <summary>An adapter of a model.</summary>
    /// <param name="Model">The model's id.</param>
    /// <param name="Name">What clients call it, after the model's.</param>
    /// <param name="Path">Where it is.</param>
    /// <param name="IsDefault">Whether requests get it that name none.</param>
    private sealed record AdapterChoice(string Model, string Name, string Path, bool IsDefault);
}
