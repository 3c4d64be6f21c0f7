// kidogo run with answers held to a form, and guessed ahead.
using System.Text.Json;
using Kidogo.TestSupport;

namespace Kidogo.EndToEndTests;

public sealed class FormAndGuessTests
{
    private static string TinyModel => SharedFolder.PathOf("golden", "families", "llama", "model.gguf");

    private static string RealModel => SharedFolder.PathOf("models", "SmolLM2-135M-Instruct.Q4_1.gguf");

    [SharedFact]
    public void JsonSchema_FromFileOrText_IsObeyed()
    {
        const string Schema = """{"type":"object","properties":{"town":{"enum":["Dakar"]},"dry":{"type":"boolean"}},"required":["town","dry"],"additionalProperties":false}""";
        using TemporaryFolder folder = new();
        foreach (string given in (string[])[Schema, folder.File("schema.json", Schema)])
        {
            JsonElement json = KidogoProcess.Run("run", RealModel, "Weather?", "--json-schema", given, "--seed", "3", "--max-tokens", "60", "--json").Json();
            using JsonDocument answer = JsonDocument.Parse(json.GetProperty("text").GetString()!);
            Assert.Equal("Dakar", answer.RootElement.GetProperty("town").GetString());
            Assert.Equal("stop", json.GetProperty("finish_reason").GetString());
        }
    }

    [SharedFact]
    public void RegexAndGrammar_AreMatchedAsAWhole()
    {
        using TemporaryFolder folder = new();
        Assert.Matches("^(yes|no)!\n$", KidogoProcess.Run("run", RealModel, "Is water wet?", "--regex", "(yes|no)!").Output);
        string grammar = folder.File("list.gbnf", "root ::= \"[\" [0-9] (\",\" [0-9]){2} \"]\"");
        Assert.Matches("^\\[[0-9],[0-9],[0-9]\\]\n$", KidogoProcess.Run("run", RealModel, "Three digits", "--grammar", grammar).Output);
    }

    [SharedTheory]
    [InlineData(2, "exclude each other", "--regex", "a", "--json-schema", "{}")]
    [InlineData(2, "--json-schema is no JSON", "--json-schema", "{\"a\"")]
    [InlineData(2, "#/not", "--json-schema", "{\"not\":{}}")]
    [InlineData(1, "no file absent.json", "--json-schema", "absent.json")]
    [InlineData(2, "--regex", "--regex", "(")]
    [InlineData(2, "two ways to guess", "--speculate", "lookup", "--draft", "x.gguf")]
    [InlineData(2, "lookup, off", "--speculate", "always")]
    [InlineData(1, "absent.gguf", "--draft", "absent.gguf")]
    [InlineData(1, "another vocabulary", "--draft", "REAL")]
    public void WrongUse_IsTold(int status, string word, params string[] options)
    {
        string[] arguments = [.. options.Select(option => option == "REAL" ? RealModel : option)];
        Outcome outcome = KidogoProcess.Run(["run", TinyModel, "hi", "--raw", "--max-tokens", "2", .. arguments]);
        Assert.Equal(status, outcome.ExitCode);
        Assert.Contains(word, outcome.Error, StringComparison.Ordinal);
    }

    [SharedFact]
    public void Guesses_ChangeNoAnswer()
    {
        string[] arguments = ["run", RealModel, "Say this three times: the quick brown fox jumps over the lazy dog.", "--max-tokens", "40", "--json"];
        foreach (string[] sampling in (string[][])[["--temperature", "0"], ["--temperature", "0.7", "--seed", "5"]])
        {
            JsonElement plain = KidogoProcess.Run([.. arguments, .. sampling]).Json();
            JsonElement looked = KidogoProcess.Run([.. arguments, .. sampling, "--speculate", "lookup"]).Json();
            Assert.Equal(plain.GetProperty("ids").GetRawText(), looked.GetProperty("ids").GetRawText());
            Assert.True(looked.GetProperty("drafted_tokens").GetInt32() >= looked.GetProperty("accepted_tokens").GetInt32());
            Assert.False(plain.TryGetProperty("drafted_tokens", out _));
        }

        JsonElement drafted = KidogoProcess.Run([.. arguments, "--temperature", "0", "--draft", RealModel]).Json(); // itself: all would hold, and it costs as much
        Assert.Equal(KidogoProcess.Run([.. arguments, "--temperature", "0"]).Json().GetProperty("ids").GetRawText(), drafted.GetProperty("ids").GetRawText());
    }
}
