// Rotation tables of one rotary embedding, for whatever length is asked for. Knows no heads.
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Layers;

/// <summary>The tables of a <see cref="RopeConfig"/>. Shared by all layers that have the same one.</summary>
/// <param name="config">The rotary embedding.</param>
public sealed class RotaryEmbedding(RopeConfig config)
{
    private readonly Lock _lock = new();
    private readonly RotaryTable _table = Create(config, 0);

    // Most callers ask for the same length again, so one table for a length is kept; it is replaced whole, and readers take what they find.
    private volatile TableForLength? _last;

    /// <summary>The rotary embedding.</summary>
    public RopeConfig Config => config;

    /// <summary>The table for a sequence of <paramref name="length"/> positions in all (or for the context that generation declares).</summary>
    public RotaryTable TableFor(int length)
    {
        if (!config.DependsOnLength)
        {
            return _table;
        }

        if (_last is { } last && last.Length == length)
        {
            return last.Table;
        }

        lock (_lock)
        {
            TableForLength made = _last is { } other && other.Length == length ? other : new TableForLength(length, Create(config, length));
            _last = made;
            return made.Table;
        }
    }

    private static RotaryTable Create(RopeConfig config, int length)
    {
        (double[] inverseFrequencies, float attentionFactor) = config.Frequencies(length);
        return new RotaryTable(inverseFrequencies, attentionFactor, config.Layout);
    }

    private sealed record TableForLength(int Length, RotaryTable Table);
}
