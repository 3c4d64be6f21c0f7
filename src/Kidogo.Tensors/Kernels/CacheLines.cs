// Asks memory for what will be read or written soon. Changes no value.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Kidogo.Tensors.Kernels;

/// <summary>Prefetches. They are hints: no address is wrong, and where the instruction is missing nothing is done.</summary>
internal static class CacheLines
{
    private const int Line = 16; // float32 values

    /// <summary>Asks for the lines of neighbouring values, which need not exist.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe void Ask(ref float first, int length)
    {
        for (int i = 0; i < length && Sse.IsSupported; i += Line)
        {
            Sse.Prefetch0((float*)Unsafe.AsPointer(ref first) + i);
        }
    }

    /// <summary>Asks for a part of some rows.</summary>
    /// <param name="first">The first value of the first row.</param>
    /// <param name="rows">How many rows.</param>
    /// <param name="stride">Distance between rows.</param>
    /// <param name="columns">Values of each.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Ask(ref float first, int rows, int stride, int columns)
    {
        for (int row = 0; row < rows && Sse.IsSupported; row++)
        {
            Ask(ref Unsafe.Add(ref first, (nint)row * stride), columns);
        }
    }
}
