// kidogo quantize from the outside: a size to hit, the report, and what is refused with nothing left behind.
using System.Globalization;
using System.Text.Json;
using Kidogo.TestSupport;

namespace Kidogo.EndToEndTests;

public sealed class QuantizeTests
{
    private static string Model => SharedFolder.PathOf("golden", "families", "phi");

    [SharedTheory]
    [InlineData("rtn")]
    [InlineData("gptq")]
    [InlineData("awq")]
    public void Quantize_BitsPerWeightWithReport_HitsThemAndTells(string method)
    {
        using TemporaryFolder folder = new();
        string output = folder.At("q.gguf"), ids = folder.File("ids.txt", Ids(1200));
        Outcome outcome = KidogoProcess.Run("quantize", Model, output, "--bits-per-weight", "7", "--method", method, "--ids", ids, "--tokens", "600", "--context", "32", "--report", folder.At("told.md"), "--json", "--threads", "1");
        Assert.InRange(outcome.Json().GetProperty("bits_per_weight").GetDouble(), 0.99 * 7, 1.01 * 7);
        Assert.False(Directory.Exists($"{output}.work"));
        string page = File.ReadAllText(folder.At("told.md"));
        Assert.Contains("equal first choices", page, StringComparison.Ordinal);
        Assert.Contains("blk.0.ffn_up.weight", page, StringComparison.Ordinal);
        using JsonDocument report = JsonDocument.Parse(File.ReadAllBytes(folder.At("told.json")));
        JsonElement root = report.RootElement;
        Assert.Equal(new FileInfo(output).Length, root.GetProperty("bytes").GetInt64());
        Assert.True(root.GetProperty("kl_p99").GetDouble() >= 0);
        Assert.InRange(root.GetProperty("top1_agreement").GetDouble(), 0, 1);
        foreach (string side in (string[])["before", "after"])
        {
            Assert.True(root.GetProperty(side).GetProperty("perplexity").GetDouble() > 1);
            Assert.True(root.GetProperty(side).GetProperty("bits_per_weight").GetDouble() > 1);
        }

        JsonElement tensor = root.GetProperty("tensors").EnumerateArray().First(each => each.GetProperty("name").GetString() == "blk.0.ffn_up.weight");
        Assert.True(tensor.GetProperty("sensitivity").GetDouble() >= 0 && tensor.GetProperty("relative_error").GetDouble() >= 0);
    }

    [SharedFact]
    public void Quantize_WorkFolderNamed_KeepsSensitivitiesForAnotherSize()
    {
        using TemporaryFolder folder = new();
        string ids = folder.File("ids.txt", Ids(600)), work = folder.At("work");
        string[] common = ["--ids", ids, "--context", "32", "--work", work, "--json", "--threads", "1"];
        KidogoProcess.Run(["quantize", Model, folder.At("a.gguf"), "--bits-per-weight", "6", .. common]).Json();
        DateTime written = File.GetLastWriteTimeUtc(Path.Combine(work, "sensitivity.json"));
        KidogoProcess.Run(["quantize", Model, folder.At("b.gguf"), "--bits-per-weight", "8", .. common]).Json();
        Assert.Equal(written, File.GetLastWriteTimeUtc(Path.Combine(work, "sensitivity.json")));
    }

    [SharedTheory]
    [InlineData(1, "smallest", "--bytes", "1kB")]
    [InlineData(1, "largest", "--bits-per-weight", "31.9", "--tensor", "ffn=Q8_0")]
    [InlineData(2, "--format", "--bytes", "60MB", "--format", "Q4_0")]
    [InlineData(2, "--bits-per-weight", "--bytes", "60MB", "--bits-per-weight", "4")]
    [InlineData(2, "--bytes", "--bytes", "sixty")]
    [InlineData(2, "--report-text", "--report-text", "there-is-none.txt", "--bytes", "60MB")]
    public void Quantize_TargetsThatCannotBe_AreRefusedWithNothingLeft(int status, string said, params string[] options)
    {
        using TemporaryFolder folder = new();
        string output = folder.At("q.gguf"), ids = folder.File("ids.txt", Ids(300));
        Outcome outcome = KidogoProcess.Run(["quantize", Model, output, "--ids", ids, "--context", "32", "--threads", "1", .. options]);
        Assert.Equal(status, outcome.ExitCode);
        Assert.Contains(said, outcome.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(output));
        Assert.Single(outcome.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [SharedFact]
    public void Quantize_SizeWithoutAText_AsksForOne()
    {
        using TemporaryFolder folder = new();
        Outcome outcome = KidogoProcess.Run("quantize", Model, folder.At("q.gguf"), "--bits-per-weight", "5");
        Assert.Equal(2, outcome.ExitCode);
        Assert.Contains("--text FILE", outcome.Error, StringComparison.Ordinal);
        outcome = KidogoProcess.Run("quantize", Model, folder.At("q.gguf"), "--format", "Q8_0", "--report", folder.At("r"));
        Assert.Equal(2, outcome.ExitCode);
        Assert.Contains("--report-text FILE", outcome.Error, StringComparison.Ordinal);
    }

    [SharedFact]
    public void Quantize_CalibrationOfAnotherModel_IsRefused()
    {
        using TemporaryFolder folder = new();
        string ids = folder.File("ids.txt", Ids(300)), importance = folder.At("i.gguf");
        Assert.Equal(0, KidogoProcess.Run("calibrate", SharedFolder.PathOf("golden", "families", "gemma2"), "--ids", ids, "--out", importance, "--context", "32", "--threads", "1").ExitCode);
        Outcome outcome = KidogoProcess.Run("quantize", Model, folder.At("q.gguf"), "--format", "Q4_0", "--calibration", importance);
        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains("another model", outcome.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(folder.At("q.gguf")));
    }

    private static string Ids(int count)
    {
        Random random = new(3);
        return string.Join('\n', Enumerable.Range(0, count).Select(_ => random.Next(4, 200).ToString(CultureInfo.InvariantCulture)));
    }
}
