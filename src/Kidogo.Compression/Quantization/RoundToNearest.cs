// The plainest method: every weight to the nearest that its block can hold. Knows no other weights, no models and no files.
using Kidogo.Tensors.Formats;

namespace Kidogo.Compression.Quantization;

/// <summary>Rounds each row by itself; with importance, columns that count more are rounded with less error.</summary>
/// <remarks>Formats with scales search them as llama.cpp does (<see cref="WeightFormat.Encode(ReadOnlySpan{float}, ReadOnlySpan{float}, Span{byte})"/>). The writer of models encodes so where no other method is asked for.</remarks>
public static class RoundToNearest
{
    /// <summary>Encodes a dense matrix.</summary>
    /// <param name="weights">[rows, columns]</param>
    /// <param name="columns">Columns.</param>
    /// <param name="importance">[columns] How much the squared error of each counts; empty: all alike.</param>
    /// <param name="format">The target.</param>
    /// <returns>The stored rows, one after the other.</returns>
    public static byte[] Encode(ReadOnlySpan<float> weights, int columns, ReadOnlySpan<float> importance, WeightFormat format)
    {
        int rows = weights.Length / columns;
        int rowBytes = checked((int)format.RowBytes(columns));
        byte[] stored = new byte[checked(rows * rowBytes)];
        for (int row = 0; row < rows; row++)
        {
            format.Encode(weights.Slice(row * columns, columns), importance, stored.AsSpan(row * rowBytes, rowBytes));
        }

        return stored;
    }
}
