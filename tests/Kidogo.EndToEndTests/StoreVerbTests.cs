// The model store as a program: what comes from a hub on loopback, what opens no connection, what is refused, and the advice.
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Kidogo.TestSupport;

namespace Kidogo.EndToEndTests;

public sealed class StoreVerbTests
{
    private static string DefaultModel => Path.Combine(SharedFolder.RepositoryRoot, "models", "SmolLM2-135M-Instruct.kidogo.gguf");

    [Fact]
    public void Pull_List_Show_Export_Import_Remove()
    {
        using TemporaryFolder folder = new();
        using ScriptedHub hub = new();
        byte[] model = File.ReadAllBytes(DefaultModel);
        hub.Files["tiny-Q4_K_M.gguf"] = model;
        hub.CutEvery = 30_000_000;
        JsonElement pulled = Run(folder, hub, "pull", "org/name:q4_k_m", "--json").Json();
        Assert.Equal(["bytes", "confirmed", "format", "name", "path", "received_bytes", "revision", "seconds"], Names(pulled));
        Assert.Equal(model.Length, pulled.GetProperty("received_bytes").GetInt64());
        Assert.Equal(ScriptedHub.Sha256(model), ScriptedHub.Sha256(File.ReadAllBytes(pulled.GetProperty("path").GetString()!)));
        Outcome listed = Run(folder, hub, "list");
        Assert.Contains("org/name", listed.Output, StringComparison.Ordinal);
        Assert.Equal(["bytes", "format", "name", "path", "references", "repository", "revision"], Names(Run(folder, hub, "list", "--json").Json()));
        JsonElement shown = Run(folder, hub, "show", "org/name", "--json").Json();
        Assert.Equal(["catalogue", "disk_bytes", "models", "repository"], Names(shown));
        Assert.Equal(126, Run(folder, hub, "inspect", "org/name", "--json").Json().GetProperty("parameters").GetInt64() / 1_000_000);
        string stick = Run(folder, hub, "export", "org/name", folder.Path, "--json").Json().GetProperty("path").GetString()!;
        Assert.EndsWith("org--name.Q4_K_M.kidogo", stick, StringComparison.Ordinal);
        JsonElement removed = Run(folder, hub, "remove", "org/name", "--json").Json();
        Assert.True(removed.GetProperty("freed_bytes").GetInt64() >= model.Length);
        Assert.Equal(1, Run(folder, hub, "inspect", "org/name").ExitCode);
        Assert.Equal("org/name", Run(folder, hub, "import", stick, "--json").Json().GetProperty("name").GetString());
        Assert.Equal(0, Run(folder, hub, "inspect", "org/name").ExitCode);
    }

    [Theory]
    [InlineData("--offline", false)]
    [InlineData("--json", true)]
    public void Offline_OpensNoConnection(string option, bool byEnvironment)
    {
        using TemporaryFolder folder = new();
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        string endpoint = $"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}";
        foreach (string[] arguments in (string[][])[["pull", "org/name", option], ["list"], ["list", "--catalogue"], ["show", "gemma-2-2b"], ["inspect", "org/name"], ["remove", "org/name"]])
        {
            Outcome outcome = KidogoProcess.RunBytes([], arguments, start =>
            {
                start.Environment["HF_HUB_CACHE"] = folder.Path;
                start.Environment["HF_ENDPOINT"] = endpoint;
                start.Environment["HF_HUB_OFFLINE"] = byEnvironment ? "1" : "";
            });
            Assert.Equal(arguments[0] is "list" or "show" ? 0 : 1, outcome.ExitCode);
        }

        Assert.False(listener.Pending());
    }

    [Theory]
    [InlineData("../../etc/passwd")]
    [InlineData("/etc/passwd")]
    [InlineData("org/../name")]
    [InlineData("org\\name")]
    [InlineData("nonsense")]
    public void PathAsAName_IsWrongUse(string name)
    {
        using TemporaryFolder folder = new();
        using ScriptedHub hub = new();
        foreach (string verb in (string[])["pull", "show", "remove"])
        {
            Outcome outcome = Run(folder, hub, verb, name);
            Assert.Equal(2, outcome.ExitCode);
            Assert.Single(outcome.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        }

        Assert.Equal(0, hub.Connections);
    }

    [Fact]
    public void Token_IsSentAndNeverShown()
    {
        using TemporaryFolder folder = new();
        using ScriptedHub hub = new();
        hub.Script = _ => new HubReply(401, []) { Headers = ["X-Error-Message: \u001b[31mgo away"] };
        Outcome outcome = KidogoProcess.RunBytes([], ["pull", "org/name", "--verbose"], start =>
        {
            start.Environment["HF_HUB_CACHE"] = folder.Path;
            start.Environment["HF_ENDPOINT"] = hub.Endpoint.AbsoluteUri;
            start.Environment["HF_TOKEN"] = "hf_verysecret";
        });
        Assert.Equal(1, outcome.ExitCode);
        Assert.Equal("Bearer hf_verysecret", Assert.Single(hub.Requests).Headers["authorization"]);
        Assert.DoesNotContain("hf_verysecret", outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', outcome.Error);
    }

    [Fact]
    public void Catalogue_SaysWhatFits()
    {
        Outcome outcome = KidogoProcess.Run("list", "--catalogue", "--language", "sw", "--json");
        Assert.Equal(0, outcome.ExitCode);
        string[] lines = outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Contains(lines, line => line.Contains("pawa", StringComparison.Ordinal));
        foreach (string line in lines)
        {
            using JsonDocument document = JsonDocument.Parse(line);
            Assert.Equal(["bad_at", "context", "fits", "formats", "gated", "gguf", "good_at", "here", "languages", "level", "licence", "name", "parameters", "repository", "title"], Names(document.RootElement));
        }
    }

    [Fact]
    public void Advise_AnswersAsJson()
    {
        using TemporaryFolder folder = new();
        string file = folder.File("answers.json", """{"task":"easy","computer":"this","place":"here","connection":"none","privacy":"secret","speed":"patient"}""");
        JsonElement advice = KidogoProcess.Run("advise", "--json", file).Json();
        Assert.Equal(["because", "expected", "format", "model", "where"], Names(advice));
        Assert.Equal("small", advice.GetProperty("where").GetString());
        Assert.Equal(6, advice.GetProperty("because").GetArrayLength());
        Assert.True(advice.GetProperty("expected").GetProperty("measured").GetBoolean());
        Assert.True(advice.GetProperty("expected").GetProperty("decode_tokens_per_second").GetDouble() > 0);
        JsonElement piped = KidogoProcess.RunWith(File.ReadAllText(file), "advise", "--json", "--task", "expert", "--place", "anywhere", "--connection", "good", "--privacy", "public").Json();
        Assert.NotEqual("small", piped.GetProperty("where").GetString());
    }

    [Fact]
    public void Advise_AtATerminal_AsksSixQuestionsAndAgainWhatIsNoAnswer()
    {
        if (!File.Exists("/usr/bin/script"))
        {
            return; // no pseudo-terminal here
        }

        using TemporaryFolder folder = new();
        Outcome outcome = KidogoProcess.RunBytes("easy\n1\nhere\nnome\nnone\nsecret\n3\n"u8.ToArray(), [], start =>
        {
            start.FileName = "/usr/bin/script";
            start.ArgumentList.Clear();
            foreach (string argument in (string[])["-q", "-e", "-c", $"dotnet {KidogoProcess.Assembly} advise", "/dev/null"])
            {
                start.ArgumentList.Add(argument);
            }

            start.Environment["HF_HUB_CACHE"] = folder.Path;
        });
        Assert.True(outcome.ExitCode == 0, outcome.Output);
        Assert.All((string[])["How hard is the task?", "what feeds it?", "Where will it run?", "How good is the connection?", "How private is the data?", "How fast must it answer?"],
            question => Assert.Equal(2, outcome.Output.Split(question).Length));
        Assert.Contains("The nearest is none. Or a number from 1 to 3.", outcome.Output, StringComparison.Ordinal);
        Assert.Contains("small: ", outcome.Output, StringComparison.Ordinal);
        Assert.Contains("decided", outcome.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, "--privacy", "")]
    [InlineData(1, "tsk", """{"tsk":"easy"}""")]
    [InlineData(1, "easy, medium", """{"task":"tough"}""")]
    [InlineData(1, "JSON", "{")]
    [InlineData(1, "object", "[]")]
    [InlineData(1, "quotes", """{"task":1}""")]
    public void Advise_WithoutRightAnswers_SaysWhich(int status, string expected, string input)
    {
        Outcome outcome = KidogoProcess.RunWith(input, "advise", "--json");
        Assert.Equal(status, outcome.ExitCode);
        Assert.Contains(expected, outcome.Error, StringComparison.Ordinal);
    }

    private static Outcome Run(TemporaryFolder folder, ScriptedHub hub, params string[] arguments) => KidogoProcess.RunBytes([], arguments, start =>
    {
        start.Environment["HF_HUB_CACHE"] = folder.At("hub");
        start.Environment["HF_ENDPOINT"] = hub.Endpoint.AbsoluteUri;
        start.Environment["HF_HUB_OFFLINE"] = "";
    });

    private static string[] Names(JsonElement json) => [.. json.EnumerateObject().Select(member => member.Name).Order(StringComparer.Ordinal)];
}
