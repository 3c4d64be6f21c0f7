// A loss of whole logits that is more than the labels': of a teacher, of preferences. Knows no optimiser.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Training;

/// <summary>What a micro-batch's loss is.</summary>
/// <param name="Loss">[1, 1]: the sum that gradients are found of.</param>
/// <param name="Value">The same in double.</param>
/// <param name="Terms">Where it has several terms, each before its weight.</param>
internal readonly record struct PartLoss(Tensor Loss, double Value, IReadOnlyList<LossTerm> Terms);

/// <summary>The loss of steps.</summary>
internal abstract class StepLoss : IDisposable
{
    /// <summary>Called before the first micro-batch of every step, when nothing is recorded.</summary>
    /// <param name="model">The model.</param>
    /// <param name="context">The training context.</param>
    /// <param name="batches">All micro-batches.</param>
    public virtual void Begin(DecoderModel model, ComputeContext context, IReadOnlyList<TokenBatch> batches)
    {
    }

    /// <summary>The loss of a micro-batch: those of all micro-batches of a step add up to the step's.</summary>
    /// <param name="model">The model.</param>
    /// <param name="context">The training context.</param>
    /// <param name="batch">The micro-batch.</param>
    /// <param name="sequences">The same as sequences, which have to stay until the backward pass is over.</param>
    /// <param name="targets">Their targets.</param>
    /// <param name="options">What the labels' term is, with the targets of the whole step.</param>
    /// <param name="tokens">Tokens of the whole step.</param>
    public abstract PartLoss Of(DecoderModel model, ComputeContext context, TokenBatch batch, SequenceBatch sequences, ReadOnlySpan<int> targets, CrossEntropyOptions options, long tokens);

    /// <inheritdoc/>
    public abstract void Dispose();
}
