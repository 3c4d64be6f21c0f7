// Stories by number: events, then words, then questions. Knows no files.
using System.Globalization;

namespace Kidogo.Data.Village;

/// <summary>Which stories.</summary>
public sealed record VillageOptions
{
    /// <summary>The language.</summary>
    public required VillageLanguage Language { get; init; }

    /// <summary>How much happens. Default full.</summary>
    public VillageLevel Level { get; init; } = VillageLevel.Full;

    /// <summary>Which part. Default training.</summary>
    public VillageSplit Split { get; init; }

    /// <summary>Decides the stories. Default 0.</summary>
    public ulong Seed { get; init; }

    /// <summary>Questions a story at most, 1 to 20. Default 5.</summary>
    public int Questions { get; init; } = 5;
}

/// <summary>Tells stories about a village that is simulated: what happens decides the text and the answers, so these are exact (after Weston et al., arXiv 1502.05698, and the simulation there).</summary>
/// <remarks>
/// The story of a number is always the same, and stories have no end. Languages whose files list the same words in the same order tell the same stories. A story belongs to the test by a hash of its events alone, so
/// that no seed, no language and no wording brings it into training.
/// </remarks>
public sealed class VillageGenerator
{
    private const int SimplePeople = 6, SimplePlaces = 6, SimpleThings = 4;
    private const ulong TestShare = 10; // one of so many
    private readonly VillageOptions _options;
    private readonly (int People, int Places, int Things, int Goods) _limits;

    /// <summary>A generator.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The number of questions is out of its range.</exception>
    public VillageGenerator(VillageOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Questions, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Questions, 20);
        _options = options;
        VillageLanguage language = options.Language;
        _limits = options.Level == VillageLevel.Full
            ? (language.People.Count, language.Places.Count, language.Things.Count, language.Goods.Count)
            : (Math.Min(SimplePeople, language.People.Count), Math.Min(SimplePlaces, language.Places.Count), Math.Min(SimpleThings, language.Things.Count), language.Goods.Count);
    }

    /// <summary>The first stories.</summary>
    public IEnumerable<VillageStory> Stories(long count)
    {
        for (long number = 0; number < count; number++)
        {
            yield return Story(number);
        }
    }

    /// <summary>A story.</summary>
    /// <param name="number">Its number, from 0.</param>
    public VillageStory Story(long number)
    {
        VillageDice dice = new(Mix.Hash(_options.Seed, (ulong)number, (ulong)_options.Level));
        VillageWorld world;
        do
        {
            world = VillagePlot.Make(_limits, _options.Level, dice);
        }
        while (Mix.Hash(Fingerprint(world)) % TestShare == 0 != (_options.Split == VillageSplit.Test));

        return Told(number, world, dice);
    }

    private VillageStory Told(long number, VillageWorld world, VillageDice dice)
    {
        VillageLanguage language = _options.Language;
        VillageQuestion ending = new(VillageQuestionKind.Ending, "ending", Say("questions ending", default), Say(world.EndsWell ? "answers well" : "answers badly", default), true,
            [Say("answers well", default), Say("answers badly", default)]);
        string text = string.Join(' ', world.Events.Select((each, i) =>
        {
            string sentence = $"events {NameOf(each.Kind)}";
            bool isPlain = i == 0 || _options.Level == VillageLevel.Simple;
            return language.Say(sentence, each.Cast, isPlain ? 0 : dice.Below(language.Ways(sentence)));
        }));
        return new VillageStory
        {
            Number = number,
            Text = text,
            Questions = [.. VillageQuestions.Choose(world, _options.Level, _options.Questions, dice).Select(Worded)],
            Summary = Summary(world),
            SummaryQuestion = Say("questions summary", default),
            EndsWell = world.EndsWell,
            Ending = ending,
        };
    }

    private VillageQuestion Worded(VillageAsked asked)
    {
        string name = $"answers {asked.Answers}";
        int count = asked.Answers switch { "place" => _limits.Places, "person" => _limits.People, _ => VillageWorld.MostGoods + 1 };
        string[] choices = [.. Enumerable.Range(0, count).Select(i => Say(name, Filled(asked, i))), Say("answers unknown", default)];
        bool isKnown = asked.Answer != -1;
        return new VillageQuestion(asked.Kind, asked.Form, Say($"questions {asked.Form}", asked.Cast), choices[isKnown ? asked.Answer : ^1], isKnown, choices);
    }

    private static VillageCast Filled(VillageAsked asked, int answer) => asked.Answers switch
    {
        "place" => new VillageCast(-1, Place: answer),
        "person" => new VillageCast(answer),
        _ => new VillageCast(-1, Good: asked.Cast.Good, Count: answer),
    };

    private string Summary(VillageWorld world)
    {
        int hero = world.Hero >= 0 ? world.Hero : world.Events.First(each => each.Cast.Person >= 0).Cast.Person;
        if (world.Wish >= 0)
        {
            int holder = world.HolderOf(world.Wish);
            string name = holder == hero ? "met" : holder >= 0 ? "other" : world.IsLost(world.Wish) ? "lost" : "unmet";
            return Say($"summaries {name}", new VillageCast(hero, holder, Thing: world.Wish));
        }

        int place = world.PlaceOf(hero), thing = Enumerable.Range(0, world.Things).FirstOrDefault(each => world.HolderOf(each) == hero, -1);
        return Say(place < 0 ? "summaries unknown" : thing < 0 ? "summaries place" : "summaries place-thing", new VillageCast(hero, Place: place, Thing: thing));
    }

    private string Say(string name, VillageCast cast) => _options.Language.Say(name, cast);

    private static string NameOf(VillageEventKind kind) => kind.ToString().ToLower(CultureInfo.InvariantCulture);

    /// <summary>A hash of what happens, by the words' keys: the same in every language.</summary>
    private ulong Fingerprint(VillageWorld world)
    {
        VillageLanguage language = _options.Language;
        ulong hash = 14695981039346656037; // FNV-1a
        void Add(string text)
        {
            foreach (char c in text)
            {
                hash = (hash ^ c) * 1099511628211;
            }

            hash = (hash ^ ' ') * 1099511628211;
        }

        void Word(IReadOnlyList<VillageWord> words, int index) => Add(index < 0 ? "-" : words[index].Key);
        foreach (VillageEvent each in world.Events)
        {
            Add(NameOf(each.Kind));
            Word(language.People, each.Cast.Person);
            Word(language.People, each.Cast.Other);
            Word(language.Places, each.Cast.Place);
            Word(language.Things, each.Cast.Thing);
            Word(language.Goods, each.Cast.Good);
            Add(each.Cast.Count.ToString(CultureInfo.InvariantCulture));
        }

        return hash;
    }
}
