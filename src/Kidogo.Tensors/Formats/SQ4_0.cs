// SQ4_0: 64 weights of which 2 of each 4 are there, in 4 bits, with one scale. Kidogo's own: GGUF has no type for it.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats;

/// <summary>64 weights, 2:4 sparse: of each 4 neighbours two have a code and a place, w = (code - 8) · scale, the others are 0. 3.25 bits a weight, 26 bytes where Q4_0 takes 36.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct SQ4_0 : IWeightBlock<SQ4_0>
{
    private const int Fours = 16;

    /// <summary>The scale.</summary>
    public Half Scale;

    /// <summary>The codes of four i: the first in the low nibble of byte i, the second in the high one.</summary>
    public Bytes16 Codes;

    /// <summary>Their places in four i, 0 to 3: in bits 0 and 1, and 2 and 3, of nibble i. Of two codes at one place the second counts.</summary>
    public Bytes8 Places;

    /// <inheritdoc/>
    public static string Name => "SQ4_0";

    /// <inheritdoc/>
    /// <remarks>Far from the numbers that GGUF gives out one after the other; other programs refuse it.</remarks>
    public static uint GgufTypeId => 2404;

    /// <inheritdoc/>
    public static int BlockSize => 4 * Fours;

    /// <inheritdoc/>
    public static int BlockBytes => 26;

    /// <inheritdoc/>
    public static void Decode(in SQ4_0 block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        destination[..BlockSize].Fill(0 * scale); // as a dense block has it: the sign of the scale, and nothing of an infinite one
        for (int i = 0; i < Fours; i++)
        {
            int codes = block.Codes[i], places = block.Places[i / 2] >> (i % 2 * 4);
            destination[(4 * i) + (places & 3)] = ((codes & 15) - 8) * scale;
            destination[(4 * i) + ((places >> 2) & 3)] = ((codes >> 4) - 8) * scale;
        }
    }

    /// <summary>The codes of four <paramref name="index"/> a byte each, 8 where there is none.</summary>
    internal static uint Word(in SQ4_0 block, int index)
    {
        int codes = block.Codes[index], places = block.Places[index / 2] >> (index % 2 * 4);
        return With(With(0x0808_0808, places & 3, codes & 15), (places >> 2) & 3, codes >> 4);
    }

    private static uint With(uint word, int place, int code) => (word & ~(255u << (8 * place))) | ((uint)code << (8 * place));

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    /// <remarks>The two of the largest magnitude of each four stay, of equal ones the first; they are rounded as Q4_0 rounds, with a scale for 64.</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<SQ4_0> blocks)
    {
        for (int b = 0; b < blocks.Length; b++)
        {
            ReadOnlySpan<float> x = row.Slice(BlockSize * b, BlockSize);
            float scale = BlockRange.FirstOfLargestMagnitude(x) / -8, inverse = BlockRange.ReciprocalOrZero(scale);
            blocks[b] = default;
            blocks[b].Scale = (Half)scale;
            for (int i = 0; i < Fours; i++)
            {
                (int first, int second) = Largest(x.Slice(4 * i, 4));
                blocks[b].Codes[i] = (byte)(Round(x[(4 * i) + first] * inverse) | (Round(x[(4 * i) + second] * inverse) << 4));
                blocks[b].Places[i / 2] |= (byte)((first | (second << 2)) << (i % 2 * 4));
            }
        }
    }

    private static int Round(float quotient) => Math.Clamp((int)(quotient + 8.5f), 0, 15);

    /// <summary>The places of the two largest magnitudes, in rising order.</summary>
    private static (int First, int Second) Largest(ReadOnlySpan<float> four)
    {
        int best = 0;
        for (int i = 1; i < 4; i++)
        {
            best = MathF.Abs(four[i]) > MathF.Abs(four[best]) ? i : best;
        }

        int next = best == 0 ? 1 : 0;
        for (int i = next + 1; i < 4; i++)
        {
            next = i != best && MathF.Abs(four[i]) > MathF.Abs(four[next]) ? i : next;
        }

        return (Math.Min(best, next), Math.Max(best, next));
    }
}
