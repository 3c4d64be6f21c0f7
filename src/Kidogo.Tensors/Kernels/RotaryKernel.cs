// Turns the pairs of one head. Knows no positions and no models.
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Kidogo.Tensors.Ops;

namespace Kidogo.Tensors.Kernels;

/// <summary>(a, b) becomes (a cos - b sin, a sin + b cos).</summary>
internal static class RotaryKernel
{
    /// <summary>Turns the first pairs of a head in place.</summary>
    /// <param name="head">[E]</param>
    /// <param name="turn">Cosines, then sines. [2 · pairs], pairs ≤ E / 2</param>
    /// <param name="layout">Which values make a pair.</param>
    public static void Rotate(Span<float> head, ReadOnlySpan<float> turn, RotaryLayout layout)
    {
        if (head.Length < turn.Length)
        {
            throw new ArgumentException($"A head of {head.Length} values has no {turn.Length / 2} pairs.");
        }

        int pairs = turn.Length / 2;
        if (layout == RotaryLayout.HalfSplit && pairs % Vector256<float>.Count == 0 && Vector256.IsHardwareAccelerated)
        {
            RotateHalfSplitVector256(head, turn, pairs);
        }
        else if (layout == RotaryLayout.Interleaved && pairs % Vector128<float>.Count == 0 && Vector256.IsHardwareAccelerated)
        {
            RotateInterleavedVector256(head, turn, pairs);
        }
        else
        {
            RotateScalar(head, turn, layout);
        }
    }

    /// <summary>The definition.</summary>
    public static void RotateScalar(Span<float> head, ReadOnlySpan<float> turn, RotaryLayout layout)
    {
        int pairs = turn.Length / 2;
        for (int i = 0; i < pairs; i++)
        {
            int first = layout == RotaryLayout.HalfSplit ? i : 2 * i;
            int second = layout == RotaryLayout.HalfSplit ? i + pairs : first + 1;
            float a = head[first], b = head[second], cos = turn[i], sin = turn[pairs + i];
            head[first] = MathF.FusedMultiplyAdd(a, cos, -(b * sin));
            head[second] = MathF.FusedMultiplyAdd(b, cos, a * sin);
        }
    }

    // Lanes: 8 neighbouring pairs; their first values lie side by side, and so do their second ones.
    private static void RotateHalfSplitVector256(Span<float> head, ReadOnlySpan<float> turn, int pairs)
    {
        ref float x = ref MemoryMarshal.GetReference(head);
        ref float t = ref MemoryMarshal.GetReference(turn);
        nuint n = (nuint)pairs;
        for (nuint i = 0; i < n; i += 8)
        {
            Vector256<float> a = Vector256.LoadUnsafe(ref x, i), b = Vector256.LoadUnsafe(ref x, i + n);
            Vector256<float> cos = Vector256.LoadUnsafe(ref t, i), sin = Vector256.LoadUnsafe(ref t, i + n);
            Vector256.FusedMultiplyAdd(a, cos, -(b * sin)).StoreUnsafe(ref x, i);
            Vector256.FusedMultiplyAdd(b, cos, a * sin).StoreUnsafe(ref x, i + n);
        }
    }

    // Lanes: 4 neighbouring pairs a, b, a, b, …; cosines and sines are spread to both lanes of their pair, the sine of an even lane with its sign turned.
    private static void RotateInterleavedVector256(Span<float> head, ReadOnlySpan<float> turn, int pairs)
    {
        ref float x = ref MemoryMarshal.GetReference(head);
        ref float t = ref MemoryMarshal.GetReference(turn);
        Vector256<int> spread = Vector256.Create(0, 0, 1, 1, 2, 2, 3, 3);
        Vector256<float> signs = Vector256.Create(-0f, 0f, -0f, 0f, -0f, 0f, -0f, 0f);
        for (nuint i = 0; i < (nuint)pairs; i += 4)
        {
            Vector256<float> cos = Vector256.Shuffle(Vector128.LoadUnsafe(ref t, i).ToVector256Unsafe(), spread);
            Vector256<float> sin = Vector256.Shuffle(Vector128.LoadUnsafe(ref t, i + (nuint)pairs).ToVector256Unsafe(), spread) ^ signs;
            Vector256<float> ab = Vector256.LoadUnsafe(ref x, 2 * i);
            Vector256<float> ba = Vector256.Shuffle(ab, Vector256.Create(1, 0, 3, 2, 5, 4, 7, 6));
            Vector256.FusedMultiplyAdd(ab, cos, ba * sin).StoreUnsafe(ref x, 2 * i);
        }
    }
}
