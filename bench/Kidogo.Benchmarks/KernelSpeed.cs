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
        byte[] nibbles = Panel(random, NibbleKernel.BlockBytes<CenteredNibbles>(), scales: 1);
        byte[] nibblesWithMinimum = Panel(random, NibbleKernel.BlockBytes<NibblesWithMinimum>(), scales: 2);
        byte[] bytes = Panel(random, ByteKernel.BlockBytes, scales: 1);
        float[] floats = Floats(random, Columns * FloatKernel.PanelRows);
        float[] y = new float[MostTokens * Stride];
        foreach (int tokens in (int[])[MostTokens, ActivationTiles.MiddleTile, 1])
        {
            float[] tile = Floats(random, MostTokens * Columns);
            Time($"4 bits x {tokens}", NibbleKernel.PanelRows, tokens, () => NibbleKernel.Multiply<CenteredNibbles>(nibbles, Rounded(tile, tokens), tokens, y, Stride));
            Time($"4 bits with minimum x {tokens}", NibbleKernel.PanelRows, tokens, () => NibbleKernel.Multiply<NibblesWithMinimum>(nibblesWithMinimum, Rounded(tile, tokens), tokens, y, Stride));
            Time($"8 bits x {tokens}", ByteKernel.PanelRows, tokens, () => ByteKernel.Multiply(bytes, Rounded(tile, tokens), tokens, y, Stride));
            Time($"float32 x {tokens}", FloatKernel.PanelRows, tokens, () => FloatKernel.Multiply<InterleavedTile>(floats, tile, tokens, y, Stride));
        }
    }

    // Any bits do for activations in 8 bits: what they say does not matter for speed, as long as no number is subnormal.
    private static ReadOnlySpan<float> Rounded(float[] tile, int tokens) => tile.AsSpan(0, tokens * Blocks * ActivationTiles.Slots);

    private static float[] Floats(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() + 0.5f)];

    /// <summary>A panel of blocks that begin with <paramref name="scales"/> float16 for each of 16 rows.</summary>
    private static byte[] Panel(Random random, int blockBytes, int scales)
    {
        byte[] panel = new byte[Blocks * blockBytes];
        random.NextBytes(panel);
        for (int block = 0; block < Blocks; block++)
        {
            for (int i = 0; i < scales * NibbleKernel.PanelRows; i++)
            {
                BitConverter.TryWriteBytes(panel.AsSpan((block * blockBytes) + (2 * i)), (Half)0.01f);
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
