// Measures what storing each tensor of a model in each format costs. Knows no files and no target.
using Kidogo.Compression.Calibration;
using Kidogo.Compression.Quantization;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;

namespace Kidogo.Compression.Search;

/// <summary>How sensitivity is measured.</summary>
public sealed record SensitivityOptions
{
    /// <summary>Tokens of a calibrating sequence. Default 512.</summary>
    public int SequenceTokens { get; init; } = 512;

    /// <summary>Tokens of the text that inputs are gathered from at most. Default 8,192.</summary>
    public int CalibrationTokens { get; init; } = 8192;

    /// <summary>Tokens that divergence is measured on at most, in sequences of up to 128 spread over the text. Default 512.</summary>
    public int JudgedTokens { get; init; } = 512;

    /// <summary>Rows of a matrix that are rounded into every format. Default 48.</summary>
    public int SampledRows { get; init; } = 48;

    /// <summary>Whether tensors will be rounded by GPTQ instead of to nearest. Default no.</summary>
    public bool MakesErrorsGood { get; init; }

    /// <summary>What GPTQ adds to the diagonals of Hessians, as a share of their mean. Default 0.01.</summary>
    public double Damping { get; init; } = 0.01;

    /// <summary>Where costs are found again that an earlier run measured; null for nowhere.</summary>
    public SensitivityFile? Known { get; init; }

    /// <summary>Called with the tensors done and all; may be null.</summary>
    public Action<long, long>? Progress { get; init; }
}

/// <summary>Two measurements for each tensor, which together say what any format costs.</summary>
/// <remarks>
/// One: the tensor alone is rounded to about four bits, and the model run from its block on over a short text: by how much the divergence grows. Two: some of its rows are rounded
/// into every format, by the method that will round them all, and the mean square of the error in what they compute found from the inputs of a longer text. To second order divergence is a quadratic form of a
/// tensor's error (its first derivative is 0 where the models are equal), and so the first in proportion to the second.
/// </remarks>
public sealed class SensitivityRun
{
    private const int JudgedLength = 128;
    private const int HeadRowsTimes = 4; // rows of a head or an embedding differ more than those of other matrices
    private const long MostJudgedBytes = 256 << 20;
    private readonly DecoderModel _model;
    private readonly ComputeContext _context;
    private readonly SensitivityOptions _options;
    private readonly CancellationToken _cancellation;
    private readonly Dictionary<string, ModelTensor> _tensors;
    private readonly Dictionary<string, TensorCosts> _costs = new(StringComparer.Ordinal);
    private readonly BlockWalk _walk;
    private readonly ReadOnlyMemory<int> _ids;
    private readonly JudgedText _judged;

    private SensitivityRun(DecoderModel model, ComputeContext context, BlockWalk walk, IReadOnlyList<ModelTensor> tensors, ReadOnlyMemory<int> ids, SensitivityOptions options, CancellationToken cancellation)
    {
        (_model, _context, _walk, _options, _cancellation) = (model, context, walk, options, cancellation);
        _tensors = tensors.ToDictionary(tensor => tensor.Name);
        _ids = ImportanceCollector.Whole(ids[..Math.Min(ids.Length, Math.Max(options.CalibrationTokens, options.SequenceTokens))], options.SequenceTokens, model);
        _judged = Judged(ids.Span);
    }

    /// <summary>Measures.</summary>
    /// <param name="model">The model; its slots are replaced meanwhile and put back.</param>
    /// <param name="context">A training context: nothing is recorded, but everything is in float32.</param>
    /// <param name="tensors">The tensors that are to be measured.</param>
    /// <param name="ids">The text.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellation">Looked at between passes.</param>
    /// <exception cref="CalibrationException">The text is too short, or activations are damaged.</exception>
    /// <exception cref="ModelTensorException">A weight is not finite.</exception>
    public static ModelCosts Measure(
        DecoderModel model, ComputeContext context, IReadOnlyList<ModelTensor> tensors, ReadOnlyMemory<int> ids, SensitivityOptions options, CancellationToken cancellation = default)
    {
        options.Known?.Bind(model, ids, options);
        if (options.Known is { } known && known.Costs(tensors) is { } complete)
        {
            return complete;
        }

        using BlockWalk walk = new(model, context);
        SensitivityRun run = new(model, context, walk, tensors, ids, options, cancellation);
        try
        {
            return run.All();
        }
        finally
        {
            context.Forget();
        }
    }

    private ModelCosts All()
    {
        TokenEmbedding embedding = _model.Slots().OfType<TokenEmbedding>().First();
        double plainSlope = MeasureEmbedding(embedding);
        Tensor[] states = ImportanceCollector.Embedded(_walk, _context, _ids, _options.SequenceTokens);
        Tensor judged = _judged.Embed();
        for (int block = 0; block < _walk.Blocks; block++)
        {
            MeasureBlock(block, states, judged);
            judged = _judged.Run(block, judged);
            _options.Known?.Save(Found(0) with { IsComplete = false });
        }

        double ridge = MeasureHead(embedding, states, judged, plainSlope);
        ModelCosts all = Found(ridge);
        _options.Known?.Save(all);
        return all;
    }

    private ModelCosts Found(double ridge) => new([.. _tensors.Keys.Where(_costs.ContainsKey).Select(name => _costs[name])], _judged.Tokens) { HeadRidge = ridge };

    private JudgedText Judged(ReadOnlySpan<int> ids)
    {
        int length = Math.Min(Math.Min(JudgedLength, _options.SequenceTokens), ids.Length);
        long most = Math.Min(_options.JudgedTokens, MostJudgedBytes / sizeof(float) / _model.Config.VocabSize);
        int sequences = (int)Math.Clamp(most / length, 1, ids.Length / length);
        int[] judged = new int[sequences * length];
        for (int i = 0; i < sequences; i++)
        {
            ids.Slice((int)((long)(ids.Length / length) * i / sequences) * length, length).CopyTo(judged.AsSpan(i * length));
        }

        return new JudgedText(_walk, _context, judged, length, _model.Config.VocabSize, _cancellation);
    }

    /// <summary>Divergence by the mean square of a row's error, for the embedding alone; 0 where it is not quantised.</summary>
    private double MeasureEmbedding(TokenEmbedding embedding)
    {
        if (!_tensors.TryGetValue($"{embedding.Name}.weight", out ModelTensor? tensor))
        {
            return 0;
        }

        RowSource source = new(tensor, embedding.Weight);
        Tensor sample = source.Sample(_options.SampledRows * HeadRowsTimes);
        double slope = 0;
        if (FormatCandidates.Probe(tensor.Columns) is { } probe)
        {
            Layer rounded = new TokenEmbedding(embedding.Name, RowSource.Rounded(embedding.Weight, probe, [], _context.Team.Threads), embedding.Scale);
            Tensor states = With(new() { [embedding] = rounded }, _judged.Embed); // a head that is the same tensor is whole again afterwards: its part is measured at the end
            slope = Ratio(_judged.Divergence(states, 0, _cancellation), MeanSquare(Probed(sample, probe, [])));
        }

        if (!_model.Config.TiedHead)
        {
            IReadOnlyList<WeightFormat> formats = [.. source.Candidates().Where(format => format.Importance != ImportanceUse.Required)]; // rows are looked up: no column matters more than another
            Tensor[] differences = RowSamples.Differences([new RowSample(sample, formats)], new Tensor(1, 1), [], 0, makesGood: false, _context.Team.Threads)[0];
            Add(source, formats, [.. differences.Select(each => slope * MeanSquare(each))], [.. differences.Select(each => Ratio(MeanSquare(each), MeanSquare(sample)))]);
        }

        return slope;
    }

    private void MeasureBlock(int block, Tensor[] states, Tensor judged)
    {
        Linear[] slots = [.. _walk.Slots(block).OfType<Linear>().Where(slot => SlotInputs.TryFind(slot.Name, out _, out _))];
        InputGram?[] grams = Observe(block, slots, states);
        try
        {
            foreach (IGrouping<int, Linear> readers in slots.GroupBy(InputOf))
            {
                _cancellation.ThrowIfCancellationRequested();
                Linear[][] tensors = [.. readers.GroupBy(slot => QuantizedRows.TensorOf(_tensors.ContainsKey, slot.Name)).Where(group => group.Key is not null).Select(group => group.ToArray())];
                TensorCosts?[] known = Array.ConvertAll(tensors, own => _options.Known?.Find(_tensors[QuantizedRows.TensorOf(_tensors.ContainsKey, own[0].Name)!]));
                if (known.All(costs => costs is not null))
                {
                    Array.ForEach(known, costs => Add(costs!));
                    continue;
                }

                MeasureReaders(block, tensors, grams[readers.Key]!, judged);
            }
        }
        finally
        {
            Array.ForEach(grams, gram => gram?.Dispose());
        }
    }

    /// <summary>Tensors that read the same inputs, each the slots that it is made of.</summary>
    private void MeasureReaders(int block, Linear[][] tensors, InputGram gram, Tensor judged)
    {
        int threads = _context.Team.Threads;
        RowSource[] sources = Array.ConvertAll(tensors, slots => new RowSource(_tensors[QuantizedRows.TensorOf(_tensors.ContainsKey, slots[0].Name)!], Array.ConvertAll(slots, slot => slot.Weight)));
        float[] importance = gram.MeanSquares();
        IReadOnlyList<WeightFormat>[] formats = Array.ConvertAll(sources, source => source.Candidates());
        Tensor[] samples = Array.ConvertAll(sources, source => source.Sample(_options.SampledRows));
        Tensor[][] differences = RowSamples.Differences([.. samples.Zip(formats, (rows, own) => new RowSample(rows, own))], gram.Sums, importance, _options.Damping, _options.MakesErrorsGood, threads);
        for (int i = 0; i < sources.Length; i++)
        {
            double slope = 0;
            if (FormatCandidates.Probe(importance.Length) is { } probe)
            {
                Dictionary<Layer, Layer> changed = tensors[i].ToDictionary(Layer (slot) => slot, Layer (slot) => new Linear(slot.Name, RowSource.Rounded(slot.Weight, probe, importance, threads), slot.Bias));
                slope = Ratio(With(changed, () => _judged.Divergence(judged, block, _cancellation)), gram.Squares(_context, Probed(samples[i], probe, importance)).Average());
            }

            double whole = gram.Squares(_context, samples[i]).Average();
            double[] squares = Array.ConvertAll(differences[i], each => gram.Squares(_context, each).Average());
            Add(sources[i], formats[i], Array.ConvertAll(squares, square => slope * square), Array.ConvertAll(squares, square => Ratio(square, whole)));
        }
    }

    private double MeasureHead(TokenEmbedding embedding, Tensor[] states, Tensor judged, double plainSlope)
    {
        Linear? head = _model.Slots().OfType<Linear>().FirstOrDefault(slot => slot.Name == "output");
        Weight weight = head?.Weight ?? embedding.Weight;
        if (!_tensors.TryGetValue(head is null ? $"{embedding.Name}.weight" : "output.weight", out ModelTensor? tensor))
        {
            return 0;
        }

        int threads = _context.Team.Threads;
        using InputGram gram = new(tensor.Columns);
        foreach (Tensor state in states)
        {
            gram.Add(_context, _walk.Finish(state));
            _context.Forget();
        }

        float[] importance = gram.MeanSquares();
        RowSource source = new(tensor, weight);
        Tensor sample = source.Sample(_options.SampledRows * HeadRowsTimes);
        double slope = 0;
        if (FormatCandidates.Probe(tensor.Columns) is { } probe)
        {
            Weight rounded = RowSource.Rounded(weight, probe, importance, threads);
            Dictionary<Layer, Layer> changed = head is null ? new() { [embedding] = new TokenEmbedding(embedding.Name, rounded, embedding.Scale) } : new() { [head] = new Linear(head.Name, rounded, head.Bias) };
            slope = Ratio(With(changed, () => _judged.Divergence(judged, _walk.Blocks, _cancellation)), gram.Squares(_context, Probed(sample, probe, importance)).Average());
        }

        double plain = head is null ? plainSlope : 0;
        double ridge = Ratio(plain, slope * importance.Average());
        IReadOnlyList<WeightFormat> formats = source.Candidates();
        Tensor[] differences = RowSamples.Differences([new RowSample(sample, formats)], gram.Sums, importance, Math.Max(ridge, _options.Damping), _options.MakesErrorsGood, threads)[0];
        double[] squares = Array.ConvertAll(differences, each => gram.Squares(_context, each).Average());
        double whole = gram.Squares(_context, sample).Average();
        Add(source, formats, [.. squares.Select((square, i) => (slope * square) + (plain * MeanSquare(differences[i])))], Array.ConvertAll(squares, square => Ratio(square, whole)));
        return ridge;
    }

    private InputGram?[] Observe(int block, Linear[] slots, Tensor[] states)
    {
        InputGram?[] grams = new InputGram?[SlotInputs.Count];
        Dictionary<Layer, Layer> watched = [];
        foreach (Linear slot in slots)
        {
            int input = InputOf(slot);
            if (grams[input] is null)
            {
                InputGram gram = grams[input] = new InputGram(slot.Weight.Columns);
                watched.Add(slot, new ObservedLinear(slot, gram.Add, computes: true));
            }
        }

        _model.Replace(layer => watched.GetValueOrDefault(layer, layer));
        try
        {
            int first = 0;
            for (int pass = 0; pass < states.Length; pass++)
            {
                _cancellation.ThrowIfCancellationRequested();
                int rows = states[pass].Rows;
                states[pass] = ImportanceCollector.Kept(_context, _walk.Run(block, states[pass], _ids.Span.Slice(first, rows), _options.SequenceTokens));
                first += rows;
            }
        }
        finally
        {
            Dictionary<Layer, Layer> originals = watched.ToDictionary(pair => pair.Value, pair => pair.Key);
            _model.Replace(layer => originals.GetValueOrDefault(layer, layer));
        }

        return grams;
    }

    /// <summary>Measures with other layers in some slots, whose weights are disposed afterwards.</summary>
    private T With<T>(Dictionary<Layer, Layer> changed, Func<T> measure)
    {
        Dictionary<Layer, Layer> originals = changed.ToDictionary(pair => pair.Value, pair => pair.Key);
        _model.Replace(layer => changed.GetValueOrDefault(layer, layer));
        try
        {
            return measure();
        }
        finally
        {
            _model.Replace(layer => originals.GetValueOrDefault(layer, layer));
            foreach (Layer layer in changed.Values)
            {
                (layer as Linear)?.Weight.Dispose();
                (layer as TokenEmbedding)?.Weight.Dispose();
            }
        }
    }

    /// <summary>What the probing format changes in a sample.</summary>
    private Tensor Probed(Tensor sample, WeightFormat probe, float[] importance) =>
        RowSamples.Differences([new RowSample(sample, [probe])], new Tensor(1, 1), importance, 0, makesGood: false, _context.Team.Threads)[0][0];

    private static double Ratio(double value, double by) => by > 0 ? value / by : 0;

    private void Add(RowSource source, IReadOnlyList<WeightFormat> formats, double[] divergences, double[] relativeSquares)
    {
        ModelTensor tensor = source.Stored;
        IEnumerable<FormatCost> costs = formats.Select((format, i) => new FormatCost(format, format.RowBytes(tensor.Columns) * tensor.Rows, divergences[i], Math.Sqrt(relativeSquares[i])));
        FormatCost asItIs = new(tensor.Format, tensor.Format.RowBytes(tensor.Columns) * tensor.Rows, 0, 0);
        Add(new TensorCosts(tensor.Name, tensor.Rows, tensor.Columns, [.. costs.OrderBy(cost => cost.Bytes), asItIs]));
    }

    private void Add(TensorCosts costs)
    {
        _costs.Add(costs.Name, costs);
        _options.Progress?.Invoke(_costs.Count, _tensors.Count);
    }

    private static int InputOf(Linear slot)
    {
        SlotInputs.TryFind(slot.Name, out _, out int input);
        return input;
    }

    /// <summary>The mean over rows of the sum of squares.</summary>
    private static double MeanSquare(Tensor rows) => (double)System.Numerics.Tensors.TensorPrimitives.SumOfSquares<float>(rows.Span) / rows.Rows;
}
