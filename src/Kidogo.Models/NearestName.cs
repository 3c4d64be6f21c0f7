// How alike two names are. Knows nothing of what the names mean.
namespace Kidogo.Models;

/// <summary>Finds what a mistyped name most likely meant.</summary>
public static class NearestName
{
    private const int LongestCompared = 96;

    /// <summary>The candidate with the fewest letters to insert, remove, change or swap, whatever their case; null where there are none.</summary>
    public static string? Of(string name, IEnumerable<string> candidates) => candidates.MinBy(candidate => Distance(name, candidate));

    /// <summary>As <see cref="Of"/>, but null where even the nearest shares too little to have been meant.</summary>
    public static string? Likely(string name, IEnumerable<string> candidates)
    {
        string? nearest = Of(name, candidates);
        return nearest is not null && Distance(name, nearest) <= Math.Max(1, (Math.Max(name.Length, nearest.Length) + 2) / 3) ? nearest : null;
    }

    /// <summary>Letters to insert, remove, change, or swap with their neighbour (Damerau's distance, optimal string alignment).</summary>
    public static int Distance(string a, string b)
    {
        a = a.Length > LongestCompared ? a[..LongestCompared] : a;
        b = b.Length > LongestCompared ? b[..LongestCompared] : b;
        int[,] cost = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++)
        {
            for (int j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    cost[i, j] = i + j;
                    continue;
                }

                int changed = cost[i - 1, j - 1] + (Same(a[i - 1], b[j - 1]) ? 0 : 1);
                cost[i, j] = Math.Min(changed, Math.Min(cost[i - 1, j], cost[i, j - 1]) + 1);
                if (i > 1 && j > 1 && Same(a[i - 1], b[j - 2]) && Same(a[i - 2], b[j - 1]))
                {
                    cost[i, j] = Math.Min(cost[i, j], cost[i - 2, j - 2] + 1);
                }
            }
        }

        return cost[a.Length, b.Length];
    }

    private static bool Same(char a, char b) => char.ToLowerInvariant(a) == char.ToLowerInvariant(b);
}
