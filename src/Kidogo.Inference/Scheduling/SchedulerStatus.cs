// What a scheduler has done and is doing, in numbers. Knows no contents.
namespace Kidogo.Inference.Scheduling;

/// <summary>A scheduler's numbers at one moment; totals count from its start.</summary>
public sealed record SchedulerStatus
{
    /// <summary>Places.</summary>
    public required int Parallel { get; init; }

    /// <summary>Sequences that have a place.</summary>
    public required int Active { get; init; }

    /// <summary>Sequences that wait for one.</summary>
    public required int Waiting { get; init; }

    /// <summary>The busy places: tokens cached, and whether the prompt is done.</summary>
    public required IReadOnlyList<PlaceStatus> Places { get; init; }

    /// <summary>Prompt tokens computed.</summary>
    public required long PromptTokens { get; init; }

    /// <summary>Prompt tokens that were cached.</summary>
    public required long CachedTokens { get; init; }

    /// <summary>Tokens generated.</summary>
    public required long GeneratedTokens { get; init; }

    /// <summary>Passes through the model.</summary>
    public required long Steps { get; init; }

    /// <summary>Sequences of all passes.</summary>
    public required long SequenceSteps { get; init; }

    /// <summary>Time in passes that computed prompts only, or prompts beside streams.</summary>
    public required TimeSpan PromptTime { get; init; }

    /// <summary>Time in passes that only decoded.</summary>
    public required TimeSpan DecodeTime { get; init; }

    /// <summary>Sequences that came to their end.</summary>
    public required long Finished { get; init; }

    /// <summary>Sequences whose client went away.</summary>
    public required long Cancelled { get; init; }

    /// <summary>Sequences that failed.</summary>
    public required long Failed { get; init; }

    /// <summary>Sequences that were refused because the queue was full.</summary>
    public required long Refused { get; init; }

    /// <summary>Bytes of idle sequences.</summary>
    public required long IdleCacheBytes { get; init; }
}

/// <summary>A busy place.</summary>
/// <param name="PromptTokens">Tokens of the prompt.</param>
/// <param name="PromptDone">Those in the cache.</param>
/// <param name="GeneratedTokens">Tokens generated.</param>
public readonly record struct PlaceStatus(int PromptTokens, int PromptDone, int GeneratedTokens);
