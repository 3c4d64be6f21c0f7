// Answers of a given form: whatever a model with random weights would like to say.
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Kidogo.ServingTests;

public sealed class AnswerFormatTests
{
    private const string Chat = """{"model":"tiny","messages":[{"role":"user","content":"Habari?"}],"max_tokens":300""";
    private const string Schema =
        """{"type":"object","properties":{"town":{"enum":["Dakar","Moshi"]},"people":{"type":"integer","minimum":1,"maximum":500},"dry":{"type":"boolean"}},"required":["town","people","dry"],"additionalProperties":false}""";

    [Theory]
    [InlineData(0)]
    [InlineData(1.5)]
    public async Task Chat_JsonSchema_ObeysAndStops(double temperature)
    {
        await using TestServer server = await TestServer.StartAsync();
        string format = """{"type":"json_schema","json_schema":{"name":"town","strict":true,"schema":""" + Schema + "}}";
        JsonElement answer = await server.PostJsonAsync(
            "/v1/chat/completions", $$"""{{Chat}},"temperature":{{temperature.ToString(System.Globalization.CultureInfo.InvariantCulture)}},"seed":5,"n":3,"response_format":{{format}}}""");
        foreach (JsonElement choice in answer.GetProperty("choices").EnumerateArray())
        {
            Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
            using JsonDocument json = JsonDocument.Parse(choice.GetProperty("message").GetProperty("content").GetString()!);
            Assert.Contains(json.RootElement.GetProperty("town").GetString(), (string[])["Dakar", "Moshi"]);
            Assert.InRange(json.RootElement.GetProperty("people").GetInt32(), 1, 500);
            Assert.True(json.RootElement.GetProperty("dry").ValueKind is JsonValueKind.True or JsonValueKind.False);
        }
    }

    [Fact]
    public async Task Stream_JsonObject_IsAPrefixOfJsonWhereTokensEnd()
    {
        await using TestServer server = await TestServer.StartAsync();
        List<string> lines = await server.PostStreamAsync("/v1/chat/completions", Chat.Replace("300", "40", StringComparison.Ordinal) + ""","temperature":1,"seed":3,"stream":true,"response_format":{"type":"json_object"}}""");
        string text = string.Concat(TestServer.Events(lines).SelectMany(each => each.GetProperty("choices").EnumerateArray())
            .Select(choice => choice.GetProperty("delta").TryGetProperty("content", out JsonElement content) ? content.GetString() : ""));
        Assert.StartsWith("{", text, StringComparison.Ordinal);
        Utf8JsonReader reader = new(System.Text.Encoding.UTF8.GetBytes(text), isFinalBlock: false, default);
        while (reader.Read())
        {
            // throws where the text could not go on to be JSON
        }
    }

    [Fact]
    public async Task Completion_RegexAndGrammar_AreMatchedAsAWhole()
    {
        await using TestServer server = await TestServer.StartAsync();
        JsonElement matched = await server.PostJsonAsync("/v1/completions", """{"model":"tiny","prompt":"a","max_tokens":50,"regex":"[a-f]{4}-[0-9]{2,3}!"}""");
        Assert.Matches(new Regex("^[a-f]{4}-[0-9]{2,3}!$"), matched.GetProperty("choices")[0].GetProperty("text").GetString()!);
        JsonElement chosen = await server.PostJsonAsync("/v1/completions", """{"model":"tiny","prompt":"a","max_tokens":50,"grammar":"root ::= (\"ndiyo\" | \"hapana\") \".\""}""");
        Assert.Contains(chosen.GetProperty("choices")[0].GetProperty("text").GetString(), (string[])["ndiyo.", "hapana."]);
        Assert.Equal("stop", chosen.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }
}
