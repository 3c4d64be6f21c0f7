// Softmax over a vocabulary for a loss and its gradient. Knows no threads and no models.
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Kernels;

/// <summary>Sums of exponentials of one row, taken apart so that exponentials are computed once.</summary>
internal static class CrossEntropyKernel
{
    private const int Block = 1024; // values whose sum is kept in float32 lanes before it goes to double

    /// <summary>Σ exp(x - largest).</summary>
    /// <param name="x">[n]</param>
    /// <param name="largest">The largest of x.</param>
    /// <param name="exponentials">Receives exp(x - largest) [n]; may be x itself; empty where they are not needed.</param>
    public static double SumOfExponentials(ReadOnlySpan<float> x, float largest, Span<float> exponentials)
    {
        if (!exponentials.IsEmpty && exponentials.Length != x.Length)
        {
            throw new ArgumentException($"{x.Length} values do not fit {exponentials.Length}.", nameof(exponentials));
        }

        double sum = 0;
        for (int first = 0; first < x.Length; first += Block)
        {
            int count = Math.Min(Block, x.Length - first);
            sum += SumOfBlock(x.Slice(first, count), largest, exponentials.IsEmpty ? [] : exponentials.Slice(first, count));
        }

        return sum;
    }

    /// <summary>Σ x, in double from block to block.</summary>
    public static double Sum(ReadOnlySpan<float> x)
    {
        double sum = 0;
        for (int first = 0; first < x.Length; first += Block)
        {
            sum += TensorPrimitives.Sum(x.Slice(first, Math.Min(Block, x.Length - first)));
        }

        return sum;
    }

    /// <summary>y = exp(x - largest) · factor - rest, or added to y.</summary>
    public static void Gradient(ReadOnlySpan<float> x, float largest, float factor, float rest, bool isAdded, Span<float> y)
    {
        const int StackBlock = 256;
        Span<float> buffer = stackalloc float[StackBlock];
        for (int first = 0; first < x.Length; first += StackBlock)
        {
            int count = Math.Min(StackBlock, x.Length - first);
            Span<float> part = buffer[..count], target = y.Slice(first, count);
            SumOfBlock(x.Slice(first, count), largest, part);
            TensorPrimitives.Multiply(part, factor, part);
            TensorPrimitives.Subtract(part, rest, part);
            if (isAdded)
            {
                TensorPrimitives.Add(target, part, target);
            }
            else
            {
                part.CopyTo(target);
            }
        }
    }

    // Lanes: value i of the block goes to partial sum i mod 8; the scalar twin below keeps the same eight.
    private static float SumOfBlock(ReadOnlySpan<float> x, float largest, Span<float> exponentials)
    {
        Span<float> lanes = stackalloc float[Lanes.Count];
        lanes.Clear();
        int done = 0;
        if (Vector256.IsHardwareAccelerated)
        {
            ref float source = ref MemoryMarshal.GetReference(x);
            ref float target = ref MemoryMarshal.GetReference(exponentials);
            Vector256<float> shift = Vector256.Create(largest), sum = Vector256<float>.Zero;
            bool isKept = !exponentials.IsEmpty;
            for (; Vector512.IsHardwareAccelerated && done <= x.Length - (2 * Lanes.Count); done += 2 * Lanes.Count)
            {
                Vector512<float> e = ExpVectors.Exp(Vector512.LoadUnsafe(ref source, (nuint)done) - Vector512.Create(largest));
                sum = sum + e.GetLower() + e.GetUpper(); // in the order of the eight
                if (isKept)
                {
                    e.StoreUnsafe(ref target, (nuint)done);
                }
            }

            for (; done <= x.Length - Lanes.Count; done += Lanes.Count)
            {
                Vector256<float> e = ExpVectors.Exp(Vector256.LoadUnsafe(ref source, (nuint)done) - shift);
                sum += e;
                if (isKept)
                {
                    e.StoreUnsafe(ref target, (nuint)done);
                }
            }

            sum.CopyTo(lanes);
        }

        return SumOfBlockScalar(x, largest, exponentials, done, lanes);
    }

    /// <summary>The definition, and what is left after whole vectors.</summary>
    public static float SumOfBlockScalar(ReadOnlySpan<float> x, float largest, Span<float> exponentials, int done, Span<float> lanes)
    {
        for (int i = done; i < x.Length; i++)
        {
            float e = ExpVectors.ExpScalar(x[i] - largest);
            lanes[i % Lanes.Count] += e;
            if (!exponentials.IsEmpty)
            {
                exponentials[i] = e;
            }
        }

        return Lanes.Sum(lanes);
    }
}
