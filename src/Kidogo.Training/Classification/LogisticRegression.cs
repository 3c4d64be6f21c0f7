// The head of a classifier, found: multinomial logistic regression by L-BFGS. Knows no texts and no models.
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Kidogo.Training.Classification;

/// <summary>Minimises the mean cross entropy plus λ/2 |W|². The minimum is one point, so the result depends on no order and no seed.</summary>
/// <remarks>L-BFGS with the last few steps as memory and a backtracking line search (Liu and Nocedal 1989). All of it in double.</remarks>
/// <param name="rows">[N][D] Vectors, of one size.</param>
/// <param name="classes">[N] Their classes, 0 to <paramref name="count"/> - 1.</param>
/// <param name="count">Classes, C.</param>
internal sealed class LogisticRegression(IReadOnlyList<double[]> rows, IReadOnlyList<int> classes, int count)
{
    private const int MostSteps = 300, Memory = 10;
    private const double Tolerance = 1e-7; // of the gradient's largest value

    private int Width => rows[0].Length;

    /// <summary>Finds the head.</summary>
    /// <param name="lambda">λ, above 0.</param>
    /// <param name="start">Where to begin; null for zeros.</param>
    /// <param name="cancellation">Looked at at every step.</param>
    /// <returns>[C · (D + 1)]: of each class the weights and the bias.</returns>
    public double[] Fit(double lambda, double[]? start, CancellationToken cancellation)
    {
        double[] x = start is null ? new double[count * (Width + 1)] : [.. start], gradient = new double[x.Length], next = new double[x.Length], nextGradient = new double[x.Length];
        double value = Loss(x, lambda, gradient);
        Queue<(double[] Step, double[] Change, double Inverse)> memory = new();
        for (int step = 0; step < MostSteps && Math.Abs(TensorPrimitives.MaxMagnitude<double>(gradient)) > Tolerance; step++)
        {
            cancellation.ThrowIfCancellationRequested();
            double[] direction = Direction(gradient, memory);
            double slope = TensorPrimitives.Dot<double>(direction, gradient), length = memory.Count == 0 ? 1 / Math.Max(1, TensorPrimitives.Norm<double>(gradient)) : 1, found;
            do
            {
                TensorPrimitives.MultiplyAdd(direction, length, x, next);
                found = Loss(next, lambda, nextGradient);
                length /= 2;
            }
            while (!(found <= value + (1e-4 * 2 * length * slope)) && length > 1e-12);

            if (!(found < value))
            {
                break; // as low as double knows
            }

            double[] moved = new double[x.Length], changed = new double[x.Length];
            TensorPrimitives.Subtract(next, x, moved);
            TensorPrimitives.Subtract(nextGradient, gradient, changed);
            double curvature = TensorPrimitives.Dot<double>(moved, changed);
            if (curvature > 0)
            {
                memory.Enqueue((moved, changed, 1 / curvature));
                if (memory.Count > Memory)
                {
                    memory.Dequeue();
                }
            }

            (x, next, gradient, nextGradient, value) = (next, x, nextGradient, gradient, found);
        }

        return x;
    }

    /// <summary>The loss, and its gradient.</summary>
    internal double Loss(ReadOnlySpan<double> x, double lambda, Span<double> gradient)
    {
        int stride = Width + 1;
        gradient.Clear();
        double loss = 0;
        double[] scores = new double[count];
        for (int row = 0; row < rows.Count; row++)
        {
            for (int c = 0; c < count; c++)
            {
                scores[c] = TensorPrimitives.Dot<double>(x.Slice(c * stride, Width), rows[row]) + x[(c * stride) + Width];
            }

            double largest = scores.Max(), sum = scores.Sum(score => Math.Exp(score - largest)), logSum = largest + Math.Log(sum);
            loss += logSum - scores[classes[row]];
            for (int c = 0; c < count; c++)
            {
                double flow = (Math.Exp(scores[c] - logSum) - (classes[row] == c ? 1 : 0)) / rows.Count;
                Span<double> target = gradient.Slice(c * stride, Width);
                TensorPrimitives.MultiplyAdd(rows[row], flow, target, target);
                gradient[(c * stride) + Width] += flow;
            }
        }

        loss /= rows.Count;
        for (int c = 0; c < count; c++)
        {
            ReadOnlySpan<double> weights = x.Slice(c * stride, Width);
            Span<double> target = gradient.Slice(c * stride, Width);
            loss += lambda / 2 * TensorPrimitives.SumOfSquares(weights);
            TensorPrimitives.MultiplyAdd(weights, lambda, target, target);
        }

        return loss;
    }

    /// <summary>-H⁻¹ g by the two loops of L-BFGS.</summary>
    private static double[] Direction(double[] gradient, Queue<(double[] Step, double[] Change, double Inverse)> memory)
    {
        double[] q = new double[gradient.Length];
        TensorPrimitives.Negate(gradient, q);
        (double[] Step, double[] Change, double Inverse)[] pairs = [.. memory];
        double[] shares = new double[pairs.Length];
        for (int i = pairs.Length - 1; i >= 0; i--)
        {
            shares[i] = pairs[i].Inverse * TensorPrimitives.Dot<double>(pairs[i].Step, q);
            TensorPrimitives.MultiplyAdd(pairs[i].Change, -shares[i], q, q);
        }

        if (pairs.Length > 0)
        {
            TensorPrimitives.Multiply(q, 1 / (pairs[^1].Inverse * TensorPrimitives.SumOfSquares<double>(pairs[^1].Change)), q);
        }

        for (int i = 0; i < pairs.Length; i++)
        {
            double share = pairs[i].Inverse * TensorPrimitives.Dot<double>(pairs[i].Change, q);
            TensorPrimitives.MultiplyAdd(pairs[i].Step, shares[i] - share, q, q);
        }

        return q;
    }
}
