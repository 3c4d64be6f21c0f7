// kidogo serve and kidogo key as people run them: the address, the same words as kidogo run, and an end by Ctrl-C.
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Kidogo.ServingTests;
using Kidogo.Tests.Models.Files;
using Kidogo.TestSupport;

namespace Kidogo.EndToEndTests;

public sealed class ServeTests
{
    private const string Question = "Why is the sky blue?";

    [SharedFact]
    public async Task Serve_Answers_AsRunDoes_AndEndsByCtrlC()
    {
        string model = SharedFolder.PathOf("models", "SmolLM2-135M-Instruct.Q4_1.gguf");
        Outcome run = KidogoProcess.Run("run", model, Question, "--temperature", "0", "--max-tokens", "8", "--threads", "1", "--json");
        string expected = run.Json().GetProperty("text").GetString()!;
        using Process server = Start("serve", model, "--port", "0", "--context", "512", "--threads", "1", "--log-requests");
        string ready = (await server.StandardOutput.ReadLineAsync())!;
        Assert.Contains("http://127.0.0.1:", ready, StringComparison.Ordinal);
        using HttpClient client = new() { BaseAddress = new Uri(ready[ready.IndexOf("http", StringComparison.Ordinal)..]), Timeout = TimeSpan.FromMinutes(2) };
        string body = $$"""{"model":"SmolLM2-135M-Instruct.Q4_1","messages":[{"role":"user","content":"{{Question}}"}],"temperature":0,"max_tokens":8}""";
        string[] answers = await Task.WhenAll(Enumerable.Range(0, 3).Select(async _ =>
        {
            using HttpResponseMessage response = await client.PostAsync("/v1/chat/completions", new StringContent(body, Encoding.UTF8, "application/json"));
            using JsonDocument document = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
            return document.RootElement.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
        }));
        Assert.All(answers, answer => Assert.Equal(expected, answer));
        using (Process.Start("kill", ["-INT", server.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]))
        {
            Assert.True(server.WaitForExit(60_000), "The server did not end.");
        }

        string log = await server.StandardError.ReadToEndAsync();
        Assert.True(server.ExitCode == 0, log);
        Assert.Contains("POST /v1/chat/completions 200", log, StringComparison.Ordinal);
        Assert.DoesNotContain("sky", log, StringComparison.Ordinal);
    }

    [Fact]
    public void Serve_ThatCannot_SaysWhy()
    {
        Outcome missing = KidogoProcess.Run("serve", "no-such-model.gguf");
        Assert.Equal(1, missing.ExitCode);
        Assert.Contains("no-such-model.gguf", missing.Error, StringComparison.Ordinal);
        Outcome host = KidogoProcess.Run("serve", "x.gguf", "--host", "example");
        Assert.Equal(2, host.ExitCode);
        Outcome origin = KidogoProcess.Run("serve", "x.gguf", "--allow-origin", "https://a.example/path");
        Assert.Equal(2, origin.ExitCode);
        Outcome certificate = KidogoProcess.Run("serve", "x.gguf", "--cert", "absent.pem");
        Assert.Equal(1, certificate.ExitCode);
        Assert.Contains("absent.pem", certificate.Error, StringComparison.Ordinal);
        Assert.Equal(2, KidogoProcess.Run("serve", "x.gguf", "--cert-key", "key.pem").ExitCode);
    }

    [SharedFact]
    public async Task Serve_AnEncoderBesideAModel_LoadsItWhenItIsAskedFor()
    {
        string decoder = SharedFolder.PathOf("models", "SmolLM2-135M-Instruct.Q4_1.gguf"), encoder = SharedFolder.PathOf("models", "all-MiniLM-L6-v2");
        using Process server = Start("serve", decoder, encoder, "--port", "0", "--context", "256", "--threads", "1");
        string ready = (await server.StandardOutput.ReadLineAsync())!;
        using HttpClient client = new() { BaseAddress = new Uri(ready[ready.IndexOf("http", StringComparison.Ordinal)..]), Timeout = TimeSpan.FromMinutes(2) };
        bool[] before = await LoadedAsync();
        Assert.Equal([true, false], before);
        using HttpResponseMessage answer = await client.PostAsync("/v1/embeddings", new StringContent("""{"model":"all-MiniLM-L6-v2","input":"maji"}""", Encoding.UTF8, "application/json"));
        using JsonDocument vectors = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        Assert.Equal(384, vectors.RootElement.GetProperty("data")[0].GetProperty("embedding").GetArrayLength());
        bool[] after = await LoadedAsync();
        Assert.Equal([true, true], after);
        using (Process.Start("kill", ["-INT", server.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]))
        {
            Assert.True(server.WaitForExit(60_000), "The server did not end.");
        }

        async Task<bool[]> LoadedAsync()
        {
            using JsonDocument models = JsonDocument.Parse(await client.GetStringAsync("/v1/models"));
            return [.. models.RootElement.GetProperty("data").EnumerateArray().Select(model => model.GetProperty("meta").GetProperty("loaded").GetBoolean())];
        }
    }

    [Fact]
    public async Task Serve_AClassifier_SaysWhatKidogoClassifySays()
    {
        using TestFolder folder = new();
        string encoder = TinyEncoder.Write(folder), mood = folder["mood"];
        string lines = string.Concat(Enumerable.Range(0, 40).Select(i => $"{{\"text\":\"good fish {i}\",\"label\":\"good\"}}\n{{\"text\":\"bad flood {i}\",\"label\":\"bad\"}}\n"));
        Outcome adapted = KidogoProcess.Run("adapt", encoder, mood, "--task", "classify", "--data", folder.Write("lines.jsonl", lines), "--threads", "1");
        Assert.True(adapted.ExitCode == 0, adapted.Error);
        JsonElement expected = KidogoProcess.RunWith("good fish 99\n", "classify", mood, "--json", "--threads", "1").Json();
        using Process server = Start("serve", folder.Write("tiny.gguf", TinyModel.File()), mood, "--port", "0", "--threads", "1");
        string ready = (await server.StandardOutput.ReadLineAsync())!;
        using HttpClient client = new() { BaseAddress = new Uri(ready[ready.IndexOf("http", StringComparison.Ordinal)..]), Timeout = TimeSpan.FromMinutes(2) };
        using HttpResponseMessage answer = await client.PostAsync("/v1/classify", new StringContent("""{"model":"mood","input":"good fish 99"}""", Encoding.UTF8, "application/json"));
        using JsonDocument told = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        JsonElement one = told.RootElement.GetProperty("data")[0];
        Assert.Equal(("good", expected.GetProperty("label").GetString()), (one.GetProperty("label").GetString(), "good"));
        Assert.Equal(expected.GetProperty("probabilities").GetRawText(), one.GetProperty("scores").GetRawText());
        server.Kill();
    }

    [Fact]
    public void Key_IsCreatedListedAndRevoked()
    {
        using TemporaryFolder folder = new();
        string file = folder.At("keys.json");
        Outcome created = KidogoProcess.Run("key", "create", "amina", "--tokens-per-minute", "1000", "--keys", file);
        Assert.Equal(0, created.ExitCode);
        Assert.Matches("^kidogo-[A-Za-z0-9_-]{43}\n$", created.Output);
        Assert.DoesNotContain(created.Output.Trim(), File.ReadAllText(file), StringComparison.Ordinal);
        JsonElement listed = KidogoProcess.Run("key", "list", "--keys", file, "--json").Json();
        Assert.Equal(("amina", 1000), (listed.GetProperty("name").GetString(), listed.GetProperty("tokens_per_minute").GetInt32()));
        Assert.Equal(1, KidogoProcess.Run("key", "create", "amina", "--keys", file).ExitCode);
        Assert.Equal(1, KidogoProcess.Run("key", "revoke", "aminah", "--keys", file).ExitCode);
        Assert.Equal(0, KidogoProcess.Run("key", "revoke", "amina", "--keys", file).ExitCode);
        Assert.Equal("", KidogoProcess.Run("key", "list", "--keys", file).Output);
    }

    internal static Process Start(params string[] arguments)
    {
        ProcessStartInfo start = new("dotnet") { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(KidogoProcess.Assembly);
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return Process.Start(start)!;
    }
}
