// Brings rows of activations side by side. Knows no weights.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Kernels;

/// <summary>Turns rows [tokens, C] into a tile [C, tokens].</summary>
internal static class TileInterleaving
{
    /// <summary>Fills a tile.</summary>
    /// <param name="x">The activations.</param>
    /// <param name="firstRow">The tile's first row.</param>
    /// <param name="tokens">1, or a multiple of 4.</param>
    /// <param name="tile">[C, tokens]</param>
    public static void Fill(Tensor x, int firstRow, int tokens, Span<float> tile)
    {
        if (tokens == 1)
        {
            x.Row(firstRow).CopyTo(tile);
            return;
        }

        for (int t = 0; t < tokens; t += 4)
        {
            Fill(x.Row(firstRow + t), x.Row(firstRow + t + 1), x.Row(firstRow + t + 2), x.Row(firstRow + t + 3), tile[t..], tokens);
        }
    }

    /// <summary>Writes four rows side by side: column c goes to [c · tokens, + 4).</summary>
    // Lanes: 4 columns of a row; four rows are turned as a 4 x 4 matrix by two rounds of unpacking, in pairs of lanes and in pairs of pairs.
    internal static void Fill(ReadOnlySpan<float> row0, ReadOnlySpan<float> row1, ReadOnlySpan<float> row2, ReadOnlySpan<float> row3, Span<float> tile, int tokens)
    {
        int columns = row0.Length;
        int c = 0;
        if (Vector128.IsHardwareAccelerated)
        {
            ref float target = ref MemoryMarshal.GetReference(tile);
            for (; c <= columns - 4; c += 4)
            {
                Vector128<float> a = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(row0), (nuint)c);
                Vector128<float> b = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(row1), (nuint)c);
                Vector128<float> d = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(row2), (nuint)c);
                Vector128<float> e = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(row3), (nuint)c);
                (Vector128<double> abLow, Vector128<double> abHigh) = Unpack(a, b);
                (Vector128<double> deLow, Vector128<double> deHigh) = Unpack(d, e);
                Vector128.Create(abLow[0], deLow[0]).AsSingle().StoreUnsafe(ref Unsafe.Add(ref target, c * tokens));
                Vector128.Create(abLow[1], deLow[1]).AsSingle().StoreUnsafe(ref Unsafe.Add(ref target, (c + 1) * tokens));
                Vector128.Create(abHigh[0], deHigh[0]).AsSingle().StoreUnsafe(ref Unsafe.Add(ref target, (c + 2) * tokens));
                Vector128.Create(abHigh[1], deHigh[1]).AsSingle().StoreUnsafe(ref Unsafe.Add(ref target, (c + 3) * tokens));
            }
        }

        for (; c < columns; c++)
        {
            Span<float> four = tile.Slice(c * tokens, 4);
            (four[0], four[1], four[2], four[3]) = (row0[c], row1[c], row2[c], row3[c]);
        }
    }

    /// <summary>a0 b0 | a1 b1 and a2 b2 | a3 b3: each pair of floats is kept as one double, whose bits are only moved.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector128<double> Low, Vector128<double> High) Unpack(Vector128<float> a, Vector128<float> b)
    {
        if (System.Runtime.Intrinsics.X86.Sse.IsSupported)
        {
            return (System.Runtime.Intrinsics.X86.Sse.UnpackLow(a, b).AsDouble(), System.Runtime.Intrinsics.X86.Sse.UnpackHigh(a, b).AsDouble());
        }

        return (Vector128.Create(a[0], b[0], a[1], b[1]).AsDouble(), Vector128.Create(a[2], b[2], a[3], b[3]).AsDouble());
    }
}
