// The search for scale, shift and points of the IQ1 formats: weights of -1, 0 and 1, all shifted by an eighth. Knows no blocks.
namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>Finds scale, shifts and points so that Σ w (x - scale · (trit + shift))² is small; the shift is +1/8 or -1/8.</summary>
/// <remarks>
/// With three values on a line, the best assignment of sorted weights is two cuts: the lowest become -1, the middle 0, the highest 1. Every pair of cuts and
/// every choice of shifts is tried, with sums from
/// the running sums of w x and w; for given values v the best scale is Σ w x v / Σ w v², as in <see cref="SymmetricScale"/>. Then each eight weights that
/// are no point of the codebook take the neighbour that
/// errs least, and the scale is fitted again. These are the searches of llama.cpp's quantiser, operation for operation. One thing it leaves open: in which
/// order weights of equal value are sorted.
/// Here they stay in the order of the row, which is what the merge sort of its C library does.
/// </remarks>
internal static class TernaryCodebookScale
{
    private const int MaxGroup = 32;
    private const float Eighth = 0.125f;

    /// <summary>The value of trit 0, 1 or 2 with a shift.</summary>
    public static float Value(int trit, bool isLess) => trit - 1 + (isLess ? -Eighth : Eighth);

    /// <summary>Searches a group of 32 with one shift (IQ1_S).</summary>
    /// <param name="x">[32], not all zeros.</param>
    /// <param name="w">[32]</param>
    /// <param name="points">[4]</param>
    /// <param name="isLess">Whether the shift is negative.</param>
    /// <returns>The scale, 0 or more; 0 and no points where all w are 0.</returns>
    public static float SearchOne(ReadOnlySpan<float> x, ReadOnlySpan<float> w, Span<ushort> points, out bool isLess)
    {
        int size = x.Length;
        Span<int> order = stackalloc int[MaxGroup];
        Span<float> sumX = stackalloc float[MaxGroup + 1];
        Span<float> sumW = stackalloc float[MaxGroup + 1];
        Sort(x, order[..size]);
        sumX[0] = sumW[0] = 0;
        for (int j = 0; j < size; j++)
        {
            sumX[j + 1] = sumX[j] + (w[order[j]] * x[order[j]]);
            sumW[j + 1] = sumW[j] + w[order[j]];
        }

        float best = -float.MaxValue;
        float scale = 0;
        (int First, int Second) cuts = (-1, -1);
        isLess = false;
        for (int first = 0; first <= size; first++)
        {
            for (int second = first; second <= size; second++)
            {
                for (int shift = 0; shift < 2; shift++)
                {
                    (float low, float middle, float high) = (Value(0, shift != 0), Value(1, shift != 0), Value(2, shift != 0));
                    float products = (sumX[first] * low) + ((sumX[second] - sumX[first]) * middle) + ((sumX[size] - sumX[second]) * high);
                    float squares = (sumW[first] * low * low) + ((sumW[second] - sumW[first]) * middle * middle) + ((sumW[size] - sumW[second]) * high * high);
                    if (squares > 0 && products * products > best * squares)
                    {
                        scale = products / squares;
                        best = scale * products;
                        cuts = (first, second);
                        isLess = shift != 0;
                    }
                }
            }
        }

        if (cuts.First < 0)
        {
            return 0;
        }

        Span<byte> trits = stackalloc byte[MaxGroup];
        bool mirrored = Cut(order[..size], cuts, ref scale, trits[..size]);
        isLess ^= mirrored;
        return Assign(x, w, trits[..size], isLess, isLess, scale, points);
    }

    /// <summary>Searches a group of 16 with a shift for each half (IQ1_M).</summary>
    /// <param name="x">[16], not all zeros.</param>
    /// <param name="w">[16]</param>
    /// <param name="points">[2]</param>
    /// <param name="shifts">Bit 1: the first half's shift is negative; bit 0: the second's.</param>
    /// <returns>The scale, 0 or more; 0 and no points where all w are 0.</returns>
    public static float SearchTwo(ReadOnlySpan<float> x, ReadOnlySpan<float> w, Span<ushort> points, out int shifts)
    {
        const int Size = 16;
        Span<int> order = stackalloc int[Size];
        Span<float> sumX = stackalloc float[2 * (Size + 1)];
        Span<float> sumW = stackalloc float[2 * (Size + 1)];
        Sort(x, order);
        sumX.Clear();
        sumW.Clear();
        for (int j = 0; j < Size; j++)
        {
            int own = order[j] < Size / 2 ? 0 : Size + 1;
            int other = Size + 1 - own;
            sumX[own + j + 1] = sumX[own + j] + (w[order[j]] * x[order[j]]);
            sumX[other + j + 1] = sumX[other + j];
            sumW[own + j + 1] = sumW[own + j] + w[order[j]];
            sumW[other + j + 1] = sumW[other + j];
        }

        float best = -float.MaxValue;
        float scale = 0;
        (int First, int Second) cuts = (-1, -1);
        shifts = 0;
        Span<float> products = stackalloc float[4]; // [half, shift]
        Span<float> squares = stackalloc float[4];
        for (int first = 0; first <= Size; first++)
        {
            for (int second = first; second <= Size; second++)
            {
                for (int i = 0; i < 4; i++)
                {
                    // Neighbouring values differ by 1, so the sum over three parts is the total at the highest value less what lies below each cut.
                    int half = i / 2 * (Size + 1);
                    (float low, float middle, float high) = (Value(0, i % 2 != 0), Value(1, i % 2 != 0), Value(2, i % 2 != 0));
                    products[i] = (sumX[half + Size] * high) - (sumX[half + first] + sumX[half + second]);
                    squares[i] = (sumW[half + Size] * high * high)
                        + (sumW[half + first] * ((low * low) - (middle * middle)))
                        + (sumW[half + second] * ((middle * middle) - (high * high)));
                }

                for (int choice = 0; choice < 4; choice++)
                {
                    float product = products[choice / 2] + products[2 + (choice % 2)];
                    float square = squares[choice / 2] + squares[2 + (choice % 2)];
                    if (square > 0 && product * product > best * square)
                    {
                        scale = product / square;
                        best = scale * product;
                        cuts = (first, second);
                        shifts = choice;
                    }
                }
            }
        }

        if (cuts.First < 0)
        {
            return 0;
        }

        Span<byte> trits = stackalloc byte[Size];
        shifts ^= Cut(order, cuts, ref scale, trits) ? 3 : 0;
        return Assign(x, w, trits, (shifts & 2) != 0, (shifts & 1) != 0, scale, points);
    }

    /// <summary>The places of the weights in rising order; equal ones in the order of the row.</summary>
    private static void Sort(ReadOnlySpan<float> x, Span<int> order)
    {
        for (int j = 0; j < order.Length; j++)
        {
            int at = j;
            while (at > 0 && x[order[at - 1]] > x[j])
            {
                order[at] = order[at - 1];
                at--;
            }

            order[at] = j;
        }
    }

    /// <summary>Trits of the sorted weights. A negative scale is turned round, and trits and shifts with it: then true.</summary>
    private static bool Cut(ReadOnlySpan<int> order, (int First, int Second) cuts, ref float scale, Span<byte> trits)
    {
        bool mirrored = scale < 0;
        scale = Math.Abs(scale);
        for (int j = 0; j < order.Length; j++)
        {
            int trit = j < cuts.First ? 0 : j < cuts.Second ? 1 : 2;
            trits[order[j]] = (byte)(mirrored ? 2 - trit : trit);
        }

        return mirrored;
    }

    /// <summary>Finds points for the trits; the scale is fitted again where one was no point. The first half of the points has one shift, the second the
    /// other.</summary>
    private static float Assign(
        ReadOnlySpan<float> x, ReadOnlySpan<float> w, ReadOnlySpan<byte> trits, bool firstIsLess, bool secondIsLess, float scale, Span<ushort> points)
    {
        CodebookLattice lattice = CodebookLattice.IQ1;
        bool allOnGrid = true;
        for (int k = 0; k < points.Length; k++)
        {
            int place = lattice.Place(trits.Slice(8 * k, 8));
            if (!lattice.TryGetPoint(place, out int point))
            {
                allOnGrid = false;
                float offset = Value(0, k < points.Length / 2 ? firstIsLess : secondIsLess);
                point = lattice.Nearest(place, x.Slice(8 * k, 8), w.Slice(8 * k, 8), scale, 1, offset);
            }

            points[k] = (ushort)point;
        }

        if (allOnGrid)
        {
            return scale;
        }

        float products = 0;
        float squares = 0;
        for (int k = 0; k < points.Length; k++)
        {
            Add(points[k], k < points.Length / 2 ? firstIsLess : secondIsLess, 1, x.Slice(8 * k, 8), w.Slice(8 * k, 8), ref products, ref squares);
        }

        return products > 0 && squares > 0 ? products / squares : scale;
    }

    /// <summary>Adds Σ w v x and Σ w v² of eight weights, where v is <paramref name="factor"/> times the shifted trits of a point.</summary>
    public static void Add(int point, bool isLess, float factor, ReadOnlySpan<float> x, ReadOnlySpan<float> w, ref float products, ref float squares)
    {
        Span<byte> trits = stackalloc byte[8];
        CodebookLattice.IQ1.CopyDigits(point, trits);
        for (int j = 0; j < trits.Length; j++)
        {
            float value = Value(trits[j], isLess) * factor;
            products += w[j] * value * x[j];
            squares += w[j] * value * value;
        }
    }
}
