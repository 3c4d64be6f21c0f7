// From scores and shares to what stays of a model. Runs nothing.
using System.Globalization;
using Kidogo.Models;
using Kidogo.Models.Export;

namespace Kidogo.Compression.Pruning;

/// <summary>How much of each kind of structure goes, as shares from 0 to below 1.</summary>
public sealed record StructureShares
{
    /// <summary>Of the feed-forward's neurons.</summary>
    public double Neurons { get; init; }

    /// <summary>Of the query heads of each key and value head.</summary>
    public double QueryHeads { get; init; }

    /// <summary>Of the key and value heads, with their query heads.</summary>
    public double KvHeads { get; init; }

    /// <summary>Of the channels of the residual stream.</summary>
    public double Hidden { get; init; }

    /// <summary>Whole layers, as a number.</summary>
    public int Layers { get; init; }
}

/// <summary>How parts are chosen.</summary>
public sealed record StructurePlanOptions
{
    /// <summary>What numbers of neurons and channels that stay are multiples of; smaller widths are kept in eighths. Default 32, the blocks that formats store.</summary>
    public int Multiple { get; init; } = 32;

    /// <summary>Whether neurons of all layers are compared with each other, so that layers come to differ. Default no: each layer loses the same share.</summary>
    public bool AcrossLayers { get; init; }
}

/// <summary>Chooses what stays.</summary>
/// <param name="config">The model.</param>
/// <param name="scores">What its parts are worth.</param>
/// <param name="options">How parts are chosen.</param>
public sealed class StructurePlan(DecoderConfig config, StructureScores scores, StructurePlanOptions options)
{
    /// <summary>What stays when these shares go. At least one head and one multiple of neurons and channels stay in every layer, and one layer.</summary>
    /// <exception cref="PruningException">More layers would go than there are.</exception>
    public ModelReshape Choose(StructureShares shares)
    {
        if (shares.Layers < 0 || shares.Layers >= config.NumLayers)
        {
            throw new PruningException($"{shares.Layers} layers of {config.NumLayers} cannot go: at most {config.NumLayers - 1}, for one has to stay.");
        }

        if (shares.Hidden > 0 && config.EmbeddingScale != 1)
        {
            throw new PruningException(string.Create(CultureInfo.InvariantCulture,
                $"The model multiplies its embeddings by {config.EmbeddingScale}, which files of its family take from the hidden width: it cannot be narrower. Prune neurons, heads or layers instead."));
        }

        HashSet<int> gone = [.. Enumerable.Range(0, config.NumLayers).OrderBy(i => scores.Layers[i].Layer).Take(shares.Layers)];
        int[] stay = [.. Enumerable.Range(0, config.NumLayers).Where(i => !gone.Contains(i))];
        int[] neurons = Neurons(stay, shares.Neurons);
        KeptLayer[] layers = [.. stay.Select((index, i) =>
        {
            LayerConfig layer = config.Layers[index];
            LayerScores own = scores.Layers[index];
            int kept = Kept(layer.NumKvHeads, shares.KvHeads);
            int[]? keys = kept < layer.NumKvHeads ? Best(own.KvHeads, kept) : null;
            return new KeptLayer(index, neurons[i] < layer.IntermediateSize ? Best(own.Neurons, neurons[i]) : null, keys, QueryHeads(layer, own.QueryHeads, keys, shares.QueryHeads));
        })];
        int width = Rounded((1 - shares.Hidden) * config.HiddenSize, config.HiddenSize);
        return new ModelReshape(config, layers, width < config.HiddenSize ? Best(scores.Hidden, width) : null);
    }

    /// <summary>Refuses shares that cannot be, and those that are too small to take anything. Scores do not matter for it.</summary>
    /// <exception cref="PruningException">What is wrong with which share, and what would do.</exception>
    public void Check(StructureShares shares)
    {
        if (shares == new StructureShares())
        {
            throw new PruningException("All shares are 0: nothing would go. Give --neurons, --heads, --groups, --hidden or --layers a number above 0.");
        }

        _ = Choose(shares);
        void Refuse(double share, string option, string what, Func<LayerConfig, int> count, Func<LayerConfig, int> kept, Func<LayerConfig, string> advice)
        {
            if (share > 0 && config.Layers.All(layer => kept(layer) == count(layer)))
            {
                LayerConfig first = config.Layers[0];
                throw new PruningException(string.Create(CultureInfo.InvariantCulture, $"{option} {share:0.####} of {count(first)} {what} comes to none at all. {advice(first)}"));
            }
        }

        string Multiples(int whole) => string.Create(CultureInfo.InvariantCulture, $"What stays is a multiple of {MultipleOf(whole)} (--multiple): ask for {(double)MultipleOf(whole) / whole:0.####} or more.");
        Refuse(shares.Neurons, "--neurons", "neurons", layer => layer.IntermediateSize, layer => Rounded((1 - shares.Neurons) * layer.IntermediateSize, layer.IntermediateSize), layer => Multiples(layer.IntermediateSize));
        Refuse(shares.Hidden, "--hidden", "channels", _ => config.HiddenSize, _ => Rounded((1 - shares.Hidden) * config.HiddenSize, config.HiddenSize), _ => Multiples(config.HiddenSize));
        Refuse(shares.QueryHeads, "--heads", "query heads of a group", GroupOf, layer => Kept(GroupOf(layer), shares.QueryHeads), layer => GroupOf(layer) == 1
            ? "Each key and value head has one query head here, so only both can go together: take --groups."
            : string.Create(CultureInfo.InvariantCulture, $"Ask for {1.0 / GroupOf(layer):0.####} or more, which is one."));
        Refuse(shares.KvHeads, "--groups", "key and value heads", layer => layer.NumKvHeads, layer => Kept(layer.NumKvHeads, shares.KvHeads), layer => layer.NumKvHeads == 1
            ? "One has to stay: take --heads for its query heads."
            : string.Create(CultureInfo.InvariantCulture, $"Ask for {1.0 / layer.NumKvHeads:0.####} or more, which is one."));
    }

    /// <summary>The places of the largest scores, in rising order; of equal ones the first.</summary>
    internal static int[] Best(double[] scores, int count) => [.. Enumerable.Range(0, scores.Length).OrderByDescending(i => scores[i]).Take(count).Order()];

    /// <summary>Neurons that stay in each layer that stays.</summary>
    private int[] Neurons(int[] stay, double share)
    {
        int[] kept = [.. stay.Select(index => Rounded((1 - share) * config.Layers[index].IntermediateSize, config.Layers[index].IntermediateSize))];
        if (!options.AcrossLayers || share == 0)
        {
            return kept;
        }

        // The same number in all, but from wherever they matter most.
        (double Score, int Layer)[] all = [.. stay.SelectMany((index, i) =>
        {
            double[] own = scores.Layers[index].Neurons;
            double unit = scores.AreComparable ? 1 : Math.Max(double.Epsilon, own.Average());
            return own.Select(score => (score / unit, i));
        }).OrderByDescending(each => each.Item1)];
        int[] counts = new int[stay.Length];
        foreach ((_, int layer) in all.Take(kept.Sum()))
        {
            counts[layer]++;
        }

        return [.. counts.Select((count, i) => Rounded(count, config.Layers[stay[i]].IntermediateSize))];
    }

    private static int[]? QueryHeads(LayerConfig layer, double[] scores, int[]? keys, double share)
    {
        int group = GroupOf(layer);
        int kept = Kept(group, share);
        return kept == group ? null
            : [.. (keys ?? [.. Enumerable.Range(0, layer.NumKvHeads)]).SelectMany(key => Best(scores[(key * group)..((key + 1) * group)], kept).Select(head => (key * group) + head))];
    }

    private static int GroupOf(LayerConfig layer) => layer.NumHeads / layer.NumKvHeads;

    /// <summary>Heads that stay: at least one.</summary>
    private static int Kept(int heads, double share) => Math.Max(1, (int)Math.Round((1 - share) * heads));

    private int MultipleOf(int whole) => Math.Min(options.Multiple, Math.Max(1, whole / 8));

    /// <summary>The nearest width that can be: a multiple, at least one.</summary>
    private int Rounded(double width, int whole)
    {
        int multiple = MultipleOf(whole);
        return width >= whole ? whole : Math.Min(whole, Math.Max(multiple, (int)Math.Round(width / multiple) * multiple));
    }
}
