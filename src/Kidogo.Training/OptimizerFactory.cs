// From a recipe's words to groups of parameters with their rules. Knows no schedule.
using Kidogo.Models;
using Kidogo.Training.Optimizers;
using Kidogo.Training.Recipes;

namespace Kidogo.Training;

/// <summary>Builds optimisers.</summary>
public static class OptimizerFactory
{
    /// <summary>The optimiser of a recipe whose learning rate and decay are given.</summary>
    /// <param name="recipe">What kind, with numbers.</param>
    /// <param name="parameters">All parameters of the model.</param>
    public static Optimizer Create(OptimizerRecipe recipe, IReadOnlyList<ModelParameter> parameters)
    {
        TrainedParameter[] all = [.. parameters.Select(Describe)];
        double rate = recipe.LearningRate ?? throw new ArgumentException("The recipe has no learning rate: resolve it first.", nameof(recipe));
        double decay = recipe.WeightDecay ?? throw new ArgumentException("The recipe has no weight decay: resolve it first.", nameof(recipe));
        double vectorDecay = recipe.DecayVectors ? decay : 0;
        ParameterGroup Group(IEnumerable<TrainedParameter> members, UpdateRule rule, double learningRate) =>
            new([.. members], rule, learningRate, decay, vectorDecay);
        AdamWOptions adamDefaults = new();
        AdamW adam = new(new AdamWOptions(recipe.Beta1 ?? adamDefaults.Beta1, recipe.Beta2 ?? adamDefaults.Beta2, recipe.Epsilon ?? adamDefaults.Epsilon));
        LionOptions lionDefaults = new();
        return recipe.Kind switch
        {
            OptimizerKind.Sgd =>
                new Optimizer(Group(all, new Sgd(new SgdOptions(recipe.Momentum ?? new SgdOptions().Momentum, recipe.Nesterov ?? false)), rate)),
            OptimizerKind.Lion =>
                new Optimizer(Group(all, new Lion(new LionOptions(recipe.Beta1 ?? lionDefaults.Beta1, recipe.Beta2 ?? lionDefaults.Beta2)), rate)),
            OptimizerKind.Adafactor => new Optimizer(Group(all, new Adafactor(new AdafactorOptions()), rate)),
            OptimizerKind.Muon => new Optimizer(
                Group(all.Where(parameter => parameter.Role != ParameterRole.HiddenMatrix), adam, rate),
                Group(all.Where(parameter => parameter.Role == ParameterRole.HiddenMatrix),
                    new Muon(new MuonOptions(recipe.Momentum ?? new MuonOptions().Momentum)), recipe.MatrixLearningRate ?? 0.02)),
            _ => new Optimizer(Group(all, adam, rate)),
        };
    }

    private static TrainedParameter Describe(ModelParameter parameter) => new(
        parameter.Name,
        parameter.Values,
        !parameter.IsMatrix ? ParameterRole.Vector
            : parameter.Name.StartsWith("blk.", StringComparison.Ordinal) ? ParameterRole.HiddenMatrix : ParameterRole.OuterMatrix);
}
