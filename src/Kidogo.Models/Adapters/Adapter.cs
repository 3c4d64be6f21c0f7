// What an adapter is: for some linear layers of a model a change by two thin matrices. Knows no files.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Adapters;

/// <summary>What an adapter does to one slot, in the conventions of the base it was read for.</summary>
/// <param name="Slot">The slot: <c>blk.0.attn_q</c>.</param>
/// <param name="Change">ΔW.</param>
/// <param name="Magnitudes">[1, R] The lengths that the rows of W + ΔW are brought to (DoRA); null where they keep their own.</param>
public sealed record SlotChange(string Slot, LowRankChange Change, Tensor? Magnitudes = null)
{
    /// <summary>Weights that are trained.</summary>
    public long ParameterCount => (long)Change.A.Length + Change.B.Length + (Magnitudes?.Length ?? 0);

    /// <summary>Bytes of memory.</summary>
    public long MemoryBytes => sizeof(float) * (ParameterCount + (Change.StartA?.Length ?? 0L) + (Change.StartB?.Length ?? 0L));

    /// <summary>Whether the change is still none.</summary>
    internal bool IsNothing => Magnitudes is null && Change.StartA is null && !Change.B.Span.ContainsAnyExcept(0f);
}

/// <summary>Changes of some linear layers, for one base (LoRA, Hu et al., arXiv 2106.09685, and its kin). Immutable unless it is made trainable.</summary>
public sealed class Adapter
{
    private readonly Dictionary<string, SlotChange> _changes = new(StringComparer.Ordinal);

    /// <summary>Joins changes.</summary>
    /// <param name="name">What it is called in messages and requests.</param>
    /// <param name="changes">One for each slot that is changed.</param>
    /// <param name="origin">What is known of its base; null for nothing.</param>
    /// <exception cref="ArgumentException">A slot is changed twice.</exception>
    public Adapter(string name, IEnumerable<SlotChange> changes, AdapterOrigin? origin = null)
    {
        Name = name;
        Origin = origin ?? new AdapterOrigin();
        foreach (SlotChange change in changes)
        {
            if (!_changes.TryAdd(change.Slot, change))
            {
                throw new ArgumentException($"The adapter {name} changes {change.Slot} twice.", nameof(changes));
            }
        }
    }

    /// <summary>Stands for the base as it is, where a request would otherwise get a model's own adapter.</summary>
    public static Adapter None { get; } = new("none", []);

    /// <summary>What it is called.</summary>
    public string Name { get; }

    /// <summary>What is known of its base.</summary>
    public AdapterOrigin Origin { get; }

    /// <summary>The changes by slot.</summary>
    public IReadOnlyDictionary<string, SlotChange> Changes => _changes;

    /// <summary>Weights that are trained.</summary>
    public long ParameterCount => _changes.Values.Sum(change => change.ParameterCount);

    /// <summary>Makes its matrices and magnitudes parameters. Before it is attached to a model.</summary>
    public void MakeTrainable()
    {
        foreach (SlotChange change in _changes.Values)
        {
            change.Change.A.AsParameter();
            change.Change.B.AsParameter();
            change.Magnitudes?.AsParameter();
        }
    }
}

/// <summary>What an adapter's files say of the base it was made for.</summary>
public sealed record AdapterOrigin
{
    /// <summary>What the base was called; null where nothing says.</summary>
    public string? BaseName { get; init; }

    /// <summary>The hash of the base's weights; null where none is recorded.</summary>
    public string? BaseSha256 { get; init; }

    /// <summary>What the base is known by whatever its format; null where it is not recorded.</summary>
    public BaseFingerprint? Fingerprint { get; init; }
}
