// How far a student's hidden states are from a teacher's, row by row. Knows no layers and no projections.
namespace Kidogo.Tensors.Ops;

/// <summary>What is compared of two states s and t.</summary>
public enum HiddenDistance
{
    /// <summary>The mean over values of (s - t)² (Jiao et al., arXiv 1909.10351, equation 8).</summary>
    MeanSquare,

    /// <summary>1 - cos(s, t) (Sanh et al., arXiv 1910.01108, section 2).</summary>
    Cosine,

    /// <summary>|s/|s| - t/|t||² (Sun et al., arXiv 1908.09355, section 3; there a sum).</summary>
    Normalized,
}

/// <summary>A loss of something other than tokens.</summary>
/// <param name="Loss">[1, 1]: what gradients are found of.</param>
/// <param name="Value">The same in double.</param>
public readonly record struct FeatureLoss(Tensor Loss, double Value);

/// <summary>The mean over rows of the distance between two states. Sums are in double.</summary>
public static class HiddenLossOp
{
    private const double LeastNorm = 1e-12;

    /// <summary>Computes the loss.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="student">[T, D]</param>
    /// <param name="teacher">[T, D], which gets no gradient and must stay as it is until the backward pass is over.</param>
    /// <param name="counts">[T] Which rows count; empty for all.</param>
    /// <param name="distance">What is compared.</param>
    /// <param name="count">What the sum over rows is divided by; 0 for the rows that count.</param>
    /// <exception cref="ArgumentException">The shapes do not belong together.</exception>
    public static FeatureLoss Apply(ComputeContext context, Tensor student, Tensor teacher, ReadOnlySpan<bool> counts, HiddenDistance distance, long count = 0)
    {
        if (student.Rows != teacher.Rows || student.Columns != teacher.Columns || (counts.Length > 0 && counts.Length != student.Rows) || count < 0)
        {
            throw new ArgumentException($"States of {student.Rows} x {student.Columns} meet those of {teacher.Rows} x {teacher.Columns}, with a mask of {counts.Length} rows and a count of {count}.",
                nameof(teacher));
        }

        bool[] counted = counts.IsEmpty ? [.. Enumerable.Repeat(true, student.Rows)] : counts.ToArray();
        double divisor = count > 0 ? count : Math.Max(1, counted.LongCount(each => each));
        double[] losses = new double[student.Rows];
        UpdateOps.ShareItems(context, student.Rows, row => losses[row] = counted[row] ? Of(student.Row(row), teacher.Row(row), distance, [], 0, false) : 0);
        double value = losses.Sum() / divisor;
        Tensor loss = context.Rent(1, 1);
        loss.Span[0] = (float)value;
        if (context.Records(student))
        {
            Record(context, student, teacher, counted, distance, divisor, loss);
        }

        return new FeatureLoss(loss, value);
    }

    private static void Record(ComputeContext context, Tensor student, Tensor teacher, bool[] counted, HiddenDistance distance, double divisor, Tensor loss) => context.Record(loss, () =>
    {
        Tensor gradient = context.GradientOf(student, out bool isNew);
        double factor = loss.Gradient!.Span[0] / divisor;
        UpdateOps.ShareItems(context, student.Rows, row =>
        {
            if (counted[row])
            {
                Of(student.Row(row), teacher.Row(row), distance, gradient.Row(row), factor, isNew);
            }
            else if (isNew)
            {
                gradient.Row(row).Clear();
            }
        });
    });

    /// <summary>The distance of a row; where there is room for a gradient, that too.</summary>
    private static double Of(ReadOnlySpan<float> s, ReadOnlySpan<float> t, HiddenDistance distance, Span<float> gradient, double factor, bool isNew)
    {
        double square = 0, ofS = 0, ofT = 0, product = 0;
        for (int i = 0; i < s.Length; i++)
        {
            double difference = (double)s[i] - t[i];
            square += difference * difference;
            ofS += (double)s[i] * s[i];
            ofT += (double)t[i] * t[i];
            product += (double)s[i] * t[i];
        }

        double normS = Math.Max(Math.Sqrt(ofS), LeastNorm), normT = Math.Max(Math.Sqrt(ofT), LeastNorm), cosine = product / (normS * normT);
        double times = distance == HiddenDistance.Normalized ? 2 : 1; // |ŝ - t̂|² = 2 - 2 cos
        for (int i = 0; i < gradient.Length; i++)
        {
            double slope = distance == HiddenDistance.MeanSquare ? 2 * ((double)s[i] - t[i]) / s.Length : times * ((cosine * s[i] / normS) - (t[i] / normT)) / normS;
            float flow = (float)(factor * slope);
            gradient[i] = isNew ? flow : gradient[i] + flow;
        }

        return distance == HiddenDistance.MeanSquare ? square / s.Length : times * (1 - cosine);
    }
}
