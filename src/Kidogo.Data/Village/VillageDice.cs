// Draws that a seed decides, for ever the same on every machine. Knows not what is drawn.
namespace Kidogo.Data.Village;

/// <summary>A row of draws: the hashes of a key and a counter.</summary>
internal sealed class VillageDice(ulong key)
{
    private ulong _next;

    /// <summary>64 bits.</summary>
    public ulong Bits() => Mix.Hash(key, _next++);

    /// <summary>A number from 0 to below a limit.</summary>
    public int Below(int limit) => (int)(Bits() % (ulong)limit);

    /// <summary>Whether something of a probability happens.</summary>
    public bool Chance(double probability) => (Bits() >> 11) * (1.0 / (1L << 53)) < probability;

    /// <summary>One of several.</summary>
    public T Of<T>(IReadOnlyList<T> all) => all[Below(all.Count)];

    /// <summary>So many of 0 to below a limit, in a drawn order.</summary>
    public int[] Some(int count, int limit)
    {
        int[] all = [.. Enumerable.Range(0, limit)];
        for (int i = 0; i < Math.Min(count, limit); i++)
        {
            int other = i + Below(limit - i);
            (all[i], all[other]) = (all[other], all[i]);
        }

        return all[..Math.Min(count, limit)];
    }
}
