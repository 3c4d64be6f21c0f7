// Magnitude pruning of a model's blocks from its files, one matrix in memory at a time. Runs no model.
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Compression.Pruning;

/// <summary>Magnitudes over all matrices of a model's blocks; embedding and head stay as they are.</summary>
public static class ModelMagnitude
{
    /// <summary>Prunes.</summary>
    /// <param name="header">The model.</param>
    /// <param name="sparsity">How many weights go; null to go by the threshold.</param>
    /// <param name="threshold">All weights up to this magnitude go, where no sparsity is given.</param>
    /// <param name="scope">Among which weights.</param>
    /// <param name="cancellation">Looked at between matrices.</param>
    /// <exception cref="PruningException">Rows are no whole groups, or the threshold leaves nothing of a matrix.</exception>
    public static PrunedWeights Run(ModelHeader header, Sparsity? sparsity, float threshold, PruneScope scope, CancellationToken cancellation = default)
    {
        FileMatrix[] slots = [.. FileMatrix.OfLayers(header)];
        Dictionary<string, PrunedMatrix> matrices = new(StringComparer.Ordinal);
        MagnitudeThreshold? shared = sparsity is null || sparsity.IsGrouped || scope != PruneScope.Model ? null : new MagnitudeThreshold(Find(slots, sparsity.Share, cancellation));
        foreach (FileMatrix slot in slots)
        {
            cancellation.ThrowIfCancellationRequested();
            sparsity?.CheckRow(slot.Slot, slot.Columns);
            Tensor weights = slot.Read();
            WeightMask mask;
            if (shared is not null)
            {
                shared.Mark(weights, mask = new WeightMask(weights.Rows, weights.Columns));
            }
            else
            {
                mask = sparsity is null ? Magnitude.Mask(weights, threshold) : Magnitude.Mask(weights, sparsity, scope);
            }

            if (mask.Zeros == weights.Length)
            {
                throw new PruningException($"Nothing of {slot.Slot} would be left: its largest weight has a magnitude of {Largest(weights):g6}. Take a {(sparsity is null ? "smaller threshold" : "smaller sparsity, or compare weights per layer")}.");
            }

            matrices.Add(slot.Slot, new PrunedMatrix(mask));
        }

        return new PrunedWeights(header.Config, matrices);
    }

    private static (float Magnitude, long Equal) Find(FileMatrix[] slots, double share, CancellationToken cancellation)
    {
        IEnumerable<Tensor> All() => slots.Select(slot =>
        {
            cancellation.ThrowIfCancellationRequested();
            return slot.Read();
        });
        long weights = slots.Sum(slot => (long)slot.Rows * slot.Columns);
        return new MagnitudeCounts(All).Find((long)Math.Floor(share * weights));
    }

    private static float Largest(Tensor weights) => System.Numerics.Tensors.TensorPrimitives.MaxMagnitude<float>(weights.Span);
}
