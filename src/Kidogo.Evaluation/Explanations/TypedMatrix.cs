// A small matrix as people type it: rows on lines or between semicolons. Knows not what it is for.
using System.Globalization;

namespace Kidogo.Evaluation.Explanations;

/// <summary>A matrix that was typed.</summary>
/// <param name="Rows">1 to <see cref="MostRows"/>.</param>
/// <param name="Columns">1 to <see cref="MostColumns"/>.</param>
/// <param name="Values">[Rows, Columns]</param>
public sealed record TypedMatrix(int Rows, int Columns, float[] Values)
{
    /// <summary>The most rows that are read.</summary>
    public const int MostRows = 64;

    /// <summary>The most columns that are read.</summary>
    public const int MostColumns = 64;

    /// <summary>The most characters that are read.</summary>
    public const int MostCharacters = 1 << 16;

    private const float Largest = 1e30f; // sums and products of a few stay finite
    private static readonly char[] s_rowEnds = ['\n', '\r', ';'];
    private static readonly char[] s_gaps = [' ', '\t', ','];

    /// <summary>A row of it.</summary>
    public ReadOnlySpan<float> Row(int row) => Values.AsSpan(row * Columns, Columns);

    /// <summary>Reads a matrix: rows on lines or between semicolons, numbers between spaces or commas.</summary>
    /// <param name="text">What was typed.</param>
    /// <param name="place">Where, for messages.</param>
    /// <exception cref="ExplanationException">It is no matrix, or too large for an example.</exception>
    public static TypedMatrix Parse(string text, string place)
    {
        if (text.Length > MostCharacters)
        {
            throw new ExplanationException($"{place} has {text.Length} characters; a matrix to look at has {MostCharacters} at most.");
        }

        List<float> values = [];
        int columns = 0, rows = 0;
        foreach (string line in text.Split(s_rowEnds, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            string[] words = line.Split(s_gaps, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length == 0)
            {
                continue;
            }

            rows++;
            columns = rows == 1 ? words.Length : columns;
            if (words.Length != columns || columns > MostColumns || rows > MostRows)
            {
                throw new ExplanationException(words.Length != columns
                    ? $"{place}: row {rows} has {words.Length} numbers, the first has {columns}. All rows of a matrix are of one length."
                    : $"{place} has more than {MostRows} rows of {MostColumns} numbers. Give a smaller matrix: this is an example to look at.");
            }

            foreach (string word in words)
            {
                values.Add(float.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out float value) && Math.Abs(value) <= Largest ? value : throw new ExplanationException(
                    $"{place}: \"{(word.Length > 40 ? word[..40] + "…" : word)}\" in row {rows} is no number from -{Largest:0e0} to {Largest:0e0}. Write numbers with a point and spaces between them: 2.52 -1.12; 0.08 1.6"));
            }
        }

        return rows > 0 ? new TypedMatrix(rows, columns, [.. values])
            : throw new ExplanationException($"{place} has no numbers. Write rows on lines or between semicolons: 2.52 -1.12; 0.08 1.6");
    }
}
