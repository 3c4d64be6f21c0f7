// A linear layer with adapters hanging on it. Knows no files and no training loop.
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Adapters;

/// <summary>y = m / n · (x Wᵀ + s (x Aᵀ) Bᵀ) + b: the layer's own product for all rows, and to the rows of each sequence what its adapter adds.</summary>
internal sealed class AdaptedLinear : Linear
{
    private readonly AdapterSet _set;
    private readonly Attached?[] _attached; // by the number of the adapter in the set, from 1

    private AdaptedLinear(Linear plain, AdapterSet set, Attached?[] attached)
        : base(plain.Name, plain.Weight, plain.Bias)
    {
        (_set, _attached) = (set, attached);
    }

    /// <inheritdoc/>
    public override long MemoryBytes => base.MemoryBytes + _attached.Sum(each => each?.Of.MemoryBytes ?? 0);

    /// <summary>The changes that are trained.</summary>
    public IEnumerable<SlotChange> Trained => _attached.Where(each => each is not null && each.Of.Change.A.IsParameter).Select(each => each!.Of);

    /// <summary>The layer with another adapter on it.</summary>
    /// <param name="layer">Plain, or adapted already.</param>
    /// <param name="set">The model's adapters.</param>
    /// <param name="number">The adapter's number.</param>
    /// <param name="change">What it does here.</param>
    /// <param name="context">Lends its threads.</param>
    public static AdaptedLinear Of(Linear layer, AdapterSet set, int number, SlotChange change, ComputeContext context)
    {
        Attached?[] attached = new Attached?[number + 1];
        (layer as AdaptedLinear)?._attached.CopyTo(attached, 0);
        attached[number] = Attach(layer.Weight, change, context);
        return new AdaptedLinear(layer, set, attached);
    }

    /// <inheritdoc/>
    public override Tensor Forward(ComputeContext context, Tensor x)
    {
        if (context.IsTraining)
        {
            return Find(_set.DefaultNumber) is { } trained ? ForwardRecorded(context, x, trained.Of, isHead: false) : base.Forward(context, x);
        }

        return ForwardRows(context, x, isHead: false);
    }

    /// <inheritdoc/>
    internal override Tensor ForwardAsHead(ComputeContext context, Tensor x)
    {
        if (context.IsTraining)
        {
            return Find(_set.DefaultNumber) is { } trained
                ? ForwardRecorded(context, x, trained.Of, isHead: true)
                : LinearOp.ApplyRefined(context, x, Weight, Bias);
        }

        return ForwardRows(context, x, isHead: true);
    }

    private Tensor ForwardRows(ComputeContext context, Tensor x, bool isHead)
    {
        RowVariant all = new(0, x.Rows, _set.DefaultNumber);
        ReadOnlySpan<RowVariant> variants = context.Variants.IsEmpty ? new ReadOnlySpan<RowVariant>(in all) : context.Variants;
        bool scales = false;
        foreach (RowVariant rows in variants)
        {
            scales |= Find(rows.Variant)?.Of.Magnitudes is not null;
        }

        Tensor? bias = scales ? null : Bias; // it is added to rows without magnitudes in the same way, only later
        Tensor y = isHead ? LinearOp.ApplyRefined(context, x, Weight, bias) : LinearOp.Apply(context, x, Weight, bias);
        foreach (RowVariant rows in variants)
        {
            if (Find(rows.Variant) is { } attached)
            {
                Add(context, x, y, rows, attached);
            }
        }

        return scales && Bias is not null ? AddOp.Apply(context, y, Bias) : y;
    }

    private void Add(ComputeContext context, Tensor x, Tensor y, RowVariant rows, Attached attached)
    {
        if (!attached.IsNothing)
        {
            LowRankOp.AddTo(context, x, y, rows, attached.Prepared ?? PreparedChange.Of(attached.Of.Change));
        }

        if (attached.Of.Magnitudes is { } magnitudes)
        {
            MagnitudeOp.MultiplyRows(context, y, rows, attached.Factors ?? Factors(Weight, attached.Of, magnitudes, context));
        }
    }

    // The layer's own product is stored only as the sum that it becomes: rounded once, and where nothing is added yet, to the bits of the plain layer.
    private Tensor ForwardRecorded(ComputeContext context, Tensor x, SlotChange trained, bool isHead)
    {
        if (trained.Magnitudes is not { } magnitudes)
        {
            return LowRankOp.Apply(context, x, LinearOp.ApplyRefined(context, x, Weight, Bias), trained.Change, stores: !isHead);
        }

        Tensor lengths = MagnitudeOp.RowLengths(context, Weight, trained.Change);
        Tensor sum = LowRankOp.Apply(context, x, LinearOp.ApplyRefined(context, x, Weight, null), trained.Change, stores: !isHead);
        Tensor y = MagnitudeOp.Apply(context, sum, magnitudes, lengths, stores: !isHead);
        return Bias is null ? y : AddOp.Apply(context, y, Bias);
    }

    private Attached? Find(int number) => number > 0 && number < _attached.Length ? _attached[number] : null;

    /// <summary>What does not change is found once; what is trained, whenever it is used.</summary>
    private static Attached Attach(Weight weight, SlotChange change, ComputeContext context) => change.Change.A.IsParameter
        ? new Attached(change, IsNothing: false, null, null)
        : new Attached(change, change.IsNothing, PreparedChange.Of(change.Change), change.Magnitudes is { } magnitudes ? Factors(weight, change, magnitudes, context) : null);

    private static Tensor Factors(Weight weight, SlotChange change, Tensor magnitudes, ComputeContext context)
    {
        int mark = context.Mark();
        Tensor factors = new(1, weight.Rows), lengths = MagnitudeOp.RowLengths(context, weight, change.Change);
        MagnitudeOp.Factors(magnitudes, lengths, factors);
        context.ReleaseTo(mark);
        return factors;
    }

    /// <summary>An adapter's part in this slot.</summary>
    /// <param name="Of">What it does.</param>
    /// <param name="IsNothing">Whether it changes nothing.</param>
    /// <param name="Prepared">In the form that rows are added to with; null where it is trained.</param>
    /// <param name="Factors">m / n; null where there are no magnitudes, or they are trained.</param>
    private sealed record Attached(SlotChange Of, bool IsNothing, PreparedChange? Prepared, Tensor? Factors);
}
