// The float32 peak of this machine on a line of JSON. The loop is the library's.
using System.Globalization;
using System.Runtime.Intrinsics;

namespace Kidogo.Benchmarks;

internal static class FmaPeak
{
    /// <summary>Prints one line of JSON: GFLOP/s of all threads together.</summary>
    public static void Print(int threads)
    {
        double best = Measure(threads);
        string width = Vector512.IsHardwareAccelerated ? "512" : Vector256.IsHardwareAccelerated ? "256" : "128";
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{{\"threads\":{threads},\"vector_bits\":{width},\"gflops\":{best:F1}}}"));
    }

    /// <summary>GFLOP/s of <paramref name="threads"/> threads at once, the best of several rounds.</summary>
    internal static double Measure(int threads) => Evaluation.Machine.FmaPeak.Measure(threads);
}
