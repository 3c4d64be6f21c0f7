// kidogo export: a model of the cache into a folder that can be carried.
using System.CommandLine;
using Kidogo.Catalog.Cache;
using Kidogo.Cli.Shell;
using Kidogo.Models;

namespace Kidogo.Cli.Verbs;

internal static class ExportVerb
{
    public static Command Create(Session session)
    {
        Argument<string> name = StoreArguments.Name("Which model of the cache");
        Argument<string> target = new("FOLDER") { Description = "Where to: the stick, in which a folder org--name.kidogo is made, or such a folder itself" };
        Option<string?> catalogue = StoreArguments.CatalogueFile();
        Option<bool> json = Opt.Json();
        Command command = new("export", "Write a model of the cache to a folder that can be carried, with hashes") { name, target, catalogue, json };
        command.SetAction(parsed => Run(session, parsed.GetRequiredValue(name), parsed.GetRequiredValue(target), parsed.GetValue(catalogue), parsed.GetValue(json)));
        return command;
    }

    private static int Run(Session session, string text, string target, string? catalogueFile, bool json)
    {
        HubCache cache = StoreArguments.OpenCache();
        HubName name = StoreArguments.Parse(text, StoreArguments.OpenCatalogue(catalogueFile), cache);
        IReadOnlyList<CachedModel> models = StoreArguments.Cached(cache, name);
        if (models.Count > 1)
        {
            throw new UsageException($"{name} is there in {models.Count} formats. Name one: {string.Join(", ", models.Select(model => $"{model.Repository}:{model.Format}"))}");
        }

        if (target.Length == 0)
        {
            throw new UsageException("FOLDER is empty; name the stick, or a folder on it.");
        }

        string folder = Directory.Exists(target) ? Path.Combine(target, ModelExport.FolderNameOf(models[0])) : target;
        OutFolder.CheckWritable(folder);
        using (ProgressBar bar = new(session, "exporting", ProgressBar.Bytes))
        {
            ModelExport.Write(models[0], folder, bar.Report, cancellation: session.Interrupted);
        }

        if (json)
        {
            JsonOutput.Write(session, writer =>
            {
                writer.WriteString("name", models[0].Name);
                writer.WriteString("path", folder);
                writer.WriteNumber("bytes", models[0].Bytes);
            });
        }
        else
        {
            session.Output.WriteLine(folder);
            session.Tell($"{models[0].Name}, {Show.Bytes(models[0].Bytes)}, can be carried. On the other machine: kidogo import {folder}");
        }

        return ExitCode.Done;
    }
}
