// The prompt box of the front page: a question of a stranger's, answered by the same scheduler as all others, within limits. Keeps nothing.
using System.Text.Json;
using Kidogo.Serving.Access;
using Kidogo.Serving.Api;
using Kidogo.Text;

namespace Kidogo.Serving.Portal;

/// <summary>Answers strangers.</summary>
internal static class PortalPrompt
{
    public static async Task AnswerAsync(PortalCall call)
    {
        FrontPageSettings settings = call.Site.Settings.FrontPage;
        call.CheckOrigin();
        if (!settings.Prompt)
        {
            throw PortalProblem.Of(403, "prompt_closed", null);
        }

        string prompt = (await call.ReadAsync(fields => fields.RequiredText("prompt")).ConfigureAwait(false)).Trim();
        if (prompt.Length == 0 || prompt.Length > settings.Characters)
        {
            throw PortalProblem.Of(400, prompt.Length == 0 ? "prompt_empty" : "prompt_too_long", "prompt");
        }

        Client visitor = call.Site.Visitors.Of(call.Site.Clients.AddressOf(call.Http));
        visitor.CheckRequest();
        if (!await call.Site.VisitorPlaces.WaitAsync(0).ConfigureAwait(false))
        {
            throw PortalProblem.Of(429, "visitors_busy", null, TimeSpan.FromSeconds(10));
        }

        try
        {
            using ApiCall ask = call.Ask!(visitor);
            string model = ask.Shelf.Entries.FirstOrDefault(entry => !entry.IsEncoder)?.Id ?? throw PortalProblem.Of(403, "prompt_closed", null);
            AskedModel asked = await ask.DecoderAsync(model).ConfigureAwait(false);
            await ModelAnswer.RunAsync(ask, ChatRequest.Read(ask, asked, new RequestFields(Body(settings, prompt)))).ConfigureAwait(false);
            call.Summary = ask.Summary;
        }
        finally
        {
            call.Site.VisitorPlaces.Release();
        }
    }

    /// <summary>The chat completion that the question is.</summary>
    private static JsonElement Body(FrontPageSettings settings, string prompt) => JsonBuilding.Element(json =>
    {
        json.WriteStartObject();
        json.WriteStartArray("messages");
        if (settings.Instructions.Length > 0)
        {
            WriteMessage(json, "system", settings.Instructions);
        }

        WriteMessage(json, "user", prompt);
        json.WriteEndArray();
        json.WriteNumber("max_tokens", settings.Tokens);
        json.WriteBoolean("stream", true);
        json.WriteEndObject();
    });

    private static void WriteMessage(Utf8JsonWriter json, string role, string content)
    {
        json.WriteStartObject();
        json.WriteString("role", role);
        json.WriteString("content", content);
        json.WriteEndObject();
    }
}
