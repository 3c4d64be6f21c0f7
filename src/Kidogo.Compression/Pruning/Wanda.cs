// Wanda: weights by what their inputs make of them. Updates no weight.
using System.Numerics.Tensors;
using Tensor = Kidogo.Tensors.Tensor;

namespace Kidogo.Compression.Pruning;

/// <summary>Pruning by weights and activations (Sun et al., arXiv 2306.11695): the smallest |w| · ‖x‖₂, compared within each output (equation 1 and section 3).</summary>
public static class Wanda
{
    /// <summary>The score of each weight of a row.</summary>
    /// <param name="row">[C]</param>
    /// <param name="norms">[C] ‖x‖₂ of each input over the calibration, or any multiple of them.</param>
    /// <param name="scores">[C]</param>
    public static void Score(ReadOnlySpan<float> row, ReadOnlySpan<float> norms, Span<float> scores)
    {
        TensorPrimitives.Abs(row, scores);
        TensorPrimitives.Multiply(scores, norms, scores);
    }

    /// <summary>The weights of a matrix that go.</summary>
    /// <param name="weights">[R, C]</param>
    /// <param name="norms">[C] ‖x‖₂ of each input over the calibration, or any multiple of them.</param>
    /// <param name="sparsity">How many of each row, or of each group of neighbours in it.</param>
    public static WeightMask Mask(Tensor weights, ReadOnlySpan<float> norms, Sparsity sparsity)
    {
        if (norms.Length != weights.Columns)
        {
            throw new ArgumentException($"A matrix of {weights.Columns} inputs needs as many norms, not {norms.Length}.", nameof(norms));
        }

        WeightMask mask = new(weights.Rows, weights.Columns);
        float[] scores = new float[weights.Columns];
        for (int row = 0; row < weights.Rows; row++)
        {
            Score(weights.Row(row), norms, scores);
            mask.MarkRow(row, scores, sparsity);
        }

        return mask;
    }
}
