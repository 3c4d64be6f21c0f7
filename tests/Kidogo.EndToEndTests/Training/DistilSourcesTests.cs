// kidogo distil from all that a teacher can be: its states, its layers, a file, another tokenizer, texts; and beside no teacher.
using System.Text.Json;

namespace Kidogo.EndToEndTests.Training;

public sealed class DistilSourcesTests
{
    private static readonly string[] s_teacher = ["--tokenizer", "{kind: bpe, vocabulary: 300}", "--context", "32", "--batch", "8", "--eval-every", "0", "--sample-every", "0",
        "--shape", "{hidden: 32, layers: 4, heads: 2, kv_heads: 1, feed_forward: 64}"];

    private static readonly string[] s_run = ["--context", "32", "--batch", "8", "--sample-every", "0", "--held-out", "0.1", "--seed", "3"];

    [Fact]
    public void Distil_AllLossesAndOwnTexts_AreLoggedApartAndGoOnTheSame()
    {
        using TemporaryFolder folder = new();
        string texts = TrainingTexts.Write(folder);
        Succeed("train", ["--data", texts, .. s_teacher, "--steps", "20", "--out", folder.At("teacher")]);
        string[] how =
        [
            "--teacher", folder.At("teacher"), "--student", "60k", "--data", texts, .. s_run, "--steps", "12", "--checkpoint-every", "6", "--on-policy", "0.3", "--hidden-weight", "0.5", "--attention-weight", "1",
            "--value-weight", "1", "--query-weight", "0.2", "--key-weight", "0.2", "--distance-weight", "2", "--angle-weight", "2", "--similarity-weight", "1", "--alignment-weight", "1", "--examples", "8",
        ];
        string[] lines = Succeed("distil", [.. how, "--json", "--out", folder.At("student")]).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        string[] names = ["label", "teacher", "hidden", "attention", "query", "key", "value", "distance", "angle", "similarity", "alignment"];
        JsonElement[] steps = [.. lines.Select(line => JsonElement.Parse(line))];
        Assert.Contains(steps, step => names.All(name => step.TryGetProperty($"{name}_loss", out _)));
        Assert.Contains(steps, step => !step.TryGetProperty("label_loss", out _)); // of texts of its own
        string weights = Path.Combine(folder.At("student"), "model.safetensors");
        byte[] whole = File.ReadAllBytes(weights);
        Assert.True(File.Exists(Path.Combine(folder.At("student"), "checkpoints", "step-6", "companions.safetensors")));
        Directory.Delete(Path.Combine(folder.At("student"), "checkpoints", "step-12"), recursive: true); // as if it had been killed before
        Succeed("distil", ["--resume", folder.At("student"), "--threads", "1"]);
        Assert.True(whole.AsSpan().SequenceEqual(File.ReadAllBytes(weights)));
    }

    [Fact]
    public void Distil_EverySecondLayerFromAFile_ComparesAndRefusesAnotherText()
    {
        using TemporaryFolder folder = new();
        string texts = TrainingTexts.Write(folder), outputs = folder.At("outputs.safetensors");
        Succeed("train", ["--data", texts, .. s_teacher, "--steps", "20", "--out", folder.At("teacher")]);
        string[] how = ["--data", texts, .. s_run, "--teacher-outputs", outputs, "--outputs-per-token", "300"];
        Outcome made = Succeed("distil", ["--teacher", folder.At("teacher"), "--student", "every-2nd-layer", .. how, "--steps", "10", "--compare", "--out", folder.At("half")]);
        Assert.Contains("begins as 2 of its 4 layers", made.Error, StringComparison.Ordinal);
        Assert.Contains("with the teacher", made.Output, StringComparison.Ordinal);
        JsonElement compared = JsonElement.Parse(File.ReadAllBytes(Path.Combine(folder.At("half"), "comparison.json")));
        Assert.True(compared.GetProperty("with_teacher").GetProperty("bits_per_byte").GetDouble() > 0);
        Assert.True(compared.GetProperty("without_teacher").GetProperty("bits_per_byte").GetDouble() > 0);
        Assert.Equal(2, Succeed("inspect", [folder.At("half"), "--json"]).Json().GetProperty("tensors").EnumerateArray().Count(tensor => tensor.GetProperty("name").GetString()!.Contains("q_proj", StringComparison.Ordinal)));

        // With every token stored, the file says all that the teacher does: the loss is the same to rounding.
        double Last(string output) => JsonElement.Parse(File.ReadLines(Path.Combine(output, "log.jsonl")).Last()).GetProperty("teacher_loss").GetDouble();
        Succeed("distil", ["--student", folder.At("teacher"), .. how, "--steps", "4", "--out", folder.At("stored")]);
        Succeed("distil", ["--teacher", folder.At("teacher"), "--student", folder.At("teacher"), "--data", texts, .. s_run, "--steps", "4", "--out", folder.At("live")]);
        Assert.Equal(Last(folder.At("live")), Last(folder.At("stored")), 1e-4);

        Succeed("train", ["--data", texts, .. s_teacher, "--steps", "4", "--seed", "5", "--out", folder.At("other")]);
        File.WriteAllText(folder.At("others.txt"), string.Concat(Enumerable.Range(0, 300).Select(i => $"Text {i} is another.\n\n")));
        (string[] Arguments, string Said)[] wrong =
        [
            (["--teacher", folder.At("other"), "--student", folder.At("teacher"), .. how, "--steps", "4"], "another teacher"),
            (["--student", folder.At("teacher"), .. how, "--steps", "4", "--data", folder.At("others.txt")], "another text"),
            (["--student", folder.At("teacher"), .. how, "--steps", "400"], "rows"),
            (["--student", folder.At("teacher"), .. how, "--steps", "4", "--temperature", "3"], "another temperature"),
            (["--student", folder.At("teacher"), .. how, "--steps", "4", "--on-policy", "0.5"], "on_policy"),
            (["--student", folder.At("teacher"), .. how, "--steps", "4", "--hidden-weight", "1"], "hidden states"),
            (["--student", "60k", .. how, "--steps", "4"], "--tokenizer MODEL"),
            (["--teacher", folder.At("teacher"), "--student", "every-9th-layer", "--data", texts, .. s_run], "4"),
            (["--teacher", folder.At("teacher"), "--student", "60k", "--data", texts, .. s_run, "--compare", "--eval-every", "0"], "held-out"),
        ];
        foreach ((string[] arguments, string said) in wrong)
        {
            Outcome refused = KidogoProcess.Run(["distil", .. arguments, "--out", folder.At("out")]);
            Assert.NotEqual(0, refused.ExitCode);
            Assert.Contains(said, refused.Error, StringComparison.Ordinal);
            Assert.False(File.Exists(Path.Combine(folder.At("out"), "run.json")), said);
        }
    }

    [Fact]
    public void Distil_AnotherTokenizerAndTexts_Train()
    {
        using TemporaryFolder folder = new();
        string texts = TrainingTexts.Write(folder);
        Succeed("train", ["--data", texts, .. s_teacher, "--steps", "20", "--out", folder.At("teacher")]);
        Succeed("train", ["--data", texts, .. s_teacher.Select(word => word.Replace("300", "280", StringComparison.Ordinal)), "--steps", "4", "--out", folder.At("other")]);
        Succeed("distil", ["--teacher", folder.At("teacher"), "--student", folder.At("other"), "--distance", "uld", "--data", texts, .. s_run, "--steps", "12", "--learning-rate", "0.003", "--eval-every", "0", "--out", folder.At("uld")]);
        double[] losses = [.. File.ReadLines(Path.Combine(folder.At("uld"), "log.jsonl")).Select(line => JsonElement.Parse(line).GetProperty("teacher_loss").GetDouble())];
        Assert.All(losses, loss => Assert.InRange(loss, 1e-6, 2)); // the distance of two sorted distributions is at most 2
        Assert.True(losses[^3..].Average() < losses[..3].Average());

        string[] write = ["--teacher", folder.At("teacher"), "--data", texts, "--texts", "5", "--max-tokens", "8", "--write-texts", folder.At("taught.jsonl")];
        Succeed("distil", write);
        string[] lines = File.ReadAllLines(folder.At("taught.jsonl"));
        Assert.Equal(5, lines.Length);
        Assert.All(lines, line => Assert.NotEmpty(JsonElement.Parse(line).GetProperty("text").GetString()!));
        File.Move(folder.At("taught.jsonl"), folder.At("taught.jsonl.part"));
        File.WriteAllText(folder.At("taught.jsonl.part"), lines[0] + "\n" + lines[1] + "\n" + lines[2][..3]); // as if it had been killed
        Succeed("distil", write);
        Assert.Equal(lines, File.ReadAllLines(folder.At("taught.jsonl")));
        Assert.Contains("there already", KidogoProcess.Run(["distil", .. write]).Error, StringComparison.Ordinal);
    }

    private static Outcome Succeed(string verb, string[] arguments)
    {
        Outcome outcome = KidogoProcess.Run([verb, .. arguments]);
        Assert.True(outcome.ExitCode == 0, $"kidogo {verb} {string.Join(' ', arguments)}: {outcome.Error}");
        return outcome;
    }
}
