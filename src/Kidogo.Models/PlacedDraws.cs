// Random numbers by name, seed and place: the same whoever asks, in whatever order. Knows no weights.
using System.Text;

namespace Kidogo.Models;

/// <summary>Draws that depend on nothing but a stream's name, a seed and a place in the stream.</summary>
public static class PlacedDraws
{
    private const double TwoToMinus53 = 1.0 / (1L << 53);

    /// <summary>The first place of a stream.</summary>
    public static ulong Stream(string name, ulong seed)
    {
        ulong hash = 14695981039346656037; // FNV-1a (Fowler, Noll and Vo), 64 bits
        foreach (byte unit in Encoding.UTF8.GetBytes(name))
        {
            hash = unchecked((hash ^ unit) * 1099511628211);
        }

        return Mix(hash ^ Mix(seed));
    }

    /// <summary>Normal numbers of mean 0: each is made of two draws at its place (Box and Muller 1958).</summary>
    public static void Normal(Span<float> values, ulong first, double deviation)
    {
        for (int i = 0; i < values.Length; i++)
        {
            ulong draw = Mix(first + (ulong)i);
            double radius = Math.Sqrt(-2 * Math.Log(((draw >> 11) + 1) * TwoToMinus53));
            values[i] = (float)(deviation * radius * Math.Cos(Math.Tau * (Mix(~draw) >> 11) * TwoToMinus53));
        }
    }

    /// <summary>Numbers that are equally likely between -<paramref name="bound"/> and <paramref name="bound"/>.</summary>
    public static void Uniform(Span<float> values, ulong first, double bound)
    {
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (float)(bound * (((Mix(first + (ulong)i) >> 11) * TwoToMinus53 * 2) - 1));
        }
    }

    // SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, figure 16) at a place.
    private static ulong Mix(ulong place)
    {
        unchecked
        {
            ulong z = place * 0x9E3779B97F4A7C15;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            return z ^ (z >> 31);
        }
    }
}
