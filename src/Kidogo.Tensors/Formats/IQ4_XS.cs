// IQ4_XS: 256 weights of 4 bits on an uneven scale, 32 to a scale of 6 bits. GGUF type 23.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>256 weights of 4 bits in 8 groups of 32: w = ((group scale - 32) · scale) · level of the code, with the levels of <see cref="IQ4_NL"/>.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct IQ4_XS : IWeightBlock<IQ4_XS>
{
    /// <summary>The scale of the group scales.</summary>
    public Half Scale;

    /// <summary>The high two bits of group scale g in bits 2g and 2g + 1.</summary>
    public ushort GroupScalesHigh;

    /// <summary>The low four bits of group scale g in nibble g % 2 of byte g / 2.</summary>
    public Bytes4 GroupScalesLow;

    /// <summary>16 bytes a group: code j in the low nibble of byte j, code j + 16 in the high one.</summary>
    public Bytes128 Codes;

    /// <inheritdoc/>
    public static string Name => "IQ4_XS";

    /// <inheritdoc/>
    public static uint GgufTypeId => 23;

    /// <inheritdoc/>
    public static int BlockSize => 256;

    /// <inheritdoc/>
    public static int BlockBytes => 136;

    /// <inheritdoc/>
    public static void Decode(in IQ4_XS block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        Vector128<sbyte> levels = Vector128.Create(IQ4_NL.Levels);
        ReadOnlySpan<byte> groupScales = block.GroupScalesLow;
        ReadOnlySpan<byte> codes = block.Codes;
        for (int group = 0; group < 8; group++)
        {
            int scaleLow = (groupScales[group / 2] >> (group % 2 * 4)) & 15;
            int scaleHigh = (block.GroupScalesHigh >> (group * 2)) & 3;
            float groupScale = scale * ((scaleLow | (scaleHigh << 4)) - 32);
            Vector128<byte> packed = Vector128.Create(codes.Slice(16 * group, 16));
            Span<float> weights = destination.Slice(32 * group, 32);
            CodeWriter.Write(Vector128.Shuffle(levels, CodeWriter.Bits(packed, 0, 15).AsSByte()), groupScale, weights);
            CodeWriter.Write(Vector128.Shuffle(levels, CodeWriter.Bits(packed, 4, 15).AsSByte()), groupScale, weights[16..]);
        }
    }

    /// <inheritdoc/>
    public static int CodeCount => 16;

    /// <inheritdoc/>
    public static void WriteCode(ref IQ4_XS block, int element, int code) =>
        CodePlaces.Write(ref block.Codes[(element / 32 * 16) + (element % 16)], element / 16 % 2 * 4, 4, code);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    public static ImportanceUse Importance => ImportanceUse.Optional;

    /// <inheritdoc/>
    /// <remarks><see cref="LevelScale"/> for the groups, where errors count x², or importance · √(2 · mean square of the block + x²). The group scale of the
    /// largest magnitude
    /// becomes -32, and weights round to the scales before the block's own is rounded to float16.</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<IQ4_XS> blocks)
    {
        Span<Vector256<float>> x = stackalloc Vector256<float>[32];
        Span<Vector256<float>> w = stackalloc Vector256<float>[32];
        Span<Vector256<int>> lanes = stackalloc Vector256<int>[32];
        Span<float> scales = stackalloc float[8];
        Span<byte> codes = stackalloc byte[256];
        for (int i = 0; i < blocks.Length; i++)
        {
            ReadOnlySpan<float> own = row.Slice(256 * i, 256);
            GroupLanes.Load(own, x);
            if (importance.IsEmpty)
            {
                GroupLanes.Square(x, w);
            }
            else
            {
                GroupLanes.Load(importance.Slice(256 * i, 256), w);
                GroupLanes.Weigh(x, w, Vector256.Create(GroupLanes.SumOfSquares(own) * (2f / 256)));
            }

            LevelScale.Search(x, w).CopyTo(scales);
            float scale = -SymmetricScale.FirstOfLargestMagnitude(scales) / 32;
            float inverse = scale == 0 ? 0 : 1 / scale;
            ref IQ4_XS block = ref blocks[i];
            block = default;
            block.Scale = (Half)scale;
            for (int group = 0; group < 8; group++)
            {
                int code = Math.Clamp(GroupLanes.Round(inverse * scales[group]), -32, 31);
                float rounded = scale * code;
                scales[group] = rounded == 0 ? 0 : 1 / rounded;
                block.GroupScalesLow[group / 2] |= (byte)(((code + 32) & 15) << (group % 2 * 4));
                block.GroupScalesHigh |= (ushort)(((code + 32) >> 4) << (group * 2));
            }

            Vector256<float> inverses = Vector256.Create<float>(scales);
            for (int j = 0; j < lanes.Length; j++)
            {
                lanes[j] = LevelScale.Nearest(inverses * x[j]);
            }

            GroupLanes.Store(lanes, codes);
            for (int group = 0; group < 8; group++)
            {
                CodePacking.PackNibbles(codes.Slice(32 * group, 32), block.Codes[(16 * group)..]);
            }
        }
    }
}
