// The search for scale and minimum of a grid that starts at or below zero: Q4_1, Q5_1, Q2_K, Q4_K and Q5_K. Knows no blocks.
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>Which reciprocal scales an affine search tries: (Top + First + Delta · step) / range for step 0 … Steps.</summary>
/// <param name="Top">The largest code; the smallest is 0.</param>
/// <param name="First">What is added to Top at first.</param>
/// <param name="Delta">What each step adds.</param>
/// <param name="Steps">The last step.</param>
/// <param name="Absolute">Whether errors count by magnitude instead of squared.</param>
internal readonly record struct AffineSteps(int Top, float First, float Delta, int Steps, bool Absolute);

/// <summary>Finds scale, minimum and codes in 0 … Top so that Σ w |scale · code + minimum - x|² (or its first power) is small. The minimum is at most 0.</summary>
/// <remarks>
/// Starts with the grid from the smallest weight (or 0) to the largest. Then, for each step, a trial reciprocal gives codes; for given codes the best scale and minimum are the
/// weighted straight line through (code, x): with W = Σ w, S = Σ w code, S₂ = Σ w code², X = Σ w x, P = Σ w code x and D = W S₂ - S²,
/// scale = (W P - X S) / D and minimum = (S₂ X - S P) / D; or, where that minimum is above 0, 0 and P / S₂. A line that errs less is taken, and the
/// following trials start from its minimum. This is the search of llama.cpp's quantiser, operation for operation.
/// </remarks>
internal static class AffineScale
{
    /// <summary>Searches eight groups.</summary>
    /// <param name="x">[G] <see cref="GroupLanes"/></param>
    /// <param name="w">[G] How much errors count.</param>
    /// <param name="steps">What is tried.</param>
    /// <param name="codes">[G] 0 in a group of equal weights at or below zero.</param>
    /// <param name="depths">The minima, negated: 0 or more.</param>
    /// <returns>The scales.</returns>
    public static Vector256<float> Search(
        ReadOnlySpan<Vector256<float>> x, ReadOnlySpan<Vector256<float>> w, in AffineSteps steps, Span<Vector256<int>> codes, out Vector256<float> depths)
    {
        Vector256<float> low = x[0];
        Vector256<float> high = x[0];
        Vector256<float> sumW = w[0];
        Vector256<float> sumX = sumW * x[0];
        for (int i = 1; i < x.Length; i++)
        {
            low = Vector256.ConditionalSelect(Vector256.LessThan(x[i], low), x[i], low);
            high = Vector256.ConditionalSelect(Vector256.GreaterThan(x[i], high), x[i], high);
            sumW += w[i];
            sumX += w[i] * x[i];
        }

        low = Vector256.ConditionalSelect(Vector256.GreaterThan(low, default), default, low);
        Vector256<float> flat = Vector256.Equals(high, low);
        Vector256<float> flatDepth = -low;
        Vector256<float> inverse = Vector256.Create((float)steps.Top) / (high - low);
        Vector256<float> scale = Vector256<float>.One / inverse;
        Vector256<float> chosenInverse = inverse;
        Vector256<float> chosenLow = low;
        Span<Vector256<float>> trial = stackalloc Vector256<float>[x.Length];
        for (int i = 0; i < x.Length; i++)
        {
            trial[i] = Vector256.ConvertToSingle(GroupLanes.Round(inverse * (x[i] - low), 0, steps.Top));
        }

        Vector256<float> bestError = Error(x, w, trial, scale, low, steps.Absolute);
        for (int step = 0; step <= steps.Steps; step++)
        {
            inverse = Vector256.Create(steps.First + (steps.Delta * step) + steps.Top) / (high - low);
            Vector256<float> sumC = default;
            Vector256<float> sumCC = default;
            Vector256<float> sumXC = default;
            for (int i = 0; i < x.Length; i++)
            {
                Vector256<float> code = Vector256.ConvertToSingle(GroupLanes.Round(inverse * (x[i] - low), 0, steps.Top));
                trial[i] = code;
                Vector256<float> weighted = w[i] * code;
                sumC += weighted;
                sumCC += weighted * code;
                sumXC += weighted * x[i];
            }

            Vector256<float> determinant = (sumW * sumCC) - (sumC * sumC);
            Vector256<float> lineScale = ((sumW * sumXC) - (sumX * sumC)) / determinant;
            Vector256<float> lineLow = ((sumCC * sumX) - (sumC * sumXC)) / determinant;
            Vector256<float> above = Vector256.GreaterThan(lineLow, default);
            lineLow = Vector256.AndNot(lineLow, above);
            lineScale = Vector256.ConditionalSelect(above, sumXC / sumCC, lineScale);
            Vector256<float> error = Error(x, w, trial, lineScale, lineLow, steps.Absolute);
            Vector256<float> better = Vector256.GreaterThan(determinant, default) & Vector256.LessThan(error, bestError);
            chosenInverse = Vector256.ConditionalSelect(better, inverse, chosenInverse);
            chosenLow = Vector256.ConditionalSelect(better, low, chosenLow);
            bestError = Vector256.ConditionalSelect(better, error, bestError);
            scale = Vector256.ConditionalSelect(better, lineScale, scale);
            low = Vector256.ConditionalSelect(better, lineLow, low);
        }

        for (int i = 0; i < x.Length; i++)
        {
            codes[i] = Vector256.AndNot(GroupLanes.Round(chosenInverse * (x[i] - chosenLow), 0, steps.Top), flat.AsInt32());
        }

        depths = Vector256.ConditionalSelect(flat, flatDepth, -low);
        return Vector256.AndNot(scale, flat);
    }

    /// <summary>Σ w |scale · code + low - x|, or of the squares.</summary>
    private static Vector256<float> Error(
        ReadOnlySpan<Vector256<float>> x,
        ReadOnlySpan<Vector256<float>> w,
        ReadOnlySpan<Vector256<float>> trial,
        Vector256<float> scale,
        Vector256<float> low,
        bool absolute)
    {
        Vector256<float> sum = default;
        for (int i = 0; i < x.Length; i++)
        {
            Vector256<float> difference = (scale * trial[i]) + low - x[i];
            sum += w[i] * (absolute ? Vector256.Abs(difference) : difference * difference);
        }

        return sum;
    }

    /// <summary>The scalar twin of <see cref="Search"/>, for one group.</summary>
    public static float SearchScalar(ReadOnlySpan<float> x, ReadOnlySpan<float> w, in AffineSteps steps, Span<byte> codes, out float depth)
    {
        float low = x[0];
        float high = x[0];
        float sumW = w[0];
        float sumX = sumW * x[0];
        for (int i = 1; i < x.Length; i++)
        {
            low = x[i] < low ? x[i] : low;
            high = x[i] > high ? x[i] : high;
            sumW += w[i];
            sumX += w[i] * x[i];
        }

        low = low > 0 ? 0 : low;
        if (high == low)
        {
            codes.Clear();
            depth = -low;
            return 0;
        }

        float inverse = steps.Top / (high - low);
        float scale = 1 / inverse;
        Span<byte> trial = stackalloc byte[x.Length];
        RoundScalar(x, low, inverse, steps.Top, codes);
        float bestError = ErrorScalar(x, w, codes, scale, low, steps.Absolute);
        for (int step = 0; step <= steps.Steps; step++)
        {
            inverse = (steps.First + (steps.Delta * step) + steps.Top) / (high - low);
            RoundScalar(x, low, inverse, steps.Top, trial);
            float sumC = 0;
            float sumCC = 0;
            float sumXC = 0;
            for (int i = 0; i < x.Length; i++)
            {
                sumC += w[i] * trial[i];
                sumCC += w[i] * trial[i] * trial[i];
                sumXC += w[i] * trial[i] * x[i];
            }

            float determinant = (sumW * sumCC) - (sumC * sumC);
            if (!(determinant > 0))
            {
                continue;
            }

            float lineScale = ((sumW * sumXC) - (sumX * sumC)) / determinant;
            float lineLow = ((sumCC * sumX) - (sumC * sumXC)) / determinant;
            if (lineLow > 0)
            {
                lineLow = 0;
                lineScale = sumXC / sumCC;
            }

            float error = ErrorScalar(x, w, trial, lineScale, lineLow, steps.Absolute);
            if (error < bestError)
            {
                trial.CopyTo(codes);
                (bestError, scale, low) = (error, lineScale, lineLow);
            }
        }

        depth = -low;
        return scale;
    }

    private static void RoundScalar(ReadOnlySpan<float> x, float low, float inverse, int top, Span<byte> codes)
    {
        for (int i = 0; i < x.Length; i++)
        {
            codes[i] = (byte)Math.Clamp(GroupLanes.Round(inverse * (x[i] - low)), 0, top);
        }
    }

    private static float ErrorScalar(ReadOnlySpan<float> x, ReadOnlySpan<float> w, ReadOnlySpan<byte> codes, float scale, float low, bool absolute)
    {
        float sum = 0;
        for (int i = 0; i < x.Length; i++)
        {
            float difference = (scale * codes[i]) + low - x[i];
            sum += w[i] * (absolute ? Math.Abs(difference) : difference * difference);
        }

        return sum;
    }
}
