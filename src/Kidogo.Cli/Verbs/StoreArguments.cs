// What the verbs of the model store share: its settings, its catalogue, and models by name. Knows no single verb.
using System.CommandLine;
using Kidogo.Catalog.Cache;
using Kidogo.Catalog.Entries;
using Kidogo.Cli.Shell;
using Kidogo.Models;
using Kidogo.Models.Files;

namespace Kidogo.Cli.Verbs;

internal static class StoreArguments
{
    /// <summary>A model of the hub or the cache.</summary>
    public static Argument<string> Name(string what) => new("NAME") { Description = $"{what}: org/name, org/name:FORMAT, org/name@revision, or a name of the catalogue" };

    /// <summary>A catalogue of one's own.</summary>
    public static Option<string?> CatalogueFile() => Opt.Text("--catalogue-file", "FILE", "A catalogue in place of the one that comes with the program (models/catalogue.yaml shows the fields)");

    public static Option<string?> Language() => Opt.Text("--language", "CODE", "Only models that are meant for a language: en, fr, sw");

    public static Catalogue OpenCatalogue(string? path) => path is null ? Catalogue.BuiltIn() : Catalogue.ReadFile(InputFile.Existing(path));

    public static HubCache OpenCache() => new(ModelPlaces.FromEnvironment().CacheFolder);

    /// <summary>What a name means: of the hub, or of the catalogue.</summary>
    /// <exception cref="UsageException">It is a path, or no name at all.</exception>
    /// <param name="text">What was named.</param>
    /// <param name="catalogue">The catalogue.</param>
    /// <param name="cache">The cache, whose repositories may have names of other programs' making; null where only the hub counts.</param>
    public static HubName Parse(string text, Catalogue catalogue, HubCache? cache)
    {
        if (cache?.Repositories().Contains(text) == true)
        {
            return new HubName(text);
        }

        int colon = text.LastIndexOf(':');
        (string name, string? format) = colon < 0 ? (text, null) : (text[..colon], text[(colon + 1)..]);
        if (!text.Contains('/', StringComparison.Ordinal) && catalogue.Find(name) is { } entry && HubName.TryParse(format is null ? entry.Source : $"{entry.Source}:{format}") is { } found)
        {
            return found;
        }

        if (HubName.TryParse(text) is { } parsed)
        {
            return parsed;
        }

        bool isPath = File.Exists(text) || Directory.Exists(text) || Path.IsPathRooted(text) || text.Contains("..", StringComparison.Ordinal) || text.Contains('\\', StringComparison.Ordinal);
        string nearest = NearestName.Likely(name, catalogue.Entries.Select(each => each.Name)) is { } near ? $" The nearest of the catalogue is {near}." : "";
        throw new UsageException(isPath
            ? $"{ModelFormatException.Quote(text)} is a path, where a name such as org/name was expected. A file that you have needs no store: kidogo run FILE, kidogo inspect FILE."
            : $"{ModelFormatException.Quote(text)} is no name of a model; expected org/name, org/name:FORMAT, or a name that kidogo list --catalogue shows.{nearest}");
    }

    /// <summary>The models of the cache that a name means.</summary>
    /// <exception cref="FailureException">There are none.</exception>
    public static IReadOnlyList<CachedModel> Cached(HubCache cache, HubName name)
    {
        string? commit = cache.CommitOf(name.Repository, name.Revision);
        CachedModel[] models = [.. CachedModel.Of(cache, name.Repository).Where(model => model.Commit == commit)];
        CachedModel[] found = (name.Format ?? name.File) is { } called ? [.. models.Where(model => model.IsCalled(called))] : models;
        if (found.Length > 0)
        {
            return found;
        }

        string there = models.Length > 0 ? $" It is there in {string.Join(", ", models.Select(model => model.Format))}." : NearestName.Likely(name.Repository, cache.Repositories()) is { } near ? $" The nearest is {near}." : "";
        throw new FailureException($"{name} is not in the cache {cache.Folder}.{there} To download it: kidogo pull {name}");
    }
}
