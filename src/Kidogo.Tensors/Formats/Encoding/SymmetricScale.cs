// The search for the scale of a grid around zero: Q4_0, Q5_0, Q3_K and Q6_K. Knows no blocks.
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>Finds scale and codes in -L … L - 1 so that Σ w (x - scale · code)² is small.</summary>
/// <remarks>
/// The weight of the largest magnitude, m, shall become code -L (the grid has one more step on the negative side): that gives the first reciprocal scale, -L
/// / m.
/// For given codes the best scale is Σ w x code / Σ w code², and lowers the error by (Σ w x code)² / Σ w code². Eighteen more reciprocals, -(L ± 0.1 … 0.9)
/// / m,
/// are tried in that order, and one that is strictly better is taken. Comparisons are multiplied out, so that nothing is divided in vain. This is the search
/// of llama.cpp's quantiser, operation for operation.
/// </remarks>
internal static class SymmetricScale
{
    private const float NoWeight = 1e-15f; // groups whose largest magnitude is below become zeros
    private const int Steps = 9;
    private const float Step = 0.1f;

    /// <summary>Searches eight groups.</summary>
    /// <param name="x">[G] <see cref="GroupLanes"/></param>
    /// <param name="w">[G] How much errors count.</param>
    /// <param name="limit">L</param>
    /// <param name="codes">[G] Code + L; 0 in a group of zeros.</param>
    /// <returns>The scales, of either sign; 0 for a group of zeros.</returns>
    public static Vector256<float> Search(ReadOnlySpan<Vector256<float>> x, ReadOnlySpan<Vector256<float>> w, int limit, Span<Vector256<int>> codes)
    {
        (Vector256<float> magnitude, Vector256<float> signed) = GroupLanes.Largest(x);
        Vector256<float> empty = Vector256.LessThan(magnitude, Vector256.Create(NoWeight));
        Vector256<float> inverse = Vector256.Create((float)-limit) / signed;
        (Vector256<float> products, Vector256<float> squares) = Measure(x, w, limit, inverse);
        Vector256<float> scale = Vector256.ConditionalSelect(Vector256.Equals(squares, default), default, products / squares);
        Vector256<float> best = scale * products;
        for (int step = -Steps; step <= Steps; step++)
        {
            if (step == 0)
            {
                continue;
            }

            Vector256<float> tried = Vector256.Create(-(limit + (Step * step))) / signed;
            (products, squares) = Measure(x, w, limit, tried);
            Vector256<float> better = Vector256.GreaterThan(squares, default) & Vector256.GreaterThan(products * products, best * squares);
            scale = Vector256.ConditionalSelect(better, products / squares, scale);
            best = Vector256.ConditionalSelect(better, scale * products, best);
            inverse = Vector256.ConditionalSelect(better, tried, inverse);
        }

        for (int i = 0; i < x.Length; i++)
        {
            Vector256<int> code = GroupLanes.Round(inverse * x[i], -limit, limit - 1) + Vector256.Create(limit);
            codes[i] = Vector256.AndNot(code, empty.AsInt32());
        }

        return Vector256.AndNot(scale, empty);
    }

    /// <summary>Σ w x code and Σ w code².</summary>
    private static (Vector256<float> Products, Vector256<float> Squares) Measure(
        ReadOnlySpan<Vector256<float>> x, ReadOnlySpan<Vector256<float>> w, int limit, Vector256<float> inverse)
    {
        Vector256<float> products = default;
        Vector256<float> squares = default;
        for (int i = 0; i < x.Length; i++)
        {
            Vector256<float> code = Vector256.ConvertToSingle(GroupLanes.Round(inverse * x[i], -limit, limit - 1));
            products += w[i] * x[i] * code;
            squares += w[i] * code * code;
        }

        return (products, squares);
    }

    /// <summary>The scalar twin of <see cref="Search"/>, for one group. It also searches the scale of Q3_K's group scales, of which a block has only one
    /// group.</summary>
    public static float SearchScalar(ReadOnlySpan<float> x, ReadOnlySpan<float> w, int limit, Span<byte> codes)
    {
        float signed = FirstOfLargestMagnitude(x);
        if (Math.Abs(signed) < NoWeight)
        {
            codes.Clear();
            return 0;
        }

        float inverse = -limit / signed;
        (float products, float squares) = MeasureScalar(x, w, limit, inverse);
        float scale = squares == 0 ? 0 : products / squares;
        float best = scale * products;
        for (int step = -Steps; step <= Steps; step++)
        {
            if (step == 0)
            {
                continue;
            }

            float tried = -(limit + (Step * step)) / signed;
            (products, squares) = MeasureScalar(x, w, limit, tried);
            if (squares > 0 && products * products > best * squares)
            {
                scale = products / squares;
                best = scale * products;
                inverse = tried;
            }
        }

        for (int i = 0; i < x.Length; i++)
        {
            codes[i] = (byte)(Math.Clamp(GroupLanes.Round(inverse * x[i]), -limit, limit - 1) + limit);
        }

        return scale;
    }

    /// <summary>The first value of the largest magnitude, or 0.</summary>
    public static float FirstOfLargestMagnitude(ReadOnlySpan<float> x)
    {
        float signed = 0;
        foreach (float value in x)
        {
            signed = Math.Abs(value) > Math.Abs(signed) ? value : signed;
        }

        return signed;
    }

    private static (float Products, float Squares) MeasureScalar(ReadOnlySpan<float> x, ReadOnlySpan<float> w, int limit, float inverse)
    {
        float products = 0;
        float squares = 0;
        for (int i = 0; i < x.Length; i++)
        {
            float code = Math.Clamp(GroupLanes.Round(inverse * x[i]), -limit, limit - 1);
            products += w[i] * x[i] * code;
            squares += w[i] * code * code;
        }

        return (products, squares);
    }
}
