// Times the kernels alone, on one thread, in processor time. Knows no models.
using System.Diagnostics;
using Kidogo.Tensors.Kernels;

Random random = new(1);
const int Columns = 2048;
float[] tile = new float[12 * Columns * 2];
byte[] nibbles = new byte[Columns / 32 * NibbleKernel.BlockBytes<CenteredNibbles>()];
byte[] nibblesMin = new byte[Columns / 32 * NibbleKernel.BlockBytes<NibblesWithMinimum>()];
byte[] bytes = new byte[Columns / 32 * ByteKernel.BlockBytes];
float[] floats = new float[Columns * 32];
float[] y = new float[12 * 64];
random.NextBytes(nibbles); random.NextBytes(nibblesMin); random.NextBytes(bytes);
for (int i = 0; i < floats.Length; i++) floats[i] = random.NextSingle();
for (int b = 0; b < Columns / 32; b++)
{
    for (int r = 0; r < 16; r++)
    {
        BitConverter.TryWriteBytes(nibbles.AsSpan((b * NibbleKernel.BlockBytes<CenteredNibbles>()) + (2 * r)), (Half)0.01);
        BitConverter.TryWriteBytes(nibblesMin.AsSpan((b * NibbleKernel.BlockBytes<NibblesWithMinimum>()) + (2 * r)), (Half)0.01);
        BitConverter.TryWriteBytes(nibblesMin.AsSpan((b * NibbleKernel.BlockBytes<NibblesWithMinimum>()) + 32 + (2 * r)), (Half)0.01);
        BitConverter.TryWriteBytes(bytes.AsSpan((b * ByteKernel.BlockBytes) + (2 * r)), (Half)0.01);
    }
}

foreach (int tokens in new[] { 12, 4, 1 })
{
    for (int i = 0; i < tile.Length; i++) tile[i] = random.NextSingle();
    Time($"nibbles x{tokens}", 2.0 * 16 * Columns * tokens, () => NibbleKernel.Multiply<CenteredNibbles>(nibbles, tile, tokens, y, 64));
    Time($"nibbles+min x{tokens}", 2.0 * 16 * Columns * tokens, () => NibbleKernel.Multiply<NibblesWithMinimum>(nibblesMin, tile, tokens, y, 64));
    Time($"bytes x{tokens}", 2.0 * 16 * Columns * tokens, () => ByteKernel.Multiply(bytes, tile, tokens, y, 64));
    Time($"floats x{tokens}", 2.0 * 32 * Columns * tokens, () => FloatKernel.Multiply<InterleavedTile>(floats, tile, tokens, y, 64));
}

static void Time(string name, double operations, Action action)
{
    for (int i = 0; i < 2000; i++) action();
    double best = double.MaxValue;
    for (int round = 0; round < 7; round++)
    {
        int n = (int)(1e9 / operations * 5);
        TimeSpan start = Process.GetCurrentProcess().UserProcessorTime;
        for (int i = 0; i < n; i++) action();
        double seconds = (Process.GetCurrentProcess().UserProcessorTime - start).TotalSeconds / n;
        best = Math.Min(best, seconds);
    }

    Console.WriteLine($"{name,-20} {operations / best / 1e9,8:F0} Gop/s");
}
