// Relations among tokens as examples: distances, angles, products (RKD and kin). Knows no other loss.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Training.Distillation;

/// <summary>A relation among some tokens of a micro-batch after the last layer (arXiv 1904.05068). Widths may differ, for only relations are
/// compared.</summary>
/// <param name="relation">Which.</param>
/// <param name="name">Its name in logs.</param>
/// <param name="weight">What it is multiplied by.</param>
/// <param name="examples">Tokens that are compared, evenly spread over the micro-batch.</param>
/// <param name="student">The student.</param>
/// <param name="teacher">The teacher.</param>
internal sealed class ExampleTerm(ExampleRelation relation, string name, double weight, int examples, DecoderConfig student, DecoderConfig teacher) : FeatureTerm(name, weight)
{
    public override IReadOnlyList<(int Student, int Teacher)> Hidden { get; } = [(student.NumLayers - 1, teacher.NumLayers - 1)];

    public override FeatureLoss Of(ComputeContext context, LayerTaps student, LayerTaps teacher, TokenBatch batch, long tokens)
    {
        (int ofStudent, int ofTeacher) = Hidden[0];
        Tensor states = student.Hidden(ofStudent);
        int count = Math.Min(examples, states.Rows);
        if (count < 2)
        {
            Tensor nothing = context.Rent(1, 1);
            nothing.Span.Clear();
            return new FeatureLoss(nothing, 0); // one token is related to none
        }

        int[] rows = [.. Enumerable.Range(0, count).Select(i => (int)((long)i * states.Rows / count))];
        return Scaled(context, ExampleRelationOp.Apply(context, states, teacher.Hidden(ofTeacher), rows, relation), (double)batch.Filled / tokens);
    }
}
