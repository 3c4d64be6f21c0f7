// Pruning from a calibration that is at hand: mean squares of inputs, as kidogo calibrate and llama.cpp keep them. Runs no model.
using Kidogo.Compression.Calibration;
using Kidogo.Compression.Quantization;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Families;
using Kidogo.Tensors;

namespace Kidogo.Compression.Pruning;

/// <summary>What can be judged without a text: weights by Wanda, where every block sees what the unpruned ones before it give, and neurons by their activations.</summary>
public static class CalibratedScores
{
    /// <summary>Prunes by Wanda.</summary>
    /// <param name="header">The model.</param>
    /// <param name="importance">Of the same model.</param>
    /// <param name="sparsity">How many weights go.</param>
    /// <param name="cancellation">Looked at between matrices.</param>
    /// <exception cref="CalibrationException">A matrix is missing in it.</exception>
    public static PrunedWeights Prune(ModelHeader header, ImportanceMatrix importance, Sparsity sparsity, CancellationToken cancellation = default)
    {
        Dictionary<string, PrunedMatrix> matrices = new(StringComparer.Ordinal);
        foreach (FileMatrix matrix in FileMatrix.OfLayers(header))
        {
            cancellation.ThrowIfCancellationRequested();
            sparsity.CheckRow(matrix.Slot, matrix.Columns);
            float[] norms = Array.ConvertAll(Of(importance, matrix.Slot, matrix.Columns), MathF.Sqrt);
            matrices.Add(matrix.Slot, new PrunedMatrix(Wanda.Mask(matrix.Read(), norms, sparsity)));
        }

        return new PrunedWeights(header.Config, matrices);
    }

    /// <summary>Scores of neurons (<see cref="LayerActivations.Neurons"/>); all other parts count alike.</summary>
    /// <param name="header">The model.</param>
    /// <param name="importance">Of the same model.</param>
    /// <exception cref="CalibrationException">A matrix is missing in it.</exception>
    public static StructureScores OfNeurons(ModelHeader header, ImportanceMatrix importance)
    {
        Dictionary<string, FileMatrix> matrices = FileMatrix.OfLayers(header).ToDictionary(matrix => matrix.Slot, StringComparer.Ordinal);
        return new StructureScores(
            [.. header.Config.Layers.Select((layer, i) =>
            {
                FileMatrix down = matrices[CanonicalNames.InLayer(i, "ffn_down")];
                float[] squares = Of(importance, down.Slot, down.Columns);
                double[] norms = ActivationScores.ColumnNorms(down.Read());
                return new LayerScores([.. norms.Select((norm, j) => norm * Math.Sqrt(squares[j]))], new double[layer.NumHeads], new double[layer.NumKvHeads], 0);
            })],
            new double[header.Config.HiddenSize]);
    }

    private static float[] Of(ImportanceMatrix importance, string slot, int columns) => importance.Find($"{slot}.weight") is { } squares && squares.Length == columns
        ? squares
        : throw new CalibrationException($"The calibration has nothing of {slot} with {columns} inputs: it is of another model. Make one with kidogo calibrate.");
}

/// <summary>A matrix of a layer in a model's files, read when it is asked for.</summary>
/// <param name="Slot">The slot, <c>blk.0.attn_q</c>.</param>
/// <param name="Rows">Outputs.</param>
/// <param name="Columns">Inputs.</param>
/// <param name="Read">Reads it in float32.</param>
internal sealed record FileMatrix(string Slot, int Rows, int Columns, Func<Tensor> Read)
{
    /// <summary>The matrices of all layers.</summary>
    public static IEnumerable<FileMatrix> OfLayers(ModelHeader header) =>
        ChangedModel.Tensors(header).Where(tensor => !tensor.IsVector && SlotInputs.TryFind(tensor.Name, out _, out _)).SelectMany(tensor => Parts(tensor, header.Config));

    private static IEnumerable<FileMatrix> Parts(ModelTensor tensor, DecoderConfig config)
    {
        int first = 0;
        foreach ((string slot, int rows) in TensorSlots.Of(tensor, config))
        {
            int start = first;
            yield return new FileMatrix(slot, rows, tensor.Columns, () =>
            {
                Tensor weights = new(rows, tensor.Columns);
                for (int row = 0; row < rows; row++)
                {
                    InputScales.ReadRow(tensor, start + row, weights.Row(row));
                    BlockGptq.RefuseNotFinite(tensor.Name, start + row, weights.Row(row));
                }

                return weights;
            });
            first += rows;
        }
    }
}
