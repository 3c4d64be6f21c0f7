// A story as others see it: text, questions with answers, summary, ending. Knows not how it came about.
namespace Kidogo.Data.Village;

/// <summary>How much happens in stories, and what is asked.</summary>
public enum VillageLevel
{
    /// <summary>One to five sentences about six people, six places and four things; questions who and where.</summary>
    Simple,

    /// <summary>Five to twelve events with all words of the language, in several wordings; all questions, a summary, an ending.</summary>
    Full,
}

/// <summary>Which stories: no story is in both parts, whatever the seeds.</summary>
public enum VillageSplit
{
    /// <summary>Nine of ten.</summary>
    Training,

    /// <summary>One of ten.</summary>
    Test,
}

/// <summary>What a question asks for.</summary>
public enum VillageQuestionKind
{
    /// <summary>A person.</summary>
    Who,

    /// <summary>A place.</summary>
    Where,

    /// <summary>A number.</summary>
    HowMany,

    /// <summary>Who or where, by the order of events.</summary>
    Order,

    /// <summary>Whether it ends well or badly.</summary>
    Ending,
}

/// <summary>A question with its answer.</summary>
/// <param name="Kind">What it asks for.</param>
/// <param name="Form">The name of the sentence that asks it, such as <c>who-has</c>: the same in all languages.</param>
/// <param name="Text">The question.</param>
/// <param name="Answer">The one right answer.</param>
/// <param name="IsKnown">Whether the story answers it; else "nobody knows" is right.</param>
/// <param name="Choices">All answers that such a question may have in any story of the level, the right one and "nobody knows" (the last) among them.</param>
public sealed record VillageQuestion(VillageQuestionKind Kind, string Form, string Text, string Answer, bool IsKnown, IReadOnlyList<string> Choices);

/// <summary>A story.</summary>
public sealed record VillageStory
{
    /// <summary>Its number among those of the seed.</summary>
    public required long Number { get; init; }

    /// <summary>The story.</summary>
    public required string Text { get; init; }

    /// <summary>Questions about it.</summary>
    public required IReadOnlyList<VillageQuestion> Questions { get; init; }

    /// <summary>The story in one sentence.</summary>
    public required string Summary { get; init; }

    /// <summary>The question that asks for the summary.</summary>
    public required string SummaryQuestion { get; init; }

    /// <summary>Whether it ends well: the wish that it tells of is met; where it tells of none, nothing stays lost.</summary>
    public required bool EndsWell { get; init; }

    /// <summary>Whether it ends well or badly, as a question with its two answers.</summary>
    public required VillageQuestion Ending { get; init; }
}
