// What the page says in Chromium when something goes wrong, and what may be added to it: a badge, ratings.
using System.Text.Json;
using Kidogo.Serving.Access;
using Kidogo.Tests.Models.Files;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Kidogo.ServingTests.Pages;

[Collection(ChromiumTests.Name)]
public sealed class PageFailureTests(Chromium chromium)
{
    [ChromiumFact]
    public async Task Key_WhereOneIsNeeded_IsAskedForAndKept()
    {
        using TestFolder folder = new();
        string keys = folder["keys/keys.json"], key = KeyFile.Create(keys, "amina");
        await using TestServer server = await TestServer.StartAsync(change: options => options with { KeyFile = keys });
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await Expect(page[".notice.error p"]).ToHaveTextAsync(await page.SaysAsync("failedKey"));
            await page[".notice .actions button"].First.ClickAsync();
            await Expect(page["[name=key]"]).ToBeFocusedAsync();
            await page["[name=key]"].FillAsync("wrong");
            await page["#settings-dialog [value=save]"].ClickAsync();
            await Expect(page[".notice.error p"]).ToHaveTextAsync(await page.SaysAsync("failedKey"));
            await page["#settings"].ClickAsync();
            await page["[name=key]"].FillAsync(key);
            await page["#settings-dialog [value=save]"].ClickAsync();
            await Expect(page["#model"]).ToHaveValueAsync("tiny");
            await page.AskAsync("Habari?");
            await Expect(page.Messages).ToHaveCountAsync(2);

            Assert.DoesNotContain(key, await page.Page.EvaluateAsync<string>("() => JSON.stringify(localStorage)"), StringComparison.Ordinal); // for this tab, unless it is to be remembered
            await page.Page.ReloadAsync();
            await Expect(page["#model"]).ToHaveValueAsync("tiny");
            IDownload download = await page.Page.RunAndWaitForDownloadAsync(() => page["#export-all"].ClickAsync());
            Assert.DoesNotContain(key, await File.ReadAllTextAsync(await download.PathAsync()), StringComparison.Ordinal);
            await page["#settings"].ClickAsync();
            await page["[name=rememberKey]"].CheckAsync();
            await page["#settings-dialog [value=save]"].ClickAsync();
            Assert.Contains(key, await page.Page.EvaluateAsync<string>("() => JSON.stringify(localStorage)"), StringComparison.Ordinal);
        });
    }

    [ChromiumFact]
    public async Task Server_Busy_SaysWhen_AndIsTriedAgain()
    {
        using TestFolder folder = new();
        string keys = folder["keys/keys.json"], key = KeyFile.Create(keys, "amina", requestsPerMinute: 4);
        await using TestServer server = await TestServer.StartAsync(change: options => options with { KeyFile = keys });
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page["#settings"].ClickAsync();
            await page["[name=key]"].FillAsync(key);
            await page["#settings-dialog [value=save]"].ClickAsync(); // models and properties: two requests
            await Expect(page["#model"]).ToHaveValueAsync("tiny");
            for (int i = 0; i < 20 && await page[".notice"].CountAsync() == 0; i++) // the allowance fills up again, slowly
            {
                await page["#prompt"].FillAsync("Habari?");
                await page["#prompt"].PressAsync("Enter");
                await page.Page.WaitForFunctionAsync("() => !document.querySelector('[aria-busy]') || document.querySelector('.notice')");
            }

            await Expect(page[".notice p"]).ToContainTextAsync("Trying again in"); // as the server's Retry-After says
            await Expect(page["#stop"]).ToBeVisibleAsync();
            await page.Page.Keyboard.PressAsync("Escape");
            await page.AnsweredAsync();
            await Expect(page[".notice"]).ToHaveCountAsync(0);
            await Expect(page.Messages.Last).ToHaveClassAsync("message user"); // nothing came, so there is no answer

            int refused = 0;
            await page.Page.RouteAsync("**/v1/chat/completions", route => refused++ > 0
                ? route.FulfillAsync(new() { ContentType = "text/event-stream", Body = "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"At last\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n" })
                : route.FulfillAsync(new() { Status = 429, ContentType = "application/json", Headers = new Dictionary<string, string> { ["Retry-After"] = "1" }, Body = """{"error":{"message":"full","type":"overloaded_error"}}""" }));
            await page.Messages.Last.Locator("[data-action=again]").ClickAsync();
            await page.AnsweredAsync();
            await Expect(page["#messages .prose"].Last).ToHaveTextAsync("At last");
            Assert.Equal(2, refused);
        });
    }

    [ChromiumFact]
    public async Task Conversation_TooLong_SaysBothNumbers()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page.AskAsync(new string('a', 600));
            await Expect(page[".notice.error p"]).ToContainTextAsync($"reads at most {TinyModel.ContextLength}");
            await page[".notice .actions button"].ClickAsync();
            await Expect(page.Messages).ToHaveCountAsync(0); // a new one
        });
    }

    [ChromiumFact]
    public async Task Connection_Lost_IsSaid_AndTriedAgain()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page.Page.Context.SetOfflineAsync(true);
            await page.AskAsync("Habari?");
            await Expect(page[".notice.error p"]).ToHaveTextAsync(await page.SaysAsync("failedOffline"));
            await Expect(page.Messages).ToHaveCountAsync(1); // the question stays
            await page.Page.Context.SetOfflineAsync(false);
            await page[".notice .actions button"].ClickAsync();
            await page.AnsweredAsync();
            await Expect(page.Messages).ToHaveCountAsync(2);
            await Expect(page[".notice"]).ToHaveCountAsync(0);

            await page.Page.Context.SetOfflineAsync(true);
            await page.AskAsync("Unheard");
            await page.Page.Context.SetOfflineAsync(false);
            IRequest asked = await page.Page.RunAndWaitForRequestAsync(() => page.AskAsync("Heard"), request => request.Url.EndsWith("/v1/chat/completions", StringComparison.Ordinal));
            string[] roles = [.. TestServer.Parse(asked.PostData!).GetProperty("messages").EnumerateArray().Select(message => ChatPage.Text(message, "role"))];
            Assert.Equal(["user", "assistant", "user"], roles); // templates want turns to alternate

            await page.AnswerWithAsync("Half of an ans", end: "");
            await page.AskAsync("Tena?");
            await Expect(page[".notice.error p"]).ToHaveTextAsync(await page.SaysAsync("failedCut"));
            await Expect(page["#messages .prose"].Last).ToHaveTextAsync("Half of an ans");
            await Expect(page.Messages.Last.Locator(".note")).ToHaveTextAsync(await page.SaysAsync("endedByCut"));
        });
    }

    [ChromiumTheory]
    [InlineData(400, """{"error":{"message":"`x` is <b>wrong</b>.","type":"invalid_request_error"}}""", "That did not work: `x` is <b>wrong</b>.")]
    [InlineData(500, "not json", "That did not work: HTTP 500")]
    [InlineData(502, "", "That did not work: HTTP 502")]
    [InlineData(200, "data: {\"error\":{\"message\":\"It broke.\"}}\n\n", "That did not work: It broke.")]
    public async Task Server_WithAnotherError_IsQuoted(int status, string body, string said)
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page.Page.RouteAsync("**/v1/chat/completions", route => route.FulfillAsync(new() { Status = status, ContentType = "text/plain", Body = body }));
            await page.AskAsync("Habari?");
            await Expect(page[".notice.error p"]).ToHaveTextAsync(said);
        });
    }

    [ChromiumFact]
    public async Task Browser_ThatKeepsNothing_IsSaid_AndWorks()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page.Page.Context.AddInitScriptAsync("for (const name of ['indexedDB', 'localStorage', 'sessionStorage']) Object.defineProperty(globalThis, name, { get() { throw new Error('forbidden'); } });");
            await page.Page.ReloadAsync();
            await Expect(page[".notice p"]).ToHaveTextAsync(await page.SaysAsync("notKept"));
            await page.AskAsync("Habari?");
            await Expect(page.Messages).ToHaveCountAsync(2);
            await Expect(page["#conversations a"]).ToHaveCountAsync(1);
        }, new Visitor { Defaults = null });
    }

    [ChromiumFact]
    public async Task Badge_SaysWhereTheAnswerIsFrom()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page.AskAsync("Habari?");
            await Expect(page["#messages .badge"]).ToBeHiddenAsync();
            await page.AnswerWithAsync("Yes", servedBy: "local");
            await page.AskAsync("One");
            await Expect(page["#messages .badge"].Last).ToHaveTextAsync("On this server");
            await page.Page.UnrouteAsync("**/v1/chat/completions");
            await page.AnswerWithAsync("Yes", servedBy: "cloud <b>x</b>");
            await page.AskAsync("Two");
            await Expect(page["#messages .badge"].Last).ToHaveTextAsync("cloud <b>x</b>");
        });
    }

    [ChromiumFact]
    public async Task Rating_IsOffered_WhereItIsTaken_AndSentAfterConsent()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page.AskAsync("Habari?");
            await Expect(page["[data-action=up]"]).ToBeHiddenAsync();

            List<JsonElement> ratings = [];
            await page.Page.RouteAsync("**/props?*", route => route.FulfillAsync(new() { ContentType = "application/json", Body = """{"feedback":true}""" }));
            await page.Page.RouteAsync("**/v1/feedback", route =>
            {
                ratings.Add(TestServer.Parse(route.Request.PostData!));
                return route.FulfillAsync(new() { ContentType = "application/json", Body = "{}" });
            });
            await page.Page.ReloadAsync();
            await page["[data-action=up]"].ClickAsync();
            await page["#ask-dialog [value='']"].ClickAsync();
            Assert.Empty(ratings); // no consent, nothing sent
            await page["[data-action=up]"].ClickAsync();
            await page["#ask-yes"].ClickAsync();
            await Expect(page["[data-action=up]"]).ToHaveAttributeAsync("aria-pressed", "true");
            await page["[data-action=down]"].ClickAsync();
            await Expect(page["[data-action=down]"]).ToHaveAttributeAsync("aria-pressed", "true");
            Assert.Equal(["up", "down"], ratings.Select(rating => ChatPage.Text(rating, "rating")));
            Assert.All(ratings, rating => Assert.True(rating.GetProperty("consent").GetBoolean()));
            Assert.Equal("tiny", ChatPage.Text(ratings[0], "model"));
            Assert.StartsWith("chatcmpl-", ChatPage.Text(ratings[0], "id"), StringComparison.Ordinal);
            Assert.Equal(["user", "assistant"], ratings[0].GetProperty("messages").EnumerateArray().Select(message => ChatPage.Text(message, "role")));
            await page.AnswerWithAsync("Yes", servedBy: "big", model: "large-model");
            await page.AskAsync("And you?");
            await page["[data-action=up]"].Last.ClickAsync();
            await Expect(page["[data-action=up]"].Last).ToHaveAttributeAsync("aria-pressed", "true");
            Assert.Equal("large-model", ChatPage.Text(ratings[^1], "model")); // who answered, not who was asked
        });
    }
}
