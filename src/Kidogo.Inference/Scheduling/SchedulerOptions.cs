// How many sequences a model computes side by side, and with what memory. Knows no requests.
using Kidogo.Inference.Speculation;
using Kidogo.Tensors;

namespace Kidogo.Inference.Scheduling;

/// <summary>How a <see cref="Scheduler"/> shares one model.</summary>
public sealed record SchedulerOptions
{
    /// <summary>Sequences at once. 1 to 1024, default 4.</summary>
    public int Parallel { get; init; } = 4;

    /// <summary>Sequences that may wait for a place; one more is refused. 0 or more, default 64.</summary>
    public int QueueLength { get; init; } = 64;

    /// <summary>Tokens of prompt and answer together. 0 (default) is the model's own.</summary>
    public int ContextLength { get; init; }

    /// <summary>How keys and values are stored. Default float16.</summary>
    public KvFormat CacheFormat { get; init; }

    /// <summary>Bytes that sequences which are not in use may keep for later prompts with the same start. 0 keeps none; default 512 MiB.</summary>
    public long IdleCacheBytes { get; init; } = 512L * 1024 * 1024;

    /// <summary>Whether what one owner's prompts computed may serve another's. Default false: what is cached shows in how long an answer takes.</summary>
    public bool SharesCache { get; init; }

    /// <summary>How long a step may take beside streams that are being read, so that they do not stall while a prompt is computed. Default 0.1 seconds.</summary>
    /// <remarks>Decides into how many pieces prompts are cut. That changes when tokens come, never which.</remarks>
    public TimeSpan StepTarget { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Tokens of prompts that are computed in one step at most. 1 or more, default 512.</summary>
    public int PromptRows { get; init; } = Inference.Generator.PromptRows;

    /// <summary>Steps of an answer that may wait for a slow reader before its sequence pauses. 1 or more, default 256.</summary>
    public int UnreadSteps { get; init; } = 256;

    /// <summary>Makes what guesses ahead for one sequence; null (default) for nothing. Guesses change speed, never tokens, and stop where they lose.</summary>
    /// <remarks>They have to be certain (<see cref="IDrafter.IsCertain"/>): an answer may not depend on who else is served. What is made is disposed with its sequence, where it can be.</remarks>
    public Func<IDrafter>? Drafter { get; init; }

    /// <summary>Ids that end an answer beside those of the tokenizer.</summary>
    public IReadOnlyList<int> EndTokens { get; init; } = [];

    /// <summary>Checks every field.</summary>
    /// <exception cref="ArgumentException">A field is outside its range.</exception>
    public void Validate()
    {
        Check(nameof(Parallel), Parallel, 1, 1024);
        Check(nameof(QueueLength), QueueLength, 0, int.MaxValue);
        Check(nameof(ContextLength), ContextLength, 0, int.MaxValue);
        Check(nameof(IdleCacheBytes), IdleCacheBytes, 0, long.MaxValue);
        Check(nameof(PromptRows), PromptRows, 1, int.MaxValue);
        Check(nameof(UnreadSteps), UnreadSteps, 1, int.MaxValue);
    }

    private static void Check(string name, long value, long min, long max)
    {
        if (value < min || value > max)
        {
            throw new ArgumentException($"{name} is {value}; it has to be from {min} to {max}.");
        }
    }
}
