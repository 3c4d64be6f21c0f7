// The adapters that hang on one model. Knows no files.
using Kidogo.Models.Layers;
using Kidogo.Tensors;

namespace Kidogo.Models.Adapters;

/// <summary>Adapters over one base in memory. Each sequence of a batch is computed with one of them, or with none, whatever the others are computed with.</summary>
public sealed class AdapterSet
{
    private readonly DecoderModel _model;
    private readonly List<Adapter> _adapters = [];

    internal AdapterSet(DecoderModel model) => _model = model;

    /// <summary>All of them, in the order they were attached.</summary>
    public IReadOnlyList<Adapter> All => _adapters;

    /// <summary>The one that sequences get that name none, or null for the base as it is.</summary>
    public Adapter? Default { get; private set; }

    /// <summary>Its number; 0 for none.</summary>
    internal int DefaultNumber => NumberOf(null);

    /// <summary>The adapter of this name, or null.</summary>
    public Adapter? Find(string name) => _adapters.Find(adapter => adapter.Name == name);

    /// <summary>Hangs an adapter on the model. Not while a pass runs.</summary>
    /// <param name="adapter">The adapter, of this base's shapes.</param>
    /// <param name="context">Lends its threads.</param>
    /// <param name="isDefault">Whether sequences get it that name none.</param>
    /// <exception cref="ArgumentException">A slot is not there, or has another shape; the message says which.</exception>
    public void Attach(Adapter adapter, ComputeContext context, bool isDefault = true)
    {
        if (adapter == Adapter.None || _adapters.Contains(adapter))
        {
            throw new ArgumentException($"The adapter {adapter.Name} is attached already.", nameof(adapter));
        }

        Check(adapter);
        _adapters.Add(adapter);
        int number = _adapters.Count;
        _model.Replace(layer => layer is Linear linear && adapter.Changes.TryGetValue(layer.Name, out SlotChange? change) ? AdaptedLinear.Of(linear, this, number, change, context) : layer);
        if (isDefault)
        {
            Default = adapter;
        }
    }

    /// <summary>Chooses the adapter that sequences get that name none. Not while a pass runs.</summary>
    /// <param name="adapter">One of this model's; null for the base as it is.</param>
    /// <exception cref="ArgumentException">It is not attached.</exception>
    public void UseByDefault(Adapter? adapter)
    {
        NumberOf(adapter ?? Adapter.None);
        Default = adapter;
    }

    /// <summary>The number that rows of a pass carry: 0 for the base as it is.</summary>
    /// <exception cref="ArgumentException">The adapter is not attached.</exception>
    internal int NumberOf(Adapter? adapter)
    {
        adapter ??= Default ?? Adapter.None;
        int index = _adapters.IndexOf(adapter);
        return index >= 0 || adapter == Adapter.None ? index + 1 : throw new ArgumentException($"The adapter {adapter.Name} is not attached to this model: attach it first.", nameof(adapter));
    }

    private void Check(Adapter adapter)
    {
        Dictionary<string, Layer> slots = _model.Slots().ToDictionary(slot => slot.Name, StringComparer.Ordinal);
        foreach (SlotChange change in adapter.Changes.Values)
        {
            if (slots.GetValueOrDefault(change.Slot) is not Linear linear)
            {
                throw new ArgumentException($"The adapter {adapter.Name} changes {change.Slot}, which this model does not have as a linear layer. It was made for another base.", nameof(adapter));
            }

            if (change.Change.A.Columns != linear.Weight.Columns || change.Change.B.Rows != linear.Weight.Rows || (change.Magnitudes is { } magnitudes && magnitudes.Length != linear.Weight.Rows))
            {
                throw new ArgumentException(
                    $"The adapter {adapter.Name} changes {change.Slot} as a matrix of {change.Change.B.Rows} x {change.Change.A.Columns}, but this model's is {linear.Weight.Rows} x {linear.Weight.Columns}. It was made for another base.", nameof(adapter));
            }
        }
    }
}
