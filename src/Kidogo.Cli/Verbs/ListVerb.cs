// kidogo list: the models of the cache, or those of the catalogue and which of them fit this machine.
using System.CommandLine;
using Kidogo.Catalog.Cache;
using Kidogo.Catalog.Entries;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;

namespace Kidogo.Cli.Verbs;

internal static class ListVerb
{
    private const int UsualContext = 4096;

    private sealed record Options(bool Catalogue, string? CatalogueFile, string? Language, int Context, bool Json);

    public static Command Create(Session session)
    {
        Option<bool> catalogue = Opt.Flag("--catalogue", "The catalogue of well-known small models instead, and at which format each fits this machine");
        Option<string?> file = StoreArguments.CatalogueFile();
        Option<string?> language = StoreArguments.Language();
        Option<int?> context = Opt.Int("--context", $"Tokens of context that memory is counted for with --catalogue (default {UsualContext})", 1);
        Option<bool> json = Opt.Json();
        Command command = new("list", "List the models of the model cache, or of the catalogue") { catalogue, file, language, context, json };
        command.SetAction(parsed =>
        {
            Options options = new(parsed.GetValue(catalogue) || parsed.GetValue(file) is not null, parsed.GetValue(file), parsed.GetValue(language), parsed.GetValue(context) ?? UsualContext, parsed.GetValue(json));
            return options.Catalogue ? ListCatalogue(session, options)
                : options.Language is null ? ListCache(session, options.Json) : throw new UsageException("--language goes with --catalogue: the cache does not say what its models are meant for.");
        });
        return command;
    }

    private static int ListCache(Session session, bool json)
    {
        HubCache cache = StoreArguments.OpenCache();
        IReadOnlyList<CachedModel> models = CachedModel.All(cache);
        if (json)
        {
            foreach (CachedModel model in models)
            {
                JsonOutput.Write(session, writer => WriteCached(writer, model));
            }
        }
        else if (models.Count > 0)
        {
            session.Output.Write(Show.Table(["model", "format", ">size", "revision"], models.Select(model => new[]
            {
                Session.OneLine(model.Name), Session.OneLine(model.Format), Show.Bytes(model.Bytes), Session.OneLine($"{model.Commit[..Math.Min(12, model.Commit.Length)]} {string.Join(", ", model.References)}"),
            })));
        }

        if (models.Count == 0)
        {
            session.Tell($"There is no model in the cache {cache.Folder}. kidogo list --catalogue shows some; kidogo pull NAME downloads one.");
        }

        foreach (string repository in cache.Repositories())
        {
            if (CachedModel.Unfinished(cache, repository) is { Count: > 0 } unfinished)
            {
                session.Tell($"Of {repository}, {Show.Bytes(unfinished.Bytes)} of a download that is not finished are kept: kidogo pull goes on with it, kidogo remove {repository} frees them.");
            }
        }

        return ExitCode.Done;
    }

    /// <summary>The fields of a model of the cache.</summary>
    public static void WriteCached(System.Text.Json.Utf8JsonWriter writer, CachedModel model)
    {
        writer.WriteString("name", model.Name);
        writer.WriteString("repository", model.Repository);
        writer.WriteString("format", model.Format);
        writer.WriteString("revision", model.Commit);
        writer.WriteStrings("references", model.References);
        writer.WriteNumber("bytes", model.Bytes);
        writer.WriteString("path", model.Path);
    }

    private static int ListCatalogue(Session session, Options options)
    {
        MachineMemory memory = MachineMemory.Read();
        HubCache cache = StoreArguments.OpenCache();
        HashSet<string> there = new(cache.Repositories(), StringComparer.OrdinalIgnoreCase);
        CatalogueEntry[] entries = [.. StoreArguments.OpenCatalogue(options.CatalogueFile).Entries.Where(entry => options.Language is null || entry.Languages.Contains(options.Language, StringComparer.OrdinalIgnoreCase))];
        if (options.Json)
        {
            foreach (CatalogueEntry entry in entries)
            {
                JsonOutput.Write(session, writer => WriteEntry(writer, entry, memory, options.Context, IsThere(there, entry)));
            }

            return ExitCode.Done;
        }

        session.Output.Write(Show.Table(["name", ">parameters", "licence", "languages", "fits at", ">memory", "here", "good at"], entries.Select(entry =>
        {
            CatalogueFormat? best = Best(entry, memory, options.Context);
            CatalogueFormat shown = best ?? entry.Formats[0];
            return new[]
            {
                entry.Name, Show.Count(entry.Parameters), $"{entry.Licence}{(entry.IsGated ? "*" : "")}", Languages(entry), best is null ? "no" : best.Format, Show.Bytes(entry.MemoryBytes(shown, options.Context)),
                IsThere(there, entry) ? "yes" : "", entry.GoodAt,
            };
        })));
        session.Tell($"{Show.Bytes(memory.AvailableBytes)} of memory are available. Memory is counted with {options.Context} tokens of context, at the largest format that fits. * The licence of the original has to be accepted on its page. kidogo show NAME says more.");
        return ExitCode.Done;
    }

    /// <summary>The fields of an entry of the catalogue.</summary>
    public static void WriteEntry(System.Text.Json.Utf8JsonWriter writer, CatalogueEntry entry, MachineMemory memory, int context, bool isHere)
    {
        writer.WriteString("name", entry.Name);
        writer.WriteString("title", entry.Title);
        writer.WriteString("repository", entry.Repository);
        writer.WriteString("gguf", entry.Gguf);
        writer.WriteString("licence", entry.Licence);
        writer.WriteBoolean("gated", entry.IsGated);
        writer.WriteStrings("languages", entry.Languages);
        writer.WriteNumber("level", entry.Level);
        writer.WriteString("good_at", entry.GoodAt);
        writer.WriteString("bad_at", entry.BadAt);
        writer.WriteNumber("context", entry.Context);
        writer.WriteNumber("parameters", entry.Parameters);
        writer.WriteStartArray("formats");
        foreach (CatalogueFormat format in entry.Formats)
        {
            writer.WriteStartObject();
            writer.WriteString("format", format.Format);
            writer.WriteNumber("bytes", format.Bytes);
            writer.WriteNumber("memory_bytes", entry.MemoryBytes(format, context));
            writer.WriteBoolean("fits", entry.MemoryBytes(format, context) <= memory.AvailableBytes);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteBoolean("fits", Best(entry, memory, context) is not null);
        writer.WriteBoolean("here", isHere);
    }

    private static CatalogueFormat? Best(CatalogueEntry entry, MachineMemory memory, int context) => entry.Formats.LastOrDefault(format => entry.MemoryBytes(format, context) <= memory.AvailableBytes);

    private static bool IsThere(HashSet<string> repositories, CatalogueEntry entry) => repositories.Contains(entry.Repository) || (entry.Gguf is { } gguf && repositories.Contains(gguf));

    private static string Languages(CatalogueEntry entry) => entry.Languages.Count <= 3 ? string.Join(' ', entry.Languages) : $"{string.Join(' ', entry.Languages.Take(3))} +{entry.Languages.Count - 3}";
}
