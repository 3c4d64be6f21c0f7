// How much a chat template may cost. Templates come from strangers.
namespace Kidogo.Text.ChatTemplates;

/// <summary>Bounds on rendering. The defaults are far above what the templates of public models need.</summary>
public sealed record ChatTemplateLimits
{
    /// <summary>The defaults.</summary>
    public static ChatTemplateLimits Default { get; } = new();

    /// <summary>The longest template, in UTF-8 bytes.</summary>
    public const int MaxTemplateBytes = 256 * 1024;

    /// <summary>The deepest nesting of statements and expressions.</summary>
    public const int MaxNesting = 64;

    /// <summary>
    /// Evaluation steps: one for each node evaluated and one for each 256 characters or elements read by an operation. Default 1,000,000, to which comes
    /// one for each 16 characters of the messages.
    /// </summary>
    /// <remarks>
    /// This is the limit that stops hostile templates, and always at the same place, whatever else the machine does: the default takes about a second at most.
    /// It grows with the messages, so that a conversation is not refused for being long.
    /// </remarks>
    public long MaxSteps { get; init; } = 1_000_000;

    /// <summary>The longest text, rendered or on the way there, in UTF-8 bytes. Default 4 MiB.</summary>
    public int MaxOutputBytes { get; init; } = 4 * 1024 * 1024;

    /// <summary>
    /// Characters that all texts (and 40 more for each) and list and dictionary elements (at 24 each) made while rendering may have together, beside 64 times
    /// the size of the messages. Default 16 Mi, which is 32 MiB.
    /// </summary>
    public long MaxAllocation { get; init; } = 16L * 1024 * 1024;

    /// <summary>How deep macros and recursive loops may call each other. Default 32.</summary>
    public int MaxRecursion { get; init; } = 32;

    /// <summary>The longest <c>range</c>. Default 10,000.</summary>
    public int MaxRange { get; init; } = 10_000;

    /// <summary>The clock for <c>strftime_now</c> where the input has no time. No limit goes by it.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;
}
