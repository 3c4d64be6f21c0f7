// BF16: plain bfloat16. GGUF type 30.
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

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
    /// <remarks>Widens 16 weights at once to two vectors of uint and shifts; the tail goes one by one.
    /// Bits move unchanged, so lanes equal the scalar form.</remarks>
    public static void DecodeAll(ReadOnlySpan<BF16> blocks, Span<float> destination)
    {
        ReadOnlySpan<ushort> bits = MemoryMarshal.Cast<BF16, ushort>(blocks);
        Span<uint> wide = MemoryMarshal.Cast<float, uint>(destination)[..bits.Length];
        ref ushort source = ref MemoryMarshal.GetReference(bits);
        ref uint target = ref MemoryMarshal.GetReference(wide);
        int i = 0;
        for (; i <= bits.Length - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
        {
            (Vector256<uint> low, Vector256<uint> high) = Vector256.Widen(Vector256.LoadUnsafe(ref source, (nuint)i));
            (low << 16).StoreUnsafe(ref target, (nuint)i);
            (high << 16).StoreUnsafe(ref target, (nuint)(i + Vector256<uint>.Count));
        }

        for (; i < bits.Length; i++)
        {
            wide[i] = (uint)bits[i] << 16;
        }
    }

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    /// <remarks>Rounds to nearest, ties to even: adds a little less than half of the last bit that stays, and the rest where that bit is odd. Lanes: 8 weights each, the tail one by one;
    /// what is finite cannot wrap around.</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<BF16> blocks)
    {
        ReadOnlySpan<uint> wide = MemoryMarshal.Cast<float, uint>(row);
        Span<ushort> bits = MemoryMarshal.Cast<BF16, ushort>(blocks)[..wide.Length];
        ref uint source = ref MemoryMarshal.GetReference(wide);
        ref ushort target = ref MemoryMarshal.GetReference(bits);
        int i = 0;
        for (; i <= wide.Length - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
        {
            Vector256<uint> low = Rounded(Vector256.LoadUnsafe(ref source, (nuint)i));
            Vector256<uint> high = Rounded(Vector256.LoadUnsafe(ref source, (nuint)(i + Vector256<uint>.Count)));
            Vector256.Narrow(low, high).StoreUnsafe(ref target, (nuint)i);
        }

        for (; i < wide.Length; i++)
        {
            bits[i] = (ushort)((wide[i] + 0x7FFF + ((wide[i] >> 16) & 1)) >> 16);
        }
    }

    private static Vector256<uint> Rounded(Vector256<uint> bits) => (bits + Vector256.Create(0x7FFFu) + ((bits >>> 16) & Vector256<uint>.One)) >>> 16;
}
