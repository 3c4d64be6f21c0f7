// Hashes of 64-bit numbers. Knows not what they number.
namespace Kidogo.Data;

/// <summary>The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): a bijection of 64 bits that scatters.</summary>
internal static class Mix
{
    private const ulong Golden = 0x9E3779B97F4A7C15;

    public static ulong Hash(ulong value)
    {
        ulong z = value + Golden;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    public static ulong Hash(ulong first, ulong second) => Hash(Hash(first) ^ (second * Golden));

    public static ulong Hash(ulong first, ulong second, ulong third) => Hash(Hash(first, second), third);
}
