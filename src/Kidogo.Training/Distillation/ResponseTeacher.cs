// A model whose answers another learns to give: loaded once, in whatever format it is, never changed. Knows no optimiser.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Kidogo.Text.Tokenizers;
using Kidogo.Training.Recipes;

namespace Kidogo.Training.Distillation;

/// <summary>What a micro-batch's terms were, before their weights.</summary>
/// <param name="Loss">[1, 1]: the sum that gradients are found of.</param>
/// <param name="Value">The same in double.</param>
/// <param name="Labels">The cross entropy with the texts' own tokens.</param>
/// <param name="Teacher">The distance from the teacher.</param>
internal readonly record struct TaughtLoss(Tensor Loss, double Value, double Labels, double Teacher);

/// <summary>A teacher of responses.</summary>
internal sealed class ResponseTeacher : IDisposable
{
    private readonly LoadedModel _loaded;
    private readonly ComputeContext _context;
    private readonly DistillationRecipe _recipe;
    private readonly SequenceBatch _sequences = new();
    private readonly List<int> _targets = [];
    private int? _mark;

    private ResponseTeacher(LoadedModel loaded, ComputeContext context, DistillationRecipe recipe) => (_loaded, _context, _recipe) = (loaded, context, recipe);

    /// <summary>Opens a teacher and makes sure that a student can learn from it.</summary>
    /// <param name="recipe">Which, and how.</param>
    /// <param name="student">The student.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="contextLength">Tokens of a sequence.</param>
    /// <param name="threads">Threads.</param>
    /// <exception cref="RecipeException">They do not fit; the message says what does.</exception>
    public static ResponseTeacher Open(DistillationRecipe recipe, DecoderModel student, Tokenizer tokenizer, int contextLength, int threads)
    {
        string path = new ModelLocator(ModelPlaces.FromEnvironment()).Locate(recipe.Teacher);
        ComputeContext context = ComputeContext.Inference(threads);
        LoadedModel? loaded = null;
        try
        {
            loaded = ModelLoader.Load(path, context);
            Check(recipe, loaded, student, tokenizer, contextLength);
            return new ResponseTeacher(loaded, context, recipe);
        }
        catch
        {
            loaded?.Dispose();
            context.Dispose();
            throw;
        }
    }

    /// <summary>The loss of a micro-batch.</summary>
    /// <param name="student">The student.</param>
    /// <param name="context">The training context.</param>
    /// <param name="batch">The micro-batch.</param>
    /// <param name="sequences">The same as sequences, which have to stay until the backward pass is over.</param>
    /// <param name="targets">Their targets.</param>
    /// <param name="options">What the labels' term is, with the targets of the whole step.</param>
    public TaughtLoss Loss(DecoderModel student, ComputeContext context, TokenBatch batch, SequenceBatch sequences, ReadOnlySpan<int> targets, CrossEntropyOptions options)
    {
        Tensor logits = student.Forward(context, sequences);
        Tensor taught = Logits(batch, student.Config.VocabSize);
        CrossEntropyResult labels = CrossEntropyOp.Apply(context, logits, targets, options);
        CrossEntropyResult teacher = ResponseLossOp.Apply(context, logits, taught, targets, new ResponseLossOptions
        {
            Distance = _recipe.Distance,
            Temperature = _recipe.Temperature,
            Mix = _recipe.Mix,
            ScalesByTemperature = _recipe.Distance == ResponseDistance.ForwardKl,
            Count = options.Count,
        });
        Tensor sum = AddOp.Apply(context, ScaleOp.Apply(context, labels.Loss, (float)_recipe.LabelWeight), ScaleOp.Apply(context, teacher.Loss, (float)_recipe.TeacherWeight));
        return new TaughtLoss(sum, (_recipe.LabelWeight * labels.Value) + (_recipe.TeacherWeight * teacher.Value), labels.CrossEntropy, teacher.Value);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _sequences.Dispose();
        _loaded.Dispose();
        _context.Dispose();
    }

    /// <summary>The teacher's logits [T, V], valid until the next call. Rows that the teacher's embedding has beyond the student's have no token.</summary>
    private Tensor Logits(TokenBatch batch, int vocabulary)
    {
        _context.ReleaseTo(_mark ??= _context.Mark());
        BatchSequences.Fill(batch, _sequences, _targets);
        Tensor logits = _loaded.Model.Forward(_context, _sequences);
        if (logits.Columns == vocabulary)
        {
            return logits;
        }

        Tensor cut = _context.Rent(logits.Rows, vocabulary);
        for (int row = 0; row < logits.Rows; row++)
        {
            logits.Row(row)[..vocabulary].CopyTo(cut.Row(row));
        }

        return cut;
    }

    private static void Check(DistillationRecipe recipe, LoadedModel teacher, DecoderModel student, Tokenizer tokenizer, int contextLength)
    {
        const string Advice = "Give a student that was made with the teacher's tokenizer, or a new one of a size (--student 10M), which takes it over.";
        if (contextLength > teacher.Config.ContextLength)
        {
            throw new RecipeException($"context: {contextLength} is more than the {teacher.Config.ContextLength} positions that the teacher {recipe.Teacher} was made for. Take a shorter context.");
        }

        if (student.Config.VocabSize > teacher.Config.VocabSize)
        {
            throw new RecipeException($"The student has a vocabulary of {student.Config.VocabSize}, the teacher {recipe.Teacher} one of {teacher.Config.VocabSize}. {Advice}");
        }

        ModelText text = ModelText.Of(teacher.Header);
        if (!text.HasTokenizer)
        {
            return; // random ids
        }

        for (int id = 0; id < tokenizer.VocabularySize; id++)
        {
            string theirs = id < text.Tokenizer.VocabularySize ? text.Tokenizer.TokenText(id) : "nothing";
            if (theirs != tokenizer.TokenText(id))
            {
                throw new RecipeException($"The student and the teacher {recipe.Teacher} have different tokenizers: the token {id} is \"{tokenizer.TokenText(id)}\" to one and \"{theirs}\" to the other. {Advice}");
            }
        }
    }
}
