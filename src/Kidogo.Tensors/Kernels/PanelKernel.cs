// Products of panels of 16 rows of block-quantised weights with 8-bit activations. Knows no formats beyond their layouts, no files, no threads and no models.
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Kidogo.Tensors.Kernels;

/// <summary>Multiplies a panel of 16 rows, kept as <typeparamref name="TCodes"/> and <typeparamref name="TScales"/> say, with a tile of tokens.</summary>
/// <remarks>
/// For each block of 32 columns and each token: s = Σ (code - center) · x over the block's columns, an exact integer; then acc = fma(s, scale · scale_x, acc), and with a
/// minimum acc = fma(minimum, scale_x · Σx, acc). Where each half of a block has its own scale, s = Σ multiplier(half) · Σ (code - center) · x, and with a minimum
/// m = -Σ minimumMultiplier(half) · Σx and acc = fma(m, minimum · scale_x, acc). With two scales the halves are added one after the other. Rows are lanes, so the order of sums is the same for every tile and every instruction tier:
/// all give the same bits.
/// </remarks>
internal static partial class PanelKernel<TCodes, TScales>
    where TCodes : struct, ICodeLayout
    where TScales : struct, IScaleLayout
{
    private const int PanelRows = PanelShape.Rows;
    private const int BlockColumns = PanelShape.BlockColumns;
    private const int Slots = ActivationTiles.Slots;

    /// <summary>Bytes of the numbers before a superblock's blocks.</summary>
    public static int HeaderBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TScales.Numbers * TScales.NumberBytes * PanelRows;
    }

    /// <summary>Bytes of the scales of a block that precede its codes.</summary>
    public static int PartsBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TScales.Parts * ScaleParts.PartBytes;
    }

    /// <summary>Bytes of a block without its header.</summary>
    public static int BlockBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => PartsBytes + TCodes.Bytes;
    }

    /// <summary>Bytes of a header and its blocks.</summary>
    public static int SuperBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => HeaderBytes + (TScales.SuperBlocks * BlockBytes);
    }

    /// <summary>Columns of a superblock.</summary>
    public static int SuperColumns
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TScales.SuperBlocks * BlockColumns;
    }

    /// <summary>Whether many tokens had better meet the panel after <see cref="Expand"/>.</summary>
    public static bool Expands => TCodes.Chain == 0 && TCodes.Bytes < EightBits.Bytes && AvxVnni.IsSupported;

    /// <summary>Computes 16 outputs for each token of a tile.</summary>
    /// <param name="panel">[superblocks · SuperBytes]</param>
    /// <param name="tile">The tile's activations, see <see cref="ActivationTiles"/>.</param>
    /// <param name="tokens">12, 8, 4, 2 or 1.</param>
    /// <param name="y">Token t's outputs go to [t · stride, + 16).</param>
    /// <param name="stride">Distance between tokens in <paramref name="y"/>.</param>
    public static void Multiply(ReadOnlySpan<byte> panel, ReadOnlySpan<float> tile, int tokens, Span<float> y, int stride)
    {
        int supers = panel.Length / SuperBytes;
        if (tokens is not (12 or 8 or 4 or 2 or 1)
            || tile.Length < supers * TScales.SuperBlocks * Slots * tokens || y.Length < ((tokens - 1) * stride) + PanelRows)
        {
            Refuse(supers, tokens, tile.Length, y.Length);
        }

        ref byte w = ref MemoryMarshal.GetReference(panel);
        ref int x = ref Unsafe.As<float, int>(ref MemoryMarshal.GetReference(tile));
        ref float outputs = ref MemoryMarshal.GetReference(y);
        CacheLines.Ask(ref outputs, tokens, stride, PanelRows); // stores that miss the caches wait one for another
        if (TCodes.Chain == 0 && AvxVnni.IsSupported)
        {
            MultiplyVnni(ref w, ref x, tokens, supers, ref outputs, stride);
        }
        else if (Vector512.IsHardwareAccelerated && Avx512BW.IsSupported)
        {
            Multiply512(ref w, ref x, tokens, supers, ref outputs, stride);
        }
        else if (Avx2.IsSupported && Fma.IsSupported)
        {
            for (int row = 0; row < PanelRows; row += 8)
            {
                Multiply256(ref w, row, ref x, tokens, supers, ref Unsafe.Add(ref outputs, row), stride);
            }
        }
        else
        {
            MultiplyScalar(panel, tile, tokens, y, stride);
        }
    }

    [DoesNotReturn]
    private static void Refuse(int supers, int tokens, int activations, int outputs) => // apart: building the message would cost every call its stack frame
        throw new ArgumentException($"{supers} superblocks and {tokens} tokens do not fit {activations} activations and {outputs} outputs.");

    /// <summary>The definition, one multiplication at a time.</summary>
    public static void MultiplyScalar(ReadOnlySpan<byte> panel, ReadOnlySpan<float> tile, int tokens, Span<float> y, int stride)
    {
        int blocks = panel.Length / SuperBytes * TScales.SuperBlocks;
        for (int t = 0; t < tokens; t++)
        {
            for (int r = 0; r < PanelRows; r++)
            {
                float sum = 0;
                for (int b = 0; b < blocks; b++)
                {
                    (int header, int parts, int codes) = Offsets(b);
                    ref byte halves = ref MemoryMarshal.GetReference(panel[(header + (TScales.NumberBytes * r))..]);
                    ref byte bytes = ref MemoryMarshal.GetReference(panel[(parts + r)..]);
                    ref byte lane = ref MemoryMarshal.GetReference(panel[(codes + (4 * r))..]);
                    ReadOnlySpan<float> slots = tile.Slice(((b * tokens) + t) * Slots, Slots);
                    int products = 0, sums = 0;
                    for (int half = 0; half < 2; half++)
                    {
                        int halfProducts = 0, halfSum = 0;
                        for (int j = 0; j < 4; j++)
                        {
                            uint word = half == 0 ? TCodes.First(ref lane, j) : TCodes.Second(ref lane, j);
                            int four = BitConverter.SingleToInt32Bits(slots[(4 * half) + j]);
                            for (int shift = 0; shift < 32; shift += 8)
                            {
                                int activation = (sbyte)(four >> shift);
                                halfProducts += ((int)((word >> shift) & 255) - TCodes.Center) * activation;
                                halfSum += activation;
                            }
                        }

                        if (TScales.HasTwoScales)
                        {
                            sum = MathF.FusedMultiplyAdd(halfProducts, (half == 0 ? TScales.Scale(ref halves, ref bytes) : TScales.SecondScale(ref halves, ref bytes)) * slots[10], sum);
                            continue;
                        }

                        products += halfProducts * TScales.Multiplier(ref bytes, half);
                        sums -= halfSum * TScales.MinimumMultiplier(ref bytes, half);
                    }

                    if (TScales.HasTwoScales)
                    {
                        continue;
                    }

                    sum = MathF.FusedMultiplyAdd(products, TScales.Scale(ref halves, ref bytes) * slots[10], sum);
                    if (TScales.HasMinimum)
                    {
                        float minimum = TScales.Minimum(ref halves, ref bytes);
                        sum = TScales.PerHalf ? MathF.FusedMultiplyAdd(sums, minimum * slots[10], sum) : MathF.FusedMultiplyAdd(minimum, slots[11], sum);
                    }
                }

                y[(t * stride) + r] = sum;
            }
        }
    }

    /// <summary>Where block <paramref name="block"/> of a panel has its header, its parts and its codes.</summary>
    public static (int Header, int Parts, int Codes) Offsets(int block)
    {
        int header = block / TScales.SuperBlocks * SuperBytes;
        int parts = header + HeaderBytes + (block % TScales.SuperBlocks * BlockBytes);
        return (header, parts, parts + PartsBytes);
    }

    /// <summary>The weights of one row of a block, as the format's own decoding has them.</summary>
    /// <param name="panel">The panel.</param>
    /// <param name="block">Which block of 32 columns.</param>
    /// <param name="row">0 to 15.</param>
    /// <param name="destination">[32]</param>
    public static void Decode(ReadOnlySpan<byte> panel, int block, int row, Span<float> destination)
    {
        (int header, int parts, int codes) = Offsets(block);
        ref byte halves = ref MemoryMarshal.GetReference(panel[(header + (TScales.NumberBytes * row))..]);
        ref byte bytes = ref MemoryMarshal.GetReference(panel[(parts + row)..]);
        ref byte lane = ref MemoryMarshal.GetReference(panel[(codes + (4 * row))..]);
        for (int half = 0; half < 2; half++)
        {
            float scale = TScales.HasTwoScales && half == 1 ? TScales.SecondScale(ref halves, ref bytes) : TScales.Scale(ref halves, ref bytes), minimum = TScales.Minimum(ref halves, ref bytes);
            if (TScales.PerHalf)
            {
                scale *= TScales.Multiplier(ref bytes, half);
                minimum = -(minimum * TScales.MinimumMultiplier(ref bytes, half));
            }

            for (int j = 0; j < 4; j++)
            {
                uint word = half == 0 ? TCodes.First(ref lane, j) : TCodes.Second(ref lane, j);
                for (int i = 0; i < 4; i++)
                {
                    float product = ((int)((word >> (8 * i)) & 255) - TCodes.Center) * scale;
                    destination[(16 * half) + (4 * j) + i] = TScales.HasMinimum ? product + minimum : product;
                }
            }
        }
    }
}

/// <summary>What all panels share.</summary>
internal static class PanelShape
{
    /// <summary>Rows of a panel.</summary>
    public const int Rows = 16;

    /// <summary>Columns of a block.</summary>
    public const int BlockColumns = 32;
}

/// <summary>A number of tokens that a loop computes at once, as a constant for the compiler.</summary>
internal interface ITileSize
{
    static abstract int Tokens { get; }
}

internal readonly struct Tile12 : ITileSize
{
    public static int Tokens => 12;
}

internal readonly struct Tile8 : ITileSize
{
    public static int Tokens => 8;
}

internal readonly struct Tile4 : ITileSize
{
    public static int Tokens => 4;
}

internal readonly struct Tile2 : ITileSize
{
    public static int Tokens => 2;
}

internal readonly struct Tile1 : ITileSize
{
    public static int Tokens => 1;
}
