// A teacher that is a file of its likeliest tokens. Knows no model.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Kidogo.Training.Recipes;

namespace Kidogo.Training.Distillation;

/// <summary>Compares a student with answers that were stored before; what they leave out is one more token to both.</summary>
/// <param name="recipe">How.</param>
/// <param name="outputs">The answers; disposed with this.</param>
internal sealed class StoredTeacher(DistillationRecipe recipe, TeacherOutputs outputs) : Teacher(recipe)
{
    public TeacherOutputs Outputs => outputs;

    public override CrossEntropyResult Compare(ComputeContext context, Tensor logits, TokenBatch batch, ReadOnlySpan<int> targets, long count, LayerTaps? taps) =>
        ResponseLossOp.Apply(context, logits, outputs.Of(batch), targets, Options(count) with { Missing = MissingMass.Rest });

    public override void Dispose() => outputs.Dispose();
}
