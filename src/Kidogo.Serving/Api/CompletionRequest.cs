// A completion of texts or tokens as it is asked for: every field is honoured here, or refused by name. Knows no answers.
using System.Text.Json;
using Kidogo.Inference.Constraints;
using Kidogo.Inference.Output;
using Kidogo.Inference.Scheduling;

namespace Kidogo.Serving.Api;

/// <summary>What is to be done for a completion: a sequence for each attempt at each prompt, those of one prompt together.</summary>
/// <param name="Asked">Who answers.</param>
/// <param name="Requests">The sequences.</param>
/// <param name="Prompts">The prompts as texts, for echoing them.</param>
/// <param name="Choices">How many answers to each prompt are shown.</param>
/// <param name="Attempts">How many are made.</param>
/// <param name="Echoes">Whether answers begin with their prompts.</param>
/// <param name="ReportsLikelihoods">Whether tokens are reported with their likelihoods.</param>
/// <param name="Streams">Whether the answer comes in pieces.</param>
/// <param name="ReportsUsage">Whether a stream ends with its usage.</param>
internal sealed record CompletionRequest(
    AskedModel Asked, IReadOnlyList<string> Prompts, IReadOnlyList<GenerationRequest> Requests, int Choices, int Attempts, bool Echoes, bool ReportsLikelihoods, bool Streams, bool ReportsUsage)
    : AnswerRequest(Asked, Requests, Streams)
{
    private const int MostAlternatives = 20;
    private const int MostPrompts = 64;
    private const int UsualMaxTokens = 16; // OpenAI's

    /// <inheritdoc/>
    public override string Operation => "text_completion";

    /// <inheritdoc/>
    public override ModelAnswer Begin(GenerationGroup group) => new CompletionAnswer(this, group);

    /// <summary>Reads a request.</summary>
    public static CompletionRequest Read(ApiCall call, AskedModel asked, RequestFields fields)
    {
        ServedModel model = asked.Model;
        (bool streams, bool reportsUsage) = SamplingFields.Streaming(fields);
        int? alternatives = fields.Int("logprobs", 0, MostAlternatives);
        bool echoes = fields.Flag("echo") ?? false;
        int choices = fields.Int("n", 1, SamplingFields.MostChoices) ?? 1;
        int attempts = fields.Int("best_of", 1, SamplingFields.MostChoices) ?? choices;
        if (attempts < choices || (streams && attempts > choices))
        {
            throw ApiException.Field("best_of", $"`best_of` is {attempts} and `n` {choices}; it has to be as many or more, and the same in a stream, which cannot take back what it has shown.", "invalid_value");
        }

        GenerationRequest request = new()
        {
            Prompt = [],
            Owner = call.OwnerOf(fields),
            Adapter = asked.Adapter,
            Continues = true,
            Generation = new GenerationOptions
            {
                MaxTokens = fields.Int("max_tokens", 0, int.MaxValue) ?? UsualMaxTokens,
                StopStrings = SamplingFields.Stops(fields),
                Sampling = SamplingFields.Read(fields, model.DefaultSampling, model.Config.VocabSize),
            },
            Alternatives = alternatives ?? (attempts > choices ? 0 : null),
            ReportsPrompt = echoes && alternatives is not null,
            UsesCache = fields.Flag("cache_prompt") ?? true,
        };
        string? suffix = fields.Text("suffix");
        List<(string Text, int[] Ids)> prompts = ReadPrompts(fields, model, mayBeEmpty: suffix is not null);
        prompts = Suffixed(suffix, model, prompts, echoes);
        TokenGrammar? form = AnswerFormat.Read(fields, isChat: false)?.For(model);
        fields.RejectUnknown();
        return new CompletionRequest(
            asked,
            [.. prompts.Select(prompt => prompt.Text)],
            [.. prompts.SelectMany(prompt => ChatRequest.Choices(request with { Prompt = prompt.Ids }, attempts, form))],
            choices, attempts, echoes, alternatives is not null, streams, reportsUsage);
    }

    /// <summary>A text, texts, token ids, or arrays of token ids.</summary>
    private static List<(string Text, int[] Ids)> ReadPrompts(RequestFields fields, ServedModel model, bool mayBeEmpty)
    {
        const string Expected = "a string, an array of strings, an array of token ids, or an array of arrays of token ids";
        JsonElement value = fields.Element("prompt") ?? throw fields.Missing("prompt", Expected);
        if (value.ValueKind == JsonValueKind.String)
        {
            return [OfText(RequestFields.StringOf(value, "prompt"), model, mayBeEmpty)];
        }

        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() == 0)
        {
            throw fields.Wrong("prompt", value, Expected);
        }

        if (value[0].ValueKind == JsonValueKind.Number)
        {
            return [OfIds(value, "prompt", model)];
        }

        if (value.GetArrayLength() > MostPrompts)
        {
            throw ApiException.Field("prompt", $"`prompt` has {value.GetArrayLength()} prompts; at most {MostPrompts} are taken at once.", "invalid_value");
        }

        List<(string, int[])> prompts = [];
        foreach (JsonElement element in value.EnumerateArray())
        {
            string path = $"prompt[{prompts.Count}]";
            prompts.Add(element.ValueKind switch
            {
                JsonValueKind.String => OfText(RequestFields.StringOf(element, path), model, mayBeEmpty),
                JsonValueKind.Array => OfIds(element, path, model),
                _ => throw RequestFields.WrongAt(path, element, "a string, or an array of token ids"),
            });
        }

        return prompts;
    }

    private static (string Text, int[] Ids) OfText(string text, ServedModel model, bool mayBeEmpty)
    {
        model.CheckLength(text.Length);
        int[] ids = model.Tokenizer.Encode(text, addSpecial: true);
        return ids.Length > 0 || mayBeEmpty ? (text, ids) : throw ApiException.Field("prompt", "`prompt` is empty, and this model has no token to begin with: give at least one character.", "invalid_value");
    }

    private static (string Text, int[] Ids) OfIds(JsonElement array, string path, ServedModel model)
    {
        if (array.GetArrayLength() > model.Scheduler.ContextLength)
        {
            throw ApiException.TooLong(array.GetArrayLength(), model.Scheduler.ContextLength);
        }

        int[] ids = TokenIds.Read(array, path, model.Vocabulary);
        return ids.Length > 0 ? (model.Tokenizer.Decode(ids), ids) : throw ApiException.Field(path, $"`{path}` is empty; give at least one token id.", "invalid_value");
    }

    /// <summary>With <c>suffix</c>, the prompt is what stands before a hole.</summary>
    private static List<(string Text, int[] Ids)> Suffixed(string? suffix, ServedModel model, List<(string Text, int[] Ids)> prompts, bool echoes)
    {
        if (suffix is null)
        {
            return prompts;
        }

        if (model.Tokenizer.FillInMiddle is not { } hole)
        {
            throw ApiException.Field("suffix", "`suffix` is not supported by this model: its vocabulary has no tokens for filling in the middle.", "unsupported_parameter");
        }

        if (echoes)
        {
            throw ApiException.Field("suffix", "`suffix` does not go with `echo`.", "invalid_value");
        }

        model.CheckLength(suffix.Length);
        int[] after = model.Tokenizer.Encode(suffix);
        return [.. prompts.Select(prompt => (prompt.Text, HolePrompt.Of(hole, model.Tokenizer, prompt.Ids, after)))];
    }
}

/// <summary>Token ids in JSON.</summary>
internal static class TokenIds
{
    /// <summary>An array of ids below a number.</summary>
    public static int[] Read(JsonElement array, string path, int vocabulary)
    {
        int[] ids = new int[array.GetArrayLength()];
        int count = 0;
        foreach (JsonElement element in array.EnumerateArray())
        {
            ids[count] = element.ValueKind == JsonValueKind.Number && element.TryGetInt32(out int id) && id >= 0 && id < vocabulary
                ? id
                : throw RequestFields.WrongAt($"{path}[{count}]", element, $"a token id from 0 to {vocabulary - 1}");
            count++;
        }

        return ids;
    }
}
