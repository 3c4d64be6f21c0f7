// How many weights go, and among which they are chosen. Knows no criterion.
using System.Globalization;

namespace Kidogo.Compression.Pruning;

/// <summary>Among which weights the smallest are looked for.</summary>
public enum PruneScope
{
    /// <summary>The weights of one output.</summary>
    Row,

    /// <summary>The weights of one matrix.</summary>
    Layer,

    /// <summary>All matrices of the model's blocks.</summary>
    Model,
}

/// <summary>A share of weights, or N of each M neighbours in a row.</summary>
/// <param name="Share">The share that becomes zero, above 0 and below 1.</param>
/// <param name="Zeros">N: of each group the weights that become zero; 0 for no groups.</param>
/// <param name="Of">M: weights of a group.</param>
public sealed record Sparsity(double Share, int Zeros = 0, int Of = 0)
{
    private const int LargestGroup = 256;

    /// <summary>Whether it is N of M.</summary>
    public bool IsGrouped => Of > 0;

    /// <summary>N of each M neighbours.</summary>
    public static Sparsity Grouped(int zeros, int of) => new((double)zeros / of, zeros, of);

    /// <summary>Reads <c>0.5</c>, <c>50%</c> or <c>2:4</c>.</summary>
    /// <returns>Null where the text is none of these, or asks for nothing or everything.</returns>
    public static Sparsity? TryParse(string text)
    {
        string[] parts = text.Split(':');
        if (parts.Length == 2)
        {
            return int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int zeros) && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int of)
                && zeros > 0 && zeros < of && of <= LargestGroup ? Grouped(zeros, of) : null;
        }

        bool isPercent = text.EndsWith('%');
        return double.TryParse(isPercent ? text[..^1] : text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double share) && (isPercent ? share / 100 : share) is > 0 and < 1 and var value
            ? new Sparsity(value)
            : null;
    }

    /// <summary>Refuses a matrix whose rows are no whole groups.</summary>
    /// <exception cref="PruningException">They are not.</exception>
    public void CheckRow(string name, int columns)
    {
        if (IsGrouped && columns % Of != 0)
        {
            throw new PruningException($"{name} has rows of {columns} weights, which are no whole groups of {Of}: {this} cannot be. Take an M that divides them, or a share such as {Share.ToString("0.##", CultureInfo.InvariantCulture)}.");
        }
    }

    /// <inheritdoc/>
    public override string ToString() => IsGrouped ? $"{Zeros}:{Of}" : Share.ToString("R", CultureInfo.InvariantCulture);
}
