// The list of conversations in Chromium: names, search, deletion, files out and in, and files that somebody has tampered with.
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Kidogo.ServingTests.Pages;

[Collection(ChromiumTests.Name)]
public sealed class PageConversationsTests(Chromium chromium)
{
    [ChromiumFact]
    public async Task Conversation_RenamedAndSearched_IsFound()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page.AskAsync("About Mangoes");
            await page["#new"].ClickAsync();
            await page.AskAsync("About rain");
            ILocator links = page["#conversations a"];
            await Expect(links).ToHaveTextAsync(["About rain", "About Mangoes"]); // the newest first
            await Expect(links.First).ToHaveAttributeAsync("aria-current", "page");

            await page["#search"].FillAsync("mango");
            await Expect(links).ToHaveTextAsync(["About Mangoes"]);
            await page["#search"].FillAsync("nothing of that");
            await Expect(page["#conversations"]).ToHaveTextAsync(await page.SaysAsync("nothingFound"));
            await page["#search"].FillAsync((await page.AnswerAsync())[..6]); // in an answer, not in a title
            await Expect(links).ToContainTextAsync(["About rain"]);
            await page["#search"].FillAsync("");
            await Expect(links).ToHaveCountAsync(2);

            await links.First.HoverAsync();
            await page["#conversations [data-action=rename]"].First.ClickAsync();
            await page["#conversations input"].FillAsync("<b>Mvua</b>");
            await page.Page.Keyboard.PressAsync("Enter");
            await Expect(links.First).ToHaveTextAsync("<b>Mvua</b>");
            Assert.Equal("<b>Mvua</b> – Kidogo", await page.Page.TitleAsync());
            await page["#conversations [data-action=rename]"].First.ClickAsync();
            await page["#conversations input"].FillAsync("Never");
            await page.Page.Keyboard.PressAsync("Escape");
            await page.Page.ReloadAsync();
            await Expect(links.First).ToHaveTextAsync("<b>Mvua</b>");

            await links.Last.ClickAsync();
            await Expect(page.Messages.First.Locator(".text")).ToHaveTextAsync("About Mangoes");
        });
    }

    [ChromiumFact]
    public async Task Conversation_Deleted_IsGone_AfterAsking()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page.AskAsync("One");
            await page["#conversations a"].First.HoverAsync();
            await page["#conversations [data-action=delete]"].ClickAsync();
            await Expect(page["#ask-text"]).ToContainTextAsync("One");
            await page["#ask-dialog [value='']"].ClickAsync();
            await Expect(page["#conversations a"]).ToHaveCountAsync(1);
            await page["#conversations a"].First.HoverAsync();
            await page["#conversations [data-action=delete]"].ClickAsync();
            await page["#ask-yes"].ClickAsync();
            await Expect(page["#conversations a"]).ToHaveCountAsync(0);
            await Expect(page.Messages).ToHaveCountAsync(0);
            await page.Page.ReloadAsync();
            await Expect(page["#welcome"]).ToBeVisibleAsync();
            Assert.Equal(0, await CountAsync(page));
        });
    }

    [ChromiumFact]
    public async Task Conversation_DeletedWhileItIsAnswered_StaysGone()
    {
        await using TestServer server = await TestServer.StartAsync(contextLength: TinyModel.EndlessContext);
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page["#prompt"].FillAsync("Endlessly");
            await page["#prompt"].PressAsync("Enter");
            await page.Page.WaitForFunctionAsync("() => document.querySelector('#messages .assistant > .prose')?.textContent.length > 5");
            await page["#settings"].ClickAsync();
            await page["#delete-all"].ClickAsync();
            await page["#ask-yes"].ClickAsync();
            await server.IdleAsync();
            await page["#settings-dialog [value=cancel]"].ClickAsync();
            await page.AnsweredAsync();
            Assert.Equal(0, await CountAsync(page));
            await Expect(page["#conversations a"]).ToHaveCountAsync(0);
        }, new Visitor { Defaults = """{"temperature":0}""" });
    }

    [ChromiumFact]
    public async Task Conversations_ExportedAndImported_AreTheSame()
    {
        await using TestServer server = await TestServer.StartAsync();
        string file = "";
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page.AskAsync("Moja");
            await page.Messages.Last.Locator("[data-action=again]").ClickAsync();
            await page.AnsweredAsync();
            await page["#new"].ClickAsync();
            await page.AskAsync("Mbili");
            IDownload download = await page.Page.RunAndWaitForDownloadAsync(() => page["#export-all"].ClickAsync());
            Assert.Matches(@"^kidogo-\d{4}-\d\d-\d\d\.json$", download.SuggestedFilename);
            file = await File.ReadAllTextAsync(await download.PathAsync());
            Assert.Equal(2, TestServer.Parse(file).GetProperty("conversations").GetArrayLength());

            await page["#conversations a"].First.HoverAsync();
            IDownload one = await page.Page.RunAndWaitForDownloadAsync(() => page["#conversations [data-action=export]"].First.ClickAsync());
            Assert.StartsWith("kidogo-mbili-", one.SuggestedFilename, StringComparison.Ordinal);
            Assert.DoesNotContain("Moja", await File.ReadAllTextAsync(await one.PathAsync()), StringComparison.Ordinal);

            await ImportAsync(page, file); // what is here already is not taken twice
            await Expect(page[".notice p"]).ToHaveTextAsync(await page.SaysAsync("imported", new { added = "0", known = "2" }));
            await Expect(page["#conversations a"]).ToHaveCountAsync(2);
        });
        await ChatPage.UseAsync(chromium, server, async page => // another browser
        {
            await ImportAsync(page, file);
            await Expect(page["#conversations a"]).ToHaveTextAsync(["Mbili", "Moja"]);
            await page["#conversations a"].Last.ClickAsync();
            await Expect(page["#messages .branches"]).ToHaveTextAsync("2 of 2");
            IDownload download = await page.Page.RunAndWaitForDownloadAsync(() => page["#export-all"].ClickAsync());
            JsonNode before = JsonNode.Parse(file)!, after = JsonNode.Parse(await File.ReadAllTextAsync(await download.PathAsync()))!;
            Assert.True(JsonNode.DeepEquals(before["conversations"], after["conversations"]));
            await page.AskAsync("Tatu");
            await Expect(page.Messages).ToHaveCountAsync(4);

            JsonNode other = before.DeepClone();
            foreach (JsonNode? conversation in other["conversations"]!.AsArray())
            {
                conversation!["title"] = "Another";
            }

            await ImportAsync(page, other.ToJsonString()); // a file never writes over what is here
            await Expect(page["#conversations a"]).ToHaveCountAsync(4);
            Assert.Equal(4, await CountAsync(page));
        });
    }

    [ChromiumFact]
    public async Task Import_OfTamperedFiles_IsRefusedWhole()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            foreach ((string why, string reason, string content) in Tampered())
            {
                await ImportAsync(page, content);
                await Expect(page[".notice.error p"]).ToHaveTextAsync(await page.SaysAsync(reason, reason == "importMalformed" ? new { place = 1, field = why } : null));
                Assert.Equal(0, await CountAsync(page));
                await page[".notice .quiet"].ClickAsync();
            }

            await ImportAsync(page, Whole(_ => { }));
            await Expect(page["#conversations a"]).ToHaveTextAsync(["<img src=x onerror=alert(1)>"]);
            await page["#conversations a"].ClickAsync();
            await Expect(page.Messages.First.Locator(".text")).ToHaveTextAsync("<script>alert(1)</script>");
            Assert.Equal(0, await page["#messages script, #messages img, #conversations img"].CountAsync());
            JsonElement kept = await page.KeptAsync();
            Assert.False(kept.TryGetProperty("more", out _)); // only what is known is taken
            Assert.Equal(JsonValueKind.Undefined, await page.Page.EvaluateAsync<JsonElement?>("({}).polluted") is { } polluted ? polluted.ValueKind : JsonValueKind.Undefined);
        });
    }

    private static IEnumerable<(string Why, string Reason, string Content)> Tampered()
    {
        yield return ("", "importNoJson", "");
        yield return ("", "importNoJson", "not json");
        yield return ("", "importNoJson", "{\"format\":\"kidogo-conversations\",\"version\":1,\"conversations\":[");
        yield return ("", "importOther", "null");
        yield return ("", "importOther", "[]");
        yield return ("", "importOther", "{\"conversations\":[]}");
        yield return ("", "importOther", "{\"format\":\"kidogo-conversations\",\"version\":1,\"conversations\":{\"length\":1}}");
        yield return ("", "importOther", new string('[', 200_000) + new string(']', 200_000));
        yield return ("", "importVersion", "{\"format\":\"kidogo-conversations\",\"version\":2,\"conversations\":[]}");
        yield return ("conversation", "importMalformed", Whole(file => file["conversations"]![0] = null));
        yield return ("id", "importMalformed", Whole(Of(c => c["id"] = "../../x")));
        yield return ("id", "importMalformed", Whole(Of(c => c["id"] = new string('a', 65))));
        yield return ("title", "importMalformed", Whole(Of(c => c["title"] = new string('a', 301))));
        yield return ("title", "importMalformed", Whole(Of(c => c["title"] = new JsonObject { ["toString"] = "x" })));
        yield return ("created", "importMalformed", Whole(Of(c => c["created"] = "2026")));
        yield return ("updated", "importMalformed", Whole(Of(c => c["updated"] = 1e16)));
        yield return ("settings", "importMalformed", Whole(Of(c => c["settings"] = 5)));
        yield return ("temperature", "importMalformed", Whole(Of(c => c["settings"] = new JsonObject { ["temperature"] = "hot" })));
        yield return ("messages", "importMalformed", Whole(Of(c => c["messages"] = "none")));
        yield return ("role", "importMalformed", Whole(OfMessage(m => m["role"] = "system")));
        yield return ("text", "importMalformed", Whole(OfMessage(m => m["text"] = null)));
        yield return ("text", "importMalformed", Whole(OfMessage(m => m["text"] = new string('a', 2_000_001))));
        yield return ("parent", "importMalformed", Whole(OfMessage(m => m["parent"] = "m2"))); // a circle
        yield return ("parent", "importMalformed", Whole(OfMessage(m => m["id"] = "m2"))); // two of one name
        yield return ("next", "importMalformed", Whole(OfMessage(m => m["next"] = "m1")));
        yield return ("next", "importMalformed", Whole(Of(c => c["next"] = "m2")));
        yield return ("next", "importMalformed", Whole(Of(c => c["next"] = "nowhere")));

        static Action<JsonNode> Of(Action<JsonNode> change) => file => change(file["conversations"]![0]!);
        static Action<JsonNode> OfMessage(Action<JsonNode> change) => Of(conversation => change(conversation["messages"]![0]!));
    }

    private static string Whole(Action<JsonNode> change)
    {
        JsonNode file = JsonNode.Parse(
            """
            {"format":"kidogo-conversations","version":1,"conversations":[{"id":"__proto__","title":"<img src=x onerror=alert(1)>","created":1,"updated":2,"model":"tiny","settings":{"system":"s"},"next":"m1","more":1,
            "messages":[{"id":"m1","parent":null,"next":"m2","created":1,"role":"user","text":"<script>alert(1)</script>"},{"id":"m2","parent":"m1","next":null,"created":1,"role":"assistant","text":"x"}]}]}
            """)!;
        change(file);
        return file.ToJsonString();
    }

    private static Task ImportAsync(ChatPage page, string content) =>
        page["#import-file"].SetInputFilesAsync(new FilePayload { Name = "file.json", MimeType = "application/json", Buffer = Encoding.UTF8.GetBytes(content) });

    private static Task<int> CountAsync(ChatPage page) => page.Page.EvaluateAsync<int>("async () => (await (await import('/scripts/store.js')).list()).length");
}
