// Every field in the types of OpenAI's packages is known: none is ignored, none is called unknown. With a value that nothing means, each is refused by its name.
using System.Text.Json;

namespace Kidogo.ServingTests;

public sealed class FieldsTests
{
    private const string Sampling = "frequency_penalty,logit_bias,presence_penalty,seed,stop,stream,stream_options,temperature,top_p,user,model";

    // As in the packages openai 6.49 (npm) and OpenAI 2.15 (NuGet).
    public static TheoryData<string, string, string> Requests => new()
    {
        {
            "/v1/chat/completions", "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]",
            Sampling + ",messages,audio,function_call,functions,logprobs,max_completion_tokens,max_tokens,metadata,modalities,moderation,n,parallel_tool_calls,prediction,prompt_cache_key,prompt_cache_options,"
            + "prompt_cache_retention,reasoning_effort,response_format,safety_identifier,service_tier,store,tool_choice,tools,top_logprobs,verbosity,web_search_options"
        },
        { "/v1/completions", "\"prompt\":\"a\"", Sampling + ",prompt,best_of,echo,logprobs,max_tokens,n,suffix" },
        {
            "/v1/responses", "\"input\":\"a\"",
            "background,context_management,conversation,include,input,instructions,max_output_tokens,max_tool_calls,metadata,model,moderation,parallel_tool_calls,previous_response_id,prompt,prompt_cache_key,prompt_cache_options,"
            + "prompt_cache_retention,reasoning,safety_identifier,service_tier,store,stream,stream_options,temperature,text,tool_choice,tools,top_logprobs,top_p,truncation,user"
        },
    };

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task Field_OfThePackages_IsKnown(string path, string fields, string names)
    {
        await using TestServer server = await TestServer.StartAsync(template: TinyModel.Template + "{# tools <tool_call> #}");
        string required = fields.Split('"')[1];
        foreach (string name in names.Split(','))
        {
            foreach (string nonsense in (string[])["[[[]]]", "{\"nonsense\":{}}"])
            {
                string body = name == required ? $"{{\"{name}\":{nonsense}}}" : $"{{{fields},\"{name}\":{nonsense}}}";
                JsonElement error = (await server.PostJsonAsync(path, body, 400)).GetProperty("error");
                Assert.True(error.GetProperty("param").GetString()!.StartsWith(name, StringComparison.Ordinal), $"{name}: {error}");
                Assert.True(error.GetProperty("param").GetString() != name || error.GetProperty("code").GetString() != "unknown_parameter", $"{name}: {error}");
            }

            if (name != required)
            {
                await server.PostJsonAsync(path, $"{{{fields},\"max_{(path == "/v1/responses" ? "output_" : "")}tokens\":1,\"{name}\":null}}".Replace("\"max_tokens\":1,\"max_tokens\":null", "\"max_tokens\":null,\"stop\":\"a\"", StringComparison.Ordinal)
                    .Replace("\"max_output_tokens\":1,\"max_output_tokens\":null", "\"max_output_tokens\":null,\"stop\":\"a\"", StringComparison.Ordinal)); // null is as good as absent
            }
        }
    }
}
