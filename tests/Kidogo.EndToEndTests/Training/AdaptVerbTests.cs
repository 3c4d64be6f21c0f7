// kidogo adapt, --adapter and merge as processes: from a tiny model to an adapter that runs, resumes bit for bit, and merges.
using System.Diagnostics;
using System.Text.Json;

namespace Kidogo.EndToEndTests.Training;

public sealed class AdaptVerbTests
{
    private static readonly string[] s_model = ["--size", "60k", "--tokenizer", "{kind: bpe, vocabulary: 300}", "--context", "32", "--batch", "4", "--steps", "8", "--eval-every", "0", "--sample-every", "0"];
    /// <summary>Nats a token: a tenth of what the twelve steps give. Words that a model so young finds likeliest may stay the same.</summary>
    private const double LeastLearned = 0.005;

    private static readonly string[] s_adapter = ["--context", "32", "--batch", "8", "--accumulate", "2", "--rank", "4", "--learning-rate", "0.01"];

    [Fact]
    public void Adapt_OnAQuantisedModel_LeavesAnAdapterThatRunsAndMerges()
    {
        using TemporaryFolder folder = new();
        string texts = TrainingTexts.Write(folder), model = folder.At("model"), gguf = folder.At("model.gguf"), output = folder.At("adapter");
        Succeed("train", ["--data", texts, .. s_model, "--out", model]);
        Succeed("quantize", [model, gguf, "--format", "Q8_0"]);
        Outcome adapted = Succeed("adapt", [gguf, output, "--data", texts, .. s_adapter, "--steps", "12", "--eval-every", "6", "--method", "dora", "--json"]);
        Assert.Contains("trainable parameters", adapted.Error, StringComparison.Ordinal);
        string[] lines = adapted.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(12, lines.Length);
        using (JsonDocument last = JsonDocument.Parse(lines[^1]))
        {
            Assert.True(last.RootElement.GetProperty("trainable_parameters").GetInt64() > 0);
            using JsonDocument first = JsonDocument.Parse(lines[0]);
            Assert.True(last.RootElement.GetProperty("loss").GetDouble() < first.RootElement.GetProperty("loss").GetDouble());
        }

        // The same base, quantised while it is loaded, gives the same adapter.
        Succeed("adapt", [model, folder.At("loaded"), "--data", texts, .. s_adapter, "--steps", "12", "--eval-every", "6", "--method", "dora", "--load-as", "Q8_0"]);
        Assert.Equal(Weights(output), Weights(folder.At("loaded")));
        string[] how = ["--raw", "mto", "--max-tokens", "8", "--temperature", "0", "--json"];
        string with = Succeed("run", [gguf, .. how, "--adapter", output]).Json().GetProperty("text").GetString()!;
        Assert.Equal(with, Succeed("run", [gguf, .. how, "--adapter", Path.Combine(output, "checkpoints", "step-12")]).Json().GetProperty("text").GetString());
        Succeed("next", [gguf, "mto", "--adapter", output]);
        Succeed("bench", [gguf, "--adapter", output, "--prompt", "8", "--generate", "4", "--repeat", "1"]);
        string[] judged = ["perplexity", gguf, "--text", Path.Combine(texts, "a.txt"), "--json"]; // windows of the model's context, which is below the usual 512
        double bare = Succeed("eval", judged).Json().GetProperty("nll").GetDouble();
        Assert.InRange(Succeed("eval", [.. judged, "--adapter", output]).Json().GetProperty("nll").GetDouble(), 0, bare - LeastLearned);
        JsonElement merged = Succeed("merge", [gguf, output, folder.At("merged.gguf"), "--json"]).Json();
        Assert.InRange(merged.GetProperty("kl_divergence").GetDouble(), 0, 0.1); // eight bits a weight
        Assert.True(merged.GetProperty("bytes").GetInt64() > 0);
        JsonElement claims = Succeed("verify", [folder.At("merged.gguf"), "--parent", gguf, "--parent", output, "--json"]).Json().GetProperty("claims");
        string[] parents = [.. claims.EnumerateArray().Where(claim => claim.GetProperty("holds").ValueKind == JsonValueKind.True).Select(claim => claim.GetProperty("name").GetString()!)];
        Assert.Contains($"parent {Path.GetFileName(gguf)}", parents);
        Assert.Contains($"adapter {Path.GetFileName(output)}", parents);
        Assert.InRange(Succeed("merge", [model, output, folder.At("merged"), "--json"]).Json().GetProperty("kl_divergence").GetDouble(), 0, 1e-3);

        Outcome over = KidogoProcess.Run(["merge", gguf, output, gguf]);
        Assert.Equal(1, over.ExitCode);
        Assert.Contains("what is read", over.Error, StringComparison.Ordinal);

        Succeed("train", ["--data", texts, .. s_model, "--seed", "9", "--out", folder.At("other")]);
        Outcome refused = KidogoProcess.Run(["run", folder.At("other"), .. how, "--adapter", output]);
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains("another base", refused.Error, StringComparison.Ordinal);
        Assert.Equal(1, KidogoProcess.Run(["run", gguf, .. how, "--adapter", folder.At("nothing")]).ExitCode);
    }

    [Theory]
    [InlineData("lora")]
    [InlineData("pissa")]
    public void Adapt_KilledAndResumed_EndsAsIfNeverStopped(string method)
    {
        using TemporaryFolder folder = new();
        string texts = TrainingTexts.Write(folder), model = folder.At("model");
        string whole = Path.Combine(folder.At("whole"), "adapter"), killed = Path.Combine(folder.At("killed"), "adapter"); // which gives adapters their name
        Succeed("train", ["--data", texts, .. s_model, "--out", model]);
        string[] recipe = [model, "--data", texts, .. s_adapter, "--steps", "60", "--checkpoint-every", "5", "--eval-every", "0", "--sample-every", "0", "--method", method, "--seed", "3"];
        Succeed("adapt", [.. recipe, "--out", whole, "--threads", "2"]);
        KillOnce(["adapt", .. recipe, "--out", killed, "--threads", "1"], Path.Combine(killed, "checkpoints", "step-5"));
        Succeed("adapt", ["--resume", killed, "--threads", "2"]);
        foreach (string file in (string[])["adapter_model.safetensors", "adapter_config.json", "checkpoints/step-60/optimizer.safetensors", "checkpoints/step-60/adapter_state.safetensors"])
        {
            Assert.True(File.ReadAllBytes(Path.Combine(whole, file)).AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(killed, file))), $"{file} differs");
        }
    }

    [Fact]
    public void Adapt_ThatCannotBe_SaysWhyAndLeavesNothing()
    {
        using TemporaryFolder folder = new();
        string texts = TrainingTexts.Write(folder), model = folder.At("model");
        Succeed("train", ["--data", texts, .. s_model, "--out", model]);
        (string[] Arguments, string Said)[] wrong =
        [
            (["--data", texts], "needs the model"),
            ([model], "names no data"),
            ([model, "--data", texts, "--targets", "q_prjo"], "q_proj"),
            ([model, "--data", texts, "--context", "4096"], "positions"),
            ([model, "--data", texts, "--method", "lorax"], "lora, rslora, dora, pissa"),
        ];
        foreach ((string[] arguments, string said) in wrong)
        {
            Outcome refused = KidogoProcess.Run(["adapt", .. arguments, "--out", folder.At("out")]);
            Assert.Equal(2, refused.ExitCode);
            Assert.Contains(said, refused.Error, StringComparison.Ordinal);
            Assert.False(Directory.Exists(folder.At("out")));
        }
    }

    /// <summary>Runs until a folder is there, then kills.</summary>
    private static void KillOnce(string[] arguments, string folder)
    {
        ProcessStartInfo start = new("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(KidogoProcess.Assembly);
        Array.ForEach(arguments, start.ArgumentList.Add);
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        SpinWait.SpinUntil(() => process.HasExited || Directory.Exists(folder), TimeSpan.FromSeconds(120));
        process.Kill();
        process.WaitForExit();
        Task.WaitAll(output, error);
    }

    private static Outcome Succeed(string verb, string[] arguments)
    {
        Outcome outcome = KidogoProcess.Run([verb, .. arguments]);
        Assert.True(outcome.ExitCode == 0, $"{verb}: {outcome.Error}");
        return outcome;
    }

    /// <summary>The data of an adapter's tensors, without the header, which names the base.</summary>
    private static byte[] Weights(string adapter)
    {
        byte[] file = File.ReadAllBytes(Path.Combine(adapter, "adapter_model.safetensors"));
        return file[(8 + (int)BitConverter.ToInt64(file))..];
    }
}
