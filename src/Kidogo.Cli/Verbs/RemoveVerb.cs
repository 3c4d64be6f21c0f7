// kidogo remove: a model out of the cache.
using System.CommandLine;
using Kidogo.Catalog.Cache;
using Kidogo.Cli.Shell;
using Kidogo.Models;

namespace Kidogo.Cli.Verbs;

internal static class RemoveVerb
{
    public static Command Create(Session session)
    {
        Argument<string> name = StoreArguments.Name("What to remove: a whole repository, one snapshot with @revision, one format with :FORMAT");
        Option<string?> catalogue = StoreArguments.CatalogueFile();
        Option<bool> json = Opt.Json();
        Command command = new("remove", "Remove a model from the model cache") { name, catalogue, json };
        command.SetAction(parsed =>
        {
            HubCache cache = StoreArguments.OpenCache();
            HubName found = StoreArguments.Parse(parsed.GetRequiredValue(name), StoreArguments.OpenCatalogue(parsed.GetValue(catalogue)), cache);
            long freed = CacheRemoval.Remove(cache, found);
            if (parsed.GetValue(json))
            {
                JsonOutput.Write(session, writer =>
                {
                    writer.WriteString("name", found.ToString());
                    writer.WriteNumber("freed_bytes", freed);
                });
            }
            else
            {
                session.Tell($"{found} is removed; {Show.Bytes(freed)} are free again.");
            }

            return ExitCode.Done;
        });
        return command;
    }
}
