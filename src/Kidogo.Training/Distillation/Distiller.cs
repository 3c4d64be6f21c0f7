// All that a student learns from: labels, a teacher's answers, its inner states, each with its weight. Knows no optimiser.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Kidogo.Text.Tokenizers;
using Kidogo.Training.Recipes;

namespace Kidogo.Training.Distillation;

/// <summary>The loss of a student.</summary>
internal sealed class Distiller : StepLoss
{
    private readonly DistillationRecipe _recipe;
    private readonly FeatureTerm[] _features;
    private readonly LayerTaps? _ofStudent, _ofTeacher;
    private Teacher? _teacher;

    private Distiller(DistillationRecipe recipe, Teacher? teacher, FeatureTerm[] features)
    {
        (_recipe, _teacher, _features) = (recipe, teacher, features);
        if (features.Length > 0)
        {
            _ofStudent = new LayerTaps(features.SelectMany(term => term.Hidden).Select(pair => pair.Student), features.SelectMany(term => term.Attention).Select(pair => pair.Student));
            _ofTeacher = new LayerTaps(features.SelectMany(term => term.Hidden).Select(pair => pair.Teacher), features.SelectMany(term => term.Attention).Select(pair => pair.Teacher));
        }
    }

    /// <summary>What is trained beside the student.</summary>
    public IReadOnlyList<ModelParameter> Parameters => [.. _features.SelectMany(term => term.Parameters)];

    /// <summary>The teacher's model where it is one with the student's tokenizer.</summary>
    public ModelTeacher? Model => _teacher as ModelTeacher;

    /// <summary>The teacher's answers where they are stored.</summary>
    public TeacherOutputs? Stored => (_teacher as StoredTeacher)?.Outputs;

    /// <summary>Opens the teacher, and makes sure that the student can learn from it.</summary>
    /// <param name="recipe">The whole recipe.</param>
    /// <param name="student">The student.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="outputs">The teacher's answers where they are stored; disposed with this. Null for none.</param>
    /// <param name="threads">Threads.</param>
    /// <exception cref="RecipeException">They do not fit; the message says what does.</exception>
    public static Distiller Open(Recipe recipe, DecoderModel student, Tokenizer tokenizer, TeacherOutputs? outputs, int threads)
    {
        DistillationRecipe taught = recipe.Distillation!;
        Teacher? teacher = !taught.NeedsTeacher ? null
            : outputs is not null ? new StoredTeacher(taught, outputs)
            : taught.Distance == ResponseDistance.SortedProbabilities ? OtherTokenizerTeacher.Open(taught, recipe.Model.LoadAs, tokenizer, threads)
            : ModelTeacher.Open(taught, recipe.Model.LoadAs, student, tokenizer, recipe.Batch.Context!.Value, threads);
        try
        {
            return new Distiller(taught, teacher, teacher?.Config is { } config ? [.. Terms(taught.Features, student.Config, config, recipe.Output.Seed)] : []);
        }
        catch
        {
            teacher?.Dispose();
            throw;
        }
    }

    /// <summary>From now on the teacher's answers are those that are stored; its model is not needed any more.</summary>
    public void UseStored(TeacherOutputs outputs)
    {
        _teacher?.Dispose();
        _teacher = new StoredTeacher(_recipe, outputs);
    }

    /// <inheritdoc/>
    public override PartLoss Of(DecoderModel model, ComputeContext context, TokenBatch batch, SequenceBatch sequences, ReadOnlySpan<int> targets, CrossEntropyOptions options, long tokens)
    {
        sequences.Taps = _ofStudent;
        Tensor logits = model.Forward(context, sequences);
        sequences.Taps = null;
        List<LossTerm> terms = [];
        Tensor? sum = null;
        double value = 0;
        void Add(string name, double weight, Tensor loss, double part)
        {
            terms.Add(new LossTerm(name, part));
            if (weight > 0)
            {
                Tensor weighted = ScaleOp.Apply(context, loss, (float)weight);
                sum = sum is null ? weighted : AddOp.Apply(context, sum, weighted);
                value += weight * part;
            }
        }

        if (!batch.IsSampled)
        {
            CrossEntropyResult labels = CrossEntropyOp.Apply(context, logits, targets, options);
            Add(LossTerm.Labels, _recipe.LabelWeight, labels.Loss, labels.CrossEntropy);
            value += _recipe.LabelWeight * (labels.Value - labels.CrossEntropy);
        }

        if (_teacher is not null)
        {
            CrossEntropyResult taught = _teacher.Compare(context, logits, batch, targets, options.Count, _ofTeacher);
            Add(LossTerm.Teacher, _recipe.TeacherWeight, taught.Loss, taught.Value);
        }

        foreach (FeatureTerm term in _features)
        {
            FeatureLoss loss = term.Of(context, _ofStudent!, _ofTeacher!, batch, tokens);
            Add(term.Name, term.Weight, loss.Loss, loss.Value);
        }

        return new PartLoss(sum!, value, terms);
    }

    /// <inheritdoc/>
    public override void Dispose() => _teacher?.Dispose();

    private static IEnumerable<FeatureTerm> Terms(FeatureRecipe recipe, DecoderConfig student, DecoderConfig teacher, ulong seed)
    {
        if (recipe.HiddenWeight > 0)
        {
            yield return new HiddenTerm(recipe, student, teacher, seed);
        }

        (AttentionRelation Relation, double Weight)[] relations = [(AttentionRelation.Attention, recipe.AttentionWeight), (AttentionRelation.Query, recipe.QueryWeight),
            (AttentionRelation.Key, recipe.KeyWeight), (AttentionRelation.Value, recipe.ValueWeight)];
        foreach ((AttentionRelation relation, double weight) in relations.Where(each => each.Weight > 0))
        {
            yield return new AttentionTerm(relation, weight, recipe, student, teacher);
        }

        (ExampleRelation Relation, string Name, double Weight)[] examples = [(ExampleRelation.Distance, "distance", recipe.DistanceWeight), (ExampleRelation.Angle, "angle", recipe.AngleWeight),
            (ExampleRelation.Similarity, "similarity", recipe.SimilarityWeight), (ExampleRelation.Alignment, "alignment", recipe.AlignmentWeight)];
        foreach ((ExampleRelation relation, string name, double weight) in examples.Where(each => each.Weight > 0))
        {
            yield return new ExampleTerm(relation, name, weight, recipe.Examples, student, teacher);
        }
    }
}
