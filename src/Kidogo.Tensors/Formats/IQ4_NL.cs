// IQ4_NL: 32 weights of 4 bits on an uneven scale. GGUF type 20.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>32 weights of 4 bits: w = scale · level of the code.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct IQ4_NL : IWeightBlock<IQ4_NL>
{
    /// <summary>The scale.</summary>
    public Half Scale;

    /// <summary>Code j in the low nibble of byte j, code j + 16 in the high one.</summary>
    public Bytes16 Codes;

    /// <inheritdoc/>
    public static string Name => "IQ4_NL";

    /// <inheritdoc/>
    public static uint GgufTypeId => 20;

    /// <inheritdoc/>
    public static int BlockSize => 32;

    /// <inheritdoc/>
    public static int BlockBytes => 18;

    /// <inheritdoc/>
    public static void Decode(in IQ4_NL block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        Vector128<sbyte> levels = Vector128.Create(Levels);
        Vector128<byte> codes = Vector128.Create<byte>(block.Codes);
        CodeWriter.Write(Vector128.Shuffle(levels, CodeWriter.Bits(codes, 0, 15).AsSByte()), scale, destination);
        CodeWriter.Write(Vector128.Shuffle(levels, CodeWriter.Bits(codes, 4, 15).AsSByte()), scale, destination[16..]);
    }

    /// <summary>What each code stands for: denser near zero, where most weights are. IQ4_XS has the same.</summary>
    internal static ReadOnlySpan<sbyte> Levels => [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

    /// <inheritdoc/>
    public static int CodeCount => 16;

    /// <inheritdoc/>
    public static void WriteCode(ref IQ4_NL block, int element, int code) => CodePlaces.Write(ref block.Codes[element % 16], element / 16 * 4, 4, code);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    public static ImportanceUse Importance => ImportanceUse.Optional;

    /// <inheritdoc/>
    /// <remarks><see cref="LevelScale"/>, on eight blocks at a time. Errors count x², or importance · √(2 · mean square of the block + x²).</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<IQ4_NL> blocks)
    {
        const int Batch = 32 * GroupLanes.Count;
        Span<Vector256<float>> x = stackalloc Vector256<float>[32];
        Span<Vector256<float>> w = stackalloc Vector256<float>[32];
        Span<Vector256<int>> lanes = stackalloc Vector256<int>[32];
        Span<byte> codes = stackalloc byte[Batch];
        for (int start = 0; start < row.Length; start += Batch)
        {
            int length = Math.Min(Batch, row.Length - start);
            GroupLanes.Load(row.Slice(start, length), x);
            if (importance.IsEmpty)
            {
                GroupLanes.Square(x, w);
            }
            else
            {
                Vector256<float> mean = default;
                foreach (Vector256<float> value in x)
                {
                    mean += value * value;
                }

                GroupLanes.Load(importance.Slice(start, length), w);
                GroupLanes.Weigh(x, w, mean * Vector256.Create(2f / 32));
            }

            Vector256<float> scales = LevelScale.Search(x, w);
            Vector256<float> inverses = Vector256.AndNot(Vector256<float>.One / scales, Vector256.Equals(scales, default));
            for (int i = 0; i < lanes.Length; i++)
            {
                lanes[i] = LevelScale.Nearest(inverses * x[i]);
            }

            GroupLanes.Store(lanes, codes[..length]);
            for (int group = 0; group < length / 32; group++)
            {
                ref IQ4_NL block = ref blocks[(start / 32) + group];
                block.Scale = (Half)scales[group];
                CodePacking.PackNibbles(codes.Slice(32 * group, 32), block.Codes);
            }
        }
    }
}
