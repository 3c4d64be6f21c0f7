// The orders that rows of queries and keys come in, and the ways from one to another. Knows no files.
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Export;

/// <summary>For each row of a result the row of the source.</summary>
internal static class TensorOrders
{
    /// <summary>From query, key and value of head 0, then of head 1 … to all queries, all keys, all values.</summary>
    public static int[] HeadsToParts(LayerConfig layer)
    {
        int width = layer.HeadDim;
        int[] rows = new int[3 * layer.QuerySize];
        for (int i = 0; i < rows.Length; i++)
        {
            int part = i / layer.QuerySize, head = i % layer.QuerySize / width;
            rows[i] = (((head * 3) + part) * width) + (i % width);
        }

        return rows;
    }

    /// <summary>The reverse of <see cref="HeadsToParts"/>.</summary>
    public static int[] PartsToHeads(LayerConfig layer)
    {
        int[] back = HeadsToParts(layer);
        int[] rows = new int[back.Length];
        for (int i = 0; i < rows.Length; i++)
        {
            rows[back[i]] = i;
        }

        return rows;
    }

    /// <summary>From one layout of the pairs that rotate together to another; null where they are the same.</summary>
    /// <param name="from">How they lie.</param>
    /// <param name="to">How they shall lie.</param>
    /// <param name="heads">Number of heads.</param>
    /// <param name="headDim">Rows of a head.</param>
    /// <param name="rotaryDims">How many of them, the first, are rotated.</param>
    public static int[]? Rotary(RotaryLayout from, RotaryLayout to, int heads, int headDim, int rotaryDims)
    {
        if (from == to)
        {
            return null;
        }

        int[] rows = new int[heads * headDim];
        for (int i = 0; i < rows.Length; i++)
        {
            int start = i / headDim * headDim, place = i % headDim, half = rotaryDims / 2;
            rows[i] = start + (place >= rotaryDims ? place
                : to == RotaryLayout.Interleaved ? ((place % 2) * half) + (place / 2)
                : ((place % half) * 2) + (place / half));
        }

        return rows;
    }

    /// <summary>Consecutive rows.</summary>
    public static int[] Range(int start, int count) => [.. Enumerable.Range(start, count)];
}
