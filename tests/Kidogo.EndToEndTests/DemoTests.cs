// The demo and its kin as a person starts them.
using System.Text.Json;

namespace Kidogo.EndToEndTests;

public sealed class DemoTests
{
    [Fact]
    public void Demo_Quick_DoesAllOfItAndGoesOnWhereItWasInterrupted()
    {
        using TemporaryFolder folder = new();
        string output = folder.At("demo");
        JsonElement[] models = [.. KidogoProcess.Run("demo", "--quick", "--out", output, "--json").Output.TrimEnd('\n').Split('\n').Select(line => JsonDocument.Parse(line).RootElement)];
        Assert.Equal(["model", "student", "pruned", "q8", "q5", "q4", "q4-plain", "q2", "q2-plain", "second language, before", "second language, adapted"], models.Select(model => model.GetProperty("name").GetString()));
        foreach (JsonElement model in models)
        {
            Assert.InRange(model.GetProperty("question_accuracy").GetDouble(), 0, 1);
            Assert.True(model.GetProperty("bytes").GetInt64() > 0 && model.GetProperty("decode_tokens_per_second").GetDouble() > 0);
        }

        Assert.True(models[3].GetProperty("kl_divergence").GetDouble() <= models[8].GetProperty("kl_divergence").GetDouble());
        string html = File.ReadAllText(Path.Combine(output, "report.html"));
        Assert.Contains("<svg", html, StringComparison.Ordinal);
        Assert.DoesNotContain("http", html, StringComparison.Ordinal);

        // The same command finds everything finished; one whose last step is missing makes that one again.
        File.Delete(Path.Combine(output, "report.html"));
        string state = File.ReadAllText(Path.Combine(output, "demo.json"));
        File.WriteAllText(Path.Combine(output, "demo.json"), state[..state.LastIndexOf(',')] + "}}");
        Outcome again = KidogoProcess.Run("demo", "--quick", "--out", output);
        Assert.Equal(0, again.ExitCode);
        Assert.Contains("kept from before", again.Error, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(output, "report.html")));

        Outcome other = KidogoProcess.Run("demo", "--quick", "--out", output, "--seed", "5");
        Assert.Equal(1, other.ExitCode);
        Assert.Contains("--force", other.Error, StringComparison.Ordinal);
        Outcome compared = KidogoProcess.Run("compare", Path.Combine(output, "model"), Path.Combine(output, "model-q4.gguf"), "--stories", "2", "--level", "simple", "--no-speed", "--out", folder.At("compared"));
        Assert.Equal(0, compared.ExitCode);
        Assert.Contains("model-q4.gguf", compared.Output, StringComparison.Ordinal);
        Assert.True(File.Exists(folder.At("compared/report.md")));
    }

    [Fact]
    public void Demo_FolderOfOthers_IsLeftAlone()
    {
        using TemporaryFolder folder = new();
        string mine = folder.File("mine.txt", "mine");
        Outcome refused = KidogoProcess.Run("demo", "--quick", "--force", "--out", Path.GetDirectoryName(mine)!);
        Assert.Equal(1, refused.ExitCode);
        Assert.Equal("mine", File.ReadAllText(mine));
        Assert.Equal(["mine.txt"], Directory.GetFileSystemEntries(Path.GetDirectoryName(mine)!).Select(Path.GetFileName));
    }

    [Fact]
    public void Village_SameSeed_WritesTheSameFiles()
    {
        using TemporaryFolder folder = new();
        Assert.Equal(0, KidogoProcess.Run("village", folder.At("a"), "--stories", "20", "--language", "sw", "--seed", "4").ExitCode);
        Assert.Equal(0, KidogoProcess.Run("village", folder.At("b.jsonl"), "--stories", "20", "--language", "sw", "--seed", "4").ExitCode);
        Assert.Equal(File.ReadAllBytes(folder.At("a/stories.jsonl")), File.ReadAllBytes(folder.At("b.jsonl")));
        Assert.Equal(20, File.ReadAllLines(folder.At("a/conversations.jsonl")).Length);
        Outcome wrong = KidogoProcess.Run("village", folder.At("c"), "--language", "fn");
        Assert.Equal(2, wrong.ExitCode);
        Assert.Contains("en, fr, sw", wrong.Error, StringComparison.Ordinal);
    }
}
