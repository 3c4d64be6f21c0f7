// Which weights of a matrix are gone: a bit for each. Knows no reason.
using System.Numerics;

namespace Kidogo.Compression.Pruning;

/// <summary>A bit for each weight of a matrix; a set one means that the weight is zero.</summary>
public sealed class WeightMask
{
    private const int Bits = 64;
    private readonly ulong[] _words;
    private readonly int _wordsOfRow;

    /// <summary>A mask of which no weight is gone.</summary>
    /// <param name="rows">Outputs.</param>
    /// <param name="columns">Inputs.</param>
    public WeightMask(int rows, int columns)
    {
        (Rows, Columns) = (rows, columns);
        _wordsOfRow = (columns + Bits - 1) / Bits;
        _words = new ulong[checked(rows * _wordsOfRow)];
    }

    /// <summary>Outputs.</summary>
    public int Rows { get; }

    /// <summary>Inputs.</summary>
    public int Columns { get; }

    /// <summary>Weights that are gone.</summary>
    public long Zeros => _words.Sum(word => (long)BitOperations.PopCount(word));

    /// <summary>Whether a weight is gone.</summary>
    public bool this[int row, int column]
    {
        get => (_words[(row * _wordsOfRow) + (column / Bits)] >> (column % Bits) & 1) != 0;
        set
        {
            ref ulong word = ref _words[(row * _wordsOfRow) + (column / Bits)];
            ulong bit = 1UL << (column % Bits);
            word = value ? word | bit : word & ~bit;
        }
    }

    /// <summary>Makes the weights of a row zero that are gone.</summary>
    /// <param name="row">Which.</param>
    /// <param name="values">[Columns]</param>
    public void Apply(int row, Span<float> values)
    {
        for (int i = 0; i < _wordsOfRow; i++)
        {
            for (ulong left = _words[(row * _wordsOfRow) + i]; left != 0; left &= left - 1)
            {
                values[(i * Bits) + BitOperations.TrailingZeroCount(left)] = 0;
            }
        }
    }

    /// <summary>Marks the smallest scores of a row.</summary>
    internal void MarkRow(int row, ReadOnlySpan<float> scores, Sparsity sparsity)
    {
        if (!sparsity.IsGrouped)
        {
            Mark(row, 0, scores, (int)Math.Floor(sparsity.Share * scores.Length));
            return;
        }

        for (int start = 0; start < scores.Length; start += sparsity.Of)
        {
            Mark(row, start, scores.Slice(start, sparsity.Of), sparsity.Zeros);
        }
    }

    /// <summary>Marks the smallest of some neighbours; of equal ones the first.</summary>
    internal void Mark(int row, int firstColumn, ReadOnlySpan<float> scores, int count)
    {
        if (count <= 0)
        {
            return;
        }

        const int Few = 256; // as in a group of N:M: called for every group of a matrix
        Span<float> sorted = scores.Length <= Few ? stackalloc float[Few] : new float[scores.Length];
        sorted = sorted[..scores.Length];
        scores.CopyTo(sorted);
        sorted.Sort();
        float threshold = sorted[count - 1];
        int below = 0;
        while (sorted[below].CompareTo(threshold) < 0)
        {
            below++;
        }

        int equal = count - below; // of those at the threshold, how many go
        for (int c = 0; c < scores.Length; c++)
        {
            int order = scores[c].CompareTo(threshold);
            if (order < 0 || (order == 0 && equal-- > 0))
            {
                this[row, firstColumn + c] = true;
            }
        }
    }
}
