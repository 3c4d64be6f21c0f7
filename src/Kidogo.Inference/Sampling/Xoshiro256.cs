// The sampler's own random generator: xoshiro256** seeded through SplitMix64. Knows nothing of tokens.
using System.Numerics;

namespace Kidogo.Inference.Sampling;

/// <summary>xoshiro256** 1.0 (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021), 64 bits at a time, period 2^256 - 1.</summary>
/// <remarks>Written here, not taken from the base library, because the same seed has to give the same draws for ever, on every machine and version.</remarks>
internal sealed class Xoshiro256
{
    private const double UnitOf53Bits = 1.0 / (1L << 53);

    private ulong _s0;
    private ulong _s1;
    private ulong _s2;
    private ulong _s3;

    /// <summary>A generator whose four words of state are the first four outputs of SplitMix64 from <paramref name="seed"/>, as the authors advise.</summary>
    public Xoshiro256(ulong seed)
    {
        _s0 = NextSplitMix64(ref seed);
        _s1 = NextSplitMix64(ref seed);
        _s2 = NextSplitMix64(ref seed);
        _s3 = NextSplitMix64(ref seed);
    }

    /// <summary>A generator with the given state, of which at least one word is not zero.</summary>
    internal Xoshiro256(ulong s0, ulong s1, ulong s2, ulong s3) => (_s0, _s1, _s2, _s3) = (s0, s1, s2, s3);

    /// <summary>The next 64 bits.</summary>
    public ulong NextUInt64()
    {
        ulong result = BitOperations.RotateLeft(_s1 * 5, 7) * 9;
        ulong t = _s1 << 17;
        _s2 ^= _s0;
        _s3 ^= _s1;
        _s1 ^= _s2;
        _s0 ^= _s3;
        _s2 ^= t;
        _s3 = BitOperations.RotateLeft(_s3, 45);
        return result;
    }

    /// <summary>The next number in [0, 1): the upper 53 bits of one output.</summary>
    public double NextDouble() => (NextUInt64() >> 11) * UnitOf53Bits;

    /// <summary>SplitMix64 (Steele, Lea and Flood, 2014): advances <paramref name="state"/> and returns 64 mixed bits of it.</summary>
    internal static ulong NextSplitMix64(ref ulong state)
    {
        state += 0x9E3779B97F4A7C15;
        ulong z = state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
