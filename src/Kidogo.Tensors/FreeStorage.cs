// Storage that waits to be used again, by its room. Knows no tape.
namespace Kidogo.Tensors;

/// <summary>Arrays of tensors that are done with.</summary>
/// <remarks>
/// Passes over packed documents ask for a few rows more or fewer each time. If only the exact size would do, each new size would be allocated and all of
/// them kept; so a storage up to an eighth larger does too, and one that is a little too small goes when a larger one has to be made. Where lengths differ
/// by no more than that, what is kept is bounded by what the largest pass took, and an eighth.
/// </remarks>
internal sealed class FreeStorage
{
    private const int Share = 8;

    private readonly List<int> _rooms = []; // in order; none without a storage
    private readonly Dictionary<int, Stack<float[]>> _storages = [];

    /// <summary>The smallest storage with so much room.</summary>
    /// <param name="room">Values that it has to hold.</param>
    /// <param name="ofAnySize">Whether one that is much larger will do.</param>
    public float[]? Take(int room, bool ofAnySize)
    {
        int at = FirstFrom(room);
        return at < _rooms.Count && (ofAnySize || _rooms[at] - room <= room / Share) ? Pop(at) : null;
    }

    /// <summary>Takes out a storage that is a little too small, for good; null where there is none.</summary>
    public float[]? Drop(int room)
    {
        int at = FirstFrom(room) - 1;
        return at >= 0 && room - _rooms[at] <= room / Share ? Pop(at) : null;
    }

    /// <summary>Keeps a storage.</summary>
    public void Add(float[] storage)
    {
        int room = Math.Max(1, Tensor.RoomOf(storage));
        if (!_storages.TryGetValue(room, out Stack<float[]>? same))
        {
            _storages.Add(room, same = []);
        }

        if (same.Count == 0)
        {
            _rooms.Insert(FirstFrom(room), room);
        }

        same.Push(storage);
    }

    private float[] Pop(int at)
    {
        Stack<float[]> same = _storages[_rooms[at]];
        float[] storage = same.Pop();
        if (same.Count == 0)
        {
            _storages.Remove(_rooms[at]);
            _rooms.RemoveAt(at);
        }

        return storage;
    }

    private int FirstFrom(int room)
    {
        int at = _rooms.BinarySearch(room);
        return at >= 0 ? at : ~at;
    }
}
