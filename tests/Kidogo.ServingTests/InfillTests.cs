// POST /infill as editors ask for it, and holes in the prompts of completions.
using System.Text.Json;
using Kidogo.Inference.Scheduling;
using Kidogo.Serving;
using Kidogo.Tests.Inference;

namespace Kidogo.ServingTests;

public sealed class InfillTests
{
    // Every piece is followed by the next one named here: the hole's place by c, c by a line end, that by a space, d, a line end, e and the end.
    private static readonly string[] s_pieces = ["<|endoftext|>", "a", "b", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "c", "Ċ", "Ġd", "Ċ", "e", "<|repo_name|>", "<|file_sep|>"];
    private static readonly int[] s_next = [0, 0, 0, 0, 0, 6, 7, 8, 9, 10, 0, 0, 0];

    public static TheoryData<string, string> Refused => new()
    {
        { "\"n_probs\":3", "n_probs" },
        { "\"ignore_eos\":true", "ignore_eos" },
        { "\"lora\":[{\"id\":0,\"scale\":1}]", "lora" },
        { "\"dry_multiplier\":0.8", "dry_multiplier" },
        { "\"samplers\":[\"top_k\",\"top_k\"]", "samplers" },
        { "\"samplers\":[\"infill\",\"top_k\"]", "samplers" },
        { "\"samplers\":\"top_k\"", "samplers" },
        { "\"n_predict\":-2", "n_predict" },
        { "\"input_extra\":[{\"filename\":\"x\"}]", "input_extra[0].text" },
        { "\"input_extra\":{}", "input_extra" },
        { "\"input_prefx\":\"a\"", "input_prefx" },
        { "\"mirostat\":3", "mirostat" },
        { "\"response_fields\":[5]", "response_fields[0]" },
    };

    [Fact]
    public async Task Infill_AsAnEditorAsks_FillsTheHole()
    {
        await using TestServer server = await ServeAsync();
        const string Editor = """
            {"id_slot":0,"input_prefix":"a","input_suffix":"b","input_extra":[{"filename":"a","text":"b"}],"prompt":"a","n_predict":128,"stop":[],"n_indent":0,"top_k":40,"top_p":0.90,"stream":false,
            "samplers":["top_k","top_p","infill"],"cache_prompt":true,"t_max_prompt_ms":100000,"t_max_predict_ms":100000,"response_fields":["content","timings/prompt_n","truncated","nothing/here"]}
            """;
        JsonElement answer = await server.PostJsonAsync("/infill", Editor);
        Assert.Equal(["content", "timings/prompt_n", "truncated"], answer.EnumerateObject().Select(property => property.Name));
        Assert.Equal("c\n d\ne", answer.GetProperty("content").GetString());
        JsonElement whole = await server.PostJsonAsync("/infill", """{"input_prefix":"a","input_suffix":"b","temperature":0,"return_tokens":true}""");
        Assert.Equal(("c\n d\ne", "eos", true), (whole.GetProperty("content").GetString(), whole.GetProperty("stop_type").GetString(), whole.GetProperty("stop").GetBoolean()));
        Assert.Equal((5, 5), (whole.GetProperty("tokens_evaluated").GetInt32(), whole.GetProperty("tokens").GetArrayLength()));
        Assert.Equal("<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>", whole.GetProperty("prompt").GetString());
    }

    [Theory]
    [InlineData("\"n_indent\":1", "c\n d\n", "limit")]
    [InlineData("\"n_indent\":2", "c\n", "limit")]
    [InlineData("\"stop\":[\"d\"]", "c\n ", "word")]
    [InlineData("\"n_predict\":2", "c\n", "limit")]
    [InlineData("\"n_predict\":0", "", "limit")]
    public async Task Infill_Ends_WhereItIsTold(string field, string content, string stop)
    {
        await using TestServer server = await ServeAsync();
        string request = $"{{\"input_prefix\":\"a\",\"temperature\":0,{field}}}";
        JsonElement answer = await server.PostJsonAsync("/infill", request);
        Assert.Equal((content, stop), (answer.GetProperty("content").GetString(), answer.GetProperty("stop_type").GetString()));
        Assert.Equal(stop == "word" ? "d" : "", answer.GetProperty("stopping_word").GetString());
        List<JsonElement> events = TestServer.Events(await server.PostStreamAsync("/infill", request[..^1] + ",\"stream\":true}"));
        Assert.Equal(content, string.Concat(events.Select(each => each.GetProperty("content").GetString())));
        Assert.All(events.SkipLast(1), each => Assert.False(each.GetProperty("stop").GetBoolean()));
        Assert.Equal(stop, events[^1].GetProperty("stop_type").GetString());
    }

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task Infill_Field_IsRefusedByName(string field, string param)
    {
        await using TestServer server = await ServeAsync();
        JsonElement error = (await server.PostJsonAsync("/infill", $"{{\"input_suffix\":\"a\",{field}}}", 400)).GetProperty("error");
        Assert.Equal(param, error.GetProperty("param").GetString());
    }

    [Fact]
    public async Task Hole_WhereTheModelCannot_IsRefusedSayingSo()
    {
        await using TestServer server = await TestServer.StartAsync();
        foreach ((string path, string body) in ((string, string)[])[("/infill", """{"input_prefix":"a"}"""), ("/v1/completions", """{"prompt":"a","suffix":"b"}""")])
        {
            JsonElement error = (await server.PostJsonAsync(path, body, 400)).GetProperty("error");
            Assert.Contains("filling in the middle", error.GetProperty("message").GetString(), StringComparison.Ordinal);
            Assert.Equal("unsupported_parameter", error.GetProperty("code").GetString());
        }
    }

    [Fact]
    public async Task Completion_OfNothingBeforeAHole_IsPossible()
    {
        await using TestServer server = await ServeAsync();
        JsonElement answer = await server.PostJsonAsync("/v1/completions", """{"prompt":["","a"],"suffix":"b","temperature":0,"max_tokens":1}""");
        Assert.Equal(["c", "c"], answer.GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("text").GetString()));
        Assert.Equal(9, answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
    }

    private static async Task<TestServer> ServeAsync()
    {
        ScriptedModel scripted = new(s_pieces, s_next);
        return await TestServer.StartAsync(model: new ServedModel("scripted", scripted.Loaded, scripted.Context, null, new SchedulerOptions()));
    }
}
