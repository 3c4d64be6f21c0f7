// Every field in the types of OpenAI's npm package, as tests/npm/request-fields.mjs lists them: with a value that asks for something, each is honoured, and seen to be, or refused by its name. None is ignored.
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Kidogo.Serving;
using Kidogo.Tests.Models.Files;

namespace Kidogo.ServingTests;

public sealed class FieldsTests : IDisposable
{
    // Shows the model all that a conversation may say.
    private const string Template =
        "{% if tools %}{{ tools | tojson }}{# <tool_call> #}{% endif %}{% for message in messages %}<|im_start|>{{ message.role }}{{ message.name }}\n{{ message.content }}{{ message.tool_call_id }}"
        + "{% for call in message.tool_calls or [] %}{{ call.id }}{{ call.function.name }}{{ call.function.arguments | tojson }}{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

    private const string Tool = """{"type":"function","function":{"name":"f","description":"Does.","strict":true,"parameters":{"type":"object","properties":{"x":{"type":"boolean"}},"required":["x"],"additionalProperties":false}}}""";
    private const string FlatTool = """{"type":"function","name":"f","description":"Does.","strict":true,"parameters":{"type":"object","properties":{"x":{"type":"boolean"}},"required":["x"],"additionalProperties":false}}""";
    private const string Sampled = ",\"temperature\":1.7,\"seed\":5";

    // What each field is set to, beside what else, and how the answer shows that it was honoured; without that it has to be refused.
    private static readonly Dictionary<string, Dictionary<string, Trial>> s_trials = new()
    {
        ["/v1/chat/completions"] = new()
        {
            ["audio"] = new("""{"format":"wav","voice":"alloy"}"""),
            ["frequency_penalty"] = new("2", Differs),
            ["function_call"] = new("\"none\""),
            ["functions"] = new("""[{"name":"f"}]"""),
            ["logit_bias"] = new("""{"65":100}""", now => Text(now.Answer) == new string('A', 40)),
            ["logprobs"] = new("true", now => now.Choice.GetProperty("logprobs").GetProperty("content").GetArrayLength() == 40),
            ["max_completion_tokens"] = new("3", now => Generated(now.Answer) == 3) { Without = "max_tokens" },
            ["max_tokens"] = new("3", now => Generated(now.Answer) == 3),
            ["messages"] = new("""[{"role":"user","content":"b"}]""", Differs),
            ["metadata"] = new("""{"a":"b"}"""),
            ["modalities"] = new("""["audio"]"""),
            ["model"] = new("\"huge\"") { Status = 404 },
            ["moderation"] = new("""{"model":"omni-moderation-latest"}"""),
            ["n"] = new("2", now => now.Answer.GetProperty("choices").GetArrayLength() == 2),
            ["parallel_tool_calls"] = new("false", now => Calls(now.Answer) == 1 && Calls(now.Without) != 1) { Beside = $",\"tools\":[{Tool}],\"tool_choice\":\"required\",\"max_completion_tokens\":160,\"logit_bias\":{{\"{TinyModel.End}\":-100}}" + Sampled },
            ["prediction"] = new("""{"type":"content","content":"a"}"""),
            ["presence_penalty"] = new("2", Differs),
            ["prompt_cache_key"] = new("\"k\"", HasACacheOfItsOwn),
            ["prompt_cache_options"] = new("""{"mode":"explicit"}"""),
            ["prompt_cache_retention"] = new("\"24h\""),
            ["reasoning_effort"] = new("\"high\""),
            ["response_format"] = new("""{"type":"json_object"}""", now => Text(now.Answer)!.StartsWith('{')),
            ["safety_identifier"] = new("\"s\"", HasACacheOfItsOwn),
            ["seed"] = new("6", now => Text(now.Answer) != Text(now.Without) && Text(now.Answer) == Text(now.Again)) { Beside = Sampled },
            ["service_tier"] = new("\"flex\""),
            ["stop"] = new("\" \"", now => Text(now.Without)!.Split(' ')[0] == Text(now.Answer)) { Beside = ",\"logit_bias\":{\"32\":3}" },
            ["store"] = new("true"),
            ["stream"] = new("true", now => now.Raw.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal)),
            ["stream_options"] = new("""{"include_usage":true}""", now => now.Raw.Contains("\"choices\":[],\"usage\":{", StringComparison.Ordinal)) { Beside = ",\"stream\":true" },
            ["temperature"] = new("2", Differs) { Beside = ",\"seed\":5" },
            ["tool_choice"] = new("\"required\"", now => Calls(now.Answer) > 0 && Calls(now.Without) == 0) { Beside = $",\"tools\":[{Tool}]" },
            ["tools"] = new($"[{Tool}]", IsSeenByTheModel),
            ["top_logprobs"] = new("2", now => now.Choice.GetProperty("logprobs").GetProperty("content")[0].GetProperty("top_logprobs").GetArrayLength() == 2) { Beside = ",\"logprobs\":true" },
            ["top_p"] = new("0.0001", now => Text(now.Answer) != Text(now.Without) && Text(now.Answer) == Text(now.Baseline)) { Beside = Sampled },
            ["user"] = new("\"u\"", HasACacheOfItsOwn),
            ["verbosity"] = new("\"high\""),
            ["web_search_options"] = new("{}"),
        },
        ["/v1/completions"] = new()
        {
            ["best_of"] = new("3", now => Generated(now.Answer) == 120 && now.Answer.GetProperty("choices").GetArrayLength() == 1) { Beside = Sampled },
            ["echo"] = new("true", now => Text(now.Answer) == "a" + Text(now.Without)),
            ["frequency_penalty"] = new("2", Differs),
            ["logit_bias"] = new("""{"65":100}""", now => Text(now.Answer) == new string('A', 40)),
            ["logprobs"] = new("2", now => now.Choice.GetProperty("logprobs").GetProperty("top_logprobs")[0].EnumerateObject().Count() == 2),
            ["max_tokens"] = new("3", now => Generated(now.Answer) == 3),
            ["model"] = new("\"huge\"") { Status = 404 },
            ["n"] = new("2", now => now.Answer.GetProperty("choices").GetArrayLength() == 2),
            ["presence_penalty"] = new("2", Differs),
            ["prompt"] = new("\"b\"", Differs),
            ["seed"] = new("6", now => Text(now.Answer) != Text(now.Without) && Text(now.Answer) == Text(now.Again)) { Beside = Sampled },
            ["stop"] = new("\" \"", now => Text(now.Without)!.Split(' ')[0] == Text(now.Answer)) { Beside = ",\"logit_bias\":{\"32\":3}" },
            ["stream"] = new("true", now => now.Raw.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal)),
            ["stream_options"] = new("""{"include_usage":true}""", now => now.Raw.Contains("\"choices\":[],\"usage\":{", StringComparison.Ordinal)) { Beside = ",\"stream\":true" },
            ["suffix"] = new("\"b\""),
            ["temperature"] = new("2", Differs) { Beside = ",\"seed\":5" },
            ["top_p"] = new("0.0001", now => Text(now.Answer) != Text(now.Without) && Text(now.Answer) == Text(now.Baseline)) { Beside = Sampled },
            ["user"] = new("\"u\"", HasACacheOfItsOwn) { Beside = ",\"prompt\":\"abcdef\"" },
        },
        ["/v1/embeddings"] = new()
        {
            ["dimensions"] = new(TinyEncoder.Cut.ToString(CultureInfo.InvariantCulture), now => now.Answer.GetProperty("data")[0].GetProperty("embedding").GetArrayLength() == TinyEncoder.Cut),
            ["encoding_format"] = new("\"base64\"", now => now.Answer.GetProperty("data")[0].GetProperty("embedding").GetBytesFromBase64().Length == TinyEncoder.Dimensions * sizeof(float)),
            ["input"] = new("""["b","c"]""", now => now.Answer.GetProperty("data").GetArrayLength() == 2),
            ["model"] = new("\"huge\"") { Status = 404 },
            ["user"] = new("\"u\"", now => now.Answer.GetProperty("data").GetArrayLength() == 1), // a name for the owner's own records; none are kept
        },
        ["/v1/responses"] = new()
        {
            ["background"] = new("true"),
            ["context_management"] = new("""[{"type":"compaction"}]"""),
            ["conversation"] = new("\"conv_1\""),
            ["include"] = new("""["message.output_text.logprobs"]""", now => now.Answer.GetProperty("output")[0].GetProperty("content")[0].GetProperty("logprobs").GetArrayLength() == 40),
            ["input"] = new("\"b\"", Differs),
            ["instructions"] = new("\"Be brief.\"", IsSeenByTheModel),
            ["max_output_tokens"] = new("3", now => Generated(now.Answer) == 3),
            ["metadata"] = new("""{"a":"b"}""", now => now.Answer.GetProperty("metadata").GetProperty("a").GetString() == "b"),
            ["model"] = new("\"huge\"") { Status = 404 },
            ["moderation"] = new("""{"model":"omni-moderation-latest"}"""),
            ["parallel_tool_calls"] = new("false", now => Calls(now.Answer) == 1 && Calls(now.Without) != 1) { Beside = $",\"tools\":[{FlatTool}],\"tool_choice\":\"required\",\"max_output_tokens\":160,\"logit_bias\":{{\"{TinyModel.End}\":-100}}" + Sampled },
            ["previous_response_id"] = new("\"resp_1\""),
            ["prompt"] = new("""{"id":"p"}"""),
            ["prompt_cache_key"] = new("\"k\"", HasACacheOfItsOwn),
            ["prompt_cache_options"] = new("""{"mode":"explicit"}"""),
            ["prompt_cache_retention"] = new("\"24h\""),
            ["reasoning"] = new("""{"effort":"high"}"""),
            ["safety_identifier"] = new("\"s\"", HasACacheOfItsOwn),
            ["service_tier"] = new("\"priority\""),
            ["store"] = new("true"),
            ["stream"] = new("true", now => now.Raw.Contains("event: response.incomplete\n", StringComparison.Ordinal)),
            ["stream_options"] = new("""{"include_obfuscation":true}""") { Beside = ",\"stream\":true" },
            ["temperature"] = new("2", Differs) { Beside = ",\"seed\":5" },
            ["text"] = new("""{"format":{"type":"json_object"}}""", now => Text(now.Answer)!.StartsWith('{')),
            ["tool_choice"] = new("\"required\"", now => Calls(now.Answer) > 0 && Calls(now.Without) == 0) { Beside = $",\"tools\":[{FlatTool}]" },
            ["tools"] = new($"[{FlatTool}]", IsSeenByTheModel),
            ["top_logprobs"] = new("2", now => now.Answer.GetProperty("output")[0].GetProperty("content")[0].GetProperty("logprobs")[0].GetProperty("top_logprobs").GetArrayLength() == 2),
            ["top_p"] = new("0.0001", now => Text(now.Answer) != Text(now.Without) && Text(now.Answer) == Text(now.Baseline)) { Beside = Sampled },
            ["truncation"] = new("\"auto\""),
            ["user"] = new("\"u\"", HasACacheOfItsOwn),
        },
    };

    // Fields inside others that change no prompt, with values that ask for nothing, or for what other tests see.
    private static readonly HashSet<string> s_inert = new(StringComparer.Ordinal)
    {
        "response_format.json_schema.strict ResponseFormatJSONSchema.JSONSchema", "tools[0].function.strict FunctionDefinition", "text.format ResponseTextConfig", // forms of answers
        "input[0].type EasyInputMessage", "input[0].type ResponseInputItem.Message", // what an item is without it too
        "input[0].phase EasyInputMessage", "input[0].caller ResponseFunctionToolCall", "input[0].caller ResponseInputItem.FunctionCallOutput", // only what holds anyway is taken
        "input[0].status ResponseInputItem.Message", "input[0].id ResponseFunctionToolCall", "input[0].status ResponseFunctionToolCall", "input[0].id ResponseInputItem.FunctionCallOutput",
        "input[0].status ResponseInputItem.FunctionCallOutput", "input[0].status ResponseReasoningItem", // names and states of items that nobody keeps
        "input[0] ResponseReasoningItem", "input[0].summary[0] ResponseReasoningItem.Summary", "input[0].content ResponseReasoningItem", "input[0].content[0] ResponseReasoningItem.Content", // reasoning that led to nothing
    };

    private readonly TestFolder _folder = new();

    public static TheoryData<string> Paths => [.. s_trials.Keys];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task Field_OfThePackage_IsHonouredOrRefusedByName(string path)
    {
        await using TestServer server = await ServeAsync();
        Dictionary<string, Trial> trials = s_trials[path];
        Assert.Equal(Listed().GetProperty(path).GetProperty("fields").EnumerateArray().Select(name => name.GetString()).Order(StringComparer.Ordinal), trials.Keys.Order(StringComparer.Ordinal));
        JsonElement baseline = await server.PostJsonAsync(path, Body(path).ToJsonString());
        foreach ((string name, Trial trial) in trials)
        {
            JsonObject without = Body(path, trial.Beside);
            JsonObject body = (JsonObject)without.DeepClone();
            body[name] = JsonNode.Parse(trial.Value);
            if (trial.Without is { } other)
            {
                body.Remove(other);
            }

            if (trial.Shows is not { } shows)
            {
                JsonElement error = (await server.PostJsonAsync(path, body.ToJsonString(), trial.Status)).GetProperty("error");
                Assert.True(error.GetProperty("param").GetString()!.Split('.', '[')[0] == name && error.GetProperty("code").GetString() != "unknown_parameter", $"{name}: {error}");
                continue;
            }

            string bare = await PostAsync(server, path, without), raw = await PostAsync(server, path, body), again = await PostAsync(server, path, body);
            Assert.True(shows(new Outcome(baseline, bare, raw, again)), $"{path} {name}: {raw}, without it {bare}");
        }
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task Field_Inside_IsSeenByTheModel_OrKnownToMeanNothing_OrRefusedByName(string path)
    {
        await using TestServer server = await ServeAsync();
        List<string> ignored = [];
        Dictionary<string, int> smallest = []; // tokens of a prompt with the smallest object of a type
        foreach (JsonElement row in Listed().GetProperty(path).GetProperty("inner").EnumerateArray())
        {
            string place = row[0].GetString()!, type = row[1].GetString()!, top = place.Split('[', '.')[0];
            using HttpResponseMessage response = await server.PostAsync(path, With(path, row[2].GetRawText()));
            JsonElement answer = TestServer.Parse(await response.Content.ReadAsStringAsync());
            if ((int)response.StatusCode == 400)
            {
                string param = answer.GetProperty("error").GetProperty("param").GetString()!;
                Assert.True(place.StartsWith(param, StringComparison.Ordinal) || param.StartsWith(top, StringComparison.Ordinal), $"{place} of {type}: {answer}");
                continue;
            }

            Assert.True(response.IsSuccessStatusCode, $"{place} of {type}: {answer}");
            int tokens = PromptTokens(answer);
            smallest[$"{place} {type}"] = tokens;
            bool isField = smallest.TryGetValue($"{place[..Math.Max(0, place.LastIndexOf('.'))]} {type}", out int without);
            bool isSeen = isField ? tokens != without : PromptTokens(await server.PostJsonAsync(path, With(path, row[2].GetRawText().Replace("\"a\"", "\"aaaa\"", StringComparison.Ordinal)))) > tokens;
            if (!isSeen && !s_inert.Contains($"{place} {type}"))
            {
                ignored.Add($"{place} {type}");
            }
        }

        Assert.True(ignored.Count == 0, string.Join('\n', ignored));
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task Field_WithNonsense_IsRefusedByName_AndNullIsAsGoodAsAbsent(string path)
    {
        await using TestServer server = await ServeAsync();
        foreach (string name in s_trials[path].Keys)
        {
            foreach (string nonsense in (string[])["[[[]]]", "{\"nonsense\":{}}"])
            {
                JsonObject body = Body(path);
                body[name] = JsonNode.Parse(nonsense);
                JsonElement error = (await server.PostJsonAsync(path, body.ToJsonString(), 400)).GetProperty("error");
                Assert.StartsWith(name, error.GetProperty("param").GetString(), StringComparison.Ordinal);
                Assert.True(error.GetProperty("param").GetString() != name || error.GetProperty("code").GetString() != "unknown_parameter", $"{name}: {error}");
            }

            JsonObject empty = Body(path, ",\"stop\":\"a\"");
            if (path == "/v1/embeddings")
            {
                empty = Body(path);
            }

            bool isRequired = name is "messages" or "prompt" or "input" && !(path == "/v1/responses" && name == "prompt");
            empty[name] = null;
            await server.PostJsonAsync(path, empty.ToJsonString(), isRequired ? 400 : 200);
        }
    }

    [Theory]
    [InlineData("/v1/chat/completions", "max_completion_token", "max_completion_tokens")]
    [InlineData("/v1/completions", "echoo", "echo")]
    [InlineData("/v1/embeddings", "encoding_fromat", "encoding_format")]
    [InlineData("/v1/responses", "instruction", "instructions")]
    [InlineData("/v1/chat/completions", "colour", null)]
    public async Task UnknownField_IsRefused_WithTheNearestName(string path, string name, string? nearest)
    {
        await using TestServer server = await ServeAsync();
        JsonObject body = Body(path);
        body[name] = 1;
        JsonElement error = (await server.PostJsonAsync(path, body.ToJsonString(), 400)).GetProperty("error");
        Assert.Equal((name, "unknown_parameter"), (error.GetProperty("param").GetString(), error.GetProperty("code").GetString()));
        Assert.Equal(nearest is not null, error.GetProperty("message").GetString()!.Contains($"`{nearest}`?", StringComparison.Ordinal));
    }

    private static JsonElement Listed() => TestServer.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "request-fields.json"))).GetProperty("requests");

    /// <summary>A small request, and what else it says.</summary>
    private static JsonObject Body(string path, string beside = "")
    {
        string required = path switch
        {
            "/v1/chat/completions" => "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_tokens\":40,\"temperature\":0",
            "/v1/completions" => "\"prompt\":\"a\",\"max_tokens\":40,\"temperature\":0",
            "/v1/responses" => "\"input\":\"a\",\"max_output_tokens\":40,\"temperature\":0",
            _ => "\"input\":\"a\"",
        };
        JsonObject body = (JsonObject)JsonNode.Parse($"{{{required}}}")!;
        foreach ((string name, JsonNode? value) in (JsonObject)JsonNode.Parse($"{{{beside.TrimStart(',')}}}")!)
        {
            body[name] = value?.DeepClone();
            if (name == "max_completion_tokens")
            {
                body.Remove("max_tokens");
            }
        }

        return body;
    }

    private static async Task<string> PostAsync(TestServer server, string path, JsonObject body)
    {
        using HttpResponseMessage response = await server.PostAsync(path, body.ToJsonString());
        string raw = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{body}: {raw}");
        await server.IdleAsync(); // what was computed lies in the cache now
        return raw;
    }

    /// <summary>The smallest request, with some fields in place of its own.</summary>
    private static string With(string path, string fields)
    {
        JsonObject body = Body(path);
        foreach ((string name, JsonNode? value) in (JsonObject)JsonNode.Parse(fields)!)
        {
            body[name] = value?.DeepClone();
        }

        return body.ToJsonString();
    }

    private static bool Differs(Outcome now) => Text(now.Answer) != Text(now.Without);

    private static bool IsSeenByTheModel(Outcome now) => PromptTokens(now.Answer) > PromptTokens(now.Without);

    private static bool HasACacheOfItsOwn(Outcome now) => Cached(now.Answer) == 0 && Cached(now.Again) > 0;

    private static int Cached(JsonElement answer) =>
        (answer.GetProperty("usage").TryGetProperty("prompt_tokens_details", out JsonElement details) ? details : answer.GetProperty("usage").GetProperty("input_tokens_details")).GetProperty("cached_tokens").GetInt32();

    private static int Generated(JsonElement answer) => Usage(answer, "completion_tokens", "output_tokens");

    private static int PromptTokens(JsonElement answer) => Usage(answer, "prompt_tokens", "input_tokens");

    private static int Usage(JsonElement answer, string name, string other) =>
        (answer.GetProperty("usage").TryGetProperty(name, out JsonElement count) ? count : answer.GetProperty("usage").GetProperty(other)).GetInt32();

    /// <summary>The text of an answer of any shape; null where it has none.</summary>
    private static string? Text(JsonElement answer)
    {
        if (answer.TryGetProperty("output", out JsonElement output))
        {
            return output.GetArrayLength() > 0 && output[0].TryGetProperty("content", out JsonElement parts) ? parts[0].GetProperty("text").GetString() : null;
        }

        JsonElement choice = answer.GetProperty("choices")[0];
        return choice.TryGetProperty("text", out JsonElement text) ? text.GetString() : choice.GetProperty("message").GetProperty("content").GetString();
    }

    private static int Calls(JsonElement answer)
    {
        if (answer.TryGetProperty("output", out JsonElement output))
        {
            return output.EnumerateArray().Count(item => item.GetProperty("type").GetString() == "function_call");
        }

        return answer.GetProperty("choices")[0].GetProperty("message").TryGetProperty("tool_calls", out JsonElement calls) ? calls.GetArrayLength() : 0;
    }

    private async Task<TestServer> ServeAsync()
    {
        ServedEncoder encoder = TinyEncoder.Serve(TinyEncoder.Write(_folder));
        return await TestServer.StartAsync(template: Template, contextLength: 2048, others: [encoder]);
    }

    /// <summary>A field with a value that asks for something.</summary>
    /// <param name="Value">The value.</param>
    /// <param name="Shows">Whether answers show that it was honoured; null where it has to be refused.</param>
    private sealed record Trial(string Value, Func<Outcome, bool>? Shows = null)
    {
        /// <summary>Fields beside it, with a comma before each.</summary>
        public string Beside { get; init; } = "";

        /// <summary>A field that does not go with it.</summary>
        public string? Without { get; init; }

        /// <summary>The status of the refusal.</summary>
        public int Status { get; init; } = 400;
    }

    /// <summary>Answers to the smallest request, to one without the field, and twice to one with it.</summary>
    private sealed record Outcome(JsonElement Baseline, string WithoutRaw, string Raw, string AgainRaw)
    {
        public JsonElement Without => TestServer.Parse(WithoutRaw);

        public JsonElement Answer => TestServer.Parse(Raw);

        public JsonElement Again => TestServer.Parse(AgainRaw);

        public JsonElement Choice => Answer.GetProperty("choices")[0];
    }
}
