// The search for the scale of a group whose weights come eight or four at a time from a codebook: IQ2 and IQ3. Knows no blocks.
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>How a format searches.</summary>
/// <param name="GroupSize">Weights that share a scale: 16 or 32.</param>
/// <param name="Steps">Trials are -Steps … Steps.</param>
/// <param name="Step">What each adds to the largest coordinate.</param>
/// <param name="NoWeight">A group whose largest magnitude is below has scale 0.</param>
/// <param name="EvenSigns">Whether the signs of eight weights must be even in number.</param>
/// <param name="RefitAll">Whether at the end every point is sought again, not only those that were no points of the codebook.</param>
/// <param name="FirstFit">Whether the first scale comes from rounding to a regular grid (<see cref="PositiveScale"/>), and trials go around it.</param>
internal sealed record CodebookSteps(int GroupSize, int Steps, float Step, float NoWeight, bool EvenSigns, bool RefitAll, bool FirstFit = false);

/// <summary>Finds scale, signs and points so that Σ w (|x| - scale · coordinate)² is small. Coordinates are the odd numbers 1, 3, … 2L - 1.</summary>
/// <remarks>
/// For a trial scale s every magnitude rounds to the nearest coordinate. Where the codebook has that point, it is taken; else the neighbour that errs least, with errors weighed by √w.
/// For given points the best scale is Σ w x c / Σ w c², as in <see cref="SymmetricScale"/>; a strictly better trial is taken. Once more at the end, points are sought with the best scale,
/// and the scale is fitted to them. Where signs must be even in number and are not, the weight that matters least (w x²) changes its sign. This is the search of llama.cpp's quantiser, operation for operation.
/// </remarks>
internal static class CodebookScale
{
    private const int MaxGroup = 32;

    /// <summary>Searches one group.</summary>
    /// <param name="lattice">The codebook.</param>
    /// <param name="steps">How.</param>
    /// <param name="x">[GroupSize]</param>
    /// <param name="w">[GroupSize]</param>
    /// <param name="points">[GroupSize / D] The numbers of the points.</param>
    /// <param name="signs">[GroupSize / 8] Bit j is set where weight j is negative.</param>
    /// <returns>The scale; 0, and zeros everywhere, for a group of zeros.</returns>
    public static float Search(
        CodebookLattice lattice, CodebookSteps steps, ReadOnlySpan<float> x, ReadOnlySpan<float> w, Span<ushort> points, Span<byte> signs)
    {
        Span<float> magnitudes = stackalloc float[MaxGroup];
        Span<float> roots = stackalloc float[MaxGroup];
        magnitudes = magnitudes[..x.Length];
        roots = roots[..x.Length];
        for (int i = 0; i < x.Length; i++)
        {
            roots[i] = MathF.Sqrt(w[i]);
        }

        TakeSigns(x, w, steps.EvenSigns, magnitudes, signs);
        float largest = magnitudes[0];
        foreach (float magnitude in magnitudes)
        {
            largest = largest > magnitude ? largest : magnitude;
        }

        int top = (2 * lattice.Levels) - 1; // the largest coordinate
        float scale = largest / top;
        float range = largest;
        if (largest >= steps.NoWeight && steps.FirstFit)
        {
            Span<byte> unused = stackalloc byte[MaxGroup];
            scale = PositiveScale.Search(magnitudes, w, lattice.Levels + 1, unused[..x.Length]);
            range = scale * lattice.Levels;
        }

        if (largest < steps.NoWeight || !(range > 0))
        {
            points.Clear();
            signs.Clear();
            return 0;
        }

        Span<ushort> trial = stackalloc ushort[MaxGroup / 4];
        trial = trial[..points.Length];
        points.Clear();
        uint offGrid = steps.RefitAll ? 1u : 0u; // bit k: point k was sought among neighbours
        float best = 0;
        for (int step = -steps.Steps; step <= steps.Steps; step++)
        {
            float inverse = (top + (step * steps.Step)) / range;
            uint trialOffGrid = Assign(lattice, magnitudes, roots, inverse, 1 / inverse, trial, uint.MaxValue);
            (float products, float squares) = Measure(lattice, magnitudes, w, trial);
            if (squares > 0 && products * products > best * squares)
            {
                scale = products / squares;
                best = scale * products;
                offGrid = trialOffGrid;
                trial.CopyTo(points);
            }
        }

        if ((offGrid != 0 || steps.FirstFit) && scale > 0)
        {
            Assign(lattice, magnitudes, roots, 1 / scale, scale, points, steps.RefitAll ? uint.MaxValue : offGrid);
            (float products, float squares) = Measure(lattice, magnitudes, w, points);
            scale = squares > 0 ? products / squares : scale;
        }

        if (scale < 0)
        {
            // Only if flipped signs outweigh all others; the stored scale has no sign, so the weights take it.
            scale = -scale;
            for (int k = 0; k < signs.Length; k++)
            {
                signs[k] = (byte)~signs[k];
            }
        }

        return scale;
    }

    /// <summary>Takes the signs off, and makes their number even where it must be.</summary>
    private static void TakeSigns(ReadOnlySpan<float> x, ReadOnlySpan<float> w, bool even, Span<float> magnitudes, Span<byte> signs)
    {
        for (int k = 0; k < signs.Length; k++)
        {
            int negative = 0;
            for (int i = 8 * k; i < (8 * k) + 8; i++)
            {
                bool isNegative = !(x[i] >= 0);
                magnitudes[i] = isNegative ? -x[i] : x[i];
                negative |= isNegative ? 1 << (i % 8) : 0;
            }

            if (even && int.PopCount(negative) % 2 != 0)
            {
                int least = 8 * k;
                for (int i = least + 1; i < (8 * k) + 8; i++)
                {
                    least = w[i] * x[i] * x[i] < w[least] * x[least] * x[least] ? i : least;
                }

                magnitudes[least] = -magnitudes[least];
                negative ^= 1 << (least % 8);
            }

            signs[k] = (byte)negative;
        }
    }

    /// <summary>Seeks the points with a bit in <paramref name="which"/> for a scale. Returns a bit for each that is none of the codebook's at its place.</summary>
    private static uint Assign(
        CodebookLattice lattice, ReadOnlySpan<float> magnitudes, ReadOnlySpan<float> roots, float inverse, float scale, Span<ushort> points, uint which)
    {
        int dimensions = lattice.Dimensions;
        Span<int> digits = stackalloc int[MaxGroup];
        for (int i = 0; i < magnitudes.Length; i += GroupLanes.Count)
        {
            Vector256<float> eight = Vector256.LoadUnsafe(ref MemoryMarshal.GetReference(magnitudes), (nuint)i);
            Vector256<float> doubled = (Vector256.Create(inverse) * eight) - Vector256<float>.One;
            GroupLanes.Round(Vector256.Create(0.5f) * doubled, 0, lattice.Levels - 1).StoreUnsafe(ref MemoryMarshal.GetReference(digits), (nuint)i);
        }

        uint offGrid = 0;
        for (int k = 0; k < points.Length; k++)
        {
            if (((which >> k) & 1) == 0)
            {
                continue;
            }

            int start = k * dimensions;
            int place = 0;
            for (int i = start + dimensions - 1; i >= start; i--)
            {
                place = (place * lattice.Levels) + digits[i];
            }

            if (!lattice.TryGetPoint(place, out int point))
            {
                offGrid |= 1u << k;
                point = lattice.Nearest(place, magnitudes.Slice(start, dimensions), roots.Slice(start, dimensions), scale, 2, 1);
            }

            points[k] = (ushort)point;
        }

        return offGrid;
    }

    /// <summary>Σ w x coordinate and Σ w coordinate².</summary>
    private static (float Products, float Squares) Measure(
        CodebookLattice lattice, ReadOnlySpan<float> magnitudes, ReadOnlySpan<float> w, ReadOnlySpan<ushort> points)
    {
        int dimensions = lattice.Dimensions;
        float products = 0;
        float squares = 0;
        for (int k = 0; k < points.Length; k++)
        {
            ReadOnlySpan<float> coordinates = lattice.OddCoordinates(points[k]);
            for (int i = 0; i < coordinates.Length; i++)
            {
                float weight = w[(k * dimensions) + i];
                products += weight * magnitudes[(k * dimensions) + i] * coordinates[i];
                squares += weight * coordinates[i] * coordinates[i];
            }
        }

        return (products, squares);
    }
}
