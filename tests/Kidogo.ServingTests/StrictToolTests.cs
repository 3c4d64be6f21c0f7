// Tools whose arguments always obey: whatever a model with random weights would like to write.
using System.Text.Json;

namespace Kidogo.ServingTests;

public sealed class StrictToolTests
{
    private const string Schema = """{"type":"object","properties":{"town":{"enum":["Dakar","Moshi"]},"days":{"type":"integer","minimum":1,"maximum":9}},"required":["town","days"],"additionalProperties":false}""";
    private const string Tool = "{\"type\":\"function\",\"function\":{\"name\":\"weather\",\"strict\":true,\"parameters\":" + Schema + "}}";
    private const string Other = """{"type":"function","function":{"name":"other","strict":true,"parameters":{"type":"object","properties":{"x":{"type":"boolean"}},"required":["x"],"additionalProperties":false}}}""";

    private static readonly string s_template = TinyModel.Template + "{# tools <tool_call> #}";

    [Theory]
    [InlineData("{\"type\":\"function\",\"function\":{\"name\":\"weather\"}}", "weather")]
    [InlineData("\"required\"", null)]
    [InlineData("{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"required\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"other\"}}]}}", "other")]
    public async Task Arguments_OfAForcedCall_ObeyTheSchema(string choice, string? name)
    {
        await using TestServer server = await TestServer.StartAsync(template: s_template);
        for (int seed = 0; seed < 6; seed++)
        {
            JsonElement answer = await server.PostJsonAsync(
                "/v1/chat/completions",
                $"{{\"messages\":[{{\"role\":\"user\",\"content\":\"a\"}}],\"temperature\":1.5,\"seed\":{seed},\"max_tokens\":300,\"parallel_tool_calls\":false,\"tools\":[{Tool},{Other}],\"tool_choice\":{choice}}}");
            JsonElement call = Assert.Single(answer.GetProperty("choices")[0].GetProperty("message").GetProperty("tool_calls").EnumerateArray()).GetProperty("function");
            name ??= call.GetProperty("name").GetString();
            Assert.Contains(call.GetProperty("name").GetString(), (string[])["weather", "other"]);
            JsonElement arguments = TestServer.Parse(call.GetProperty("arguments").GetString()!);
            if (call.GetProperty("name").GetString() == "weather")
            {
                Assert.Contains(arguments.GetProperty("town").GetString(), (string[])["Dakar", "Moshi"]);
                Assert.InRange(arguments.GetProperty("days").GetInt32(), 1, 9);
                Assert.Equal(2, arguments.EnumerateObject().Count());
            }
            else
            {
                Assert.True(arguments.GetProperty("x").ValueKind is JsonValueKind.True or JsonValueKind.False);
            }
        }
    }

    [Fact]
    public async Task Arguments_OfAnyToolInAForcedCall_AreAnObject()
    {
        await using TestServer server = await TestServer.StartAsync(template: s_template);
        string loose = Tool.Replace("\"strict\":true,", "", StringComparison.Ordinal);
        JsonElement answer = await server.PostJsonAsync("/v1/chat/completions", $"{{\"messages\":[{{\"role\":\"user\",\"content\":\"a\"}}],\"temperature\":1,\"seed\":3,\"max_tokens\":60,\"tools\":[{loose}],\"tool_choice\":\"required\"}}");
        JsonElement call = answer.GetProperty("choices")[0].GetProperty("message").GetProperty("tool_calls")[0].GetProperty("function");
        Assert.Equal("weather", call.GetProperty("name").GetString());
        Assert.StartsWith("{", call.GetProperty("arguments").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":true,\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"not\":{}}}}}}", "tools[0].function.parameters")]
    [InlineData("{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":true,\"parameters\":{\"type\":\"string\"}}}", "tools[0].function.parameters")]
    [InlineData("{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":1}}", "tools[0].function.strict")]
    public async Task Schema_ThatCannotBeEnforced_IsRefusedByName(string tool, string param)
    {
        await using TestServer server = await TestServer.StartAsync(template: s_template);
        JsonElement error = (await server.PostJsonAsync("/v1/chat/completions", $"{{\"messages\":[{{\"role\":\"user\",\"content\":\"a\"}}],\"tools\":[{tool}]}}", 400)).GetProperty("error");
        Assert.Equal(param, error.GetProperty("param").GetString());
    }

    [Fact]
    public async Task Strict_WhereCallsArePython_RefusesNamesThatPythonHasNot()
    {
        await using TestServer server = await TestServer.StartAsync(template: TinyModel.Template + "{# tools <|tool_list_start|> #}");
        string tool = Tool.Replace("\"town\"", "\"the town\"", StringComparison.Ordinal);
        JsonElement error = (await server.PostJsonAsync("/v1/chat/completions", $"{{\"messages\":[{{\"role\":\"user\",\"content\":\"a\"}}],\"tools\":[{tool}]}}", 400)).GetProperty("error");
        Assert.Equal("tools[0].function.parameters", error.GetProperty("param").GetString());
    }
}
