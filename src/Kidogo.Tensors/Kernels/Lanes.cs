// Eight partial sums and their one order. Knows nothing of what is summed.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Kernels;

/// <summary>Sums over spans that have the same bits in every instruction tier: value i goes to partial sum i mod 8, and the eight are added in one order.</summary>
internal static class Lanes
{
    public const int Count = 8;

    /// <summary>The eight partial sums as one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(ReadOnlySpan<float> lanes) =>
        ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));

    /// <summary>Σ a · b.</summary>
    public static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        if (a.Length != b.Length)
        {
            throw new ArgumentException($"{a.Length} values meet {b.Length}.", nameof(b));
        }

        Span<float> lanes = stackalloc float[Count];
        lanes.Clear();
        int done = 0;
        if (Vector256.IsHardwareAccelerated)
        {
            // Lanes: 8 neighbouring products each; the order of additions in a lane is that of the scalar twin.
            ref float x = ref MemoryMarshal.GetReference(a);
            ref float y = ref MemoryMarshal.GetReference(b);
            Vector256<float> sum = Vector256<float>.Zero;
            for (; done <= a.Length - Count; done += Count)
            {
                sum = Vector256.FusedMultiplyAdd(Vector256.LoadUnsafe(ref x, (nuint)done), Vector256.LoadUnsafe(ref y, (nuint)done), sum);
            }

            sum.CopyTo(lanes);
        }

        return DotScalar(a, b, done, lanes);
    }

    /// <summary>The definition, and what is left after whole vectors.</summary>
    /// <param name="a">[n]</param>
    /// <param name="b">[n]</param>
    /// <param name="done">Values that the partial sums have already.</param>
    /// <param name="lanes">The partial sums. [8]</param>
    public static float DotScalar(ReadOnlySpan<float> a, ReadOnlySpan<float> b, int done, Span<float> lanes)
    {
        for (int i = done; i < a.Length; i++)
        {
            lanes[i % Count] = MathF.FusedMultiplyAdd(a[i], b[i], lanes[i % Count]);
        }

        return Sum(lanes);
    }

    /// <summary>y += a · x.</summary>
    public static void AddScaled(float a, ReadOnlySpan<float> x, Span<float> y)
    {
        if (x.Length != y.Length)
        {
            throw new ArgumentException($"{x.Length} values meet {y.Length}.", nameof(y));
        }

        int done = 0;
        if (Vector256.IsHardwareAccelerated)
        {
            ref float source = ref MemoryMarshal.GetReference(x);
            ref float target = ref MemoryMarshal.GetReference(y);
            Vector256<float> factor = Vector256.Create(a);
            for (; done <= x.Length - Count; done += Count)
            {
                Vector256.FusedMultiplyAdd(factor, Vector256.LoadUnsafe(ref source, (nuint)done), Vector256.LoadUnsafe(ref target, (nuint)done)).StoreUnsafe(ref target, (nuint)done);
            }
        }

        for (; done < x.Length; done++)
        {
            y[done] = MathF.FusedMultiplyAdd(a, x[done], y[done]);
        }
    }
}
