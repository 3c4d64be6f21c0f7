// The search for the scale of a grid of 16 uneven levels: IQ4_NL and IQ4_XS. Knows no blocks.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>Finds a scale so that Σ w (x - scale · level)² is small, where each x takes the nearest of <see cref="IQ4_NL.Levels"/>.</summary>
/// <remarks>
/// The weight of the largest magnitude, m, shall lie at the lowest level, -127: at first at that of the sign, then at (-127 ± 0 … 7). For given levels the
/// best scale is Σ w level x / Σ w level²,
/// and lowers the error by its square; a strictly better trial is taken, as in <see cref="SymmetricScale"/>. This is the search of llama.cpp's quantiser,
/// operation for operation.
/// </remarks>
internal static class LevelScale
{
    private const float NoWeight = 1e-15f; // groups whose largest magnitude is below have scale 0
    private const int Steps = 7;

    /// <summary>Twice the middle between each two neighbouring levels; a value there takes the upper one. All are whole, so 2x is compared with them without
    /// rounding.</summary>
    private static ReadOnlySpan<float> DoubledMiddles => [-231, -187, -148, -114, -84, -57, -32, -9, 14, 38, 63, 91, 122, 158, 202];

    /// <summary>Searches eight groups.</summary>
    /// <param name="x">[G] <see cref="GroupLanes"/></param>
    /// <param name="w">[G] How much errors count.</param>
    /// <returns>The scales, of either sign.</returns>
    public static Vector256<float> Search(ReadOnlySpan<Vector256<float>> x, ReadOnlySpan<Vector256<float>> w)
    {
        float lowest = IQ4_NL.Levels[0];
        (Vector256<float> magnitude, Vector256<float> signed) = GroupLanes.Largest(x);
        Vector256<float> empty = Vector256.LessThan(magnitude, Vector256.Create(NoWeight));
        (Vector256<float> products, Vector256<float> squares) = Measure(x, w, Vector256<float>.One / (-signed / Vector256.Create(lowest)));
        Vector256<float> scale = Vector256.ConditionalSelect(Vector256.GreaterThan(squares, default), products / squares, default);
        Vector256<float> best = scale * products;
        for (int step = -Steps; step <= Steps; step++)
        {
            (products, squares) = Measure(x, w, Vector256.Create(step + lowest) / signed);
            Vector256<float> better = Vector256.GreaterThan(squares, default) & Vector256.GreaterThan(products * products, best * squares);
            scale = Vector256.ConditionalSelect(better, products / squares, scale);
            best = Vector256.ConditionalSelect(better, scale * products, best);
        }

        return Vector256.AndNot(scale, empty);
    }

    /// <summary>The scalar twin of <see cref="Search"/>, for one group.</summary>
    public static float SearchScalar(ReadOnlySpan<float> x, ReadOnlySpan<float> w)
    {
        float lowest = IQ4_NL.Levels[0];
        float signed = SymmetricScale.FirstOfLargestMagnitude(x);
        if (Math.Abs(signed) < NoWeight)
        {
            return 0;
        }

        (float products, float squares) = MeasureScalar(x, w, 1 / (-signed / lowest));
        float scale = squares > 0 ? products / squares : 0;
        float best = scale * products;
        for (int step = -Steps; step <= Steps; step++)
        {
            (products, squares) = MeasureScalar(x, w, (step + lowest) / signed);
            if (squares > 0 && products * products > best * squares)
            {
                scale = products / squares;
                best = scale * products;
            }
        }

        return scale;
    }

    /// <summary>The code of the nearest level: how many middles are at or below the value.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Nearest(Vector256<float> value)
    {
        Vector256<float> doubled = value + value;
        Vector256<int> code = default;
        foreach (float middle in DoubledMiddles)
        {
            code -= Vector256.GreaterThanOrEqual(doubled, Vector256.Create(middle)).AsInt32();
        }

        return code;
    }

    /// <summary>The scalar twin of <see cref="Nearest"/>.</summary>
    public static int NearestScalar(float value)
    {
        int code = 0;
        foreach (float middle in DoubledMiddles)
        {
            code += value + value >= middle ? 1 : 0;
        }

        return code;
    }

    /// <summary>Σ w level x and Σ w level².</summary>
    private static (Vector256<float> Products, Vector256<float> Squares) Measure(
        ReadOnlySpan<Vector256<float>> x, ReadOnlySpan<Vector256<float>> w, Vector256<float> inverse)
    {
        Vector256<float> products = default;
        Vector256<float> squares = default;
        for (int i = 0; i < x.Length; i++)
        {
            Vector256<float> level = NearestLevel(inverse * x[i]);
            Vector256<float> weighted = w[i] * level;
            products += weighted * x[i];
            squares += weighted * level;
        }

        return (products, squares);
    }

    private static (float Products, float Squares) MeasureScalar(ReadOnlySpan<float> x, ReadOnlySpan<float> w, float inverse)
    {
        float products = 0;
        float squares = 0;
        for (int i = 0; i < x.Length; i++)
        {
            float level = IQ4_NL.Levels[NearestScalar(inverse * x[i])];
            products += w[i] * level * x[i];
            squares += w[i] * level * level;
        }

        return (products, squares);
    }

    /// <summary>The nearest level itself: the lowest and the steps to each next one whose middle is reached. All sums are whole and below 128, so
    /// exact.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> NearestLevel(Vector256<float> value)
    {
        Vector256<float> doubled = value + value;
        Vector256<float> level = Vector256.Create((float)IQ4_NL.Levels[0]);
        for (int i = 0; i < DoubledMiddles.Length; i++)
        {
            Vector256<float> reached = Vector256.GreaterThanOrEqual(doubled, Vector256.Create(DoubledMiddles[i]));
            level += reached & Vector256.Create((float)(IQ4_NL.Levels[i + 1] - IQ4_NL.Levels[i]));
        }

        return level;
    }
}
