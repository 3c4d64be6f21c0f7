// How far the relations between a student's tokens are from a teacher's: queries with keys, values with values. Knows no layers.
using System.Buffers;
using Kidogo.Tensors.Kernels;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Kidogo.Tensors.Ops;

/// <summary>What tokens are related by: the scores of token i with j are a_i · b_j / √(width of a relation head).</summary>
/// <param name="A">[T, H·E]: queries, or values.</param>
/// <param name="B">[T, K·E]: keys, or A itself. Where K is below H, each head of B serves H / K heads of A.</param>
/// <param name="HeadDim">E</param>
public readonly record struct RelationSide(Tensor A, Tensor B, int HeadDim);

/// <summary>What the loss of relations is.</summary>
public sealed record AttentionRelationOptions
{
    /// <summary>Heads that A is divided into anew, whatever heads it has; it divides the widths of both sides.</summary>
    public required int Heads { get; init; }

    /// <summary>Whether a token is related to those up to itself only. Default true.</summary>
    public bool IsCausal { get; init; } = true;

    /// <summary>Whether scores are compared as they are, by the mean square (Jiao et al., arXiv 1909.10351, equation 7), instead of by KL(teacher‖student) of
    /// their softmax. Default false.</summary>
    public bool ComparesScores { get; init; }

    /// <summary>What the sum over tokens is divided by; 0 (the default) for the tokens there are.</summary>
    public long Count { get; init; }
}

/// <summary>The mean over heads and tokens of the distance of relations (Wang et al., arXiv 2002.10957, equations 6 to 9; arXiv 2012.15828, section
/// 3.1).</summary>
public static class AttentionRelationOp
{
    /// <summary>Computes the loss.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="student">The student's; both tensors get gradients.</param>
    /// <param name="teacher">The teacher's, of the same rows, which get none and must stay as they are until the backward pass is over.</param>
    /// <param name="sequences">Which rows are of one sequence; rows of none (padding) count for nothing.</param>
    /// <param name="options">What the loss is.</param>
    /// <exception cref="ArgumentException">Widths cannot be divided, or rows do not belong together.</exception>
    public static FeatureLoss Apply(ComputeContext context, RelationSide student, RelationSide teacher, ReadOnlySpan<SequenceRows> sequences, AttentionRelationOptions options)
    {
        Check(student, student.A.Rows, options);
        Check(teacher, student.A.Rows, options);
        SequenceRows[] parts = SequenceRows.Within(student.A.Rows, sequences);

        double tokens = options.Count > 0 ? options.Count : Math.Max(1, parts.Sum(part => (long)part.Rows));
        Relations relations = new(student, teacher, options);
        double[] losses = new double[parts.Length];
        UpdateOps.ShareItems(context, parts.Length, i => losses[i] = relations.Of(parts[i], null, null, 0));
        double value = losses.Sum() / (tokens * options.Heads);
        Tensor loss = context.Rent(1, 1);
        loss.Span[0] = (float)value;
        if (context.Records(student.A, student.B))
        {
            Record(context, student, relations, parts, tokens * options.Heads, loss);
        }

        return new FeatureLoss(loss, value);
    }

    private static void Record(ComputeContext context, RelationSide student, Relations relations, SequenceRows[] parts, double divisor, Tensor loss) => context.Record(loss, () =>
    {
        float factor = (float)(loss.Gradient!.Span[0] / divisor);
        Tensor? ofA = student.A.NeedsGradient ? context.GradientOf(student.A) : null, ofB = student.B.NeedsGradient ? context.GradientOf(student.B) : null;
        UpdateOps.ShareItems(context, parts.Length, i => relations.Of(parts[i], ofA, ofB, factor));
    });

    private static void Check(RelationSide side, int rows, AttentionRelationOptions options)
    {
        (Tensor a, Tensor b) = (side.A, side.B);
        bool repeats = b.Columns > 0 && a.Columns % b.Columns == 0 && (a.Columns == b.Columns || (side.HeadDim > 0 && b.Columns % side.HeadDim == 0));
        if (options.Heads < 1 || options.Count < 0 || a.Rows != rows || b.Rows != rows || !repeats || a.Columns % options.Heads != 0)
        {
            throw new ArgumentException($"Relations of {options.Heads} heads cannot be made of {a.Rows} x {a.Columns} and {b.Rows} x {b.Columns} values with heads of {side.HeadDim}, for {rows} rows.",
                nameof(side));
        }
    }

    private sealed class Relations(RelationSide student, RelationSide teacher, AttentionRelationOptions options)
    {
        /// <summary>The sum over heads and tokens of one sequence; with tensors for gradients, adds <paramref name="factor"/> times them.</summary>
        public double Of(SequenceRows part, Tensor? gradientA, Tensor? gradientB, float factor)
        {
            int rows = part.Rows;
            using Side s = new(student, part), t = new(teacher, part);
            bool isBackward = gradientA is not null || gradientB is not null;
            float[] flows = isBackward ? ArrayPool<float>.Shared.Rent(rows * student.A.Columns) : []; // into B, with every head of its own
            flows.AsSpan().Clear();
            double[] room = ArrayPool<double>.Shared.Rent(2 * Math.Max(1, rows));
            double loss = 0;
            for (int head = 0; head < options.Heads; head++)
            {
                for (int i = 0; i < rows; i++)
                {
                    int seen = options.IsCausal ? i + 1 : rows;
                    Span<double> p = room.AsSpan(0, seen), q = room.AsSpan(rows, seen);
                    t.Scores(head, options.Heads, i, p);
                    s.Scores(head, options.Heads, i, q);
                    loss += Compare(p, q);
                    if (isBackward)
                    {
                        s.Flow(head, options.Heads, i, q, factor, gradientA, flows);
                    }
                }
            }

            if (gradientB is not null)
            {
                s.Fold(flows, gradientB);
            }

            ArrayPool<double>.Shared.Return(room);
            if (isBackward)
            {
                ArrayPool<float>.Shared.Return(flows);
            }

            return loss;
        }

        /// <summary>The distance of a token's scores; leaves the gradient of the student's in their place.</summary>
        private double Compare(Span<double> p, Span<double> q)
        {
            double loss = 0;
            if (options.ComparesScores)
            {
                for (int j = 0; j < p.Length; j++)
                {
                    double difference = q[j] - p[j];
                    loss += difference * difference / p.Length;
                    q[j] = 2 * difference / p.Length;
                }

                return loss;
            }

            double logOfP = LogSum(p), logOfQ = LogSum(q);
            for (int j = 0; j < p.Length; j++)
            {
                double logP = p[j] - logOfP, logQ = q[j] - logOfQ, probability = Math.Exp(logP);
                loss += probability == 0 ? 0 : probability * (logP - logQ);
                q[j] = Math.Exp(logQ) - probability;
            }

            return loss;
        }

        private static double LogSum(ReadOnlySpan<double> scores)
        {
            double largest = TensorPrimitives.Max(scores), sum = 0;
            foreach (double score in scores)
            {
                sum += Math.Exp(score - largest);
            }

            return largest + Math.Log(sum);
        }
    }

    /// <summary>One side's rows of a sequence, with B as wide as A.</summary>
    private sealed class Side : IDisposable
    {
        private readonly RelationSide _side;
        private readonly SequenceRows _part;
        private readonly int _width;
        private readonly int _repeats;
        private readonly float[]? _wide;

        public Side(RelationSide side, SequenceRows part)
        {
            (_side, _part, _width, _repeats) = (side, part, side.A.Columns, side.A.Columns / side.B.Columns);
            if (_repeats == 1)
            {
                return;
            }

            _wide = ArrayPool<float>.Shared.Rent(part.Rows * _width);
            for (int row = 0; row < part.Rows; row++)
            {
                ReadOnlySpan<float> narrow = side.B.Row(part.FirstRow + row);
                for (int column = 0; column < _width; column += side.HeadDim)
                {
                    narrow.Slice(column / side.HeadDim / _repeats * side.HeadDim, side.HeadDim).CopyTo(_wide.AsSpan((row * _width) + column));
                }
            }
        }

        /// <summary>The scores of token i with the first tokens.</summary>
        public void Scores(int head, int heads, int i, Span<double> scores)
        {
            int size = _width / heads;
            ReadOnlySpan<float> a = A(i).Slice(head * size, size);
            double scale = 1 / Math.Sqrt(size);
            for (int j = 0; j < scores.Length; j++)
            {
                scores[j] = Lanes.Dot(a, B(j).Slice(head * size, size)) * scale;
            }
        }

        /// <summary>Adds what flows from the scores of token i into A, and into B as wide as A.</summary>
        public void Flow(int head, int heads, int i, ReadOnlySpan<double> slopes, float factor, Tensor? gradientA, Span<float> flows)
        {
            int size = _width / heads;
            ReadOnlySpan<float> a = A(i).Slice(head * size, size);
            Span<float> ofA = gradientA is null ? default : gradientA.Row(_part.FirstRow + i).Slice(head * size, size);
            for (int j = 0; j < slopes.Length; j++)
            {
                float slope = (float)(slopes[j] / Math.Sqrt(size)) * factor;
                if (gradientA is not null)
                {
                    TensorPrimitives.MultiplyAdd(B(j).Slice(head * size, size), slope, ofA, ofA);
                }

                Span<float> ofB = flows.Slice((j * _width) + (head * size), size);
                TensorPrimitives.MultiplyAdd(a, slope, ofB, ofB);
            }
        }

        /// <summary>Adds what flowed into B as wide as A to its gradient: heads that share one are added up.</summary>
        public void Fold(ReadOnlySpan<float> flows, Tensor gradientB)
        {
            int head = _repeats == 1 ? _width : _side.HeadDim;
            for (int row = 0; row < _part.Rows; row++)
            {
                Span<float> gradient = gradientB.Row(_part.FirstRow + row);
                for (int column = 0; column < _width; column += head)
                {
                    Span<float> target = gradient.Slice(column / head / _repeats * head, head);
                    TensorPrimitives.Add(target, flows.Slice((row * _width) + column, head), target);
                }
            }
        }

        public void Dispose()
        {
            if (_wide is not null)
            {
                ArrayPool<float>.Shared.Return(_wide);
            }
        }

        private ReadOnlySpan<float> A(int row) => _side.A.Row(_part.FirstRow + row);

        private ReadOnlySpan<float> B(int row) => _wide is null ? _side.B.Row(_part.FirstRow + row) : _wide.AsSpan(row * _width, _width);
    }
}
