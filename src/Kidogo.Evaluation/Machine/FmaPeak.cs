// The float32 peak of this machine: fused multiply-adds on registers and nothing else. What matrix products are measured against.
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Evaluation.Machine;

/// <summary>The float32 peak of this machine, measured.</summary>
public static class FmaPeak
{
    private const int Accumulators = 12; // more than latency times units of any processor of today, and few enough for 16 registers
    private const int Steps = 2_000_000; // about 10 ms at 3 GHz and two units
    private const int Rounds = 15;

    /// <summary>GFLOP/s of <paramref name="threads"/> threads at once, the best of several rounds.</summary>
    /// <param name="threads">Threads that run at once, 1 or more.</param>
    public static double Measure(int threads)
    {
        double best = 0;
        Run(); // compiled and awake
        for (int round = 0; round < Rounds; round++)
        {
            using Barrier start = new(threads + 1);
            Thread[] team = [.. Enumerable.Range(0, threads).Select(_ => new Thread(() =>
            {
                start.SignalAndWait();
                Run();
            }))];
            Array.ForEach(team, thread => thread.Start());
            long begin = Stopwatch.GetTimestamp(); // before the threads may start, or they could be done before the clock is read
            start.SignalAndWait();
            Array.ForEach(team, thread => thread.Join());
            double seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds;
            best = Math.Max(best, 2.0 * Lanes() * Accumulators * Steps * threads / seconds / 1e9);
        }

        return best;
    }

    private static int Lanes() => Vector512.IsHardwareAccelerated ? Vector512<float>.Count : Vector256.IsHardwareAccelerated ? Vector256<float>.Count : Vector128<float>.Count;

    private static float Run() => Vector512.IsHardwareAccelerated ? RunVector512() : Vector256.IsHardwareAccelerated ? RunVector256() : RunVector128();

    // The accumulators are locals, so that they stay in registers; x ← x · m + a runs to its fixed point, which is a normal number.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)] // inlined, the loop would be seen to be for nothing
    private static float RunVector512()
    {
        Vector512<float> m = Vector512.Create(0.5f), a = Vector512.Create(1f);
        Vector512<float> x0 = a, x1 = a, x2 = a, x3 = a, x4 = a, x5 = a, x6 = a, x7 = a, x8 = a, x9 = a, x10 = a, x11 = a;
        for (int i = 0; i < Steps; i++)
        {
            x0 = Vector512.FusedMultiplyAdd(x0, m, a);
            x1 = Vector512.FusedMultiplyAdd(x1, m, a);
            x2 = Vector512.FusedMultiplyAdd(x2, m, a);
            x3 = Vector512.FusedMultiplyAdd(x3, m, a);
            x4 = Vector512.FusedMultiplyAdd(x4, m, a);
            x5 = Vector512.FusedMultiplyAdd(x5, m, a);
            x6 = Vector512.FusedMultiplyAdd(x6, m, a);
            x7 = Vector512.FusedMultiplyAdd(x7, m, a);
            x8 = Vector512.FusedMultiplyAdd(x8, m, a);
            x9 = Vector512.FusedMultiplyAdd(x9, m, a);
            x10 = Vector512.FusedMultiplyAdd(x10, m, a);
            x11 = Vector512.FusedMultiplyAdd(x11, m, a);
        }

        return Vector512.Sum(x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9 + x10 + x11);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)] // inlined, the loop would be seen to be for nothing
    private static float RunVector256()
    {
        Vector256<float> m = Vector256.Create(0.5f), a = Vector256.Create(1f);
        Vector256<float> x0 = a, x1 = a, x2 = a, x3 = a, x4 = a, x5 = a, x6 = a, x7 = a, x8 = a, x9 = a, x10 = a, x11 = a;
        for (int i = 0; i < Steps; i++)
        {
            x0 = Vector256.FusedMultiplyAdd(x0, m, a);
            x1 = Vector256.FusedMultiplyAdd(x1, m, a);
            x2 = Vector256.FusedMultiplyAdd(x2, m, a);
            x3 = Vector256.FusedMultiplyAdd(x3, m, a);
            x4 = Vector256.FusedMultiplyAdd(x4, m, a);
            x5 = Vector256.FusedMultiplyAdd(x5, m, a);
            x6 = Vector256.FusedMultiplyAdd(x6, m, a);
            x7 = Vector256.FusedMultiplyAdd(x7, m, a);
            x8 = Vector256.FusedMultiplyAdd(x8, m, a);
            x9 = Vector256.FusedMultiplyAdd(x9, m, a);
            x10 = Vector256.FusedMultiplyAdd(x10, m, a);
            x11 = Vector256.FusedMultiplyAdd(x11, m, a);
        }

        return Vector256.Sum(x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9 + x10 + x11);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)] // inlined, the loop would be seen to be for nothing
    private static float RunVector128()
    {
        Vector128<float> m = Vector128.Create(0.5f), a = Vector128.Create(1f);
        Vector128<float> x0 = a, x1 = a, x2 = a, x3 = a, x4 = a, x5 = a, x6 = a, x7 = a, x8 = a, x9 = a, x10 = a, x11 = a;
        for (int i = 0; i < Steps; i++)
        {
            x0 = Vector128.FusedMultiplyAdd(x0, m, a);
            x1 = Vector128.FusedMultiplyAdd(x1, m, a);
            x2 = Vector128.FusedMultiplyAdd(x2, m, a);
            x3 = Vector128.FusedMultiplyAdd(x3, m, a);
            x4 = Vector128.FusedMultiplyAdd(x4, m, a);
            x5 = Vector128.FusedMultiplyAdd(x5, m, a);
            x6 = Vector128.FusedMultiplyAdd(x6, m, a);
            x7 = Vector128.FusedMultiplyAdd(x7, m, a);
            x8 = Vector128.FusedMultiplyAdd(x8, m, a);
            x9 = Vector128.FusedMultiplyAdd(x9, m, a);
            x10 = Vector128.FusedMultiplyAdd(x10, m, a);
            x11 = Vector128.FusedMultiplyAdd(x11, m, a);
        }

        return Vector128.Sum(x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9 + x10 + x11);
    }
}
