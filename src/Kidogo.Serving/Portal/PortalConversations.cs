// Conversations over HTTP, for the chat page of who is logged in: what its scripts/store.js asks. Nobody else's are ever looked at.
using System.Globalization;
using System.Text;
using System.Text.Json;
using Kidogo.Serving.Api;

namespace Kidogo.Serving.Portal;

/// <summary>Lists, loads, saves and removes the conversations of an account.</summary>
internal static class PortalConversations
{
    private const int MostListed = 1000, LongestQuery = 200;

    public static IEnumerable<KeyValuePair<(string Method, string Path), Func<PortalCall, Task>>> Routes =>
    [
        new(("GET", "/portal/api/conversations"), ListAsync),
        new(("DELETE", "/portal/api/conversations"), RemoveAllAsync),
        new(("GET", "/portal/api/conversations/*"), LoadAsync),
        new(("PUT", "/portal/api/conversations/*"), SaveAsync),
        new(("DELETE", "/portal/api/conversations/*"), RemoveAsync),
    ];

    /// <summary>The latest, and where to go on: <c>?before=NEXT</c>. With <c>?query=</c> those of them that have it in their title or in a message.</summary>
    private static Task ListAsync(PortalCall call)
    {
        Account account = Reader(call);
        string query = call.Http.Request.Query["query"].ToString().Trim();
        if (query.Length > LongestQuery)
        {
            throw PortalProblem.Of(400, "too_long", "query");
        }

        List<ConversationEntry> entries = call.Site.Conversations.List(account, Before(call), MostListed);
        string? next = entries.Count < MostListed ? null : string.Create(CultureInfo.InvariantCulture, $"{entries[^1].Updated}.{entries[^1].Id}");
        return call.WriteAsync(json =>
        {
            json.WriteStartArray("conversations");
            foreach (ConversationEntry entry in entries)
            {
                if (query.Length > 0 && !Mentions(call, account, entry, query))
                {
                    continue;
                }

                json.WriteStartObject();
                json.WriteString("id", entry.Id);
                json.WriteString("title", entry.Title);
                json.WriteNumber("created", entry.Created);
                json.WriteNumber("updated", entry.Updated);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteStringOrNull("next", next);
        });
    }

    private static Task LoadAsync(PortalCall call)
    {
        (byte[] data, long revision) = call.Site.Conversations.Load(Reader(call), call.Last) ?? throw PortalProblem.Of(404, "not_found", null);
        call.Http.Response.Headers.CacheControl = "no-store";
        call.Http.Response.Headers.ETag = string.Create(CultureInfo.InvariantCulture, $"\"{revision}\"");
        return ApiCall.WriteAsync(call.Http, data);
    }

    /// <summary>Keeps a conversation. <c>If-Match: "3"</c>, or <c>"0"</c> for a new one, has it refused where another window was faster.</summary>
    private static async Task SaveAsync(PortalCall call)
    {
        Session session = call.SessionOfForm();
        if (!Conversations.IsId(call.Last))
        {
            throw PortalProblem.Of(400, "conversation_malformed", "id");
        }

        long? revision = call.Http.Request.Headers.IfMatch.ToString().Trim('"') is not { Length: > 0 } given ? null
            : long.TryParse(given, NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : throw PortalProblem.Of(400, "conversation_malformed", "If-Match");
        using JsonDocument body = await call.ReadJsonAsync(Conversations.LargestBytes).ConfigureAwait(false);
        JsonElement root = body.RootElement;
        if (root.ValueKind != JsonValueKind.Object)
        {
            throw PortalProblem.Of(400, "conversation_malformed", null);
        }

        string title = root.TryGetProperty("title", out JsonElement text) && text.ValueKind == JsonValueKind.String ? RequestFields.StringOf(text, "title") : "";
        ConversationEntry entry = new(call.Last, title, Time(call, root, "created"), Time(call, root, "updated"));
        long saved = call.Site.Conversations.Save(session.Account, entry, Encoding.UTF8.GetBytes(root.GetRawText()), revision);
        await call.WriteAsync(json => json.WriteNumber("revision", saved)).ConfigureAwait(false);
    }

    private static Task RemoveAsync(PortalCall call) =>
        call.Site.Conversations.Remove(call.SessionOfForm().Account, call.Last) ? call.DoneAsync() : throw PortalProblem.Of(404, "not_found", null);

    private static Task RemoveAllAsync(PortalCall call)
    {
        call.Site.Conversations.RemoveAll(call.SessionOfForm().Account);
        return call.DoneAsync();
    }

    private static Account Reader(PortalCall call) => call.Session?.Account ?? throw PortalProblem.Of(401, "not_logged_in", null);

    private static (long, string)? Before(PortalCall call) => call.Http.Request.Query["before"].ToString() is not { Length: > 0 } text ? null
        : text.Split('.', 2) is [var updated, var id] && long.TryParse(updated, NumberStyles.None, CultureInfo.InvariantCulture, out long time) ? (time, id)
        : throw PortalProblem.Of(400, "not_found", "before");

    /// <summary>A time of a conversation; now where it has none, or one to come.</summary>
    private static long Time(PortalCall call, JsonElement root, string name)
    {
        long now = call.Site.Clock.GetUtcNow().ToUnixTimeMilliseconds();
        return root.TryGetProperty(name, out JsonElement time) && time.ValueKind == JsonValueKind.Number && time.TryGetDouble(out double given) && given >= 0 && given <= now ? (long)given : now;
    }

    private static bool Mentions(PortalCall call, Account account, ConversationEntry entry, string query)
    {
        if (entry.Title.Contains(query, StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        call.Gone.ThrowIfCancellationRequested();
        if (call.Site.Conversations.Load(account, entry.Id) is not var (data, _))
        {
            return false;
        }

        using JsonDocument conversation = JsonDocument.Parse(data);
        return conversation.RootElement.TryGetProperty("messages", out JsonElement messages) && messages.ValueKind == JsonValueKind.Array
            && messages.EnumerateArray().Any(message => message.ValueKind == JsonValueKind.Object && message.TryGetProperty("text", out JsonElement text)
                && text.ValueKind == JsonValueKind.String && Said(text).Contains(query, StringComparison.OrdinalIgnoreCase));
    }

    private static string Said(JsonElement text)
    {
        try
        {
            return text.GetString() ?? "";
        }
        catch (InvalidOperationException)
        {
            return ""; // half a character: whoever saved it can load it again, but nothing is found in it
        }
    }
}
