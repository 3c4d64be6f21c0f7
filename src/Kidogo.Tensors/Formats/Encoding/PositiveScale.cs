// The search for the scale of a few positive numbers: the group scales and minima of K-quants, and the magnitudes of IQ2_XXS. Knows no blocks.
namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>Finds scale and codes in 0 … Top so that Σ w (x - scale · code)² is small.</summary>
/// <remarks>Nine reciprocals around Top / max x are tried, (Top ± 0.1 … 0.4) / max x; the codes of the best then change one at a time, for at most five rounds, as in
/// <see cref="SymmetricDescent"/>. It runs once a block on 8 to 32 numbers, so it is scalar. This is the search of llama.cpp's quantiser, operation for operation.</remarks>
internal static class PositiveScale
{
    private const float NoWeight = 1e-15f;
    private const int Steps = 4;
    private const float Step = 0.1f;
    private const int Rounds = 5;

    /// <summary>Searches one group.</summary>
    /// <param name="x">[n], 0 or more.</param>
    /// <param name="w">[n] How much errors count.</param>
    /// <param name="top">The largest code, at most 127.</param>
    /// <param name="codes">[n]</param>
    /// <returns>The scale; 0 where no x is above 1e-15.</returns>
    public static float Search(ReadOnlySpan<float> x, ReadOnlySpan<float> w, int top, Span<byte> codes)
    {
        float largest = 0;
        foreach (float value in x)
        {
            largest = largest > value ? largest : value;
        }

        if (largest < NoWeight)
        {
            codes.Clear();
            return 0;
        }

        // The first trial's codes are not limited: they cannot exceed Top by rounding.
        float inverse = top / largest;
        float bestError = Error(x, w, inverse, int.MaxValue);
        for (int step = -Steps; step <= Steps; step++)
        {
            if (step == 0)
            {
                continue;
            }

            float tried = ((Step * step) + top) / largest;
            float error = Error(x, w, tried, top);
            if (error < bestError)
            {
                bestError = error;
                inverse = tried;
            }
        }

        float products = 0;
        float squares = 0;
        for (int i = 0; i < x.Length; i++)
        {
            int code = Math.Min(top, GroupLanes.Round(inverse * x[i]));
            codes[i] = (byte)code;
            products += w[i] * x[i] * code;
            squares += w[i] * code * code;
        }

        bool changed = true;
        for (int round = 0; round < Rounds && changed; round++)
        {
            changed = false;
            for (int i = 0; i < x.Length; i++)
            {
                float newProducts = products - (w[i] * x[i] * codes[i]);
                float newSquares = squares - (w[i] * codes[i] * codes[i]);
                if (!(newProducts > 0 && newSquares > 0))
                {
                    continue;
                }

                int code = Math.Min(top, GroupLanes.Round(x[i] * newSquares / newProducts));
                if (code == codes[i])
                {
                    continue;
                }

                newProducts += w[i] * x[i] * code;
                newSquares += w[i] * code * code;
                if (newProducts * newProducts * squares > products * products * newSquares)
                {
                    codes[i] = (byte)code;
                    (products, squares, changed) = (newProducts, newSquares, true);
                }
            }
        }

        return squares > 0 ? products / squares : 0;
    }

    private static float Error(ReadOnlySpan<float> x, ReadOnlySpan<float> w, float inverse, int top)
    {
        float scale = 1 / inverse;
        float sum = 0;
        for (int i = 0; i < x.Length; i++)
        {
            float difference = x[i] - (scale * Math.Min(top, GroupLanes.Round(inverse * x[i])));
            sum += w[i] * difference * difference;
        }

        return sum;
    }
}
