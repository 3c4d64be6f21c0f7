// Which format each tensor gets so that all together have a size. Knows costs, not how they were measured, and no files.
using System.Globalization;

namespace Kidogo.Compression.Search;

/// <summary>A target cannot be reached.</summary>
/// <param name="message">What was asked for and what can be reached.</param>
public sealed class SizeTargetException(string message) : Exception(message);

/// <summary>Formats for all tensors.</summary>
/// <param name="Formats">By tensor name.</param>
/// <param name="Bytes">Bytes of all these tensors.</param>
/// <param name="Divergence">The sum of what each costs: an estimate of the model's mean divergence, in nats.</param>
public sealed record SizedFormats(IReadOnlyDictionary<string, FormatCost> Formats, long Bytes, double Divergence);

/// <summary>Deals out formats: the least sum of divergences within a number of bytes.</summary>
/// <remarks>
/// A knapsack of which each tensor takes one: solved exactly on a grid of bytes (dynamic programming; a tensor's bytes beyond its smallest format are rounded up to the grid), and what the rounding left over is
/// then spent on whatever lessens the divergence most.
/// </remarks>
public static class SizeSearch
{
    private const int MostSteps = 1 << 16;
    private const long MostCells = 1 << 26;

    /// <summary>Bytes that all tensors take in their smallest, and in their largest formats.</summary>
    public static (long Smallest, long Largest) Range(IReadOnlyList<TensorCosts> tensors) =>
        (tensors.Sum(tensor => tensor.Costs.Min(cost => cost.Bytes)), tensors.Sum(tensor => tensor.Costs.Max(cost => cost.Bytes)));

    /// <summary>Chooses.</summary>
    /// <param name="tensors">What each tensor may get.</param>
    /// <param name="bytes">Bytes that all may take together.</param>
    /// <exception cref="SizeTargetException">Not even the smallest formats fit.</exception>
    public static SizedFormats Choose(IReadOnlyList<TensorCosts> tensors, long bytes)
    {
        FormatCost[][] costs = [.. tensors.Select(Useful)];
        long spare = bytes - costs.Sum(formats => formats[0].Bytes);
        if (spare < 0)
        {
            throw new SizeTargetException(string.Create(CultureInfo.InvariantCulture, $"The tensors take {bytes - spare} bytes at least, and may take {bytes}."));
        }

        int[] chosen = Solve(costs, spare);
        SpendRest(costs, chosen, bytes);
        Dictionary<string, FormatCost> found = new(StringComparer.Ordinal);
        for (int i = 0; i < chosen.Length; i++)
        {
            found.Add(tensors[i].Name, costs[i][chosen[i]]);
        }

        return new SizedFormats(found, found.Values.Sum(cost => cost.Bytes), found.Values.Sum(cost => cost.Divergence));
    }

    /// <summary>The formats that no smaller or equally small one is better than, with rising bytes and falling divergence.</summary>
    private static FormatCost[] Useful(TensorCosts tensor)
    {
        List<FormatCost> useful = [];
        foreach (FormatCost cost in tensor.Costs.OrderBy(cost => cost.Bytes).ThenBy(cost => cost.Divergence))
        {
            if (useful.Count == 0 || cost.Divergence < useful[^1].Divergence)
            {
                useful.Add(cost);
            }
        }

        return [.. useful];
    }

    private static int[] Solve(FormatCost[][] costs, long spare)
    {
        long most = costs.Sum(formats => formats[^1].Bytes - formats[0].Bytes);
        long capacity = Math.Min(spare, most);
        int steps = (int)Math.Clamp(MostCells / Math.Max(1, costs.Length), 1, MostSteps);
        long unit = Math.Max(1, (capacity + steps - 1) / steps);
        int cells = (int)(capacity / unit) + 1;
        double[] best = new double[cells], next = new double[cells];
        byte[][] choice = new byte[costs.Length][];
        for (int i = 0; i < costs.Length; i++)
        {
            choice[i] = new byte[cells];
            Array.Fill(next, double.PositiveInfinity);
            for (int f = 0; f < costs[i].Length; f++)
            {
                int size = (int)Math.Min(cells, (costs[i][f].Bytes - costs[i][0].Bytes + unit - 1) / unit);
                double divergence = costs[i][f].Divergence;
                for (int cell = size; cell < cells; cell++)
                {
                    double sum = best[cell - size] + divergence;
                    if (sum < next[cell])
                    {
                        next[cell] = sum;
                        choice[i][cell] = (byte)f;
                    }
                }
            }

            (best, next) = (next, best);
        }

        int[] chosen = new int[costs.Length];
        for (int i = costs.Length - 1, cell = cells - 1; i >= 0; i--)
        {
            chosen[i] = choice[i][cell];
            cell -= (int)((costs[i][chosen[i]].Bytes - costs[i][0].Bytes + unit - 1) / unit);
        }

        return chosen;
    }

    private static void SpendRest(FormatCost[][] costs, int[] chosen, long bytes)
    {
        long left = bytes - costs.Select((formats, i) => formats[chosen[i]].Bytes).Sum();
        while (true)
        {
            (int tensor, int format, double gain) = (-1, 0, 0);
            for (int i = 0; i < costs.Length; i++)
            {
                for (int f = chosen[i] + 1; f < costs[i].Length && costs[i][f].Bytes - costs[i][chosen[i]].Bytes <= left; f++)
                {
                    double own = costs[i][chosen[i]].Divergence - costs[i][f].Divergence;
                    (tensor, format, gain) = own > gain ? (i, f, own) : (tensor, format, gain);
                }
            }

            if (tensor < 0)
            {
                return;
            }

            left -= costs[tensor][format].Bytes - costs[tensor][chosen[tensor]].Bytes;
            chosen[tensor] = format;
        }
    }
}
