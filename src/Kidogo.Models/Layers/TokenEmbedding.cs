// A table with a row for each id: tokens, or learned positions.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Layers;

/// <summary>Looks rows of a table up, and scales them.</summary>
/// <param name="name">The slot.</param>
/// <param name="weight">[V, D]</param>
/// <param name="scale">What rows are multiplied by.</param>
public class TokenEmbedding(string name, Weight weight, float scale) : Layer(name)
{
    /// <summary>[V, D]</summary>
    public Weight Weight => weight;

    /// <summary>What rows are multiplied by.</summary>
    public float Scale => scale;

    /// <inheritdoc/>
    public override long ParameterCount => (long)weight.Rows * weight.Columns;

    /// <inheritdoc/>
    public override long MemoryBytes => weight.MemoryBytes;

    /// <summary>The rows of <paramref name="ids"/>. [T, D]</summary>
    public virtual Tensor Forward(ComputeContext context, ReadOnlySpan<int> ids) => EmbeddingOp.Apply(context, weight, ids, scale);
}
