// What tests of gradients share: a loss that any gradient can come from, and differences. Knows no op.
using Kidogo.Tensors;

namespace Kidogo.KernelTests.Ops;

internal static class Gradients
{
    /// <summary>The loss Σ y · weights, whose gradient with respect to y are the weights.</summary>
    public static Tensor Weighted(ComputeContext context, Tensor y, Tensor weights)
    {
        Assert.Equal((y.Rows, y.Columns), (weights.Rows, weights.Columns));
        Tensor loss = context.Rent(1, 1);
        loss.Span[0] = (float)Dot(y, weights);
        if (context.Records(y))
        {
            context.Record(loss, () =>
            {
                Tensor gradient = context.GradientOf(y);
                for (int i = 0; i < gradient.Length; i++)
                {
                    gradient.Span[i] += loss.Gradient!.Span[0] * weights.Span[i];
                }
            });
        }

        return loss;
    }

    /// <summary>Σ a · b in double.</summary>
    public static double Dot(Tensor a, Tensor b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
        {
            sum += (double)a.Span[i] * b.Span[i];
        }

        return sum;
    }

    /// <summary>The slope of f at value i of a tensor by differences over four points: the error falls with the fourth power of the step (Abramowitz and Stegun 25.3.6).</summary>
    public static double Difference(Tensor x, int i, float step, Func<double> f)
    {
        float value = x.Span[i];
        double At(float there)
        {
            x.Span[i] = there;
            return f();
        }

        double near = At(value + step) - At(value - step);
        double far = At(value + (2 * step)) - At(value - (2 * step));
        x.Span[i] = value;
        return ((8 * near) - far) / (12 * step);
    }
}
