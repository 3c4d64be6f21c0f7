// Where the weights of a decoder come from. Knows neither files nor layers.
using Kidogo.Models.Families;
using Kidogo.Tensors;

namespace Kidogo.Models;

/// <summary>Weights under canonical names: stored ones, or ones that are made.</summary>
internal interface IWeightSource
{
    /// <summary>How the rows of fused queries, keys and values lie.</summary>
    FusedOrder FusedOrder { get; }

    /// <summary>Rows of the matrix of this name; null where the source has no say in which matrices there are, or does not have it.</summary>
    long? RowsOf(string name);

    /// <summary>Checks that a matrix is there and has its shape, without reading it.</summary>
    void CheckMatrix(string name, int storedRows, int columns);

    /// <summary>Checks that a vector is there and has its length, without reading it.</summary>
    void CheckVector(string name, int storedLength);

    /// <summary>A matrix, or some rows of one.</summary>
    /// <param name="name">The canonical name.</param>
    /// <param name="storedRows">Rows that the whole tensor must have.</param>
    /// <param name="columns">Columns that it must have.</param>
    /// <param name="rowOrder">For each row of the result the stored row; null for all in order.</param>
    /// <param name="context">What the weight is opened for.</param>
    Weight OpenMatrix(string name, int storedRows, int columns, int[]? rowOrder, ComputeContext? context);

    /// <summary>A vector in float32.</summary>
    /// <param name="name">The canonical name.</param>
    /// <param name="storedLength">Values that the whole tensor must have.</param>
    /// <param name="order">For each value of the result the stored one; null for all in order.</param>
    Tensor ReadVector(string name, int storedLength, int[]? order = null);
}
