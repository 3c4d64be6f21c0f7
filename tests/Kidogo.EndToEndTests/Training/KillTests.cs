// Training that is killed at random moments and goes on, as real processes: the end is that of a run never stopped, bit for bit.
using System.Diagnostics;
using System.Text.Json;

namespace Kidogo.EndToEndTests.Training;

public sealed class KillTests
{
    private const int FewKills = 5; // fifty, and any number, by the environment: a person's test, or the night's
    private const string KillsVariable = "KIDOGO_TEST_KILLS";

    [Fact]
    public void Train_KilledAtRandomMoments_EndsAsIfNeverStopped()
    {
        int kills = int.TryParse(Environment.GetEnvironmentVariable(KillsVariable), out int wanted) ? wanted : FewKills;
        using TemporaryFolder folder = new();
        string texts = TrainingTexts.Write(folder);
        int steps = 20 + (8 * kills); // long enough that all kills fall into it
        string[] recipe = ["--data", texts, "--size", "60k", "--tokenizer", "{kind: bpe, vocabulary: 300}", "--context", "32", "--batch", "8", "--accumulate", "2",
            "--steps", $"{steps}", "--checkpoint-every", "3", "--eval-every", "7", "--sample-every", "11", "--seed", "5", "--threads", "2"];
        Outcome whole = KidogoProcess.Run(["train", .. recipe, "--out", folder.At("whole")]);
        Assert.True(whole.ExitCode == 0, whole.Error);

        string killed = folder.At("killed");
        Random random = new(20261123);
        int done = 0;
        bool isDone = RunAndKill(["train", .. recipe, "--out", killed], TimeSpan.FromSeconds(0.2 + random.NextDouble()));
        for (; done < kills && !isDone; done++)
        {
            // At first a process hardly gets beyond its start, so it is given more time, sometimes.
            TimeSpan time = TimeSpan.FromSeconds(0.3 + (random.NextDouble() * 2.2));
            isDone = RunAndKill(Directory.Exists(killed) && File.Exists(Path.Combine(killed, "run.json")) ? ["train", "--resume", killed, "--threads", "1"] : ["train", .. recipe, "--out", killed], time);
        }

        Outcome last = File.Exists(Path.Combine(killed, "run.json"))
            ? KidogoProcess.Run("train", "--resume", killed)
            : KidogoProcess.Run(["train", .. recipe, "--out", killed]);
        Assert.True(last.ExitCode == 0, last.Error);
        Assert.Equal(Curve(folder.At("whole")), Curve(killed));
        foreach (string file in new[] { "model.safetensors", $"checkpoints/step-{steps}/optimizer.safetensors", $"checkpoints/step-{steps}/model.safetensors", "tokenizer.json" })
        {
            Assert.True(File.ReadAllBytes(Path.Combine(folder.At("whole"), file)).AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(killed, file))), $"{file} differs");
        }

        Assert.Equal(Position(folder.At("whole"), steps), Position(killed, steps));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(killed, "checkpoints"), ".*"));
    }

    /// <summary>Runs for a while, then kills. Whether it ended by itself.</summary>
    private static bool RunAndKill(string[] arguments, TimeSpan time)
    {
        ProcessStartInfo start = new("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(KidogoProcess.Assembly);
        Array.ForEach(arguments, start.ArgumentList.Add);
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        bool ended = process.WaitForExit(time);
        if (!ended)
        {
            process.Kill();
            process.WaitForExit();
        }

        Task.WaitAll(output, error);
        Assert.True(!ended || process.ExitCode == 0, error.Result);
        return ended;
    }

    /// <summary>All of the log but the speed.</summary>
    private static List<string> Curve(string folder) => [.. File.ReadLines(Path.Combine(folder, "log.jsonl")).Select(line =>
    {
        using JsonDocument json = JsonDocument.Parse(line);
        return string.Join(' ', json.RootElement.EnumerateObject().Where(field => field.Name != "tokens_per_second").Select(field => $"{field.Name}={field.Value.GetRawText()}"));
    })];

    private static string Position(string folder, int steps)
    {
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "checkpoints", $"step-{steps}", "training.json")));
        return json.RootElement.GetProperty("data").GetRawText();
    }
}

/// <summary>A small text of many short documents.</summary>
internal static class TrainingTexts
{
    public static string Write(TemporaryFolder folder)
    {
        string texts = folder.At("texts");
        Directory.CreateDirectory(texts);
        Random random = new(1);
        string[] words = ["mto", "mkubwa", "unapita", "kijiji", "watu", "wanaishi", "karibu", "na", "maji", "asubuhi", "jioni", "samaki"];
        File.WriteAllLines(Path.Combine(texts, "a.txt"), Enumerable.Range(0, 800).Select(i => i % 5 == 4 ? "" : string.Join(' ', Enumerable.Range(0, 4 + random.Next(12)).Select(_ => words[random.Next(words.Length)])) + "."));
        return texts;
    }
}
