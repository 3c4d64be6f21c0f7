// What was decided of the matrices of a model: what went, and perhaps what the rest became. Knows no criterion.
using Kidogo.Compression.Quantization;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Tensors.Formats;

namespace Kidogo.Compression.Pruning;

/// <summary>A matrix that was pruned.</summary>
/// <param name="Mask">The weights that went.</param>
public sealed record PrunedMatrix(WeightMask Mask)
{
    /// <summary>What the rows became, where weights that stay were changed; null where they were not.</summary>
    public byte[]? Rows { get; init; }

    /// <summary>How <see cref="Rows"/> are stored.</summary>
    public WeightFormat? Format { get; init; }

    /// <summary>Where the rows are a file's already: what each is found by (<see cref="QuantizedRows.KeyOf"/>); empty where not.</summary>
    public UInt128[] Keys { get; init; } = [];

    /// <summary>A row as it is now.</summary>
    /// <param name="row">Which.</param>
    /// <param name="values">[C] The row as it was; becomes what it is.</param>
    public void Apply(int row, Span<float> values)
    {
        if (Rows is null || Format is null)
        {
            Mask.Apply(row, values);
            return;
        }

        int bytes = (int)Format.RowBytes(Mask.Columns);
        Format.Decode(Rows.AsSpan(row * bytes, bytes), values);
    }
}

/// <summary>The pruned matrices of a model, by the slots or tensors that they are of.</summary>
/// <param name="config">The model.</param>
/// <param name="matrices">By slot, <c>blk.0.attn_q</c>.</param>
public sealed class PrunedWeights(DecoderConfig config, IReadOnlyDictionary<string, PrunedMatrix> matrices)
{
    /// <summary>A tensor as it is now, in float32; itself where nothing was pruned in it, and where its rows are a file's already, which <see cref="Encoder"/> gives.</summary>
    public ModelTensor Change(ModelTensor tensor)
    {
        if (tensor.IsVector)
        {
            return tensor;
        }

        (PrunedMatrix? Matrix, int Row)[] rows = [.. TensorSlots.Of(tensor, config).SelectMany(part => Enumerable.Range(0, part.Rows).Select(row => (matrices.GetValueOrDefault(part.Slot), row)))];
        return Array.TrueForAll(rows, row => row.Matrix is null or { Keys.Length: > 0 }) ? tensor : ModelTensor.Matrix(tensor.Name, tensor.Rows, tensor.Columns, (row, values) =>
        {
            InputScales.ReadRow(tensor, row, values);
            rows[row].Matrix?.Apply(rows[row].Row, values);
        });
    }

    /// <summary>Gives the bytes of rows that were rounded when they were pruned, whatever order a file has them in; null for a tensor without such.</summary>
    /// <param name="tensor">A tensor as it was before.</param>
    /// <param name="format">How it is to be stored.</param>
    public RowEncoder? Encoder(ModelTensor tensor, WeightFormat format)
    {
        if (tensor.IsVector || !TensorSlots.Of(tensor, config).Any(part => matrices.GetValueOrDefault(part.Slot) is { Keys.Length: > 0 } matrix && matrix.Format == format))
        {
            return null;
        }

        Dictionary<UInt128, (PrunedMatrix Matrix, int Row)> rows = [];
        foreach ((string slot, _) in TensorSlots.Of(tensor, config))
        {
            PrunedMatrix matrix = matrices[slot];
            for (int row = 0; row < matrix.Keys.Length; row++)
            {
                rows[matrix.Keys[row]] = (matrix, row);
            }
        }

        int bytes = (int)format.RowBytes(tensor.Columns);
        return (row, destination) =>
        {
            (PrunedMatrix matrix, int at) = rows.TryGetValue(QuantizedRows.KeyOf(tensor.Name, format, row), out (PrunedMatrix, int) found)
                ? found
                : throw new ModelTensorException($"A row of {tensor.Name} was not pruned before it was to be written: the model changed meanwhile. Prune again.");
            matrix.Rows.AsSpan(at * bytes, bytes).CopyTo(destination);
        };
    }
}
