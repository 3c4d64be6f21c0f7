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
            head[second] = MathF.FusedMultiplyAdd(a, sin, b * cos);
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
            Vector256.FusedMultiplyAdd(a, sin, b * cos).StoreUnsafe(ref x, i + n);
        }
    }
}
