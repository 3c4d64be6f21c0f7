// kidogo show: what the cache and the catalogue know of a model.
using System.CommandLine;
using Kidogo.Catalog.Cache;
using Kidogo.Catalog.Entries;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;

namespace Kidogo.Cli.Verbs;

internal static class ShowVerb
{
    private const int Context = 4096;

    public static Command Create(Session session)
    {
        Argument<string> name = StoreArguments.Name("Which model");
        Option<string?> catalogue = StoreArguments.CatalogueFile();
        Option<bool> json = Opt.Json();
        Command command = new("show", "Show what the model cache and the catalogue know of a model") { name, catalogue, json };
        command.SetAction(parsed => Run(session, parsed.GetRequiredValue(name), parsed.GetValue(catalogue), parsed.GetValue(json)));
        return command;
    }

    private static int Run(Session session, string text, string? catalogueFile, bool json)
    {
        Catalogue catalogue = StoreArguments.OpenCatalogue(catalogueFile);
        HubCache cache = StoreArguments.OpenCache();
        HubName name = StoreArguments.Parse(text, catalogue, cache);
        CatalogueEntry? entry = catalogue.Find(text) ?? catalogue.OfRepository(name.Repository);
        CachedModel[] models = [.. CachedModel.Of(cache, name.Repository)];
        if (models.Length == 0 && entry is null)
        {
            StoreArguments.Cached(cache, name); // says what is there instead
        }

        if (json)
        {
            JsonOutput.Write(session, writer =>
            {
                writer.WriteString("repository", name.Repository);
                writer.WriteNumber("disk_bytes", CachedModel.DiskBytes(cache, name.Repository));
                writer.WriteStartArray("models");
                foreach (CachedModel model in models)
                {
                    writer.WriteStartObject();
                    ListVerb.WriteCached(writer, model);
                    writer.WriteStrings("files", model.Files);
                    writer.WriteEndObject();
                }

                writer.WriteEndArray();
                if (entry is null)
                {
                    writer.WriteNull("catalogue");
                }
                else
                {
                    writer.WriteStartObject("catalogue");
                    ListVerb.WriteEntry(writer, entry, MachineMemory.Read(), Context, models.Length > 0);
                    writer.WriteEndObject();
                }
            });
            return ExitCode.Done;
        }

        List<string[]> facts = [];
        if (entry is not null)
        {
            facts.AddRange(Facts(entry));
        }

        foreach (CachedModel model in models)
        {
            facts.Add(["", ""]);
            facts.Add(["in the cache", $"{model.Name}, {model.Format}, {Show.Bytes(model.Bytes)}"]);
            facts.Add(["revision", $"{model.Commit} {string.Join(", ", model.References)}"]);
            facts.Add(["path", model.Path]);
            facts.Add(["files", string.Join(", ", model.Files)]);
        }

        if (models.Length > 0)
        {
            facts.Add(["on the disk", Show.Bytes(CachedModel.DiskBytes(cache, name.Repository))]);
        }

        session.Output.Write(Show.Table(["", ""], facts.Select(fact => fact.Select(cell => Session.OneLine(cell)).ToArray())).TrimStart('\n'));
        session.Tell(models.Length > 0 ? $"kidogo inspect {models[0].Name} shows what is in the file." : $"It is not in the cache. To download it: kidogo pull {text}");
        return ExitCode.Done;
    }

    private static IEnumerable<string[]> Facts(CatalogueEntry entry)
    {
        MachineMemory memory = MachineMemory.Read();
        yield return ["model", $"{entry.Title} ({entry.Name})"];
        yield return ["from", entry.Gguf is null ? entry.Repository : $"{entry.Repository}, as GGUF {entry.Gguf}"];
        yield return ["licence", entry.IsGated ? $"{entry.Licence}, to be accepted on the page of the original" : entry.Licence];
        yield return ["languages", string.Join(", ", entry.Languages)];
        yield return ["good at", entry.GoodAt];
        yield return ["bad at", entry.BadAt];
        yield return ["parameters", $"{Show.Count(entry.Parameters)} ({entry.Parameters})"];
        yield return ["context", $"{entry.Context} tokens, {Show.Bytes(entry.Shape.CacheBytesPerToken)} each"];
        foreach (CatalogueFormat format in entry.Formats)
        {
            long bytes = entry.MemoryBytes(format, Context);
            yield return [format.Format, $"{Show.Bytes(format.Bytes)} to download, {Show.Bytes(bytes)} of memory with {Math.Min(Context, entry.Context)} tokens: {(bytes <= memory.AvailableBytes ? "fits" : "does not fit now")}"];
        }
    }
}
