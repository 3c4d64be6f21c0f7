// What an error of a matrix does to what it computes, by the products of its inputs' columns. Knows no formats.
using System.Numerics.Tensors;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Tensor = Kidogo.Tensors.Tensor;

namespace Kidogo.Compression.Search;

/// <summary>Σ x xᵀ of the inputs of some matrices.</summary>
/// <param name="columns">Columns.</param>
internal sealed class InputGram(int columns) : IDisposable
{
    private Weight? _weight;
    private long _tokens;

    /// <summary>The sums. [C, C]</summary>
    public Tensor Sums { get; } = new(columns, columns);

    /// <summary>Adds inputs. Not after <see cref="Squares"/>.</summary>
    public void Add(ComputeContext context, Tensor x)
    {
        GramSums.Add(context, x, Sums);
        _tokens += x.Rows;
    }

    /// <summary>The mean square of each column. [C]</summary>
    public float[] MeanSquares()
    {
        float[] means = new float[columns];
        for (int c = 0; c < columns; c++)
        {
            means[c] = Sums.Row(c)[c] / _tokens;
        }

        return means;
    }

    /// <summary>The mean square of each row's products with the inputs: r XᵀX rᵀ / tokens.</summary>
    /// <param name="context">How to compute; what is rented is forgotten.</param>
    /// <param name="rows">[R, C]</param>
    public double[] Squares(ComputeContext context, Tensor rows)
    {
        _weight ??= Weight.FromDense(Sums);
        Tensor products = LinearOp.Apply(context, rows, _weight, null);
        double[] squares = new double[rows.Rows];
        for (int r = 0; r < squares.Length; r++)
        {
            squares[r] = Math.Max(0, TensorPrimitives.Dot<float>(rows.Row(r), products.Row(r))) / _tokens;
        }

        context.Forget();
        return squares;
    }

    /// <inheritdoc/>
    public void Dispose() => _weight?.Dispose();
}
