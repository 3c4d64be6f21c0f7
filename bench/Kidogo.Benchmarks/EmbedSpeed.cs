// Speed of an encoder on texts of unequal length. Knows no tokenizer: ids are random.
using System.Diagnostics;
using System.Globalization;
using Kidogo.Models.Encoders;
using Kidogo.Tensors;

namespace Kidogo.Benchmarks;

/// <summary>As peers/pytorch/embed_bench.py of the reference data does it: the same lengths, in float32, a line of JSON a repetition.</summary>
internal static class EmbedSpeed
{
    private const int Texts = 32, Shortest = 8, Longest = 128, TextsOfPass = 16, Repeat = 5;

    public static void Print(string model, int threads)
    {
        using ComputeContext context = ComputeContext.Inference(threads);
        using LoadedEncoder encoder = LoadedEncoder.Load(model, context);
        Random random = new(0);
        int[] lengths = [.. Enumerable.Range(0, Texts).Select(i => Shortest + ((Longest - Shortest) * i / (Texts - 1)))];
        for (int step = 0; step <= Repeat; step++)
        {
            Stopwatch clock = Stopwatch.StartNew();
            for (int first = 0; first < Texts; first += TextsOfPass)
            {
                int[] part = lengths[first..(first + TextsOfPass)];
                int[] ids = [.. Enumerable.Range(0, part.Sum()).Select(_ => random.Next(encoder.Model.Config.VocabSize))];
                int mark = context.Mark();
                encoder.Model.Forward(context, ids, part);
                context.ReleaseTo(mark);
            }

            double seconds = clock.Elapsed.TotalSeconds;
            if (step > 0)
            {
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture, $"{{\"texts_per_second\": {Texts / seconds:F1}, \"tokens_per_second\": {lengths.Sum() / seconds:F1}}}"));
            }
        }
    }
}
