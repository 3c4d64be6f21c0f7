// kidogo train as a process: what it says, what it refuses, what it leaves.
using System.Diagnostics;
using System.Text.Json;

namespace Kidogo.EndToEndTests.Training;

public sealed class TrainVerbTests
{
    private static readonly string[] s_small = ["--size", "60k", "--tokenizer", "{kind: bpe, vocabulary: 300}", "--context", "32", "--batch", "4"];

    [Fact]
    public void Train_OnTexts_LeavesAModelThatRuns()
    {
        using TemporaryFolder folder = new();
        string output = folder.At("out");
        Outcome trained = KidogoProcess.Run(["train", "--data", TrainingTexts.Write(folder), .. s_small, "--steps", "12", "--eval-every", "6", "--json", "--out", output]);
        Assert.True(trained.ExitCode == 0, trained.Error);
        string[] lines = trained.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(12, lines.Length);
        Assert.Equal(lines, File.ReadAllLines(Path.Combine(output, "log.jsonl")));
        using (JsonDocument last = JsonDocument.Parse(lines[^1]))
        {
            string[] names = ["step", "loss", "learning_rate", "gradient_norm", "tokens", "tokens_per_second", "eval_loss", "eval_bits_per_byte"];
            Assert.Equal(names, last.RootElement.EnumerateObject().Select(field => field.Name));
        }

        Assert.Contains("parameters", trained.Error, StringComparison.Ordinal);
        Assert.Contains("memory: about", trained.Error, StringComparison.Ordinal);
        Assert.StartsWith("<svg", File.ReadAllText(Path.Combine(output, "loss.svg")), StringComparison.Ordinal);
        Assert.True(Directory.Exists(Path.Combine(output, "checkpoints", "step-0")));
        Assert.Equal(0, KidogoProcess.Run("run", output, "mto", "--max-tokens", "4", "--temperature", "0", "--raw").ExitCode);
        Outcome onward = KidogoProcess.Run("train", "--from", output, "--data", folder.At("texts"), "--context", "32", "--batch", "4", "--steps", "2", "--out", folder.At("onward"));
        Assert.True(onward.ExitCode == 0, onward.Error);
    }

    [Fact]
    public async Task Train_Interrupted_WritesACheckpointAndGoesOnTheSame()
    {
        using TemporaryFolder folder = new();
        string texts = TrainingTexts.Write(folder);
        string[] recipe = ["train", "--data", texts, .. s_small, "--steps", "400", "--checkpoint-every", "1000", "--eval-every", "0", "--threads", "1"];
        Outcome whole = KidogoProcess.Run([.. recipe, "--out", folder.At("whole")]);
        Assert.True(whole.ExitCode == 0, whole.Error);
        string output = folder.At("out");
        ProcessStartInfo start = new("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(KidogoProcess.Assembly);
        Array.ForEach([.. recipe, "--out", output], start.ArgumentList.Add);
        using (Process process = Process.Start(start)!)
        {
            Task<string> error = process.StandardError.ReadToEndAsync();
            Task<string> text = process.StandardOutput.ReadToEndAsync();
            string log = Path.Combine(output, "log.jsonl");
            Assert.True(SpinWait.SpinUntil(() => File.Exists(log) && new FileInfo(log).Length > 0, TimeSpan.FromSeconds(60)), "no step was made");
            using (Process kill = Process.Start("kill", ["-INT", $"{process.Id}"]))
            {
                await kill.WaitForExitAsync();
            }

            using CancellationTokenSource patience = new(TimeSpan.FromSeconds(60));
            await process.WaitForExitAsync(patience.Token);
            await Task.WhenAll(error, text);
            Assert.Equal(130, process.ExitCode);
        }

        Assert.Equal(2, Directory.GetDirectories(Path.Combine(output, "checkpoints")).Length);
        Outcome resumed = KidogoProcess.Run("train", "--resume", output);
        Assert.True(resumed.ExitCode == 0, resumed.Error);
        Assert.Equal(File.ReadAllBytes(Path.Combine(folder.At("whole"), "model.safetensors")), File.ReadAllBytes(Path.Combine(output, "model.safetensors")));
    }

    [Fact]
    public void Resume_DamagedOrForeignCheckpoint_IsRefused()
    {
        using TemporaryFolder folder = new();
        string output = folder.At("out");
        Outcome trained = KidogoProcess.Run(["train", "--data", TrainingTexts.Write(folder), .. s_small, "--steps", "4", "--checkpoint-every", "2", "--eval-every", "0", "--out", output]);
        Assert.True(trained.ExitCode == 0, trained.Error);
        Refused(2, "--resume", "train", "--resume", output, "--steps", "9");
        Refused(1, "holds a model or a run already", ["train", "--data", folder.At("texts"), .. s_small, "--out", output]);

        string weights = Path.Combine(output, "checkpoints", "step-4", "optimizer.safetensors");
        byte[] good = File.ReadAllBytes(weights);
        byte[] bad = [.. good];
        bad[^9] ^= 1;
        File.WriteAllBytes(weights, bad);
        Refused(1, "optimizer.safetensors", "train", "--resume", output);
        Refused(1, Path.Combine("checkpoints", "step-2"), "train", "--resume", output);
        File.WriteAllBytes(weights, good.AsSpan(0, good.Length / 2));
        Refused(1, "where", "train", "--resume", output);
        File.Delete(Path.Combine(output, "checkpoints", "step-4", "training.json"));
        Refused(1, "training.json", "train", "--resume", output);
        Outcome earlier = KidogoProcess.Run("train", "--resume", Path.Combine(output, "checkpoints", "step-2"));
        Assert.True(earlier.ExitCode == 0, earlier.Error);
        Assert.Equal(good, File.ReadAllBytes(weights));
        Refused(1, "no run", "train", "--resume", folder.At("texts"));
    }

    [Theory]
    [InlineData("sise: 10M", "size")]
    [InlineData("steps: 5\ntokens: 100", "steps and tokens")]
    [InlineData("batch: 8\naccumulate: 3", "accumulate")]
    [InlineData("optimizer: adamx", "adamw")]
    [InlineData("learning_rate: fast", "0 to 10")]
    [InlineData("nesterov: true", "sgd")]
    [InlineData("data: [", "YAML")]
    [InlineData("tokenizer: {kind: bpe, vocabulery: 300}", "vocabulary")]
    public void Train_RecipeWithAMistake_IsWrongUse(string lines, string says)
    {
        using TemporaryFolder folder = new();
        string recipe = folder.File("recipe.yaml", (lines.StartsWith("data", StringComparison.Ordinal) ? "" : "data: texts\n") + lines + "\n");
        Refused(2, says, "train", recipe, "--out", folder.At("out"));
        Assert.False(Directory.Exists(folder.At("out")));
    }

    [Fact]
    public void Train_DataThatCannotBe_IsRefusedAndLeavesNothing()
    {
        using TemporaryFolder folder = new();
        Directory.CreateDirectory(folder.At("empty"));
        Refused(1, "empty", ["train", "--data", folder.At("empty"), .. s_small, "--out", folder.At("out")]);
        Refused(1, "", ["train", "--data", TrainingTexts.Write(folder), "--size", "60k", "--context", "32", "--tokenizer", "{vocabulary: 60000}", "--out", folder.At("out")]);
        Refused(1, "memory", ["train", "--data", "random", "--size", "2B", "--tokenizer", "{vocabulary: 60000}", "--context", "65536", "--batch", "64", "--accumulate", "1", "--out", folder.At("out")]);
        Assert.False(Directory.Exists(folder.At("out")));
    }

    private static void Refused(int status, string says, params string[] arguments)
    {
        Outcome outcome = KidogoProcess.Run(arguments);
        Assert.True(outcome.ExitCode == status, $"{outcome.ExitCode}: {outcome.Error}{outcome.Output}");
        Assert.Contains(says, outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("defect", outcome.Error, StringComparison.Ordinal);
    }
}
