// The rows of a tensor as the model has them, in whatever slots they are. Knows no measurement.
using Kidogo.Compression.Quantization;
using Kidogo.Models.Export;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;

namespace Kidogo.Compression.Search;

/// <summary>A tensor of a file with the weights that it is made of: one, or those of several slots one after the other.</summary>
internal sealed class RowSource
{
    private readonly Weight[] _weights;
    private readonly bool _hasZeroGroups;

    /// <summary>Looks at all rows.</summary>
    /// <exception cref="ModelTensorException">A weight is not finite.</exception>
    public RowSource(ModelTensor tensor, params Weight[] weights)
    {
        (Stored, _weights) = (tensor, weights);
        float[] row = new float[tensor.Columns];
        for (int r = 0; r < Rows; r++)
        {
            Read(r, row);
            BlockGptq.RefuseNotFinite(tensor.Name, r, row);
            _hasZeroGroups |= FormatCandidates.HasZeroGroups(row);
        }
    }

    /// <summary>The tensor of the file.</summary>
    public ModelTensor Stored { get; }

    /// <summary>Rows of all weights.</summary>
    public int Rows => _weights.Sum(weight => weight.Rows);

    /// <summary>The formats that the tensor may get.</summary>
    public IReadOnlyList<WeightFormat> Candidates() => FormatCandidates.For(Stored.Columns, Stored.Format, _hasZeroGroups);

    /// <summary>Rows spread evenly. [n, C]</summary>
    public Tensor Sample(int count)
    {
        Tensor taken = new(Math.Min(Rows, count), Stored.Columns);
        for (int i = 0; i < taken.Rows; i++)
        {
            Read((int)((long)i * Rows / taken.Rows), taken.Row(i));
        }

        return taken;
    }

    /// <summary>A weight with its rows rounded to nearest.</summary>
    public static Weight Rounded(Weight weight, WeightFormat format, float[] importance, int threads)
    {
        Tensor rows = new(weight.Rows, weight.Columns);
        for (int r = 0; r < rows.Rows; r++)
        {
            weight.DecodeRow(r, rows.Row(r));
        }

        return Weight.FromDense(RowSamples.Rounded(rows, format, importance, threads));
    }

    private void Read(int row, Span<float> destination)
    {
        int first = 0;
        foreach (Weight weight in _weights)
        {
            if (row < first + weight.Rows)
            {
                weight.DecodeRow(row - first, destination);
                return;
            }

            first += weight.Rows;
        }
    }
}
