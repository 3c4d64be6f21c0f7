// The loss on held-out texts: which of them are read, and that it takes no memory of its own.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tests.Data;
using Kidogo.Training;
using Kidogo.Training.Recipes;

namespace Kidogo.Tests.Training;

public sealed class HeldOutEvaluationTests : IDisposable
{
    private const int Context = 16, Rows = 4;
    private const double LossTolerance = 1e-5; // sums over other batches, in another order

    private readonly DataFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Run_AnyNumberOfRows_ReadsTheSameTextsAndNoMoreThanAsked()
    {
        const long Most = 100;
        using PreparedData data = Prepare();
        using DecoderModel model = Model();
        using ComputeContext context = ComputeContext.Training(1);
        EvaluationRecord one = HeldOutEvaluation.Run(model, context, data, 1, Most, CancellationToken.None)!;
        EvaluationRecord several = HeldOutEvaluation.Run(model, context, data, Rows, Most, CancellationToken.None)!;
        Assert.InRange(one.Tokens, Most - Context, Most);
        Assert.Equal(one.Tokens, several.Tokens);
        Assert.Equal(one.Loss, several.Loss, LossTolerance);
        Assert.Equal(one.BitsPerByte, several.BitsPerByte, LossTolerance);
    }

    [Fact]
    public void Run_BetweenSteps_TakesTheStorageOfTheSteps()
    {
        using PreparedData data = Prepare();
        using DecoderModel model = Model();
        using ComputeContext context = ComputeContext.Training(1);
        using TrainingStep step = new(model, context, OptimizerFactory.Create(GoldenRun.AdamW, ModelParameters.Of(model)), new StepOptions());
        TokenBatch batch = new(Rows, Context);
        Assert.True(data.OpenTraining().Next(batch));
        step.Run([batch], 1);
        long bytes = context.TapeBytes;
        Assert.NotNull(HeldOutEvaluation.Run(model, context, data, Rows, long.MaxValue, CancellationToken.None));
        Assert.InRange(context.TapeBytes, 1, (long)(1.2 * bytes)); // rows that are not full, and the last ones, ask for smaller storage
    }

    private PreparedData Prepare()
    {
        Random random = new(1);
        string Text() => new([.. Enumerable.Range(0, 5 + random.Next(40)).Select(_ => (char)('a' + random.Next(26)))]);
        string path = _folder.Write("a.txt", string.Join("\n\n", Enumerable.Range(0, 200).Select(_ => Text())));
        return DataFolder.Prepare(_folder.Options(Context, new DataSource { Path = path }) with { HeldOut = 0.3 });
    }

    private static DecoderModel Model()
    {
        ModelShape shape = new() { Hidden = 32, Layers = 3, Heads = 2, KvHeads = 1, HeadDim = 16, FeedForward = 64 };
        return RandomModel.Create(shape.ToConfig(DataFolder.Bytes.VocabularySize, Context), 1);
    }
}
