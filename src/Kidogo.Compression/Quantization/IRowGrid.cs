// What a method of quantising needs to know of a format: where the weights of a row may lie. Knows no method.
namespace Kidogo.Compression.Quantization;

/// <summary>The points on which the weights of one row may lie: scales that a group of columns shares, and the nearest point for each weight.</summary>
/// <remarks>
/// This is the whole meeting place of methods and formats (one chooses values, the other stores them): a method asks for scales with <see cref="Fit"/>, then rounds the
/// weights in whatever order, and may change those that are not rounded yet in between. The codes stay with the grid.
/// </remarks>
public interface IRowGrid
{
    /// <summary>Columns that share their scales; the last group may be shorter.</summary>
    int GroupColumns { get; }

    /// <summary>Finds the scales of a group.</summary>
    /// <param name="group">The group's number.</param>
    /// <param name="weights">The group's weights.</param>
    /// <param name="importance">What an error of each costs, relative to the others; empty where all cost the same.</param>
    void Fit(int group, ReadOnlySpan<float> weights, ReadOnlySpan<float> importance);

    /// <summary>Rounds a weight to the nearest point of its group, and keeps the code.</summary>
    /// <param name="group">The group whose scales count.</param>
    /// <param name="column">The column that the code is of.</param>
    /// <param name="weight">The weight.</param>
    /// <returns>What the code means.</returns>
    float Round(int group, int column, float weight);

    /// <summary>Neighbouring columns that can only be rounded together; 1 for most.</summary>
    int UnitColumns => 1;

    /// <summary>Rounds the columns of a unit, and keeps their codes.</summary>
    /// <param name="group">The group whose scales count.</param>
    /// <param name="column">The first of the columns.</param>
    /// <param name="weights">[UnitColumns]</param>
    /// <param name="upper">[UnitColumns, UnitColumns] How errors are passed on within the unit: row j is what the error of weight j, divided by the diagonal, takes from those behind.</param>
    /// <param name="rounded">[UnitColumns] What the codes mean.</param>
    void RoundUnit(int group, int column, ReadOnlySpan<float> weights, ReadOnlySpan<float> upper, Span<float> rounded) => rounded[0] = Round(group, column, weights[0]);
}

/// <summary>A grid of a file's format.</summary>
public interface IStoredGrid : IRowGrid
{
    /// <summary>The row as a file holds it.</summary>
    ReadOnlySpan<byte> Bytes { get; }
}
