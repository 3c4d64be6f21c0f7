// Weights that passes see rounded: what a file stores of them is what they are, and what is behind them learns.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;
using Kidogo.Tests.Data;
using Kidogo.Training;
using Kidogo.Training.Optimizers;
using Kidogo.Training.Recipes;

namespace Kidogo.Tests.Training;

public sealed class QuantizationAwareTests
{
    private const int Context = 16;

    [Theory]
    [InlineData("Q4_0")]
    [InlineData("TQ2_0")]
    [InlineData("TQ1_0")]
    [InlineData("Q1_0")]
    [InlineData("MXFP4")]
    public void Steps_OfAnyFormat_LeaveNoGapAtExport(string name)
    {
        using DecoderModel model = Model();
        IReadOnlyList<ModelParameter> seen = ModelParameters.MakeTrainable(model);
        WeightFormat format = WeightFormats.ForName(name)!;
        QuantizationAware rounded = QuantizationAware.Of(model, seen, format);
        Optimizer optimizer = OptimizerFactory.Create(new OptimizerRecipe { LearningRate = 3e-3, WeightDecay = 0 }, rounded.Parameters);
        using ComputeContext context = ComputeContext.Training(2);
        using TrainingStep step = new(model, context, optimizer, new StepOptions());
        TokenBatch batch = new(2, Context);
        batch.Refill([([.. Enumerable.Range(5, Context + 1)], [.. Enumerable.Repeat(true, Context + 1)], 0), ([.. Enumerable.Range(40, Context + 1)], [.. Enumerable.Repeat(true, Context + 1)], 0)], isSampled: false);
        double first = step.Run([batch], 1).Loss, last = first;
        for (int i = 0; i < 8; i++)
        {
            rounded.Refresh();
            last = step.Run([batch], 1).Loss;
        }

        rounded.Refresh();
        Assert.True(last < 0.9 * first, $"{last} after, {first} before");
        int matrices = 0;
        for (int i = 0; i < seen.Count; i++)
        {
            if (seen[i].Values == rounded.Parameters[i].Values)
            {
                continue;
            }

            matrices++;
            Tensor values = seen[i].Values;
            Assert.NotEqual(values.Span.ToArray(), rounded.Parameters[i].Values.Span.ToArray());
            byte[] blocks = new byte[format.RowBytes(values.Columns)];
            float[] stored = new float[values.Columns];
            for (int row = 0; row < values.Rows; row++)
            {
                format.Encode(values.Row(row), [], blocks);
                format.Decode(blocks, stored);
                Assert.Equal(values.Row(row).ToArray().Select(BitConverter.SingleToInt32Bits), stored.Select(BitConverter.SingleToInt32Bits));
            }
        }

        Assert.Equal(7, matrices);
    }

    [Fact]
    public void Of_ATernaryFormat_HasOneScaleForAMatrix()
    {
        using DecoderModel model = Model();
        IReadOnlyList<ModelParameter> seen = ModelParameters.MakeTrainable(model);
        QuantizationAware rounded = QuantizationAware.Of(model, seen, WeightFormats.ForName("TQ2_0")!);
        for (int i = 0; i < seen.Count; i++)
        {
            if (seen[i].Values != rounded.Parameters[i].Values)
            {
                float[] sizes = [.. seen[i].Values.Span.ToArray().Select(Math.Abs).Distinct().Order()];
                Assert.Equal(2, sizes.Length);
                Assert.Equal(0, sizes[0]);
                Assert.Equal((float)(Half)rounded.Parameters[i].Values.Span.ToArray().Average(value => (double)Math.Abs(value)), sizes[1]);
            }
        }
    }

    [Fact]
    public void Of_WidthsThatDoNotFit_SaysWhich()
    {
        using DecoderModel model = RandomModel.Create(new ModelShape { Hidden = 32, Layers = 1, Heads = 2, KvHeads = 1, HeadDim = 16, FeedForward = 64 }.ToConfig(DataFolder.Bytes.VocabularySize, Context), 1);
        RecipeException refusal = Assert.Throws<RecipeException>(() => QuantizationAware.Of(model, ModelParameters.MakeTrainable(model), WeightFormats.ForName("TQ2_0")!));
        Assert.Contains("256", refusal.Message, StringComparison.Ordinal);
    }

    private static DecoderModel Model() =>
        RandomModel.Create(new ModelShape { Hidden = 256, Layers = 1, Heads = 4, KvHeads = 4, HeadDim = 64, FeedForward = 256 }.ToConfig(DataFolder.Bytes.VocabularySize, Context), 1);
}
