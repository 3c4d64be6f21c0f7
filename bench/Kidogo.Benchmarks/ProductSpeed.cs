// Times the three float32 products of a linear layer in training, in processor time. Knows no models.
using System.Diagnostics;
using System.Globalization;
using Kidogo.Tensors;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Benchmarks;

internal static class ProductSpeed
{
    private const double OperationsPerRound = 2e10;
    private const int Rounds = 5;

    /// <summary>Prints a line for each product: GFLOP/s a thread, of the time that the threads were running.</summary>
    public static void Print(int threads, int tokens)
    {
        using ComputeContext context = ComputeContext.Training(threads);
        foreach ((int outputs, int inputs) in ((int, int)[])[(384, 384), (1024, 384), (384, 1024), (8192, 384), (576, 576), (1536, 576), (100, 128)])
        {
            Tensor x = Filled(tokens, inputs), y = Filled(tokens, outputs), w = Filled(outputs, inputs);
            double operations = 2.0 * tokens * outputs * inputs;
            Time($"y  = x W'  {tokens} x {outputs} x {inputs}", operations, threads, () => context.Works.Products.Run(context, ProductOperand.OverColumns(x), [ProductOperand.OverColumns(w)], [y], onto: false));
            Time($"dx = dy W  {tokens} x {inputs} x {outputs}", operations, threads, () => context.Works.Products.Run(context, ProductOperand.OverColumns(y), [ProductOperand.OverRows(w)], [x], onto: false));
            Time($"dW += dy'x {outputs} x {inputs} x {tokens}", operations, threads, () => context.Works.Products.Run(context, ProductOperand.OverRows(y), [ProductOperand.OverRows(x)], [w], onto: false));
        }
    }

    private static Tensor Filled(int rows, int columns)
    {
        Tensor tensor = new(rows, columns);
        tensor.Span.Fill(0.01f);
        return tensor;
    }

    private static void Time(string name, double operations, int threads, Action action)
    {
        using Process self = Process.GetCurrentProcess();
        int repetitions = Math.Max(1, (int)(OperationsPerRound / operations));
        double best = double.MaxValue;
        action();
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

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-32} {operations / best / 1e9,8:F0} GFLOP/s a thread"));
    }
}
