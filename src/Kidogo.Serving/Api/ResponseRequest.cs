// POST /v1/responses as it is asked for: every field is honoured here, or refused by name. Nothing is kept between requests. Knows no answers.
using System.Text.Json;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Scheduling;
using Kidogo.Text;

namespace Kidogo.Serving.Api;

/// <summary>What is to be done for a response.</summary>
/// <param name="Asked">Who answers.</param>
/// <param name="Chat">The same as a chat completion of one choice.</param>
/// <param name="Echo">What the response repeats of the request: names and JSON values.</param>
internal sealed record ResponseRequest(AskedModel Asked, ChatRequest Chat, IReadOnlyList<(string Name, JsonElement Value)> Echo)
    : AnswerRequest(Asked, Chat.Requests, Chat.Streams)
{
    private const int MostAlternatives = 20;
    private const int MostPairs = 16, LongestKey = 64, LongestValue = 512; // OpenAI's, of metadata
    private const string Likelihoods = "message.output_text.logprobs";

    /// <inheritdoc/>
    public override string Operation => "chat";

    /// <inheritdoc/>
    public override ModelAnswer Begin(GenerationGroup group) => new ResponseAnswer(this, group);

    /// <summary>Reads a request.</summary>
    public static ResponseRequest Read(ApiCall call, AskedModel asked, RequestFields fields)
    {
        RefuseWhatIsNotThere(fields);
        bool streams = WantsStream(fields);
        int? alternatives = Alternatives(fields);
        RequestFields? text = fields.Object("text");
        AskedForm? form = text is null ? null : AnswerFormat.ReadText(text);
        text?.Refuse("verbosity", "the models here know no such switch.", value => RequestFields.Is(value, "medium"));
        text?.RejectUnknown();
        SamplerOptions sampling = SamplingFields.Read(fields, asked.Model.DefaultSampling, asked.Model.Config.VocabSize);
        GenerationRequest request = new()
        {
            Prompt = [],
            Owner = call.OwnerOf(fields),
            Adapter = asked.Adapter,
            Generation = new GenerationOptions { MaxTokens = fields.Int("max_output_tokens", 1, int.MaxValue), StopStrings = SamplingFields.Stops(fields), Sampling = sampling },
            Alternatives = alternatives,
            UsesCache = fields.Flag("cache_prompt") ?? true,
        };
        ChatRequest chat = ChatRequest.Of(asked, fields, request, form, streams, isResponse: true);
        List<(string, JsonElement)> echo = Echoes(fields, sampling, alternatives);
        fields.RejectUnknown();
        return new ResponseRequest(asked, chat, echo);
    }

    private static bool WantsStream(RequestFields fields)
    {
        bool streams = fields.Flag("stream") ?? false;
        if (fields.Object("stream_options") is { } options)
        {
            options.Refuse("include_obfuscation", "streams are not padded here.", value => value.ValueKind == JsonValueKind.False);
            options.RejectUnknown();
            return streams ? true : throw ApiException.Field("stream_options", "`stream_options` goes only with `stream: true`.", "invalid_value");
        }

        return streams;
    }

    private static int? Alternatives(RequestFields fields)
    {
        bool wanted = false;
        foreach (string include in fields.Texts("include", 16))
        {
            wanted |= include == Likelihoods ? true : throw ApiException.Field("include", $"`include` may name {Likelihoods} only: the other things do not exist here.", "unsupported_parameter");
        }

        int? top = fields.Int("top_logprobs", 0, MostAlternatives);
        return wanted || top > 0 ? top ?? 0 : null;
    }

    /// <summary>What the response repeats, in the order in which OpenAI writes it.</summary>
    private static List<(string, JsonElement)> Echoes(RequestFields fields, SamplerOptions sampling, int? alternatives)
    {
        JsonElement Given(string name, string otherwise) => (fields.Element(name) ?? Json(otherwise)).Clone();
        CheckMetadata(fields);
        JsonElement format = fields.Element("text") is { } text && text.TryGetProperty("format", out JsonElement said) && said.ValueKind == JsonValueKind.Object ? said.Clone() : Json("""{"type":"text"}""");
        JsonElement effort = fields.Element("reasoning") is { } reasoning && reasoning.TryGetProperty("effort", out JsonElement asked) ? asked.Clone() : Json("null");
        return
        [
            ("instructions", Given("instructions", "null")),
            ("max_output_tokens", Given("max_output_tokens", "null")),
            ("metadata", Given("metadata", "{}")),
            ("parallel_tool_calls", Given("parallel_tool_calls", "true")),
            ("previous_response_id", Json("null")),
            ("prompt_cache_key", Given("prompt_cache_key", "null")),
            ("reasoning", JsonBuilding.Element(json =>
            {
                json.WriteStartObject();
                json.WritePropertyName("effort");
                effort.WriteTo(json);
                json.WriteNull("summary");
                json.WriteEndObject();
            })),
            ("safety_identifier", Given("safety_identifier", "null")),
            ("service_tier", Json("\"default\"")),
            ("store", Json("false")),
            ("temperature", JsonBuilding.Element(json => json.WriteNumberValue(sampling.Temperature))),
            ("text", JsonBuilding.Element(json =>
            {
                json.WriteStartObject();
                json.WritePropertyName("format");
                format.WriteTo(json);
                json.WriteString("verbosity", "medium");
                json.WriteEndObject();
            })),
            ("tool_choice", Given("tool_choice", "\"auto\"")),
            ("tools", Tools(fields)),
            ("top_logprobs", JsonBuilding.Element(json => json.WriteNumberValue(alternatives ?? 0))),
            ("top_p", JsonBuilding.Element(json => json.WriteNumberValue(sampling.TopP))),
            ("truncation", Json("\"disabled\"")),
            ("user", Given("user", "null")),
        ];
    }

    /// <summary>The tools with the fields that clients' types want.</summary>
    private static JsonElement Tools(RequestFields fields) => JsonBuilding.Element(json =>
    {
        json.WriteStartArray();
        foreach (JsonElement tool in fields.Element("tools")?.EnumerateArray().ToArray() ?? [])
        {
            json.WriteStartObject();
            foreach (JsonProperty property in tool.EnumerateObject().Where(property => property.Name != "strict"))
            {
                property.WriteTo(json);
            }

            json.WriteBoolean("strict", tool.TryGetProperty("strict", out JsonElement strict) && strict.ValueKind == JsonValueKind.True);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });

    private static void CheckMetadata(RequestFields fields)
    {
        if (fields.Element("metadata") is not { } metadata)
        {
            return;
        }

        bool isRight = metadata.ValueKind == JsonValueKind.Object && metadata.EnumerateObject().Count() <= MostPairs
            && metadata.EnumerateObject().All(pair => pair.Value.ValueKind == JsonValueKind.String && pair.Name.Length <= LongestKey && RequestFields.StringOf(pair.Value, "metadata").Length <= LongestValue);
        if (!isRight)
        {
            throw fields.Wrong("metadata", metadata, $"an object of at most {MostPairs} strings of {LongestValue} characters, under names of {LongestKey}");
        }
    }

    private static JsonElement Json(string text)
    {
        using JsonDocument document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }

    /// <summary>What is neutral passes; what needs a memory between requests, or what is not here, is refused.</summary>
    private static void RefuseWhatIsNotThere(RequestFields fields)
    {
        static bool IsFalse(JsonElement value) => value.ValueKind == JsonValueKind.False;
        static bool IsEmpty(JsonElement value) => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0;
        fields.Refuse("previous_response_id", "responses are not stored here: send the whole conversation as `input`.");
        fields.Refuse("conversation", "conversations are not stored here: send the whole conversation as `input`.");
        fields.Refuse("store", "responses are not stored here; say false.", IsFalse);
        fields.Refuse("background", "every response is answered at once; say false.", IsFalse);
        fields.Refuse("prompt", "prompts are not stored here: send `instructions` and `input`.");
        fields.Refuse("context_management", "conversations are not compacted here.", IsEmpty);
        fields.Refuse("truncation", "a conversation that does not fit is refused, never cut.", value => RequestFields.Is(value, "disabled"));
        fields.Refuse("max_tool_calls", "the model calls no tools by itself here.");
        ChatRequest.RefuseWhatNobodyHas(fields);
    }
}
