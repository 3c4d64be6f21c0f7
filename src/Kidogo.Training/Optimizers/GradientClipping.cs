// The global norm of gradients, and the factor that cuts it. Changes nothing.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Training.Optimizers;

/// <summary>Clipping by the norm over all parameters (Pascanu et al., arXiv 1211.5063).</summary>
public static class GradientClipping
{
    private const double Margin = 1e-6; // as PyTorch: the clipped norm stays just below the limit

    /// <summary>√Σ g² over all parameters: summed in float64, parameter after parameter, so the bits never depend on threads.</summary>
    /// <param name="context">Lends its threads.</param>
    /// <param name="parameters">Parameters with gradients.</param>
    public static double Norm(ComputeContext context, IEnumerable<TrainedParameter> parameters)
    {
        double sum = 0;
        foreach (TrainedParameter parameter in parameters)
        {
            Tensor gradient = parameter.Values.Gradient ?? throw new InvalidOperationException($"{parameter.Name} has no gradient: no pass went back through "
                + "it.");
            sum += UpdateOps.SumOfSquares(context, gradient);
        }

        return Math.Sqrt(sum);
    }

    /// <summary>What gradients are multiplied by: min(1, limit / (norm + 1e-6)); 1 where nothing is clipped.</summary>
    /// <param name="norm">The norm.</param>
    /// <param name="limit">The highest norm; 0 for none.</param>
    public static float Scale(double norm, double limit) => limit <= 0 ? 1 : (float)Math.Min(1, limit / (norm + Margin));
}
