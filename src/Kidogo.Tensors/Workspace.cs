// Buffers for the values of one forward pass, used again by the next. Knows nothing of what they hold.
namespace Kidogo.Tensors;

/// <summary>A stack of tensors that are rented, and given back all at once by returning to a mark.</summary>
/// <remarks>
/// A forward pass rents in the same order every time, so a slot keeps the role, and soon the size, that it needs: in steady state nothing is allocated.
/// </remarks>
internal sealed class Workspace
{
    private readonly List<Tensor> _slots = [];
    private int _used;

    /// <summary>Number of tensors rented now.</summary>
    public int Mark() => _used;

    /// <summary>Gives back what was rented after <paramref name="mark"/>.</summary>
    public void ReleaseTo(int mark)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)mark, (uint)_used, nameof(mark));
        _used = mark;
    }

    /// <summary>A tensor of undefined content.</summary>
    public Tensor Rent(int rows, int columns)
    {
        if (_used == _slots.Count)
        {
            _slots.Add(new Tensor());
        }

        Tensor tensor = _slots[_used++];
        tensor.Reshape(rows, columns);
        return tensor;
    }
}
