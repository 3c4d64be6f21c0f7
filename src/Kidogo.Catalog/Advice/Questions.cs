// The six questions, their answers, and the words for them. Knows no model and no machine.
using Kidogo.Catalog.Hub;
using Kidogo.Models;
using Kidogo.Models.Files;

namespace Kidogo.Catalog.Advice;

/// <summary>How hard the task is.</summary>
public enum TaskDifficulty
{
    /// <summary>Sorting, labels, fields out of a text.</summary>
    Easy,

    /// <summary>Summaries, chat.</summary>
    Medium,

    /// <summary>Several steps, drafts, code.</summary>
    Hard,

    /// <summary>What few people could answer.</summary>
    Expert,
}

/// <summary>Which computer it is, and what feeds it.</summary>
public enum Computer
{
    /// <summary>This one, on mains power.</summary>
    This,

    /// <summary>This one, on a battery or the sun.</summary>
    Battery,

    /// <summary>A small board or an old computer.</summary>
    Board,

    /// <summary>A phone.</summary>
    Phone,

    /// <summary>A laptop of today.</summary>
    Laptop,

    /// <summary>A server.</summary>
    Server,
}

/// <summary>Where it will run.</summary>
public enum Place
{
    /// <summary>On that computer alone.</summary>
    Here,

    /// <summary>On that computer for several people, with help from elsewhere.</summary>
    Shared,

    /// <summary>Wherever it is best.</summary>
    Anywhere,
}

/// <summary>How good the connection is.</summary>
public enum Connection
{
    /// <summary>There is none.</summary>
    None,

    /// <summary>Slow, dear, or often gone.</summary>
    Poor,

    /// <summary>Fast and always there.</summary>
    Good,
}

/// <summary>How private the data is.</summary>
public enum Privacy
{
    /// <summary>It must not leave the computer.</summary>
    Secret,

    /// <summary>Names and the like must not leave.</summary>
    Personal,

    /// <summary>All of it may leave.</summary>
    Public,
}

/// <summary>How fast it must answer.</summary>
public enum AnswerSpeed
{
    /// <summary>While one looks.</summary>
    Instant,

    /// <summary>As one reads.</summary>
    Reading,

    /// <summary>Later.</summary>
    Patient,
}

/// <summary>An answer that can be given.</summary>
/// <param name="Word">As an option has it.</param>
/// <param name="Meaning">For people.</param>
public sealed record QuestionChoice(string Word, string Meaning);

/// <summary>One of the six questions.</summary>
/// <param name="Name">Also the option's and the JSON field's.</param>
/// <param name="Text">As it is asked.</param>
/// <param name="Choices">The answers, in the order of their enumeration.</param>
public sealed record Question(string Name, string Text, IReadOnlyList<QuestionChoice> Choices)
{
    /// <summary>The number of an answer: by its word, in any case.</summary>
    /// <exception cref="HubException">It is none of the answers.</exception>
    public int IndexOf(string word)
    {
        for (int i = 0; i < Choices.Count; i++)
        {
            if (Choices[i].Word.Equals(word.Trim(), StringComparison.OrdinalIgnoreCase))
            {
                return i;
            }
        }

        string nearest = NearestName.Likely(word, Choices.Select(choice => choice.Word)) is { } near ? $" The nearest is {near}." : "";
        throw new HubException($"{ModelFormatException.Quote(word)} is no answer to {Name}; expected one of {string.Join(", ", Choices.Select(choice => choice.Word))}.{nearest}");
    }

    /// <summary>All six, in the order in which they are asked.</summary>
    public static IReadOnlyList<Question> All { get; } =
    [
        new("task", "How hard is the task?",
        [
            new("easy", "sorting, labels, fields out of a text, short answers"),
            new("medium", "summaries, chat, simple translation"),
            new("hard", "several steps, drafts, code, longer documents"),
            new("expert", "what few people could answer, or where a mistake is costly"),
        ]),
        new("computer", "Which computer is it, and what feeds it?",
        [
            new("this", "this one, on mains power"),
            new("battery", "this one, on a battery or the sun"),
            new("board", "a small board or an old computer: 4 GB, little power"),
            new("phone", "a phone"),
            new("laptop", "a laptop of today: 16 GB"),
            new("server", "a server: 64 GB"),
        ]),
        new("place", "Where will it run?",
        [
            new("here", "on that computer alone"),
            new("shared", "on that computer, for several people at once, with help from elsewhere"),
            new("anywhere", "wherever it is best"),
        ]),
        new("connection", "How good is the connection?",
        [
            new("none", "there is none"),
            new("poor", "slow, dear, or often gone"),
            new("good", "fast and always there"),
        ]),
        new("privacy", "How private is the data?",
        [
            new("secret", "it must not leave the computer"),
            new("personal", "names and the like must not leave, the rest may"),
            new("public", "all of it may leave"),
        ]),
        new("speed", "How fast must it answer?",
        [
            new("instant", "while one looks: 20 tokens a second, a first word within 1.5 seconds"),
            new("reading", "as one reads: 6 tokens a second, a first word within 8 seconds"),
            new("patient", "later: half a token a second will do"),
        ]),
    ];
}

/// <summary>The six answers.</summary>
/// <param name="Task">How hard the task is.</param>
/// <param name="Computer">Which computer it is.</param>
/// <param name="Place">Where it will run.</param>
/// <param name="Connection">How good the connection is.</param>
/// <param name="Privacy">How private the data is.</param>
/// <param name="Speed">How fast it must answer.</param>
public sealed record Answers(TaskDifficulty Task, Computer Computer, Place Place, Connection Connection, Privacy Privacy, AnswerSpeed Speed)
{
    /// <summary>From the numbers of the answers, in the order of <see cref="Question.All"/>.</summary>
    public static Answers Of(IReadOnlyList<int> numbers) =>
        new((TaskDifficulty)numbers[0], (Computer)numbers[1], (Place)numbers[2], (Connection)numbers[3], (Privacy)numbers[4], (AnswerSpeed)numbers[5]);

    /// <summary>The numbers of the answers, in the order of <see cref="Question.All"/>.</summary>
    public IReadOnlyList<int> Numbers => [(int)Task, (int)Computer, (int)Place, (int)Connection, (int)Privacy, (int)Speed];

    /// <summary>The same with one answer changed.</summary>
    public Answers With(int question, int answer) => Of([.. Numbers.Select((number, i) => i == question ? answer : number)]);
}
