// The village as it is at a moment of a story: who is where, who has what. Knows what may happen, and no words.
namespace Kidogo.Data.Village;

/// <summary>What may happen.</summary>
internal enum VillageEventKind
{
    /// <summary>Somebody was somewhere when the story began.</summary>
    Was,

    /// <summary>Somebody went somewhere.</summary>
    Went,

    /// <summary>Somebody of whom nothing was told came from outside.</summary>
    Arrived,

    /// <summary>A thing was somewhere when the story began.</summary>
    Lay,

    /// <summary>Somebody took a thing.</summary>
    Took,

    /// <summary>Somebody left a thing where they were.</summary>
    Left,

    /// <summary>Somebody gave a thing to another.</summary>
    Gave,

    /// <summary>Somebody lost a thing; where, the story does not say.</summary>
    Lost,

    /// <summary>Somebody found a thing that was lost.</summary>
    Found,

    /// <summary>Somebody bought goods.</summary>
    Bought,

    /// <summary>Somebody sold goods.</summary>
    Sold,

    /// <summary>Somebody gave goods to another.</summary>
    Shared,

    /// <summary>Somebody counted all goods of a kind that they have.</summary>
    Counted,

    /// <summary>Somebody wanted a thing: the story's wish.</summary>
    Wanted,

    /// <summary>The one with the wish was happy at the end.</summary>
    Rejoiced,

    /// <summary>The one with the wish was sad at the end.</summary>
    Grieved,
}

/// <summary>An event, with indexes into the language's lists; -1 for what it does not have.</summary>
internal readonly record struct VillageEvent(VillageEventKind Kind, VillageCast Cast);

/// <summary>The state that events change. Nobody has anything and nothing is told when a story begins.</summary>
/// <remarks>
/// What a story does not tell is -1 here. An event is allowed only where what is told makes it possible, so that a story never contradicts itself: who gives something stands beside who gets it, a thing is found
/// where it was lost, nobody leaves what they do not have.
/// </remarks>
internal sealed class VillageWorld
{
    /// <summary>Goods of a kind that somebody may have.</summary>
    public const int MostGoods = 9;

    // Lost where nobody will look: the loser's own place was never told.
    private const int NoPlace = -2;

    private readonly int[] _placeOf;
    private readonly bool[] _isTold;
    private readonly int[] _holder;
    private readonly int[] _thingPlace;
    private readonly bool[] _isThingTold;
    private readonly int[] _lostAt;
    private readonly List<int>[] _placesWithHolder; // where a thing may have been lost
    private readonly int[,] _goods;

    public VillageWorld(int people, int places, int things, int goods)
    {
        (People, Places, Things, Goods) = (people, places, things, goods);
        (_placeOf, _isTold, _goods) = (Untold(people), new bool[people], new int[people, goods]);
        (_holder, _thingPlace, _isThingTold, _lostAt) = (Untold(things), Untold(things), new bool[things], Untold(things));
        _placesWithHolder = [.. Enumerable.Range(0, things).Select(_ => new List<int>())];
    }

    public int People { get; }

    public int Places { get; }

    public int Things { get; }

    public int Goods { get; }

    /// <summary>What happened so far.</summary>
    public List<VillageEvent> Events { get; } = [];

    /// <summary>The one with the wish; -1 for none.</summary>
    public int Hero { get; private set; } = -1;

    /// <summary>What is wished for; -1 for nothing.</summary>
    public int Wish { get; private set; } = -1;

    /// <summary>Where somebody is; -1 where the story does not say.</summary>
    public int PlaceOf(int person) => _placeOf[person];

    /// <summary>Whether the story speaks of somebody.</summary>
    public bool IsTold(int person) => _isTold[person];

    /// <summary>Whether the story speaks of a thing.</summary>
    public bool IsThingTold(int thing) => _isThingTold[thing];

    /// <summary>Who has a thing; -1 for nobody, or where the story does not say.</summary>
    public int HolderOf(int thing) => _holder[thing];

    /// <summary>Whether a thing was lost and not found.</summary>
    public bool IsLost(int thing) => _lostAt[thing] != -1;

    /// <summary>Where a thing is, with whoever has it; -1 where the story does not say.</summary>
    public int PlaceOfThing(int thing) => _holder[thing] >= 0 ? _placeOf[_holder[thing]] : IsLost(thing) ? -1 : _thingPlace[thing];

    /// <summary>Goods of a kind that somebody has.</summary>
    public int GoodsOf(int person, int good) => _goods[person, good];

    /// <summary>Whether the story ends well: the wish is met, or, without one, nothing is lost.</summary>
    public bool EndsWell => Wish >= 0 ? _holder[Wish] == Hero : !Enumerable.Range(0, Things).Any(IsLost);

    /// <summary>Whether an event contradicts nothing that was told.</summary>
    public bool Allows(in VillageEvent next)
    {
        (int who, int other, int place, int thing, int good, int count) = next.Cast;
        return next.Kind switch
        {
            VillageEventKind.Was => !_isTold[who] && !Events.Any(each => each.Kind is not (VillageEventKind.Was or VillageEventKind.Lay)),
            VillageEventKind.Went => _isTold[who] && _placeOf[who] != place,
            VillageEventKind.Arrived => !_isTold[who],
            VillageEventKind.Lay => !_isThingTold[thing] && !Events.Any(each => each.Kind is not (VillageEventKind.Was or VillageEventKind.Lay)),
            // Of a thing that was not told of, it is news that it was there.
            VillageEventKind.Took => IsFree(thing) && (_thingPlace[thing] == -1 || _thingPlace[thing] == _placeOf[who]),
            VillageEventKind.Left => Has(who, thing) && place != -1 && _placeOf[who] == place,
            VillageEventKind.Gave => Has(who, thing) && AreTogether(who, other),
            VillageEventKind.Lost => Has(who, thing),
            VillageEventKind.Found => _isTold[who] && place != -1 && _placeOf[who] == place && _lostAt[thing] == place,
            VillageEventKind.Bought => _isTold[who] && count >= 1 && _goods[who, good] + count <= MostGoods,
            VillageEventKind.Sold => _isTold[who] && count >= 1 && _goods[who, good] >= count,
            VillageEventKind.Shared => count >= 1 && _isTold[who] && _goods[who, good] >= count && AreTogether(who, other) && _goods[other, good] + count <= MostGoods,
            VillageEventKind.Counted => count >= 1 && _goods[who, good] == count,
            VillageEventKind.Wanted => Hero == -1 && _isTold[who] && _holder[thing] != who,
            VillageEventKind.Rejoiced => who == Hero && EndsWell,
            _ => who == Hero && !EndsWell,
        };
    }

    /// <summary>Makes an event happen.</summary>
    /// <param name="next">The event.</param>
    /// <param name="chance">A number that decides what the story does not tell: where something was lost.</param>
    /// <exception cref="InvalidOperationException">It is not allowed.</exception>
    public void Apply(in VillageEvent next, ulong chance)
    {
        if (!Allows(next))
        {
            throw new InvalidOperationException($"{next} cannot happen after what was told.");
        }

        (int who, int other, int place, int thing, int good, int count) = next.Cast;
        Events.Add(next);
        switch (next.Kind)
        {
            case VillageEventKind.Was or VillageEventKind.Went or VillageEventKind.Arrived:
                _placeOf[who] = place;
                for (int each = 0; each < Things; each++)
                {
                    NotePlace(each, who);
                }

                break;
            case VillageEventKind.Lay:
                _thingPlace[thing] = place;
                break;
            case VillageEventKind.Took or VillageEventKind.Found:
                Hold(thing, who);
                break;
            case VillageEventKind.Gave:
                Hold(thing, other);
                break;
            case VillageEventKind.Left:
                (_holder[thing], _thingPlace[thing]) = (-1, place);
                break;
            case VillageEventKind.Lost:
                List<int> places = _placesWithHolder[thing];
                _lostAt[thing] = places.Count == 0 ? NoPlace : places[(int)(chance % (ulong)places.Count)];
                (_holder[thing], _thingPlace[thing]) = (-1, -1);
                break;
            case VillageEventKind.Bought:
                _goods[who, good] += count;
                break;
            case VillageEventKind.Sold:
                _goods[who, good] -= count;
                break;
            case VillageEventKind.Shared:
                _goods[who, good] -= count;
                _goods[other, good] += count;
                break;
            case VillageEventKind.Wanted:
                (Hero, Wish) = (who, thing);
                break;
            default:
                break;
        }

        Tell(who, _isTold);
        Tell(other, _isTold);
        Tell(thing, _isThingTold);
    }

    private static int[] Untold(int count)
    {
        int[] values = new int[count];
        Array.Fill(values, -1);
        return values;
    }

    private static void Tell(int index, bool[] told)
    {
        if (index >= 0)
        {
            told[index] = true;
        }
    }

    private void Hold(int thing, int person)
    {
        (_holder[thing], _thingPlace[thing], _lostAt[thing]) = (person, -1, -1);
        _placesWithHolder[thing].Clear();
        NotePlace(thing, person);
    }

    private void NotePlace(int thing, int person)
    {
        if (_holder[thing] == person && _placeOf[person] >= 0)
        {
            _placesWithHolder[thing].Add(_placeOf[person]);
        }
    }

    private bool Has(int person, int thing) => _holder[thing] == person;

    /// <summary>Nobody has it, and it is not lost.</summary>
    private bool IsFree(int thing) => _holder[thing] == -1 && !IsLost(thing);

    /// <summary>Both are where the other is told to be, or of neither it is told where they are: a story need not say it.</summary>
    private bool AreTogether(int one, int other) => one != other && other >= 0 && (_placeOf[one] == -1 ? _placeOf[other] == -1 && _isTold[one] : _placeOf[one] == _placeOf[other]);
}
