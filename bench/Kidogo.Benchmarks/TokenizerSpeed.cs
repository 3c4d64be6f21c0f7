// How fast one thread turns a text into ids, inside the process. Knows no model.
using System.Diagnostics;
using System.Globalization;
using Kidogo.Models;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Benchmarks;

internal static class TokenizerSpeed
{
    private const int Rounds = 7;

    /// <summary>Prints one line of JSON a round: MB/s of the text's bytes, after a round that is not counted. The tokenizer may remember words from round to round; the first round is printed apart.</summary>
    public static void Print(string model, string path)
    {
        byte[] text = File.ReadAllBytes(path);
        long loading = Stopwatch.GetTimestamp();
        using ModelText words = ModelText.Open(model);
        Tokenizer tokenizer = words.Tokenizer;
        double load = Stopwatch.GetElapsedTime(loading).TotalSeconds;
        for (int round = 0; round <= Rounds; round++)
        {
            long start = Stopwatch.GetTimestamp();
            int ids = tokenizer.Encode(text).Length;
            double rate = text.Length / Stopwatch.GetElapsedTime(start).TotalSeconds / 1e6;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{{\"{(round == 0 ? "first_megabytes_per_second" : "megabytes_per_second")}\":{rate:F2},\"ids\":{ids},\"load_seconds\":{load:F3}}}"));
        }
    }
}
