// What each tensor of a model may be stored as, and what that costs: bytes, and divergence by measurement. Knows no search and no files.
using Kidogo.Tensors.Formats;

namespace Kidogo.Compression.Search;

/// <summary>A format that a tensor may get.</summary>
/// <param name="Format">The format.</param>
/// <param name="Bytes">Bytes of all rows.</param>
/// <param name="Divergence">By how much the mean divergence of the whole model grows if this tensor alone is stored so, in nats.</param>
/// <param name="OutputError">The size of the error in what the tensor computes on the calibration, relative to what it computes.</param>
public sealed record FormatCost(WeightFormat Format, long Bytes, double Divergence, double OutputError);

/// <summary>What a tensor may be stored as.</summary>
/// <param name="Name">The canonical name.</param>
/// <param name="Rows">Rows.</param>
/// <param name="Columns">Columns.</param>
/// <param name="Costs">Formats with rising bytes; the last is the tensor as it is.</param>
public sealed record TensorCosts(string Name, int Rows, int Columns, IReadOnlyList<FormatCost> Costs)
{
    /// <summary>Number of weights.</summary>
    public long Elements => (long)Rows * Columns;

    /// <summary>The costs of a format; null where the tensor cannot get it.</summary>
    public FormatCost? Of(string format) => Costs.FirstOrDefault(cost => cost.Format.Name == format);
}

/// <summary>What the tensors of a model may be stored as.</summary>
/// <param name="Tensors">All that are quantised.</param>
/// <param name="JudgedTokens">Tokens on which divergence was measured.</param>
public sealed record ModelCosts(IReadOnlyList<TensorCosts> Tensors, int JudgedTokens)
{
    /// <summary>Of a head that is also the embedding: how much an error of any weight counts beside one that the head's inputs meet, as a share of the mean square of these inputs. 0 for others.</summary>
    public double HeadRidge { get; init; }

    /// <summary>Whether all tensors are there, and not only those that were measured so far.</summary>
    internal bool IsComplete { get; init; } = true;
}
