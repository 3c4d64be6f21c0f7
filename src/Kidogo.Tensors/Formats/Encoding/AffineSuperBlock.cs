// What Q2_K, Q4_K and Q5_K do alike: 256 weights in groups with a scale and a minimum each, which are themselves rounded to a few bits. Knows no layout.
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>How an affine K-quant searches.</summary>
/// <param name="GroupSize">16 or 32.</param>
/// <param name="Top">The largest code of a weight.</param>
/// <param name="ScaleTop">The largest code of a group's scale or minimum.</param>
/// <param name="Plain">What is tried without importance.</param>
/// <param name="MeanPart">With importance, errors count importance · √(MeanPart · mean square of the block + x²).</param>
internal readonly record struct AffineShape(int GroupSize, int Top, int ScaleTop, AffineSteps Plain, float MeanPart)
{
    /// <summary>Groups in a block.</summary>
    public int Groups => AffineSuperBlock.Size / GroupSize;
}

/// <summary>Encodes 256 weights up to the packing of bits.</summary>
internal static class AffineSuperBlock
{
    /// <summary>Weights in a block.</summary>
    public const int Size = 256;

    private const int MaxGroups = 16;

    /// <summary>Searches scales and minima of the groups, rounds these, and rounds the weights to what came out.</summary>
    /// <param name="x">[256]</param>
    /// <param name="importance">[256] or empty.</param>
    /// <param name="shape">The format.</param>
    /// <param name="groupScales">[groups] Codes 0 … ScaleTop.</param>
    /// <param name="groupMinima">[groups] Codes 0 … ScaleTop.</param>
    /// <param name="codes">[256]</param>
    /// <returns>The scales of the group scales and of the group minima.</returns>
    public static (Half Scale, Half MinimumScale) Encode(
        ReadOnlySpan<float> x, ReadOnlySpan<float> importance, in AffineShape shape, Span<byte> groupScales, Span<byte> groupMinima, Span<byte> codes)
    {
        int size = shape.GroupSize;
        int groups = shape.Groups;
        bool plain = importance.IsEmpty;
        Span<Vector256<float>> lanes = stackalloc Vector256<float>[Size / GroupLanes.Count];
        Span<Vector256<float>> weights = stackalloc Vector256<float>[size];
        Span<Vector256<int>> found = stackalloc Vector256<int>[Size / GroupLanes.Count];
        Span<float> scales = stackalloc float[MaxGroups];
        Span<float> depths = stackalloc float[MaxGroups];
        Span<float> totals = stackalloc float[MaxGroups];
        AffineSteps steps = plain ? shape.Plain : new AffineSteps(shape.Top, -0.9f, 0.05f, 36, Absolute: false);
        Vector256<float> mean = plain ? default : Vector256.Create(shape.MeanPart * GroupLanes.SumOfSquares(x) / Size);
        for (int group = 0; group < groups; group += GroupLanes.Count)
        {
            int start = group * size;
            Span<Vector256<float>> own = lanes.Slice(start / GroupLanes.Count, size);
            GroupLanes.Load(x.Slice(start, size * GroupLanes.Count), own);
            if (plain)
            {
                WeighPlainly(own, weights, shape.Plain.Absolute);
            }
            else
            {
                GroupLanes.Load(importance.Slice(start, size * GroupLanes.Count), weights);
                GroupLanes.Weigh(own, weights, mean);
            }

            Vector256<float> total = default;
            foreach (Vector256<float> weight in weights)
            {
                total += weight;
            }

            AffineScale.Search(own, weights, steps, found.Slice(start / GroupLanes.Count, size), out Vector256<float> depth).CopyTo(scales[group..]);
            depth.CopyTo(depths[group..]);
            total.CopyTo(totals[group..]);
        }

        Half scale;
        Half minimumScale;
        if (plain)
        {
            scale = RoundToLargest(scales[..groups], shape.ScaleTop, groupScales);
            minimumScale = RoundToLargest(depths[..groups], shape.ScaleTop, groupMinima);
        }
        else
        {
            scale = (Half)PositiveScale.Search(scales[..groups], totals[..groups], shape.ScaleTop, groupScales);
            minimumScale = (Half)PositiveScale.Search(depths[..groups], totals[..groups], shape.ScaleTop, groupMinima);
        }

        for (int group = 0; group < groups; group += GroupLanes.Count)
        {
            int start = group * size / GroupLanes.Count;
            RoundToGrid(
                lanes.Slice(start, size),
                Vector256.Create((float)scale) * Codes(groupScales[group..]),
                Vector256.Create((float)minimumScale) * Codes(groupMinima[group..]),
                shape.Top,
                found.Slice(start, size));
            GroupLanes.Store(found.Slice(start, size), codes.Slice(group * size, size * GroupLanes.Count));
        }

        return (scale, minimumScale);
    }

    /// <summary>Without importance errors count |x|, or √(mean square of the group) + |x|.</summary>
    private static void WeighPlainly(ReadOnlySpan<Vector256<float>> x, Span<Vector256<float>> weights, bool withoutMean)
    {
        Vector256<float> mean = default;
        if (!withoutMean)
        {
            foreach (Vector256<float> value in x)
            {
                mean += value * value;
            }

            mean = Vector256.Sqrt(mean / Vector256.Create((float)x.Length));
        }

        for (int i = 0; i < x.Length; i++)
        {
            weights[i] = mean + Vector256.Abs(x[i]);
        }
    }

    /// <summary>The largest becomes code <paramref name="top"/>, and the others round to that grid.</summary>
    private static Half RoundToLargest(ReadOnlySpan<float> values, int top, Span<byte> codes)
    {
        float largest = 0;
        foreach (float value in values)
        {
            largest = value > largest ? value : largest;
        }

        float inverse = largest > 0 ? top / largest : 0;
        for (int i = 0; i < values.Length; i++)
        {
            codes[i] = (byte)Math.Min(top, (int)(byte)GroupLanes.Round(inverse * values[i]));
        }

        return (Half)(largest / top);
    }

    /// <summary>The nearest codes once scales and minima are rounded; a group whose scale became 0 keeps the codes of the search, which then mean nothing.</summary>
    private static void RoundToGrid(ReadOnlySpan<Vector256<float>> x, Vector256<float> scales, Vector256<float> depths, int top, Span<Vector256<int>> codes)
    {
        Vector256<int> zero = Vector256.Equals(scales, default).AsInt32();
        for (int i = 0; i < x.Length; i++)
        {
            codes[i] = Vector256.ConditionalSelect(zero, codes[i], GroupLanes.Round((x[i] + depths) / scales, 0, top));
        }
    }

    /// <summary>Eight codes as floats.</summary>
    private static Vector256<float> Codes(ReadOnlySpan<byte> codes) =>
        Vector256.ConvertToSingle(Vector256.WidenLower(Vector128.WidenLower(Vector128.CreateScalar(MemoryMarshal.Read<ulong>(codes)).AsByte()).ToVector256()).AsInt32());
}
