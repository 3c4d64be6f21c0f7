// From a model and a request to a smaller model. Puts the techniques together; each knows its own business.
using System.Globalization;
using Kidogo.Compression.Calibration;
using Kidogo.Compression.Quantization;
using Kidogo.Evaluation;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;

namespace Kidogo.Compression.Pruning;

/// <summary>Prunes models.</summary>
public static class Pruner
{
    private static readonly CultureInfo s_plain = CultureInfo.InvariantCulture;

    /// <summary>Writes a pruned model: a GGUF file if the path ends in <c>.gguf</c>, else a folder.</summary>
    /// <param name="header">The model.</param>
    /// <param name="path">What the result will be called.</param>
    /// <param name="request">What goes.</param>
    /// <param name="write">How it is written; null for the defaults.</param>
    /// <param name="cancellation">Ends it; nothing is left behind but finished rounds of healing.</param>
    /// <exception cref="PruningException">A sparsity or shape cannot be, or a target cannot be reached.</exception>
    /// <exception cref="CalibrationException">The text is too short, or what the model computes on it is damaged.</exception>
    /// <exception cref="NotSupportedException">The new form cannot say what the model does.</exception>
    /// <exception cref="IOException">It cannot be written.</exception>
    public static PruneReport Run(ModelHeader header, string path, PruneRequest request, ModelWriteOptions? write = null, CancellationToken cancellation = default)
    {
        Check(header, path, request);
        long parameters = header.Config.ParameterCount, bytes = header.WeightBytes;
        if (request.Heal is { } heal)
        {
            using ModelHeader healed = new Healing(header, request, heal).Run(cancellation);
            return Write(healed, path, request, new Decision(), write, UsualFormat(header)) with { ParametersBefore = parameters, BytesBefore = bytes, Gone = Gone(header.Config, healed.Config, request) };
        }

        return Write(header, path, request, Decide(header, path, request, request.Weights?.Sparsity, cancellation), write);
    }

    /// <summary>What was decided.</summary>
    /// <param name="Weights">Of single weights; null where none goes.</param>
    /// <param name="Reshape">Of structure; null where none goes.</param>
    internal sealed record Decision(PrunedWeights? Weights = null, ModelReshape? Reshape = null);

    /// <summary>Chooses what goes.</summary>
    /// <param name="header">The model.</param>
    /// <param name="path">What is written, for targets of bytes.</param>
    /// <param name="request">What is asked.</param>
    /// <param name="sparsity">How many weights go now; null for none, or a threshold.</param>
    /// <param name="cancellation">Looked at between passes.</param>
    internal static Decision Decide(ModelHeader header, string path, PruneRequest request, Sparsity? sparsity, CancellationToken cancellation)
    {
        if (request.Structure is { } structure)
        {
            return new Decision(Reshape: Choose(header, path, request, structure, cancellation));
        }

        WeightPruning weights = request.Weights!;
        if (weights.Criterion == WeightCriterion.Magnitude)
        {
            return new Decision(ModelMagnitude.Run(header, sparsity, weights.Threshold, weights.Scope, cancellation));
        }

        if (request.Calibration is { } calibration && weights.Criterion == WeightCriterion.Wanda)
        {
            return new Decision(CalibratedScores.Prune(header, calibration, sparsity!, cancellation));
        }

        Dictionary<string, WeightFormat> formats = request is { Format: not null, Heal: null } && weights.Criterion == WeightCriterion.SparseGpt
            ? GgufContent.Of(header).Tensors.Where(tensor => !tensor.IsVector).ToDictionary(tensor => tensor.Name, tensor => FormatOf(header, request.Format, tensor, tensor.Format), StringComparer.Ordinal)
            : [];
        using ComputeContext context = ComputeContext.Training(request.Threads);
        using LoadedModel loaded = ModelLoader.Load(header.Path, context);
        return new Decision(ModelSparsity.Run(loaded.Model, context, request.Ids, new ModelSparsityOptions
        {
            Criterion = weights.Criterion,
            Sparsity = sparsity!,
            SequenceTokens = Math.Min(request.SequenceTokens, header.Config.ContextLength),
            FormatOf = formats.Count == 0 ? null : slot => QuantizedRows.TensorOf(formats.ContainsKey, slot) is { } tensor && formats[tensor].CodeCount > 0 ? formats[tensor] : null,
            Progress = Reporting(request, "pruning"),
        }, cancellation));
    }

    private static Action<long, long>? Reporting(PruneRequest request, string stage) => request.Progress is { } progress ? (done, total) => progress(stage, done, total) : null;

    private static void Check(ModelHeader header, string path, PruneRequest request)
    {
        if ((request.Weights is null) == (request.Structure is null))
        {
            throw new ArgumentException("Either weights or structure are pruned: give one of the two.", nameof(request));
        }

        bool needsText = request.Structure is not null || request.Weights!.Criterion != WeightCriterion.Magnitude;
        if (needsText && request.Ids.IsEmpty && request.Calibration is null)
        {
            throw new CalibrationException("What matters is measured on a text, and there is none. Give one.");
        }

        if (request.Weights is not { } weights)
        {
            return;
        }

        if (weights.Sparsity is null && (weights.Criterion != WeightCriterion.Magnitude || !(weights.Threshold > 0)))
        {
            throw new ArgumentException("Weights go by a sparsity, or by a magnitude above 0.", nameof(request));
        }

        IEnumerable<ModelTensor> matrices = ChangedModel.Tensors(header).Where(tensor => !tensor.IsVector && SlotInputs.TryFind(tensor.Name, out _, out _));
        foreach (ModelTensor tensor in matrices)
        {
            weights.Sparsity?.CheckRow(tensor.Name, tensor.Columns);
            WeightFormat format = FormatOf(header, request.Format, tensor, tensor.Format);
            if (format.Name == "SQ4_0" && weights.Sparsity is not { Of: 4, Zeros: >= 2 })
            {
                throw new PruningException($"SQ4_0 holds 2 weights of each 4, so other weights than those that {weights.Sparsity?.ToString() ?? "the threshold"} takes would go too. Take --sparsity 2:4, or another format.");
            }

            if (request.Format is not null && path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) && !ZeroKeeping.Holds(format))
            {
                string[] holding = [.. WeightFormats.All.Where(ZeroKeeping.Holds).Select(each => each.Name)];
                throw new PruningException($"{format.Name}, which {tensor.Name} would get of {request.Format.Name}, has no zero: what is pruned would come back as small weights. Formats with a zero: {string.Join(", ", holding)}.");
            }
        }
    }

    /// <summary>The format of a tensor: of the mix, or what it had; where its rows are no whole blocks, the next.</summary>
    private static WeightFormat FormatOf(ModelHeader header, FormatMix? mix, ModelTensor tensor, WeightFormat before)
    {
        if (mix is null || !FormatMix.Quantizes(tensor.Name, tensor.IsVector))
        {
            bool cannotBeWritten = tensor.Format != before && (!before.CanEncode || before.Importance == ImportanceUse.Required);
            return cannotBeWritten ? WeightFormats.ForName("F16")! : FormatMix.Fitting(before, tensor.Columns).Format;
        }

        LayerConfig layer = header.Config.Layers[0];
        bool hasOutput = !header.Config.TiedHead;
        string architecture = header.Gguf is null ? header.Family.WrittenGgufArchitecture : header.Architecture;
        return mix.Choose(tensor.Name, tensor.Columns, new MixModel(architecture, header.Config.NumLayers, layer.NumHeads / layer.NumKvHeads, hasOutput, HasImportance: false)).Format;
    }

    /// <summary>The format that most of a model's weights have.</summary>
    private static WeightFormat UsualFormat(ModelHeader header) => ChangedModel.Tensors(header).Where(tensor => !tensor.IsVector).GroupBy(tensor => tensor.Format).MaxBy(group => group.Sum(tensor => tensor.Elements))!.Key;

    private static PruneReport Write(ModelHeader header, string path, PruneRequest request, Decision decision, ModelWriteOptions? write, WeightFormat? usual = null)
    {
        List<string> remarks = [];
        HashSet<string> replaced = [];
        PrunedWeights? weights = decision.Weights;
        bool isSparse = request.Weights is not null;
        ChangedModelOptions changed = new()
        {
            Change = weights is null ? null : weights.Change,
            Encoder = weights is null ? null : weights.Encoder,
            Reshape = decision.Reshape,
            Format = path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) ? null : request.Format?.Format ?? (usual?.BlockSize == 1 ? usual : null),
            Fit = (tensor, before) =>
            {
                before = usual is not null && FormatMix.Quantizes(tensor.Name, tensor.IsVector) ? usual : before; // healed models lie in float32
                WeightFormat format = FormatOf(header, request.Format, tensor, before);
                if (!isSparse || !SlotInputs.TryFind(tensor.Name, out _, out _) || ZeroKeeping.Holds(format))
                {
                    return format;
                }

                replaced.Add(format.Name);
                return ZeroKeeping.Holding(format);
            },
        };
        (ConversionReport report, _) = ChangedModel.Write(header, path, changed, write);
        if (replaced.Count > 0)
        {
            remarks.Add($"{string.Join(", ", replaced.Order(StringComparer.Ordinal))} has no zero, so pruned matrices are stored as F16. --format with one that has (Q4_0, Q8_0, Q3_K, Q6_K) makes the file smaller.");
        }

        DecoderConfig after = decision.Reshape?.Config ?? header.Config;
        if (!after.HasEqualLayers && path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase))
        {
            string architecture = header.Family.GgufArchitectureFor(after);
            remarks.Add(architecture == "deci"
                ? "Layers differ, so the file is of the architecture deci, which is a Llama with layers of their own: llama.cpp runs it."
                : $"Layers differ: Kidogo runs the file, but llama.cpp reads one shape for all layers of a {architecture}.");
        }

        using ModelHeader written = ModelHeader.Open(path);
        PrunedTensor[] tensors = [.. ChangedModel.Tensors(written).Where(tensor => !tensor.IsVector && SlotInputs.TryFind(tensor.Name, out _, out _)).Select(tensor => new PrunedTensor(tensor.Name, tensor.Rows, tensor.Columns, isSparse ? ZerosOf(tensor) : 0))];
        return new PruneReport(header.Config.ParameterCount, after.ParameterCount, header.WeightBytes, report.Bytes, tensors, Gone(header.Config, after, request), [.. remarks, .. report.Warnings]);
    }

    /// <summary>Counts in what was written: what is reported is what is there.</summary>
    private static long ZerosOf(ModelTensor tensor)
    {
        long zeros = 0;
        float[] row = new float[tensor.Columns];
        for (int r = 0; r < tensor.Rows; r++)
        {
            InputScales.ReadRow(tensor, r, row);
            zeros += row.AsSpan().Count(0f);
        }

        return zeros;
    }

    private static List<string> Gone(DecoderConfig before, DecoderConfig after, PruneRequest request)
    {
        List<string> gone = [];
        if (request.Weights is { } weights)
        {
            string how = weights.Sparsity is { } sparsity ? $"{sparsity} of the weights" : string.Create(s_plain, $"weights up to {weights.Threshold:g6}");
            gone.Add($"{how} of the layers' matrices, by {weights.Criterion.ToString().ToLowerInvariant()}");
        }

        void Add(string what, long from, long to)
        {
            if (to < from)
            {
                gone.Add(string.Create(s_plain, $"{from - to} of {from} {what} ({100.0 * (from - to) / from:0.#} %)"));
            }
        }

        Add("layers", before.NumLayers, after.NumLayers);
        Add("channels of the residual stream", before.HiddenSize, after.HiddenSize);
        Add("neurons", before.Layers.Sum(layer => (long)layer.IntermediateSize), after.Layers.Sum(layer => (long)layer.IntermediateSize));
        Add("query heads", before.Layers.Sum(layer => (long)layer.NumHeads), after.Layers.Sum(layer => (long)layer.NumHeads));
        Add("key and value heads", before.Layers.Sum(layer => (long)layer.NumKvHeads), after.Layers.Sum(layer => (long)layer.NumKvHeads));
        return gone;
    }

    private static ModelReshape Choose(ModelHeader header, string path, PruneRequest request, StructurePruning structure, CancellationToken cancellation)
    {
        // What cannot be is said before anything is scored: for shapes it does not matter what parts are worth.
        StructurePlan shapes = new(header.Config, StructureScores.Equal(header.Config), structure.Plan with { AcrossLayers = false });
        if (!structure.HasTarget)
        {
            shapes.Check(structure.Shares);
            return Plan(header, request, structure, cancellation).Choose(structure.Shares);
        }

        using SpeedTrial? trial = structure.Speed is null ? null : new SpeedTrial(header, request.Threads, (tensor, before) => FormatOf(header, request.Format, tensor, before));
        StructureTarget target = structure switch
        {
            { Parameters: { } most } => new StructureTarget(most, "parameters", reshape => reshape.Config.ParameterCount),
            { Share: { } share } => new StructureTarget(Math.Floor(share * header.Config.ParameterCount), "parameters", reshape => reshape.Config.ParameterCount),
            { Bytes: { } most } => new StructureTarget(most, "bytes", reshape => BytesOf(header, path, request, reshape)),
            _ => new StructureTarget(1 / structure.Speed!.Value, "of a token's time", reshape => trial!.RelativeTime(reshape, cancellation), Evaluations: 6)
            {
                Show = time => string.Create(s_plain, $"{1 / time:0.##}x the speed"),
            },
        };
        if (header.Config.HasEqualLayers)
        {
            target.Least(shapes, structure.Kinds, header.Config.NumLayers);
        }

        StructurePlan plan = Plan(header, request, structure, cancellation);
        return target.Find(plan, structure.Kinds, header.Config.NumLayers);
    }

    private static StructurePlan Plan(ModelHeader header, PruneRequest request, StructurePruning structure, CancellationToken cancellation) =>
        new(header.Config, Score(header, request, structure.Criterion, cancellation), structure.Plan);

    private static double BytesOf(ModelHeader header, string path, PruneRequest request, ModelReshape reshape) => ChangedModel.BytesOf(header, path, new ChangedModelOptions
    {
        Reshape = reshape,
        Format = path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) ? null : request.Format?.Format,
        Fit = (tensor, before) => FormatOf(header, request.Format, tensor, before),
    });

    private static StructureScores Score(ModelHeader header, PruneRequest request, StructureCriterion criterion, CancellationToken cancellation)
    {
        if (request.Calibration is { } calibration)
        {
            return CalibratedScores.OfNeurons(header, calibration);
        }

        int length = Math.Min(request.SequenceTokens, header.Config.ContextLength);
        using ComputeContext context = ComputeContext.Training(request.Threads);
        using LoadedModel loaded = ModelLoader.Load(header.Path, context);
        return criterion is StructureCriterion.Taylor or StructureCriterion.Gate
            ? TaylorScores.Run(loaded.Model, context, request.Ids, length, criterion == StructureCriterion.Gate, Reporting(request, "scoring"), cancellation)
            : ActivationScores.Run(loaded.Model, context, request.Ids, length, Reporting(request, "scoring"), cancellation).Scores(header.Config, criterion == StructureCriterion.Minitron);
    }

    /// <summary>Times models of other shapes beside the whole one: what their weights say does not matter for it.</summary>
    private sealed class SpeedTrial : IDisposable
    {
        private const int Repetitions = 5;
        private readonly ModelHeader _header;
        private readonly Func<ModelTensor, WeightFormat, WeightFormat> _fit;
        private readonly ComputeContext _context;
        private readonly LoadedModel _whole;
        private double _seconds = double.PositiveInfinity; // of a token of the whole model, the least so far

        public SpeedTrial(ModelHeader header, int threads, Func<ModelTensor, WeightFormat, WeightFormat> fit)
        {
            (_header, _fit, _context) = (header, fit, ComputeContext.Inference(threads));
            try
            {
                _whole = Load(null);
            }
            catch
            {
                _context.Dispose();
                throw;
            }
        }

        /// <summary>The time of a token as a share of the whole model's. Both take turns, and the least of each counts: others on the machine only ever slow them down.</summary>
        public double RelativeTime(ModelReshape reshape, CancellationToken cancellation)
        {
            if (reshape.Config.ParameterCount == _header.Config.ParameterCount)
            {
                return 1;
            }

            using LoadedModel part = Load(reshape);
            double seconds = double.PositiveInfinity;
            SecondsOfToken(_whole, cancellation); // warms up
            SecondsOfToken(part, cancellation);
            for (int i = 0; i < Repetitions; i++)
            {
                _seconds = Math.Min(_seconds, SecondsOfToken(_whole, cancellation));
                seconds = Math.Min(seconds, SecondsOfToken(part, cancellation));
            }

            return seconds / _seconds;
        }

        public void Dispose()
        {
            _whole.Dispose();
            _context.Dispose();
        }

        private LoadedModel Load(ModelReshape? reshape) =>
            ModelLoader.Load(ChangedModel.Open(ModelHeader.Open(_header.Path), new ChangedModelOptions { Reshape = reshape, Fit = _fit }, _context.Team.Threads), _context);

        private double SecondsOfToken(LoadedModel loaded, CancellationToken cancellation) =>
            1 / Speed.Measure(loaded.Model, _context, new SpeedOptions { PromptTokens = 16, GeneratedTokens = 32 }.Within(loaded.Config.ContextLength), cancellation).DecodeTokensPerSecond;
    }
}
