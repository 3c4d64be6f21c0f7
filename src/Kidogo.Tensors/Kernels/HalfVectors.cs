// float16 and bfloat16 in vectors. .NET has no class for the processor's own conversions, so these do it with integer instructions.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Kernels;

/// <summary>Conversions between vectors of 16-bit floats and float32, exact towards float32 for every finite value.</summary>
/// <remarks>
/// A float16 has 5 exponent bits with bias 15, a float32 8 with bias 127. Moved left by 13, the bits of a float16 are a float32 whose exponent is 112 too small;
/// a multiplication by 2^112 mends it, for subnormal values too. Infinities and NaN come out as large finite numbers: <see cref="PackedScale"/> refuses them before.
/// </remarks>
internal static class HalfVectors
{
    private const float TwoTo112 = 5.192296858534828e33f;

    /// <summary>16 float16 to float32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Widen512(ref byte source)
    {
        Vector512<int> bits = Vector512.ShiftLeft(Vector512.WidenLower(Vector256.LoadUnsafe(ref Unsafe.As<byte, ushort>(ref source)).ToVector512Unsafe()).AsInt32(), 16);
        return (Vector512.ShiftRightArithmetic(bits, 3) & Vector512.Create(unchecked((int)0x8FFFE000))).AsSingle() * Vector512.Create(TwoTo112);
    }

    /// <summary>8 float16 to float32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Widen256(ref byte source)
    {
        Vector256<int> bits = Vector256.ShiftLeft(Vector256.WidenLower(Vector128.LoadUnsafe(ref Unsafe.As<byte, ushort>(ref source)).ToVector256Unsafe()).AsInt32(), 16);
        return (Vector256.ShiftRightArithmetic(bits, 3) & Vector256.Create(unchecked((int)0x8FFFE000))).AsSingle() * Vector256.Create(TwoTo112);
    }
}
