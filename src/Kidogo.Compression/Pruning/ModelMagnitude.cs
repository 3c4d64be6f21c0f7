// Magnitude pruning of a model's blocks from its files, one matrix in memory at a time. Runs no model.
using Kidogo.Compression.Calibration;
using Kidogo.Compression.Quantization;
using Kidogo.Models;
using Kidogo.Models.Export;
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
        (string Slot, Func<Tensor> Read)[] slots = [.. ChangedModel.Tensors(header).Where(tensor => !tensor.IsVector && SlotInputs.TryFind(tensor.Name, out _, out _)).SelectMany(tensor => Parts(tensor, header.Config))];
        Dictionary<string, PrunedMatrix> matrices = new(StringComparer.Ordinal);
        MagnitudeThreshold? shared = sparsity is null || sparsity.IsGrouped || scope != PruneScope.Model ? null : new MagnitudeThreshold(Find(slots, sparsity.Share, cancellation));
        foreach ((string slot, Func<Tensor> read) in slots)
        {
            cancellation.ThrowIfCancellationRequested();
            Tensor weights = read();
            for (int row = 0; row < weights.Rows; row++)
            {
                BlockGptq.RefuseNotFinite($"{slot}.weight", row, weights.Row(row));
            }

            sparsity?.CheckRow(slot, weights.Columns);
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
                throw new PruningException($"Nothing of {slot} would be left: its largest weight has a magnitude of {Largest(weights):g6}. Take a {(sparsity is null ? "smaller threshold" : "smaller sparsity, or compare weights per layer")}.");
            }

            matrices.Add(slot, new PrunedMatrix(mask));
        }

        return new PrunedWeights(header.Config, matrices);
    }

    private static (float Magnitude, long Equal) Find((string Slot, Func<Tensor> Read)[] slots, double share, CancellationToken cancellation)
    {
        IEnumerable<Tensor> All() => slots.Select(slot =>
        {
            cancellation.ThrowIfCancellationRequested();
            return slot.Read();
        });
        long weights = All().Sum(matrix => (long)matrix.Length);
        return new MagnitudeCounts(All).Find((long)Math.Floor(share * weights));
    }

    private static float Largest(Tensor weights) => System.Numerics.Tensors.TensorPrimitives.MaxMagnitude<float>(weights.Span);

    private static IEnumerable<(string Slot, Func<Tensor> Read)> Parts(ModelTensor tensor, DecoderConfig config)
    {
        int first = 0;
        foreach ((string slot, int rows) in TensorSlots.Of(tensor, config))
        {
            int start = first;
            yield return (slot, () =>
            {
                Tensor weights = new(rows, tensor.Columns);
                for (int row = 0; row < rows; row++)
                {
                    InputScales.ReadRow(tensor, start + row, weights.Row(row));
                }

                return weights;
            });
            first += rows;
        }
    }
}
