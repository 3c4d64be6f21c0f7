// Hidden states of a student brought near a teacher's, layer by layer. Knows no other loss.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Kidogo.Training.Recipes;

namespace Kidogo.Training.Distillation;

/// <summary>The mean over layers of the student of the distance between its output and the teacher's at the same share of the depth (arXiv 1909.10351,
/// uniform strategy), through a trained projection
/// where widths differ.</summary>
internal sealed class HiddenTerm : FeatureTerm
{
    private readonly HiddenDistance _distance;
    private readonly TrainableWeight[] _projections = [];

    public HiddenTerm(FeatureRecipe recipe, DecoderConfig student, DecoderConfig teacher, ulong seed)
        : base("hidden", recipe.HiddenWeight)
    {
        _distance = recipe.HiddenDistance;
        Hidden = [.. Enumerable.Range(0, student.NumLayers).Select(layer => (layer, Math.Max(0, (int)Math.Round((double)(layer + 1) * teacher.NumLayers / student.NumLayers) - 1)))];
        if (student.HiddenSize == teacher.HiddenSize)
        {
            return;
        }

        _projections = [.. Hidden.Select(pair => new TrainableWeight(Drawn(pair.Student, teacher.HiddenSize, student.HiddenSize, seed)))];
        Parameters = [.. _projections.Select((projection, layer) => new ModelParameter($"distillation.projection.{layer}", projection.Values, IsMatrix: true))];
    }

    public override IReadOnlyList<(int Student, int Teacher)> Hidden { get; }

    public override IReadOnlyList<ModelParameter> Parameters { get; } = [];

    public override FeatureLoss Of(ComputeContext context, LayerTaps student, LayerTaps teacher, TokenBatch batch, long tokens)
    {
        IEnumerable<FeatureLoss> losses = Hidden.Select((pair, index) =>
        {
            Tensor states = student.Hidden(pair.Student);
            states = _projections.Length == 0 ? states : LinearOp.Apply(context, states, _projections[index], null);
            return HiddenLossOp.Apply(context, states, teacher.Hidden(pair.Teacher), [], _distance, tokens);
        });
        return Scaled(context, Sum(context, losses), 1.0 / Hidden.Count);
    }

    private static Tensor Drawn(int layer, int rows, int columns, ulong seed)
    {
        Tensor values = new(rows, columns);
        PlacedDraws.Normal(values.Span, PlacedDraws.Stream($"distillation.projection.{layer}", seed), 1 / Math.Sqrt(columns));
        return values;
    }
}
