// kidogo serve: models behind the OpenAI API, and the chat page.
using System.CommandLine;
using System.Net;
using System.Net.Sockets;
using Kidogo.Cli.Shell;
using Kidogo.Models;
using Kidogo.Serving;
using Kidogo.Serving.Access;
using Kidogo.Inference.Scheduling;
using Kidogo.Inference.Speculation;
using Kidogo.Tensors;

namespace Kidogo.Cli.Verbs;

internal static class ServeVerb
{
    private const int UsualContext = 8192;
    private const int MebiByte = 1024 * 1024;

    private sealed record Options(string[] Models, string? Folder, ModelRequest Request, string? ChatTemplate, int? Context, KvFormat KvCache, SchedulerOptions Scheduling, ServerOptions Server)
    {
        public string? Draft { get; init; }
    }

    public static Command Create(Session session)
    {
        Argument<string[]> models = new("MODEL") { Description = "Models: .gguf files, folders, or org/name of the model cache; nothing for the default model in models/", Arity = ArgumentArity.ZeroOrMore };
        Option<string?> folder = Opt.Text("--models", "FOLDER", "Serve every model in a folder");
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
        Option<int?> drain = Opt.Int("--drain-timeout", "Seconds that running answers have to end after Ctrl-C (default 30)", 0, 3600);
        Option<bool> log = Opt.Flag("--log-requests", "One line a request on standard error, without contents");
        SpeculationArguments speculation = new();
        Option<string?> cache = Opt.KvCache();
        Option<string?> template = Opt.ChatTemplate();
        Option<int?> threads = Opt.Threads();
        Option<string?> loadAs = Opt.LoadAs();
        Option<bool> exact = Opt.Exact();
        Command command = new("serve", "Serve models: the OpenAI API and a chat page")
        {
            models, folder, host, port, parallel, queue, context, idle, share, keys, noAuth, origins, hosts, drain, log, cache, template, threads, exact, loadAs,
        };
        speculation.AddTo(command);
        command.SetAction(parsed => Run(session, new Options(
            parsed.GetValue(models) ?? [],
            parsed.GetValue(folder),
            new ModelRequest(null, parsed.GetValue(threads), parsed.GetValue(exact), parsed.GetValue(loadAs)),
            parsed.GetValue(template),
            parsed.GetValue(context),
            Opt.KvFormatOf(parsed.GetValue(cache), parsed.GetValue(exact)),
            new SchedulerOptions
            {
                Parallel = parsed.GetValue(parallel) ?? 4,
                QueueLength = parsed.GetValue(queue) ?? 64,
                IdleCacheBytes = (parsed.GetValue(idle) ?? 512L) * MebiByte,
                SharesCache = parsed.GetValue(share),
                Drafter = speculation.LooksUp(parsed) ? () => new PromptLookup() : null,
            },
            new ServerOptions
            {
                Address = AddressOf(parsed.GetValue(host)),
                Port = parsed.GetValue(port) ?? 8080,
                KeyFile = parsed.GetValue(keys) ?? (IPAddress.IsLoopback(AddressOf(parsed.GetValue(host))) ? null : KeyFile.DefaultPath),
                AllowsAnyone = parsed.GetValue(noAuth),
                AllowedOrigins = [.. (parsed.GetValue(origins) ?? []).Select(CheckedOrigin)],
                AllowedHosts = parsed.GetValue(hosts) ?? [],
                DrainTime = TimeSpan.FromSeconds(parsed.GetValue(drain) ?? 30),
                Log = parsed.GetValue(log) ? session.Tell : null,
                Warn = session.Warn,
            })
        {
            Draft = speculation.DraftName(parsed),
        }));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        session.Patience = options.Server.DrainTime + TimeSpan.FromSeconds(5);
        List<ServedModel> served = [];
        try
        {
            foreach ((string id, string? name) in Names(options))
            {
                if (served.Any(model => model.Id == id))
                {
                    throw new UsageException($"Two models are called {id}. Rename one of the files, so that requests can tell them apart.");
                }

                served.Add(Load(session, options, id, name));
            }

            return ServeAsync(session, options.Server, served).GetAwaiter().GetResult();
        }
        catch (Exception failure) when (failure is ServerSetupException or KeyFileException)
        {
            throw new FailureException(failure.Message);
        }
        finally
        {
            served.ForEach(model => model.Dispose());
        }
    }

    private static async Task<int> ServeAsync(Session session, ServerOptions options, IReadOnlyList<ServedModel> models)
    {
        await using KidogoServer server = new(models, options);
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

        session.Output.WriteLine($"kidogo serves {string.Join(", ", models.Select(model => model.Id))} at {server.Address}");
        session.Output.Flush();
        TaskCompletionSource stop = new(TaskCreationOptions.RunContinuationsAsynchronously);
        using (session.Interrupted.Register(stop.SetResult))
        {
            await stop.Task.ConfigureAwait(false);
        }

        int running = models.Sum(model => model.Scheduler.Status() is var status ? status.Active + status.Waiting : 0);
        if (running > 0)
        {
            session.Tell($"stopping: {running} answers have up to {options.DrainTime.TotalSeconds:0} s to end; Ctrl-C again cuts them");
        }

        await server.StopAsync().ConfigureAwait(false);
        return ExitCode.Done;
    }

    private static ServedModel Load(Session session, Options options, string id, string? name)
    {
        ModelRequest request = options.Request with { Model = name };
        ModelHeader header = OpenModel.OpenHeader(request);
        int context;
        Text.ChatTemplates.ChatTemplate? template;
        try
        {
            context = options.Context ?? Math.Min(header.Config.ContextLength, UsualContext);
            if (context > header.Config.ContextLength)
            {
                throw new FailureException($"--context {context} is more than the {header.Config.ContextLength} tokens that {id} was made for.");
            }

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
            names.AddRange(Directory.EnumerateDirectories(folder).Where(child => File.Exists(Path.Combine(child, "config.json"))).Order(StringComparer.Ordinal));
            if (names.Count == 0)
            {
                throw new FailureException($"There are no models in {folder}.");
            }
        }

        if (names.Count == 0)
        {
            return [(IdOf(ModelChoice.Locate(null)), null)];
        }

        return names.Select(name => (File.Exists(name) || Directory.Exists(name) ? IdOf(name) : name, (string?)name));
    }

    private static string IdOf(string path)
    {
        string name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
        return name.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) ? name[..^".gguf".Length] : name;
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
}
