// The demo's report as a reader sees it: in Chromium, at all widths, without a network.
using System.Text.Json;
using Kidogo.ServingTests.Pages;
using Microsoft.Playwright;

namespace Kidogo.EndToEndTests;

[Collection(ChromiumTests.Name)]
public sealed class ReportInChromiumTests(Chromium chromium)
{
    private static readonly (string Title, string Name)[] s_columns =
    [
        ("bits per weight", "bits_per_weight"), ("questions right", "question_accuracy"), ("best guess without reading", "baseline_accuracy"), ("perplexity", "perplexity"),
        ("divergence, nats", "kl_divergence"), ("prefill, tokens/s", "prefill_tokens_per_second"), ("decode, tokens/s", "decode_tokens_per_second"),
    ];

    [ChromiumFact]
    public async Task Report_OfTheDemo_RendersSaysWhatTheJsonSaysAndOverflowsNowhere()
    {
        using TemporaryFolder folder = new();
        string output = folder.At("demo");
        Assert.Equal(0, KidogoProcess.Run("demo", "--quick", "--out", output).ExitCode);
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(output, "report.json")));
        JsonElement[] models = [.. json.RootElement.GetProperty("models").EnumerateArray()];
        foreach (int width in (int[])[360, 800, 1400])
        {
            foreach (ColorScheme scheme in (ColorScheme[])[ColorScheme.Light, ColorScheme.Dark])
            {
                IBrowserContext context = await chromium.Browser.NewContextAsync(new() { ViewportSize = new() { Width = width, Height = 800 }, ColorScheme = scheme, Offline = true });
                IPage page = await context.NewPageAsync();
                List<string> wrong = [], asked = [];
                page.Console += (_, message) => wrong.Add(message.Text);
                page.PageError += (_, error) => wrong.Add(error);
                page.Request += (_, request) => asked.Add(request.Url);
                await page.GotoAsync(new Uri(Path.Combine(output, "report.html")).AbsoluteUri);
                Assert.Empty(wrong);
                Assert.Single(asked); // the page itself

                string[] beyond = await page.EvaluateAsync<string[]>(
                    "() => [...document.querySelectorAll('body *')].filter(each => each.getBoundingClientRect().right > innerWidth + 0.5).map(each => each.tagName + ' ' + each.textContent.slice(0, 40))"
                    + ".concat(document.documentElement.scrollWidth > innerWidth ? ['the page'] : [])");
                Assert.Empty(beyond);
                Assert.True(await page.EvaluateAsync<int>("() => [...document.querySelectorAll('svg')].filter(each => each.getBoundingClientRect().width > 200).length") >= 4, "charts are missing");

                ILocator rows = page.Locator("table").First.Locator("tbody tr");
                Assert.Equal(models.Length, await rows.CountAsync());
                for (int i = 0; i < models.Length; i++)
                {
                    Assert.Contains(models[i].GetProperty("name").GetString()!, await rows.Nth(i).Locator("td").First.TextContentAsync(), StringComparison.Ordinal);
                    foreach ((string title, string name) in s_columns)
                    {
                        JsonElement number = models[i].GetProperty(name);
                        string? shown = await rows.Nth(i).Locator($"td[data-title='{title}']").GetAttributeAsync("data-value");
                        Assert.Equal(number.ValueKind == JsonValueKind.Null ? null : number.GetRawText(), shown);
                    }
                }

                await context.CloseAsync();
            }
        }
    }
}
