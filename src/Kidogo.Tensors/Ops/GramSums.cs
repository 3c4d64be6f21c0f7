// Sums of products of columns: what calibrations collect. Knows no models and no methods.
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>S + XᵀX.</summary>
public static class GramSums
{
    /// <summary>Adds XᵀX to sums.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="x">[T, C]</param>
    /// <param name="sums">[C, C]; gains Σ over the rows of x. Sums go on in the order of rows, so the threads do not show, nor how rows are cut into calls.</param>
    public static void Add(ComputeContext context, Tensor x, Tensor sums)
    {
        if (sums.Rows != x.Columns || sums.Columns != x.Columns)
        {
            throw new ArgumentException($"Products of {x.Columns} columns do not fit sums of {sums.Rows} x {sums.Columns}.", nameof(sums));
        }

        ProductOperand columns = ProductOperand.OverRows(x);
        context.Works.Products.Run(context, columns, [columns], [sums], onto: true);
    }
}
