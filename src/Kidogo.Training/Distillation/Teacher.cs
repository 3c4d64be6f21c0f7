// Where a teacher's answers come from: a model, a file, a model with another tokenizer. Knows no optimiser.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Kidogo.Training.Recipes;

namespace Kidogo.Training.Distillation;

/// <summary>A teacher of responses.</summary>
/// <param name="recipe">How its answers are compared with the student's.</param>
internal abstract class Teacher(DistillationRecipe recipe) : IDisposable
{
    /// <summary>What it does; null where only a file is there.</summary>
    public virtual DecoderConfig? Config => null;

    /// <summary>The distance of the student's logits from the teacher's answers.</summary>
    /// <param name="context">The training context.</param>
    /// <param name="logits">The student's. [T, V]</param>
    /// <param name="batch">The micro-batch.</param>
    /// <param name="targets">[T] Rows without a target count for nothing.</param>
    /// <param name="count">Targets of the whole step.</param>
    /// <param name="taps">What the teacher's pass shall leave; null for nothing.</param>
    public abstract CrossEntropyResult Compare(ComputeContext context, Tensor logits, TokenBatch batch, ReadOnlySpan<int> targets, long count, LayerTaps? taps);

    /// <inheritdoc/>
    public abstract void Dispose();

    /// <summary>The options of the op.</summary>
    protected ResponseLossOptions Options(long count) => OptionsOf(recipe, count);

    /// <summary>How a recipe's answers are compared.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="count">Targets of the whole step.</param>
    internal static ResponseLossOptions OptionsOf(DistillationRecipe recipe, long count) => new()
    {
        Distance = recipe.Distance,
        Temperature = recipe.Temperature,
        Mix = recipe.Mix,
        ScalesByTemperature = recipe.Distance == ResponseDistance.ForwardKl,
        Count = count,
    };
}
