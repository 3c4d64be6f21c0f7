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
        TokenBatch batch = Batch(Rows);
        step.Run([batch], 1);
        step.Run([batch], 1);
        long packed = 4L * shape.KvHeads * shape.HeadDim * Rows * Context * sizeof(float); // of attention, which are not on the tape
        double planned = MemoryPlan.For(config, recipe).ActivationBytes - packed;
        Assert.InRange(planned / context.TapeBytes, Least, Most);
    }

    [Fact]
    public void Refusal_OfATeacherThatIsTooLarge_NamesItAndWhatHelps()
    {
        const long WeightBytes = 8L << 30;
        DecoderConfig config = new ModelShape { Hidden = 96, Layers = 6, Heads = 3, KvHeads = 1, HeadDim = 32, FeedForward = 256 }.ToConfig(Vocabulary, Context);
        Recipe recipe = new() { Batch = new BatchRecipe { Context = Context, Sequences = Rows, Accumulate = 1 }, Optimizer = GoldenRun.AdamW };
        MemoryPlan alone = MemoryPlan.For(config, recipe), plan = alone with { TeacherBytes = MemoryPlan.OfTeacher(config, WeightBytes, recipe) };
        Assert.InRange(plan.TotalBytes - alone.TotalBytes, WeightBytes + (sizeof(float) * Rows * Context * Vocabulary), WeightBytes * Most);
        Kidogo.Evaluation.Machine.MachineMemory memory = new(4L << 30, 4L << 30, null);
        Assert.Null(alone.Refusal(memory, recipe));
        string refusal = plan.Refusal(memory, recipe)!;
        Assert.Contains("teacher 8", refusal, StringComparison.Ordinal);
        Assert.Contains("load_as", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void Judging_FewerRowsThanAStep_TakesNoStorageOfItsOwn()
    {
        using DecoderModel model = RandomModel.Create(new ModelShape { Hidden = 96, Layers = 3, Heads = 3, KvHeads = 1, HeadDim = 32, FeedForward = 256 }.ToConfig(Vocabulary, Context), 1);
        using ComputeContext context = ComputeContext.Training(1);
        using TrainingStep step = new(model, context, OptimizerFactory.Create(GoldenRun.AdamW, ModelParameters.Of(model)), new StepOptions());
        step.Run([Batch(Rows)], 1);
        long before = context.TapeBytes;
        using SequenceBatch sequences = new();
        List<int> targets = [];
        BatchSequences.Fill(Batch(1), sequences, targets);
        context.Judge(() => model.Loss(context, sequences, [.. targets]));
        Assert.Equal(before, context.TapeBytes);
    }

    [Fact]
    public void Muon_AfterItsFirstStep_AllocatesNoMatrix()
    {
        const int Hidden = 192, Wide = 512;
        using DecoderModel model = RandomModel.Create(new ModelShape { Hidden = Hidden, Layers = 3, Heads = 3, KvHeads = 1, HeadDim = 64, FeedForward = Wide }.ToConfig(Vocabulary, Context), 1);
        using ComputeContext context = ComputeContext.Training(1);
        OptimizerRecipe muon = GoldenRun.AdamW with { Kind = OptimizerKind.Muon };
        using TrainingStep step = new(model, context, OptimizerFactory.Create(muon, ModelParameters.Of(model)), new StepOptions());
        TokenBatch batch = Batch(Rows);
        step.Run([batch], 1);
        step.Run([batch], 1);
        long before = GC.GetAllocatedBytesForCurrentThread();
        step.Run([batch], 1);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, Hidden * Wide * sizeof(float)); // what is recorded, but no matrix
    }

    private static TokenBatch Batch(int rows)
    {
        TokenBatch batch = new(rows, Context);
        for (int row = 0; row < rows; row++)
        {
            batch.BeginRow(0);
            batch.Add(0, [.. Enumerable.Range(0, Context + 1).Select(i => ((i * 7) + row) % Vocabulary)], [], new int[Vocabulary]);
        }

        return batch;
    }
}
