// Lets events happen in the village until a story is long enough. Knows what is worth telling, and no words.
namespace Kidogo.Data.Village;

/// <summary>Makes the events of a story.</summary>
internal static class VillagePlot
{
    private const int MostTries = 12; // for one event

    // How often each kind is tried, by level.
    private static readonly (VillageEventKind Kind, int Weight)[] s_simple =
        [(VillageEventKind.Went, 5), (VillageEventKind.Took, 4), (VillageEventKind.Gave, 2), (VillageEventKind.Lost, 1)];

    private static readonly (VillageEventKind Kind, int Weight)[] s_full =
    [
        (VillageEventKind.Went, 10), (VillageEventKind.Arrived, 4), (VillageEventKind.Took, 6), (VillageEventKind.Left, 3), (VillageEventKind.Gave, 5), (VillageEventKind.Lost, 2), (VillageEventKind.Found, 6),
        (VillageEventKind.Bought, 5), (VillageEventKind.Sold, 2), (VillageEventKind.Shared, 4), (VillageEventKind.Counted, 1),
    ];

    /// <summary>Makes the events of a story.</summary>
    /// <param name="limits">How many words of each kind the language has.</param>
    /// <param name="level">How much may happen.</param>
    /// <param name="dice">Decides.</param>
    public static VillageWorld Make((int People, int Places, int Things, int Goods) limits, VillageLevel level, VillageDice dice)
    {
        bool isSimple = level == VillageLevel.Simple;
        VillageWorld world = new(limits.People, limits.Places, limits.Things, limits.Goods);
        Cast cast = new(
            dice.Some(isSimple ? 1 + dice.Below(3) : 2 + dice.Below(3), limits.People), dice.Some(isSimple ? 1 + dice.Below(3) : 2 + dice.Below(3), limits.Places),
            dice.Some(isSimple ? 1 + dice.Below(2) : 1 + dice.Below(3), limits.Things), dice.Some(1, limits.Goods));
        Begin(world, cast, isSimple, dice);
        int length = isSimple ? 1 + dice.Below(5) : 5 + dice.Below(7);
        (VillageEventKind Kind, int Weight)[] kinds = isSimple ? s_simple : s_full;
        for (int tries = 0; world.Events.Count < length && tries < length * MostTries; tries++)
        {
            Try(world, Draw(kinds, dice), cast, dice);
        }

        if (world.Hero >= 0 && dice.Chance(0.5))
        {
            VillageEvent end = new(world.EndsWell ? VillageEventKind.Rejoiced : VillageEventKind.Grieved, new VillageCast(world.Hero));
            world.Apply(end, 0);
        }

        return world;
    }

    private static void Begin(VillageWorld world, Cast cast, bool isSimple, VillageDice dice)
    {
        world.Apply(new VillageEvent(VillageEventKind.Was, new VillageCast(cast.People[0], Place: dice.Of(cast.Places))), 0);
        if (isSimple)
        {
            foreach (int person in cast.People.Skip(1))
            {
                world.Apply(new VillageEvent(VillageEventKind.Was, new VillageCast(person, Place: dice.Of(cast.Places))), 0);
            }

            return;
        }

        if (dice.Chance(0.6))
        {
            world.Apply(new VillageEvent(VillageEventKind.Was, new VillageCast(cast.People[1], Place: dice.Of(cast.Places))), 0);
        }

        if (dice.Chance(0.5))
        {
            world.Apply(new VillageEvent(VillageEventKind.Lay, new VillageCast(-1, Place: dice.Of(cast.Places), Thing: dice.Of(cast.Things))), 0);
        }

        if (dice.Chance(0.8))
        {
            world.Apply(new VillageEvent(VillageEventKind.Wanted, new VillageCast(cast.People[0], Thing: dice.Of(cast.Things))), 0);
        }
    }

    /// <summary>Draws who and what, and lets it happen where nothing told is against it.</summary>
    private static void Try(VillageWorld world, VillageEventKind kind, Cast cast, VillageDice dice)
    {
        int who = dice.Of(cast.People), thing = dice.Of(cast.Things), other = dice.Of(cast.People), good = dice.Of(cast.Goods);
        int place = kind is VillageEventKind.Left or VillageEventKind.Found ? world.PlaceOf(who) : dice.Of(cast.Places);
        who = kind is VillageEventKind.Left or VillageEventKind.Gave or VillageEventKind.Lost && world.HolderOf(thing) >= 0 ? world.HolderOf(thing) : who;
        place = kind == VillageEventKind.Left ? world.PlaceOf(who) : place;
        int count = kind switch
        {
            VillageEventKind.Counted => world.GoodsOf(who, good),
            VillageEventKind.Sold or VillageEventKind.Shared => 1 + dice.Below(3),
            _ => 1 + dice.Below(4),
        };
        VillageCast roles = kind switch
        {
            VillageEventKind.Went or VillageEventKind.Arrived => new VillageCast(who, Place: place),
            VillageEventKind.Took or VillageEventKind.Lost => new VillageCast(who, Thing: thing),
            VillageEventKind.Left or VillageEventKind.Found => new VillageCast(who, Place: place, Thing: thing),
            VillageEventKind.Gave => new VillageCast(who, other, Thing: thing),
            VillageEventKind.Shared => new VillageCast(who, other, Good: good, Count: count),
            _ => new VillageCast(who, Good: good, Count: count),
        };
        VillageEvent next = new(kind, roles);
        ulong chance = dice.Bits();
        if (world.Allows(next))
        {
            world.Apply(next, chance);
        }
    }

    private static VillageEventKind Draw((VillageEventKind Kind, int Weight)[] kinds, VillageDice dice)
    {
        int at = dice.Below(kinds.Sum(kind => kind.Weight));
        foreach ((VillageEventKind kind, int weight) in kinds)
        {
            at -= weight;
            if (at < 0)
            {
                return kind;
            }
        }

        return kinds[^1].Kind;
    }

    /// <summary>Who and what a story is about.</summary>
    private sealed record Cast(int[] People, int[] Places, int[] Things, int[] Goods);
}
