// A loss of what lies between embedding and head. Knows no responses and no files.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Training.Distillation;

/// <summary>A term of the loss that compares states of layers.</summary>
/// <param name="name">Its name in logs.</param>
/// <param name="weight">What it is multiplied by.</param>
internal abstract class FeatureTerm(string name, double weight)
{
    public string Name => name;

    public double Weight => weight;

    /// <summary>Layers of the student and of the teacher whose outputs are compared.</summary>
    public virtual IReadOnlyList<(int Student, int Teacher)> Hidden => [];

    /// <summary>Layers of both whose queries, keys and values are compared.</summary>
    public virtual IReadOnlyList<(int Student, int Teacher)> Attention => [];

    /// <summary>What is trained along, and is thrown away with the teacher.</summary>
    public virtual IReadOnlyList<ModelParameter> Parameters => [];

    /// <summary>The term of a micro-batch, before its weight: those of all micro-batches of a step add up to the mean over its tokens.</summary>
    /// <param name="context">The training context.</param>
    /// <param name="student">The student's states.</param>
    /// <param name="teacher">The teacher's.</param>
    /// <param name="batch">The micro-batch.</param>
    /// <param name="tokens">Tokens of the whole step.</param>
    public abstract FeatureLoss Of(ComputeContext context, LayerTaps student, LayerTaps teacher, TokenBatch batch, long tokens);

    protected static FeatureLoss Scaled(ComputeContext context, FeatureLoss loss, double factor) => new(ScaleOp.Apply(context, loss.Loss, (float)factor), loss.Value * factor);

    protected static FeatureLoss Sum(ComputeContext context, IEnumerable<FeatureLoss> losses) =>
        losses.Aggregate((sum, next) => new FeatureLoss(AddOp.Apply(context, sum.Loss, next.Loss), sum.Value + next.Value));
}
