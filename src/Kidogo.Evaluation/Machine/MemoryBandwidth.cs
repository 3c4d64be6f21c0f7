// A short measurement of how fast memory can be read. Knows no models.
using System.Diagnostics;
using System.Numerics.Tensors;

namespace Kidogo.Evaluation.Machine;

/// <summary>How fast the cores together read memory: the bound on decoding, which reads every weight once a token.</summary>
public static class MemoryBandwidth
{
    private const int MostBytesPerThread = 128 * 1024 * 1024;

    /// <summary>Reads buffers of up to 128 MiB a thread a few times, and returns the bytes a second of the best pass.</summary>
    /// <param name="threads">Threads that read at once.</param>
    /// <param name="memory">What may be taken: the buffers take an eighth of it at most.</param>
    /// <param name="duration">About how long to measure.</param>
    /// <remarks>Where the last cache holds all buffers, its speed is measured, which is also what a model of that size would see.</remarks>
    public static double Measure(int threads, MachineMemory memory, TimeSpan duration)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        int floats = (int)Math.Clamp(memory.AvailableBytes / 8 / threads, sizeof(float), MostBytesPerThread) / sizeof(float);
        float[][] buffers = new float[threads][];
        float[] sums = new float[threads];
        Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, i =>
        {
            buffers[i] = new float[floats];
            Array.Fill(buffers[i], 1f);
        });
        Stopwatch all = Stopwatch.StartNew();
        double best = 0;
        do
        {
            long start = Stopwatch.GetTimestamp();
            Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, i => sums[i] += TensorPrimitives.Sum(buffers[i]));
            best = Math.Max(best, (double)threads * floats * sizeof(float) / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        while (all.Elapsed < duration);
        return best;
    }
}
