// How much each input column of each matrix matters: the mean square of what went in. Knows no files and no quantiser.
using Kidogo.Models.Export;

namespace Kidogo.Compression.Calibration;

/// <summary>What was seen at one matrix.</summary>
/// <param name="MeanSquares">[C] The mean of x² over all tokens.</param>
/// <param name="Tokens">Tokens that were seen.</param>
public sealed record ColumnImportance(float[] MeanSquares, long Tokens);

/// <summary>llama.cpp's importance matrix: for each matrix the mean square of its inputs, by the tensor's name.</summary>
public sealed class ImportanceMatrix
{
    /// <summary>An importance matrix.</summary>
    /// <param name="columns">By canonical tensor name: <c>blk.0.attn_q.weight</c>.</param>
    public ImportanceMatrix(IReadOnlyDictionary<string, ColumnImportance> columns) => Columns = columns;

    /// <summary>By canonical tensor name.</summary>
    public IReadOnlyDictionary<string, ColumnImportance> Columns { get; }

    /// <summary>What it was calibrated on: names of texts. Default none.</summary>
    public IReadOnlyList<string> Datasets { get; init; } = [];

    /// <summary>Tokens of a sequence. Default 512.</summary>
    public int ChunkTokens { get; init; } = 512;

    /// <summary>Tokens that were seen: those of the matrix that saw most.</summary>
    public long Tokens => Columns.Count == 0 ? 0 : Columns.Values.Max(each => each.Tokens);

    /// <summary>The importance of a tensor's columns; null where there is none. Matrices that read the same inputs have the same importance, also where one file has them fused and the other not.</summary>
    public float[]? Find(string tensor)
    {
        if (Columns.TryGetValue(tensor, out ColumnImportance? found))
        {
            return found.MeanSquares;
        }

        if (!SlotInputs.TryFind(tensor, out int block, out int input))
        {
            return null;
        }

        string? other = SlotInputs.SlotsOf(input).Select(slot => $"blk.{block}.{slot}.weight").FirstOrDefault(Columns.ContainsKey);
        return other is null ? null : Columns[other].MeanSquares;
    }

    /// <summary>Refuses what is not of a model with these tensors.</summary>
    /// <param name="tensors">The model's.</param>
    /// <param name="source">What the importance is from, for the message.</param>
    /// <exception cref="CalibrationException">A block's matrix has no importance or one of another width, or there is importance for blocks that the model does not have.</exception>
    public void CheckFits(IReadOnlyList<ModelTensor> tensors, string source)
    {
        int blocks = 0;
        foreach (ModelTensor tensor in tensors)
        {
            bool isLinear = SlotInputs.TryFind(tensor.Name, out int block, out _) && !tensor.IsVector;
            blocks = Math.Max(blocks, isLinear ? block + 1 : 0);
            float[]? own = tensor.IsVector ? null : Find(tensor.Name);
            if (own is null && isLinear)
            {
                throw new CalibrationException($"{source} says nothing of {tensor.Name}, which the model has. It is of another model, or its text was too short; calibrate this one.");
            }

            if (own is not null && own.Length != tensor.Columns)
            {
                throw new CalibrationException($"{source} has {own.Length} columns for {tensor.Name}, the model {tensor.Columns}. It is of another model; calibrate this one.");
            }
        }

        foreach (string name in Columns.Keys)
        {
            if (SlotInputs.TryFind(name, out int block, out _) && block >= blocks)
            {
                throw new CalibrationException($"{source} speaks of {name}, but the model has {blocks} blocks. It is of another model; calibrate this one.");
            }
        }
    }
}
