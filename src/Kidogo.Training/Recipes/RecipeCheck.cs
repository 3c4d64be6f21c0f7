// What does not go together in a recipe. Reads no files.
using Kidogo.Tensors.Ops;
using Kidogo.Training.Schedules;

namespace Kidogo.Training.Recipes;

/// <summary>Finds fields that contradict each other.</summary>
internal static class RecipeCheck
{
    /// <exception cref="RecipeException">Two fields contradict each other; both are named.</exception>
    public static void Contradictions(Recipe recipe)
    {
        if (recipe.Data.Sources.Count == 0)
        {
            throw new RecipeException("The recipe names no data. Give data: FOLDER in the file, or --data FOLDER.");
        }

        if (recipe.Data.Sources.Count > 1 && recipe.IsRandom)
        {
            throw new RecipeException("data: random stands alone; it cannot be mixed with texts.");
        }

        int weighted = recipe.Data.Sources.Count(source => source.Weight is not null);
        if (weighted > 0 && weighted < recipe.Data.Sources.Count)
        {
            throw new RecipeException($"{weighted} of {recipe.Data.Sources.Count} sources of data have a weight. Give all of them one, or none.");
        }

        AtMostOne(("steps", recipe.Stop.Steps is not null), ("tokens", recipe.Stop.Tokens is not null), ("minutes", recipe.Stop.Minutes is not null));
        bool isTaught = recipe.Distillation is not null; // then `student` is the field of both
        AtMostOne((isTaught ? "student" : "from", recipe.Model.From is not null), (isTaught ? "student" : "size", recipe.Model.Size is not null), ("shape", recipe.Model.Shape is not null));
        if (recipe.Adapter is not null && recipe.Model.From is null)
        {
            throw new RecipeException("An adapter needs the model that it hangs on. Name it: kidogo adapt MODEL, or from: MODEL in the recipe.");
        }

        if (recipe.Distillation is { } taught)
        {
            Distillation(recipe, taught);
        }

        if (recipe.Preference is { } preference && (preference.Kind is null || recipe.Model.From is null || recipe.Distillation is not null || recipe.IsRandom))
        {
            throw new RecipeException(preference.Kind is null ? "beta, liked_weight and disliked_weight belong to task: dpo or kto. Give the task, or leave them out."
                : recipe.Model.From is null ? "Preferences are learned by a model that answers already. Name it: kidogo prefer MODEL, or from: MODEL in the recipe."
                : recipe.IsRandom ? "data: random has no preferences. Give .jsonl files of them." : "Preferences and a teacher cannot be learned from at once: leave out the fields of one of them.");
        }

        if (recipe.Precision.QuantizationAware is { } format && (QuantizationAware.FormatOf(format) is null || recipe.Adapter is not null || recipe.Precision.IsBFloat16))
        {
            throw new RecipeException(recipe.Adapter is not null ? "quantization_aware trains the model's own weights, not an adapter's: leave it out, or use kidogo train --from MODEL."
                : recipe.Precision.IsBFloat16 ? "quantization_aware sees weights as the file will have them, which precision: bf16 would round again. Leave one of them out."
                : $"quantization_aware: {format} is no format of blocks that weights can be rounded to. Take Q4_0, TQ2_0, Q1_0 or another that kidogo quantize --help lists.");
        }

        bool judges = recipe.Output.EvalEvery != 0 && recipe.Data.HeldOut > 0 && !recipe.IsRandom;
        if (!judges && (recipe.Stop.Patience is not null || recipe.Distillation is { Compares: true }))
        {
            throw new RecipeException($"{(recipe.Stop.Patience is not null ? "patience" : "compare")} goes by the loss on held-out texts, but there are none (held_out, eval_every, or data: random). Hold some out and evaluate.");
        }

        if (recipe.Output.Measure is { } text && (recipe.IsRandom || !File.Exists(text)))
        {
            throw new RecipeException(recipe.IsRandom ? "measure needs a tokenizer, which random ids do not have. Leave one of them out." : $"measure: there is no file {text}.");
        }

        if (recipe.Batch is { Sequences: { } batch, Accumulate: { } accumulate } && batch % accumulate != 0)
        {
            throw new RecipeException($"accumulate: {accumulate} does not divide batch: {batch}. Micro-batches are of one size: take a divisor of the batch.");
        }

        if (recipe.Stop.Steps is { } steps && recipe.Optimizer.Warmup is { } warmup && warmup > steps)
        {
            throw new RecipeException($"warmup: {warmup} is more than steps: {steps}. The learning rate would never reach its height; shorten the warm-up.");
        }

        OptimizerRecipe optimizer = recipe.Optimizer;
        OptimizerKind kind = optimizer.Kind;
        Belongs("nesterov", optimizer.Nesterov is not null, kind is OptimizerKind.Sgd, "sgd", kind);
        Belongs("momentum", optimizer.Momentum is not null, kind is OptimizerKind.Sgd or OptimizerKind.Muon, "sgd and muon", kind);
        Belongs("matrix_learning_rate", optimizer.MatrixLearningRate is not null, kind is OptimizerKind.Muon, "muon", kind);
        Belongs("beta1", optimizer.Beta1 is not null, kind is OptimizerKind.AdamW or OptimizerKind.Lion or OptimizerKind.Muon, "adamw, lion and muon", kind);
        Belongs("beta2", optimizer.Beta2 is not null, kind is OptimizerKind.AdamW or OptimizerKind.Lion or OptimizerKind.Muon, "adamw, lion and muon", kind);
        Belongs("epsilon", optimizer.Epsilon is not null, kind is OptimizerKind.AdamW or OptimizerKind.Muon, "adamw and muon", kind);
        if (optimizer is { Nesterov: true, Momentum: 0 })
        {
            throw new RecipeException("nesterov: true looks ahead by the momentum, but momentum is 0. Give a momentum, or leave nesterov out.");
        }

        if (optimizer.DecayShare is not null && optimizer.Schedule != ScheduleKind.WarmupStableDecay)
        {
            throw new RecipeException("decay_share belongs to schedule: wsd. Take that schedule, or leave decay_share out.");
        }
    }

    private static void Distillation(Recipe recipe, DistillationRecipe taught)
    {
        if (recipe.Adapter is not null)
        {
            throw new RecipeException("An adapter learns from texts, not from a teacher: leave out the fields of one of them.");
        }

        if (taught.Teacher.Length == 0 && (taught.Outputs is null || taught.EveryLayer > 0))
        {
            throw new RecipeException("Distillation needs a teacher. Name it: kidogo distil --teacher MODEL, or teacher: MODEL in the recipe.");
        }

        if (!taught.NeedsTeacher && taught.LabelWeight == 0)
        {
            throw new RecipeException("teacher_weight, label_weight and the weights of features are all 0: there is nothing to learn. Give one of them.");
        }

        AtMostOne(("student", taught.EveryLayer > 0), ("from", recipe.Model.From is not null), ("size", recipe.Model.Size is not null), ("shape", recipe.Model.Shape is not null));
        if (taught.OnPolicy > 0 && !taught.NeedsTeacher)
        {
            throw new RecipeException("on_policy: of the student's own texts only the teacher's terms count, but their weights are 0. Give teacher_weight, or leave on_policy out.");
        }

        bool isOfOther = taught.Distance == ResponseDistance.SortedProbabilities;
        if (taught.Features.IsAny && (recipe.Precision.CheckpointActivations || recipe.Precision.IsBFloat16 || isOfOther || taught.Outputs is not null))
        {
            string other = taught.Outputs is not null ? "teacher_outputs, which has answers only" : isOfOther ? "distance: uld, whose teacher has other tokens"
                : recipe.Precision.IsBFloat16 ? "precision: bf16" : "checkpoint_activations, which does not keep them";
            throw new RecipeException($"Losses of hidden states and relations cannot be had with {other}. Leave one of them out.");
        }

        if (taught.Outputs is not null && (taught.OnPolicy > 0 || taught.Distance != ResponseDistance.ForwardKl))
        {
            throw new RecipeException("teacher_outputs holds a part of the teacher's answers to the data's texts: it goes with distance: forward-kl, and not with on_policy. Leave one of them out.");
        }
    }

    private static void AtMostOne(params (string Name, bool IsGiven)[] fields)
    {
        string[] given = [.. fields.Where(field => field.IsGiven).Select(field => field.Name)];
        if (given.Length > 1)
        {
            throw new RecipeException($"{string.Join(" and ", given)} contradict each other. Keep one of them.");
        }
    }

    private static void Belongs(string field, bool isGiven, bool fits, string to, OptimizerKind kind)
    {
        if (isGiven && !fits)
        {
            throw new RecipeException($"{field} belongs to optimizer {to}, but the optimizer is {kind.ToString().ToLowerInvariant()}. Leave it out, or take "
                + "another optimizer.");
        }
    }
}
