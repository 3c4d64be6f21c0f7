// How much has to go so that a model has a size or a speed. Knows how to search, not how sizes are measured.
using System.Globalization;
using Kidogo.Models.Export;

namespace Kidogo.Compression.Pruning;

/// <summary>Kinds of structure.</summary>
[Flags]
public enum StructureKinds
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>Neurons of the feed-forward.</summary>
    Neurons = 1,

    /// <summary>Query heads within their groups.</summary>
    QueryHeads = 2,

    /// <summary>Key and value heads with their query heads.</summary>
    KvHeads = 4,

    /// <summary>Channels of the residual stream.</summary>
    Hidden = 8,

    /// <summary>Whole layers.</summary>
    Layers = 16,
}

/// <summary>Kinds of structure as options name them.</summary>
public static class StructureWords
{
    /// <summary>Each kind with its word.</summary>
    public static IReadOnlyList<(string Word, StructureKinds Kind)> All { get; } =
        [("neurons", StructureKinds.Neurons), ("heads", StructureKinds.QueryHeads), ("groups", StructureKinds.KvHeads), ("hidden", StructureKinds.Hidden), ("layers", StructureKinds.Layers)];

    /// <summary>The words of several.</summary>
    public static string Of(StructureKinds kinds) => string.Join(", ", All.Where(each => kinds.HasFlag(each.Kind)).Select(each => each.Word));
}

/// <summary>Something that a pruned model is to have at most.</summary>
/// <param name="Limit">The most of it.</param>
/// <param name="Unit">What it is, for messages: <c>parameters</c>.</param>
/// <param name="Measure">What a plan comes to; falls as more goes.</param>
/// <param name="Evaluations">How many plans are measured at most.</param>
public sealed record StructureTarget(double Limit, string Unit, Func<ModelReshape, double> Measure, int Evaluations = 24)
{
    /// <summary>How an amount is said; default with its unit.</summary>
    public Func<double, string> Show { get; init; } = amount => string.Create(CultureInfo.InvariantCulture, $"{amount:0.###} {Unit}");

    /// <summary>The plan that keeps most and reaches the target.</summary>
    /// <param name="plan">Chooses parts.</param>
    /// <param name="kinds">What may go, all by the same share.</param>
    /// <param name="layers">Layers that there are.</param>
    /// <exception cref="PruningException">It cannot be reached; the message says what can.</exception>
    public ModelReshape Find(StructurePlan plan, StructureKinds kinds, int layers)
    {
        (double low, double high, ModelReshape found) = (0, 1, Least(plan, kinds, layers));
        for (int i = 0; i < Evaluations; i++)
        {
            double share = (low + high) / 2;
            ModelReshape candidate = plan.Choose(Shares(kinds, share, layers));
            if (Measure(candidate) <= Limit)
            {
                (high, found) = (share, candidate);
            }
            else
            {
                low = share;
            }
        }

        return found;
    }

    /// <summary>The plan that keeps least.</summary>
    /// <param name="plan">Chooses parts.</param>
    /// <param name="kinds">What may go.</param>
    /// <param name="layers">Layers that there are.</param>
    /// <exception cref="PruningException">The target cannot be reached, or is reached already; the message says what can.</exception>
    public ModelReshape Least(StructurePlan plan, StructureKinds kinds, int layers)
    {
        double whole = Measure(plan.Choose(new StructureShares()));
        if (whole <= Limit)
        {
            throw new PruningException($"The model has {Show(whole)} already, and {Show(Limit)} are asked for: nothing has to go. Ask for less.");
        }

        ModelReshape least = plan.Choose(Shares(kinds, 1, layers));
        double smallest = Measure(least);
        if (smallest > Limit)
        {
            throw new PruningException(
                $"{Show(Limit)} cannot be reached by pruning {StructureWords.Of(kinds)}: the smallest that can is {Show(smallest)}. Ask for that, or let other structures go too (--structures).");
        }

        return least;
    }

    private static StructureShares Shares(StructureKinds kinds, double share, int layers) => new()
    {
        Neurons = kinds.HasFlag(StructureKinds.Neurons) ? share : 0,
        QueryHeads = kinds.HasFlag(StructureKinds.QueryHeads) ? share : 0,
        KvHeads = kinds.HasFlag(StructureKinds.KvHeads) ? share : 0,
        Hidden = kinds.HasFlag(StructureKinds.Hidden) ? share : 0,
        Layers = kinds.HasFlag(StructureKinds.Layers) ? Math.Min(layers - 1, (int)(share * layers)) : 0,
    };
}
