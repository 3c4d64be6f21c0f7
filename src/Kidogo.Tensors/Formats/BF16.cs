// BF16: plain bfloat16. GGUF type 30.
using System.Numerics;
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats;

/// <summary>One bfloat16: the upper half of a float32.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct BF16 : IWeightBlock<BF16>
{
    /// <summary>The upper 16 bits of the weight.</summary>
    public ushort Bits;

    /// <inheritdoc/>
    public static string Name => "BF16";

    /// <inheritdoc/>
    public static uint GgufTypeId => 30;

    /// <inheritdoc/>
    public static int BlockSize => 1;

    /// <inheritdoc/>
    public static int BlockBytes => 2;

    /// <inheritdoc/>
    public static void Decode(in BF16 block, Span<float> destination)
    {
        destination[0] = BitConverter.Int32BitsToSingle(block.Bits << 16);
    }

    /// <inheritdoc/>
    /// <remarks>Widens Vector&lt;ushort&gt;.Count weights at once to two vectors of uint and shifts; the tail goes one by one.
    /// Bits move unchanged, so lanes equal the scalar form.</remarks>
    public static void DecodeAll(ReadOnlySpan<BF16> blocks, Span<float> destination)
    {
        ReadOnlySpan<ushort> bits = MemoryMarshal.Cast<BF16, ushort>(blocks);
        Span<uint> wide = MemoryMarshal.Cast<float, uint>(destination);
        for (; bits.Length >= Vector<ushort>.Count; bits = bits[Vector<ushort>.Count..])
        {
            Vector.Widen(new Vector<ushort>(bits), out Vector<uint> low, out Vector<uint> high);
            Vector.ShiftLeft(low, 16).CopyTo(wide);
            Vector.ShiftLeft(high, 16).CopyTo(wide[Vector<uint>.Count..]);
            wide = wide[Vector<ushort>.Count..];
        }

        for (int i = 0; i < bits.Length; i++)
        {
            wide[i] = (uint)bits[i] << 16;
        }
    }
}
