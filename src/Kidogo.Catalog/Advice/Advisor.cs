// From six answers to one piece of advice, and which of the answers made it. Measures nothing and asks nobody.
namespace Kidogo.Catalog.Advice;

/// <summary>What is advised.</summary>
public enum Size
{
    /// <summary>A small model, on the computer.</summary>
    Small,

    /// <summary>A large model, elsewhere.</summary>
    Large,

    /// <summary>A small model first, and a large one for what it is not sure of.</summary>
    Both,

    /// <summary>Nothing that was asked for goes together.</summary>
    None,
}

/// <summary>What another answer would have changed.</summary>
/// <param name="Answer">The word of the other answer.</param>
/// <param name="Where">What would be advised.</param>
/// <param name="Model">Which model; null for none.</param>
public sealed record Otherwise(string Answer, Size Where, Candidate? Model);

/// <summary>An answer's part in the advice.</summary>
/// <param name="Question">The question.</param>
/// <param name="Answer">The word of the answer.</param>
/// <param name="Reason">What it means for the advice.</param>
/// <param name="Otherwise">The nearest other answer that would have changed small, large or both, or else the model; null where none would.</param>
public sealed record Because(string Question, string Answer, string Reason, Otherwise? Otherwise)
{
    /// <summary>Whether the advice is what it is because of this answer.</summary>
    public bool Decided { get; init; }
}

/// <summary>Advice.</summary>
/// <param name="Where">Small, large or both.</param>
/// <param name="Model">The small model; null where there is none.</param>
/// <param name="Expected">What it will be like; null without a model.</param>
/// <param name="Machine">The machine that was computed for.</param>
/// <param name="Shortfall">What the model falls short of; null where it does what is asked.</param>
/// <param name="Because">The six answers.</param>
public sealed record Recommendation(Size Where, Candidate? Model, Expectation? Expected, AdvisedMachine Machine, string? Shortfall, IReadOnlyList<Because> Because);

/// <summary>Advises.</summary>
/// <param name="candidates">The models that there are.</param>
/// <param name="here">This machine.</param>
/// <param name="language">A language that the model has to be meant for; null for any.</param>
public sealed class Advisor(IReadOnlyList<Candidate> candidates, AdvisedMachine here, string? language = null)
{
    private const int SharedConversations = 4;
    private const double BatteryJoules = 1000; // an answer; a battery of 50 Wh gives 180 of them

    private readonly IReadOnlyList<Candidate> _candidates = [.. candidates.Where(candidate => language is null || candidate.Languages.Count == 0 || candidate.Languages.Contains(language))];

    /// <summary>Advises, and finds which answers decided by changing each in turn.</summary>
    public Recommendation Advise(Answers answers)
    {
        Decision decision = Decide(answers);
        List<Because> because = [];
        for (int question = 0; question < Question.All.Count; question++)
        {
            because.Add(new Because(Question.All[question].Name, Question.All[question].Choices[answers.Numbers[question]].Word, Reasons.For(question, answers, decision), Change(answers, question, decision)));
        }

        // What turned small into large, or back, decided; where nothing would have, what chose the model did.
        bool turns = because.Exists(each => each.Otherwise is { } other && other.Where != decision.Where);
        because = [.. because.Select(each => each with { Decided = each.Otherwise is { } other && (!turns || other.Where != decision.Where) })];
        return new Recommendation(decision.Where, decision.Model, decision.Expected, decision.Machine, decision.Shortfall, because);
    }

    /// <summary>The level that a task asks for; above 4 is no small model's.</summary>
    internal static int LevelOf(TaskDifficulty task) => task switch { TaskDifficulty.Easy => 2, TaskDifficulty.Medium => 3, TaskDifficulty.Hard => 4, _ => 5 };

    /// <summary>Tokens a second that are enough, and seconds to the first word that are not too many.</summary>
    internal static (double TokensPerSecond, double FirstSeconds) LimitsOf(AnswerSpeed speed) => speed switch { AnswerSpeed.Instant => (20, 1.5), AnswerSpeed.Reading => (6, 8), _ => (0.5, 300) };

    private static bool IsThrifty(Computer computer) => computer is Computer.Battery or Computer.Board or Computer.Phone;

    private Decision Decide(Answers answers)
    {
        AdvisedMachine machine = AdvisedMachine.Of(answers.Computer, here);
        int conversations = answers.Place == Place.Shared ? SharedConversations : 1;
        int level = LevelOf(answers.Task);
        (double rate, double first) = LimitsOf(answers.Speed);
        List<Rated> fit = [.. _candidates.Select(model => new Rated(model, machine.Expect(model, conversations))).Where(pair => pair.Expected.MemoryBytes <= machine.AvailableBytes)];
        List<Rated> able = [.. fit.Where(pair => pair.Expected.DecodeTokensPerSecond >= rate && pair.Expected.FirstTokenSeconds <= first
            && (!IsThrifty(answers.Computer) || pair.Expected.JoulesPerAnswer <= BatteryJoules))];
        bool mayLeave = answers.Place != Place.Here && answers.Connection != Connection.None && answers.Privacy != Privacy.Secret;
        bool mayLeaveAlone = mayLeave && answers.Connection == Connection.Good && answers.Privacy == Privacy.Public;
        Rated? enough = Pick(OfLevel(able.Where(pair => pair.Model.Level >= level).ToLookup(pair => pair.Model.Level), levels => levels.Min()), answers.Computer);
        if (enough is { } small)
        {
            return new Decision(Size.Small, small.Model, small.Expected, machine, null);
        }

        Rated? best = Pick(OfLevel(able.ToLookup(pair => pair.Model.Level), levels => levels.Max()), answers.Computer);
        if (mayLeave)
        {
            return best is { } found && (!mayLeaveAlone || found.Model.Level >= level - 1)
                ? new Decision(Size.Both, found.Model, found.Expected, machine, null)
                : new Decision(Size.Large, null, null, machine, mayLeaveAlone ? null : "the connection or the data speak against it, and no small model can do this here");
        }

        return best is { } most ? new Decision(Size.Small, most.Model, most.Expected, machine, $"it can be asked for level {most.Model.Level} of the {level} that the task needs: check its answers")
            : Pick(fit.Where(pair => pair.Model.Level >= level), answers.Computer) is { } slow ? new Decision(Size.Small, slow.Model, slow.Expected, machine, "it fits, and is slower, or takes more energy, than asked for")
            : Pick(fit, answers.Computer) is { } any ? new Decision(Size.Small, any.Model, any.Expected, machine, "it fits, but is neither as able nor as fast as asked for: check its answers")
            : new Decision(Size.None, null, null, machine, "no model fits into the memory, and nothing may leave the computer: more memory, or another answer to place, connection or privacy");
    }

    /// <summary>Of models of one level: on mains the largest at the most bits that are fast enough, on a battery the smallest; one that is here already before one of its kind that is not.</summary>
    private static Rated? Pick(IEnumerable<Rated> able, Computer computer)
    {
        IOrderedEnumerable<Rated> order = IsThrifty(computer)
            ? able.OrderBy(pair => pair.Expected.JoulesPerAnswer)
            : able.OrderByDescending(pair => pair.Model.Parameters).ThenByDescending(pair => Math.Round(pair.Model.BitsPerWeight));
        return order.ThenByDescending(pair => pair.Model.IsHere).FirstOrDefault();
    }

    private static IEnumerable<Rated> OfLevel(ILookup<int, Rated> levels, Func<IEnumerable<int>, int> choose) => levels.Count == 0 ? [] : levels[choose(levels.Select(level => level.Key))];

    private Otherwise? Change(Answers answers, int question, Decision decision)
    {
        Otherwise? model = null;
        int given = answers.Numbers[question];
        foreach (int other in Enumerable.Range(0, Question.All[question].Choices.Count).Where(other => other != given).OrderBy(other => Math.Abs(other - given)))
        {
            Decision changed = Decide(answers.With(question, other));
            Otherwise otherwise = new(Question.All[question].Choices[other].Word, changed.Where, changed.Model);
            if (changed.Where != decision.Where)
            {
                return otherwise;
            }

            model ??= changed.Model != decision.Model ? otherwise : null;
        }

        return model;
    }

    private sealed record Rated(Candidate Model, Expectation Expected);

    internal sealed record Decision(Size Where, Candidate? Model, Expectation? Expected, AdvisedMachine Machine, string? Shortfall);
}
