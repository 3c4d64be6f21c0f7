// An order of n things that needs no memory. Knows not what they are.
namespace Kidogo.Data.Packing;

/// <summary>A bijection of 0 … n − 1 that a key decides: a shuffle of which any place can be asked for alone.</summary>
/// <remarks>
/// A balanced Feistel network (Luby and Rackoff, 1988) of eight rounds over the smallest power of four that holds n, at least 4,096, walked until it lands
/// below n (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002). A list of a billion documents is shuffled in no time and no memory, and a place
/// in it is one number in a checkpoint.
/// </remarks>
internal readonly struct Permutation
{
    private const int Rounds = 8;
    private const int FewestHalfBits = 6;

    private readonly ulong _key;
    private readonly ulong _count;
    private readonly int _halfBits;

    public Permutation(long count, ulong key)
    {
        _count = (ulong)count;
        _key = key;
        _halfBits = FewestHalfBits;
        while (_halfBits < 31 && 1UL << (2 * _halfBits) < _count)
        {
            _halfBits++;
        }
    }

    /// <summary>The thing at a place; both in [0, n).</summary>
    public long this[long place]
    {
        get
        {
            ulong mask = (1UL << _halfBits) - 1;
            ulong value = (ulong)place;
            do
            {
                ulong left = value >> _halfBits;
                ulong right = value & mask;
                for (ulong round = 0; round < Rounds; round++)
                {
                    (left, right) = (right, left ^ (Mix.Hash(_key + (round << 56), right) & mask));
                }

                value = (left << _halfBits) | right;
            }
            while (value >= _count);

            return (long)value;
        }
    }
}
