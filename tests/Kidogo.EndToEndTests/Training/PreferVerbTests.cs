// kidogo prefer, kidogo classify and early stopping as processes: what they leave, that they resume, and what they refuse.
using System.Text.Json;

namespace Kidogo.EndToEndTests.Training;

public sealed class PreferVerbTests
{
    private static readonly string[] s_model = ["--size", "60k", "--tokenizer", "{kind: bpe, vocabulary: 300}", "--context", "64", "--batch", "4", "--steps", "8", "--eval-every", "0", "--sample-every", "0"];

    [Theory]
    [InlineData("dpo", "adapter")]
    [InlineData("kto", "all")]
    public void Prefer_KilledAndResumed_EndsAsIfNeverStopped(string task, string weights)
    {
        using TemporaryFolder folder = new();
        string texts = TrainingTexts.Write(folder), data = folder.At("data.jsonl"), output = folder.At("out");
        Succeed("train", ["--data", texts, .. s_model, "--out", folder.At("model")]);
        File.WriteAllLines(data, Enumerable.Range(0, 40).Select(i => task == "dpo" ? $$"""{"prompt": "mto {{i}}", "chosen": " mto", "rejected": " maji"}"""
            : $$"""{"prompt": "mto {{i}}", "completion": "{{(i % 2 == 0 ? " mto" : " maji")}}", "label": {{(i % 2 == 0 ? "true" : "false")}}}"""));
        Outcome made = Succeed("prefer", [folder.At("model"), output, "--data", data, "--task", task, "--weights", weights, "--context", "64", "--batch", "4", "--accumulate", "2", "--steps", "16", "--checkpoint-every", "8",
            "--eval-every", "8", "--held-out", "0.2", "--learning-rate", "0.003", "--json"]);
        JsonElement last = JsonElement.Parse(made.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1]);
        Assert.Equal(1, last.GetProperty("eval_accuracy").GetDouble());
        string file = Path.Combine(output, weights == "all" ? "model.safetensors" : "adapter_model.safetensors");
        byte[] whole = File.ReadAllBytes(file);
        Directory.Delete(Path.Combine(output, "checkpoints", "step-16"), recursive: true);
        Succeed("prefer", ["--resume", output, "--threads", "1"]);
        Assert.True(whole.AsSpan().SequenceEqual(File.ReadAllBytes(file)));

        File.WriteAllText(data, File.ReadAllText(data).Replace("mto 3\"", "mto x\"", StringComparison.Ordinal));
        Assert.Contains("other data", KidogoProcess.Run(["prefer", "--resume", output]).Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Classify_LabelledLines_AreToldApartAndOneLabelIsRefused()
    {
        using TemporaryFolder folder = new();
        string texts = TrainingTexts.Write(folder), lines = folder.At("lines.jsonl"), output = folder.At("classifier");
        Succeed("train", ["--data", texts, .. s_model, "--out", folder.At("model")]);
        File.WriteAllLines(lines, Enumerable.Range(0, 60).Select(i => i % 2 == 0 ? $$"""{"text": "mto {{i}} maji mto", "label": "water"}""" : $$"""{"text": "987 654 {{i}} 321", "label": "digits"}"""));
        JsonElement report = Succeed("adapt", [folder.At("model"), output, "--task", "classify", "--data", lines, "--json"]).Json();
        Assert.Equal(1, report.GetProperty("accuracy").GetDouble());
        Assert.Equal(0.5, report.GetProperty("majority_accuracy").GetDouble());
        Outcome told = KidogoProcess.RunWith("mto maji\n321 987\n", "classify", output, "--json");
        JsonElement[] answers = [.. told.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonElement.Parse(line))];
        Assert.Equal(["water", "digits"], answers.Select(answer => answer.GetProperty("label").GetString()));
        Assert.Equal(1, answers[0].GetProperty("probabilities").EnumerateObject().Sum(each => each.Value.GetDouble()), 1e-6);

        File.WriteAllText(folder.At("one.jsonl"), "{\"text\": \"x\", \"label\": \"y\"}\n{\"text\": \"z\", \"label\": \"y\"}\n");
        (string[] Arguments, string Said)[] wrong =
        [
            ([folder.At("model"), "--data", folder.At("one.jsonl")], "one class"),
            ([folder.At("model"), output, "--data", lines], "there already"),
            ([folder.At("model"), "--data", lines, "--rank", "4"], "--rank"),
            (["--data", lines], "needs the model"),
        ];
        foreach ((string[] arguments, string said) in wrong)
        {
            string[] place = arguments[0] == folder.At("model") && arguments[1] == output ? [] : ["--out", folder.At("other")];
            Outcome refused = KidogoProcess.Run(["adapt", .. arguments, "--task", "classify", .. place]);
            Assert.NotEqual(0, refused.ExitCode);
            Assert.Contains(said, refused.Error, StringComparison.Ordinal);
            Assert.False(Directory.Exists(folder.At("other")));
        }

        Assert.Contains("no classifier", KidogoProcess.RunWith("x\n", "classify", folder.At("model")).Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Train_WhoseHeldOutLossRises_StopsAndKeepsTheBest()
    {
        using TemporaryFolder folder = new();
        string texts = TrainingTexts.Write(folder), general = folder.At("general.txt");
        File.WriteAllText(general, string.Concat(Enumerable.Repeat("Another text, of nothing in particular. ", 20)));
        Succeed("train", ["--data", texts, .. s_model, "--out", folder.At("model")]);
        Outcome adapted = Succeed("adapt", [folder.At("model"), folder.At("out"), "--data", texts, "--context", "64", "--batch", "4", "--steps", "200", "--eval-every", "2", "--patience", "2", "--held-out", "0.1", "--sample-every", "0",
            "--learning-rate", "1", "--clip", "0", "--warmup", "0", "--measure", general]);
        string[] log = File.ReadAllLines(Path.Combine(folder.At("out"), "log.jsonl"));
        Assert.True(log.Length < 200);
        Assert.Contains("bits per byte before", adapted.Output, StringComparison.Ordinal);
        (long Step, double Loss)[] judged = [.. log.Select(line => JsonElement.Parse(line)).Where(line => line.TryGetProperty("eval_loss", out _)).Select(line => (line.GetProperty("step").GetInt64(), line.GetProperty("eval_loss").GetDouble()))];
        long best = judged.MinBy(each => each.Loss).Step;
        Assert.Equal(best + 4, judged[^1].Step);
        string kept = Path.Combine(folder.At("out"), "checkpoints", $"step-{best}", "adapter_model.safetensors");
        Assert.True(File.ReadAllBytes(kept).AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(folder.At("out"), "adapter_model.safetensors"))));
    }

    private static Outcome Succeed(string verb, string[] arguments)
    {
        Outcome outcome = KidogoProcess.Run([verb, .. arguments]);
        Assert.True(outcome.ExitCode == 0, $"kidogo {verb} {string.Join(' ', arguments)}: {outcome.Error}");
        return outcome;
    }
}
