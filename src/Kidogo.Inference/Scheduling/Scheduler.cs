// Many sequences through one model at once: who has a place, who waits, and the thread that computes. What a step computes is in SchedulerStep.
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Tensors;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Inference.Scheduling;

/// <summary>Continuous batching: sequences join and leave between steps, and every step computes the next token of all that have a place, and a piece of the prompts that are not done.</summary>
/// <remarks>
/// What a sequence generates depends on its request alone: not on who else is served, how prompts are cut, or what was cached (see <see cref="SequenceBatch"/>).
/// Safe for several threads. One thread of its own computes; the context belongs to it.
/// </remarks>
public sealed class Scheduler : IDisposable
{
    private readonly object _gate = new(); // the queue, the places, and the thread's sleep
    private readonly LinkedList<GeneratedChoice> _waiting = new();
    private readonly List<GeneratedChoice> _active = [];
    private readonly SchedulerOptions _options;
    private readonly DecoderModel _model;
    private readonly Tokenizer _tokenizer;
    private readonly SchedulerStep _step;
    private readonly PrefixCache _prefixes;
    private readonly Thread _thread;
    private readonly HashSet<int> _ends;
    private bool _isStopping;
    private long _cachedTokens;
    private long _finished;
    private long _cancelled;
    private long _failed;
    private long _refused;
    private long _idleBytes;

    /// <summary>Starts the thread.</summary>
    /// <param name="model">The model, which stays the caller's.</param>
    /// <param name="tokenizer">Its vocabulary.</param>
    /// <param name="context">The surroundings; nobody else may compute with it from now on.</param>
    /// <param name="options">How the model is shared.</param>
    /// <exception cref="ArgumentException">An option is outside its range.</exception>
    public Scheduler(DecoderModel model, Tokenizer tokenizer, ComputeContext context, SchedulerOptions options)
    {
        options.Validate();
        _options = options;
        _model = model;
        _tokenizer = tokenizer;
        _ends = [.. options.EndTokens];
        _prefixes = new PrefixCache(model, options);
        _step = new SchedulerStep(model, context, options, tokenizer.VocabularySize, IsEnd);
        using (CachedSequence probe = _prefixes.Fresh())
        {
            ContextLength = probe.ContextLength;
        }

        _thread = new Thread(Run) { IsBackground = true, Name = "kidogo scheduler" };
        _thread.Start();
    }

    /// <summary>Tokens of prompt and answer together.</summary>
    public int ContextLength { get; }

    /// <summary>How the model is shared.</summary>
    public SchedulerOptions Options => _options;

    /// <summary>Takes a request's sequences in, all or none.</summary>
    /// <param name="requests">One or more. Those that share a prompt (the same array) compute it once.</param>
    /// <returns>What is being generated; dispose it when nobody reads it any more.</returns>
    /// <exception cref="ContextExceededException">A prompt does not leave room for one token.</exception>
    /// <exception cref="ArgumentException">A request is malformed.</exception>
    /// <exception cref="QueueFullException">There are too many already.</exception>
    /// <exception cref="ObjectDisposedException">The scheduler is shutting down.</exception>
    public GenerationGroup Submit(params IReadOnlyList<GenerationRequest> requests)
    {
        foreach (GenerationRequest request in requests)
        {
            Check(request);
        }

        GenerationGroup group = new(this, requests, SamplerOf, TextOf);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isStopping, this);
            int free = Math.Max(0, _options.Parallel - _active.Count - _waiting.Count);
            if (_waiting.Count + requests.Count > (long)_options.QueueLength + free)
            {
                _refused += requests.Count;
                throw new QueueFullException(_waiting.Count, RetryAfter());
            }

            foreach (GeneratedChoice choice in group.Choices)
            {
                _waiting.AddLast(choice);
            }

            Monitor.Pulse(_gate);
        }

        return group;
    }

    /// <summary>The numbers of this moment.</summary>
    public SchedulerStatus Status()
    {
        lock (_gate)
        {
            return new SchedulerStatus
            {
                Parallel = _options.Parallel,
                Active = _active.Count,
                Waiting = _waiting.Count,
                Places = [.. _active.Select(choice => new PlaceStatus(choice.Request.Prompt.Length, choice.PromptDone, choice.GeneratedTokens))],
                PromptTokens = _step.PromptTokens,
                CachedTokens = _cachedTokens,
                GeneratedTokens = _step.GeneratedTokens,
                Steps = _step.Steps,
                SequenceSteps = _step.SequenceSteps,
                PromptTime = _step.PromptTime,
                DecodeTime = _step.DecodeTime,
                Finished = _finished,
                Cancelled = _cancelled,
                Failed = _failed,
                Refused = _refused,
                IdleCacheBytes = _idleBytes,
            };
        }
    }

    /// <summary>Cancels everything, and ends the thread after the step that it is in.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_isStopping)
            {
                return;
            }

            _isStopping = true;
            Monitor.Pulse(_gate);
        }

        _thread.Join();
        _prefixes.Dispose();
        _step.Dispose();
    }

    /// <summary>Notes that a group was cancelled: what waits goes at once, what has a place within a step.</summary>
    internal void Wake(GenerationGroup group)
    {
        List<GeneratedChoice> gone = [];
        lock (_gate)
        {
            for (LinkedListNode<GeneratedChoice>? node = _waiting.First, next; node is not null; node = next)
            {
                next = node.Next;
                if (node.Value.Group == group)
                {
                    _waiting.Remove(node);
                    node.Value.IsOver = true;
                    gone.Add(node.Value);
                    Interlocked.Increment(ref _cancelled);
                }
            }

            Monitor.Pulse(_gate);
        }

        gone.ForEach(choice => choice.Group.Finished(null));
    }

    private bool IsEnd(int id) => _tokenizer.IsEndOfGeneration(id) || _ends.Contains(id);

    private Sampler SamplerOf(GenerationRequest request) => new(request.Generation.Sampling, _model.Config.VocabSize, ContextLength);

    private AnswerText TextOf(GenerationRequest request) =>
        new(_tokenizer, request.Generation.StopStrings, request.Reasoning, request.StartsInReasoning, request.Continues, request.SpelledOut);

    private void Check(GenerationRequest request)
    {
        request.Generation.Validate();
        if (request.Prompt.Length == 0)
        {
            throw new ArgumentException("The prompt is empty: give at least one token.");
        }

        if (request.Adapter is { } adapter && adapter != Adapter.None && !_model.Adapters.All.Contains(adapter))
        {
            throw new ArgumentException($"The adapter {adapter.Name} is not attached to this model: attach it first.");
        }

        // A prompt that fills the context leaves no room for an answer; only one that is merely scored may.
        if (request.Prompt.Length > ContextLength || (request.Prompt.Length == ContextLength && request.Generation.MaxTokens != 0))
        {
            throw new ContextExceededException(request.Prompt.Length, ContextLength);
        }

        int outside = request.Prompt.AsSpan().IndexOfAnyExceptInRange(0, Math.Min(_tokenizer.VocabularySize, _model.Config.VocabSize) - 1);
        if (outside >= 0)
        {
            throw new ArgumentException(
                $"The token id {request.Prompt[outside]} at position {outside} of the prompt is outside the vocabulary of {Math.Min(_tokenizer.VocabularySize, _model.Config.VocabSize)}.");
        }
    }

    /// <summary>A rough time until the queue has moved: what an answer took lately, shared by the places.</summary>
    private TimeSpan RetryAfter()
    {
        double perAnswer = _finished == 0 ? 1 : (_step.PromptTime + _step.DecodeTime).TotalSeconds / _finished;
        return TimeSpan.FromSeconds(Math.Clamp(perAnswer * Math.Max(1, _waiting.Count / 4), 1, 60));
    }

    private void Run()
    {
        while (true)
        {
            lock (_gate)
            {
                while (!_isStopping && _active.Count == 0 && _waiting.Count == 0)
                {
                    Monitor.Wait(_gate);
                }

                if (_isStopping)
                {
                    break;
                }
            }

            try
            {
                RunOnce();
            }
            catch (Exception failure)
            {
                // A defect ends those that it met, not the server.
                foreach (GeneratedChoice choice in _active.Where(choice => !choice.IsOver))
                {
                    Fail(choice, failure);
                }
            }

            Retire();
        }

        Stop();
    }

    private void RunOnce()
    {
        Sweep();
        Admit();
        if (_active.Count > 0 && !_step.Run(_active, Fail))
        {
            lock (_gate)
            {
                if (!_isStopping)
                {
                    Monitor.Wait(_gate, TimeSpan.FromMilliseconds(5)); // all wait for slow readers
                }
            }
        }
    }

    /// <summary>Takes the places of those who have gone.</summary>
    private void Sweep()
    {
        foreach (GeneratedChoice choice in _active)
        {
            if (choice.Group.IsCancelled && !choice.IsOver)
            {
                Drop(choice);
            }
        }

        Retire();
    }

    private void Drop(GeneratedChoice choice)
    {
        choice.IsOver = true;
        Interlocked.Increment(ref _cancelled);
        choice.Group.Finished(null);
    }

    /// <summary>Gives free places to those who wait, in their order; who waits for another's prompt lets others pass.</summary>
    private void Admit()
    {
        while (_active.Count < _options.Parallel)
        {
            GeneratedChoice? next = null;
            lock (_gate)
            {
                for (LinkedListNode<GeneratedChoice>? node = _waiting.First; node is not null && next is null; node = node.Next)
                {
                    next = node.Value.Leader is { LetsFollowersBegin: false } ? null : node.Value;
                }

                if (next is null)
                {
                    return;
                }

                _waiting.Remove(next);
                _active.Add(next);
            }

            try
            {
                if (next.Group.IsCancelled)
                {
                    Drop(next); // another choice of its request failed
                }
                else
                {
                    Begin(next);
                }
            }
            catch (Exception failure)
            {
                Fail(next, failure);
            }

            Retire();
        }
    }

    private void Begin(GeneratedChoice choice)
    {
        GenerationRequest request = choice.Request;
        choice.Sampler.AcceptPrompt(request.Prompt);
        int cached = 0;
        CachedSequence sequence = request.UsesCache && !request.ReportsPrompt
            ? _prefixes.Take(KeyOf(request), request.Prompt, InUse(KeyOf(request)), out cached)
            : _prefixes.Fresh();
        choice.Begin(sequence, cached, _step.Guess(choice));
        Interlocked.Add(ref _cachedTokens, cached);
    }

    private IEnumerable<CachedSequence> InUse(PrefixKey key) =>
        _active.Where(choice => choice.Sequence is not null && choice.Request.UsesCache && _prefixes.IsFor(KeyOf(choice.Request), key)).Select(choice => choice.Sequence!);

    private PrefixKey KeyOf(GenerationRequest request) => new(request.Owner, request.Adapter ?? _model.Adapters.Default ?? Adapter.None);

    private void Fail(GeneratedChoice choice, Exception failure)
    {
        if (failure is OutOfMemoryException)
        {
            _prefixes.Clear();
        }

        choice.IsOver = true;
        Interlocked.Increment(ref _failed);
        choice.Group.Finished(failure);
    }

    /// <summary>Empties the places of what is over, and keeps what was computed for later.</summary>
    private void Retire()
    {
        lock (_gate)
        {
            for (int i = _active.Count - 1; i >= 0; i--)
            {
                GeneratedChoice choice = _active[i];
                if (!choice.IsOver)
                {
                    continue;
                }

                _active.RemoveAt(i);
                choice.Ahead?.Dispose();
                if (choice.Sequence is not { } sequence)
                {
                    continue;
                }

                choice.Sequence = null;
                if (choice.Request.UsesCache)
                {
                    _prefixes.Give(KeyOf(choice.Request), sequence);
                }
                else
                {
                    sequence.Dispose();
                }
            }

            _finished = _step.Finished;
            _idleBytes = _prefixes.Bytes;
        }
    }

    private void Stop()
    {
        List<GeneratedChoice> left;
        lock (_gate)
        {
            left = [.. _active, .. _waiting];
            _waiting.Clear();
        }

        foreach (GeneratedChoice choice in left.Where(choice => !choice.IsOver))
        {
            choice.IsOver = true;
            choice.Group.Finished(new ObjectDisposedException(nameof(Scheduler), "The server is shutting down."));
        }

        Retire();
    }
}
