// Feed-forward activations, gated or not. Knows no layers.
using System.Numerics.Tensors;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>The non-linear functions of feed-forward layers.</summary>
public enum Activation
{
    /// <summary>x · sigmoid(x).</summary>
    Silu,

    /// <summary>GELU by tanh.</summary>
    GeluTanh,

    /// <summary>GELU by the error function.</summary>
    GeluErf,

    /// <summary>max(x, 0).</summary>
    Relu,

    /// <summary>max(x, 0)².</summary>
    ReluSquared,
}

/// <summary>y = f(x).</summary>
public static class ActivationOp
{
    /// <summary>Applies an activation to every value.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="x">[T, F]</param>
    /// <param name="kind">f</param>
    /// <returns>[T, F]</returns>
    public static Tensor Apply(ComputeContext context, Tensor x, Activation kind)
    {
        Tensor y = context.Rent(x.Rows, x.Columns);
        GatedOperation operation = context.Works.Cached<GatedOperation>();
        (operation.Gate, operation.Up, operation.Kind, operation.Y) = (x, null, kind, y);
        context.Works.Rows.Run(context.Team, operation, x.Rows, x.Columns * 4);
        context.Store(y);
        if (context.Records(x))
        {
            Record(context, x, kind, y);
        }

        return y;
    }

    private static void Record(ComputeContext context, Tensor x, Activation kind, Tensor y) => context.Record(y, () => GatedBackward.Run(context, x, null, kind, y));
}

/// <summary>y = f(gate) · up (Shazeer, arXiv 2002.05202, equation 6).</summary>
public static class GatedOp
{
    /// <summary>Applies an activation to the gate and multiplies with the other branch.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="gate">[T, F]</param>
    /// <param name="up">[T, F]</param>
    /// <param name="kind">f</param>
    /// <returns>[T, F]</returns>
    public static Tensor Apply(ComputeContext context, Tensor gate, Tensor up, Activation kind)
    {
        if (gate.Rows != up.Rows || gate.Columns != up.Columns)
        {
            throw new ArgumentException($"A gate of {gate.Rows} x {gate.Columns} meets a branch of {up.Rows} x {up.Columns}.", nameof(up));
        }

        Tensor y = context.Rent(gate.Rows, gate.Columns);
        GatedOperation operation = context.Works.Cached<GatedOperation>();
        (operation.Gate, operation.Up, operation.Kind, operation.Y) = (gate, up, kind, y);
        context.Works.Rows.Run(context.Team, operation, gate.Rows, gate.Columns * 4);
        context.Store(y);
        if (context.Records(gate, up))
        {
            Record(context, gate, up, kind, y);
        }

        return y;
    }

    private static void Record(ComputeContext context, Tensor gate, Tensor up, Activation kind, Tensor y) => context.Record(y, () => GatedBackward.Run(context, gate, up, kind, y));
}

/// <summary>A row of f(gate), times up where there is one.</summary>
internal sealed class GatedOperation : IRowOperation
{
    public Tensor? Gate, Up, Y;
    public Activation Kind;

    public void Do(int row)
    {
        Span<float> y = Y!.Row(row);
        ActivationKernel.Apply(Gate!.Row(row), Kind, y);
        if (Up is not null)
        {
            TensorPrimitives.Multiply(y, Up.Row(row), y);
        }
    }
}

/// <summary>A row of dgate = dy · up · f'(gate) and dup = dy · f(gate).</summary>
internal sealed class GatedBackward : IRowOperation
{
    private const int Block = 256; // columns whose values and slopes lie on the stack

    private Tensor? _gate, _up, _gradientGate, _gradientUp, _gradientY;
    private Activation _kind;
    private bool _isGateNew, _isUpNew;

    /// <summary>Lets the gradient of y flow into the gate and, where there is one, the other branch.</summary>
    public static void Run(ComputeContext context, Tensor gate, Tensor? up, Activation kind, Tensor y)
    {
        GatedBackward operation = context.Works.Cached<GatedBackward>();
        operation._isGateNew = operation._isUpNew = false;
        operation._gradientUp = up is { NeedsGradient: true } ? context.GradientOf(up, out operation._isUpNew) : null;
        operation._gradientGate = gate.NeedsGradient ? context.GradientOf(gate, out operation._isGateNew) : null; // where both are one tensor, the branch writes and the gate adds
        (operation._gate, operation._up, operation._kind, operation._gradientY) = (gate, up, kind, y.Gradient!);
        context.Works.Rows.Run(context.Team, operation, gate.Rows, gate.Columns * 8);
    }

    public void Do(int row)
    {
        Span<float> values = stackalloc float[Block], slopes = stackalloc float[Block];
        ReadOnlySpan<float> gate = _gate!.Row(row), up = _up is null ? [] : _up.Row(row), gradientY = _gradientY!.Row(row);
        for (int first = 0; first < gate.Length; first += Block)
        {
            int count = Math.Min(Block, gate.Length - first);
            Span<float> value = values[..count], slope = slopes[..count];
            ReadOnlySpan<float> dy = gradientY.Slice(first, count);
            ActivationSlope.Apply(gate.Slice(first, count), _kind, value, slope);
            if (_gradientUp is not null)
            {
                Flow(value, dy, _gradientUp.Row(row).Slice(first, count), _isUpNew);
            }

            if (_gradientGate is not null)
            {
                if (!up.IsEmpty)
                {
                    TensorPrimitives.Multiply(slope, up.Slice(first, count), slope);
                }

                Flow(slope, dy, _gradientGate.Row(row).Slice(first, count), _isGateNew);
            }
        }
    }

    private static void Flow(ReadOnlySpan<float> slope, ReadOnlySpan<float> gradient, Span<float> target, bool isNew)
    {
        if (isNew)
        {
            TensorPrimitives.Multiply(slope, gradient, target);
        }
        else
        {
            TensorPrimitives.MultiplyAdd(slope, gradient, target, target);
        }
    }
}
