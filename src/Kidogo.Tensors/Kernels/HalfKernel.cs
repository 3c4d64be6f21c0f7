// Products of 16-bit floating-point weights, 32 rows side by side, with float32 activations. Knows no files, no threads and no models.
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Kernels;

/// <summary>How 16 bits become a float32, as constants for the compiler.</summary>
internal interface IHalfForm
{
    /// <summary>Whether small values may be multiplied by 1,024 when they are packed.</summary>
    static abstract bool MayLift { get; }

    /// <summary>What the moved bits are multiplied with.</summary>
    static abstract float Factor(bool lifted);

    /// <summary>The packed form of a stored value.</summary>
    static abstract ushort Pack(ushort stored, bool lifted);

    /// <summary>One packed value.</summary>
    static abstract float WidenScalar(ushort packed, float factor);

    /// <summary>16 packed values.</summary>
    static abstract Vector512<float> Widen(Vector512<uint> packed, Vector512<float> factor);

    /// <summary>8 packed values.</summary>
    static abstract Vector256<float> Widen(Vector256<uint> packed, Vector256<float> factor);
}

/// <summary>IEEE float16.</summary>
/// <remarks>
/// The bits moved left by 13 are a float32 whose exponent is 112 too small; the factor mends that. A subnormal float16 would be a subnormal operand of that product,
/// which costs some processors a hundred cycles, so matrices whose values are small are packed 1,024 times as large: every float16 is then a normal one, exactly.
/// </remarks>
internal readonly struct Float16Form : IHalfForm
{
    private const int BitsMask = unchecked((int)0x8FFFE000);

    public static bool MayLift => true;

    public static float Factor(bool lifted) => lifted ? 5.070602400912918e30f : 5.192296858534828e33f; // 2^102, 2^112

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ushort Pack(ushort stored, bool lifted)
    {
        const int Exponent = 0x7C00;
        const int TenInExponent = 10 << 10; // 1,024 = 2^10
        return !lifted ? stored : (stored & Exponent) != 0 ? (ushort)(stored + TenInExponent) : LiftSubnormal(stored);
    }

    private static ushort LiftSubnormal(ushort stored) => BitConverter.HalfToUInt16Bits((Half)((float)BitConverter.UInt16BitsToHalf(stored) * HalfKernel.Lift));

    public static float WidenScalar(ushort packed, float factor) => BitConverter.Int32BitsToSingle((packed << 16 >> 3) & BitsMask) * factor;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Widen(Vector512<uint> packed, Vector512<float> factor) =>
        (Vector512.ShiftRightArithmetic(Vector512.ShiftLeft(packed, 16).AsInt32(), 3) & Vector512.Create(BitsMask)).AsSingle() * factor;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Widen(Vector256<uint> packed, Vector256<float> factor) =>
        (Vector256.ShiftRightArithmetic(Vector256.ShiftLeft(packed, 16).AsInt32(), 3) & Vector256.Create(BitsMask)).AsSingle() * factor;
}

/// <summary>bfloat16: the upper half of a float32.</summary>
internal readonly struct BFloat16Form : IHalfForm
{
    public static bool MayLift => false;

    public static float Factor(bool lifted) => 1;

    public static ushort Pack(ushort stored, bool lifted) => stored;

    public static float WidenScalar(ushort packed, float factor) => BitConverter.Int32BitsToSingle(packed << 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Widen(Vector512<uint> packed, Vector512<float> factor) => Vector512.ShiftLeft(packed, 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Widen(Vector256<uint> packed, Vector256<float> factor) => Vector256.ShiftLeft(packed, 16).AsSingle();
}

/// <summary>Widens panels of 16-bit weights [C, 32], and multiplies them with one token as it goes.</summary>
internal static class HalfKernel
{
    /// <summary>What lifted values are multiplied with: 2^-24, the smallest float16, becomes 2^-14, the smallest normal one.</summary>
    public const float Lift = 1024f;

    /// <summary>The float16 bits of 63.96875: 1,024 times as much is 65,504, the largest finite float16.</summary>
    public const ushort LargestLiftable = 0x53FF;

    private const int PanelRows = FloatKernel.PanelRows;

    /// <summary>The largest magnitude as float16 bits without the sign, whose order is that of the magnitudes; infinities and NaN are above all.</summary>
    public static ushort LargestMagnitude(ReadOnlySpan<ushort> values)
    {
        const ushort Magnitude = 0x7FFF;
        Vector<ushort> largest = default;
        int i = 0;
        for (; i <= values.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            largest = Vector.Max(largest, new Vector<ushort>(values[i..]) & new Vector<ushort>(Magnitude));
        }

        ushort most = 0;
        for (int lane = 0; lane < Vector<ushort>.Count; lane++)
        {
            most = Math.Max(most, largest[lane]);
        }

        for (; i < values.Length; i++)
        {
            most = Math.Max(most, (ushort)(values[i] & Magnitude));
        }

        return most;
    }

    /// <summary>Widens a panel to float32.</summary>
    /// <param name="panel">[C, 32]</param>
    /// <param name="factor">See <see cref="IHalfForm"/>.</param>
    /// <param name="destination">[C, 32]</param>
    public static void Widen<TForm>(ReadOnlySpan<ushort> panel, float factor, Span<float> destination)
        where TForm : struct, IHalfForm
    {
        if (destination.Length != panel.Length || panel.Length % PanelRows != 0)
        {
            throw new ArgumentException($"{panel.Length} values do not widen to {destination.Length}.");
        }

        ref ushort source = ref MemoryMarshal.GetReference(panel);
        ref float target = ref MemoryMarshal.GetReference(destination);
        if (Vector512.IsHardwareAccelerated)
        {
            Vector512<float> factors = Vector512.Create(factor);
            for (nuint i = 0; i < (nuint)panel.Length; i += 32)
            {
                CacheLines.AskAhead(ref Unsafe.As<ushort, byte>(ref Unsafe.Add(ref source, i)), 32 * sizeof(ushort));
                (Vector512<uint> low, Vector512<uint> high) = Vector512.Widen(Vector512.LoadUnsafe(ref source, i)); // lanes 0-15 and 16-31
                TForm.Widen(low, factors).StoreUnsafe(ref target, i);
                TForm.Widen(high, factors).StoreUnsafe(ref target, i + 16);
            }
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            Vector256<float> factors = Vector256.Create(factor);
            for (nuint i = 0; i < (nuint)panel.Length; i += 16)
            {
                CacheLines.AskAhead(ref Unsafe.As<ushort, byte>(ref Unsafe.Add(ref source, i)), 16 * sizeof(ushort));
                (Vector256<uint> low, Vector256<uint> high) = Vector256.Widen(Vector256.LoadUnsafe(ref source, i));
                TForm.Widen(low, factors).StoreUnsafe(ref target, i);
                TForm.Widen(high, factors).StoreUnsafe(ref target, i + 8);
            }
        }
        else
        {
            for (int i = 0; i < panel.Length; i++)
            {
                destination[i] = TForm.WidenScalar(panel[i], factor);
            }
        }
    }

    /// <summary>Computes the 32 outputs of a panel for one token: acc = fma(x, w, acc) over the columns in their order, as <see cref="FloatKernel"/>.</summary>
    /// <param name="panel">[C, 32]</param>
    /// <param name="factor">See <see cref="IHalfForm"/>.</param>
    /// <param name="x">[C]</param>
    /// <param name="y">[32]</param>
    public static void MultiplySingle<TForm>(ReadOnlySpan<ushort> panel, float factor, ReadOnlySpan<float> x, Span<float> y)
        where TForm : struct, IHalfForm
    {
        int columns = panel.Length / PanelRows;
        if (x.Length < columns || y.Length < PanelRows)
        {
            throw new ArgumentException($"{columns} columns do not fit {x.Length} activations and {y.Length} outputs.");
        }

        if (Vector512.IsHardwareAccelerated)
        {
            Single512<TForm>(ref MemoryMarshal.GetReference(panel), factor, ref MemoryMarshal.GetReference(x), columns, ref MemoryMarshal.GetReference(y));
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            for (int row = 0; row < PanelRows; row += 16)
            {
                Single256<TForm>(ref MemoryMarshal.GetReference(panel[row..]), factor, ref MemoryMarshal.GetReference(x), columns, ref y[row]);
            }
        }
        else
        {
            MultiplySingleScalar<TForm>(panel, factor, x, y);
        }
    }

    /// <summary>The definition.</summary>
    public static void MultiplySingleScalar<TForm>(ReadOnlySpan<ushort> panel, float factor, ReadOnlySpan<float> x, Span<float> y)
        where TForm : struct, IHalfForm
    {
        for (int r = 0; r < PanelRows; r++)
        {
            float sum = 0;
            for (int c = 0; c < panel.Length / PanelRows; c++)
            {
                sum = MathF.FusedMultiplyAdd(x[c], TForm.WidenScalar(panel[(c * PanelRows) + r], factor), sum);
            }

            y[r] = sum;
        }
    }

    // Lanes are rows: 0-15 and 16-31.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Single512<TForm>(ref ushort w, float factor, ref float x, int columns, ref float y)
        where TForm : struct, IHalfForm
    {
        Vector512<float> factors = Vector512.Create(factor);
        Vector512<float> a = default, b = default;
        for (int c = 0; c < columns; c++)
        {
            CacheLines.AskAhead(ref Unsafe.As<ushort, byte>(ref w), PanelRows * sizeof(ushort));
            Vector512<float> value = Vector512.Create(Unsafe.Add(ref x, c));
            (Vector512<uint> low, Vector512<uint> high) = Vector512.Widen(Vector512.LoadUnsafe(ref w));
            a = Vector512.FusedMultiplyAdd(value, TForm.Widen(low, factors), a);
            b = Vector512.FusedMultiplyAdd(value, TForm.Widen(high, factors), b);
            w = ref Unsafe.Add(ref w, PanelRows);
        }

        a.StoreUnsafe(ref y);
        b.StoreUnsafe(ref y, 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Single256<TForm>(ref ushort w, float factor, ref float x, int columns, ref float y)
        where TForm : struct, IHalfForm
    {
        Vector256<float> factors = Vector256.Create(factor);
        Vector256<float> a = default, b = default;
        for (int c = 0; c < columns; c++)
        {
            CacheLines.AskAhead(ref Unsafe.As<ushort, byte>(ref w), sizeof(ushort)); // the other half of the rows comes with it
            Vector256<float> value = Vector256.Create(Unsafe.Add(ref x, c));
            (Vector256<uint> low, Vector256<uint> high) = Vector256.Widen(Vector256.LoadUnsafe(ref w));
            a = Vector256.FusedMultiplyAdd(value, TForm.Widen(low, factors), a);
            b = Vector256.FusedMultiplyAdd(value, TForm.Widen(high, factors), b);
            w = ref Unsafe.Add(ref w, PanelRows);
        }

        a.StoreUnsafe(ref y);
        b.StoreUnsafe(ref y, 8);
    }
}
