// Sensitivity: what it estimates against what swapping tensors does, what may not show, what is kept, and sizes that are hit.
using Kidogo.Compression.Calibration;
using Kidogo.Compression.Quantization;
using Kidogo.Compression.Search;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Compression.Search;

public sealed class SensitivityRunTests : IDisposable
{
    private const int Length = 16;
    private readonly string _folder = Directory.CreateTempSubdirectory("kidogo-size").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [SharedTheory]
    [InlineData("phi", false)]
    [InlineData("phi", true)]
    [InlineData("gpt-neox", false)]
    [InlineData("gemma2", true)]
    public void Measure_AnyFamily_KnowsEveryTensorAndPutsTheModelBack(string family, bool gptq)
    {
        using Case at = new(family);
        Layer[] before = [.. at.Model.Slots()];
        ModelCosts costs = at.Measure(Options() with { MakesErrorsGood = gptq });
        Assert.Equal(before, at.Model.Slots());
        Assert.Equal(at.Searched.Select(tensor => tensor.Name).Order(StringComparer.Ordinal), costs.Tensors.Select(tensor => tensor.Name).Order(StringComparer.Ordinal));
        foreach (TensorCosts tensor in costs.Tensors)
        {
            Assert.Equal("F32", tensor.Costs[^1].Format.Name);
            Assert.Equal(0, tensor.Costs[^1].Divergence);
            Assert.Equal(tensor.Costs.Select(cost => cost.Bytes).Order(), tensor.Costs.Select(cost => cost.Bytes));
            Assert.All(tensor.Costs, cost => Assert.True(double.IsFinite(cost.Divergence) && cost.Divergence >= 0 && cost.Format.BlockSize <= tensor.Columns && tensor.Columns % cost.Format.BlockSize == 0));
            if (tensor.Of("Q8_0") is { } large && tensor.Of("Q4_0") is { } small)
            {
                Assert.InRange(large.OutputError, 0, small.OutputError / 4); // four bits more are a sixteenth of the error
                Assert.InRange(large.Divergence, 0, small.Divergence / 16);
            }
        }
    }

    [SharedFact]
    public void Measure_OneTensorRounded_DivergesAboutAsMuchAsWasEstimated()
    {
        using Case at = new("phi");
        ModelCosts costs = at.Measure(Options());
        int[] ids = at.Ids[..(32 * Length)];
        foreach (string name in (string[])["blk.0.ffn_down", "blk.1.attn_v", "blk.1.ffn_up", "output"])
        {
            FormatCost cost = costs.Tensors.Single(tensor => tensor.Name == $"{name}.weight").Of("Q5_0")!;
            double measured = at.DivergenceWith(name, cost.Format, ids);
            Assert.InRange(cost.Divergence / measured, 0.5, 2); // half of the rows are seen, and the formats err in different directions
        }
    }

    [SharedFact]
    public void Measure_Threads_DoNotShow()
    {
        using Case one = new("phi", threads: 1), three = new("phi", threads: 3);
        Assert.Equal(Flat(one.Measure(Options() with { MakesErrorsGood = true })), Flat(three.Measure(Options() with { MakesErrorsGood = true })));
    }

    [SharedFact]
    public void Measure_AgainWithItsFile_MeasuresNothingAndSaysTheSame()
    {
        string path = Path.Combine(_folder, "work", "sensitivity.json");
        using Case at = new("phi");
        ModelCosts costs = at.Measure(Options() with { Known = new SensitivityFile(path) });
        ModelCosts again = at.Measure(Options() with { Known = new SensitivityFile(path), Progress = (_, _) => Assert.Fail("measured again") });
        Assert.Equal(Flat(costs), Flat(again));
        Assert.Equal(costs.HeadRidge, again.HeadRidge);

        // Of another text, another way of measuring, or damaged: measured anew.
        int measured = 0;
        at.Measure(Options() with { Known = new SensitivityFile(path), JudgedTokens = 2 * Length, Progress = (_, _) => measured++ });
        Assert.Equal(costs.Tensors.Count, measured);
        File.WriteAllText(path, File.ReadAllText(path)[..200]);
        Assert.Equal(Flat(costs), Flat(at.Measure(Options() with { Known = new SensitivityFile(path) })));
    }

    [SharedFact]
    public void Measure_Interrupted_KeepsTheBlocksThatAreDone()
    {
        string path = Path.Combine(_folder, "sensitivity.json");
        using Case at = new("phi");
        ModelCosts expected = at.Measure(Options());
        using CancellationTokenSource interruption = new();
        int block1 = at.Searched.Count(tensor => tensor.Name.StartsWith("blk.0.", StringComparison.Ordinal)) + 2;
        Assert.ThrowsAny<OperationCanceledException>(() => at.Measure(Options() with { Known = new SensitivityFile(path), Progress = (done, _) => CancelAt(interruption, done, block1 + 1) }, interruption.Token));
        Assert.All(at.Model.Slots().OfType<Linear>(), slot => Assert.Equal(typeof(Linear), slot.GetType()));
        Assert.Contains("blk.0.ffn_up.weight", File.ReadAllText(path), StringComparison.Ordinal);
        Assert.Equal(Flat(expected), Flat(at.Measure(Options() with { Known = new SensitivityFile(path) })));
    }

    [SharedTheory]
    [InlineData("phi", 5.0)]
    [InlineData("phi", 7.5)]
    [InlineData("gpt-neox", 6.0)]
    public void Choose_BitsOrBytes_LandWithinOnePercent(string family, double bits)
    {
        using Case at = new(family);
        ModelCosts costs = at.Measure(Options());
        Dictionary<string, WeightFormat> none = [];
        GgufContent content = GgufContent.Of(at.Header);
        SizedFormats sized = new SizeTarget(null, bits).Choose(content, none, costs);
        string path = Path.Combine(_folder, "sized.gguf");
        QuantizeReport report = Quantizer.Run(at.Header, path, new QuantizeOptions { Mix = SizeTarget.Mix, Formats = sized.Formats.ToDictionary(each => each.Key, each => each.Value.Format) });
        Assert.InRange(report.BitsPerWeight, 0.99 * bits, 1.01 * bits);

        long bytes = report.Bytes + 20_000;
        sized = new SizeTarget(bytes, null).Choose(GgufContent.Of(at.Header), none, costs);
        report = Quantizer.Run(at.Header, path, new QuantizeOptions { Mix = SizeTarget.Mix, Formats = sized.Formats.ToDictionary(each => each.Key, each => each.Value.Format) });
        Assert.InRange(new FileInfo(path).Length, (long)(0.99 * bytes), (long)(1.01 * bytes));
    }

    [SharedFact]
    public void Choose_OutOfReach_SaysWhatCanBeReached()
    {
        using Case at = new("phi");
        ModelCosts costs = at.Measure(Options());
        Dictionary<string, WeightFormat> none = [];
        GgufContent content = GgufContent.Of(at.Header);
        (SizeTarget Target, string Word)[] outside =
            [(new SizeTarget(null, 2), "smallest"), (new SizeTarget(null, 40), "largest"), (new SizeTarget(1000, null), "smallest"), (new SizeTarget(1 << 30, null), "largest")];
        foreach ((SizeTarget target, string word) in outside)
        {
            string known = Assert.Throws<SizeTargetException>(() => target.Check(content, none)).Message; // before anything is measured
            Assert.Contains(word, known, StringComparison.Ordinal);
            Assert.Equal(known, Assert.Throws<SizeTargetException>(() => target.Choose(content, none, costs)).Message);
        }

        new SizeTarget(null, 5).Check(content, none);
    }

    private static void CancelAt(CancellationTokenSource interruption, long done, int at)
    {
        if (done == at)
        {
            interruption.Cancel();
        }
    }

    private static SensitivityOptions Options() => new() { SequenceTokens = Length, CalibrationTokens = 64 * Length, JudgedTokens = 32 * Length, SampledRows = 32 };

    private static string[] Flat(ModelCosts costs) => [.. costs.Tensors.OrderBy(tensor => tensor.Name, StringComparer.Ordinal).SelectMany(tensor => tensor.Costs.Select(cost => $"{tensor.Name} {cost.Format.Name} {cost.Bytes} {cost.Divergence:R} {cost.OutputError:R}"))];

    /// <summary>A model of the golden families with a text that it is calibrated on.</summary>
    private sealed class Case : IDisposable
    {
        private readonly ComputeContext _context;
        private readonly LoadedModel _loaded;

        public Case(string family, int threads = 2)
        {
            string path = SharedFolder.PathOf("golden", "families", family);
            _context = ComputeContext.Training(threads);
            _loaded = ModelLoader.Load(path, _context);
            Header = ModelHeader.Open(path);
            Random random = new(4);
            Ids = [.. Enumerable.Range(0, 64 * Length).Select(_ => random.Next(_loaded.Config.VocabSize))];
            Searched = SizeTarget.Searched(GgufContent.Of(Header), new Dictionary<string, WeightFormat>());
        }

        public ModelHeader Header { get; }

        public DecoderModel Model => _loaded.Model;

        public int[] Ids { get; }

        public IReadOnlyList<ModelTensor> Searched { get; }

        public ModelCosts Measure(SensitivityOptions options, CancellationToken cancellation = default) => SensitivityRun.Measure(Model, _context, Searched, Ids, options, cancellation);

        /// <summary>The mean divergence with one slot rounded, by float64 and over the same kind of text.</summary>
        public double DivergenceWith(string name, WeightFormat format, int[] ids)
        {
            float[] expected = Logits(ids);
            Linear slot = Model.Slots().OfType<Linear>().Single(layer => layer.Name == name);
            ImportanceMatrix importance = ImportanceCollector.Run(Model, _context, Ids, new CalibrationOptions { SequenceTokens = Length });
            Tensor values = new(slot.Weight.Rows, slot.Weight.Columns);
            byte[] bytes = new byte[format.RowBytes(values.Columns)];
            for (int r = 0; r < values.Rows; r++)
            {
                slot.Weight.DecodeRow(r, values.Row(r));
                format.Encode(values.Row(r), importance.Find($"{name}.weight"), bytes);
                format.Decode(bytes, values.Row(r));
            }

            Model.Replace(layer => layer == slot ? new Linear(name, Weight.FromDense(values), slot.Bias) : layer);
            float[] changed = Logits(ids);
            Model.Replace(layer => layer.Name == name ? slot : layer);
            Kidogo.Evaluation.Divergence divergence = new();
            int vocabulary = Model.Config.VocabSize;
            for (int t = 0; t < ids.Length; t++)
            {
                divergence.Add(expected.AsSpan(t * vocabulary, vocabulary), changed.AsSpan(t * vocabulary, vocabulary));
            }

            return divergence.Report().MeanKl;
        }

        public void Dispose()
        {
            Header.Dispose();
            _loaded.Dispose();
            _context.Dispose();
        }

        private float[] Logits(int[] ids)
        {
            using SequenceBatch batch = new();
            for (int first = 0; first < ids.Length; first += Length)
            {
                batch.Add(null, ids.AsSpan(first, Length), LogitRows.All);
            }

            float[] logits = Model.Forward(_context, batch).Span.ToArray();
            _context.Forget();
            return logits;
        }
    }
}
