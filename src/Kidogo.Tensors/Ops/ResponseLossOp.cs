// How far a student's distribution is from a teacher's, row by row. Knows no models and no batches.
using System.Buffers;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Kidogo.Tensors.Ops;

/// <summary>Which distance, with p the teacher's distribution and q the student's.</summary>
public enum ResponseDistance
{
    /// <summary>KL(p‖q) (Hinton et al., arXiv 1503.02531, section 2).</summary>
    ForwardKl,

    /// <summary>KL(q‖p) (Gu et al., arXiv 2306.08543, equation 1).</summary>
    ReverseKl,

    /// <summary>β KL(p‖m) + (1 - β) KL(q‖m), m = β p + (1 - β) q (Agarwal et al., arXiv 2306.13649, equation 1); β = 0 is forward and β = 1 reverse KL, by
    /// convention.</summary>
    JensenShannon,

    /// <summary>KL(p‖α p + (1 - α) q) (Ko et al., arXiv 2402.03898, section 3.1).</summary>
    SkewedForward,

    /// <summary>KL(q‖(1 - α) p + α q) (the same).</summary>
    SkewedReverse,

    /// <summary>½ Σ |p - q| (Wen et al., arXiv 2307.15190).</summary>
    TotalVariation,

    /// <summary>Σ |p₍ᵢ₎ - q₍ᵢ₎| of both distributions' probabilities from large to small, the shorter filled with zeros: universal logit distillation, for vocabularies that differ (Boizard et al.,
    /// arXiv 2402.12030, section 3).</summary>
    SortedProbabilities,
}

/// <summary>What becomes of the probability that a stored teacher's likeliest tokens leave out.</summary>
public enum MissingMass
{
    /// <summary>One bucket holds the rest, in both distributions.</summary>
    Rest,

    /// <summary>The teacher's stored probabilities are divided by their sum; the student's stay those of the whole vocabulary.</summary>
    Renormalized,

    /// <summary>Both are divided by their sums over the stored tokens.</summary>
    BothRenormalized,
}

/// <summary>What the loss of a batch of rows is.</summary>
public sealed record ResponseLossOptions
{
    /// <summary>The distance. Default forward KL.</summary>
    public ResponseDistance Distance { get; init; }

    /// <summary>T, above 0: both sides' logits are divided by it. Default 1.</summary>
    public double Temperature { get; init; } = 1;

    /// <summary>β of Jensen and Shannon's, α of the skewed ones, 0 to 1. Default 0.5.</summary>
    public double Mix { get; init; } = 0.5;

    /// <summary>Whether the loss is multiplied by T², so that its gradients do not shrink with the temperature. Default true.</summary>
    public bool ScalesByTemperature { get; init; } = true;

    /// <summary>Of a stored teacher: what becomes of what it leaves out. Default one bucket.</summary>
    public MissingMass Missing { get; init; }

    /// <summary>What the sum over rows is divided by; 0 (the default) for the rows that count.</summary>
    public long Count { get; init; }
}

/// <summary>A teacher's likeliest tokens of some rows.</summary>
/// <param name="Ids">[T · k] Their ids, row after row, none twice in a row.</param>
/// <param name="LogProbabilities">[T · k] The logarithms of their probabilities in the full softmax at the loss's temperature.</param>
/// <param name="PerRow">k</param>
public sealed record StoredResponses(int[] Ids, float[] LogProbabilities, int PerRow);

/// <summary>The mean over rows of the distance between softmax(teacher / T) and softmax(student / T). Sums are in double.</summary>
public static class ResponseLossOp
{
    /// <summary>Against a teacher's logits.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="student">[T, V]</param>
    /// <param name="teacher">[T, V], which gets no gradient and must stay as it is until the backward pass is over; for sorted probabilities of any width.</param>
    /// <param name="targets">[T] Rows with <see cref="CrossEntropyOp.NoTarget"/> count for nothing; empty where all count.</param>
    /// <param name="options">What the loss is.</param>
    /// <exception cref="ArgumentException">The shapes do not belong together.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is outside its range.</exception>
    public static CrossEntropyResult Apply(ComputeContext context, Tensor student, Tensor teacher, ReadOnlySpan<int> targets, ResponseLossOptions options)
    {
        if (student.Rows != teacher.Rows || (student.Columns != teacher.Columns && options.Distance != ResponseDistance.SortedProbabilities))
        {
            throw new ArgumentException($"A student's logits of {student.Rows} x {student.Columns} meet a teacher's of {teacher.Rows} x {teacher.Columns}.", nameof(teacher));
        }

        return Run(context, student, new RowLoss(options, teacher, null), targets, options);
    }

    /// <summary>Against a teacher's stored tokens, by forward KL.</summary>
    /// <inheritdoc cref="Apply(ComputeContext, Tensor, Tensor, ReadOnlySpan{int}, ResponseLossOptions)"/>
    public static CrossEntropyResult Apply(ComputeContext context, Tensor student, StoredResponses teacher, ReadOnlySpan<int> targets, ResponseLossOptions options)
    {
        int count = student.Rows * teacher.PerRow;
        if (teacher.PerRow < 1 || teacher.Ids.Length != count || teacher.LogProbabilities.Length != count || teacher.Ids.AsSpan().ContainsAnyExceptInRange(0, student.Columns - 1))
        {
            throw new ArgumentException($"{teacher.Ids.Length} ids and {teacher.LogProbabilities.Length} probabilities, {teacher.PerRow} a row, do not fit {student.Rows} rows of {student.Columns} logits.", nameof(teacher));
        }

        if (options.Distance != ResponseDistance.ForwardKl)
        {
            throw new ArgumentException($"A stored teacher is met by forward KL; {options.Distance} needs all of its probabilities.", nameof(options));
        }

        return Run(context, student, new RowLoss(options, null, teacher), targets, options);
    }

    private static CrossEntropyResult Run(ComputeContext context, Tensor student, RowLoss rows, ReadOnlySpan<int> targets, ResponseLossOptions options)
    {
        if (targets.Length > 0 && targets.Length != student.Rows)
        {
            throw new ArgumentException($"{targets.Length} targets meet {student.Rows} rows of logits.", nameof(targets));
        }

        if (!(options.Temperature > 0) || !double.IsFinite(options.Temperature) || !(options.Mix is >= 0 and <= 1) || options.Count < 0)
        {
            throw new ArgumentOutOfRangeException(nameof(options), $"The temperature is {options.Temperature} (above 0), the mix {options.Mix} (0 to 1), the count {options.Count} (0 or more).");
        }

        bool[] counts = new bool[student.Rows];
        for (int row = 0; row < counts.Length; row++)
        {
            counts[row] = targets.IsEmpty || targets[row] != CrossEntropyOp.NoTarget;
        }

        long present = counts.LongCount(each => each);
        double factor = (options.ScalesByTemperature ? options.Temperature * options.Temperature : 1) / (options.Count > 0 ? options.Count : Math.Max(1, present));
        double[] losses = new double[student.Rows];
        UpdateOps.ShareItems(context, student.Rows, row => losses[row] = counts[row] ? rows.Of(row, student.Row(row), [], 0, false) : 0);
        double value = losses.Sum() * factor;
        Tensor loss = context.Rent(1, 1);
        loss.Span[0] = (float)value;
        if (context.Records(student))
        {
            Record(context, student, rows, counts, factor, loss);
        }

        return new CrossEntropyResult(loss, value, value, present);
    }

    private static void Record(ComputeContext context, Tensor student, RowLoss rows, bool[] counts, double factor, Tensor loss) => context.Record(loss, () =>
    {
        Tensor gradient = context.GradientOf(student, out bool isNew);
        double upstream = factor * loss.Gradient!.Span[0];
        UpdateOps.ShareItems(context, student.Rows, row =>
        {
            if (counts[row])
            {
                rows.Of(row, student.Row(row), gradient.Row(row), upstream, isNew);
            }
            else if (isNew)
            {
                gradient.Row(row).Clear();
            }
        });
    });

    /// <summary>The distance of one row, and its gradient: with h = q · ∂/∂q of the distance, that of the logits is (h - q Σ h) / T.</summary>
    private sealed class RowLoss(ResponseLossOptions options, Tensor? teacher, StoredResponses? stored)
    {
        /// <summary>The distance; where there is room for a gradient, that too.</summary>
        public double Of(int row, ReadOnlySpan<float> student, Span<float> gradient, double factor, bool isNew)
        {
            int width = student.Length, ofTeacher = teacher?.Columns ?? 0;
            double[] room = ArrayPool<double>.Shared.Rent((3 * width) + (2 * ofTeacher));
            try
            {
                Span<double> logQ = room.AsSpan(0, width), q = room.AsSpan(width, width), h = room.AsSpan(2 * width, width);
                LogSoftmax(student, logQ, q);
                double loss = stored is not null
                    ? OfStored(row, logQ, q, h)
                    : OfLogits(teacher!.Row(row), logQ, q, room.AsSpan(3 * width, ofTeacher), room.AsSpan((3 * width) + ofTeacher, ofTeacher), h);
                if (gradient.IsEmpty)
                {
                    return loss;
                }

                double sum = 0;
                foreach (double part in h)
                {
                    sum += part;
                }

                double scale = factor / options.Temperature;
                for (int i = 0; i < width; i++)
                {
                    float value = (float)(scale * (h[i] - (q[i] * sum)));
                    gradient[i] = isNew ? value : gradient[i] + value;
                }

                return loss;
            }
            finally
            {
                ArrayPool<double>.Shared.Return(room);
            }
        }

        private double OfLogits(ReadOnlySpan<float> logits, ReadOnlySpan<double> logQ, ReadOnlySpan<double> q, Span<double> logP, Span<double> p, Span<double> h)
        {
            LogSoftmax(logits, logP, p);
            if (options.Distance == ResponseDistance.SortedProbabilities)
            {
                return OfSorted(p, q, h);
            }

            ResponseDistance distance = options.Distance != ResponseDistance.JensenShannon ? options.Distance : options.Mix switch
            {
                0 => ResponseDistance.ForwardKl,
                1 => ResponseDistance.ReverseKl,
                _ => ResponseDistance.JensenShannon,
            };
            double loss = 0, mix = options.Mix;
            for (int i = 0; i < h.Length; i++)
            {
                double m;
                switch (distance)
                {
                    case ResponseDistance.ForwardKl:
                        loss += Product(p[i], logP[i] - logQ[i]);
                        h[i] = -p[i];
                        break;
                    case ResponseDistance.ReverseKl:
                        loss += Product(q[i], logQ[i] - logP[i]);
                        h[i] = Product(q[i], logQ[i] - logP[i] + 1);
                        break;
                    case ResponseDistance.JensenShannon:
                        m = Math.Log((mix * p[i]) + ((1 - mix) * q[i]));
                        loss += Product(mix * p[i], logP[i] - m) + Product((1 - mix) * q[i], logQ[i] - m);
                        h[i] = Product((1 - mix) * q[i], logQ[i] - m);
                        break;
                    case ResponseDistance.SkewedForward:
                        m = (mix * p[i]) + ((1 - mix) * q[i]);
                        loss += Product(p[i], logP[i] - Math.Log(m));
                        h[i] = p[i] == 0 || q[i] == 0 ? 0 : -(1 - mix) * p[i] * (q[i] / m);
                        break;
                    case ResponseDistance.SkewedReverse:
                        m = ((1 - mix) * p[i]) + (mix * q[i]);
                        loss += Product(q[i], logQ[i] - Math.Log(m));
                        h[i] = Product(q[i], logQ[i] - Math.Log(m) + 1 - (mix * q[i] / m));
                        break;
                    default:
                        loss += 0.5 * Math.Abs(p[i] - q[i]);
                        h[i] = 0.5 * q[i] * Math.Sign(q[i] - p[i]);
                        break;
                }
            }

            return loss;
        }

        private static double OfSorted(Span<double> p, ReadOnlySpan<double> q, Span<double> h)
        {
            p.Sort();
            int[] order = ArrayPool<int>.Shared.Rent(q.Length);
            double[] keys = ArrayPool<double>.Shared.Rent(q.Length);
            for (int i = 0; i < q.Length; i++)
            {
                order[i] = i;
            }

            q.CopyTo(keys);
            keys.AsSpan(0, q.Length).Sort(order.AsSpan(0, q.Length));
            double loss = 0;
            for (int rank = 0; rank < Math.Max(p.Length, q.Length); rank++)
            {
                double ofP = rank < p.Length ? p[^(rank + 1)] : 0, ofQ = rank < q.Length ? keys[q.Length - 1 - rank] : 0;
                loss += Math.Abs(ofP - ofQ);
                if (rank < q.Length)
                {
                    h[order[q.Length - 1 - rank]] = ofQ * Math.Sign(ofQ - ofP);
                }
            }

            ArrayPool<int>.Shared.Return(order);
            ArrayPool<double>.Shared.Return(keys);
            return loss;
        }

        private double OfStored(int row, ReadOnlySpan<double> logQ, ReadOnlySpan<double> q, Span<double> h)
        {
            ReadOnlySpan<int> ids = stored!.Ids.AsSpan(row * stored.PerRow, stored.PerRow);
            ReadOnlySpan<float> logs = stored.LogProbabilities.AsSpan(row * stored.PerRow, stored.PerRow);
            double ofTeacher = 0, ofStudent = 0, ofOthers = 0, loss = 0;
            q.CopyTo(h); // what is left in it after the stored ones are taken out are the others
            for (int i = 0; i < ids.Length; i++)
            {
                ofTeacher += Math.Exp(logs[i]);
                ofStudent += q[ids[i]];
                h[ids[i]] = 0;
            }

            foreach (double other in h)
            {
                ofOthers += other;
            }

            bool hasRest = options.Missing == MissingMass.Rest && ids.Length < q.Length; // of all tokens nothing is left but rounding
            double rest = hasRest ? Math.Max(0, 1 - ofTeacher) : 0;
            TensorPrimitives.Multiply(h, hasRest && ofOthers > 0 ? -rest / ofOthers : 0, h);
            loss += hasRest && rest > 0 ? rest * (Math.Log(rest) - Math.Log(Math.Max(ofOthers, double.Epsilon))) : 0;
            double logSum = hasRest ? 0 : Math.Log(ofTeacher), logOfStudent = options.Missing == MissingMass.BothRenormalized ? Math.Log(ofStudent) : 0;
            for (int i = 0; i < ids.Length; i++)
            {
                double logP = logs[i] - logSum, p = Math.Exp(logP);
                loss += Product(p, logP - (logQ[ids[i]] - logOfStudent));
                h[ids[i]] = -p + (options.Missing == MissingMass.BothRenormalized ? q[ids[i]] / ofStudent : 0);
            }

            return loss;
        }

        private void LogSoftmax(ReadOnlySpan<float> logits, Span<double> logs, Span<double> probabilities)
        {
            double largest = TensorPrimitives.Max(logits) / options.Temperature, sum = 0;
            for (int i = 0; i < logits.Length; i++)
            {
                logs[i] = (logits[i] / options.Temperature) - largest;
            }

            TensorPrimitives.Exp<double>(logs, probabilities);
            foreach (double value in probabilities)
            {
                sum += value;
            }

            TensorPrimitives.Subtract(logs, Math.Log(sum), logs);
            TensorPrimitives.Divide(probabilities, sum, probabilities);
        }

        /// <summary>x · y, and 0 where x is, whatever y.</summary>
        private static double Product(double x, double y) => x == 0 ? 0 : x * y;
    }
}
