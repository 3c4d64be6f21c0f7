// Wrong use and bad input: the exit status, and one clear line on standard error.
using System.Text;
using Kidogo.TestSupport;

namespace Kidogo.EndToEndTests;

public sealed class CommandLineTests
{
    [Fact]
    public void NoArguments_SaysWhatItIsAndThreeCommands()
    {
        Outcome outcome = KidogoProcess.Run();
        Assert.Equal(0, outcome.ExitCode);
        Assert.Equal(3, outcome.Output.Split('\n').Count(line => line.StartsWith("  kidogo ", StringComparison.Ordinal)));
        Assert.Empty(outcome.Error);
    }

    [Fact]
    public void Version_PrintsOneLine()
    {
        Outcome outcome = KidogoProcess.Run("--version");
        Assert.Equal(0, outcome.ExitCode);
        Assert.Matches(@"^kidogo \d+\.\d+\.\d+\n$", outcome.Output);
    }

    [Fact]
    public void Help_ListsTheVerbsThatExistAndNoOthers()
    {
        string help = KidogoProcess.Run("--help").Output;
        string[] verbs =
        [
            "village", "demo", "compare", "explain", "sweep",
            "run", "next", "inspect", "tokenize", "detokenize", "template", "logits", "embed", "bench", "eval", "convert", "calibrate", "quantize", "trim-vocabulary", "verify", "tokenizer", "train",
            "adapt", "prefer", "learn", "classify", "merge", "distil", "prune", "serve", "key", "portal", "doctor", "pull", "list", "show", "remove", "export", "import", "advise",
        ];
        foreach (string verb in verbs)
        {
            Assert.Contains($"  {verb} ", help, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("tokenize", "tokenise")]
    [InlineData("bench", "benhc")]
    [InlineData("run --", "ru")]
    [InlineData("--temperature", "run", "m.gguf", "hi", "--temprature", "0")]
    [InlineData("--max-tokens", "run", "--max-token", "3", "hi")]
    [InlineData("perplexity", "eval", "perplexty")]
    [InlineData("perplexity, divergence", "eval")]
    [InlineData("from 0 to 100", "run", "m.gguf", "hi", "--temperature", "NaN")]
    [InlineData("from 0 to 100", "run", "m.gguf", "hi", "--temperature", "-1")]
    [InlineData("from 0 to 1", "run", "m.gguf", "hi", "--top-p", "1,5")]
    [InlineData("0 or more", "run", "m.gguf", "hi", "--top-k", "-3")]
    [InlineData("0 or more", "run", "m.gguf", "hi", "--max-tokens", "1e3")]
    [InlineData("from 1 to 1024", "run", "m.gguf", "hi", "--threads", "0")]
    [InlineData("from 0 to 18446744073709551615", "run", "m.gguf", "hi", "--seed", "-1")]
    [InlineData("f16, q8_0", "run", "m.gguf", "hi", "--kv-cache", "f8")]
    [InlineData("--ids", "logits", "m.gguf", "--out", "x.f32")]
    [InlineData("--messages", "template", "m.gguf")]
    [InlineData("MODEL", "inspect")]
    public void WrongUse_EndsWithTwoAndNamesWhatWasMeant(string expected, params string[] arguments)
    {
        Outcome outcome = KidogoProcess.Run(arguments);
        Assert.Equal(2, outcome.ExitCode);
        AssertOneLine(outcome);
        if (expected != "run --")
        {
            Assert.Contains(expected, outcome.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Model_ThatIsAbsent_NamesTheNearest()
    {
        using TemporaryFolder folder = new();
        folder.File("smollm-135m.gguf", "x");
        Outcome outcome = KidogoProcess.Run("inspect", folder.At("smolm-135m.gguf"));
        Assert.Equal(1, outcome.ExitCode);
        AssertOneLine(outcome);
        Assert.Contains("smollm-135m.gguf", outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Model_OfTheCache_IsFoundByItsName()
    {
        using TemporaryFolder folder = new();
        string snapshot = folder.At("models--some--model/snapshots/abc");
        Directory.CreateDirectory(snapshot);
        Directory.CreateDirectory(folder.At("models--some--model/refs"));
        folder.File("models--some--model/refs/main", "abc\n");
        folder.File("models--some--model/snapshots/abc/broken.gguf", "not a model");
        Outcome found = KidogoProcess.RunBytes([], ["inspect", "some/model"], start => start.Environment["HF_HUB_CACHE"] = folder.Path);
        Assert.Contains("broken.gguf", found.Error, StringComparison.Ordinal); // it was found; it is no model
        Outcome absent = KidogoProcess.RunBytes([], ["inspect", "some/modle"], start => start.Environment["HF_HUB_CACHE"] = folder.Path);
        Assert.Contains("some/model", absent.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("GGUF")]
    [InlineData("this is no model at all, only a text")]
    [InlineData("GGUF\u0003\0\0\0\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u007f")]
    public void File_ThatIsNoModel_IsRefusedInOneLine(string content)
    {
        using TemporaryFolder folder = new();
        string path = folder.At("bad.gguf");
        File.WriteAllBytes(path, Encoding.Latin1.GetBytes(content));
        foreach (string[] arguments in (string[][])[["inspect", path], ["tokenize", path], ["run", path, "hi"], ["logits", path, "--ids", path, "--out", folder.At("o.f32")]])
        {
            Outcome outcome = KidogoProcess.Run(arguments);
            Assert.Equal(1, outcome.ExitCode);
            AssertOneLine(outcome);
            Assert.Contains("bad.gguf", outcome.Error, StringComparison.Ordinal);
        }

        Assert.False(File.Exists(folder.At("o.f32")));
    }

    [Fact]
    public void Verbose_AddsTheStackTrace()
    {
        Outcome outcome = KidogoProcess.Run("inspect", "nowhere.gguf", "--verbose");
        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains("   at ", outcome.Error, StringComparison.Ordinal);
    }

    [SharedTheory]
    [InlineData("", "holds no token ids")]
    [InlineData("1 2 x3", "position 2")]
    [InlineData("1 2 999999", "position 2")]
    [InlineData("-1", "position 0")]
    [InlineData("99999999999999999999999999", "outside the model's vocabulary")]
    public void Logits_OfBadIds_SayWhichAndWhere(string ids, string expected)
    {
        using TemporaryFolder folder = new();
        string output = folder.At("out.f32");
        Outcome outcome = KidogoProcess.Run("logits", SharedFolder.PathOf("golden", "families", "llama", "model.gguf"), "--ids", folder.File("ids", ids), "--out", output);
        Assert.Equal(1, outcome.ExitCode);
        AssertOneLine(outcome);
        Assert.Contains(expected, outcome.Error, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(folder.Path, "*out.f32*"));
    }

    [SharedFact]
    public void Logits_WhoseFileCannotBe_SayWhy()
    {
        using TemporaryFolder folder = new();
        string model = SharedFolder.PathOf("golden", "families", "llama", "model.gguf"), ids = folder.File("ids", "1 2 3");
        Assert.Contains("is a folder", KidogoProcess.Run("logits", model, "--ids", ids, "--out", folder.Path).Error, StringComparison.Ordinal);
        Assert.Contains("does not exist", KidogoProcess.Run("logits", model, "--ids", ids, "--out", folder.At("no/where.f32")).Error, StringComparison.Ordinal);
        Assert.Contains("is a folder", KidogoProcess.Run("logits", model, "--ids", folder.Path, "--out", folder.At("o.f32")).Error, StringComparison.Ordinal);
        Assert.Contains("There is no file", KidogoProcess.Run("logits", model, "--ids", folder.At("none"), "--out", folder.At("o.f32")).Error, StringComparison.Ordinal);
        if (OperatingSystem.IsLinux())
        {
            Outcome full = KidogoProcess.Run("logits", model, "--ids", ids, "--out", "/dev/full");
            Assert.Equal(1, full.ExitCode);
            Assert.Contains("disk is full", full.Error, StringComparison.Ordinal);
        }
    }

    [SharedFact]
    public void Run_OfAnEmptyPrompt_SaysSo()
    {
        Outcome outcome = KidogoProcess.Run("run", SharedFolder.PathOf("golden", "tokenizers", "gpt-2.gguf"), "");
        Assert.NotEqual(0, outcome.ExitCode);
        AssertOneLine(outcome);
    }

    [SharedFact]
    public void Bench_BeyondTheContext_SaysTheNumbers()
    {
        Outcome outcome = KidogoProcess.Run("bench", SharedFolder.PathOf("golden", "families", "llama", "model.gguf"), "--prompt", "1000000");
        Assert.Equal(1, outcome.ExitCode);
        AssertOneLine(outcome);
        Assert.Contains("1000128", outcome.Error, StringComparison.Ordinal);
    }

    internal static void AssertOneLine(Outcome outcome)
    {
        Assert.Empty(outcome.Output);
        Assert.StartsWith("kidogo: ", outcome.Error, StringComparison.Ordinal);
        Assert.Equal(1, outcome.Error.Count(c => c == '\n'));
        Assert.DoesNotContain("   at ", outcome.Error, StringComparison.Ordinal);
    }
}
