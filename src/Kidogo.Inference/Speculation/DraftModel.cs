// Guesses by a smaller model of the same vocabulary. Knows nothing of the larger one but its words.
using System.Runtime.InteropServices;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Inference.Speculation;

/// <summary>Lets a small model say what a larger one will probably say (Leviathan et al., arXiv 2211.17192).</summary>
/// <remarks>It chooses as the larger one does, but for penalties and what else looks back, which the larger one applies anyway.</remarks>
public sealed class DraftModel : IDrafter, IDisposable
{
    private const ulong OtherStream = 0xD1B54A32D192ED03; // its draws must not be those that decide about them

    private readonly DecoderModel _model;
    private readonly ComputeContext _context;
    private readonly int _vocabularySize;
    private readonly int _rows;
    private readonly int _contextLength;
    private readonly bool _isAlwaysCertain;
    private readonly CachedSequence _sequence;
    private readonly SequenceBatch _batch = new();
    private readonly List<int> _tokens = [];
    private readonly List<float[]> _distributions = [];
    private Sampler _sampler;
    private Xoshiro256 _random = new(0);

    /// <summary>A small model that guesses for a larger one.</summary>
    /// <param name="draft">The small model; it stays the caller's.</param>
    /// <param name="target">The larger one.</param>
    /// <param name="context">What both compute with, in turns.</param>
    /// <param name="contextLength">Tokens of a whole text at most, 0 for as many as the small model can read; beyond that nothing is guessed.</param>
    /// <param name="isCertain">Whether it says its likeliest token even where the larger model draws: fewer guesses hold then, but none changes what a seed gives.</param>
    /// <exception cref="ArgumentException">The two have different vocabularies.</exception>
    public DraftModel(LoadedModel draft, LoadedModel target, ComputeContext context, int contextLength = 0, bool isCertain = false)
        : this(draft.Model, context, CheckVocabulary(draft, target), target.Config.VocabSize, contextLength, isCertain) =>
        RelativeCost = (double)draft.Model.MemoryBytes / Math.Max(1, target.Model.MemoryBytes); // a token reads all weights once

    private DraftModel(DecoderModel model, ComputeContext context, int vocabularySize, int rows, int contextLength, bool isCertain)
    {
        _model = model;
        _context = context;
        _vocabularySize = vocabularySize;
        _rows = rows;
        _contextLength = contextLength;
        _isAlwaysCertain = isCertain;
        _sequence = new CachedSequence(model, Math.Min(contextLength, model.Config.LongestSequence), context.CacheFormat);
        _sampler = new Sampler(SamplerOptions.Greedy, model.Config.VocabSize, _sequence.ContextLength);
    }

    /// <inheritdoc/>
    public double RelativeCost { get; private init; }

    /// <inheritdoc/>
    public bool IsCertain { get; private set; } = true;

    /// <inheritdoc/>
    public void Begin(ReadOnlySpan<int> prompt, SamplerOptions sampling, ulong seed)
    {
        _tokens.Clear();
        _tokens.AddRange(prompt);
        IsCertain = _isAlwaysCertain || sampling.IsGreedy;
        _random = new Xoshiro256(seed ^ OtherStream);
        SamplerOptions own = IsCertain ? SamplerOptions.Greedy : sampling with { RepetitionPenalty = 1, FrequencyPenalty = 0, PresencePenalty = 0, DryMultiplier = 0, Mirostat = 0, XtcProbability = 0, Seed = 0 };
        own = own with { LogitBias = sampling.LogitBias.Where(bias => bias.Key < _model.Config.VocabSize).ToDictionary() };
        _sampler = new Sampler(own, _model.Config.VocabSize, _sequence.ContextLength);
    }

    /// <summary>Another that guesses for another text by the same models.</summary>
    public DraftModel Another() => new(_model, _context, _vocabularySize, _rows, _contextLength, _isAlwaysCertain) { RelativeCost = RelativeCost };

    /// <inheritdoc/>
    public void Add(int id) => _tokens.Add(id);

    /// <inheritdoc/>
    public int Draft(Span<int> guesses)
    {
        int count = Math.Min(guesses.Length, _sequence.ContextLength - _tokens.Count);
        if (count <= 0 || CollectionsMarshal.AsSpan(_tokens).IndexOfAnyExceptInRange(0, _model.Config.VocabSize - 1) >= 0)
        {
            return 0;
        }

        int known = _sequence.Reuse(CollectionsMarshal.AsSpan(_tokens));
        for (; known + Generator.PromptRows < _tokens.Count; known += Generator.PromptRows)
        {
            Pass(CollectionsMarshal.AsSpan(_tokens).Slice(known, Generator.PromptRows), LogitRows.None, 0);
        }

        int next = Pass(CollectionsMarshal.AsSpan(_tokens)[known..], LogitRows.Last, 0);
        for (int i = 0; ; i++)
        {
            guesses[i] = next;
            if (i + 1 == count)
            {
                return count;
            }

            next = Pass([next], LogitRows.Last, i + 1);
        }
    }

    /// <inheritdoc/>
    public ReadOnlySpan<float> Distribution(int guess) => IsCertain ? [] : _distributions[guess].AsSpan(0, _rows);

    /// <inheritdoc/>
    public void Dispose()
    {
        _sequence.Dispose();
        _batch.Dispose();
    }

    /// <summary>Computes tokens, and draws the guess of that number after them.</summary>
    private int Pass(ReadOnlySpan<int> tokens, LogitRows rows, int guess)
    {
        int mark = _context.Mark();
        try
        {
            _batch.Clear();
            _batch.Add(_sequence.Cache, tokens, rows);
            Tensor logits = _model.Forward(_context, _batch);
            _sequence.Added(tokens);
            return rows == LogitRows.None ? -1 : Draw(logits.Row(0), guess);
        }
        finally
        {
            _context.ReleaseTo(mark);
        }
    }

    private int Draw(Span<float> logits, int guess)
    {
        if (_vocabularySize < logits.Length)
        {
            logits[_vocabularySize..].Fill(float.NegativeInfinity);
        }

        if (IsCertain)
        {
            return _sampler.Sample(logits);
        }

        if (guess == _distributions.Count)
        {
            _distributions.Add(new float[Math.Max(_rows, logits.Length)]);
        }

        Span<float> probabilities = _distributions[guess];
        _sampler.Distribution(logits, probabilities[..logits.Length]);
        double left = _random.NextDouble();
        int last = 0;
        for (int id = 0; id < logits.Length && left >= 0; id++)
        {
            if (probabilities[id] > 0)
            {
                last = id;
                left -= probabilities[id];
            }
        }

        return last;
    }

    private static int CheckVocabulary(LoadedModel draft, LoadedModel target)
    {
        using ModelText own = ModelText.Of(draft.Header), other = ModelText.Of(target.Header);
        if (!own.HasTokenizer && !other.HasTokenizer)
        {
            return draft.Config.VocabSize == target.Config.VocabSize ? target.Config.VocabSize
                : throw new ArgumentException($"The draft model has {draft.Config.VocabSize} tokens and the model {target.Config.VocabSize}; guesses need the same vocabulary.");
        }

        Tokenizer? small = own.HasTokenizer ? own.Tokenizer : null, large = other.HasTokenizer ? other.Tokenizer : null;
        return small?.Fingerprint == large?.Fingerprint ? Math.Min(large!.VocabularySize, Math.Min(draft.Config.VocabSize, target.Config.VocabSize))
            : throw new ArgumentException(
                $"The draft model has another vocabulary ({small?.VocabularySize.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "no"} tokens, the model {large?.VocabularySize.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "none"}): its ids mean other words. Take a smaller model of the same family.");
    }
}
