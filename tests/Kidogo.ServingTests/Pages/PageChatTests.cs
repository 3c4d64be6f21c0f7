// The chat page in Chromium: asking, streaming, stopping, answering again, editing, branches, keys and what is kept.
using System.Text.Json;
using System.Text.RegularExpressions;
using Kidogo.Inference.Scheduling;
using Kidogo.Serving;
using Kidogo.Tests.Inference;
using Kidogo.Text.ChatTemplates;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Kidogo.ServingTests.Pages;

[Collection(ChromiumTests.Name)]
public sealed class PageChatTests(Chromium chromium)
{
    private const string Endless = """{"temperature":0}""";

    [ChromiumFact]
    public async Task Visit_First_ShowsWhereToBegin()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            Assert.Equal("Kidogo", await page.Page.TitleAsync());
            await Expect(page["#welcome h2"]).ToBeVisibleAsync();
            await Expect(page["#suggestions button"]).ToHaveCountAsync(4);
            await Expect(page["#model"]).ToHaveValueAsync("tiny");
            await Expect(page["#conversations"]).ToHaveTextAsync(await page.SaysAsync("nothingYet"));
            await Expect(page.Messages).ToHaveCountAsync(0);
            Assert.Equal("en", await page["html"].GetAttributeAsync("lang"));
            string[] unnamed = await page.Page.EvaluateAsync<string[]>(
                """
                [...document.querySelectorAll("button, input, select, textarea, a, dialog, nav, aside")].filter(each => !(each.getAttribute("aria-label") || each.getAttribute("aria-labelledby")
                    || each.labels?.[0]?.textContent.trim() || each.textContent.trim() || each.type === "file")).map(each => each.outerHTML)
                """);
            Assert.Empty(unnamed);
        });
    }

    [ChromiumFact]
    public async Task Suggestion_Pressed_IsAsked()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page["#suggestions button"].First.ClickAsync();
            await page.AnsweredAsync();
            await Expect(page.Messages).ToHaveCountAsync(2);
            await Expect(page["#welcome"]).ToBeHiddenAsync();
        });
    }

    [ChromiumFact]
    public async Task Answer_Streamed_IsWhatTheModelSays()
    {
        await using TestServer server = await TestServer.StartAsync();
        using Alone alone = new(server.Path);
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page.AskAsync("Habari?");
            await Expect(page.Messages.First.Locator(".text")).ToHaveTextAsync("Habari?");
            Assert.Equal(alone.Answer(alone.ChatIds("Habari?"), 12).Text, await page.AnswerAsync());
            await Expect(page.Messages.Last.Locator(".note")).ToHaveTextAsync(await page.SaysAsync("endedByLength"));
            await Expect(page.Messages.Last.Locator(".measure")).ToHaveTextAsync(new Regex(@"^12 tokens · [\d,.]+ tokens/s$"));
            int used = alone.ChatIds("Habari?").Length + 12;
            await Expect(page["#usage-text"]).ToHaveTextAsync($"{used} of {TinyModel.ContextLength} tokens");
            Assert.Equal(used / (double)TinyModel.ContextLength, await page["#usage-meter"].EvaluateAsync<double>("meter => meter.value"), 1e-6);
            Assert.Equal("Habari? – Kidogo", await page.Page.TitleAsync());

            // The whole answer is told once, not token by token: what is read aloud lies outside of the messages.
            await Expect(page["#status"]).ToHaveTextAsync($"Answer: {await page.AnswerAsync()}", new() { UseInnerText = false });
            Assert.Equal(0, await page["#messages[aria-live], #messages [aria-live]"].CountAsync());

            await page.AskAsync("Tena?");
            await Expect(page.Messages).ToHaveCountAsync(4);
            JsonElement[] kept = [.. (await page.KeptAsync()).GetProperty("messages").EnumerateArray()];
            Assert.Equal(["user", "assistant", "user", "assistant"], kept.Select(message => ChatPage.Text(message, "role")));
        });
    }

    [ChromiumFact]
    public async Task Answer_WhileItComes_IsShownAndStopsWithEscape()
    {
        await using TestServer server = await TestServer.StartAsync(contextLength: TinyModel.EndlessContext);
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page["#prompt"].FillAsync("Endlessly");
            await page["#send"].ClickAsync();
            await page.Page.WaitForFunctionAsync("() => document.querySelector('#messages .assistant > .prose')?.textContent.length > 20");
            await Expect(page["#stop"]).ToBeFocusedAsync();
            await Expect(page["#send"]).ToBeHiddenAsync();
            Assert.Equal(1, server.Model.Scheduler.Status().Active);
            await page.Page.Keyboard.PressAsync("Escape");
            await page.AnsweredAsync();
            await server.IdleAsync(); // the model stops too
            await Expect(page["#prompt"]).ToBeFocusedAsync();
            await Expect(page.Messages.Last.Locator(".note")).ToHaveTextAsync(await page.SaysAsync("endedByStop"));
            string answer = await page.AnswerAsync();
            Assert.True(answer.Length > 20);

            await page["#prompt"].FillAsync("Again");
            await page["#prompt"].PressAsync("Enter");
            await page.Page.WaitForFunctionAsync("() => document.querySelector('#messages li:last-child > .prose')?.textContent.length > 5");
            await page["#stop"].ClickAsync();
            await page.AnsweredAsync();
            await server.IdleAsync();
            await Expect(page.Messages).ToHaveCountAsync(4);
        }, new Visitor { Defaults = Endless });
    }

    [ChromiumFact]
    public async Task Reader_WhoScrollsBack_IsLeftThere()
    {
        await using TestServer server = await TestServer.StartAsync(contextLength: TinyModel.EndlessContext);
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page["#prompt"].FillAsync("Endlessly");
            await page["#prompt"].PressAsync("Enter");
            const string Below = "(() => { const s = document.getElementById('scroll'); return s.scrollHeight - s.scrollTop - s.clientHeight; })()";
            await page.Page.WaitForFunctionAsync("() => document.getElementById('scroll').scrollHeight > 900");
            Assert.True(await page.Page.EvaluateAsync<double>(Below) < 60); // it follows
            await page["#scroll"].HoverAsync();
            for (int turn = 0; turn < 100 && await page.Page.EvaluateAsync<double>("document.getElementById('scroll').scrollTop") > 0; turn++)
            {
                await page.Page.Mouse.WheelAsync(0, -10_000); // how much text there is by now depends on the machine
                await page.Page.WaitForTimeoutAsync(50);
            }

            int length = await page["#messages"].EvaluateAsync<int>("list => list.textContent.length");
            await page.Page.WaitForFunctionAsync("length => document.getElementById('messages').textContent.length > length + 50", length);
            Assert.Equal(0, await page.Page.EvaluateAsync<double>("document.getElementById('scroll').scrollTop"));
            await page["#latest"].ClickAsync();
            await page.Page.WaitForFunctionAsync($"() => {Below} < 60");
            await page["#stop"].ClickAsync();
            await page.AnsweredAsync();
            await Expect(page["#latest"]).ToBeHiddenAsync();
        }, new Visitor { Defaults = Endless, Height = 600 });
    }

    [ChromiumFact]
    public async Task Regenerate_Answer_StandsBesideTheFirst()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page.AskAsync("Habari?");
            string first = await page.AnswerAsync();
            await page.Messages.Last.Locator("[data-action=again]").ClickAsync();
            await page.AnsweredAsync();
            await Expect(page.Messages).ToHaveCountAsync(2);
            await Expect(page["#messages .branches"]).ToHaveTextAsync("2 of 2");
            string second = await page.AnswerAsync();
            Assert.NotEqual(first, second);
            Assert.Equal(second, await ShownAsync(page));

            await page["#messages .branches button"].First.ClickAsync();
            await Expect(page["#messages .branches"]).ToHaveTextAsync("1 of 2");
            await Expect(page["#messages .branches button"].Last).ToBeFocusedAsync(); // the way on
            Assert.Equal(first, await ShownAsync(page));
            await page["#messages .branches button"].Last.PressAsync("Enter");
            await Expect(page["#messages .branches"]).ToHaveTextAsync("2 of 2");

            await page.Page.ReloadAsync(); // the branch that was shown is shown
            await Expect(page["#messages .branches"]).ToHaveTextAsync("2 of 2");
            Assert.Equal(second, await ShownAsync(page));
        }, new Visitor { Defaults = """{"max_tokens":12,"temperature":2}""" });
    }

    [ChromiumFact]
    public async Task Edit_Question_MakesABranchAndLosesNothing()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page.AskAsync("One");
            await page.AskAsync("Two");
            await page.Messages.First.Locator("[data-action=edit]").ClickAsync();
            await Expect(page["#messages .edit textarea"]).ToBeFocusedAsync();
            await page.Page.Keyboard.PressAsync("Escape");
            await Expect(page["#messages .edit"]).ToHaveCountAsync(0);
            await Expect(page.Messages).ToHaveCountAsync(4);

            await page.Messages.First.Locator("[data-action=edit]").ClickAsync();
            await page["#messages .edit textarea"].FillAsync("Otherwise");
            await page.Page.Keyboard.PressAsync("Enter");
            await page.AnsweredAsync();
            await Expect(page.Messages).ToHaveCountAsync(2);
            await Expect(page.Messages.First.Locator(".text")).ToHaveTextAsync("Otherwise");
            await Expect(page.Messages.First.Locator(".branches")).ToHaveTextAsync("2 of 2");

            await page.Messages.First.Locator(".branches button").First.ClickAsync();
            await Expect(page.Messages).ToHaveCountAsync(4);
            await Expect(page.Messages.First.Locator(".text")).ToHaveTextAsync("One");
            await Expect(page.Messages.Nth(2).Locator(".text")).ToHaveTextAsync("Two");
        });
    }

    [ChromiumFact]
    public async Task Server_IsAsked_WithTheBranchThatIsShownAndTheSettings()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            List<JsonElement> asked = [];
            page.Page.Request += (_, request) =>
            {
                if (request.Url.EndsWith("/v1/chat/completions", StringComparison.Ordinal))
                {
                    asked.Add(TestServer.Parse(request.PostData!));
                }
            };
            await page["#settings"].ClickAsync();
            await page["[name=system]"].FillAsync("Be brief.");
            await page["[name=temperature]"].FillAsync("3");
            await page["#settings-dialog [value=save]"].ClickAsync();
            await Expect(page["#settings-error"]).ToContainTextAsync("between 0 and 2");
            await Expect(page["[name=temperature]"]).ToBeFocusedAsync();
            await page["[name=temperature]"].FillAsync("0.7");
            await page["[name=top_k]"].FillAsync("5");
            await page["[name=max_tokens]"].FillAsync("4");
            await page["[name=seed]"].FillAsync("7");
            await page["#settings-dialog [value=save]"].ClickAsync();
            await Expect(page["#settings-dialog"]).ToBeHiddenAsync();
            await page.AskAsync("One");
            await page.Messages.First.Locator("[data-action=edit]").ClickAsync();
            await page["#messages .edit textarea"].FillAsync("Two");
            await page.Page.Keyboard.PressAsync("Enter");
            await page.AnsweredAsync();
            await page.AskAsync("Three");

            JsonElement last = asked[^1];
            Assert.Equal(["system:Be brief.", "user:Two", $"assistant:{await FirstAnswerAsync(page)}", "user:Three"], last.GetProperty("messages").EnumerateArray()
                .Select(message => $"{ChatPage.Text(message, "role")}:{ChatPage.Text(message, "content")}"));
            Assert.Equal((0.7, 5, 4, 7), (last.GetProperty("temperature").GetDouble(), last.GetProperty("top_k").GetInt32(), last.GetProperty("max_tokens").GetInt32(), last.GetProperty("seed").GetInt32()));
            Assert.False(last.TryGetProperty("top_p", out _)); // what is left empty is the model's own choice

            await page["#new"].ClickAsync();
            await page["#settings"].ClickAsync();
            await Expect(page["[name=system]"]).ToHaveValueAsync(""); // that was that conversation's
            await page["#settings-dialog [value=cancel]"].ClickAsync();
        });

        static async Task<string> FirstAnswerAsync(ChatPage page) =>
            await page.Page.EvaluateAsync<string>("async () => { const tree = await import('/scripts/conversation.js'), store = await import('/scripts/store.js'); return tree.path(await store.load(location.hash.slice(1)))[1].text; }");
    }

    [ChromiumFact]
    public async Task Reload_KeepsTheConversation_AndTheAddressOpensIt()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page.AskAsync("Habari?");
            string answer = await page.AnswerAsync();
            await page.Page.ReloadAsync();
            await Expect(page.Messages).ToHaveCountAsync(2);
            Assert.Equal(answer, await ShownAsync(page));
            await page["#new"].ClickAsync();
            await Expect(page.Messages).ToHaveCountAsync(0);
            await Expect(page["#prompt"]).ToBeFocusedAsync();
            await page.Page.GoBackAsync();
            await Expect(page.Messages).ToHaveCountAsync(2);
            await page.GoAsync("/#there-is-none");
            await Expect(page.Messages).ToHaveCountAsync(0);
        });
    }

    [ChromiumFact]
    public async Task Keyboard_Alone_IsEnough()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            IKeyboard keys = page.Page.Keyboard;
            await keys.PressAsync("Tab");
            await Expect(page[".skip"]).ToBeFocusedAsync(); // the way past everything comes first
            await keys.PressAsync("Enter");
            await Expect(page["#prompt"]).ToBeFocusedAsync();
            await keys.TypeAsync("One");
            await keys.PressAsync("Shift+Enter");
            await keys.TypeAsync("two");
            await keys.PressAsync("Enter");
            await page.AnsweredAsync();
            Assert.Equal("One\ntwo", await page.Messages.First.Locator(".text").EvaluateAsync<string>("each => each.textContent"));
            await Expect(page["#prompt"]).ToHaveValueAsync("");

            await keys.PressAsync("ArrowUp"); // edits the last question
            await Expect(page["#messages .edit textarea"]).ToBeFocusedAsync();
            await keys.PressAsync("Escape");
            await keys.PressAsync("Control+K");
            await Expect(page["#search"]).ToBeFocusedAsync();
            await keys.PressAsync("Tab");
            await Expect(page["#conversations a"]).ToBeFocusedAsync();
            await keys.PressAsync("Tab");
            await Expect(page["#conversations [data-action=rename]"]).ToBeFocusedAsync();
            await keys.PressAsync("Control+Comma");
            await Expect(page["#settings-dialog"]).ToBeVisibleAsync();
            await keys.PressAsync("Escape");
            await Expect(page["#settings-dialog"]).ToBeHiddenAsync();
            await keys.PressAsync("Control+/");
            await Expect(page["#help-dialog dt"]).ToHaveCountAsync(8);
            await keys.PressAsync("Escape");
            await keys.PressAsync("Control+Shift+O");
            await Expect(page.Messages).ToHaveCountAsync(0);
            await Expect(page["#prompt"]).ToBeFocusedAsync();

            // Every place that one gets to is seen, and the way around comes to an end.
            HashSet<string> seen = [];
            for (int i = 0; i < 60; i++)
            {
                await keys.PressAsync("Tab");
                string place = await page.Page.EvaluateAsync<string>(
                    "(() => { const e = document.activeElement; if (e === document.body) return ''; const s = getComputedStyle(e); const b = e.closest('.box') ?? e; return `${e.id || e.getAttribute('aria-label') || e.textContent} ${s.outlineStyle !== 'none' || getComputedStyle(b).boxShadow !== 'none'}`; })()");
                Assert.False(place.EndsWith(" false", StringComparison.Ordinal), $"the focus is not seen on {place}");
                if (!seen.Add(place))
                {
                    break;
                }
            }

            string[] expected = ["new", "search", "export-all", "import", "language", "theme", "help", "settings", "prompt", "send"];
            Assert.Equal(expected, expected.Where(id => seen.Contains($"{id} true")));
        });
    }

    [ChromiumFact]
    public async Task Models_Several_AreChosenFrom()
    {
        await using TestServer server = await TestServer.StartAsync(others: [TinyModel.Serve(OtherModel(out Tests.Models.Files.TestFolder folder), new SchedulerOptions(), "other")]);
        using Tests.Models.Files.TestFolder _ = folder;
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await Expect(page["#model option"]).ToHaveTextAsync(["tiny", "other"]);
            await page["#model"].SelectOptionAsync("other");
            await page.AskAsync("Habari?");
            Assert.Equal("other", ChatPage.Text((await page.KeptAsync()).GetProperty("messages")[1], "model"));
            await Expect(page.Messages.Last.Locator("h2")).ToHaveTextAsync("other");
            await page.Page.ReloadAsync();
            await Expect(page["#model"]).ToHaveValueAsync("other");
        });

        static string OtherModel(out Tests.Models.Files.TestFolder folder)
        {
            folder = new Tests.Models.Files.TestFolder();
            return folder.Write("other.gguf", TinyModel.File());
        }
    }

    [ChromiumFact]
    public async Task Models_ThatWriteNoText_AreNotOffered()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page.Page.RouteAsync("**/v1/models", route => route.FulfillAsync(new()
            {
                ContentType = "application/json",
                Body = """{"data":[{"id":"e","meta":{"type":"encoder"}},{"id":"c","meta":{"type":"classifier"}},{"id":"tiny","meta":{"type":"decoder"}},{"id":"elsewhere"}]}""",
            }));
            await page.Page.ReloadAsync();
            await Expect(page["#model option"]).ToHaveTextAsync(["tiny", "elsewhere"]);
        });
    }

    [ChromiumFact]
    public async Task Reasoning_IsFoldedAway()
    {
        using ScriptedModel scripted = new(["<|end|>", "a", "<think>", "hm", "</think>", "yes"], 1, 2, 3, 4, 5, 0);
        using ServedModel model = new("scripted", scripted.Loaded, scripted.Context, ChatTemplate.Parse("{% for message in messages %}{{ message.content }}{% endfor %}{# <think></think> #}"), new SchedulerOptions());
        await using TestServer server = await TestServer.StartAsync(model: model);
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page.AskAsync("a");
            await Expect(page["#messages .assistant > .prose"]).ToHaveTextAsync("yes");
            await Expect(page["#messages details .prose"]).ToBeHiddenAsync();
            await page["#messages summary"].ClickAsync();
            await Expect(page["#messages details .prose"]).ToHaveTextAsync("hm");
            await Expect(page["#messages details .prose"]).ToBeVisibleAsync();
        });
    }

    /// <summary>The last message as its button copies it.</summary>
    private static async Task<string> ShownAsync(ChatPage page)
    {
        await page.Page.EvaluateAsync("navigator.clipboard.writeText('')");
        await page.Messages.Last.GetByRole(AriaRole.Button, new() { Name = "Copy", Exact = true }).ClickAsync();
        await page.Page.WaitForFunctionAsync("async () => (await navigator.clipboard.readText()) !== ''");
        return await page.Page.EvaluateAsync<string>("navigator.clipboard.readText()");
    }
}
