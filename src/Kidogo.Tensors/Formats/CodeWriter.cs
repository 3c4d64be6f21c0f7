// The last step of decoding: 16 small whole numbers become 16 weights. Knows no format.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>Writes 16 codes as weights.</summary>
/// <remarks>Lane j of the codes is weight j. A code is widened from 8 to 16 to 32 bits with its sign and converted to float32,
/// which is exact; then come the same multiplication and addition as in the scalar twin, each with its own rounding, so both give the same bits.
/// There is no tail: codes come in sixteens.</remarks>
internal static class CodeWriter
{
    /// <summary>w[j] = codes[j] · scale.</summary>
    /// <param name="codes">[16]</param>
    /// <param name="scale">Any float32.</param>
    /// <param name="destination">[16] or longer: the rest is not touched.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(Vector128<sbyte> codes, float scale, Span<float> destination)
    {
        ref float first = ref MemoryMarshal.GetReference(destination[..16]);
        Vector128<float> scales = Vector128.Create(scale);
        (Vector128<short> low, Vector128<short> high) = Vector128.Widen(codes);
        (Vector128<int> a, Vector128<int> b) = Vector128.Widen(low);
        (Vector128<int> c, Vector128<int> d) = Vector128.Widen(high);
        (Vector128.ConvertToSingle(a) * scales).StoreUnsafe(ref first);
        (Vector128.ConvertToSingle(b) * scales).StoreUnsafe(ref first, 4);
        (Vector128.ConvertToSingle(c) * scales).StoreUnsafe(ref first, 8);
        (Vector128.ConvertToSingle(d) * scales).StoreUnsafe(ref first, 12);
    }

    /// <summary>w[j] = codes[j] · scale + offset.</summary>
    /// <param name="codes">[16]</param>
    /// <param name="scale">Any float32.</param>
    /// <param name="offset">Any float32.</param>
    /// <param name="destination">[16] or longer: the rest is not touched.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(Vector128<sbyte> codes, float scale, float offset, Span<float> destination)
    {
        ref float first = ref MemoryMarshal.GetReference(destination[..16]);
        Vector128<float> scales = Vector128.Create(scale);
        Vector128<float> offsets = Vector128.Create(offset);
        (Vector128<short> low, Vector128<short> high) = Vector128.Widen(codes);
        (Vector128<int> a, Vector128<int> b) = Vector128.Widen(low);
        (Vector128<int> c, Vector128<int> d) = Vector128.Widen(high);
        ((Vector128.ConvertToSingle(a) * scales) + offsets).StoreUnsafe(ref first);
        ((Vector128.ConvertToSingle(b) * scales) + offsets).StoreUnsafe(ref first, 4);
        ((Vector128.ConvertToSingle(c) * scales) + offsets).StoreUnsafe(ref first, 8);
        ((Vector128.ConvertToSingle(d) * scales) + offsets).StoreUnsafe(ref first, 12);
    }

    /// <summary>The scalar twin of both.</summary>
    public static void WriteScalar(ReadOnlySpan<sbyte> codes, float scale, float? offset, Span<float> destination)
    {
        for (int j = 0; j < codes.Length; j++)
        {
            float product = codes[j] * scale;
            destination[j] = offset is float added ? product + added : product;
        }
    }

    /// <summary>The bits <paramref name="shift"/> and up of each byte that <paramref name="mask"/> keeps.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Bits(Vector128<byte> bytes, int shift, byte mask) => (bytes >>> shift) & Vector128.Create(mask);

    /// <summary>Byte j is <paramref name="value"/> where bit j of the lowest 16 of <paramref name="bits"/> is set, else 0.</summary>
    /// <remarks>The low byte of the bits goes to lanes 0 to 7 and the high one to 8 to 15; each lane keeps its own bit and compares.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> SpreadBits(uint bits, byte value)
    {
        const ulong EveryByte = 0x0101_0101_0101_0101;
        Vector128<byte> copies = Vector128.Create((bits & 255) * EveryByte, ((bits >> 8) & 255) * EveryByte).AsByte();
        Vector128<byte> lanes = Vector128.Create(0x8040_2010_0804_0201).AsByte();
        return Vector128.Equals(copies & lanes, lanes) & Vector128.Create(value);
    }
}
