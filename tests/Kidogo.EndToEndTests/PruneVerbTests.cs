// kidogo prune as a process: names of --json, wrong uses, targets that cannot be, healing in rounds, and a run after it.
using System.Text.Json;
using Kidogo.TestSupport;

namespace Kidogo.EndToEndTests;

public sealed class PruneVerbTests
{
    private const string Sentence = "the fox and the dog and the fox see the lake. ";

    private static string TinyModel => SharedFolder.PathOf("golden", "families", "llama", "model.gguf");

    [SharedFact]
    public void Prune_OfWeights_HasItsNamesAndAPassportAndAReport()
    {
        using TemporaryFolder folder = new();
        string output = folder.At("sparse.gguf"), text = folder.File("text.txt", string.Concat(Enumerable.Repeat(Sentence, 60)));
        JsonElement json = KidogoProcess.Run("prune", TinyModel, output, "--method", "wanda", "--sparsity", "2:4", "--text", text, "--context", "32", "--report", folder.At("report.md"), "--json").Json();
        Assert.Equal(new FileInfo(output).Length, json.GetProperty("bytes").GetInt64());
        Assert.InRange(json.GetProperty("sparsity").GetDouble(), 0.499, 0.501);
        Assert.Equal(json.GetProperty("parameters_before").GetInt64(), json.GetProperty("parameters").GetInt64());
        Assert.All(json.GetProperty("tensors").EnumerateArray(), tensor => Assert.Equal(["name", "shape", "sparsity"], tensor.EnumerateObject().Select(member => member.Name)));
        Assert.True(json.GetProperty("kl_divergence").GetDouble() > 0);
        Assert.Contains("| perplexity |", File.ReadAllText(folder.At("report.md")), StringComparison.Ordinal);
        using JsonDocument report = JsonDocument.Parse(File.ReadAllBytes(folder.At("report.json")));
        Assert.Equal("sparse.gguf", report.RootElement.GetProperty("output").GetString());
        Assert.Equal(0, KidogoProcess.Run("verify", output, "--parent", TinyModel).ExitCode);
    }

    [SharedFact]
    public void Prune_ToATarget_ReachesItOrSaysTheSmallest()
    {
        using TemporaryFolder folder = new();
        string text = folder.File("text.txt", string.Concat(Enumerable.Repeat(Sentence, 20)));
        JsonElement json = KidogoProcess.Run("prune", TinyModel, folder.At("part"), "--share", "0.9", "--multiple", "8", "--per", "model", "--by", "taylor", "--text", text, "--context", "32", "--json").Json();
        Assert.True(json.GetProperty("parameters").GetInt64() <= 0.9 * json.GetProperty("parameters_before").GetInt64());
        Assert.Equal(0, KidogoProcess.Run("run", folder.At("part"), "--raw", "the fox", "--max-tokens", "4", "--temperature", "0").ExitCode);
        Outcome impossible = KidogoProcess.Run("prune", TinyModel, folder.At("none.gguf"), "--parameters", "100", "--text", text, "--context", "32");
        Assert.Equal(1, impossible.ExitCode);
        Assert.Contains("the smallest that can is", impossible.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(folder.At("none.gguf")));
    }

    [SharedFact]
    public void Prune_WithHealingInRounds_LeavesASparseModelAndNothingElse()
    {
        using TemporaryFolder folder = new();
        string text = folder.File("text.txt", string.Concat(Enumerable.Range(0, 100).Select(i => $"{i} {Sentence}\n\n"))); // equal texts would all be held out, or none
        JsonElement json = KidogoProcess.Run("prune", TinyModel, folder.At("healed.gguf"), "--sparsity", "0.5", "--heal", text, "--steps", "4", "--rounds", "2", "--batch", "2", "--context", "16", "--json").Json();
        Assert.InRange(json.GetProperty("sparsity").GetDouble(), 0.499, 0.501);
        Assert.Equal(["healed.gguf", "text.txt"], Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName).Order());
    }

    [SharedTheory]
    [InlineData("--sparsity", "1.5")]
    [InlineData("--sparsity", "4:2")]
    [InlineData("--sparsity", "0.5", "--neurons", "0.5")]
    [InlineData("--method", "wanda")]
    [InlineData("--method", "structured")]
    [InlineData("--neurons", "0.5")]
    [InlineData("--parameters", "1M", "--bytes", "1M")]
    [InlineData("--speed", "0.5x")]
    [InlineData("--share", "0.5", "--structures", "neurone")]
    [InlineData("--sparsity", "0.5", "--steps", "5")]
    [InlineData("--sparsity", "0.5", "--format", "Q4_9")]
    [InlineData("--sparsity", "0.5", "--rounds", "2")]
    public void Prune_OfWhatCannotBe_IsAWrongUse(params string[] arguments)
    {
        using TemporaryFolder folder = new();
        Outcome outcome = KidogoProcess.Run(["prune", TinyModel, folder.At("out.gguf"), .. arguments]);
        Assert.Equal(2, outcome.ExitCode);
        Assert.Single(outcome.Error.TrimEnd().Split('\n'));
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }
}
