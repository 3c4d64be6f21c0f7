// Times the kernels alone, on one thread, in processor time. Knows no models.
using System.Diagnostics;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Benchmarks;

internal static class KernelSpeed
{
    private const int Columns = 2048;
    private const int Blocks = Columns / ActivationTiles.BlockColumns;
    private const int MostTokens = ActivationTiles.WideTile;
    private const int Stride = FloatKernel.PanelRows;
    private const int WarmUps = 2000;
    private const int Rounds = 7;
    private const double OperationsPerRound = 5e9;

    /// <summary>Prints a line for each kernel and each number of tokens in a tile: the best round, in operations (a multiplication or an addition) a second.</summary>
    public static void Print()
    {
        Random random = new(1);
        float[] floats = Floats(random, Columns * FloatKernel.PanelRows);
        float[] y = new float[MostTokens * Stride];
        foreach (int tokens in (int[])[MostTokens, 8, ActivationTiles.MiddleTile, 2, 1])
        {
            float[] tile = Floats(random, MostTokens * Columns);
            Time<CenteredNibbles, BlockScale<OneBlock, HalfNumber>>("Q4_0", random, tile, tokens, y);
            Time<Nibbles, BlockScaleAndMinimum>("Q4_1", random, tile, tokens, y);
            Time<Nibbles, GroupScaleAndMinimum>("Q4_K", random, tile, tokens, y);
            Time<FiveBits<Center0>, GroupScaleAndMinimum>("Q5_K", random, tile, tokens, y);
            Time<SixBits, HalfBlockScales>("Q6_K", random, tile, tokens, y);
            Time<TwoBits<Center0>, HalfBlockScalesAndMinima>("Q2_K", random, tile, tokens, y);
            Time<LevelCodes<Nibbles, UnevenLevels>, GroupScale>("IQ4_XS", random, tile, tokens, y);
            Time<LevelCodes<Nibbles, UnevenLevels>, BlockScale<OneBlock, HalfNumber>>("IQ4_NL", random, tile, tokens, y);
            Time<LevelCodes<ThreeBits, ThreeMagnitudes>, GroupScale>("IQ2_XXS", random, tile, tokens, y);
            Time<LevelCodes<ThreeBits, ThreeMagnitudes>, HalfBlockScales>("IQ2_S", random, tile, tokens, y);
            Time<LevelCodes<Nibbles, EightMagnitudes>, GroupScale>("IQ3_XXS", random, tile, tokens, y);
            Time<LevelCodes<Nibbles, OddMagnitudes>, GroupScale>("IQ3_S", random, tile, tokens, y);
            Time<TwoBits<Center0>, GroupScaleAndMinimum>("IQ1_S", random, tile, tokens, y);
            Time<LevelCodes<ThreeBits, ShiftedTrits>, HalfBlockScales>("IQ1_M", random, tile, tokens, y);
            Time<LevelCodes<Nibbles, FourBitFloatLevels>, HalfBlockFloats>("NVFP4", random, tile, tokens, y);
            Time<EightBits, BlockScale<OneBlock, HalfNumber>>("Q8_0", random, tile, tokens, y);
            Time<EightBits, NoScale>("int8-row", random, tile, tokens, y);
            if (tokens is MostTokens or ActivationTiles.MiddleTile or 1)
            {
                Time($"float32 x {tokens}", FloatKernel.PanelRows, tokens, () => FloatKernel.Multiply<InterleavedTile>(floats, tile, tokens, y, Stride));
            }
        }
    }

    private static void Time<TCodes, TScales>(string name, Random random, float[] tile, int tokens, float[] y)
        where TCodes : struct, ICodeLayout
        where TScales : struct, IScaleLayout
    {
        byte[] panel = Panel(random, PanelKernel<TCodes, TScales>.SuperBytes, Columns / PanelKernel<TCodes, TScales>.SuperColumns, TScales.Numbers, TScales.NumberBytes);
        Time($"{name} x {tokens}", PanelShape.Rows, tokens, () => PanelKernel<TCodes, TScales>.Multiply(panel, Rounded(tile, tokens), tokens, y, Stride));
    }

    // Any bits do for activations in 8 bits: what they say does not matter for speed, as long as no number is subnormal.
    private static ReadOnlySpan<float> Rounded(float[] tile, int tokens) => tile.AsSpan(0, tokens * Blocks * ActivationTiles.Slots);

    private static float[] Floats(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() + 0.5f)];

    /// <summary>A panel of superblocks that begin with <paramref name="numbers"/> numbers for each of 16 rows.</summary>
    private static byte[] Panel(Random random, int superBytes, int supers, int numbers, int numberBytes)
    {
        byte[] panel = new byte[supers * superBytes];
        random.NextBytes(panel);
        for (int i = 0; i < supers; i++)
        {
            for (int r = 0; r < numbers * PanelShape.Rows; r++)
            {
                Span<byte> place = panel.AsSpan((i * superBytes) + (numberBytes * r));
                _ = numberBytes == sizeof(float) ? BitConverter.TryWriteBytes(place, 0.01f) : BitConverter.TryWriteBytes(place, (Half)0.01f);
            }
        }

        return panel;
    }

    private static void Time(string name, int rows, int tokens, Action action)
    {
        for (int i = 0; i < WarmUps; i++)
        {
            action();
        }

        using Process self = Process.GetCurrentProcess();
        double operations = 2.0 * rows * Columns * tokens;
        int repetitions = (int)(OperationsPerRound / operations);
        double best = double.MaxValue;
        for (int round = 0; round < Rounds; round++)
        {
            self.Refresh();
            TimeSpan start = self.UserProcessorTime;
            for (int i = 0; i < repetitions; i++)
            {
                action();
            }

            self.Refresh();
            best = Math.Min(best, (self.UserProcessorTime - start).TotalSeconds / repetitions);
        }

        Console.WriteLine($"{name,-24} {operations / best / 1e9,8:F0} Gop/s");
    }
}
