// Which formats hold a zero as a zero. Knows no method.
using System.Collections.Frozen;
using Kidogo.Tensors.Formats;

namespace Kidogo.Compression.Pruning;

/// <summary>Finds out whether zeros survive being stored.</summary>
public static class ZeroKeeping
{
    private const int Blocks = 8;
    private const uint Multiplier = 2_654_435_761;

    /// <summary>Whether a format stores zeros among other weights as zeros: tried on some rows, half of them zeros.</summary>
    /// <remarks>Formats with a smallest value or a zero point of their own for each block (Q4_1, Q4_K, Q5_1, Q5_K, Q2_K) do not, nor do those whose points are a codebook without a zero (IQ4_NL and all smaller IQ formats).</remarks>
    public static bool Holds(WeightFormat format) => format.CanEncode && s_holds[format.Name].Value;

    // What a format does never changes, and every tensor asks.
    private static readonly FrozenDictionary<string, Lazy<bool>> s_holds =
        WeightFormats.All.ToFrozenDictionary(format => format.Name, format => new Lazy<bool>(() => Try(format)), StringComparer.Ordinal);

    private static bool Try(WeightFormat format)
    {
        float[] row = new float[Blocks * format.BlockSize], again = new float[row.Length], importance = new float[row.Length];
        for (int i = 0; i < row.Length; i++)
        {
            uint drawn = (uint)(i + 1) * Multiplier;
            row[i] = (drawn & 0x1000) == 0 ? 0 : (((drawn >> 16) / 32768f) - 1) / 64;
            importance[i] = 1;
        }

        byte[] bytes = new byte[format.RowBytes(row.Length)];
        format.Encode(row, format.Importance == ImportanceUse.Required ? importance : [], bytes);
        format.Decode(bytes, again);
        return !row.Where((weight, i) => weight == 0 && again[i] != 0).Any();
    }

    /// <summary>The format itself where it holds zeros, else float16, which does.</summary>
    public static WeightFormat Holding(WeightFormat format) => Holds(format) ? format : WeightFormats.ForName("F16")!;
}
