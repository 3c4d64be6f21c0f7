// Asks memory for what will be read or written soon. Changes no value.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Kidogo.Tensors.Kernels;

/// <summary>Prefetches. They are hints: no address is wrong, and where the instruction is missing nothing is done.</summary>
internal static class CacheLines
{
    /// <summary>How many bytes before they are needed weights are asked for: about what memory sends a core while one answer is on its way. See docs/lab-log.md.</summary>
    public const int Ahead = 3072;

    /// <summary>Up to so many tokens a panel is read faster than it is multiplied; with more it comes from a cache for all tiles but the first.</summary>
    public const int FewTokens = 8;

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

    /// <summary>Asks for what lies <see cref="Ahead"/> bytes after a part of a panel that is read once from memory, from its beginning to its end and on into the next.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe void AskAhead(ref byte part, int bytes)
    {
        const int LineBytes = Line * sizeof(float);
        for (int i = 0; i < bytes && Sse.IsSupported; i += LineBytes)
        {
            Sse.Prefetch0((byte*)Unsafe.AsPointer(ref part) + Ahead + i);
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
