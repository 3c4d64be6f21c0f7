// kidogo sweep as a process: from a recipe with a list to the best, its report, and the names of --json.
using System.Text.Json;

namespace Kidogo.EndToEndTests.Training;

public sealed class SweepVerbTests
{
    [Fact]
    public void Sweep_OfTwoRates_FindsTheBetterAndWritesTheReport()
    {
        using TemporaryFolder folder = new();
        string texts = folder.File("texts.txt", string.Join("\n\n", Enumerable.Range(0, 300).Select(i => $"mto {i % 7} wa maji na mlima {i % 5}.")));
        string recipe = folder.File("r.yaml", $"data: {texts}\ntokenizer: {{kind: bpe, vocabulary: 260}}\nsize: 100k\ncontext: 16\nbatch: 2\nsteps: 8\nheld_out: 0.1\neval_tokens: 512\nlearning_rate: [1e-5, 3e-3]\n");
        string output = folder.At("sweep");
        JsonElement json = KidogoProcess.Run("sweep", recipe, "--minutes", "600", "--out", output, "--json").Json();
        JsonNamesTests.AssertNames(json, "best", "complete", "unit", "runs");
        Assert.Equal("run-02", json.GetProperty("best").GetString());
        Assert.True(json.GetProperty("complete").GetBoolean());
        JsonElement best = json.GetProperty("runs")[0];
        JsonNamesTests.AssertNames(best, "name", "folder", "values", "steps", "scores", "failure");
        JsonNamesTests.AssertNames(best.GetProperty("scores")[0], "step", "tokens", "eval_loss", "eval_bits_per_byte");
        Assert.Equal("3e-3", best.GetProperty("values").GetProperty("learning_rate").GetString());
        Assert.True(File.Exists(Path.Combine(output, "run-02", "model.safetensors")));

        // The report's numbers are those of the JSON, and the same command again computes nothing.
        string html = File.ReadAllText(Path.Combine(output, "report.html"));
        Assert.Contains("<svg", html, StringComparison.Ordinal);
        Assert.DoesNotContain("http://", html.Replace("http://www.w3.org", "", StringComparison.Ordinal), StringComparison.Ordinal);
        foreach (JsonElement score in json.GetProperty("runs").EnumerateArray().SelectMany(run => run.GetProperty("scores").EnumerateArray()))
        {
            Assert.Contains($"data-value=\"{score.GetProperty("eval_bits_per_byte").GetRawText()}\"", html, StringComparison.Ordinal);
        }

        Outcome again = KidogoProcess.Run("sweep", recipe, "--minutes", "600", "--out", output);
        Assert.Equal(0, again.ExitCode);
        Assert.StartsWith("run      bits per byte", again.Output, StringComparison.Ordinal);
        Assert.Contains("The best is run-02 (learning_rate 3e-3)", again.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("rung", again.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, "--minutes", "sweep", "--data", "x", "--out", "o")]
    [InlineData(2, "There is no recipe absent.yaml", "sweep", "absent.yaml", "--minutes", "1", "--out", "o")]
    [InlineData(2, "nothing to choose from", "sweep", "--data", "x", "--minutes", "1", "--out", "o")]
    [InlineData(2, "sweep has one of it", "sweep", "--data", "x", "--steps", "[1, 2]", "--minutes", "1", "--out", "o")]
    [InlineData(2, "not an option", "sweep", "--data", "x", "--learning-rat", "[1, 2]", "--minutes", "1", "--out", "o")]
    public void WrongUse_IsOneLine(int status, string expected, params string[] arguments)
    {
        Outcome outcome = KidogoProcess.Run(arguments);
        Assert.Equal(status, outcome.ExitCode);
        Assert.Contains(expected, outcome.Error, StringComparison.Ordinal);
        Assert.Single(outcome.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.False(Directory.Exists("o"));
    }
}
