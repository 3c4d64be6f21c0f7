// Turns a matrix into one whose singular values are near 1: five steps of a polynomial iteration. Knows no optimiser.
using System.Numerics.Tensors;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>The Newton-Schulz iteration of Muon (Jordan et al. 2024): X ← (a I + b S + c S²) X with S = X Xᵀ, in float32; for a matrix of more rows than columns S = Xᵀ X, from the right.</summary>
public static class Orthogonalization
{
    private const int Iterations = 5;
    private const float A = 3.4445f, B = -4.775f, C = 2.0315f;
    private const double LeastNorm = 1e-7;

    /// <summary>Replaces a matrix by the nearly orthogonal one.</summary>
    /// <param name="context">Lends its threads.</param>
    /// <param name="matrix">[R, C]</param>
    public static void Apply(ComputeContext context, Tensor matrix)
    {
        bool isTall = matrix.Rows > matrix.Columns;
        int small = Math.Min(matrix.Rows, matrix.Columns);
        Tensor x = matrix;
        (Tensor next, Tensor square, Tensor polynomial) = context.Works.Iteration.For(matrix.Rows, matrix.Columns);
        float factor = (float)(1 / Math.Max(LeastNorm, Math.Sqrt(UpdateOps.SumOfSquares(context, matrix))));
        TensorPrimitives.Multiply(x.Span, factor, x.Span);
        ProductWork products = context.Works.Products;
        for (int i = 0; i < Iterations; i++)
        {
            ProductOperand side = isTall ? ProductOperand.OverRows(x) : ProductOperand.OverColumns(x);
            products.Run(context, side, [side], [square], onto: false);
            products.Run(context, ProductOperand.OverColumns(square), [ProductOperand.OverRows(square)], [polynomial], onto: false);
            TensorPrimitives.Multiply(square.Span, B, square.Span);
            TensorPrimitives.MultiplyAdd(polynomial.Span, C, square.Span, polynomial.Span);
            for (int r = 0; r < small; r++)
            {
                polynomial.Row(r)[r] += A;
            }

            ProductOperand left = ProductOperand.OverColumns(isTall ? x : polynomial);
            ProductOperand right = ProductOperand.OverRows(isTall ? polynomial : x);
            products.Run(context, left, [right], [next], onto: false);
            (x, next) = (next, x);
        }

        if (x != matrix)
        {
            x.Span.CopyTo(matrix.Span);
        }
    }
}

/// <summary>Matrices that the iteration works with, used again for the next parameter.</summary>
internal sealed class IterationBuffers
{
    private readonly Tensor _next = new(), _square = new(), _polynomial = new();

    /// <summary>Undefined content: the next iterate [R, C], its square and the polynomial of that [min(R, C), the same].</summary>
    public (Tensor Next, Tensor Square, Tensor Polynomial) For(int rows, int columns)
    {
        int small = Math.Min(rows, columns);
        _next.Reshape(rows, columns);
        _square.Reshape(small, small);
        _polynomial.Reshape(small, small);
        return (_next, _square, _polynomial);
    }
}
