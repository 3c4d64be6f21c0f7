// kidogo pull: a model from the hub into the cache.
using System.CommandLine;
using System.Diagnostics;
using Kidogo.Catalog.Cache;
using Kidogo.Catalog.Entries;
using Kidogo.Catalog.Hub;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;
using Kidogo.Models.Files;
using Kidogo.Tensors;

namespace Kidogo.Cli.Verbs;

internal static class PullVerb
{
    private const int Context = 4096;

    private sealed record Options(string Name, string? Revision, long? MaxRate, bool Offline, bool AnySize, string? CatalogueFile, bool Json);

    public static Command Create(Session session)
    {
        Argument<string> name = StoreArguments.Name("What to download");
        Option<string?> revision = Opt.Text("--revision", "REV", "A branch, a tag or a commit (default: main)");
        Option<long?> rate = Opt.Rate("--max-rate", "Take no more of the line than so much: 2MB/s, 500KB");
        Option<bool> offline = Opt.Flag("--offline", "Open no connection: say whether the cache has it (also HF_HUB_OFFLINE=1)");
        Option<bool> anySize = Opt.Flag("--any-size", "Take a file although its size is far from what the catalogue says");
        Option<string?> catalogue = StoreArguments.CatalogueFile();
        Option<bool> json = Opt.Json();
        Command command = new("pull", "Download a model into the model cache; what was begun is gone on with") { name, revision, rate, offline, anySize, catalogue, json };
        command.SetAction(parsed => Run(session, new Options(
            parsed.GetRequiredValue(name), parsed.GetValue(revision), parsed.GetValue(rate), parsed.GetValue(offline), parsed.GetValue(anySize), parsed.GetValue(catalogue), parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        Catalogue catalogue = StoreArguments.OpenCatalogue(options.CatalogueFile);
        HubName name = StoreArguments.Parse(options.Name, catalogue, null);
        if (options.Revision is { } revision)
        {
            name = HubName.IsRevision(revision) ? name with { Revision = revision } : throw new UsageException($"{ModelFormatException.Quote(revision)} is no revision; expected a branch, a tag or a commit.");
        }

        HubSettings settings = HubSettings.FromEnvironment() with { MaxBytesPerSecond = options.MaxRate };
        settings = settings with { IsOffline = settings.IsOffline || options.Offline };
        CatalogueEntry? entry = catalogue.OfRepository(name.Repository);
        Stopwatch clock = Stopwatch.StartNew();
        PulledModel pulled;
        using (ProgressBar bar = new(session, "pulling", ProgressBar.Bytes))
        {
            pulled = new ModelPull(settings).RunAsync(
                new PullRequest(name)
                {
                    ExpectedBytes = format => Expected(entry, format),
                    TakesAnySize = options.AnySize,
                    Tell = session.Tell,
                    Progress = settings.HidesProgress ? null : bar.Report,
                },
                session.Interrupted).GetAwaiter().GetResult();
        }

        if (options.Json)
        {
            JsonOutput.Write(session, writer =>
            {
                writer.WriteString("name", pulled.Model.Name);
                writer.WriteString("format", pulled.Model.Format);
                writer.WriteString("revision", pulled.Model.Commit);
                writer.WriteString("path", pulled.Model.Path);
                writer.WriteNumber("bytes", pulled.Model.Bytes);
                writer.WriteNumber("received_bytes", pulled.ReceivedBytes);
                writer.WriteFinite("seconds", clock.Elapsed.TotalSeconds);
                writer.WriteBoolean("confirmed", pulled.IsConfirmed);
            });
            return ExitCode.Done;
        }

        session.Output.WriteLine(pulled.Model.Path);
        session.Tell($"{pulled.Model.Name}, {pulled.Model.Format}, {Show.Bytes(pulled.Model.Bytes)}, commit {Session.OneLine(pulled.Model.Commit)}: {(pulled.ReceivedBytes > 0 ? $"{Show.Bytes(pulled.ReceivedBytes)} came in {Show.Duration(clock.Elapsed)}, and its hashes are right" : "it was there already")}.");
        if (Memory(pulled.Model) is { } memory)
        {
            long available = MachineMemory.Read().AvailableBytes;
            session.Tell($"It takes {Show.Bytes(memory)} of memory with {Context} tokens of context; {(memory <= available ? "that is there" : $"{Show.Bytes(available)} are available")}. kidogo run {pulled.Model.Name}");
        }

        return ExitCode.Done;
    }

    /// <summary>What the catalogue says; safetensors hold 16 or 32 bits.</summary>
    private static IReadOnlyList<long> Expected(CatalogueEntry? entry, string format) =>
        entry?.BytesAt(format == FileChoice.Folder ? "F16" : format) is not { } bytes ? [] : format == FileChoice.Folder ? [bytes, 2 * bytes] : [bytes];

    /// <summary>What running the model would take; null where it cannot be run or read, which kidogo inspect explains.</summary>
    private static long? Memory(CachedModel model)
    {
        try
        {
            ModelSummary summary = ModelSummary.Read(model.Path, Context, KvFormat.F16);
            return summary.Config is null ? null : summary.Memory.TotalBytes;
        }
        catch (ModelFormatException)
        {
            return null;
        }
    }
}
