// The last tokens of a sequence, for the penalties. Knows no logits.
namespace Kidogo.Inference.Sampling;

/// <summary>A ring of the last tokens, each marked as prompt or generated. Allocates once.</summary>
internal sealed class TokenHistory(int capacity)
{
    // A token of the prompt is stored as its complement, which is negative.
    private readonly int[] _ring = new int[capacity];
    private int _next;

    /// <summary>How many tokens are remembered.</summary>
    public int Count { get; private set; }

    public void Add(int id, bool isPrompt)
    {
        if (_ring.Length == 0)
        {
            return;
        }

        _ring[_next] = isPrompt ? ~id : id;
        _next = _next + 1 == _ring.Length ? 0 : _next + 1;
        Count = Math.Min(Count + 1, _ring.Length);
    }

    /// <summary>The token <paramref name="back"/> places before the last one, which has 0.</summary>
    public int Recent(int back, out bool isPrompt)
    {
        int index = _next - 1 - back;
        int stored = _ring[index < 0 ? index + _ring.Length : index];
        isPrompt = stored < 0;
        return isPrompt ? ~stored : stored;
    }

    public void Clear() => (Count, _next) = (0, 0);
}
