// The loss of language models. Knows no vocabularies and no batches.
using System.Numerics.Tensors;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>What the loss of a batch of rows is.</summary>
public sealed record CrossEntropyOptions
{
    /// <summary>ε in 0 to 1: the part of the target that is spread over the whole vocabulary (Szegedy et al., arXiv 1512.00567, section 7). Default 0.</summary>
    public float LabelSmoothing { get; init; }

    /// <summary>What the mean of logsumexp² is multiplied by before it is added (Chowdhery et al., arXiv 2204.02311, section 5: 1e-4), 0 or more. Default 0.</summary>
    public float ZLoss { get; init; }

    /// <summary>What the sum over targets is divided by; 0 (the default) for the number of targets among these rows. Parts of a batch give the whole batch's, and their losses and gradients add up.</summary>
    public long Count { get; init; }

    /// <summary>Whether nothing reads the logits after this: then their gradient takes their place while they are recorded, and no second tensor of that size is needed. Default false.</summary>
    public bool OverwritesLogits { get; init; }
}

/// <summary>A loss.</summary>
/// <param name="Loss">[1, 1]: what gradients are found of.</param>
/// <param name="Value">The same in double.</param>
/// <param name="CrossEntropy">The part without the z-loss.</param>
/// <param name="Targets">Rows that have a target.</param>
public readonly record struct CrossEntropyResult(Tensor Loss, double Value, double CrossEntropy, long Targets);

/// <summary>The mean over rows with a target y of -(1 - ε) log p_y - ε mean(log p) + ζ logsumexp², with p = softmax(logits).</summary>
public static class CrossEntropyOp
{
    /// <summary>The target of a row that counts for nothing.</summary>
    public const int NoTarget = -100;

    private static readonly CrossEntropyOptions s_plain = new();

    /// <summary>Computes the loss; sums are in double and in the order of rows.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="logits">[T, V]</param>
    /// <param name="targets">[T]: an id in 0 .. V-1, or <see cref="NoTarget"/>.</param>
    /// <param name="options">What the loss is; null for plain cross entropy.</param>
    /// <returns>The loss; 0 where no row has a target. Logits that are no numbers make it no number.</returns>
    /// <exception cref="ArgumentException">There are not as many targets as rows, or a target is no column.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is outside its range.</exception>
    public static CrossEntropyResult Apply(ComputeContext context, Tensor logits, ReadOnlySpan<int> targets, CrossEntropyOptions? options = null)
    {
        options ??= s_plain;
        Check(logits.Rows, logits.Columns, targets, options);
        long present = targets.Length - targets.Count(NoTarget);
        double divisor = options.Count > 0 ? options.Count : Math.Max(1, present);
        Operation operation = context.Works.Cached<Operation>();
        bool isRecorded = context.Records(logits);
        bool isOverwritten = isRecorded && options.OverwritesLogits && !logits.IsParameter;
        operation.Begin(logits, targets, options, divisor, isOverwritten);
        context.Works.Rows.Run(context.Team, operation, logits.Rows, logits.Columns * 4);
        (double entropy, double z) = operation.Sums();
        Tensor loss = context.Rent(1, 1);
        loss.Span[0] = (float)(entropy + z);
        if (isOverwritten)
        {
            RecordOverwritten(context, logits, loss);
        }
        else if (isRecorded)
        {
            Record(context, logits, targets.ToArray(), options, divisor, loss);
        }

        return new CrossEntropyResult(loss, entropy + z, entropy, present);
    }

    /// <summary>The cross entropy and the z-loss of some rows, in parts of a whole batch, divided by <paramref name="divisor"/>.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="logits">[T, V]; where <paramref name="isOverwritten"/>, receives its gradient.</param>
    /// <param name="targets">[T]</param>
    /// <param name="options">What the loss is.</param>
    /// <param name="divisor">What sums are divided by.</param>
    /// <param name="isOverwritten">Whether gradients are asked for.</param>
    internal static (double Entropy, double Z) OfRows(ComputeContext context, Tensor logits, ReadOnlySpan<int> targets, CrossEntropyOptions options, double divisor, bool isOverwritten)
    {
        Operation operation = context.Works.Cached<Operation>();
        operation.Begin(logits, targets, options, divisor, isOverwritten);
        context.Works.Rows.Run(context.Team, operation, logits.Rows, logits.Columns * 4);
        return operation.Sums();
    }

    private static void RecordOverwritten(ComputeContext context, Tensor logits, Tensor loss)
    {
        Tensor gradient = context.Overwrite(logits);
        context.Record(loss, () =>
        {
            float upstream = loss.Gradient!.Span[0];
            if (upstream != 1)
            {
                TensorPrimitives.Multiply(gradient.Span, upstream, gradient.Span);
            }

            logits.Gradient = gradient;
        });
    }

    private static void Record(ComputeContext context, Tensor logits, int[] targets, CrossEntropyOptions options, double divisor, Tensor loss) => context.Record(loss, () =>
    {
        BackwardOperation operation = new() { Logits = logits, Targets = targets, Options = options, Factor = loss.Gradient!.Span[0] / divisor };
        operation.Gradient = context.GradientOf(logits, out operation.IsNew);
        context.Works.Rows.Run(context.Team, operation, logits.Rows, logits.Columns * 4);
    });

    internal static void Check(int rows, int classes, ReadOnlySpan<int> targets, CrossEntropyOptions options)
    {
        if (targets.Length != rows)
        {
            throw new ArgumentException($"{targets.Length} targets meet {rows} rows of logits.", nameof(targets));
        }

        for (int row = 0; row < targets.Length; row++)
        {
            if (targets[row] != NoTarget && (uint)targets[row] >= (uint)classes)
            {
                throw new ArgumentException($"The target {targets[row]} of row {row} is none of {classes} classes (0 to {classes - 1}), nor {NoTarget} for none.", nameof(targets));
            }
        }

        if (!(options.LabelSmoothing is >= 0 and <= 1) || !(options.ZLoss >= 0) || options.Count < 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(options), $"Label smoothing is {options.LabelSmoothing} (0 to 1), z-loss {options.ZLoss} (0 or more), the count {options.Count} (0 or more).");
        }
    }

    /// <summary>What row by row flows back: p · (1 + 2 ζ logsumexp) - ε / V, less 1 - ε at the target, all times <paramref name="factor"/>.</summary>
    private static (float OfExponentials, float Spread, float AtTarget) Factors(CrossEntropyOptions options, int columns, double sum, double logSum, double factor) => (
        (float)(factor * (1 + (2 * options.ZLoss * logSum)) / sum),
        (float)(factor * options.LabelSmoothing / columns),
        (float)(factor * (1 - options.LabelSmoothing)));

    /// <summary>The losses of a row, and where the logits are overwritten its gradient.</summary>
    private sealed class Operation : IRowOperation
    {
        private Tensor? _logits;
        private CrossEntropyOptions _options = s_plain;
        private int[] _targets = [];
        private double[] _entropies = [];
        private double[] _squares = [];
        private double _divisor;
        private bool _isOverwriting;
        private int _rows;

        public void Begin(Tensor logits, ReadOnlySpan<int> targets, CrossEntropyOptions options, double divisor, bool isOverwriting)
        {
            (_logits, _options, _divisor, _isOverwriting, _rows) = (logits, options, divisor, isOverwriting, targets.Length);
            if (_targets.Length < targets.Length)
            {
                (_targets, _entropies, _squares) = (new int[targets.Length], new double[targets.Length], new double[targets.Length]);
            }

            targets.CopyTo(_targets);
        }

        /// <summary>The cross entropy and the z-loss of all rows, in their order.</summary>
        public (double Entropy, double Z) Sums()
        {
            double entropy = 0, squares = 0;
            for (int row = 0; row < _rows; row++)
            {
                entropy += _entropies[row];
                squares += _squares[row];
            }

            _logits = null;
            return (entropy / _divisor, _options.ZLoss * squares / _divisor);
        }

        public void Do(int row)
        {
            Span<float> logits = _logits!.Row(row);
            int target = _targets[row];
            (_entropies[row], _squares[row]) = (0, 0);
            if (target == NoTarget)
            {
                if (_isOverwriting)
                {
                    logits.Clear();
                }

                return;
            }

            float largest = TensorPrimitives.Max(logits);
            if (!float.IsFinite(largest))
            {
                _entropies[row] = double.NaN; // exponentials of no number would be 0, and the loss would look sound
                if (_isOverwriting)
                {
                    logits.Fill(float.NaN);
                }

                return;
            }

            float atTarget = logits[target];
            double mean = _options.LabelSmoothing > 0 ? CrossEntropyKernel.Sum(logits) / logits.Length : 0;
            double sum = CrossEntropyKernel.SumOfExponentials(logits, largest, _isOverwriting ? logits : []);
            double logSum = largest + Math.Log(sum);
            _entropies[row] = logSum - ((1 - _options.LabelSmoothing) * atTarget) - (_options.LabelSmoothing * mean);
            _squares[row] = logSum * logSum;
            if (_isOverwriting)
            {
                (float ofExponentials, float rest, float less) = Factors(_options, logits.Length, sum, logSum, 1 / _divisor);
                TensorPrimitives.Multiply(logits, ofExponentials, logits);
                if (rest != 0)
                {
                    TensorPrimitives.Subtract(logits, rest, logits);
                }

                logits[target] -= less;
            }
        }
    }

    /// <summary>The gradient of a row.</summary>
    private sealed class BackwardOperation : IRowOperation
    {
        public required Tensor Logits;
        public required int[] Targets;
        public required CrossEntropyOptions Options;
        public required double Factor;
        public Tensor? Gradient;
        public bool IsNew;

        public void Do(int row)
        {
            ReadOnlySpan<float> logits = Logits.Row(row);
            Span<float> gradient = Gradient!.Row(row);
            if (Targets[row] == NoTarget)
            {
                if (IsNew)
                {
                    gradient.Clear();
                }

                return;
            }

            float largest = TensorPrimitives.Max(logits);
            if (!float.IsFinite(largest))
            {
                gradient.Fill(float.NaN);
                return;
            }

            double sum = CrossEntropyKernel.SumOfExponentials(logits, largest, []);
            (float ofExponentials, float rest, float less) = Factors(Options, logits.Length, sum, largest + Math.Log(sum), Factor);
            CrossEntropyKernel.Gradient(logits, largest, ofExponentials, rest, !IsNew, gradient);
            gradient[Targets[row]] -= less;
        }
    }
}
