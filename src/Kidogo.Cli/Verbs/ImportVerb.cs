// kidogo import: a carried model into the cache.
using System.CommandLine;
using Kidogo.Catalog.Cache;
using Kidogo.Cli.Shell;

namespace Kidogo.Cli.Verbs;

internal static class ImportVerb
{
    public static Command Create(Session session)
    {
        Argument<string> folder = new("FOLDER") { Description = "A folder that kidogo export wrote" };
        Option<bool> json = Opt.Json();
        Command command = new("import", "Bring a model that was carried into the model cache, checked by its hashes") { folder, json };
        command.SetAction(parsed =>
        {
            CachedModel model;
            using (ProgressBar bar = new(session, "importing", ProgressBar.Bytes))
            {
                model = ModelImport.ReadAsync(StoreArguments.OpenCache(), parsed.GetRequiredValue(folder), bar.Report, session.Tell, cancellation: session.Interrupted).GetAwaiter().GetResult();
            }

            if (parsed.GetValue(json))
            {
                JsonOutput.Write(session, writer => ListVerb.WriteCached(writer, model));
            }
            else
            {
                session.Output.WriteLine(model.Path);
                session.Tell($"{model.Name}, {model.Format}, {Show.Bytes(model.Bytes)}: whole, by its hashes. They do not say who made it. kidogo run {model.Name}");
            }

            return ExitCode.Done;
        });
        return command;
    }
}
