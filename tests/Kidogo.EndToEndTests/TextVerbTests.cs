// tokenize, detokenize and template against other implementations' answers, through the program.
using System.Text;
using System.Text.Json;
using Kidogo.TestSupport;

namespace Kidogo.EndToEndTests;

public sealed class TextVerbTests
{
    [SharedTheory]
    [InlineData("bert-bge", false)]
    [InlineData("gpt-2", true)]
    [InlineData("llama-bpe", true)]
    [InlineData("llama-spm", true)]
    [InlineData("phi-3", true)]
    [InlineData("qwen2", true)]
    public void Tokenize_VocabularyAlone_GivesItsIdsAndBack(string name, bool isReversible)
    {
        string model = SharedFolder.PathOf("golden", "tokenizers", name + ".gguf");
        string text = Texts()[4];
        int[] expected = Read<int[][]>($"{name}.ids.json")[4];
        Outcome ids = KidogoProcess.RunWith(text, "tokenize", model);
        Assert.Equal(0, ids.ExitCode);
        Assert.Equal(string.Join(' ', expected) + "\n", ids.Output);
        Outcome back = KidogoProcess.RunBytes(ids.OutputBytes, ["detokenize", model]);
        Assert.Equal(0, back.ExitCode);
        if (isReversible)
        {
            Assert.Equal(Encoding.UTF8.GetBytes(text), back.OutputBytes);
        }
    }

    [SharedTheory]
    [InlineData("hf-llama2")]
    [InlineData("hf-qwen3")]
    public void Tokenize_FolderWithATokenizerAlone_Works(string name)
    {
        string folder = SharedFolder.PathOf("golden", "tokenizers", name);
        int[] expected = Read<int[][]>(Path.Combine(name, "ids.json"))[4];
        Assert.Equal(string.Join(' ', expected) + "\n", KidogoProcess.RunWith(Texts()[4], "tokenize", folder, "--bos").Output);
    }

    [SharedFact]
    public void Tokenize_ControlTokensOfUsers_AreTextUnlessAsked()
    {
        string model = SharedFolder.PathOf("models", "SmolLM2-135M-Instruct.Q4_1.gguf");
        Assert.NotEqual("2\n", KidogoProcess.RunWith("<|im_end|>", "tokenize", model).Output);
        Assert.Equal("2\n", KidogoProcess.RunWith("<|im_end|>", "tokenize", model, "--special").Output);
        Assert.Equal("", KidogoProcess.RunWith("2", "detokenize", model).Output);
        Assert.Equal("<|im_end|>", KidogoProcess.RunWith("2", "detokenize", model, "--special").Output);
    }

    [SharedFact]
    public void Template_RenderedWithEverything_IsTheGoldenText()
    {
        using TemporaryFolder folder = new();
        using JsonDocument cases = JsonDocument.Parse(File.ReadAllText(SharedFolder.PathOf("golden", "templates", "cases.json")));
        string variables = folder.File("variables.json", cases.RootElement.GetProperty("common").GetRawText());
        string now = cases.RootElement.GetProperty("now").GetString()!;
        foreach (JsonProperty conversation in cases.RootElement.GetProperty("cases").EnumerateObject().Take(4))
        {
            string messages = folder.File("messages.json", conversation.Value.GetProperty("messages").GetRawText());
            string[] tools = conversation.Value.TryGetProperty("tools", out JsonElement given) ? ["--tools", folder.File("tools.json", given.GetRawText())] : [];
            foreach (string name in (string[])["Qwen-Qwen3-0.6B", "meta-llama-Llama-3.1-8B-Instruct"])
            {
                using JsonDocument expected = JsonDocument.Parse(File.ReadAllText(SharedFolder.PathOf("golden", "templates", $"{name}.expected.json")));
                JsonElement result = expected.RootElement.GetProperty(conversation.Name);
                Outcome outcome = KidogoProcess.Run(
                    ["template", SharedFolder.PathOf("golden", "templates", $"{name}.jinja"), "--messages", messages, "--variables", variables, "--now", now, .. tools]);
                bool renders = result.TryGetProperty("rendered", out JsonElement rendered);
                Assert.True(outcome.ExitCode == (renders ? 0 : 1), outcome.Error);
                Assert.Equal(renders ? rendered.GetString() : "", outcome.Output);
            }
        }
    }

    [Theory]
    [InlineData("{{ raise_exception('no such role') }}", "no such role")]
    [InlineData("{% for x in messages %}", "line")]
    [InlineData("{% for x in range(10 ** 9) %}x{% endfor %}", "range")]
    public void Template_ThatFails_SaysWhyInOneLine(string template, string expected)
    {
        using TemporaryFolder folder = new();
        Outcome outcome = KidogoProcess.Run("template", folder.File("t.jinja", template), "--messages", folder.File("m.json", "[]"));
        Assert.Equal(1, outcome.ExitCode);
        CommandLineTests.AssertOneLine(outcome);
        Assert.Contains(expected, outcome.Error, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("{", "no JSON")]
    [InlineData("{}", "JSON array")]
    public void Template_OfBadMessages_SaysWhy(string messages, string expected)
    {
        using TemporaryFolder folder = new();
        Outcome outcome = KidogoProcess.Run("template", folder.File("t.jinja", "x"), "--messages", folder.File("m.json", messages));
        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains(expected, outcome.Error, StringComparison.Ordinal);
    }

    private static string[] Texts() => Read<string[]>("texts.json");

    private static T Read<T>(string name) => JsonSerializer.Deserialize<T>(File.ReadAllText(SharedFolder.PathOf("golden", "tokenizers", name)))!;
}
