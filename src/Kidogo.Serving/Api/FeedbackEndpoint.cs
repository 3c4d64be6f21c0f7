// POST /v1/feedback and DELETE /v1/feedback/{id}: a thumb for an answer, kept only with consent. Knows no database.
using System.Text.Json;
using Kidogo.Serving.Feedback;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Serving.Api;

/// <summary>Takes ratings of answers, and gives them back to oblivion.</summary>
internal static class FeedbackEndpoint
{
    /// <summary>Where.</summary>
    public const string Path = "/v1/feedback";

    private const int MostMessages = 256, MostCharacters = 256 * 1024, LongestName = 200;
    private const string Expected = "an array of 2 to 256 messages, each {\"role\": …, \"content\": …}, the last of them the assistant's answer";

    /// <summary>Keeps a rating.</summary>
    public static async Task AddAsync(ApiCall call)
    {
        using JsonDocument body = await call.ReadJsonAsync().ConfigureAwait(false);
        RequestFields fields = new(body.RootElement);
        if (fields.Flag("consent") != true)
        {
            throw ApiException.Field("consent", "`consent` has to be true: nothing is kept of a conversation unless its writer agrees.", "consent_required");
        }

        string id = Name(fields, "id"), model = Name(fields, "model");
        string rating = fields.RequiredText("rating");
        if (rating is not ("up" or "down"))
        {
            throw ApiException.Field("rating", "`rating` has to be \"up\" or \"down\".", "invalid_value");
        }

        JsonElement given = fields.Array("messages", Expected) ?? throw fields.Missing("messages", Expected);
        string? correction = fields.Text("correction");
        fields.RejectUnknown();
        if (correction is not null && string.IsNullOrWhiteSpace(correction))
        {
            throw ApiException.Field("correction", "`correction` is empty: leave it out, or say what should have been answered.", "invalid_value");
        }

        ChatMessage[] messages = Messages(fields, given);
        if (messages.Sum(message => (long)message.Content.Length) + (correction?.Length ?? 0) > MostCharacters)
        {
            throw ApiException.Field("messages", $"The conversation has more than the {MostCharacters} characters that are kept of one.", "invalid_value");
        }

        DateTimeOffset expires = call.Options.Feedback!.Add(new RatedAnswer(call.Client.Name, id, model, rating == "up", messages, correction))
            ?? throw new ApiException(507, "insufficient_storage_error", "No more ratings are kept until older ones have ended.", code: "feedback_full");
        await call.WriteAsync(json =>
        {
            json.WriteStartObject();
            json.WriteString("id", id);
            json.WriteString("object", "feedback");
            json.WriteNumber("expires_at", expires.ToUnixTimeSeconds());
            json.WriteEndObject();
        }).ConfigureAwait(false);
    }

    /// <summary>Takes one's own rating back.</summary>
    public static Task RemoveAsync(ApiCall call, string id) => call.Options.Feedback!.Remove(call.Client.Name, id)
        ? call.WriteAsync(json =>
        {
            json.WriteStartObject();
            json.WriteString("id", id);
            json.WriteString("object", "feedback");
            json.WriteBoolean("deleted", true);
            json.WriteEndObject();
        })
        : throw new ApiException(404, ApiException.InvalidRequest, "There is no rating of yours for an answer with this id.", "id", "feedback_not_found");

    private static string Name(RequestFields fields, string name)
    {
        string text = fields.RequiredText(name);
        return text.Length is > 0 and <= LongestName && text.All(c => c is > ' ' and <= '~')
            ? text
            : throw ApiException.Field(name, $"`{name}` has to have 1 to {LongestName} visible ASCII characters, as answers have it.", "invalid_value");
    }

    private static ChatMessage[] Messages(RequestFields fields, JsonElement given)
    {
        if (given.GetArrayLength() is < 2 or > MostMessages)
        {
            throw fields.Wrong("messages", given, Expected);
        }

        List<ChatMessage> messages = [];
        foreach (JsonElement element in given.EnumerateArray())
        {
            RequestFields message = new(element, $"messages[{messages.Count}]");
            string role = message.RequiredText("role");
            string content = message.RequiredText("content");
            message.RejectUnknown();
            if (role is not ("system" or "user" or "assistant"))
            {
                throw ApiException.Field(message.PathOf("role"), $"`{message.PathOf("role")}` has to be system, user or assistant.", "invalid_value");
            }

            messages.Add(new ChatMessage(role, content));
        }

        return messages[^1] is { Role: "assistant" } answer && !string.IsNullOrWhiteSpace(answer.Content) ? [.. messages] : throw fields.Wrong("messages", given, Expected);
    }
}
