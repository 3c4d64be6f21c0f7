// Panels and tiles for the kernel tests. Knows the layouts, and no expected values.
using Kidogo.Tensors;
using Kidogo.Tensors.Kernels;

namespace Kidogo.KernelTests.Kernels;

internal static class PanelData
{
    /// <summary>Columns and tokens at the edges: one block, two, three, and a real width; every tile.</summary>
    public static TheoryData<int, int> Shapes => new()
    {
        { 32, 1 }, { 32, 4 }, { 32, 12 }, { 64, 1 }, { 64, 4 }, { 64, 12 }, { 96, 1 }, { 96, 4 }, { 96, 12 }, { 576, 1 }, { 576, 4 }, { 576, 12 },
    };

    /// <summary>Blocks of float16 numbers (scales, minima) and codes.</summary>
    /// <param name="random">The numbers.</param>
    /// <param name="blocks">How many blocks.</param>
    /// <param name="halves">float16 numbers at the start of a block.</param>
    /// <param name="blockBytes">Bytes of a block.</param>
    /// <param name="numberBytes">4 where the numbers are kept as float32.</param>
    public static byte[] Blocks(Pseudorandom random, int blocks, int halves, int blockBytes, int numberBytes = 2)
    {
        byte[] panel = random.Bytes(blocks * blockBytes);
        for (int b = 0; b < blocks; b++)
        {
            for (int i = 0; i < halves; i++)
            {
                // every seventh is a subnormal float16, every fifth negative
                Half value = (i + b) % 7 == 3 ? BitConverter.UInt16BitsToHalf((ushort)random.Below(1024)) : (Half)(0.05f * random.Float());
                Write(panel.AsSpan((b * blockBytes) + (numberBytes * i)), (i + b) % 5 == 2 ? -value : value, numberBytes);
            }
        }

        return panel;
    }

    /// <summary>The same with one scale, one minimum and one byte everywhere.</summary>
    public static byte[] Uniform(int blocks, int halves, int blockBytes, Half number, byte code, int numberBytes = 2)
    {
        byte[] panel = [.. Enumerable.Repeat(code, blocks * blockBytes)];
        for (int b = 0; b < blocks; b++)
        {
            for (int i = 0; i < halves; i++)
            {
                Write(panel.AsSpan((b * blockBytes) + (numberBytes * i)), number, numberBytes);
            }
        }

        return panel;
    }

    private static void Write(Span<byte> place, Half value, int bytes)
    {
        if (bytes == sizeof(float))
        {
            BitConverter.TryWriteBytes(place, (float)value);
        }
        else
        {
            BitConverter.TryWriteBytes(place, value);
        }
    }

    /// <summary>The tile of all rows of <paramref name="x"/>, which are 12, 4 or 1.</summary>
    public static float[] Tile(Tensor x, ActivationForm form)
    {
        ActivationTiles tiles = new();
        tiles.Begin(form, x.Rows, x.Columns);
        Assert.Equal(1, tiles.Tiles);
        tiles.Fill(0, x);
        return tiles.TileValues(0, x.Rows).ToArray();
    }

    public static Tensor Constant(int rows, int columns, Func<int, float> value)
    {
        Tensor x = new(rows, columns);
        for (int t = 0; t < rows; t++)
        {
            for (int c = 0; c < columns; c++)
            {
                x.Row(t)[c] = value(c);
            }
        }

        return x;
    }
}
