// The names of --json are a promise: exactly these, in every verb.
using System.Text.Json;
using Kidogo.TestSupport;

namespace Kidogo.EndToEndTests;

public sealed class JsonNamesTests
{
    private static string TinyModel => SharedFolder.PathOf("golden", "families", "llama", "model.gguf");

    private static string RealModel => SharedFolder.PathOf("models", "SmolLM2-135M-Instruct.Q4_1.gguf");

    [SharedFact]
    public void Run_HasItsNames()
    {
        using TemporaryFolder folder = new();
        JsonElement json = KidogoProcess.Run("run", RealModel, "Say hi.", "--json", "--temperature", "0", "--max-tokens", "4").Json();
        AssertNames(json, "text", "ids", "finish_reason", "prompt_tokens", "completion_tokens", "first_token_seconds", "decode_tokens_per_second");
        Assert.Equal(4, json.GetProperty("ids").GetArrayLength());
        Assert.Equal(4, json.GetProperty("completion_tokens").GetInt32());
        Assert.Equal("length", json.GetProperty("finish_reason").GetString());
    }

    [SharedFact]
    public void Next_HasItsNames()
    {
        JsonElement json = KidogoProcess.Run("next", RealModel, "The capital of France is", "--top", "3", "--json").Json();
        AssertNames(json, "next");
        Assert.Equal(3, json.GetProperty("next").GetArrayLength());
        foreach (JsonElement token in json.GetProperty("next").EnumerateArray())
        {
            AssertNames(token, "id", "piece", "probability");
        }

        Assert.Equal(" Paris", json.GetProperty("next")[0].GetProperty("piece").GetString());
    }

    [SharedFact]
    public void Inspect_HasItsNames()
    {
        JsonElement json = KidogoProcess.Run("inspect", TinyModel, "--json").Json();
        AssertNames(json, "architecture", "parameters", "bytes", "bits_per_weight", "context_length", "memory_bytes", "tensors");
        Assert.Equal("llama", json.GetProperty("architecture").GetString());
        Assert.Equal(new FileInfo(TinyModel).Length, json.GetProperty("bytes").GetInt64());
        Assert.Equal(32, json.GetProperty("bits_per_weight").GetDouble());
        AssertNames(json.GetProperty("tensors")[0], "name", "shape", "format", "bytes");
    }

    [SharedFact]
    public void Logits_HasItsNamesAndWritesTheFile()
    {
        using TemporaryFolder folder = new();
        string output = folder.At("out.f32");
        JsonElement json = KidogoProcess.Run("logits", TinyModel, "--ids", folder.File("ids", "1 2\n3\t4 "), "--out", output, "--exact", "--json").Json();
        AssertNames(json, "tokens", "vocabulary", "seconds");
        Assert.Equal(4, json.GetProperty("tokens").GetInt32());
        Assert.Equal(4L * 4 * json.GetProperty("vocabulary").GetInt32(), new FileInfo(output).Length);
    }

    [SharedFact]
    public void Tokenize_HasItsNames()
    {
        Outcome outcome = KidogoProcess.RunWith("Hello world", "tokenize", RealModel, "--json");
        AssertNames(outcome.Json(), "ids", "pieces");
        Assert.Equal("Hello world", string.Concat(outcome.Json().GetProperty("pieces").EnumerateArray().Select(piece => piece.GetString())));
    }

    [SharedFact]
    public void Bench_PrintsALineARepetition()
    {
        Outcome outcome = KidogoProcess.Run("bench", TinyModel, "--prompt", "8", "--generate", "2", "--repeat", "2", "--batch", "2", "--json");
        Assert.Equal(0, outcome.ExitCode);
        string[] lines = outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2, lines.Length);
        foreach (string line in lines)
        {
            using JsonDocument document = JsonDocument.Parse(line);
            AssertNames(document.RootElement, "prefill_tokens_per_second", "decode_tokens_per_second", "first_token_seconds", "load_seconds", "peak_memory_bytes");
        }
    }

    [SharedFact]
    public void Eval_HasItsNames()
    {
        using TemporaryFolder folder = new();
        string ids = folder.File("ids", string.Join(' ', Enumerable.Range(0, 40).Select(i => (i * 7 % 60) + 3)));
        JsonElement perplexity = KidogoProcess.Run("eval", "perplexity", TinyModel, "--ids", ids, "--context", "16", "--json").Json();
        AssertNames(perplexity, "nll", "perplexity", "bits_per_byte", "tokens");
        AssertNames(KidogoProcess.Run("eval", "perplexity", TinyModel, "--ids", ids, "--context", "16", "--accuracy", "--json").Json(), "nll", "perplexity", "bits_per_byte", "tokens", "next_token_accuracy");
        Assert.Equal(16, perplexity.GetProperty("tokens").GetInt32()); // two windows of 16, half of each; the rest dropped
        string logits = folder.At("base.f32");
        Assert.Equal(0, KidogoProcess.Run("logits", TinyModel, "--ids", ids, "--out", logits).ExitCode);
        foreach (string against in (string[])[logits, TinyModel])
        {
            JsonElement divergence = KidogoProcess.Run("eval", "divergence", TinyModel, "--base", against, "--ids", ids, "--json").Json();
            AssertNames(divergence, "kl_divergence", "kl_p99", "top1_agreement", "tokens");
            Assert.Equal(0, divergence.GetProperty("kl_divergence").GetDouble());
            Assert.Equal(1, divergence.GetProperty("top1_agreement").GetDouble());
            Assert.Equal(40, divergence.GetProperty("tokens").GetInt32());
        }
    }

    [Fact]
    public void Doctor_KnowsTheMachine()
    {
        JsonElement json = KidogoProcess.Run("doctor", "--json").Json();
        AssertNames(json, "processor", "cores", "threads", "instructions", "caches", "memory_bytes", "available_bytes", "limit_bytes", "bandwidth_bytes_per_second", "fits");
        Assert.InRange(json.GetProperty("cores").GetInt32(), 1, Environment.ProcessorCount);
        Assert.True(json.GetProperty("bandwidth_bytes_per_second").GetDouble() > 0);
        Assert.True(json.GetProperty("available_bytes").GetInt64() <= json.GetProperty("memory_bytes").GetInt64());
    }

    internal static void AssertNames(JsonElement json, params string[] names) => Assert.Equal(names.Order(), json.EnumerateObject().Select(member => member.Name).Order());
}
