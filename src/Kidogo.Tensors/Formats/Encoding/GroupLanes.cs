// Eight groups of weights side by side, one in each lane of a vector. Knows no format and no search.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>The layout of every search for scales: vector i holds weight i of eight groups.</summary>
/// <remarks>
/// <code>
///             lane 0         lane 1         …  lane 7
/// vector 0    group 0 [0]    group 1 [0]    …  group 7 [0]
/// vector 1    group 0 [1]    group 1 [1]    …  group 7 [1]
/// </code>
/// A search adds over the weights of a group, and which float32 comes out depends on the order. Here each lane adds its own group from the first weight to the
/// last, as a scalar loop does, so eight groups are searched at once and every bit is that of the scalar twin, on every processor.
/// </remarks>
internal static class GroupLanes
{
    /// <summary>Groups side by side.</summary>
    public const int Count = 8;

    /// <summary>Takes groups apart into lanes.</summary>
    /// <param name="weights">[groups · G], at most 8 groups.</param>
    /// <param name="lanes">[G]; lanes without a group become zeros.</param>
    public static void Load(ReadOnlySpan<float> weights, Span<Vector256<float>> lanes)
    {
        int size = lanes.Length;
        int groups = weights.Length / size;
        if (groups < Count)
        {
            lanes.Clear();
        }

        Span<float> flat = MemoryMarshal.Cast<Vector256<float>, float>(lanes);
        for (int group = 0; group < groups; group++)
        {
            ReadOnlySpan<float> own = weights.Slice(group * size, size);
            for (int i = 0; i < own.Length; i++)
            {
                flat[(i * Count) + group] = own[i];
            }
        }
    }

    /// <summary>The largest magnitude of each group, and the weight that has it with its sign; the first of equals, 0 in a group of zeros.</summary>
    /// <param name="x">[G]</param>
    public static (Vector256<float> Magnitude, Vector256<float> Signed) Largest(ReadOnlySpan<Vector256<float>> x)
    {
        Vector256<float> magnitude = default;
        Vector256<float> signed = default;
        foreach (Vector256<float> weight in x)
        {
            Vector256<float> own = Vector256.Abs(weight);
            Vector256<float> larger = Vector256.GreaterThan(own, magnitude);
            magnitude = Vector256.ConditionalSelect(larger, own, magnitude);
            signed = Vector256.ConditionalSelect(larger, weight, signed);
        }

        return (magnitude, signed);
    }

    /// <summary>Puts codes back in the order of the weights.</summary>
    /// <param name="lanes">[G], codes that fit a byte.</param>
    /// <param name="codes">[groups · G]</param>
    public static void Store(ReadOnlySpan<Vector256<int>> lanes, Span<byte> codes)
    {
        int size = lanes.Length;
        ReadOnlySpan<int> flat = MemoryMarshal.Cast<Vector256<int>, int>(lanes);
        for (int group = 0; group < codes.Length / size; group++)
        {
            Span<byte> own = codes.Slice(group * size, size);
            for (int i = 0; i < own.Length; i++)
            {
                own[i] = (byte)flat[(i * Count) + group];
            }
        }
    }

    /// <summary>Rounds to the nearest integer, half to even, by the float32 addition of 1.5 · 2^23, of whose sum the low bits are the integer.</summary>
    /// <remarks>Defined for every bit pattern: what is infinite or no number becomes some integer of at most 23 bits, the same everywhere, as with the
    /// original's code.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Round(Vector256<float> value) =>
        ((value + Vector256.Create(RoundingNumber)).AsInt32() & Vector256.Create(0x007F_FFFF)) - Vector256.Create(0x0040_0000);

    /// <summary>The scalar twin of <see cref="Round(Vector256{float})"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Round(float value) => (BitConverter.SingleToInt32Bits(value + RoundingNumber) & 0x007F_FFFF) - 0x0040_0000;

    /// <summary>Rounds as <see cref="Round(Vector256{float})"/> does and keeps what lies from <paramref name="lowest"/> to
    /// <paramref name="highest"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Round(Vector256<float> value, int lowest, int highest) =>
        Vector256.Max(Vector256.Create(lowest), Vector256.Min(Vector256.Create(highest), Round(value)));

    /// <summary>w[i] = x[i]²: large weights count more.</summary>
    public static void Square(ReadOnlySpan<Vector256<float>> x, Span<Vector256<float>> w)
    {
        for (int i = 0; i < x.Length; i++)
        {
            w[i] = x[i] * x[i];
        }
    }

    /// <summary>w[i] = importance[i] · √(mean + x[i]²): what one column's error counts, more for large weights.</summary>
    public static void Weigh(ReadOnlySpan<Vector256<float>> x, Span<Vector256<float>> importance, Vector256<float> mean)
    {
        for (int i = 0; i < x.Length; i++)
        {
            importance[i] *= Vector256.Sqrt(mean + (x[i] * x[i]));
        }
    }

    /// <summary>Σ x², from the first to the last.</summary>
    public static float SumOfSquares(ReadOnlySpan<float> x)
    {
        float sum = 0;
        foreach (float value in x)
        {
            sum += value * value;
        }

        return sum;
    }

    private const float RoundingNumber = 12582912f;
}
