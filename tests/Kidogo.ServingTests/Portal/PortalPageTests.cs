// The portal's pages: in three languages, in the owner's name and colours, with a strict policy, and nothing of a stranger's in them as HTML.
using System.Drawing;
using System.Text.RegularExpressions;
using Kidogo.Serving.Access;
using Kidogo.Serving.Portal;

namespace Kidogo.ServingTests.Portal;

public sealed partial class PortalPageTests
{
    private static readonly string[] s_templates = ["layout", "front", "register", "login", "account", "administration", "document"];

    [Fact]
    public void Words_AreThereInEveryLanguage_AndAllAreUsed()
    {
        string pages = string.Concat(s_templates.Select(name => System.Text.Encoding.UTF8.GetString(PortalResource.Read($"{name}.html"))));
        HashSet<string> said = [.. Said().Matches(pages).Select(match => match.Groups[1].Value)];
        foreach (string language in Words.Languages)
        {
            Words words = Words.In(language);
            Assert.Equal(Words.English.Keys.Order(), words.Keys.Order());
            Assert.All(words.Keys, key => Assert.False(string.IsNullOrWhiteSpace(words.Of(key))));
            Assert.Empty(said.Except(words.Keys));
        }

        Assert.Empty(Words.English.Keys.Where(key => !key.StartsWith("error.", StringComparison.Ordinal) && !key.StartsWith("page.", StringComparison.Ordinal)).Except(said));
    }

    [Fact]
    public async Task Pages_All_AreStrictAndWhole()
    {
        await using PortalServer portal = await PortalServer.StartAsync(settings => settings with
        {
            Tagline = OwnText.Of("<script>alert(1)</script>"),
            Features = [new PortalFeature(OwnText.Of("A & B"), OwnText.Of("\"<i>\""))],
            Documentation = [new PortalDocument("guide", OwnText.Of("Guide"), OwnText.Of("# Hello"), ".")],
        });
        using Browser chief = await portal.RegisterAdministratorAsync();
        foreach (string path in (string[])["/", "/register", "/login", "/account", "/administration", "/docs", "/docs/guide", "/chat", "/portal/portal.css", "/portal/portal.js", "/styles/brand.css", "/scripts/brand.js", "/scripts/store.js", "/words/sw.json"])
        {
            foreach (Browser browser in (Browser[])[chief, portal.Visit()])
            {
                using HttpResponseMessage response = await browser.Client.GetAsync(path);
                if ((int)response.StatusCode == 303)
                {
                    continue;
                }

                string text = await response.Content.ReadAsStringAsync();
                Assert.True(response.IsSuccessStatusCode, $"{path}: {text}");
                string policy = response.Headers.GetValues("Content-Security-Policy").Single();
                Assert.StartsWith("default-src 'none'; script-src 'self'; style-src 'self';", policy, StringComparison.Ordinal);
                Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
                Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
                Assert.DoesNotMatch(@"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|<[^>]+ style=|<script>|<[^>]+\son\w+=|https?://(?!www\.w3\.org)|\{\{", text);
            }
        }
    }

    [Theory]
    [InlineData("sw", "Jisajili", "sw")]
    [InlineData("fr-CA,en;q=0.5", "Créer un compte", "fr")]
    [InlineData("de, sw;q=0.2, fr;q=0.9", "Créer un compte", "fr")]
    [InlineData("de", "Register", "en")]
    [InlineData("', DROP", "Register", "en")]
    public async Task Page_InTheReadersLanguage_AndInTheOneChosen(string accepted, string word, string language)
    {
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser browser = portal.Visit();
        browser.Client.DefaultRequestHeaders.TryAddWithoutValidation("Accept-Language", accepted);
        string page = await browser.PageAsync("/");
        Assert.Contains(word, page, StringComparison.Ordinal);
        Assert.Contains($"<html lang=\"{language}\">", page, StringComparison.Ordinal);
        Assert.Contains("<html lang=\"sw\">", await browser.PageAsync("/?lang=sw"), StringComparison.Ordinal);
        Assert.Contains("<html lang=\"sw\">", await browser.PageAsync("/login"), StringComparison.Ordinal);
        Assert.Contains("Hakuna akaunti", (await browser.SendAsync("/portal/api/login", new { name = "amina", password = "not this one" }, 401)).ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Chat_OfThePortal_HasItsNameStoreAndWords()
    {
        await using PortalServer portal = await PortalServer.StartAsync(settings => settings with { Name = "\"</script>\u2028'Shule" });
        using Browser amina = await portal.RegisterAsync("amina"), stranger = portal.Visit();
        string brand = await amina.PageAsync("/scripts/brand.js");
        Assert.Contains("export const name = \"\\u0022\\u003C/script\\u003E\\u2028\\u0027Shule\";", brand, StringComparison.Ordinal);
        Assert.Contains($"\"X-Kidogo-Form\": \"{await amina.TokenAsync()}\"", brand, StringComparison.Ordinal);
        Assert.DoesNotContain("X-Kidogo-Form", await stranger.PageAsync("/scripts/brand.js"), StringComparison.Ordinal);
        Assert.Contains("/portal/api/conversations", await amina.PageAsync("/scripts/store.js"), StringComparison.Ordinal);
        Assert.DoesNotContain("in this browser.", await amina.PageAsync("/words/en.json"), StringComparison.Ordinal);
        await using TestServer plain = await TestServer.StartAsync();
        Assert.DoesNotContain("/portal/", await plain.Client.GetStringAsync("/scripts/store.js"), StringComparison.Ordinal);
        Assert.Equal(404, (int)(await plain.Client.GetAsync("/register")).StatusCode);
    }

    [Theory]
    [InlineData("/portal/api/nothing", 404)]
    [InlineData("/portal/api/login", 405)]
    [InlineData("/docs/nothing", 404)]
    [InlineData("/docs/../portal.db", 401)]
    [InlineData("/portal.db", 401)]
    [InlineData("/docs/files/..%2fportal.db", 404)]
    public async Task Path_ThatIsNone_IsRefused(string path, int status)
    {
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser stranger = portal.Visit();
        Assert.Equal(status, await stranger.StatusAsync(path));
    }

    [Fact]
    public void Markdown_Hostile_RunsNothing()
    {
        string html = PortalMarkdown.Render(
            """
            # Guide
            <script>alert(1)</script> <img src=x onerror=alert(1)>

            <div onclick="x">raw</div>

            [a](javascript:alert(1)) [b](JaVaScRiPt&#58;alert(1)) [c](data:text/html,x) [d](vbscript:x) [e](//evil.example) [f](\\evil.example) [g](java
            script:x) <javascript:alert(1)> [h]: javascript:x
            ![picture](https://evil.example/x.png) ![own](own.png) [![x](own.png)](javascript:x)
            [fine](https://example.org "a \"title\" onmouseover=x") [mail](mailto:a@example.org) [page](other.md#part) [part](#part)

            | a | b |
            | - | - |
            | 1 | <b onload=x> |
            """,
            "test", name => name == "own.png" ? "/docs/files/own" : null).Text;
        Assert.DoesNotMatch(@"(?i)<(script|div|b|img src=x)\b|(?i)(href|src)=""\s*(javascript|data|vbscript|//|\\)|<[^>]+\son\w+\s*=(?![^<]*""\s*>)", html);
        Assert.DoesNotContain("<img src=\"https", html, StringComparison.Ordinal);
        Assert.Contains("<img src=\"/docs/files/own\"", html, StringComparison.Ordinal);
        Assert.Contains("href=\"/docs/other#part\"", html, StringComparison.Ordinal);
        Assert.Contains("href=\"mailto:a@example.org\"", html, StringComparison.Ordinal);
        Assert.Contains("<table>", html, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(">")]
    [InlineData("[")]
    [InlineData("*a")]
    [InlineData("- ")]
    [InlineData("![](")]
    public void Markdown_NestedDeep_EndsInTime(string piece)
    {
        string text = string.Concat(Enumerable.Repeat(piece, 20_000));
        try
        {
            Assert.NotNull(PortalMarkdown.Render(text, "test", _ => null));
        }
        catch (ServerSetupException refused)
        {
            Assert.Contains("test", refused.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("#fff", "#ffffff")]
    [InlineData("#0b6e4f", "#0b6e4f")]
    [InlineData("teal", "#008080")]
    [InlineData("Transparent", null)]
    [InlineData("ButtonFace", null)]
    [InlineData("#12", null)]
    [InlineData("#gggggg", null)]
    [InlineData("red; } body { display: none", null)]
    [InlineData("", null)]
    public void Colour_IsReadOrRefused(string text, string? expected) => Assert.Equal(expected, PortalColours.Parse(text) is { } colour ? PortalColours.Css(colour) : null);

    [Fact]
    public void Contrast_IsThatOfWcag()
    {
        Assert.Equal(21, PortalColours.Contrast(Color.White, Color.Black), 1e-9);
        Assert.Equal(1, PortalColours.Contrast(Color.Red, Color.Red), 1e-9);
        Assert.Equal(4.54, PortalColours.Contrast(Color.FromArgb(0x76, 0x76, 0x76), Color.White), 0.005); // the lightest grey that passes on white
    }

    [Theory]
    [InlineData("#ffffff", "#1c1e21", "#0b6e4f", false)]
    [InlineData("#16181c", "#ececee", "#62c7b3", true)]
    [InlineData("#fff8e7", "#333333", "#8a4b08", false)]
    [InlineData("#ffffff", "#767676", "#767676", false)]
    [InlineData("#000000", "#ffff00", "#00ffff", true)]
    public void Palette_OfReadableColours_IsReadableThroughout(string background, string text, string accent, bool isDark)
    {
        IReadOnlyDictionary<string, Color> all = PortalColours.Palette(new PortalTheme(PortalColours.Parse(background)!.Value, PortalColours.Parse(text)!.Value, PortalColours.Parse(accent)!.Value), isDark);
        foreach (string ground in (string[])["ground", "surface", "side", "raised", "own", "warn-ground", "code-ground"])
        {
            foreach (string front in (string[])["ink", "faint", "accent", "danger", "code-comment", "code-string", "code-number", "code-keyword"])
            {
                double contrast = PortalColours.Contrast(all[ground], all[front]);
                Assert.True(contrast >= PortalColours.LeastContrast, $"{front} on {ground} has {contrast:0.00}");
            }
        }

        Assert.True(PortalColours.Contrast(all["accent"], all["on-accent"]) >= PortalColours.LeastContrast);
    }

    [GeneratedRegex(@"\{\{t ([\w.]+)\}\}")]
    private static partial Regex Said();
}
