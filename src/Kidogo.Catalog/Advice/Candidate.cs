// A model that could be advised: of the catalogue at a format, or one that lies on this machine. Knows no questions.
using Kidogo.Catalog.Cache;
using Kidogo.Catalog.Entries;
using Kidogo.Catalog.Hub;
using Kidogo.Models;
using Kidogo.Models.Files;
using Kidogo.Tensors;

namespace Kidogo.Catalog.Advice;

/// <summary>A model at a format.</summary>
/// <param name="Name">How <c>kidogo pull</c> or <c>run</c> finds it.</param>
/// <param name="Format">Its format.</param>
/// <param name="Parameters">Number of parameters.</param>
/// <param name="WeightBytes">What its weights take.</param>
/// <param name="CacheBytesPerToken">What a token leaves in the cache.</param>
/// <param name="WorkspaceBytes">Activations of a pass.</param>
/// <param name="Level">What a task may ask of it, 1 to 4.</param>
/// <param name="IsHere">Whether it lies on this machine.</param>
public sealed record Candidate(string Name, string Format, long Parameters, long WeightBytes, long CacheBytesPerToken, long WorkspaceBytes, int Level, bool IsHere)
{
    private static readonly (double Parameters, int Level)[] s_levels = [(0.45e9, 1), (1.5e9, 2), (3.9e9, 3)];

    /// <summary>Tokens that it was made for; 0 where nobody says.</summary>
    public int ContextLength { get; init; }

    /// <summary>Languages; empty where nobody says.</summary>
    public IReadOnlyList<string> Languages { get; init; } = [];

    /// <summary>Bits of a weight on the average.</summary>
    public double BitsPerWeight => 8.0 * WeightBytes / Parameters;

    /// <summary>Tokens of a conversation: as wanted, but no more than the model has.</summary>
    public long Context(int wanted) => ContextLength > 0 ? Math.Min(wanted, ContextLength) : wanted;

    /// <summary>All there are: the catalogue at 4 to 8 bits, what lies in the cache, and the default model.</summary>
    /// <param name="catalogue">The catalogue.</param>
    /// <param name="cache">The cache.</param>
    /// <param name="defaultModel">The file of the default model; null where there is none.</param>
    public static IReadOnlyList<Candidate> All(Catalogue catalogue, HubCache cache, string? defaultModel)
    {
        List<Candidate> all = [.. CachedModel.All(cache).Select(model => OfCached(catalogue, model)).OfType<Candidate>()];
        if (defaultModel is not null && OfFile(defaultModel, Path.GetFileName(defaultModel), "", catalogue.Entries.FirstOrDefault(entry => Path.GetFileName(defaultModel).StartsWith(entry.Name, StringComparison.OrdinalIgnoreCase))) is { } own)
        {
            all.Add(own);
        }

        foreach (CatalogueEntry entry in catalogue.Entries)
        {
            all.AddRange(entry.Formats.Where(format => format.Format != "F16" && !all.Exists(here => here.IsHere && here.Name.StartsWith(entry.Source, StringComparison.OrdinalIgnoreCase) && here.Format == format.Format))
                .Select(format => Of(entry, format)));
        }

        return all;
    }

    /// <summary>A catalogue's model at a format. The original of one without a GGUF copy is quantised while it is loaded.</summary>
    public static Candidate Of(CatalogueEntry entry, CatalogueFormat format) =>
        new(entry.Gguf is null ? entry.Repository : $"{entry.Gguf}:{format.Format}", format.Format, entry.Parameters, format.Bytes, entry.Shape.CacheBytesPerToken, entry.Shape.WorkspaceBytes(Expectation.ContextTokens), entry.Level, IsHere: false)
        {
            ContextLength = entry.Context,
            Languages = entry.Languages,
        };

    private static Candidate? OfCached(Catalogue catalogue, CachedModel model) => OfFile(model.Path, model.Name, model.Format, catalogue.OfRepository(model.Repository));

    private static Candidate? OfFile(string path, string name, string format, CatalogueEntry? entry)
    {
        try
        {
            ModelSummary summary = ModelSummary.Read(path, Expectation.ContextTokens, KvFormat.F16);
            if (summary.Config is not { } config || summary.Parameters == 0)
            {
                return null; // an encoder, or a family that does not run
            }

            string stored = format.Length > 0 && format != FileChoice.Folder ? format : summary.Tensors.Where(tensor => tensor.Shape.Count > 1).GroupBy(tensor => tensor.Format).MaxBy(group => group.Sum(tensor => tensor.Bytes))?.Key ?? "?";
            long cache = config.Layers.Sum(layer => 2L * layer.NumKvHeads * layer.HeadDim * sizeof(ushort));
            int level = entry?.Level ?? s_levels.Where(step => summary.Parameters < step.Parameters).Select(step => step.Level).FirstOrDefault(4);
            return new Candidate(name, stored, summary.Parameters, summary.Memory.WeightBytes, cache, summary.Memory.WorkspaceBytes, level, IsHere: true)
            {
                ContextLength = summary.ContextLength,
                Languages = entry?.Languages ?? [],
            };
        }
        catch (Exception failure) when (failure is ModelFormatException or IOException or UnauthorizedAccessException)
        {
            return null; // damaged, or gone meanwhile: not advised
        }
    }
}
