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
            Assert.True(SpinWait.SpinUntil(() => File.Exists(log) && new FileInfo(log).Length > 0, KidogoProcess.Patience), "no step was made");
            using (Process kill = Process.Start("kill", ["-INT", $"{process.Id}"]))
            {
                await kill.WaitForExitAsync();
            }

            using CancellationTokenSource patience = new(KidogoProcess.Patience);
            await process.WaitForExitAsync(patience.Token);
            await Task.WhenAll(error, text);
            Assert.Equal(130, process.ExitCode);
            Assert.Contains($"kidogo train --resume {output}", await error, StringComparison.Ordinal);
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
        string training = Path.Combine(output, "checkpoints", "step-4", "training.json");
        byte[] state = File.ReadAllBytes(training);
        foreach (int length in new[] { 0, 1, state.Length / 2, state.Length - 2 })
        {
            File.WriteAllBytes(training, state.AsSpan(0, length));
            Refused(1, "is damaged", "train", "--resume", output);
        }

        File.WriteAllText(training, System.Text.Encoding.UTF8.GetString(state).Replace("\"batch\": 4,", "", StringComparison.Ordinal));
        Refused(1, "leaves open", "train", "--resume", output);
        File.Delete(training);
        Refused(1, "training.json", "train", "--resume", output);
        Outcome earlier = KidogoProcess.Run("train", "--resume", Path.Combine(output, "checkpoints", "step-2"));
        Assert.True(earlier.ExitCode == 0, earlier.Error);
        Assert.Equal(good, File.ReadAllBytes(weights));
        Refused(1, "no run", "train", "--resume", folder.At("texts"));
    }

    [Fact]
    public void Train_FromAFinishedRun_KeepsARunOfItsOwn()
    {
        using TemporaryFolder folder = new();
        string first = folder.At("first"), second = folder.At("second");
        string texts = TrainingTexts.Write(folder);
        Succeeds(["train", "--data", texts, .. s_small, "--steps", "2", "--eval-every", "0", "--out", first]);
        File.WriteAllText(Path.Combine(first, "notes.json"), "{}"); // whatever else lies there is no part of a model
        Succeeds(["train", "--from", first, "--data", texts, "--context", "32", "--batch", "4", "--steps", "3", "--checkpoint-every", "2", "--eval-every", "0", "--out", second]);
        Assert.Contains("\"from\"", File.ReadAllText(Path.Combine(second, "run.json")), StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(second, "notes.json")));
        string checkpoint = Path.Combine(second, "checkpoints", "step-2");
        Assert.False(File.Exists(Path.Combine(checkpoint, "run.json")));
        byte[] weights = File.ReadAllBytes(Path.Combine(second, "model.safetensors"));
        Directory.Delete(Path.Combine(second, "checkpoints", "step-3"), recursive: true);
        Succeeds(["train", "--resume", checkpoint]);
        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(second, "model.safetensors")));
        Assert.False(Directory.Exists(Path.Combine(checkpoint, "checkpoints")));
    }

    [Fact]
    public void Train_LossThatIsNoNumber_NamesStepLayerAndTheLastCheckpointFromBefore()
    {
        using TemporaryFolder folder = new();
        string output = folder.At("out");
        Outcome outcome = KidogoProcess.Run(["train", "--data", TrainingTexts.Write(folder), .. s_small, "--steps", "200", "--checkpoint-every", "1", "--eval-every", "0",
            "--optimizer", "sgd", "--learning-rate", "10", "--clip", "0", "--warmup", "0", "--schedule", "constant", "--momentum", "0.99", "--weight-decay", "1", "--out", output]); // weights grow ninefold a step, whatever the gradients are
        Assert.True(outcome.ExitCode == 1, $"{outcome.ExitCode}: {outcome.Error}");
        int logged = File.ReadLines(Path.Combine(output, "log.jsonl")).Count();
        Assert.Contains($"Step {logged + 1}: the loss is", outcome.Error, StringComparison.Ordinal);
        Assert.Matches("layer [0-9]+, counted from 0|token_embd|output_norm|the head|too large to add up", outcome.Error);
        Assert.Contains($"last good checkpoint is {Path.Combine(output, "checkpoints", $"step-{logged - 1}")}.", outcome.Error, StringComparison.Ordinal);
        Assert.True(Directory.Exists(Path.Combine(output, "checkpoints", $"step-{logged - 1}")));
    }

    [Fact]
    public void Resume_AfterAKill_RemovesWhatWasHalfWritten()
    {
        using TemporaryFolder folder = new();
        string output = folder.At("out");
        Succeeds(["train", "--data", TrainingTexts.Write(folder), .. s_small, "--steps", "2", "--eval-every", "0", "--out", output]);
        string[] left = [folder.At(".out.4711.tmp"), Path.Combine(output, "checkpoints", ".step-2.4711.tmp")];
        string mine = folder.At(".out.mine.tmp");
        foreach (string path in left.Append(mine))
        {
            Directory.CreateDirectory(path);
            File.WriteAllText(Path.Combine(path, "model.safetensors"), "half");
        }

        File.WriteAllText(Path.Combine(output, ".log.jsonl.4711.tmp"), "half");
        Succeeds(["train", "--resume", output]);
        Assert.All(left, path => Assert.False(Directory.Exists(path), path));
        Assert.True(Directory.Exists(mine)); // not of a process
        Assert.False(File.Exists(Path.Combine(output, ".log.jsonl.4711.tmp")));
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

    private static void Succeeds(string[] arguments)
    {
        Outcome outcome = KidogoProcess.Run(arguments);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
    }

    private static void Refused(int status, string says, params string[] arguments)
    {
        Outcome outcome = KidogoProcess.Run(arguments);
        Assert.True(outcome.ExitCode == status, $"{outcome.ExitCode}: {outcome.Error}{outcome.Output}");
        Assert.Contains(says, outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("defect", outcome.Error, StringComparison.Ordinal);
    }
}
