// How likely whole answers are. Knows no vocabularies and no batches.
using System.Numerics.Tensors;

namespace Kidogo.Tensors.Ops;

/// <summary>For each sequence the sum over its rows with a target y of log p_y, with p = softmax(logits). Sums are in double.</summary>
public static class SequenceLogProbabilityOp
{
    /// <summary>Computes the sums.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="logits">[T, V]</param>
    /// <param name="targets">[T] An id, or <see cref="CrossEntropyOp.NoTarget"/>.</param>
    /// <param name="sequences">Which rows are of one sequence.</param>
    /// <returns>[S, 1]</returns>
    /// <exception cref="ArgumentException">Targets or sequences do not fit the rows.</exception>
    public static Tensor Apply(ComputeContext context, Tensor logits, ReadOnlySpan<int> targets, ReadOnlySpan<SequenceRows> sequences)
    {
        CrossEntropyOp.Check(logits.Rows, logits.Columns, targets, new CrossEntropyOptions());
        int[] wanted = targets.ToArray();
        SequenceRows[] parts = SequenceRows.Within(logits.Rows, sequences);

        double[] logSums = new double[logits.Rows];
        UpdateOps.ShareItems(context, logits.Rows, row => logSums[row] = wanted[row] == CrossEntropyOp.NoTarget ? 0 : LogSum(logits.Row(row)));
        Tensor sums = context.Rent(parts.Length, 1);
        for (int i = 0; i < parts.Length; i++)
        {
            double sum = 0;
            for (int row = parts[i].FirstRow; row < parts[i].FirstRow + parts[i].Rows; row++)
            {
                sum += wanted[row] == CrossEntropyOp.NoTarget ? 0 : logits.Row(row)[wanted[row]] - logSums[row];
            }

            sums.Span[i] = (float)sum;
        }

        if (context.Records(logits))
        {
            Record(context, logits, wanted, parts, logSums, sums);
        }

        return sums;
    }

    // d log p_y / dz = [y] - p
    private static void Record(ComputeContext context, Tensor logits, int[] targets, SequenceRows[] parts, double[] logSums, Tensor sums) => context.Record(sums, () =>
    {
        Tensor gradient = context.GradientOf(logits);
        for (int i = 0; i < parts.Length; i++)
        {
            (int first, float upstream) = (parts[i].FirstRow, sums.Gradient!.Span[i]);
            UpdateOps.ShareItems(context, parts[i].Rows, at =>
            {
                int row = first + at;
                if (targets[row] == CrossEntropyOp.NoTarget)
                {
                    return;
                }

                ReadOnlySpan<float> values = logits.Row(row);
                Span<float> target = gradient.Row(row);
                for (int id = 0; id < values.Length; id++)
                {
                    target[id] -= upstream * (float)Math.Exp(values[id] - logSums[row]);
                }

                target[targets[row]] += upstream;
            });
        }
    });

    private static double LogSum(ReadOnlySpan<float> logits)
    {
        double largest = TensorPrimitives.Max(logits), sum = 0;
        foreach (float logit in logits)
        {
            sum += Math.Exp(logit - largest);
        }

        return largest + Math.Log(sum);
    }
}
