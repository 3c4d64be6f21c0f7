// The sequences of one request while they are generated, and the channel they report on. Knows no model.
using System.Diagnostics;
using System.Threading.Channels;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Speculation;

namespace Kidogo.Inference.Scheduling;

/// <summary>What one request asked to be generated. Disposing it cancels what still runs.</summary>
public sealed class GenerationGroup : IDisposable
{
    private readonly Channel<GenerationStep> _steps = Channel.CreateUnbounded<GenerationStep>(); // one that can be counted
    private readonly Scheduler _scheduler;
    private int _running;
    private volatile bool _isCancelled;

    internal GenerationGroup(Scheduler scheduler, IReadOnlyList<GenerationRequest> requests, Func<GenerationRequest, Sampler> samplerOf, Func<GenerationRequest, AnswerText> textOf)
    {
        _scheduler = scheduler;
        _running = requests.Count;
        GeneratedChoice[] choices = new GeneratedChoice[requests.Count];
        for (int i = 0; i < choices.Length; i++)
        {
            GeneratedChoice? leader = choices.Take(i).FirstOrDefault(other => ReferenceEquals(other.Request.Prompt, requests[i].Prompt));
            choices[i] = new GeneratedChoice(this, i, requests[i], leader, samplerOf(requests[i]), textOf(requests[i]));
        }

        Choices = choices;
    }

    /// <summary>The sequences, in the order of the requests.</summary>
    public IReadOnlyList<GeneratedChoice> Choices { get; }

    /// <summary>The steps of all choices as they come. It ends when all are over, or with what went wrong.</summary>
    public ChannelReader<GenerationStep> Steps => _steps.Reader;

    /// <summary>Steps that wait to be read.</summary>
    internal int Unread => _steps.Reader.Count;

    /// <summary>Whether the one who asked has gone.</summary>
    internal bool IsCancelled => _isCancelled;

    /// <summary>Ends what still runs, within a step.</summary>
    public void Cancel()
    {
        _isCancelled = true;
        _scheduler.Wake(this);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Volatile.Read(ref _running) > 0)
        {
            Cancel();
        }
    }

    internal void Report(GenerationStep step) => _steps.Writer.TryWrite(step);

    /// <summary>Notes that a choice is over; with a failure all are.</summary>
    internal void Finished(Exception? failure)
    {
        if (failure is not null)
        {
            _isCancelled = true;
            _steps.Writer.TryComplete(failure);
        }

        if (Interlocked.Decrement(ref _running) == 0)
        {
            _steps.Writer.TryComplete();
        }
    }
}

/// <summary>One sequence of a request. Its numbers are complete once its last step has been read.</summary>
public sealed class GeneratedChoice
{
    internal GeneratedChoice(GenerationGroup group, int index, GenerationRequest request, GeneratedChoice? leader, Sampler sampler, AnswerText text)
    {
        Group = group;
        Index = index;
        Request = request;
        Leader = leader;
        Sampler = sampler;
        Text = text;
    }

    /// <summary>What was asked.</summary>
    public GenerationRequest Request { get; }

    /// <summary>Tokens of the prompt that were cached from before.</summary>
    public int CachedTokens { get; internal set; }

    /// <summary>Tokens of the prompt that are in the cache by now.</summary>
    public int PromptDone { get; internal set; }

    /// <summary>Tokens generated, without the one that ended the answer.</summary>
    public int GeneratedTokens { get; internal set; }

    /// <summary>Those of them that belong to the reasoning.</summary>
    public int ReasoningTokens { get; internal set; }

    /// <summary>The tokens of the prompt from the second on, where <see cref="GenerationRequest.ReportsPrompt"/>; complete before the first step.</summary>
    public IReadOnlyList<TokenLikelihood> PromptLikelihoods => Likelihoods;

    /// <summary>The seed that the choices went by.</summary>
    public ulong Seed => Sampler.Seed;

    /// <summary>The stop string that ended it; null where none did.</summary>
    public string? StoppedBy => Text.StoppedBy;

    /// <summary>From getting a place to the first token.</summary>
    public TimeSpan PromptTime { get; internal set; }

    /// <summary>From the first token to the last.</summary>
    public TimeSpan DecodeTime { get; internal set; }

    /// <summary>What guessing ahead has brought.</summary>
    public SpeculationCounts Guesses => Ahead?.Counts ?? default;

    /// <summary>Another choice of the same prompt that computes it for both; null where there is none.</summary>
    public GeneratedChoice? Leader { get; }

    internal GenerationGroup Group { get; }

    internal int Index { get; }

    internal Sampler Sampler { get; }

    internal AnswerText Text { get; }

    internal List<TokenLikelihood> Likelihoods { get; } = [];

    /// <summary>The cache while it has a place.</summary>
    internal CachedSequence? Sequence { get; set; }

    /// <summary>The token to compute next; -1 while the prompt is not done.</summary>
    internal int Next { get; set; } = -1;

    /// <summary>What guesses; null for nothing.</summary>
    internal Speculator? Ahead { get; private set; }

    /// <summary>The tokens of the next pass: <see cref="Next"/>, then guesses.</summary>
    internal int[] Row { get; set; } = [];

    internal bool IsOver { get; set; }

    internal bool IsDecoding => Next >= 0;

    internal long Begun { get; private set; }

    /// <summary>Whether a follower may begin: what it shares is computed, or will never be.</summary>
    internal bool LetsFollowersBegin => IsDecoding || IsOver;

    internal void StopGuessing()
    {
        Ahead?.Dispose();
        Ahead = null;
    }

    internal void Begin(CachedSequence sequence, int cached, Speculator? ahead)
    {
        Ahead = ahead;
        Sequence = sequence;
        CachedTokens = cached;
        PromptDone = cached;
        Begun = Stopwatch.GetTimestamp();
    }
}
