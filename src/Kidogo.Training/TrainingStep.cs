// One step: gradients of all micro-batches, clipping, the optimiser. Knows no data source, no schedule and no files.
using System.Runtime.InteropServices;
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Kidogo.Training.Optimizers;

namespace Kidogo.Training;

/// <summary>What the loss of a step is, and how its gradients are cut.</summary>
/// <param name="LabelSmoothing">Share of the target that goes to all tokens alike, 0 to below 1.</param>
/// <param name="ZLoss">Factor of the mean of logsumexp², 0 or more.</param>
/// <param name="Clip">The highest norm of the gradients; 0 for no limit.</param>
public sealed record StepOptions(double LabelSmoothing = 0, double ZLoss = 0, double Clip = 1);

/// <summary>What a step measured, before it changed the weights.</summary>
/// <param name="Loss">The mean over all targets of the step, in nats, with its z-loss and smoothing.</param>
/// <param name="CrossEntropy">The loss without z-loss.</param>
/// <param name="GradientNorm">The norm over all parameters, before clipping.</param>
/// <param name="Targets">Positions that had a target.</param>
public sealed record StepOutcome(double Loss, double CrossEntropy, double GradientNorm, long Targets)
{
    /// <summary>Where the loss has several terms, each before its weight; else empty.</summary>
    public IReadOnlyList<LossTerm> Terms { get; init; } = [];
}

/// <summary>Makes steps.</summary>
/// <remarks>
/// Each micro-batch's loss is divided by the targets of the whole step, so gradients add up to those of one large batch, with masks too.
/// All that is computed depends neither on threads nor on what was computed before.
/// </remarks>
public sealed class TrainingStep : IDisposable
{
    private readonly DecoderModel _model;
    private readonly ComputeContext _context;
    private readonly Optimizer _optimizer;
    private readonly StepOptions _options;
    private readonly SequenceBatch _sequences = new();
    private readonly List<int> _targets = [];
    private readonly StepLoss? _loss;
    private readonly KeptZeros? _zeros;

    /// <summary>Prepares steps; all gradients begin at zero.</summary>
    /// <param name="model">A model whose parameters are those of the optimiser.</param>
    /// <param name="context">A training context.</param>
    /// <param name="optimizer">Changes the parameters.</param>
    /// <param name="options">What the loss is.</param>
    public TrainingStep(DecoderModel model, ComputeContext context, Optimizer optimizer, StepOptions options)
        : this(model, context, optimizer, options, null)
    {
    }

    /// <summary>Prepares steps whose loss is more than the labels', or which leave zeros as they are; the loss stays the caller's.</summary>
    internal TrainingStep(DecoderModel model, ComputeContext context, Optimizer optimizer, StepOptions options, StepLoss? loss, KeptZeros? zeros = null)
    {
        _loss = loss;
        _zeros = zeros;
        _model = model;
        _context = context;
        _optimizer = optimizer;
        _options = options;
        foreach (TrainedParameter parameter in optimizer.Parameters)
        {
            parameter.Values.ClearGradient(); // so that the first pass adds to zeros as all later ones do
        }
    }

    /// <summary>Makes a step.</summary>
    /// <param name="microBatches">The parts of the batch.</param>
    /// <param name="factor">What the schedule multiplies learning rates by.</param>
    /// <exception cref="NonFiniteLossException">The loss or a gradient is no finite number; no weight has changed.</exception>
    public StepOutcome Run(IReadOnlyList<TokenBatch> microBatches, double factor)
    {
        StepOutcome outcome = Accumulate(microBatches);
        if (!double.IsFinite(outcome.Loss) || !double.IsFinite(outcome.GradientNorm))
        {
            throw NonFiniteLossException.Of(outcome, _optimizer.Parameters, () => FirstNonFinite(microBatches));
        }

        _optimizer.Step(_context, factor, GradientClipping.Scale(outcome.GradientNorm, _options.Clip));
        _zeros?.ClearValues();
        return outcome;
    }

    /// <summary>Adds up the gradients of a step without changing weights.</summary>
    /// <param name="microBatches">The parts of the batch.</param>
    internal StepOutcome Accumulate(IReadOnlyList<TokenBatch> microBatches)
    {
        long targets = microBatches.Sum(batch => (long)batch.Scored);
        double loss = 0;
        double crossEntropy = 0;
        long tokens = microBatches.Sum(batch => (long)batch.Filled);
        Dictionary<string, double> terms = [];
        _loss?.Begin(_model, _context, microBatches);
        foreach (TokenBatch batch in microBatches.Where(batch => batch.Filled > 0))
        {
            BatchSequences.Fill(batch, _sequences, _targets);
            CrossEntropyOptions options = new() { LabelSmoothing = (float)_options.LabelSmoothing, ZLoss = (float)_options.ZLoss, Count = Math.Max(1, targets) };
            if (_loss is not null)
            {
                PartLoss part = _loss.Of(_model, _context, batch, _sequences, CollectionsMarshal.AsSpan(_targets), options, tokens);
                loss += part.Value;
                foreach ((string name, double value) in part.Terms)
                {
                    terms[name] = terms.GetValueOrDefault(name) + value;
                }

                _context.Backward(part.Loss);
                continue;
            }

            CrossEntropyResult result = _model.Loss(_context, _sequences, CollectionsMarshal.AsSpan(_targets), options);
            loss += result.Value;
            crossEntropy += result.CrossEntropy;
            _context.Backward(result.Loss);
        }

        _zeros?.ClearGradients();
        return new StepOutcome(loss, terms.GetValueOrDefault(LossTerm.Labels, crossEntropy), GradientClipping.Norm(_context, _optimizer.Parameters), targets)
        {
            Terms = [.. terms.Select(term => new LossTerm(term.Key, term.Value))],
        };
    }

    private string? FirstNonFinite(IReadOnlyList<TokenBatch> microBatches)
    {
        foreach (TokenBatch batch in microBatches.Where(batch => batch.Filled > 0))
        {
            BatchSequences.Fill(batch, _sequences, _targets);
            if (_model.FirstNonFinite(_context, _sequences) is { } found)
            {
                return found;
            }
        }

        return null;
    }

    /// <inheritdoc/>
    public void Dispose() => _sequences.Dispose();
}
