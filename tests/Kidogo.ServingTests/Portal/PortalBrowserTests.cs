// The portal in a browser, used as a person would: a question on the front page, register, chat with conversations kept on the server, an account that goes.
using Kidogo.Serving.Portal;
using Kidogo.ServingTests.Pages;
using Microsoft.Playwright;

namespace Kidogo.ServingTests.Portal;

/// <summary>A browser of its own, when the other tests are done: beside them the machine is too busy for a person's patience.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class PortalChromiumTests : ICollectionFixture<Chromium>
{
    public const string Name = "Chromium for the portal";
}

[Collection(PortalChromiumTests.Name)]
public sealed class PortalBrowserTests(Chromium chromium)
{
    private const float Patience = 120_000; // milliseconds: the machine may be busy
    private const string Defaults = "localStorage.setItem('kidogo.defaults', '{\"max_tokens\":8,\"temperature\":0}');";
    private const string Watch = "globalThis.violations = []; addEventListener('securitypolicyviolation', event => violations.push(event.violatedDirective + ' ' + event.blockedURI));";

    [ChromiumFact]
    public async Task Person_AsksRegistersChatsAndLeaves()
    {
        await using PortalServer portal = await PortalServer.StartAsync(settings => settings with { Registration = Registration.Invitation });
        (IBrowserContext context, IPage page, List<string> problems) = await OpenAsync(portal, 360);
        await using IBrowserContext first = context;
        page.Dialog += (_, dialog) => dialog.AcceptAsync();

        await page.GotoAsync("/");
        await page.ClickAsync("[data-example]");
        await UntilAsync(page, "document.getElementById('answer').ariaBusy === 'false' && document.getElementById('answer').textContent.length >= 8");
        await FitsAsync(page);

        await page.GotoAsync($"/register#{portal.Site.Invite(isAdministrator: true).Code}");
        await page.FillAsync("#name", "Amina");
        await page.FillAsync("#password", PortalServer.Password);
        await FitsAsync(page);
        await page.ClickAsync("main button[type=submit]");
        await page.WaitForURLAsync("**/chat");
        await UntilAsync(page, "document.querySelectorAll('#model option').length > 0");
        await Assertions.Expect(page.Locator("[data-brand]")).ToHaveTextAsync("Shule ya Mfano", new() { Timeout = Patience });
        await page.FillAsync("#prompt", "Habari ya asubuhi");
        await page.PressAsync("#prompt", "Enter");
        await UntilAsync(page, "document.querySelectorAll('#messages > li').length === 2 && !document.querySelector('[aria-busy=true]') && document.querySelector('#stop').hidden");
        Account amina = portal.Site.Accounts.Find("amina")!;
        ConversationEntry kept = await EventuallyAsync(() => Task.FromResult(portal.Site.Conversations.List(amina, null, 10).SingleOrDefault()));
        Assert.Equal("kidogo.", await page.EvaluateAsync<string>("Object.keys(localStorage).every(name => !localStorage[name].includes('Habari')) ? 'kidogo.' : 'kept here too'"));

        (IBrowserContext elsewhere, IPage other, List<string> otherProblems) = await OpenAsync(portal, 1280);
        await using IBrowserContext second = elsewhere;
        await other.GotoAsync("/login");
        await other.FillAsync("#name", "amina");
        await other.FillAsync("#password", "not this one");
        await other.ClickAsync("main button[type=submit]");
        await Assertions.Expect(other.Locator("#problem")).ToContainTextAsync("no account", new() { Timeout = Patience });
        await other.FillAsync("#password", PortalServer.Password);
        await other.ClickAsync("main button[type=submit]");
        await other.WaitForURLAsync("**/chat");
        await other.GotoAsync($"/chat#{kept.Id}");
        await Assertions.Expect(other.Locator("#messages")).ToContainTextAsync("Habari ya asubuhi", new() { Timeout = Patience });

        await page.GotoAsync("/account");
        await FitsAsync(page);
        await page.FillAsync("#key-name", "phone");
        await page.ClickAsync("form[data-send='/portal/api/keys'] button");
        string key = await page.Locator(".secret").InnerTextAsync();
        Assert.NotNull(portal.Site.ClientOfKey(key));
        await page.GotoAsync("/administration");
        await FitsAsync(page);
        await page.ClickAsync("form[data-send='/portal/api/invitations'] button");
        await Assertions.Expect(page.Locator(".secret")).ToHaveCountAsync(2, new() { Timeout = Patience }); // the code, and a link with it
        await page.GotoAsync("/account");
        await page.FillAsync("#leave-password", PortalServer.Password);
        await page.ClickAsync("form[data-send='/portal/api/leave'] button");
        await page.WaitForURLAsync("**/");
        Assert.Equal(0, portal.Site.Accounts.Count());
        foreach (IPage each in (IPage[])[page, other])
        {
            Assert.Empty(await each.EvaluateAsync<string[]>("violations"));
        }

        Assert.Empty(problems);
        Assert.Empty(otherProblems);
    }

    private async Task<(IBrowserContext Context, IPage Page, List<string> Problems)> OpenAsync(PortalServer portal, int width)
    {
        string origin = portal.Server.Address.GetLeftPart(UriPartial.Authority);
        IBrowserContext context = await chromium.Browser.NewContextAsync(new() { BaseURL = origin, Locale = "en-US", ViewportSize = new() { Width = width, Height = 800 }, ReducedMotion = ReducedMotion.Reduce });
        context.SetDefaultTimeout(Patience);
        await context.AddInitScriptAsync(Watch + Defaults);
        List<string> problems = [];
        IPage page = await context.NewPageAsync();
        page.PageError += (_, problem) => problems.Add(problem);
        context.Request += (_, request) =>
        {
            if (!request.Url.StartsWith(origin + "/", StringComparison.Ordinal))
            {
                problems.Add(request.Url);
            }
        };
        return (context, page, problems);
    }

    private static async Task FitsAsync(IPage page) => Assert.True(await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= innerWidth"), $"{page.Url} is wider than the window");

    /// <summary>Waits until a page says yes. (Playwright's own waiting would evaluate a text in the page, which its policy forbids.)</summary>
    private static Task<object> UntilAsync(IPage page, string expression) => EventuallyAsync(async () => await page.EvaluateAsync<bool>(expression) ? page : (object?)null);

    private static async Task<T> EventuallyAsync<T>(Func<Task<T?>> look)
        where T : class
    {
        for (int i = 0; i < 1200; i++)
        {
            if (await look() is { } found)
            {
                return found;
            }

            await Task.Delay(100);
        }

        throw new TimeoutException("What was waited for has not come.");
    }
}
