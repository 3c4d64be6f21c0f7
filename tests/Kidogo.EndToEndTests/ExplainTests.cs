// kidogo explain as people and scripts use it: names of --json, widths, wrong use.
using System.Text.Json;
using Kidogo.TestSupport;

namespace Kidogo.EndToEndTests;

public sealed class ExplainTests
{
    private static string TinyModel => SharedFolder.PathOf("golden", "families", "llama", "model.gguf");

    [Fact]
    public void Int8_BuiltIn_HasItsNamesAndCodes()
    {
        JsonElement json = KidogoProcess.Run("explain", "int8", "--json").Json();
        JsonNamesTests.AssertNames(json, "matrix", "scales", "codes", "restored", "errors", "largest_error", "half_step", "root_mean_square_error", "bytes_before", "bytes_after");
        Assert.Equal("[121,-54,83,2]", json.GetProperty("codes")[0].GetRawText());
        Assert.Equal(0.020866142f, json.GetProperty("scales")[0].GetSingle());
    }

    [Fact]
    public void Int8_FileInputAndOption_AreRead()
    {
        using TemporaryFolder folder = new();
        string file = folder.File("m.txt", "\uFEFF1 2\n3 4\n");
        string expected = KidogoProcess.Run("explain", "int8", "--matrix", "1 2; 3 4").Output;
        Assert.Contains("   95  127", expected, StringComparison.Ordinal);
        Assert.Equal(expected, KidogoProcess.Run("explain", "int8", file).Output);
        Assert.Equal(expected, KidogoProcess.RunWith("1,2\n3,4", "explain", "int8", "-").Output);
    }

    [Fact]
    public void Distil_HasItsNames() => JsonNamesTests.AssertNames(
        KidogoProcess.Run("explain", "distil", "--temperature", "3", "--json").Json(),
        "temperature", "teacher_weight", "label_weight", "label", "teacher", "student", "distance", "teacher_loss", "label_loss", "loss", "gradient");

    [Fact]
    public void Lora_HasItsNames() =>
        JsonNamesTests.AssertNames(KidogoProcess.Run("explain", "lora", "--json").Json(), "weights", "b", "a", "rank", "alpha", "change", "adapted", "parameters", "trainable_parameters");

    [SharedFact]
    public void Attention_HasItsNames()
    {
        JsonElement json = KidogoProcess.Run("explain", "attention", TinyModel, "a b c", "--layer", "1", "--json").Json();
        JsonNamesTests.AssertNames(json, "ids", "pieces", "heads");
        JsonElement head = json.GetProperty("heads")[0];
        JsonNamesTests.AssertNames(head, "layer", "head", "first", "previous", "itself", "others", "picked", "weights");
        Assert.Equal(1, head.GetProperty("layer").GetInt32());
        Assert.Equal(json.GetProperty("ids").GetArrayLength(), head.GetProperty("weights").GetArrayLength());
        Assert.Equal(1, head.GetProperty("weights")[0][0].GetDouble());
        string picture = KidogoProcess.Run("explain", "attention", TinyModel, "a b c").Output;
        Assert.Contains("Layer ", picture, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', picture);
        Assert.All(picture.Split('\n'), line => Assert.InRange(line.Length, 0, 79));
    }

    [SharedFact]
    public void Length_HasItsNames()
    {
        Outcome outcome = KidogoProcess.Run("explain", "length", TinyModel, "--longest", "16", "--json");
        Assert.Equal(0, outcome.ExitCode);
        JsonElement[] lines = [.. outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)];
        Assert.Equal([2, 4, 8, 16], lines.Select(line => line.GetProperty("tokens").GetInt32()));
        JsonNamesTests.AssertNames(lines[0], "tokens", "seconds", "attention_seconds", "cache_bytes", "matrix_bytes");
    }

    [Theory]
    [InlineData(2, "int8, attention, distil, lora, length", "explain")]
    [InlineData(2, "lora", "explain", "lorra")]
    [InlineData(1, "There is no file absent.txt", "explain", "int8", "absent.txt")]
    [InlineData(2, "two matrices", "explain", "int8", "-", "--matrix", "1")]
    [InlineData(1, "\"x\" in row 1", "explain", "int8", "--matrix", "x")]
    [InlineData(2, "temperature", "explain", "distil", "--temperature", "0")]
    [InlineData(2, "forward-kl", "explain", "distil", "--distance", "far")]
    [InlineData(1, "same length", "explain", "distil", "--teacher", "1 2", "--student", "1 2 3")]
    [InlineData(2, "belong together", "explain", "lora", "--b", "1")]
    [InlineData(2, "--head is one of a layer", "explain", "attention", "hi", "--head", "1")]
    [InlineData(2, "the text is missing", "explain", "attention", "m.gguf")]
    [InlineData(1, "There is no model", "explain", "length", "absent.gguf")]
    public void WrongUse_IsOneLine(int status, string expected, params string[] arguments)
    {
        Outcome outcome = KidogoProcess.Run(arguments);
        Assert.Equal(status, outcome.ExitCode);
        Assert.Contains(expected, outcome.Error, StringComparison.Ordinal);
        Assert.Single(outcome.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Empty(outcome.Output);
    }
}
