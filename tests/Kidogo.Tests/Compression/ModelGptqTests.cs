// GPTQ and calibration over whole models: what may not show, what is kept, what is refused, and that it wins.
using Kidogo.Compression.Calibration;
using Kidogo.Compression.Quantization;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Compression;

public sealed class ModelGptqTests : IDisposable
{
    private const int Length = 16;
    private readonly string _folder = Directory.CreateTempSubdirectory("kidogo-gptq").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [SharedTheory]
    [InlineData("llama")]
    [InlineData("phi")]
    [InlineData("gpt2")]
    [InlineData("gpt-neox")]
    [InlineData("gemma2")]
    public void Collect_AnyFamily_IsTheMeanSquareOfWhatGoesIn(string family)
    {
        using ComputeContext context = ComputeContext.Training(1);
        using LoadedModel loaded = ModelLoader.Load(SharedFolder.PathOf("golden", "families", family), context);
        int[] ids = Ids(loaded.Config.VocabSize, 5 * Length);
        ImportanceMatrix matrix = ImportanceCollector.Run(loaded.Model, context, ids, new CalibrationOptions { SequenceTokens = Length });
        Linear[] slots = [.. loaded.Model.Slots().OfType<Linear>()];
        Assert.All(slots, slot => Assert.Equal(typeof(Linear), slot.GetType())); // put back
        Assert.Equal(5 * Length, matrix.Tokens);
        Assert.Equal(slots.Count(slot => slot.Name != "output") + 1, matrix.Columns.Count);

        // Of the first block's first norm the inputs are known without the collector: the embedding of each token.
        using BlockWalk walk = new(loaded.Model, context);
        Tensor x = walk.Embed(ids, Length);
        Norm norm = walk.Slots(0).OfType<Norm>().First();
        Tensor normed = norm.Forward(context, x);
        float[] expected = new float[normed.Columns];
        for (int c = 0; c < expected.Length; c++)
        {
            for (int t = 0; t < normed.Rows; t++)
            {
                expected[c] += normed.Row(t)[c] * normed.Row(t)[c] / normed.Rows;
            }
        }

        float[] found = matrix.Find("blk.0.attn_q.weight")!;
        Assert.All(Enumerable.Range(0, expected.Length), c => Assert.Equal(expected[c], found[c], 1e-5f * (1 + expected[c])));
    }

    [SharedFact]
    public void Walk_BlockByBlock_GivesTheBitsOfAWholePass()
    {
        using ComputeContext context = ComputeContext.Training(2);
        using DecoderModel model = Model(3);
        int[] ids = Ids(model.Config.VocabSize, 2 * Length);
        using SequenceBatch batch = new();
        batch.Add(null, ids.AsSpan(0, Length), LogitRows.All);
        batch.Add(null, ids.AsSpan(Length), LogitRows.All);
        float[] expected = model.Forward(context, batch).Span.ToArray();
        context.Forget();
        using BlockWalk walk = new(model, context);
        Tensor x = walk.Embed(ids, Length);
        for (int block = 0; block < walk.Blocks; block++)
        {
            x = walk.Run(block, x, ids, Length);
        }

        Tensor normed = walk.Finish(x);
        TokenEmbedding embedding = model.Slots().OfType<TokenEmbedding>().First();
        Weight head = model.Slots().OfType<Linear>().FirstOrDefault(slot => slot.Name == "output")?.Weight ?? embedding.Weight;
        Assert.Equal(expected, Kidogo.Tensors.Ops.LinearOp.Apply(context, normed, head, null).Span.ToArray());
    }

    [SharedFact]
    public void Run_Threads_DoNotShow()
    {
        byte[] one = Quantized("one", 1, CancellationToken.None), three = Quantized("three", 3, CancellationToken.None);
        Assert.Equal(one, three);
    }

    [SharedFact]
    public void Run_InterruptedAndRunAgain_GoesOnAndGivesTheSameBytes()
    {
        byte[] expected = Quantized("whole", 1, CancellationToken.None);
        using CancellationTokenSource interruption = new();
        Assert.Throws<OperationCanceledException>(() => Quantized("cut", 1, interruption.Token, step =>
        {
            if (step == 7)
            {
                interruption.Cancel(); // in the middle of the second block
            }
        }));
        string first = Path.Combine(_folder, "cut", "block-0000.bin");
        DateTime written = File.GetLastWriteTimeUtc(first);
        Assert.Single(Directory.GetFiles(Path.Combine(_folder, "cut")));
        Assert.Equal(expected, Quantized("cut", 1, CancellationToken.None));
        Assert.Equal(written, File.GetLastWriteTimeUtc(first)); // not made again
    }

    [SharedFact]
    public void Run_WorkOfAnotherTextOrDamaged_IsNotReused()
    {
        byte[] expected = Quantized("a", 1, CancellationToken.None);
        Quantized("b", 1, CancellationToken.None, seed: 8);
        Assert.Equal(expected, Quantized("b", 1, CancellationToken.None));
        string first = Path.Combine(_folder, "b", "block-0001.bin");
        File.WriteAllBytes(first, File.ReadAllBytes(first)[..100]);
        Assert.Equal(expected, Quantized("b", 1, CancellationToken.None));
    }

    [SharedFact]
    public void Run_LosesLessThanRounding()
    {
        using ComputeContext context = ComputeContext.Training(2);
        using DecoderModel model = Model(3);
        int[] ids = Ids(model.Config.VocabSize, 64 * Length), other = Ids(model.Config.VocabSize, 16 * Length, seed: 77);
        float[] expected = Outputs(model, context, other);
        using QuantizedRows rows = ModelGptq.Run(model, context, ids, FormatOf, Options("won"));
        double gptq = Distance(expected, WithWeights(model, context, other, (name, format, row, bytes) => rows.EncoderOf(name, format)(row, bytes)));
        double rounding = Distance(expected, WithWeights(model, context, other, (_, format, row, bytes) => format.Encode(row, [], bytes)));
        Assert.InRange(gptq / rounding, 0, 0.8); // untrained and with random ids: inputs are hardly correlated
    }

    [SharedFact]
    public void Run_WeightThatIsNoNumber_NamesTheTensor()
    {
        using ComputeContext context = ComputeContext.Training(1);
        using DecoderModel model = Model(3);
        Tensor damaged = new(64, 64);
        damaged.Row(5)[7] = float.NaN;
        model.Replace(layer => layer is Linear { Name: "blk.1.attn_q" } slot ? new Linear(slot.Name, Weight.FromDense(damaged), slot.Bias) : layer);
        ModelTensorException thrown = Assert.Throws<ModelTensorException>(() => ModelGptq.Run(model, context, Ids(model.Config.VocabSize, 4 * Length), FormatOf, Options("nan")));
        Assert.Contains("blk.1.attn_q", thrown.Message, StringComparison.Ordinal);
    }

    [SharedFact]
    public void RunAndCollect_ActivationsThatAreNoNumbers_AreRefused()
    {
        using ComputeContext context = ComputeContext.Training(1);
        using DecoderModel model = Model(3);
        Tensor damaged = new(64, 64);
        damaged.Span.Fill(float.NaN);
        model.Replace(layer => layer is Linear { Name: "blk.0.attn_v" } slot ? new Linear(slot.Name, Weight.FromDense(new Tensor(slot.Weight.Rows, 64)), Filled(slot.Weight.Rows)) : layer);
        int[] ids = Ids(model.Config.VocabSize, 4 * Length);
        Assert.Contains("blk.0.attn_output", Assert.Throws<CalibrationException>(() => ImportanceCollector.Run(model, context, ids, new CalibrationOptions { SequenceTokens = Length })).Message, StringComparison.Ordinal);
        Assert.Throws<CalibrationException>(() => ModelGptq.Run(model, context, ids, FormatOf, Options("nan")));
        Assert.All(model.Slots().OfType<Linear>(), slot => Assert.Equal(typeof(Linear), slot.GetType()));
    }

    [SharedFact]
    public void Run_TextShorterThanASequence_IsRefused()
    {
        using ComputeContext context = ComputeContext.Training(1);
        using DecoderModel model = Model(3);
        Assert.Throws<CalibrationException>(() => ModelGptq.Run(model, context, Ids(10, Length - 1), FormatOf, Options("short")));
        Assert.Throws<CalibrationException>(() => ImportanceCollector.Run(model, context, Ids(10, Length - 1), new CalibrationOptions { SequenceTokens = Length }));
    }

    private static Tensor Filled(int length)
    {
        Tensor bias = new(1, length);
        bias.Span.Fill(float.NaN);
        return bias;
    }

    /// <summary>A llama with rows that whole blocks of 32 fit.</summary>
    private static DecoderModel Model(ulong seed)
    {
        using ModelHeader header = ModelHeader.Open(SharedFolder.PathOf("golden", "families", "llama"));
        DecoderConfig config = header.Config with { HiddenSize = 64, Layers = [.. header.Config.Layers.Select(layer => layer with { IntermediateSize = 96 })] };
        return RandomModel.Create(config, seed);
    }

    private static int[] Ids(int vocabulary, int count, int seed = 4)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(vocabulary))];
    }

    private static WeightFormat? FormatOf(string slot) => WeightFormats.ForName(slot.EndsWith("attn_v", StringComparison.Ordinal) ? "Q8_0" : slot.EndsWith("ffn_down", StringComparison.Ordinal) ? "Q5_1" : "Q4_0");

    private ModelGptqOptions Options(string folder) => new() { WorkFolder = Path.Combine(_folder, folder), SequenceTokens = Length };

    /// <summary>All bytes of all blocks.</summary>
    private byte[] Quantized(string folder, int threads, CancellationToken cancellation, Action<long>? progress = null, int seed = 4)
    {
        using ComputeContext context = ComputeContext.Training(threads);
        using DecoderModel model = Model(3);
        ModelGptqOptions options = Options(folder) with { Progress = (done, _) => progress?.Invoke(done) };
        using QuantizedRows rows = ModelGptq.Run(model, context, Ids(model.Config.VocabSize, 20 * Length, seed), FormatOf, options, cancellation);
        return [.. Directory.GetFiles(options.WorkFolder).Order(StringComparer.Ordinal).SelectMany(File.ReadAllBytes)];
    }

    private static float[] Outputs(DecoderModel model, ComputeContext context, int[] ids)
    {
        using SequenceBatch batch = new();
        for (int first = 0; first < ids.Length; first += Length)
        {
            batch.Add(null, ids.AsSpan(first, Length), LogitRows.All);
        }

        float[] outputs = model.Forward(context, batch).Span.ToArray();
        context.Forget();
        return outputs;
    }

    private static float[] WithWeights(DecoderModel model, ComputeContext context, int[] ids, Action<string, WeightFormat, float[], byte[]> encode)
    {
        Dictionary<string, Layer> before = model.Slots().ToDictionary(slot => slot.Name);
        model.Replace(layer =>
        {
            if (layer is not Linear slot || !SlotInputs.TryFind(layer.Name, out _, out _))
            {
                return layer;
            }

            WeightFormat format = FormatOf(layer.Name)!;
            Tensor values = new(slot.Weight.Rows, slot.Weight.Columns);
            float[] row = new float[slot.Weight.Columns];
            byte[] bytes = new byte[format.RowBytes(row.Length)];
            for (int r = 0; r < values.Rows; r++)
            {
                slot.Weight.DecodeRow(r, row);
                encode($"{layer.Name}.weight", format, row, bytes);
                format.Decode(bytes, values.Row(r));
            }

            return new Linear(slot.Name, Weight.FromDense(values), slot.Bias);
        });
        float[] outputs = Outputs(model, context, ids);
        model.Replace(layer => before[layer.Name]);
        return outputs;
    }

    private static double Distance(float[] a, float[] b) => a.Zip(b, (x, y) => ((double)x - y) * ((double)x - y)).Sum();
}
