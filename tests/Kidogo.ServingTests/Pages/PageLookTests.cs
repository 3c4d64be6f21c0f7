// How the pages look in Chromium: on a small screen, by day and by night, in three languages. Compares no pictures.
using System.Text.Json;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Kidogo.ServingTests.Pages;

[Collection(ChromiumTests.Name)]
public sealed class PageLookTests(Chromium chromium)
{
    private const string Wide =
        "# A_heading_that_is_much_longer_than_any_small_screen_is_wide\n\nlongest" + "Word" + "WithoutAnyBlankInItThatGoesOnAndOnAndOnAndOnAndOnAndOn https://example.org/a/very/long/address/that/goes/on/and/on/and/on/and/on\n\n"
        + "| one | two | three | four | five | six |\n|---|---|---|---|---|---|\n| many | columns | that | are | wide | together |\n\n"
        + "```python\nprint('a line of code that is far too long for a screen of 360 pixels, and may be scrolled by itself')\n```\n\n> > > - 1. deep\n\n`an_inline_code_that_is_also_rather_long_for_a_small_screen_indeed`";

    [ChromiumTheory]
    [InlineData(360, "sw-KE")]
    [InlineData(320, "fr-FR")]
    [InlineData(768, "en-US")]
    public async Task Screen_Narrow_IsNotOverflowed(int width, string language)
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await FitsAsync("welcome");
            await page.AnswerWithAsync(Wide);
            await page.AskAsync("Averylongquestionwithoutanyblankinitthatgoesonandonandonandonandonandonandon");
            await Expect(page["#messages table"]).ToBeVisibleAsync();
            await FitsAsync("conversation");
            await page["[data-action=edit]"].Last.ClickAsync();
            await FitsAsync("editing");
            await page["#settings"].ClickAsync();
            await Expect(page["#settings-dialog [value=save]"]).ToBeInViewportAsync(); // however long the form is
            await FitsAsync("settings");
            await page.Page.Keyboard.PressAsync("Escape");
            if (width < 700)
            {
                await Expect(page["#sidebar"]).ToBeHiddenAsync();
                await page["#open-sidebar"].ClickAsync();
                await Expect(page["#new"]).ToBeFocusedAsync();
                await Expect(page["#conversations a"]).ToBeInViewportAsync();
                await FitsAsync("conversations");
                await page.Page.Keyboard.PressAsync("Escape");
                await Expect(page["#sidebar"]).ToBeHiddenAsync();
                await Expect(page["#open-sidebar"]).ToBeFocusedAsync();
            }

            await page.GoAsync("/api.html");
            await Expect(page["figure"]).ToHaveCountAsync(4);
            await FitsAsync("api");

            async Task FitsAsync(string what)
            {
                string[] outside = await page.Page.EvaluateAsync<string[]>(
                    """
                    () => [...document.querySelectorAll('body, main, #scroll, #messages, .message, dialog[open], #sidebar.open, figure, .foot, header')]
                      .filter(each => each.getBoundingClientRect().right > innerWidth + 0.5 || (each.id === 'scroll' && each.scrollWidth > each.clientWidth)).map(each => each.tagName + '#' + each.id)
                      .concat(document.documentElement.scrollWidth > innerWidth ? ['the page'] : [])
                    """);
                Assert.True(outside.Length == 0, $"{what}: {string.Join(", ", outside)} is wider than {width} pixels");
            }
        }, new Visitor { Width = width, Height = 740, Language = language });
    }

    [ChromiumTheory]
    [InlineData(ColorScheme.Light)]
    [InlineData(ColorScheme.Dark)]
    public async Task Colours_OfTexts_HaveEnoughContrast(ColorScheme scheme)
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            (string Text, string Ground, double Least)[] pairs =
            [
                ("ink", "ground", 4.5), ("ink", "surface", 4.5), ("ink", "side", 4.5), ("ink", "raised", 4.5), ("ink", "own", 4.5), ("ink", "code-ground", 4.5), ("ink", "warn-ground", 4.5),
                ("faint", "ground", 4.5), ("faint", "surface", 4.5), ("faint", "side", 4.5), ("faint", "own", 4.5), ("faint", "code-ground", 4.5), ("faint", "raised", 4.5),
                ("accent", "ground", 4.5), ("accent", "side", 4.5), ("accent", "raised", 4.5), ("accent", "code-ground", 4.5), ("on-accent", "accent", 4.5), ("danger", "ground", 4.5), ("danger", "surface", 4.5),
                ("code-comment", "code-ground", 4.5), ("code-string", "code-ground", 4.5), ("code-number", "code-ground", 4.5), ("code-keyword", "code-ground", 4.5),
                ("edge", "ground", 3), ("edge", "side", 3), // of fields, which are no text
            ];
            foreach ((string text, string ground, double least) in pairs)
            {
                double contrast = await page.Page.EvaluateAsync<double>(
                    """
                    ([text, ground]) => {
                      const luminance = name => {
                        const hex = getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
                        const [r, g, b] = [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16) / 255).map(c => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
                        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
                      };
                      const [one, other] = [luminance(text), luminance(ground)].sort((a, b) => b - a);
                      return (one + 0.05) / (other + 0.05);
                    }
                    """, new[] { text, ground });
                Assert.True(contrast >= least, $"{scheme}: {text} on {ground} has a contrast of {contrast:0.00}, less than {least}");
            }
        }, new Visitor { Scheme = scheme });
    }

    [ChromiumFact]
    public async Task Theme_IsTheSystems_UntilOneIsChosen()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await Expect(page["html"]).ToHaveAttributeAsync("data-theme", "dark");
            string dark = await GroundAsync(page);
            await page["#theme"].SelectOptionAsync("light");
            await Expect(page["html"]).ToHaveAttributeAsync("data-theme", "light");
            string light = await GroundAsync(page);
            Assert.NotEqual(dark, light);
            await page.Page.ReloadAsync();
            Assert.Equal(light, await GroundAsync(page));
            await Expect(page["#theme"]).ToHaveValueAsync("light");
            await page["#theme"].SelectOptionAsync("system");
            Assert.Equal(dark, await GroundAsync(page));
            await page.Page.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Light });
            await Expect(page["html"]).ToHaveAttributeAsync("data-theme", "light"); // it follows while it is open
        }, new Visitor { Scheme = ColorScheme.Dark });

        static Task<string> GroundAsync(ChatPage page) => page.Page.EvaluateAsync<string>("() => getComputedStyle(document.body).backgroundColor");
    }

    [ChromiumTheory]
    [InlineData("fr-CA", "fr", "Nouvelle conversation")]
    [InlineData("sw-KE", "sw", "Mazungumzo mapya")]
    [InlineData("de-DE", "en", "New conversation")]
    public async Task Language_IsTheBrowsers_UntilOneIsChosen(string browser, string language, string text)
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await Expect(page["html"]).ToHaveAttributeAsync("lang", language);
            await Expect(page["#new"]).ToHaveTextAsync(text);
            await page.AskAsync("Habari?");
            string other = language == "sw" ? "fr" : "sw";
            await page["#language"].SelectOptionAsync(other);
            await Expect(page["html"]).ToHaveAttributeAsync("lang", other);
            await Expect(page["#prompt"]).ToHaveAttributeAsync("placeholder", await page.SaysAsync("messageHint"));
            await Expect(page.Messages.First.Locator("h2")).ToHaveTextAsync(other == "fr" ? "Vous" : "Wewe"); // what is shown already, too
            await page.Page.ReloadAsync();
            await Expect(page["html"]).ToHaveAttributeAsync("lang", other);
            await page.GoAsync("/api.html");
            await Expect(page["h1"]).ToHaveTextAsync(other == "fr" ? "Pour les développeurs" : "Kwa wasanidi programu");
        }, new Visitor { Language = browser });
    }

    [ChromiumFact]
    public async Task Layout_WhileAnAnswerComes_DoesNotJump()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page.Page.EvaluateAsync(
                """
                () => {
                  globalThis.tops = new Set();
                  new PerformanceObserver(list => { globalThis.shift = (globalThis.shift ?? 0) + list.getEntries().reduce((sum, each) => sum + each.value, 0); }).observe({ type: 'layout-shift', buffered: false });
                  const look = () => { tops.add(document.getElementById('composer').getBoundingClientRect().top); requestAnimationFrame(look); };
                  look();
                }
                """);
            await page.AskAsync("Habari?");
            await page.AskAsync("Tena?");
            JsonElement seen = await page.Page.EvaluateAsync<JsonElement>("() => ({ tops: tops.size, shift: globalThis.shift ?? 0 })");
            Assert.Equal(1, seen.GetProperty("tops").GetInt32()); // the field stays where it is
            Assert.True(seen.GetProperty("shift").GetDouble() < 0.1, $"layout shift {seen.GetProperty("shift").GetDouble()}");
        });
    }
}
