// Losses that are no number: where the step says they come from, and that it changes nothing. And the memory of passes whose length changes.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Training;
using Kidogo.Training.Recipes;

namespace Kidogo.Tests.Training;

public sealed class NonFiniteTests
{
    private const int Vocabulary = 300, Context = 64;

    [Fact]
    public void Run_NaNInAWeight_NamesTheWeightAndItsLayer()
    {
        string message = Message(parameters => Named(parameters, "blk.1.ffn_down.weight").Span[3] = float.NaN);
        Assert.Contains("blk.1.ffn_down.weight (layer 1, counted from 0) are not finite (value 3)", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_WeightsThatOverflow_NamesTheFirstLayerWhoseOutputIsNotFinite()
    {
        string message = Message(parameters =>
        {
            Named(parameters, "blk.1.ffn_up.weight").Span.Fill(1e30f);
            Named(parameters, "blk.1.ffn_down.weight").Span.Fill(1e30f);
        });
        Assert.Contains("the first output that is not is that of blk.1 (layer 1", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_BatchesOfChangingLength_KeepsNoMoreStorageThanTheLongestTook()
    {
        const double Room = 1.3; // an eighth, and what the second of two passes finds in other sizes
        using Parts parts = new();
        parts.Run(Context);
        long first = parts.Context.TapeBytes;
        for (int less = 0; less < Context / 10; less++)
        {
            parts.Run(Context - less);
            parts.Run(Context - (Context / 10) + less);
        }

        Assert.InRange(parts.Context.TapeBytes, 1, (long)(Room * first));
    }

    private static string Message(Action<IReadOnlyList<ModelParameter>> poison)
    {
        using Parts parts = new();
        poison(parts.Parameters);
        float[][] before = [.. parts.Parameters.Select(parameter => parameter.Values.Span.ToArray())];
        NonFiniteLossException failure = Assert.Throws<NonFiniteLossException>(() => parts.Run(Context));
        Assert.Equal(before, parts.Parameters.Select(parameter => parameter.Values.Span.ToArray()));
        return failure.Message;
    }

    private static Tensor Named(IReadOnlyList<ModelParameter> parameters, string name) => parameters.Single(parameter => parameter.Name == name).Values;

    private sealed class Parts : IDisposable
    {
        private readonly DecoderModel _model;
        private readonly TrainingStep _step;

        public Parts()
        {
            ModelShape shape = new() { Hidden = 32, Layers = 3, Heads = 2, KvHeads = 1, HeadDim = 16, FeedForward = 64 };
            Context = ComputeContext.Training(1, false, false);
            _model = RandomModel.Create(shape.ToConfig(Vocabulary, NonFiniteTests.Context), 1);
            Parameters = ModelParameters.Of(_model);
            _step = new TrainingStep(_model, Context, OptimizerFactory.Create(GoldenRun.AdamW, Parameters), new StepOptions());
        }

        public ComputeContext Context { get; }

        public IReadOnlyList<ModelParameter> Parameters { get; }

        public void Run(int length)
        {
            const int Rows = 3;
            TokenBatch batch = new(Rows, NonFiniteTests.Context);
            for (int row = 0; row < Rows; row++)
            {
                batch.BeginRow(0);
                batch.Add(0, [.. Enumerable.Range(0, length).Select(i => ((i * 7) + row) % Vocabulary)], [], new int[Vocabulary]);
            }

            _step.Run([batch], 1);
        }

        public void Dispose()
        {
            _step.Dispose();
            _model.Dispose();
            Context.Dispose();
        }
    }
}
