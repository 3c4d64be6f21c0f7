// The point for eight weights whose errors are passed on to those behind them. Knows no blocks and no Hessian.
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>Finds points and signs that cost little after propagation.</summary>
/// <remarks>
/// With U the factor of the inverse Hessian (arXiv 2210.17323), an error e = (w - q) / U[j, j] costs e² and takes e · U[j, k] from every weight k behind. Weights that share a point are decided together
/// (as vector GPTQ does, arXiv 2402.15319), with what the first ones take from the others counted. All points are looked at, eight in the lanes of a vector; signs follow what is left of each weight, and
/// where minuses must be even, the flip that costs least by itself is added to a point's cost. For the point that wins, flips of one sign or two are tried to the end. There are no fused multiply-adds: every
/// processor finds the same.
/// </remarks>
internal static class LatticeSearch
{
    private const int Eight = 8;
    private const int Rounds = 4; // of better signs for the point that won; rarely more than two are found

    /// <summary>Finds the point, or two points of 4 coordinates one after the other.</summary>
    /// <param name="points">The codebook.</param>
    /// <param name="weights">[8]</param>
    /// <param name="upper">[8, 8]</param>
    /// <param name="scale">w = scale · (coordinate + offset).</param>
    /// <param name="offset">As the scale.</param>
    /// <param name="found">[2] The points; one of 8 coordinates is the first.</param>
    /// <returns>The signs: bit j is set where weight j is negative.</returns>
    public static int Nearest(LatticePoints points, ReadOnlySpan<float> weights, ReadOnlySpan<float> upper, float scale, float offset, Span<int> found)
    {
        Span<float> left = stackalloc float[Eight];
        weights.CopyTo(left);
        if (points.Dimensions == Eight)
        {
            found[1] = 0;
            return Half(points, 0, points.Signs == LatticeSigns.Even ? 0 : -1, left, upper, scale, offset, out found[0], out _);
        }

        if (points.Signs != LatticeSigns.Even)
        {
            int front = Half(points, 0, -1, left, upper, scale, offset, out found[0], out _);
            return front | Half(points, Eight / 2, -1, left, upper, scale, offset, out found[1], out _);
        }

        // Both halves have an even number of minuses, or both an odd one.
        float least = float.PositiveInfinity;
        int best = 0;
        for (int parity = 0; parity < 2; parity++)
        {
            weights.CopyTo(left);
            int signs = Half(points, 0, parity, left, upper, scale, offset, out int first, out float cost);
            signs |= Half(points, Eight / 2, parity, left, upper, scale, offset, out int second, out float rest);
            if (cost + rest < least)
            {
                (least, best, found[0], found[1]) = (cost + rest, signs, first, second);
            }
        }

        return best;
    }

    /// <summary>One point, for the weights from <paramref name="start"/> on; what its errors take from the others is taken.</summary>
    private static int Half(LatticePoints points, int start, int parity, Span<float> left, ReadOnlySpan<float> upper, float scale, float offset, out int point, out float cost)
    {
        point = Search(points, start, parity, left, upper, scale, offset);
        Span<float> after = stackalloc float[Eight];
        int signs = 0;
        left.CopyTo(after);
        cost = Pass(points, point, start, follows: true, ref signs, after, upper, scale, offset);
        if (points.Signs != LatticeSigns.None)
        {
            Span<float> rest = stackalloc float[Eight];
            if (parity >= 0 && (int.PopCount(signs) & 1) != parity)
            {
                cost = float.PositiveInfinity;
                TryFlips(points, point, start, distance: 0, ref signs, ref cost, left, rest, upper, scale);
            }

            // Signs followed what was left, and did not look at what is to come.
            for (int round = 0; round < Rounds && TryFlips(points, point, start, parity < 0 ? 0 : points.Dimensions - 1, ref signs, ref cost, left, rest, upper, scale); round++)
            {
            }

            left.CopyTo(after);
            Pass(points, point, start, follows: false, ref signs, after, upper, scale, offset);
        }

        after.CopyTo(left);
        return signs;
    }

    /// <summary>Takes the best of all signs that differ from those given in one place, or in two that are up to <paramref name="distance"/> apart.</summary>
    private static bool TryFlips(
        LatticePoints points, int point, int start, int distance, ref int signs, ref float cost, ReadOnlySpan<float> left, Span<float> rest, ReadOnlySpan<float> upper, float scale)
    {
        int before = signs;
        for (int i = 0; i < points.Dimensions; i++)
        {
            for (int j = Math.Min(distance, 1); j <= distance && i + j < points.Dimensions; j++)
            {
                int other = before ^ (1 << (start + i)) ^ (j == 0 ? 0 : 1 << (start + i + j));
                left.CopyTo(rest);
                float own = Pass(points, point, start, follows: false, ref other, rest, upper, scale, 0);
                if (own < cost)
                {
                    (cost, signs) = (own, other);
                }
            }
        }

        return signs != before;
    }

    /// <summary>Rounds to a point, weight by weight.</summary>
    /// <param name="points">The codebook.</param>
    /// <param name="point">The point.</param>
    /// <param name="start">The first weight.</param>
    /// <param name="follows">Whether each weight gets the sign of what is left of it.</param>
    /// <param name="signs">Receives those signs, or gives them.</param>
    /// <param name="left">[8] What is left of the weights; errors are taken from it.</param>
    /// <param name="upper">[8, 8]</param>
    /// <param name="scale">As in <see cref="Nearest"/>.</param>
    /// <param name="offset">As the scale.</param>
    /// <returns>What the errors cost.</returns>
    private static float Pass(LatticePoints points, int point, int start, bool follows, ref int signs, Span<float> left, ReadOnlySpan<float> upper, float scale, float offset)
    {
        float cost = 0;
        bool hasSigns = points.Signs != LatticeSigns.None;
        for (int j = 0; j < points.Dimensions; j++)
        {
            int at = start + j;
            float value = scale * (points[point, j] + offset);
            if (hasSigns && follows)
            {
                signs |= (left[at] < 0) != (value < 0) ? 1 << at : 0;
            }

            value = hasSigns && ((signs >> at) & 1) != 0 ? -value : value;
            float error = (left[at] - value) / upper[(at * Eight) + at];
            cost += error * error;
            for (int k = at + 1; k < Eight; k++)
            {
                left[k] -= error * upper[(at * Eight) + k];
            }
        }

        return cost;
    }

    /// <summary>The point that costs least; of equals the first.</summary>
    /// <remarks>Lanes: 8 points each. Nothing is added across lanes, so each cost is that of the scalar twin.</remarks>
    public static int Search(LatticePoints points, int start, int parity, ReadOnlySpan<float> left, ReadOnlySpan<float> upper, float scale, float offset)
    {
        int dimensions = points.Dimensions;
        ReadOnlySpan<Vector256<float>> lanes = points.Lanes;
        Span<Vector256<float>> rest = stackalloc Vector256<float>[Eight];
        bool hasSigns = points.Signs != LatticeSigns.None;
        Vector256<float> least = Vector256<float>.Zero, sign = Vector256.Create(-0f), factor = Vector256.Create(scale), shift = Vector256.Create(offset), magnitude = Vector256.Create(Math.Abs(scale));
        Vector256<int> found = default;
        for (int chunk = 0; chunk < lanes.Length / dimensions; chunk++)
        {
            Vector256<float> cost = default, flip = Vector256.Create(float.PositiveInfinity);
            Vector256<uint> minuses = default;
            for (int j = 0; j < dimensions; j++)
            {
                rest[j] = Vector256.Create(left[start + j]);
            }

            for (int j = 0; j < dimensions; j++)
            {
                ReadOnlySpan<float> row = upper.Slice(((start + j) * Eight) + start, dimensions);
                Vector256<float> own = rest[j], diagonal = Vector256.Create(row[j]);
                Vector256<float> value = hasSigns ? magnitude * lanes[(chunk * dimensions) + j] : factor * (lanes[(chunk * dimensions) + j] + shift);
                if (parity >= 0)
                {
                    // (|r| + v)² - (|r| - v)² = 4 |r| v
                    Vector256<float> more = Vector256.Create(4f) * Vector256.Abs(own) * value / (diagonal * diagonal);
                    flip = Vector256.Min(flip, more);
                    minuses ^= Vector256.LessThan(own, Vector256<float>.Zero).AsUInt32();
                }

                value = hasSigns ? value | (own & sign) : value;
                Vector256<float> error = (own - value) / diagonal;
                cost += error * error;
                for (int k = j + 1; k < dimensions; k++)
                {
                    rest[k] -= error * Vector256.Create(row[k]);
                }
            }

            if (parity >= 0)
            {
                Vector256<uint> isWrong = parity == 0 ? minuses : ~minuses;
                cost += flip & isWrong.AsSingle();
            }

            Vector256<float> better = chunk == 0 ? Vector256<float>.AllBitsSet : Vector256.LessThan(cost, least);
            least = Vector256.ConditionalSelect(better, cost, least);
            found = Vector256.ConditionalSelect(better.AsInt32(), Vector256.Create(chunk), found);
        }

        int point = found[0] * Vector256<float>.Count;
        float lowest = least[0];
        for (int lane = 1; lane < Vector256<float>.Count; lane++)
        {
            int other = (found[lane] * Vector256<float>.Count) + lane;
            if (least[lane] < lowest || (least[lane] == lowest && other < point))
            {
                (lowest, point) = (least[lane], other);
            }
        }

        return Math.Min(point, points.Count - 1);
    }

    /// <summary>The scalar twin of <see cref="Search"/>.</summary>
    public static int SearchScalar(LatticePoints points, int start, int parity, ReadOnlySpan<float> left, ReadOnlySpan<float> upper, float scale, float offset)
    {
        int dimensions = points.Dimensions, best = 0;
        float least = float.PositiveInfinity;
        Span<float> rest = stackalloc float[Eight];
        for (int point = 0; point < points.Count; point++)
        {
            left.Slice(start, dimensions).CopyTo(rest);
            float cost = 0, flip = float.PositiveInfinity;
            int minuses = 0;
            for (int j = 0; j < dimensions; j++)
            {
                ReadOnlySpan<float> row = upper.Slice(((start + j) * Eight) + start, dimensions);
                float value = points.Signs != LatticeSigns.None ? Math.Abs(scale) * points[point, j] : scale * (points[point, j] + offset);
                flip = Math.Min(flip, 4f * Math.Abs(rest[j]) * value / (row[j] * row[j]));
                minuses ^= rest[j] < 0 ? 1 : 0;
                value = points.Signs != LatticeSigns.None && float.IsNegative(rest[j]) ? -value : value;
                float error = (rest[j] - value) / row[j];
                cost += error * error;
                for (int k = j + 1; k < dimensions; k++)
                {
                    rest[k] -= error * row[k];
                }
            }

            cost += parity >= 0 && minuses != parity ? flip : 0;
            if (cost < least)
            {
                (least, best) = (cost, point);
            }
        }

        return best;
    }
}
