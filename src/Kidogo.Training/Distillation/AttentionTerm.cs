// Relations between the tokens of a sequence, of a student's last layer and a layer of its teacher (MiniLM). Knows no other loss.
using System.Numerics;
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Kidogo.Training.Recipes;

namespace Kidogo.Training.Distillation;

/// <summary>What is related with what.</summary>
internal enum AttentionRelation
{
    /// <summary>Queries with keys.</summary>
    Attention,

    /// <summary>Queries with queries.</summary>
    Query,

    /// <summary>Keys with keys.</summary>
    Key,

    /// <summary>Values with values.</summary>
    Value,
}

/// <summary>A relation of attention (arXiv 2002.10957, sections 3.1 and 3.2; arXiv 2012.15828, section 3.1).</summary>
internal sealed class AttentionTerm : FeatureTerm
{
    private readonly AttentionRelation _relation;
    private readonly int _studentHead, _teacherHead, _heads;

    /// <exception cref="RecipeException">The widths cannot be divided into the heads.</exception>
    public AttentionTerm(AttentionRelation relation, double weight, FeatureRecipe recipe, DecoderConfig student, DecoderConfig teacher)
        : base(relation.ToString().ToLowerInvariant(), weight)
    {
        int layer = (recipe.RelationLayer ?? teacher.NumLayers) - 1;
        if (layer >= teacher.NumLayers)
        {
            throw new RecipeException($"relation_layer: {layer + 1} is more than the {teacher.NumLayers} layers of the teacher.");
        }

        _relation = relation;
        Attention = [(student.NumLayers - 1, layer)];
        (LayerConfig ofStudent, LayerConfig ofTeacher) = (student.Layers[^1], teacher.Layers[layer]);
        (_studentHead, _teacherHead) = (ofStudent.HeadDim, ofTeacher.HeadDim);
        bool isOfQueries = relation is AttentionRelation.Attention or AttentionRelation.Query;
        int headsOfStudent = isOfQueries ? ofStudent.NumHeads : ofStudent.NumKvHeads, headsOfTeacher = isOfQueries ? ofTeacher.NumHeads : ofTeacher.NumKvHeads;
        _heads = recipe.RelationHeads ?? (int)BigInteger.GreatestCommonDivisor(headsOfStudent, headsOfTeacher);
        (int widthOfStudent, int widthOfTeacher) = (headsOfStudent * _studentHead, headsOfTeacher * _teacherHead);
        if (widthOfStudent % _heads != 0 || widthOfTeacher % _heads != 0)
        {
            throw new RecipeException($"relation_heads: {_heads} does not divide the {Name} width of the student ({widthOfStudent}) and of the teacher ({widthOfTeacher}). Take a divisor of both, such as "
                + $"{BigInteger.GreatestCommonDivisor(widthOfStudent, widthOfTeacher)}.");
        }
    }

    public override IReadOnlyList<(int Student, int Teacher)> Attention { get; }

    public override FeatureLoss Of(ComputeContext context, LayerTaps student, LayerTaps teacher, TokenBatch batch, long tokens)
    {
        SequenceRows[] sequences = SequenceRows.OneAfterTheOther(batch.Segments.Select(segment => segment.Length));
        return AttentionRelationOp.Apply(context, Side(student.Attention(Attention[0].Student), _studentHead), Side(teacher.Attention(Attention[0].Teacher), _teacherHead), sequences,
            new AttentionRelationOptions { Heads = _heads, Count = tokens });
    }

    private RelationSide Side(AttentionStates states, int headDim) => _relation switch
    {
        AttentionRelation.Attention => new RelationSide(states.Query, states.Key, headDim),
        AttentionRelation.Query => new RelationSide(states.Query, states.Query, headDim),
        AttentionRelation.Key => new RelationSide(states.Key, states.Key, headDim),
        _ => new RelationSide(states.Value, states.Value, headDim),
    };
}
