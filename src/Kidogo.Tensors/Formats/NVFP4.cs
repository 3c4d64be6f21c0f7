// NVFP4: 64 4-bit floats, 16 to a scale of 8 bits. GGUF type 40.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>64 weights of 4 bits in four groups of 16: w = E2M1 value · scale of the group.</summary>
/// <remarks>A tensor of this format usually has a float32 scale of its own beside it, in another tensor; a block knows nothing of it.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct NVFP4 : IWeightBlock<NVFP4>
{
    /// <summary>The scale of each group as E4M3 without a sign.</summary>
    public Bytes4 Scales;

    /// <summary>8 bytes a group: code j in the low nibble of byte j, code j + 8 in the high one.</summary>
    public Bytes32 Codes;

    /// <inheritdoc/>
    public static string Name => "NVFP4";

    /// <inheritdoc/>
    public static uint GgufTypeId => 40;

    /// <inheritdoc/>
    public static int BlockSize => 64;

    /// <inheritdoc/>
    public static int BlockBytes => 36;

    /// <inheritdoc/>
    public static void Decode(in NVFP4 block, Span<float> destination)
    {
        const ulong LowNibbles = 0x0F0F_0F0F_0F0F_0F0F;
        Vector128<sbyte> values = Vector128.Create(FourBitFloat.Doubled);
        ReadOnlySpan<byte> scales = block.Scales;
        ReadOnlySpan<ulong> codes = MemoryMarshal.Cast<byte, ulong>(block.Codes);
        for (int group = 0; group < 4; group++)
        {
            // The low nibbles of a group's 8 bytes are its first codes, the high ones its last.
            Vector128<sbyte> indices = Vector128.Create(codes[group] & LowNibbles, (codes[group] >> 4) & LowNibbles).AsSByte();
            CodeWriter.Write(Vector128.Shuffle(values, indices), HalfScale(scales[group]), destination.Slice(16 * group, 16));
        }
    }

    /// <summary>Half of an E4M3 number, as the values are doubled. The sign is ignored, and 0x7F, the standard's NaN, is 0, as llama.cpp has it.</summary>
    private static float HalfScale(byte code)
    {
        if (code == 0x7F)
        {
            return 0;
        }

        int exponent = (code >> 3) & 15;
        int mantissa = code & 7;
        return exponent == 0
            ? mantissa / 1024f
            : BitConverter.Int32BitsToSingle(((exponent - 8 + 127) << 23) | (mantissa << 20));
    }

    /// <inheritdoc/>
    public static int CodeCount => 16;

    /// <inheritdoc/>
    public static void WriteCode(ref NVFP4 block, int element, int code) =>
        CodePlaces.Write(ref block.Codes[(element / 16 * 8) + (element % 8)], element / 8 % 2 * 4, 4, code);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    /// <remarks>A group's scale is a sixth of its largest magnitude, rounded half up; codes are the nearest values, of two equally near the smaller
    /// magnitude. No scale for the whole tensor is made.</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<NVFP4> blocks)
    {
        Span<byte> codes = stackalloc byte[16];
        for (int i = 0; i < blocks.Length; i++)
        {
            for (int group = 0; group < 4; group++)
            {
                ReadOnlySpan<float> x = row.Slice((64 * i) + (16 * group), 16);
                byte scale = ToScale(BlockRange.LargestMagnitude(x) / 6);
                FourBitFloat.Round(x, HalfScale(scale), codes);
                blocks[i].Scales[group] = scale;
                for (int j = 0; j < 8; j++)
                {
                    blocks[i].Codes[(8 * group) + j] = (byte)(codes[j] | (codes[j + 8] << 4));
                }
            }
        }
    }

    /// <summary>E4M3 without a sign of a number that is 0 or more: halves round up, and all that is 256 or rounds to it becomes 448, as with
    /// llama.cpp.</summary>
    private static byte ToScale(float value)
    {
        const int LargestCode = 0x7E;
        const int CodeOf256 = 0x78;
        const float SmallestNormal = 1 / 64f;
        if (value < SmallestNormal)
        {
            // Denormal: 512ths. Seven is the most, although a little more would be the smallest normal number.
            return (byte)Math.Min(7, (int)((value * 512) + 0.5f));
        }

        // The upper bits of the float: exponent and three bits of the fraction, with the exponent's offset moved from 127 to 7.
        uint bits = BitConverter.SingleToUInt32Bits(value);
        int code = (int)(bits >> 20) - ((127 - 7) << 3) + (int)((bits >> 19) & 1);
        return (byte)(code >= CodeOf256 ? LargestCode : code);
    }
}
