// What a run is going to be, said before it starts. Computes nothing.
using Kidogo.Models;
using Kidogo.Training.Recipes;

namespace Kidogo.Training;

/// <summary>What a run is going to be.</summary>
/// <param name="Config">The model.</param>
/// <param name="Recipe">The recipe with all that was chosen.</param>
/// <param name="Memory">What it will take of memory.</param>
/// <param name="Steps">Steps in all.</param>
/// <param name="FirstStep">Steps that were made before.</param>
/// <param name="SecondsPerStep">Measured with a step or two that change nothing; 0 where it was not.</param>
/// <param name="TrainingTokens">Tokens of the texts that are trained on; 0 for random ids.</param>
public sealed record TrainingPlan(DecoderConfig Config, Recipe Recipe, MemoryPlan Memory, long Steps, long FirstStep, double SecondsPerStep,
    long TrainingTokens)
{
    /// <summary>Weights that are trained: all, or those of the adapter.</summary>
    public long TrainableParameters { get; init; } = Config.ParameterCount;

    /// <summary>Tokens of a step.</summary>
    public long TokensPerStep => (long)Recipe.Batch.Sequences!.Value * Recipe.Batch.Context!.Value;

    /// <summary>Weights.</summary>
    public long Parameters => Config.ParameterCount;

    /// <summary>Time that the steps left will take.</summary>
    public TimeSpan Expected => TimeSpan.FromSeconds(Math.Min(SecondsPerStep * (Steps - FirstStep), 1e9));

    /// <summary>Floating-point operations for each token, counted as is usual for training: 6 a parameter, and 12 · layers · hidden · context for
    /// attention.</summary>
    public double FlopsPerToken => (6.0 * Parameters) + (12.0 * Config.NumLayers * Config.HiddenSize * Recipe.Batch.Context!.Value);
}

/// <summary>A step as it is logged.</summary>
/// <param name="Step">The step, counted from 1: a checkpoint step-N has made N.</param>
/// <param name="Loss">The loss before the step, in nats a token.</param>
/// <param name="LearningRate">The learning rate of the step.</param>
/// <param name="GradientNorm">The norm of the gradients before clipping.</param>
/// <param name="Tokens">Tokens read so far.</param>
/// <param name="TokensPerSecond">Of this step alone.</param>
/// <param name="Evaluation">What the held-out text gave after the step; null where it was not asked.</param>
public sealed record StepRecord(long Step, double Loss, double LearningRate, double GradientNorm, long Tokens, double TokensPerSecond,
    EvaluationRecord? Evaluation = null)
{
    /// <summary>Weights that are trained, where these are an adapter's; null where they are the model's.</summary>
    public long? TrainableParameters { get; init; }

    /// <summary>Where the loss has several terms, each before its weight; else empty.</summary>
    public IReadOnlyList<LossTerm> Terms { get; init; } = [];
}

/// <summary>A part of a loss.</summary>
/// <param name="Name">Its name; a log has it as <c>name_loss</c>.</param>
/// <param name="Value">Before its weight.</param>
public sealed record LossTerm(string Name, double Value)
{
    /// <summary>The cross entropy with the texts' own tokens.</summary>
    public const string Labels = "label";

    /// <summary>The distance from a teacher's answers.</summary>
    public const string Teacher = "teacher";
}

/// <summary>What held-out text gave.</summary>
/// <param name="Loss">Nats a token.</param>
/// <param name="BitsPerByte">Bits for each byte of the text.</param>
/// <param name="Tokens">Tokens that were predicted.</param>
public sealed record EvaluationRecord(double Loss, double BitsPerByte, long Tokens)
{
    /// <summary>Of preferences: the share of items that is told right; null of texts.</summary>
    public double? Accuracy { get; init; }

    /// <summary>The same of each source of the data that has held-out text, in their order; empty where only one has.</summary>
    public IReadOnlyList<SourceEvaluation> Sources { get; init; } = [];
}

/// <summary>What the held-out text of one source gave.</summary>
/// <param name="Path">The source, as the recipe names it.</param>
/// <param name="Loss">Nats a token.</param>
/// <param name="BitsPerByte">Bits for each byte of the text.</param>
/// <param name="Tokens">Tokens that were predicted.</param>
public sealed record SourceEvaluation(string Path, double Loss, double BitsPerByte, long Tokens);
