// Pruning by magnitude: the weights nearest to zero go. Looks at no data.
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Tensor = Kidogo.Tensors.Tensor;

namespace Kidogo.Compression.Pruning;

/// <summary>Magnitude pruning (Han et al., arXiv 1506.02626): the floor(share · n) smallest |w| of a row, a matrix or the model; or all below a threshold. Of equal ones the first go.</summary>
public static class Magnitude
{
    /// <summary>The weights of a matrix that go.</summary>
    /// <param name="weights">[R, C]</param>
    /// <param name="sparsity">How many; N of M is always of neighbours in a row.</param>
    /// <param name="scope">Among which: a row, or the matrix.</param>
    public static WeightMask Mask(Tensor weights, Sparsity sparsity, PruneScope scope)
    {
        WeightMask mask = new(weights.Rows, weights.Columns);
        if (sparsity.IsGrouped || scope == PruneScope.Row)
        {
            float[] scores = new float[weights.Columns];
            for (int row = 0; row < weights.Rows; row++)
            {
                TensorPrimitives.Abs(weights.Row(row), scores);
                mask.MarkRow(row, scores, sparsity);
            }

            return mask;
        }

        MagnitudeThreshold threshold = new(new MagnitudeCounts(() => [weights]).Find((long)Math.Floor(sparsity.Share * weights.Length)));
        threshold.Mark(weights, mask);
        return mask;
    }

    /// <summary>The weights of a matrix that are no larger than a threshold.</summary>
    /// <param name="weights">[R, C]</param>
    /// <param name="threshold">The largest |w| that goes.</param>
    public static WeightMask Mask(Tensor weights, float threshold)
    {
        WeightMask mask = new(weights.Rows, weights.Columns);
        new MagnitudeThreshold((threshold, long.MaxValue)).Mark(weights, mask);
        return mask;
    }
}

/// <summary>Marks the weights below a magnitude, and of those at it the first ones, over any number of matrices.</summary>
/// <param name="place">The magnitude, and how many of those at it go.</param>
internal sealed class MagnitudeThreshold((float Magnitude, long Equal) place)
{
    private long _equal = place.Equal;

    /// <summary>Marks those of a matrix.</summary>
    public void Mark(Tensor weights, WeightMask mask)
    {
        for (int row = 0; row < weights.Rows; row++)
        {
            ReadOnlySpan<float> values = weights.Row(row);
            for (int c = 0; c < values.Length; c++)
            {
                float magnitude = MathF.Abs(values[c]);
                mask[row, c] = magnitude < place.Magnitude || (magnitude == place.Magnitude && _equal-- > 0);
            }
        }
    }
}

/// <summary>Finds the k-th smallest magnitude of many matrices that are never in memory together.</summary>
/// <remarks>The bits of floats that are not negative rise with their values, so two rounds of counting find it exactly: first the upper 16 bits, then the lower.</remarks>
/// <param name="matrices">Goes over all matrices; called twice.</param>
internal sealed class MagnitudeCounts(Func<IEnumerable<Tensor>> matrices)
{
    private const int Half = 16;

    /// <summary>Finds it.</summary>
    /// <param name="count">How many go; less than all.</param>
    /// <returns>The magnitude, and how many of those at it go; nothing goes where count is 0.</returns>
    public (float Magnitude, long Equal) Find(long count)
    {
        if (count <= 0)
        {
            return (0, 0);
        }

        (int upper, long before) = Find(count, Count(bits => (int)(bits >> Half)));
        (int lower, long within) = Find(count - before, Count(bits => (int)(bits >> Half) == upper ? (int)(bits & 0xffff) : -1));
        return (BitConverter.UInt32BitsToSingle(((uint)upper << Half) | (uint)lower), count - before - within);
    }

    private long[] Count(Func<uint, int> placeOf)
    {
        long[] counts = new long[1 << Half];
        foreach (Tensor matrix in matrices())
        {
            foreach (uint bits in MemoryMarshal.Cast<float, uint>(matrix.Span))
            {
                if (placeOf(bits & 0x7fff_ffff) is >= 0 and var place)
                {
                    counts[place]++;
                }
            }
        }

        return counts;
    }

    private static (int Place, long Before) Find(long count, long[] counts)
    {
        long before = 0;
        int place = 0;
        while (before + counts[place] < count)
        {
            before += counts[place++];
        }

        return (place, before);
    }
}
