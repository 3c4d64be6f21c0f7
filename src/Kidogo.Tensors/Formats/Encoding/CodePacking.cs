// Codes, a byte each, to the bit layouts that formats share. Knows no scales.
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>Packs codes into nibbles, pairs of bits and single bits.</summary>
internal static class CodePacking
{
    /// <summary>Low four bits: code j to the low nibble of byte j, code j + n to the high one.</summary>
    /// <param name="codes">[2n], n a multiple of 16.</param>
    /// <param name="packed">[n]</param>
    public static void PackNibbles(ReadOnlySpan<byte> codes, Span<byte> packed)
    {
        int half = codes.Length / 2;
        ref byte source = ref MemoryMarshal.GetReference(codes);
        ref byte target = ref MemoryMarshal.GetReference(packed[..half]);
        Vector128<byte> mask = Vector128.Create((byte)15);
        for (int j = 0; j < half; j += Vector128<byte>.Count)
        {
            Vector128<byte> low = Vector128.LoadUnsafe(ref source, (nuint)j) & mask;
            Vector128<byte> high = Vector128.LoadUnsafe(ref source, (nuint)(j + half)) & mask;
            (low | (high << 4)).StoreUnsafe(ref target, (nuint)j);
        }
    }

    /// <summary>Two bits: for each 128 codes, code 32l + j to bits 2l and 2l + 1 of byte j.</summary>
    /// <param name="codes">[128n]; only the bits <paramref name="shift"/> and above it are taken.</param>
    /// <param name="shift">The lower of the two bits.</param>
    /// <param name="packed">[32n]</param>
    public static void PackPairs(ReadOnlySpan<byte> codes, int shift, Span<byte> packed)
    {
        ref byte source = ref MemoryMarshal.GetReference(codes);
        ref byte target = ref MemoryMarshal.GetReference(packed[..(codes.Length / 4)]);
        Vector128<byte> mask = Vector128.Create((byte)3);
        for (int start = 0; start < codes.Length; start += 128)
        {
            for (int j = 0; j < 32; j += Vector128<byte>.Count)
            {
                Vector128<byte> pairs = default;
                for (int l = 0; l < 4; l++)
                {
                    Vector128<byte> own = (Vector128.LoadUnsafe(ref source, (nuint)(start + (32 * l) + j)) >>> shift) & mask;
                    pairs |= own << (2 * l);
                }

                pairs.StoreUnsafe(ref target, (nuint)((start / 4) + j));
            }
        }
    }

    /// <summary>One bit: bit i of byte j is bit <paramref name="shift"/> of code 32i + j.</summary>
    /// <param name="codes">[256]</param>
    /// <param name="shift">Which bit of a code.</param>
    /// <param name="packed">[32]</param>
    public static void PackBits(ReadOnlySpan<byte> codes, int shift, Span<byte> packed)
    {
        ref byte source = ref MemoryMarshal.GetReference(codes[..256]);
        ref byte target = ref MemoryMarshal.GetReference(packed[..32]);
        for (int j = 0; j < 32; j += Vector128<byte>.Count)
        {
            Vector128<byte> bits = default;
            for (int i = 0; i < 8; i++)
            {
                Vector128<byte> own = (Vector128.LoadUnsafe(ref source, (nuint)((32 * i) + j)) >>> shift) & Vector128<byte>.One;
                bits |= own << i;
            }

            bits.StoreUnsafe(ref target, (nuint)j);
        }
    }

    /// <summary>Bit j is bit 4 of code j.</summary>
    /// <param name="codes">[32]</param>
    public static uint FifthBits(ReadOnlySpan<byte> codes)
    {
        // Bit 4 goes to the top of its byte, where one instruction collects the bits of all lanes.
        uint low = (Vector128.Create(codes[..16]) << 3).ExtractMostSignificantBits();
        uint high = (Vector128.Create(codes[16..32]) << 3).ExtractMostSignificantBits();
        return low | (high << 16);
    }
}
