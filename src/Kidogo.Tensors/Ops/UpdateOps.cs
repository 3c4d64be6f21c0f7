// Changes of weights by their gradients, shared by all threads in pieces of one size. Knows no schedules and no parameter names.
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>The steps of optimisers, one parameter at a time. All clear the gradient; none depends on the number of threads.</summary>
public static class UpdateOps
{
    private const int Piece = 16 * 1024; // values: a piece with its gradient and states stays within a core's cache

    /// <summary>Σ x², in float64 and always in one order.</summary>
    public static double SumOfSquares(ComputeContext context, Tensor x)
    {
        double[] parts = new double[Pieces(x.Length)];
        Share(context, x.Length, (start, length) => parts[start / Piece] = SumKernel.OfSquares(x.Span.Slice(start, length)));
        double sum = 0;
        foreach (double part in parts)
        {
            sum += part;
        }

        return sum;
    }

    /// <summary>AdamW (arXiv 1711.05101, algorithm 2), with decay apart from the gradient.</summary>
    /// <param name="context">Lends its threads.</param>
    /// <param name="parameter">[R, C], with a gradient.</param>
    /// <param name="m">The first moment, [R, C].</param>
    /// <param name="v">The second moment, [R, C].</param>
    /// <param name="step">The numbers of this step.</param>
    /// <param name="beta1">Share of the first moment that stays, 0 to 1.</param>
    /// <param name="beta2">Share of the second moment that stays, 0 to 1.</param>
    /// <param name="epsilon">Added to the root of the second moment.</param>
    public static void AdamW(ComputeContext context, Tensor parameter, Tensor m, Tensor v, UpdateStep step, double beta1, double beta2, double epsilon)
    {
        AdamWUpdate update = new(
            step.GradientScale,
            (float)(1 - (step.LearningRate * step.Decay)),
            (float)beta1,
            (float)beta2,
            (float)(step.LearningRate / (1 - Math.Pow(beta1, step.Number))),
            (float)(1 / Math.Sqrt(1 - Math.Pow(beta2, step.Number))),
            (float)epsilon);
        Run(context, update, parameter, parameter, m, v);
    }

    /// <summary>Gradient descent, with momentum where there is a state for it. Decay is added to the gradient.</summary>
    /// <param name="context">Lends its threads.</param>
    /// <param name="parameter">[R, C], with a gradient.</param>
    /// <param name="velocity">[R, C], zeros at first; null for none.</param>
    /// <param name="step">The numbers of this step.</param>
    /// <param name="momentum">Share of the velocity that stays, 0 to 1.</param>
    /// <param name="nesterov">Whether to look ahead by the momentum.</param>
    public static void Descend(ComputeContext context, Tensor parameter, Tensor? velocity, UpdateStep step, double momentum, bool nesterov)
    {
        if (velocity is null)
        {
            Run(context, new DescentUpdate(step.GradientScale, (float)step.Decay, (float)step.LearningRate), parameter, parameter, null, null);
            return;
        }

        Run(context, new MomentumUpdate(step.GradientScale, (float)step.Decay, (float)step.LearningRate, (float)momentum, nesterov), parameter, parameter, velocity, null);
    }

    /// <summary>Lion (arXiv 2302.06675, algorithm 2).</summary>
    /// <param name="context">Lends its threads.</param>
    /// <param name="parameter">[R, C], with a gradient.</param>
    /// <param name="m">The momentum, [R, C].</param>
    /// <param name="step">The numbers of this step.</param>
    /// <param name="beta1">Share of the momentum in what is followed.</param>
    /// <param name="beta2">Share of the momentum that stays.</param>
    public static void Lion(ComputeContext context, Tensor parameter, Tensor m, UpdateStep step, double beta1, double beta2)
    {
        LionUpdate update = new(step.GradientScale, (float)(1 - (step.LearningRate * step.Decay)), (float)step.LearningRate, (float)beta1, (float)beta2);
        Run(context, update, parameter, parameter, m, null);
    }

    /// <summary>Takes the gradient into a momentum and gives the direction that looks ahead by it: m ← μ m + (1 - μ) g; direction = (1 - μ) g + μ m.</summary>
    /// <param name="context">Lends its threads.</param>
    /// <param name="parameter">[R, C], with a gradient; not changed.</param>
    /// <param name="m">[R, C]</param>
    /// <param name="direction">[R, C]; receives the direction.</param>
    /// <param name="step">The numbers of this step.</param>
    /// <param name="momentum">μ, 0 to 1.</param>
    public static void Blend(ComputeContext context, Tensor parameter, Tensor m, Tensor direction, UpdateStep step, double momentum) =>
        Run(context, new BlendUpdate(step.GradientScale, (float)momentum), parameter, direction, m, null);

    /// <summary>w ← keep · w - rate · direction.</summary>
    /// <param name="context">Lends its threads.</param>
    /// <param name="w">[R, C]</param>
    /// <param name="keep">What stays of w.</param>
    /// <param name="rate">How much of the direction is taken off.</param>
    /// <param name="direction">[R, C]</param>
    public static void Follow(ComputeContext context, Tensor w, double keep, double rate, Tensor direction)
    {
        (float stays, float taken) = ((float)keep, (float)rate);
        Share(context, w.Length, (start, length) =>
        {
            Span<float> weights = w.Span.Slice(start, length);
            ReadOnlySpan<float> directions = direction.Span.Slice(start, length);
            for (int i = 0; i < weights.Length; i++)
            {
                weights[i] = (weights[i] * stays) - (taken * directions[i]);
            }
        });
    }

    /// <summary>Does pieces of <see cref="Piece"/> values, all but the last of that size.</summary>
    internal static void Share(ComputeContext context, int length, Action<int, int> piece)
    {
        if (length <= Piece)
        {
            piece(0, length);
            return;
        }

        context.Team.Run(new PieceWork(length, piece) { Items = Pieces(length) });
    }

    /// <summary>Does items 0 to <paramref name="count"/> - 1, in any order.</summary>
    internal static void ShareItems(ComputeContext context, int count, Action<int> item) => context.Team.Run(new ItemWork(item) { Items = count });

    private static int Pieces(int length) => Math.Max(1, (length + Piece - 1) / Piece);

    private static void Run<TUpdate>(ComputeContext context, TUpdate update, Tensor parameter, Tensor w, Tensor? m, Tensor? v)
        where TUpdate : struct, IUpdate
    {
        Tensor gradient = parameter.Gradient ?? throw new InvalidOperationException("The parameter has no gradient: no pass went back through it.");
        Share(context, w.Length, (start, length) => UpdateKernel.Run(
            update,
            w.Span.Slice(start, length),
            gradient.Span.Slice(start, length),
            m is null ? default : m.Span.Slice(start, length),
            v is null ? default : v.Span.Slice(start, length)));
    }

    private sealed class PieceWork(int length, Action<int, int> piece) : SharedWork
    {
        public override void Do(int item, int worker) => piece(item * Piece, Math.Min(Piece, length - (item * Piece)));
    }

    private sealed class ItemWork(Action<int> action) : SharedWork
    {
        public override void Do(int item, int worker) => action(item);
    }
}

/// <summary>The numbers of one step of an optimiser.</summary>
/// <param name="Number">The step, counted from 1.</param>
/// <param name="LearningRate">The learning rate of this step.</param>
/// <param name="Decay">Weight decay: the share of a weight that is taken off for a learning rate of 1.</param>
/// <param name="GradientScale">What gradients are multiplied by first: below 1 to clip.</param>
public readonly record struct UpdateStep(long Number, double LearningRate, double Decay, float GradientScale);
