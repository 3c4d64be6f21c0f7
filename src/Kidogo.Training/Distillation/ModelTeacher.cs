// A model whose answers another learns to give: loaded once, in whatever format it is, never changed. Knows no optimiser.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Ops;
using Kidogo.Text.Tokenizers;
using Kidogo.Training.Adapters;
using Kidogo.Training.Recipes;

namespace Kidogo.Training.Distillation;

/// <summary>A teacher with the student's tokenizer.</summary>
internal sealed class ModelTeacher : Teacher
{
    private readonly OpenTeacher _opened;
    private readonly SequenceBatch _sequences = new();
    private readonly List<int> _targets = [];
    private int? _mark;

    private ModelTeacher(OpenTeacher opened, DistillationRecipe recipe)
        : base(recipe) => _opened = opened;

    public override DecoderConfig Config => _opened.Loaded.Config;

    /// <summary>Opens a teacher and makes sure that a student can learn from it.</summary>
    /// <param name="recipe">Which, and how.</param>
    /// <param name="loadAs">The format that it is brought into while it is loaded; null for as its files have it.</param>
    /// <param name="student">The student.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="contextLength">Tokens of a sequence.</param>
    /// <param name="threads">Threads.</param>
    /// <exception cref="RecipeException">They do not fit; the message says what does.</exception>
    public static ModelTeacher Open(DistillationRecipe recipe, string? loadAs, DecoderModel student, Tokenizer tokenizer, int contextLength, int threads)
    {
        OpenTeacher opened = OpenTeacher.Open(recipe.Teacher, loadAs, threads);
        try
        {
            Check(recipe, opened.Loaded, student, tokenizer, contextLength);
            return new ModelTeacher(opened, recipe);
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    public override CrossEntropyResult Compare(ComputeContext context, Tensor logits, TokenBatch batch, ReadOnlySpan<int> targets, long count, LayerTaps? taps) =>
        ResponseLossOp.Apply(context, logits, Logits(batch, logits.Columns, taps), targets, Options(count));

    public override void Dispose()
    {
        _sequences.Dispose();
        _opened.Dispose();
    }

    /// <summary>The teacher's logits [T, V], valid until the next call. Rows that the teacher's embedding has beyond the student's have no token.</summary>
    public Tensor Logits(TokenBatch batch, int vocabulary, LayerTaps? taps)
    {
        ComputeContext context = _opened.Context;
        context.ReleaseTo(_mark ??= context.Mark());
        BatchSequences.Fill(batch, _sequences, _targets);
        _sequences.Taps = taps;
        Tensor logits = _opened.Loaded.Model.Forward(context, _sequences);
        if (logits.Columns == vocabulary)
        {
            return logits;
        }

        Tensor cut = context.Rent(logits.Rows, vocabulary);
        for (int row = 0; row < logits.Rows; row++)
        {
            logits.Row(row)[..vocabulary].CopyTo(cut.Row(row));
        }

        return cut;
    }

    private static void Check(DistillationRecipe recipe, LoadedModel teacher, DecoderModel student, Tokenizer tokenizer, int contextLength)
    {
        const string Advice = "Give a student that was made with the teacher's tokenizer, a new one of a size (--student 10M), which takes it over, or compare sorted probabilities (--distance uld).";
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

/// <summary>A teacher's model in memory, with what computes it.</summary>
/// <param name="Loaded">The model.</param>
/// <param name="Context">For inference.</param>
internal sealed record OpenTeacher(LoadedModel Loaded, ComputeContext Context) : IDisposable
{
    public static OpenTeacher Open(string name, string? loadAs, int threads)
    {
        ComputeContext context = ComputeContext.Inference(threads);
        try
        {
            return new OpenTeacher(ModelLoader.Load(AdaptedBase.OpenFrozen(new ModelLocator(ModelPlaces.FromEnvironment()).Locate(name), loadAs, context), context), context);
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    /// <summary>A plan of memory with what a recipe's teacher takes, where one will be opened.</summary>
    /// <param name="plan">The plan without it.</param>
    /// <param name="recipe">A resolved recipe.</param>
    public static MemoryPlan Counted(MemoryPlan plan, Recipe recipe)
    {
        if (recipe.Distillation is not { NeedsTeacher: true, Teacher.Length: > 0 } taught || File.Exists(taught.Outputs))
        {
            return plan;
        }

        using ModelHeader header = ModelHeader.Open(new ModelLocator(ModelPlaces.FromEnvironment()).Locate(taught.Teacher));
        WeightFormat? format = recipe.Model.LoadAs is { } loadAs ? RecipeField.Mix("load_as", loadAs).Format : null;
        long bytes = format is null ? header.WeightBytes : header.Config.ParameterCount * format.BlockBytes / format.BlockSize;
        return plan with { TeacherBytes = MemoryPlan.OfTeacher(header.Config, bytes, recipe) };
    }

    public void Dispose()
    {
        Loaded.Dispose();
        Context.Dispose();
    }
}
