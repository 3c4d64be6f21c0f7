// Inputs that are damaged, endless, or the very files that are written: a sentence, and nothing lost.
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Kidogo.TestSupport;

namespace Kidogo.EndToEndTests;

public sealed class HostileInputTests
{
    private const float Tolerance = 1e-4f; // absolute and relative, as the golden files' README has it

    private static string TinyModel => SharedFolder.PathOf("golden", "families", "llama", "model.gguf");

    [SharedFact]
    public void Logits_OutIsTheModelOrTheIds_IsRefusedAndNothingIsLost()
    {
        using TemporaryFolder folder = new();
        string ids = folder.File("ids", "1 2 3"), model = folder.At("m.gguf"), link = folder.At("link.gguf");
        File.Copy(TinyModel, model);
        File.CreateSymbolicLink(link, model);
        foreach (string output in (string[])[model, link, ids])
        {
            AssertFails(KidogoProcess.Run("logits", model, "--ids", ids, "--out", output), "written over");
        }

        AssertFails(KidogoProcess.Run("quantize", link, model, "--format", "Q8_0"), "written over");
        AssertFails(KidogoProcess.Run("convert", model, link, "--format", "F16"), "written over");
        Assert.Equal(File.ReadAllBytes(TinyModel), File.ReadAllBytes(model));
        Assert.Equal("1 2 3", File.ReadAllText(ids));
    }

    [SharedFact]
    public void DamagedWeights_InEveryVerb_NameTheModelAndLeaveNoFile()
    {
        using TemporaryFolder folder = new();
        string model = folder.At("nan.gguf"), ids = folder.File("ids", "1 2 3 4"), output = folder.At("out.f32");
        byte[] bytes = File.ReadAllBytes(TinyModel);
        bytes.AsSpan(bytes.Length / 2).Fill(0xFF); // every float32 a NaN
        File.WriteAllBytes(model, bytes);
        foreach (string[] arguments in (string[][])
        [
            ["run", model, "hi", "--raw", "--max-tokens", "3"],
            ["run", model, "hi", "--raw", "--max-tokens", "3", "--exact"],
            ["next", model, "hi"],
            ["logits", model, "--ids", ids, "--out", output],
            ["logits", model, "--ids", ids, "--out", output, "--exact"],
            ["eval", "perplexity", model, "--ids", ids, "--context", "4"],
        ])
        {
            Outcome outcome = KidogoProcess.Run(arguments);
            AssertFails(outcome, "weights are damaged");
            Assert.Contains("nan.gguf", outcome.Error, StringComparison.Ordinal);
        }

        Assert.False(File.Exists(output));
    }

    [SharedFact]
    public void LogitBias_ThatForbidsEveryToken_IsToldOfTheOption()
    {
        string[] biases = [.. Enumerable.Range(0, 272).SelectMany(id => (string[])["--logit-bias", $"{id}=-inf"])];
        AssertFails(KidogoProcess.Run(["run", TinyModel, "hi", "--raw", "--max-tokens", "3", .. biases]), "--logit-bias");
    }

    [SharedFact]
    public void EndlessInputs_AreRefusedWithASentence()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        using TemporaryFolder folder = new();
        string pipe = folder.At("pipe"), output = folder.At("out.f32"), sparse = folder.At("sparse");
        using (Process make = Process.Start("mkfifo", [pipe]))
        {
            make.WaitForExit();
        }

        using (FileStream stream = File.Create(sparse))
        {
            stream.SetLength(4L << 30);
        }

        foreach (string file in (string[])["/dev/zero", pipe])
        {
            AssertFails(KidogoProcess.Run("logits", TinyModel, "--ids", file, "--out", output), "not a regular file");
            AssertFails(KidogoProcess.Run("eval", "perplexity", TinyModel, "--text", file), "not a regular file");
            AssertFails(KidogoProcess.Run("inspect", file), "not a regular file");
        }

        AssertFails(KidogoProcess.Run("logits", TinyModel, "--ids", sparse, "--out", output), "4294967296 bytes; at most");
        AssertFails(KidogoProcess.Run("eval", "perplexity", TinyModel, "--text", sparse), "4294967296 bytes; at most");
        AssertFails(KidogoProcess.Run("logits", TinyModel, "--ids", folder.File("ids", string.Concat(Enumerable.Repeat("5\n", 100_000))), "--out", output), "holds more than 128 token ids");
        Assert.Equal("1 2 3", File.ReadAllText(folder.File("three", "1 2 3")));
        Outcome standard = KidogoProcess.RunWith("1 2 3", "logits", TinyModel, "--ids", "/dev/stdin", "--out", output);
        Assert.True(standard.ExitCode == 0, standard.Error);
    }

    [SharedFact]
    public void Run_IdsOnAFolderWithoutATokenizer_PrintsTheGoldenIds()
    {
        using TemporaryFolder folder = new();
        string model = SharedFolder.PathOf("golden", "families", "qwen3");
        int[] sequence = Tokens(model)[0];
        using JsonDocument expected = JsonDocument.Parse(File.ReadAllText(Path.Combine(model, "expected.json")));
        string greedy = expected.RootElement.GetProperty("greedy").GetRawText();
        Outcome outcome = KidogoProcess.Run("run", model, "--ids", folder.File("ids", string.Join(' ', sequence[..8])), "--temperature", "0", "--max-tokens", "16", "--exact");
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        string[] ids = outcome.Output.Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(16, ids.Length);
        Assert.Contains(string.Join(',', ids), new string([.. greedy.Where(c => !char.IsWhiteSpace(c))]), StringComparison.Ordinal);
    }

    [SharedFact]
    public void Logits_DynamicRotation_GoesBeyondThePositionsOfTheConfiguration()
    {
        using TemporaryFolder folder = new();
        string model = SharedFolder.PathOf("golden", "families", "llama-dynamic"), output = folder.At("out.f32");
        int[][] sequences = Tokens(model);
        Outcome outcome = KidogoProcess.Run("logits", model, "--ids", folder.File("ids", string.Join(' ', sequences[1])), "--out", output, "--exact");
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        float[] logits = Floats(output), golden = Floats(Path.Combine(model, "logits.f32"))[^logits.Length..];
        for (int i = 0; i < logits.Length; i++)
        {
            Assert.InRange(logits[i], golden[i] - Tolerance - (Tolerance * MathF.Abs(golden[i])), golden[i] + Tolerance + (Tolerance * MathF.Abs(golden[i])));
        }
    }

    [SharedFact]
    public void SmallSlips_AreNamed()
    {
        using TemporaryFolder folder = new();
        AssertFails(KidogoProcess.Run("run", TinyModel, "hi", "--raw", "--chat-template", "nosuch"), "no chat template \"nosuch\"");
        Assert.Contains("2147483647", KidogoProcess.Run("run", TinyModel, "hi", "--top-k", "99999999999").Error, StringComparison.Ordinal);
        Assert.Contains("made for", KidogoProcess.Run("doctor", TinyModel, "--context", "100000").Error, StringComparison.Ordinal);
        Outcome invalid = KidogoProcess.RunBytes([(byte)'a', 0xFF, 0xFE, (byte)'b'], ["tokenize", TinyModel]);
        Assert.Contains("2 bytes of standard input are no valid UTF-8", invalid.Error, StringComparison.Ordinal);
        string template = folder.File("t.jinja", "{{ messages }}");
        AssertFails(KidogoProcess.Run("template", template, "--messages", folder.File("m.json", "[{\"role\":1,\"content\":\"x\"}]")), "a role that is a number");
        Outcome empty = KidogoProcess.Run("template", template, "--messages", folder.File("e.json", ""));
        AssertFails(empty, "there is nothing in it");
        Assert.DoesNotContain("isFinalBlock", empty.Error, StringComparison.Ordinal);
    }

    private static void AssertFails(Outcome outcome, string expected)
    {
        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains(expected, outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("defect", outcome.Error, StringComparison.Ordinal);
    }

    private static int[][] Tokens(string model)
    {
        using JsonDocument tokens = JsonDocument.Parse(File.ReadAllText(Path.Combine(model, "tokens.json")));
        JsonElement root = tokens.RootElement.ValueKind == JsonValueKind.Object ? tokens.RootElement.EnumerateObject().First().Value : tokens.RootElement;
        return [.. root.EnumerateArray().Select(row => row.EnumerateArray().Select(id => id.GetInt32()).ToArray())];
    }

    private static float[] Floats(string path) => MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(path)).ToArray();
}
