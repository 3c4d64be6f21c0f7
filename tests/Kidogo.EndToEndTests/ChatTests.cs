// The chat in a pseudo-terminal, and one-shot answers: what people see.
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Kidogo.TestSupport;

namespace Kidogo.EndToEndTests;

public sealed class ChatTests
{
    private static string RealModel => SharedFolder.PathOf("models", "SmolLM2-135M-Instruct.Q4_1.gguf");

    [SharedFact]
    public void Run_PromptAndInput_AreJoinedByABlankLine()
    {
        string[] how = ["--json", "--max-tokens", "0"];
        int joined = KidogoProcess.RunWith("the input", ["run", RealModel, "The prompt", .. how]).Json().GetProperty("prompt_tokens").GetInt32();
        int whole = KidogoProcess.Run(["run", RealModel, "The prompt\n\nthe input", .. how]).Json().GetProperty("prompt_tokens").GetInt32();
        int piped = KidogoProcess.RunWith("The prompt\n\nthe input", ["run", RealModel, .. how]).Json().GetProperty("prompt_tokens").GetInt32();
        Assert.Equal(whole, joined);
        Assert.Equal(whole, piped);
    }

    [SharedFact]
    public void Run_ExactGreedyOfIds_IsTransformersContinuation()
    {
        using TemporaryFolder folder = new();
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllText(SharedFolder.PathOf("golden", "real", "smollm2-greedy.json")));
        JsonElement first = FirstWith(golden.RootElement, "margins");
        int[] prompt = Ints(first.EnumerateObject().First(member => member.Value.ValueKind == JsonValueKind.Array && member.Name.Contains("prompt", StringComparison.Ordinal)).Value);
        int[] expected = Ints(first.EnumerateObject().First(member => member.Value.ValueKind == JsonValueKind.Array && !member.Name.Contains("prompt", StringComparison.Ordinal)
            && member.Value.GetArrayLength() == 48 && member.Value[0].TryGetInt32(out _)).Value);
        JsonElement json = KidogoProcess.Run("run", RealModel, "--ids", folder.File("ids", string.Join('\n', prompt)), "--exact", "--temperature", "0", "--max-tokens", "12", "--json").Json();
        int[] ids = Ints(json.GetProperty("ids"));
        Assert.NotEmpty(ids);
        Assert.Equal(expected[..ids.Length], ids);
    }

    [SharedFact]
    public void Run_SameSeed_SameAnswerAndOnlyTheAnswerOnOutput()
    {
        string[] arguments = ["run", RealModel, "Tell me something.", "--seed", "7", "--max-tokens", "12"];
        Outcome first = KidogoProcess.Run(arguments), second = KidogoProcess.Run(arguments);
        Assert.Equal(0, first.ExitCode);
        Assert.Equal(first.Output, second.Output);
        Assert.Equal("", first.Error);
        string text = KidogoProcess.Run([.. arguments, "--json"]).Json().GetProperty("text").GetString()!;
        Assert.Equal(text.TrimEnd('\n'), first.Output.TrimEnd('\n'));
    }

    [SharedFact]
    public void Run_StopString_EndsBeforeIt()
    {
        JsonElement json = KidogoProcess.Run("run", RealModel, "--raw", "1, 2, 3, 4,", "--temperature", "0", "--max-tokens", "40", "--stop", " 9", "--json").Json();
        Assert.Equal("stop", json.GetProperty("finish_reason").GetString());
        Assert.EndsWith("8,", json.GetProperty("text").GetString(), StringComparison.Ordinal);
    }

    [SharedFact]
    public void Run_LogitBias_ForbidsAToken()
    {
        string[] arguments = ["run", RealModel, "--raw", "The capital of France is", "--temperature", "0", "--max-tokens", "1", "--json"];
        int likeliest = KidogoProcess.Run(arguments).Json().GetProperty("ids")[0].GetInt32();
        int other = KidogoProcess.Run([.. arguments, "--logit-bias", $"{likeliest}=-inf"]).Json().GetProperty("ids")[0].GetInt32();
        Assert.NotEqual(likeliest, other);
    }

    [SharedFact]
    public void Run_PromptBeyondTheContext_SaysTheNumbers()
    {
        Outcome outcome = KidogoProcess.RunWith(string.Concat(Enumerable.Repeat("word ", 200)), "run", RealModel, "--context", "64");
        Assert.Equal(1, outcome.ExitCode);
        CommandLineTests.AssertOneLine(outcome);
        Assert.Contains("64", outcome.Error, StringComparison.Ordinal);
    }

    [SharedFact]
    public void Chat_InATerminal_AnswersObeysAndLeaves()
    {
        if (!File.Exists("/usr/bin/script"))
        {
            return; // no pseudo-terminal here: the parts are tested by themselves
        }

        using TemporaryFolder folder = new();
        string saved = folder.At("chat.json");
        string screen = InTerminal(
            $"run {RealModel} --temperature 0 --max-tokens 8",
            "/help\r", "/sytem x\r", "/system Be brief.\r", "Say hi.\r", $"/save {saved}\r", "/clear\r", $"/load {saved}\r", "/exit\r");
        Assert.Contains("what the model is told", screen, StringComparison.Ordinal);
        Assert.Contains("the nearest is /system", screen, StringComparison.Ordinal);
        Assert.Contains("tokens/s", screen, StringComparison.Ordinal);
        Assert.Contains("2 messages are loaded", screen, StringComparison.Ordinal);
        using JsonDocument messages = JsonDocument.Parse(File.ReadAllText(saved));
        Assert.Equal(["system", "user", "assistant"], messages.RootElement.EnumerateArray().Select(message => message.GetProperty("role").GetString()));
        Assert.Equal("Say hi.", messages.RootElement[1].GetProperty("content").GetString());
    }

    private static string InTerminal(string arguments, params string[] inputs)
    {
        ProcessStartInfo start = new("/usr/bin/script") { RedirectStandardInput = true, RedirectStandardOutput = true };
        foreach (string argument in (string[])["-q", "-e", "-c", $"stty rows 40 cols 120; dotnet {KidogoProcess.Assembly} {arguments}", "/dev/null"])
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["TERM"] = "xterm-256color";
        using Process process = Process.Start(start)!;
        StringBuilder screen = new();
        Task reading = Task.Run(() =>
        {
            char[] buffer = new char[4096];
            for (int count = process.StandardOutput.Read(buffer); count > 0; count = process.StandardOutput.Read(buffer))
            {
                lock (screen)
                {
                    screen.Append(buffer, 0, count);
                }
            }
        });
        Stopwatch clock = Stopwatch.StartNew();
        for (int i = 0; i < inputs.Length; i++)
        {
            while (Prompts(screen) <= i && !process.HasExited && clock.Elapsed < TimeSpan.FromMinutes(2))
            {
                Thread.Sleep(20);
            }

            process.StandardInput.Write(inputs[i]);
            process.StandardInput.Flush();
        }

        Assert.True(process.WaitForExit(60_000), screen.ToString());
        reading.Wait(5_000);
        Assert.Equal(0, process.ExitCode);
        return screen.ToString();
    }

    /// <summary>How many inputs the editor has begun: it asks for bracketed pastes at the start of each.</summary>
    private static int Prompts(StringBuilder screen)
    {
        lock (screen)
        {
            return screen.ToString().Split("\u001b[?2004h").Length - 1;
        }
    }

    private static JsonElement FirstWith(JsonElement element, string name)
    {
        if (element.ValueKind == JsonValueKind.Object)
        {
            if (element.TryGetProperty(name, out _))
            {
                return element;
            }

            return element.EnumerateObject().Select(member => FirstWith(member.Value, name)).FirstOrDefault(found => found.ValueKind == JsonValueKind.Object);
        }

        return element.ValueKind == JsonValueKind.Array ? element.EnumerateArray().Select(item => FirstWith(item, name)).FirstOrDefault(found => found.ValueKind == JsonValueKind.Object) : default;
    }

    private static int[] Ints(JsonElement array) => [.. array.EnumerateArray().Select(item => item.GetInt32())];
}
