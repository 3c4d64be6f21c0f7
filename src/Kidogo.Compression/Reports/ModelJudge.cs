// Measures one model: size, questions, perplexity, speed. Changes nothing; writes no report.
using Kidogo.Data.Village;
using Kidogo.Evaluation;
using Kidogo.Evaluation.Tasks;
using Kidogo.Inference;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Tensors;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Compression.Reports;

/// <summary>How models are judged.</summary>
public sealed record JudgeOptions
{
    /// <summary>Stories to ask about; null for no questions.</summary>
    public VillageOptions? Village { get; init; }

    /// <summary>How many stories. Default 50.</summary>
    public int Stories { get; init; } = 50;

    /// <summary>A text to judge on, UTF-8; empty for none.</summary>
    public ReadOnlyMemory<byte> Text { get; init; }

    /// <summary>What the text is called.</summary>
    public string TextName { get; init; } = "";

    /// <summary>Tokens of the text that are read at most. Default 4,096.</summary>
    public int MostTokens { get; init; } = 4096;

    /// <summary>What is asked for the sake of the answers. Default nothing.</summary>
    public IReadOnlyList<string> Prompts { get; init; } = [];

    /// <summary>What is timed; null for nothing.</summary>
    public SpeedOptions? Speed { get; init; } = new() { PromptTokens = 128, GeneratedTokens = 64 };

    /// <summary>Answers to keep of the questions. Default 6.</summary>
    public int Samples { get; init; } = 6;

    /// <summary>Threads; 0 for one per processor.</summary>
    public int Threads { get; init; }

    /// <summary>Called with what is going on, how far it is, and of how much; may be null.</summary>
    public Action<string, long, long>? Progress { get; init; }
}

/// <summary>Judges models one after the other; the first is the base of the others' divergence, where they have its vocabulary.</summary>
/// <param name="options">How.</param>
public sealed class ModelJudge(JudgeOptions options)
{
    private const int WindowTokens = 512, MostAnswerTokens = 64, Timings = 3;
    private readonly List<ReadOnlyMemory<float>> _answers = []; // the base's logits before each token of each right answer
    private string? _base;
    private int[] _baseIds = []; // the text as the base's tokenizer has it

    /// <summary>Measures a model.</summary>
    /// <param name="name">What it is called.</param>
    /// <param name="made">How it was made, in a few words.</param>
    /// <param name="path">Its file or folder.</param>
    /// <param name="adapter">An adapter to compute with; null for none.</param>
    /// <param name="cancellation">Ends it.</param>
    public JudgedModel Judge(string name, string made, string path, string? adapter = null, CancellationToken cancellation = default)
    {
        using ComputeContext context = ComputeContext.Inference(options.Threads);
        using LoadedModel loaded = Load(path, adapter, context);
        using ModelText text = ModelText.Open(path);
        ModelSummary summary = ModelSummary.Read(path, 1, KvFormat.F16);
        JudgedModel judged = new()
        {
            Name = name,
            Made = made,
            JudgedOn = options.Village?.Language.Name ?? options.TextName,
            Parameters = summary.Parameters,
            Bytes = summary.Bytes,
            BitsPerWeight = summary.BitsPerWeight,
            MemoryBytes = loaded.Model.MemoryBytes,
        };
        judged = options.Text.IsEmpty ? judged : OnText(judged, loaded, text, context, path, cancellation);
        judged = options.Village is null ? judged : OnStories(judged, loaded, text, context, cancellation);
        judged = judged with { Samples = [.. judged.Samples, .. options.Prompts.Select(prompt => new JudgedSample(prompt, "", Answer(loaded, text, context, prompt, cancellation)))] };
        _base ??= path;
        return Timed(judged, loaded.Model, context, cancellation);
    }

    private static LoadedModel Load(string path, string? adapter, ComputeContext context)
    {
        LoadedModel loaded = ModelLoader.Load(path, context);
        try
        {
            if (adapter is not null)
            {
                loaded.Model.Adapters.Attach(AdapterFiles.Open(adapter, loaded.Header, loaded.Model), context);
            }

            return loaded;
        }
        catch
        {
            loaded.Dispose();
            throw;
        }
    }

    private JudgedModel OnStories(JudgedModel judged, LoadedModel loaded, ModelText text, ComputeContext context, CancellationToken cancellation)
    {
        Divergence divergence = new();
        bool isBase = _base is null, isComparable = true;
        int position = 0;
        VillageReport report = VillageTask.Measure(loaded.Model, text, context, new VillageTaskOptions
        {
            Village = options.Village!,
            Stories = options.Stories,
            Progress = (done, total) => options.Progress?.Invoke($"asking {judged.Name}", done, total),
            AnswerLogits = logits =>
            {
                if (isBase)
                {
                    _answers.Add(logits);
                }
                else if (isComparable &= position < _answers.Count && _answers[position].Length == logits.Length)
                {
                    divergence.Add(_answers[position++].Span, logits.Span);
                }
            },
        }, cancellation);
        judged = judged.With(report, options.Samples);
        if (isBase || !isComparable || position != _answers.Count)
        {
            return judged;
        }

        DivergenceReport distance = divergence.Report();
        return judged with { KlDivergence = distance.MeanKl, Top1Agreement = distance.Top1Agreement };
    }

    private JudgedModel OnText(JudgedModel judged, LoadedModel loaded, ModelText text, ComputeContext context, string path, CancellationToken cancellation)
    {
        int[] ids = text.Tokenizer.Encode(options.Text.Span);
        ids = ids[..Math.Min(ids.Length, options.MostTokens)];
        _baseIds = _base is null ? ids : _baseIds;
        int window = Math.Min(Math.Min(WindowTokens, loaded.Config.ContextLength), ids.Length);
        if (window < 2)
        {
            return judged;
        }

        PerplexityReport report = Perplexity.Measure(loaded.Model, context, ids, new PerplexityOptions
        {
            WindowLength = window,
            BytesOf = id => text.Tokenizer.PieceBytes(id).Length,
            Progress = (done, total) => options.Progress?.Invoke($"reading with {judged.Name}", done, total),
        }, cancellation);
        judged = judged with { Perplexity = report.Perplexity, BitsPerByte = report.BitsPerByte };
        if (_base is not { } first || first == path || !_baseIds.AsSpan().SequenceEqual(ids))
        {
            return judged; // the base itself, or other tokens: their distributions cannot be compared
        }

        using LoadedModel other = ModelLoader.Load(first, context);
        if (other.Config.VocabSize != loaded.Config.VocabSize)
        {
            return judged;
        }

        DivergenceReport distance = DivergenceRun.AgainstModel(loaded.Model, context, other.Model, context, ids, (done, total) => options.Progress?.Invoke($"comparing {judged.Name}", done, total), cancellation);
        return judged with { KlDivergence = distance.MeanKl, Top1Agreement = distance.Top1Agreement };
    }

    private static string Answer(LoadedModel loaded, ModelText text, ComputeContext context, string prompt, CancellationToken cancellation)
    {
        ChatTemplate? template = text.ChatTemplate();
        IReadOnlyList<int> ids = template is null ? text.Tokenizer.Encode(prompt, addSpecial: true) : new ChatPrompter(text, template).Build([new ChatMessage("user", prompt).ToJson()]).Ids;
        using CachedSequence sequence = new(loaded.Model, 0, context.CacheFormat);
        using TextGenerator generator = new(loaded.Model, text.Tokenizer, context);
        AnswerOptions how = new() { Generation = new GenerationOptions { MaxTokens = MostAnswerTokens, Sampling = new SamplerOptions { Temperature = 0 } } };
        return string.Concat(generator.Generate(sequence, ids, how, out _, cancellation).Select(piece => piece.Text));
    }

    private JudgedModel Timed(JudgedModel judged, DecoderModel model, ComputeContext context, CancellationToken cancellation)
    {
        if (options.Speed is not { } wanted)
        {
            return judged;
        }

        SpeedOptions speed = wanted.Within(model.Config.ContextLength);
        SpeedReport[] runs = [.. Enumerable.Range(0, Timings).Select(_ => Speed.Measure(model, context, speed, cancellation))];
        // The fastest: others on the machine only ever slow it down.
        return judged with { PrefillTokensPerSecond = runs.Max(run => run.PrefillTokensPerSecond), DecodeTokensPerSecond = runs.Max(run => run.DecodeTokensPerSecond) };
    }
}
