// kidogo distil as a process: a student of a quantised teacher, its terms apart, and what is refused.
using System.Text.Json;

namespace Kidogo.EndToEndTests.Training;

public sealed class DistilVerbTests
{
    private static readonly string[] s_teacher = ["--size", "100k", "--tokenizer", "{kind: bpe, vocabulary: 300}", "--context", "32", "--batch", "8", "--steps", "40", "--eval-every", "0", "--sample-every", "0"];
    private static readonly string[] s_student = ["--student", "60k", "--context", "32", "--batch", "8", "--eval-every", "10", "--sample-every", "0", "--held-out", "0.1"];

    [Fact]
    public void Distil_FromAQuantisedTeacher_NearsItAndGoesOnTheSame()
    {
        using TemporaryFolder folder = new();
        string texts = TrainingTexts.Write(folder), teacher = folder.At("teacher.gguf"), output = folder.At("student");
        Succeed("train", ["--data", texts, .. s_teacher, "--out", folder.At("teacher")]);
        Succeed("quantize", [folder.At("teacher"), teacher, "--format", "Q8_0"]);
        string[] how = ["--teacher", teacher, "--data", texts, .. s_student, "--steps", "30", "--checkpoint-every", "10", "--temperature", "2", "--teacher-weight", "0.7", "--label-weight", "0.3"];
        string[] lines = Succeed("distil", [.. how, "--json", "--out", output]).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(30, lines.Length);
        using JsonDocument first = JsonDocument.Parse(lines[0]), last = JsonDocument.Parse(lines[^1]);
        double Of(JsonDocument line, string name) => line.RootElement.GetProperty(name).GetDouble();
        Assert.True(Of(last, "teacher_loss") < Of(first, "teacher_loss"));
        Assert.True(Of(last, "label_loss") < Of(first, "label_loss"));
        const double Rounding = 1e-6; // of weights and sums
        Assert.InRange(Of(last, "loss") - (0.7 * Of(last, "teacher_loss")) - (0.3 * Of(last, "label_loss")), -Rounding, Rounding);
        Succeed("run", [output, "mto", "--raw", "--max-tokens", "4", "--temperature", "0"]);

        Directory.Delete(folder.At("student/checkpoints/step-30"), recursive: true); // as if it had been killed before
        byte[] weights = File.ReadAllBytes(folder.At("student/model.safetensors"));
        Succeed("distil", ["--resume", output, "--threads", "1"]);
        Assert.True(weights.AsSpan().SequenceEqual(File.ReadAllBytes(folder.At("student/model.safetensors"))));
    }

    [Fact]
    public void Distil_ThatCannotBe_SaysWhatWouldHelp()
    {
        using TemporaryFolder folder = new();
        string texts = TrainingTexts.Write(folder);
        Succeed("train", ["--data", texts, .. s_teacher, "--out", folder.At("teacher")]);
        Succeed("train", ["--data", texts, .. s_teacher.Select(word => word.Replace("300", "310", StringComparison.Ordinal)), "--out", folder.At("other")]);
        (string[] Arguments, string Said)[] wrong =
        [
            (["--data", texts, "--student", "60k"], "needs a teacher"),
            (["--data", texts, "--teacher", folder.At("teacher"), "--student", folder.At("other"), "--context", "32"], "--student 10M"),
            (["--data", texts, "--teacher", folder.At("teacher"), "--student", "60k", "--teacher-weight", "0", "--label-weight", "0"], "nothing to learn"),
            (["--data", texts, "--teacher", folder.At("teacher"), "--student", "60k", "--distance", "reverse"], "reverse-kl"),
            (["--data", texts, "--teacher", folder.At("teacher"), "--student", folder.At("other"), "--shape", "{hidden: 32, layers: 1}"], "student and shape contradict"),
        ];
        foreach ((string[] arguments, string said) in wrong)
        {
            Outcome refused = KidogoProcess.Run(["distil", .. arguments, "--out", folder.At("out")]);
            Assert.NotEqual(0, refused.ExitCode);
            Assert.Contains(said, refused.Error, StringComparison.Ordinal);
            Assert.False(File.Exists(Path.Combine(folder.At("out"), "run.json")));
            Assert.False(Directory.Exists(Path.Combine(folder.At("out"), "shards")), said); // before texts are tokenised, which may take long
        }
    }

    private static Outcome Succeed(string verb, string[] arguments)
    {
        Outcome outcome = KidogoProcess.Run([verb, .. arguments]);
        Assert.True(outcome.ExitCode == 0, $"{verb}: {outcome.Error}");
        return outcome;
    }
}
