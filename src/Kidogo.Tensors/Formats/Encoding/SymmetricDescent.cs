// The other search for the scale of a grid around zero, which Q3_K uses without importance. Knows no blocks.
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>Finds scale and codes in -L … L - 1 so that Σ x² (x - scale · code)² is small, by changing one code at a time.</summary>
/// <remarks>
/// The weight of the largest magnitude becomes code -L and the others round to that grid. Then at most five rounds go over the weights: without weight i,
/// the best scale is
/// (Σ w x code) / (Σ w code²), and weight i's nearest code on that grid is taken if it raises (Σ w x code)² / Σ w code², by which the error falls. A round
/// without a change ends the search.
/// Lanes that are finished go on without changing: a round depends on nothing but the codes and sums. This is the search of llama.cpp's quantiser, operation
/// for operation.
/// </remarks>
internal static class SymmetricDescent
{
    private const float NoWeight = 1e-15f; // groups whose largest magnitude is below become zeros
    private const int Rounds = 5;

    /// <summary>Searches eight groups.</summary>
    /// <param name="x">[G] <see cref="GroupLanes"/></param>
    /// <param name="limit">L</param>
    /// <param name="codes">[G] Code + L; 0 in a group of zeros.</param>
    /// <returns>The scales, of either sign; 0 for a group of zeros.</returns>
    public static Vector256<float> Search(ReadOnlySpan<Vector256<float>> x, int limit, Span<Vector256<int>> codes)
    {
        (Vector256<float> magnitude, Vector256<float> signed) = GroupLanes.Largest(x);
        Vector256<float> empty = Vector256.LessThan(magnitude, Vector256.Create(NoWeight));
        Vector256<float> inverse = Vector256.Create((float)-limit) / signed;
        Vector256<float> products = default;
        Vector256<float> squares = default;
        for (int i = 0; i < x.Length; i++)
        {
            codes[i] = GroupLanes.Round(inverse * x[i], -limit, limit - 1);
            Vector256<float> code = Vector256.ConvertToSingle(codes[i]);
            Vector256<float> w = x[i] * x[i];
            products += w * x[i] * code;
            squares += w * code * code;
        }

        for (int round = 0; round < Rounds; round++)
        {
            Vector256<float> changed = default;
            for (int i = 0; i < x.Length; i++)
            {
                Vector256<float> code = Vector256.ConvertToSingle(codes[i]);
                Vector256<float> w = x[i] * x[i];
                Vector256<float> weighted = w * x[i];
                Vector256<float> otherProducts = products - (weighted * code);
                Vector256<float> otherSquares = squares - (w * code * code);
                Vector256<int> nearest = GroupLanes.Round(x[i] * otherSquares / otherProducts, -limit, limit - 1);
                Vector256<float> newCode = Vector256.ConvertToSingle(nearest);
                Vector256<float> newProducts = otherProducts + (weighted * newCode);
                Vector256<float> newSquares = otherSquares + (w * newCode * newCode);
                Vector256<float> better = Vector256.GreaterThan(otherProducts, default)
                    & ~Vector256.Equals(nearest, codes[i]).AsSingle()
                    & Vector256.GreaterThan(newSquares, default)
                    & Vector256.GreaterThan(newProducts * newProducts * squares, products * products * newSquares);
                codes[i] = Vector256.ConditionalSelect(better.AsInt32(), nearest, codes[i]);
                products = Vector256.ConditionalSelect(better, newProducts, products);
                squares = Vector256.ConditionalSelect(better, newSquares, squares);
                changed |= better;
            }

            if (changed.ExtractMostSignificantBits() == 0)
            {
                break;
            }
        }

        for (int i = 0; i < x.Length; i++)
        {
            codes[i] = Vector256.AndNot(codes[i] + Vector256.Create(limit), empty.AsInt32());
        }

        Vector256<float> some = Vector256.GreaterThan(squares, default);
        return Vector256.AndNot(Vector256.ConditionalSelect(some, products / squares, default), empty);
    }

    /// <summary>The scalar twin of <see cref="Search"/>, for one group.</summary>
    public static float SearchScalar(ReadOnlySpan<float> x, int limit, Span<byte> codes)
    {
        float signed = SymmetricScale.FirstOfLargestMagnitude(x);
        if (Math.Abs(signed) < NoWeight)
        {
            codes.Clear();
            return 0;
        }

        Span<int> own = stackalloc int[x.Length];
        float inverse = -limit / signed;
        float products = 0;
        float squares = 0;
        for (int i = 0; i < x.Length; i++)
        {
            own[i] = Math.Clamp(GroupLanes.Round(inverse * x[i]), -limit, limit - 1);
            float w = x[i] * x[i];
            products += w * x[i] * own[i];
            squares += w * own[i] * own[i];
        }

        bool changed = true;
        for (int round = 0; round < Rounds && changed; round++)
        {
            changed = false;
            for (int i = 0; i < x.Length; i++)
            {
                float w = x[i] * x[i];
                float newProducts = products - (w * x[i] * own[i]);
                float newSquares = squares - (w * own[i] * own[i]);
                int code = Math.Clamp(GroupLanes.Round(x[i] * newSquares / newProducts), -limit, limit - 1);
                if (newProducts > 0 && code != own[i])
                {
                    newProducts += w * x[i] * code;
                    newSquares += w * code * code;
                    if (newSquares > 0 && newProducts * newProducts * squares > products * products * newSquares)
                    {
                        (own[i], products, squares, changed) = (code, newProducts, newSquares, true);
                    }
                }
            }
        }

        for (int i = 0; i < x.Length; i++)
        {
            codes[i] = (byte)(own[i] + limit);
        }

        return squares > 0 ? products / squares : 0;
    }
}
