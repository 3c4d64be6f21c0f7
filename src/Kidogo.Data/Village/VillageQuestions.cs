// Questions about a story with the answers that its world gives. Reads no text.
namespace Kidogo.Data.Village;

/// <summary>A question before it has words.</summary>
/// <param name="Form">The sentence of the language that asks it.</param>
/// <param name="Kind">What it asks for.</param>
/// <param name="Cast">What the sentence's places stand for.</param>
/// <param name="Answers">What kind of thing answers it: the sentence of the language that says so.</param>
/// <param name="Answer">The index of the answer among people or places, or a number; -1 where the story does not say.</param>
internal readonly record struct VillageAsked(string Form, VillageQuestionKind Kind, VillageCast Cast, string Answers, int Answer);

/// <summary>Finds what can be asked.</summary>
internal static class VillageQuestions
{
    private const double ShareUnknown = 0.2;

    /// <summary>Questions about a story, no two alike, of as many kinds as there are.</summary>
    /// <param name="world">The end of the story.</param>
    /// <param name="level">Which questions there are.</param>
    /// <param name="most">How many at most.</param>
    /// <param name="dice">Decides which.</param>
    public static IReadOnlyList<VillageAsked> Choose(VillageWorld world, VillageLevel level, int most, VillageDice dice)
    {
        List<VillageAsked> all = [.. Simple(world)];
        if (level == VillageLevel.Full)
        {
            all.AddRange(WithThings(world));
            all.AddRange(WithNumbers(world));
            all.AddRange(InOrder(world));
        }

        List<VillageAsked> chosen = [];
        while (chosen.Count < most && all.Count > 0)
        {
            bool isUnknown = dice.Chance(ShareUnknown);
            VillageAsked[] fitting = [.. all.Where(asked => asked.Answer == -1 == isUnknown)];
            if (fitting.Length == 0)
            {
                if (isUnknown)
                {
                    continue;
                }

                break; // what is left would all be unknown
            }

            string form = dice.Of([.. fitting.Select(asked => asked.Form).Distinct()]);
            VillageAsked next = dice.Of([.. fitting.Where(asked => asked.Form == form)]);
            chosen.Add(next);
            all.Remove(next);
        }

        return chosen;
    }

    private static IEnumerable<VillageAsked> Simple(VillageWorld world)
    {
        for (int person = 0; person < world.People; person++)
        {
            yield return new VillageAsked("where-person", VillageQuestionKind.Where, new VillageCast(person), "place", world.PlaceOf(person));
        }

        for (int thing = 0; thing < world.Things; thing++)
        {
            if (world.HolderOf(thing) >= 0 || world.IsLost(thing) || !world.IsThingTold(thing))
            {
                yield return new VillageAsked("who-has", VillageQuestionKind.Who, new VillageCast(-1, Thing: thing), "person", world.HolderOf(thing));
            }
        }

        for (int place = 0; place < world.Places; place++)
        {
            int[] there = [.. Enumerable.Range(0, world.People).Where(person => world.PlaceOf(person) == place)];
            if (there.Length <= 1)
            {
                yield return new VillageAsked("who-at", VillageQuestionKind.Who, new VillageCast(-1, Place: place), "person", there.Length == 1 ? there[0] : -1);
            }
        }
    }

    private static IEnumerable<VillageAsked> WithThings(VillageWorld world)
    {
        for (int thing = 0; thing < world.Things; thing++)
        {
            yield return new VillageAsked("where-thing", VillageQuestionKind.Where, new VillageCast(-1, Thing: thing), "place", world.PlaceOfThing(thing));
            for (int other = 0; other < world.People; other++)
            {
                int[] givers = [.. world.Events.Where(each => each.Kind == VillageEventKind.Gave && each.Cast.Thing == thing && each.Cast.Other == other).Select(each => each.Cast.Person)];
                bool isHeld = world.Events.Any(each => each.Cast.Thing == thing && each.Cast.Person == other && each.Kind is VillageEventKind.Took or VillageEventKind.Found);
                if (givers.Length == 1 && !isHeld)
                {
                    yield return new VillageAsked("who-gave", VillageQuestionKind.Who, new VillageCast(-1, other, Thing: thing), "person", givers[0]);
                }
            }
        }
    }

    private static IEnumerable<VillageAsked> WithNumbers(VillageWorld world)
    {
        foreach (int good in world.Events.Where(each => each.Cast.Good >= 0).Select(each => each.Cast.Good).Distinct())
        {
            for (int person = 0; person < world.People; person++)
            {
                // Of somebody whom the story does not speak of, nobody knows.
                yield return new VillageAsked("how-many", VillageQuestionKind.HowMany, new VillageCast(person, Good: good), "number", world.IsTold(person) ? world.GoodsOf(person, good) : -1);
            }
        }
    }

    private static IEnumerable<VillageAsked> InOrder(VillageWorld world)
    {
        for (int place = 0; place < world.Places; place++)
        {
            VillageEvent[] there = [.. world.Events.Where(each => each.Cast.Place == place && each.Kind is VillageEventKind.Was or VillageEventKind.Went or VillageEventKind.Arrived)];
            if (there.Length > 1 && Array.TrueForAll(there, each => each.Kind != VillageEventKind.Was) && there[0].Cast.Person != there[1].Cast.Person)
            {
                yield return new VillageAsked("came-first", VillageQuestionKind.Order, new VillageCast(-1, Place: place), "person", there[0].Cast.Person);
            }

            for (int person = 0; person < world.People; person++)
            {
                VillageEvent[] own = [.. world.Events.Where(each => each.Cast.Person == person && each.Kind is VillageEventKind.Was or VillageEventKind.Went or VillageEventKind.Arrived)];
                int at = Array.FindIndex(own, each => each.Cast.Place == place && each.Kind != VillageEventKind.Was);
                if (at >= 0 && own.Count(each => each.Cast.Place == place) == 1)
                {
                    yield return new VillageAsked("place-before", VillageQuestionKind.Order, new VillageCast(person, Place: place), "place", at == 0 ? -1 : own[at - 1].Cast.Place);
                }
            }
        }

        for (int thing = 0; thing < world.Things; thing++)
        {
            int[] holders = [.. world.Events.Where(each => each.Cast.Thing == thing).Select(each => each.Kind switch
            {
                VillageEventKind.Took or VillageEventKind.Found => each.Cast.Person,
                VillageEventKind.Gave => each.Cast.Other,
                _ => -1,
            }).Where(holder => holder >= 0)];
            for (int i = 0; i < holders.Length; i++)
            {
                if (holders.Count(holder => holder == holders[i]) == 1 && (i == 0 || holders[i - 1] != holders[i]))
                {
                    yield return new VillageAsked("holder-before", VillageQuestionKind.Order, new VillageCast(-1, holders[i], Thing: thing), "person", i == 0 ? -1 : holders[i - 1]);
                }
            }
        }
    }
}
