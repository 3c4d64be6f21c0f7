// What a run is said to take of memory, beside what passes do take. Knows no process: that its peak is within a tenth was measured.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Training;
using Kidogo.Training.Recipes;

namespace Kidogo.Tests.Training;

public sealed class MemoryPlanTests
{
    private const int Vocabulary = 1000, Context = 64, Rows = 4;
    private const double Least = 0.9, Most = 1.1;

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public void Activations_AreWithinATenthOfWhatAStepRents(bool checkpoints, bool rounds)
    {
        ModelShape shape = new() { Hidden = 96, Layers = 6, Heads = 3, KvHeads = 1, HeadDim = 32, FeedForward = 256 };
        DecoderConfig config = shape.ToConfig(Vocabulary, Context);
        Recipe recipe = new()
        {
            Batch = new BatchRecipe { Context = Context, Sequences = Rows, Accumulate = 1 },
            Precision = new PrecisionRecipe { CheckpointActivations = checkpoints, IsBFloat16 = rounds },
            Optimizer = GoldenRun.AdamW,
        };
        using DecoderModel model = RandomModel.Create(config, 1);
        using ComputeContext context = ComputeContext.Training(1, checkpoints, rounds);
        using TrainingStep step = new(model, context, OptimizerFactory.Create(GoldenRun.AdamW, ModelParameters.Of(model)), new StepOptions());
        TokenBatch batch = new(Rows, Context);
        for (int row = 0; row < Rows; row++)
        {
            batch.BeginRow(0);
            batch.Add(0, [.. Enumerable.Range(0, Context + 1).Select(i => ((i * 7) + row) % Vocabulary)], [], new int[Vocabulary]);
        }

        step.Run([batch], 1);
        step.Run([batch], 1);
        long packed = 4L * shape.KvHeads * shape.HeadDim * Rows * Context * sizeof(float); // of attention, which are not on the tape
        double planned = MemoryPlan.For(config, recipe).ActivationBytes - packed;
        Assert.InRange(planned / context.TapeBytes, Least, Most);
    }
}
