// Activations rearranged for matrix products: tokens side by side, so that a kernel reads one address. Knows no weights and no threads.
using System.Numerics;
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Kernels;

/// <summary>The forms of activations that weights multiply with.</summary>
internal enum ActivationForm
{
    /// <summary>As they are.</summary>
    Float32,

    /// <summary>Rounded to 8 bits in blocks of 32 with one scale.</summary>
    Int8,
}

/// <summary>Activations [T, C] cut into tiles of 12 tokens and, at the end, of fewer: 4 or 1 (float32), 8, 4, 2 or 1 (8 bits), in the layout that the kernels of a <see cref="ActivationForm"/> read.</summary>
/// <remarks>
/// Float32: [tile][column][token]. Int8: [tile][block of 32 columns][token][slot] of 4-byte slots:
/// <code>
/// slot 0-7   columns 4s .. 4s+3 of the block as four signed bytes
/// slot 8     -8 · (sums of columns 0,1 mod 4 | 2,3 mod 4) as two int16: takes the offset of a 4-bit code away inside 16-bit sums
/// slot 9     -128 · sum as int32: takes the offset of an unsigned byte code away
/// slot 10    scale as float32
/// slot 11    scale · sum as float32, for formats with a minimum
/// slot 12    -(sum of the first 16 columns | sum of the last 16) as two int16, for formats with a scale for each 16 columns
/// </code>
/// A token takes the same number of bytes in every tile, so tile i starts at its first token times that. Rounding is half to even of x / scale with
/// scale = max|x| / 127, computed for each token alone: what a token becomes does not depend on its neighbours.
/// </remarks>
internal sealed class ActivationTiles
{
    public const int WideTile = 12;
    public const int MiddleTile = 4;
    public const int BlockColumns = 32;
    public const int Slots = 13;

    private readonly Tensor _buffer = new();

    /// <summary>T.</summary>
    public int Tokens { get; private set; }

    /// <summary>C.</summary>
    public int Columns { get; private set; }

    /// <summary>Which layout the buffer holds.</summary>
    public ActivationForm Form { get; private set; }

    /// <summary>Number of tiles.</summary>
    public int Tiles => (Tokens / WideTile) + RestTiles(Tokens % WideTile);

    /// <summary>Floats (or 4-byte slots) that one token takes.</summary>
    public int TokenStride => Form == ActivationForm.Float32 ? Columns : Columns / BlockColumns * Slots;

    /// <summary>First token and number of tokens of a tile.</summary>
    public (int First, int Count) Tile(int index)
    {
        int wide = Tokens / WideTile;
        if (index < wide)
        {
            return (index * WideTile, WideTile);
        }

        int first = wide * WideTile;
        int count = RestTile(Tokens - first);
        for (index -= wide; index > 0; index--)
        {
            first += count;
            count = RestTile(Tokens - first);
        }

        return (first, count);
    }

    /// <summary>The tile's values in the layout of the class remarks.</summary>
    public ReadOnlySpan<float> TileValues(int firstToken, int tokens) => _buffer.Span.Slice(firstToken * TokenStride, tokens * TokenStride);

    /// <summary>Prepares the buffer for T tokens of C columns.</summary>
    public void Begin(ActivationForm form, int tokens, int columns)
    {
        if (form == ActivationForm.Int8 && columns % BlockColumns != 0)
        {
            throw new ArgumentException($"{columns} columns are no whole number of blocks of {BlockColumns}.", nameof(columns));
        }

        Form = form;
        Tokens = tokens;
        Columns = columns;
        _buffer.Reshape(1, checked(tokens * TokenStride));
    }

    /// <summary>Fills a tile from rows of activations.</summary>
    /// <param name="index">The tile.</param>
    /// <param name="x">The activations.</param>
    public void Fill(int index, Tensor x)
    {
        (int first, int count) = Tile(index);
        Span<float> tile = _buffer.Span.Slice(first * TokenStride, count * TokenStride);
        if (Form == ActivationForm.Float32)
        {
            TileInterleaving.Fill(x, first, count, tile);
            return;
        }

        for (int t = 0; t < count; t++)
        {
            RoundRow(x.Row(first + t), MemoryMarshal.Cast<float, int>(tile), t, count);
        }
    }

    /// <summary>Tiles that fewer than 12 tokens are cut into.</summary>
    private int RestTiles(int tokens) => Form == ActivationForm.Int8 ? BitOperations.PopCount((uint)tokens) : (tokens / MiddleTile) + (tokens % MiddleTile);

    /// <summary>The first of them.</summary>
    private int RestTile(int tokens) => Form == ActivationForm.Int8 ? 1 << BitOperations.Log2((uint)tokens) : tokens >= MiddleTile ? MiddleTile : 1;

    /// <summary>Rounds one token to 8 bits.</summary>
    private static void RoundRow(ReadOnlySpan<float> row, Span<int> tile, int t, int count)
    {
        for (int block = 0; block < row.Length / BlockColumns; block++)
        {
            Span<int> slots = tile.Slice(((block * count) + t) * Slots, Slots);
            float scale = Int8Rounding.Round(row.Slice(block * BlockColumns, BlockColumns), MemoryMarshal.Cast<int, sbyte>(slots[..8]), out int lowPairs, out int highPairs);

            // Each half of slot 8 belongs to the 16 columns that one 16-bit lane of a multiply-add-pairs adds up: |-8 · 16 · 127| = 16,256 fits 16 bits.
            slots[8] = (ushort)(short)(-8 * lowPairs) | (-8 * highPairs << 16);
            slots[9] = -128 * (lowPairs + highPairs);
            slots[10] = BitConverter.SingleToInt32Bits(scale);
            slots[11] = BitConverter.SingleToInt32Bits(scale * (lowPairs + highPairs));
            int firstHalf = Int8Rounding.Sum16(MemoryMarshal.Cast<int, sbyte>(slots[..4]));
            slots[12] = (ushort)(short)-firstHalf | ((firstHalf - lowPairs - highPairs) << 16);
        }
    }
}
