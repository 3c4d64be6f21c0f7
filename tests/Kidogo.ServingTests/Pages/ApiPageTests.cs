// The page for developers in Chromium: its examples have the real address and name, are copied whole, and run.
using System.Diagnostics;
using Kidogo.Inference.Scheduling;
using Kidogo.Tests.Models.Files;
using static Microsoft.Playwright.Assertions;

namespace Kidogo.ServingTests.Pages;

[Collection(ChromiumTests.Name)]
public sealed class ApiPageTests(Chromium chromium)
{
    private const string Name = "o'brien $HOME `id` v1";

    [ChromiumTheory]
    [InlineData("bash", "curl 'ADDRESS/v1/chat/completions'")]
    [InlineData("csharp", "new Uri(\"ADDRESS/v1\")")]
    [InlineData("python", "base_url=\"ADDRESS/v1\"")]
    [InlineData("javascript", "fetch(\"ADDRESS/v1/chat/completions\"")]
    public async Task Examples_HaveTheAddressAndTheName(string language, string expected)
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page[$"[data-language={language}]"].ClickAsync();
            await Expect(page["#address"]).ToHaveTextAsync($"{server.Server.Address}/v1");
            string code = await ExampleAsync(page, "apiChat");
            Assert.Contains(expected.Replace("ADDRESS", server.Server.Address, StringComparison.Ordinal), code, StringComparison.Ordinal);
            Assert.Contains("\"tiny\"", code, StringComparison.Ordinal);
            Assert.Contains("KIDOGO_API_KEY", code, StringComparison.Ordinal);
            await page["figure button"].First.ClickAsync();
            Assert.Equal(code, await page.Page.EvaluateAsync<string>("() => navigator.clipboard.readText()"));
            await page.Page.ReloadAsync();
            await Expect(page[$"[data-language={language}]"]).ToHaveAttributeAsync("aria-selected", "true");
            await page[$"[data-language={language}]"].PressAsync("ArrowRight");
            await Expect(page["[role=tab][aria-selected=true]"]).ToBeFocusedAsync();
            await Expect(page[$"[data-language={language}]"]).ToHaveAttributeAsync("aria-selected", "false");
        }, new Visitor { Path = "/api.html" });
    }

    [ChromiumFact]
    public async Task Examples_InJavaScript_Run()
    {
        await using TestServer server = await StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            List<string> printed = [];
            page.Page.Console += (_, message) => printed.Add(message.Text);
            await page["[data-language=javascript]"].ClickAsync();
            foreach (string example in (string[])["apiChat", "apiStream"])
            {
                printed.Clear();
                await page.Page.EvaluateAsync($"async () => {{ {await BoundedAsync(page, example)} }}");
                Assert.True(string.Concat(printed).Length >= 8, $"{example} printed `{string.Concat(printed)}`");
            }
        }, new Visitor { Path = "/api.html" });
    }

    [ChromiumFact]
    public async Task Examples_InAShell_Run()
    {
        await using TestServer server = await StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            foreach (string example in (string[])["apiChat", "apiStream"])
            {
                string printed = await ShellAsync(await BoundedAsync(page, example));
                if (example == "apiChat")
                {
                    Assert.Equal(Name, ChatPage.Text(TestServer.Parse(printed), "model")); // whatever is in a name stays in it
                }
                else
                {
                    Assert.EndsWith("data: [DONE]", printed.TrimEnd(), StringComparison.Ordinal);
                }
            }
        }, new Visitor { Path = "/api.html" });
    }

    [ChromiumFact]
    public async Task Page_WithoutAKey_SaysWhatIsMissing()
    {
        using TestFolder folder = new();
        string keys = folder["keys/keys.json"];
        Serving.Access.KeyFile.Create(keys, "amina");
        await using TestServer server = await TestServer.StartAsync(change: options => options with { KeyFile = keys });
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await Expect(page["#told"]).ToHaveTextAsync(await page.SaysAsync("apiNoModels"));
            Assert.Contains("\"MODEL\"", await ExampleAsync(page, "apiChat"), StringComparison.Ordinal);
        }, new Visitor { Path = "/api.html" });
    }

    private static async Task<TestServer> StartAsync()
    {
        using TestFolder folder = new();
        return await TestServer.StartAsync(model: TinyModel.Serve(folder.Write("tiny.gguf", TinyModel.File()), new SchedulerOptions(), Name));
    }

    private static Task<string> ExampleAsync(ChatPage page, string title) => page[$"[data-example={title}] code"].EvaluateAsync<string>("code => code.textContent");

    /// <summary>An example with an end: the tiny model never stops by itself.</summary>
    private static async Task<string> BoundedAsync(ChatPage page, string title)
    {
        string code = await ExampleAsync(page, title);
        foreach (string messages in (string[])["\"messages\": [", "messages: ["])
        {
            code = code.Contains(messages, StringComparison.Ordinal) ? code.Replace(messages, (messages[0] == '"' ? "\"max_tokens\": 60, " : "max_tokens: 60, ") + messages, StringComparison.Ordinal) : code;
        }

        Assert.Contains("max_tokens", code, StringComparison.Ordinal);
        return code;
    }

    private static async Task<string> ShellAsync(string command)
    {
        ProcessStartInfo start = new("/bin/bash", ["-c", command]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["KIDOGO_API_KEY"] = "none";
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string printed = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, await errors);
        return printed;
    }
}
