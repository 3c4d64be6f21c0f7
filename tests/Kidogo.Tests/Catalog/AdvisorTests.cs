// The advice: a scenario for each question, in which its answer turns it.
using Kidogo.Catalog.Advice;
using Kidogo.Catalog.Entries;
using Kidogo.Catalog.Hub;
using DataPrivacy = Kidogo.Catalog.Advice.Privacy;

namespace Kidogo.Tests.Catalog;

public sealed class AdvisorTests
{
    /// <summary>A laptop of today, as if measured.</summary>
    private static readonly AdvisedMachine s_laptop = new(12_000_000_000, 40e9, 300e9, 30, "estimated: for the test", IsMeasured: true);

    private static readonly Answers s_usual = new(TaskDifficulty.Medium, Computer.This, Place.Anywhere, Connection.Good, DataPrivacy.Public, AnswerSpeed.Reading);

    public static TheoryData<string, string, string, Size, Size> Turns => new()
    {
        // question, the answer that is changed, to what, then, and now; the other answers are those of Base
        { "task", "easy", "expert", Size.Small, Size.Both },
        { "computer", "this", "board", Size.Small, Size.Large },
        { "place", "here", "anywhere", Size.Small, Size.Large },
        { "connection", "none", "good", Size.Small, Size.Large },
        { "privacy", "secret", "public", Size.Small, Size.Large },
        { "speed", "patient", "instant", Size.Small, Size.Large },
    };

    [Theory]
    [MemberData(nameof(Turns))]
    public void EachQuestion_CanTurnTheAdvice(string question, string from, string to, Size before, Size after)
    {
        int number = Question.All.Select(each => each.Name).ToList().IndexOf(question);
        Question asked = Question.All[number];
        Answers answers = Base(question).With(number, asked.IndexOf(from));
        Recommendation first = Advise(answers), second = Advise(answers.With(number, asked.IndexOf(to)));
        Assert.Equal((before, after), (first.Where, second.Where));
        Because decided = first.Because.Single(because => because.Question == question);
        Assert.True(decided.Decided);
        Assert.NotEqual(before, decided.Otherwise!.Where);
    }

    [Fact]
    public void Battery_TakesTheModelOfLeastEnergy()
    {
        Recommendation mains = Advise(s_usual), battery = Advise(s_usual with { Computer = Computer.Battery });
        Assert.True(battery.Expected!.JoulesPerAnswer < mains.Expected!.JoulesPerAnswer);
        Assert.True(battery.Model!.WeightBytes < mains.Model!.WeightBytes);
        Assert.True(battery.Model.Level >= 3 && mains.Model.Level >= 3);
    }

    [Fact]
    public void EveryCombination_FitsAndLeavesNothingThatIsSecret()
    {
        Advisor advisor = WellKnown();
        foreach (Answers answers in All())
        {
            Recommendation advice = advisor.Advise(answers);
            Assert.Equal(6, advice.Because.Count);
            Assert.Equal(advice.Where is Size.Small or Size.Both, advice.Model is not null);
            Assert.True(advice.Expected is null || advice.Expected.MemoryBytes <= advice.Machine.AvailableBytes);
            if (answers.Privacy == DataPrivacy.Secret || answers.Place == Place.Here || answers.Connection == Connection.None)
            {
                Assert.True(advice.Where is Size.Small or Size.None);
            }

            if (advice is { Where: Size.Small, Shortfall: null })
            {
                (double rate, double seconds) = Advisor.LimitsOf(answers.Speed);
                Assert.True(advice.Expected!.DecodeTokensPerSecond >= rate && advice.Expected.FirstTokenSeconds <= seconds);
            }
        }
    }

    [Fact]
    public void WhatIsAlreadyHere_ComesBeforeItsEqual()
    {
        Candidate catalogue = Model("hub/a:Q8_0", 3, 2e9, isHere: false), own = Model("hub/a", 3, 2e9, isHere: true);
        Assert.Equal(own, new Advisor([catalogue, own], s_laptop).Advise(s_usual).Model);
    }

    [Fact]
    public void Language_LeavesOutModelsThatAreNotMeantForIt()
    {
        Candidate english = Model("hub/en", 3, 3e9) with { Languages = ["en"] }, swahili = Model("hub/sw", 3, 2e9) with { Languages = ["sw"] };
        Assert.Equal(swahili, new Advisor([english, swahili], s_laptop, "sw").Advise(s_usual).Model);
        Assert.Equal(english, new Advisor([english, swahili], s_laptop).Advise(s_usual).Model);
    }

    [Fact]
    public void NothingThatFits_SaysSo()
    {
        Recommendation none = new Advisor([], s_laptop).Advise(s_usual with { Privacy = DataPrivacy.Secret });
        Assert.Equal(Size.None, none.Where);
        Assert.NotNull(none.Shortfall);
        Recommendation slow = new Advisor([Model("hub/a", 4, 8e9)], s_laptop).Advise(s_usual with { Task = TaskDifficulty.Hard, Place = Place.Here, Speed = AnswerSpeed.Instant });
        Assert.Equal(Size.Small, slow.Where);
        Assert.NotNull(slow.Shortfall);
    }

    [Fact]
    public void Expectation_FollowsFromBandwidthAndArithmetic()
    {
        AdvisedMachine twice = s_laptop with { BandwidthBytesPerSecond = 80e9 };
        Candidate model = Model("hub/a", 3, 1e9);
        Expectation one = s_laptop.Expect(model, 1), two = twice.Expect(model, 1);
        Assert.Equal(2, two.DecodeTokensPerSecond / one.DecodeTokensPerSecond, 6);
        Assert.Equal(one.PrefillTokensPerSecond, two.PrefillTokensPerSecond);
        Assert.Equal(30 / one.DecodeTokensPerSecond, one.JoulesPerToken, 6);
        Assert.Equal(1e9 + (4096 * 1000) + 50e6, one.MemoryBytes, 0);
    }

    [Fact]
    public void Answer_ThatIsNone_NamesTheNearest() =>
        Assert.Contains("medium", Assert.Throws<HubException>(() => Question.All[0].IndexOf("mediun")).Message, StringComparison.Ordinal);

    /// <summary>The other answers of a scenario.</summary>
    private static Answers Base(string question) => question switch
    {
        "task" or "computer" => s_usual,
        "speed" => s_usual with { Task = TaskDifficulty.Hard },
        _ => s_usual with { Task = TaskDifficulty.Expert, Speed = AnswerSpeed.Instant },
    };

    private static Advisor WellKnown() => new([.. Catalogue.BuiltIn().Entries.SelectMany(entry => entry.Formats.Where(format => format.Format != "F16").Select(format => Candidate.Of(entry, format)))], s_laptop);

    private static Recommendation Advise(Answers answers) => WellKnown().Advise(answers);

    private static Candidate Model(string name, int level, double parameters, bool isHere = false) => new(name, "Q8_0", (long)parameters, (long)parameters, 1000, 50_000_000, level, isHere);

    private static IEnumerable<Answers> All() =>
        from task in Enumerable.Range(0, 4)
        from computer in Enumerable.Range(0, 6)
        from place in Enumerable.Range(0, 3)
        from connection in Enumerable.Range(0, 3)
        from privacy in Enumerable.Range(0, 3)
        from speed in Enumerable.Range(0, 3)
        select Answers.Of([task, computer, place, connection, privacy, speed]);
}
