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
        context.RefuseGradient(nameof(ActivationOp));
        Tensor y = context.Rent(x.Rows, x.Columns);
        GatedOperation operation = context.Works.Cached<GatedOperation>();
        (operation.Gate, operation.Up, operation.Kind, operation.Y) = (x, null, kind, y);
        context.Works.Rows.Run(context.Team, operation, x.Rows, x.Columns * 4);
        return y;
    }
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
        context.RefuseGradient(nameof(GatedOp));
        if (gate.Rows != up.Rows || gate.Columns != up.Columns)
        {
            throw new ArgumentException($"A gate of {gate.Rows} x {gate.Columns} meets a branch of {up.Rows} x {up.Columns}.", nameof(up));
        }

        Tensor y = context.Rent(gate.Rows, gate.Columns);
        GatedOperation operation = context.Works.Cached<GatedOperation>();
        (operation.Gate, operation.Up, operation.Kind, operation.Y) = (gate, up, kind, y);
        context.Works.Rows.Run(context.Team, operation, gate.Rows, gate.Columns * 4);
        return y;
    }
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
