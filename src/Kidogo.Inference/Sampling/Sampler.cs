// From logits to a token: runs the steps in their order and draws. Knows ids and logits only, no model and no text.
using System.Security.Cryptography;

namespace Kidogo.Inference.Sampling;

/// <summary>Chooses tokens for one sequence. Owns everything that a choice depends on besides the logits: random generator, history, mirostat's mu.</summary>
/// <remarks>
/// Give it the prompt with <see cref="AcceptPrompt"/>, then for each token <see cref="Sample"/> and <see cref="Accept"/>. Nothing is allocated after the constructor. Tokens are drawn in the order
/// of their ids, so last-bit differences of the logits move a draw's borders a little, but never reorder them. Not thread-safe: one sampler per sequence.
/// </remarks>
public sealed class Sampler
{
    private readonly SamplerOptions _options;
    private readonly int _vocabularySize;
    private readonly SamplerStep[] _steps; // those that do something
    private readonly (int Id, float Bias)[] _biases;
    private readonly CandidateSet _set;
    private readonly TokenHistory _history;
    private readonly Penalties? _penalties;
    private readonly DryPenalty? _dry;
    private readonly MirostatState? _mirostat;
    private readonly bool _takesLargest; // nothing but the largest logit matters
    private Xoshiro256 _random;

    /// <summary>A sampler for one sequence.</summary>
    /// <param name="options">How to choose; validated here.</param>
    /// <param name="vocabularySize">The number of logits of a token.</param>
    /// <param name="contextLength">The longest window in tokens that "the whole context" (-1) can mean.</param>
    /// <exception cref="ArgumentException">An option is outside its range, or names an id outside the vocabulary.</exception>
    public Sampler(SamplerOptions options, int vocabularySize, int contextLength)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabularySize, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(contextLength, 1);
        options.Validate();
        foreach (int id in options.LogitBias.Keys)
        {
            if (id >= vocabularySize)
            {
                throw new ArgumentException($"{nameof(options.LogitBias)} names the token id {id}; the vocabulary has {vocabularySize} tokens, 0 to {vocabularySize - 1}.");
            }
        }

        _options = options;
        _vocabularySize = vocabularySize;
        _set = new CandidateSet(vocabularySize);
        _biases = [.. options.LogitBias.Where(b => b.Value != 0).Select(b => (b.Key, b.Value))];
        _mirostat = options.Mirostat == 0 || options.IsGreedy ? null : new MirostatState(options, vocabularySize);
        _steps = [.. options.Order.Where(IsOn)];
        _penalties = _steps.Contains(SamplerStep.Penalties) ? new Penalties(options, vocabularySize, contextLength) : null;
        _dry = _steps.Contains(SamplerStep.Dry) ? new DryPenalty(options, vocabularySize, contextLength) : null;
        _history = new TokenHistory(Math.Max(
            _penalties is null ? 0 : Penalties.WindowOf(options.PenaltyLastN, contextLength),
            _dry is null ? 0 : Penalties.WindowOf(options.DryPenaltyLastN, contextLength)));
        _takesLargest = _biases.Length == 0 && _steps.Contains(SamplerStep.Temperature) && options.IsGreedy
            && !_steps.Any(s => s is SamplerStep.Penalties or SamplerStep.Dry or SamplerStep.Typical or SamplerStep.Xtc);
        Seed = options.Seed ?? BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong)));
        _random = new Xoshiro256(Seed);
    }

    /// <summary>The seed in use: the options', or the one that was taken from the system.</summary>
    public ulong Seed { get; }

    /// <summary>How it chooses.</summary>
    public SamplerOptions Options => _options;

    /// <summary>Mirostat's mu, in bits, or 0 without mirostat.</summary>
    internal double MirostatMu => _mirostat?.Mu ?? 0;

    /// <summary>Chooses the next token. Does not remember it: see <see cref="Accept"/>.</summary>
    /// <param name="logits">[vocabulary]; negative infinity means impossible.</param>
    /// <exception cref="InvalidOperationException">A logit is NaN or positive infinity, or all are negative infinity.</exception>
    public int Sample(ReadOnlySpan<float> logits)
    {
        CheckLength(logits);
        if (_takesLargest)
        {
            return CandidateSet.IndexOfLargest(logits);
        }

        Run(logits, UsesXtc());
        if (_set.Count == 1)
        {
            ObserveDraw(1);
            return _set.IdAt(0);
        }

        int drawn = Draw();
        ObserveDraw(_set.Weigh()[drawn] / _set.Total);
        return _set.IdAt(drawn);
    }

    /// <summary>Decides about a guessed token (Leviathan et al., arXiv 2211.17192, section 2.3): accepts it with the probability min(1, p / q), else draws from what p has more than q. What comes out has the distribution of <see cref="Sample"/>.</summary>
    /// <param name="logits">As <see cref="Sample"/>.</param>
    /// <param name="guess">The guessed token.</param>
    /// <param name="draft">[vocabulary] q, the probabilities that the guess was drawn by; empty where it was certain.</param>
    /// <returns>The guess where it is accepted, else another token. Does not remember it.</returns>
    /// <remarks>
    /// For a certain guess the rule says: accept it with the probability p, else draw one of the others by theirs. That is a draw from p, so it is made by the very number that
    /// <see cref="Sample"/> would have used, and the same seed gives the same tokens, guessed or not.
    /// </remarks>
    /// <exception cref="InvalidOperationException">As <see cref="Sample"/>.</exception>
    public int Verify(ReadOnlySpan<float> logits, int guess, ReadOnlySpan<float> draft)
    {
        CheckId(guess);
        if (draft.IsEmpty || _takesLargest)
        {
            return Sample(logits);
        }

        CheckLength(logits);
        CheckLength(draft);
        Run(logits, UsesXtc());
        ReadOnlySpan<float> weights = _set.Weigh();
        int at = _set.IndexOf(guess);
        double p = at < 0 ? 0 : weights[at] / _set.Total;
        int chosen = _random.NextDouble() * draft[guess] < p ? at : DrawResidual(weights, draft);
        ObserveDraw(weights[chosen] / _set.Total);
        return _set.IdAt(chosen);
    }

    /// <summary>Remembers a token that was generated.</summary>
    /// <param name="id">0 to the vocabulary's size, exclusive.</param>
    public void Accept(int id)
    {
        CheckId(id);
        _history.Add(id, isPrompt: false);
    }

    /// <summary>Remembers the prompt's tokens, which repetition penalty and DRY look at too.</summary>
    public void AcceptPrompt(ReadOnlySpan<int> ids)
    {
        foreach (int id in ids)
        {
            CheckId(id);
            _history.Add(id, isPrompt: true);
        }
    }

    /// <summary>Back to the start: an empty history, the first draw of the seed, mirostat's first mu.</summary>
    public void Reset()
    {
        _history.Clear();
        _mirostat?.Reset();
        _random = new Xoshiro256(Seed);
    }

    /// <summary>The distribution that <see cref="Sample"/> would draw from, without drawing. Changes nothing.</summary>
    /// <param name="logits">[vocabulary].</param>
    /// <param name="probabilities">[vocabulary]; 0 for tokens that were dropped. With an XTC probability between 0 and 1 the mixture of both cases.</param>
    /// <exception cref="InvalidOperationException">As <see cref="Sample"/>.</exception>
    public void Distribution(ReadOnlySpan<float> logits, Span<float> probabilities)
    {
        if (probabilities.Length != _vocabularySize)
        {
            throw new ArgumentException($"The room for probabilities has {probabilities.Length} places; the vocabulary has {_vocabularySize} tokens.", nameof(probabilities));
        }

        CheckLength(logits);
        probabilities.Clear();
        double xtc = _steps.Contains(SamplerStep.Xtc) ? _options.XtcProbability : 0;
        if (xtc < 1)
        {
            Run(logits, useXtc: false);
            AddDistribution(1 - xtc, probabilities);
        }

        if (xtc > 0)
        {
            Run(logits, useXtc: true);
            AddDistribution(xtc, probabilities);
        }
    }

    /// <summary>What mirostat learns from a draw that had this probability.</summary>
    internal void ObserveDraw(double probability) => _mirostat?.Observe(probability);

    private void AddDistribution(double share, Span<float> probabilities)
    {
        ReadOnlySpan<float> weights = _set.Weigh();
        for (int i = 0; i < weights.Length; i++)
        {
            probabilities[_set.IdAt(i)] += (float)(share * (weights[i] / _set.Total));
        }
    }

    private bool IsOn(SamplerStep step) => step switch
    {
        SamplerStep.Penalties => Penalties.AreOn(_options),
        SamplerStep.Dry => DryPenalty.IsOn(_options),
        SamplerStep.Temperature => _options.Temperature != 1 || _options.DynamicTemperatureRange > 0,
        _ when _mirostat is not null => false,
        SamplerStep.TopNSigma => _options.TopNSigma > 0,
        SamplerStep.TopK => _options.TopK > 0 && _options.TopK < _vocabularySize,
        SamplerStep.Typical => _options.TypicalP < 1,
        SamplerStep.TopP => _options.TopP < 1,
        SamplerStep.MinP => _options.MinP > 0,
        SamplerStep.Xtc => _options.XtcProbability > 0 && _options.XtcThreshold <= 0.5,
        _ => throw new ArgumentException($"{step} is not a sampler step."),
    };

    /// <summary>Fills the set with what is left after every step.</summary>
    private void Run(ReadOnlySpan<float> logits, bool useXtc)
    {
        ReadOnlySpan<SamplerStep> steps = _steps;
        if (_biases.Length == 0 && steps.Length > 0 && steps[0] == SamplerStep.TopK)
        {
            _set.LoadLargest(logits, _options.TopK);
            steps = steps[1..];
        }
        else
        {
            TokenProbabilities.LargestOf(logits);
            _set.Load(logits);
        }

        foreach ((int id, float bias) in _biases)
        {
            _set.Logits[id] += bias;
        }

        foreach (SamplerStep step in steps)
        {
            Apply(step, useXtc);
        }

        _mirostat?.Truncate(_set);
    }

    private void Apply(SamplerStep step, bool useXtc)
    {
        switch (step)
        {
            case SamplerStep.Penalties:
                _penalties!.Apply(_set, _history);
                break;
            case SamplerStep.Dry:
                _dry!.Apply(_set, _history);
                break;
            case SamplerStep.TopNSigma:
                Truncation.TopNSigma(_set, _options.TopNSigma);
                break;
            case SamplerStep.TopK:
                _set.KeepLargest(_options.TopK);
                break;
            case SamplerStep.Typical:
                Truncation.Typical(_set, _options.TypicalP, _options.MinKeep);
                break;
            case SamplerStep.TopP:
                Truncation.TopP(_set, _options.TopP, _options.MinKeep);
                break;
            case SamplerStep.MinP:
                Truncation.MinP(_set, _options.MinP, _options.MinKeep);
                break;
            case SamplerStep.Xtc when useXtc:
                Truncation.Xtc(_set, _options.XtcThreshold, _options.MinKeep);
                break;
            case SamplerStep.Temperature when _options.DynamicTemperatureRange > 0:
                Temperatures.Dynamic(_set, _options.Temperature, _options.DynamicTemperatureRange, _options.DynamicTemperatureExponent);
                break;
            case SamplerStep.Temperature:
                Temperatures.Fixed(_set, _options.Temperature);
                break;
        }
    }

    private bool UsesXtc() => _steps.Contains(SamplerStep.Xtc) && _random.NextDouble() < _options.XtcProbability;

    /// <summary>Draws an index of the set by what its probabilities have more than others.</summary>
    private int DrawResidual(ReadOnlySpan<float> weights, ReadOnlySpan<float> draft)
    {
        double total = 0;
        for (int i = 0; i < weights.Length; i++)
        {
            total += Excess(weights, draft, i);
        }

        double left = _random.NextDouble() * total;
        int last = -1;
        for (int i = 0; i < weights.Length && left >= 0; i++)
        {
            double excess = Excess(weights, draft, i);
            if (excess > 0)
            {
                last = i;
                left -= excess;
            }
        }

        return last >= 0 ? last : Draw(); // by rounding alone: the two are the same then
    }

    private double Excess(ReadOnlySpan<float> weights, ReadOnlySpan<float> draft, int index) => Math.Max(0, (weights[index] / _set.Total) - draft[_set.IdAt(index)]);

    /// <summary>Draws an index of the set by one number of the generator.</summary>
    private int Draw()
    {
        ReadOnlySpan<float> weights = _set.Weigh();
        double left = _random.NextDouble() * _set.Total;
        int last = -1;
        for (int i = 0; i < weights.Length; i++)
        {
            if (weights[i] > 0)
            {
                last = i;
                left -= weights[i];
                if (left < 0)
                {
                    break;
                }
            }
        }

        return last; // the last possible one where rounding left a remainder
    }

    private void CheckLength(ReadOnlySpan<float> logits)
    {
        if (logits.Length != _vocabularySize)
        {
            throw new ArgumentException($"There are {logits.Length} logits; the sampler was made for a vocabulary of {_vocabularySize}.", nameof(logits));
        }
    }

    private void CheckId(int id)
    {
        if ((uint)id >= (uint)_vocabularySize)
        {
            throw new ArgumentOutOfRangeException(nameof(id), $"The token id {id} is outside the vocabulary, 0 to {_vocabularySize - 1}.");
        }
    }
}
