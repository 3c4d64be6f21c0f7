// The browser that the pages are tested in: Debian's Chromium, one process for all tests. Knows no pages.
using Microsoft.Playwright;

namespace Kidogo.ServingTests.Pages;

/// <summary>A fact that needs Chromium. It is skipped, with a message, where there is none, unless KIDOGO_EXPECT_CHROMIUM=1 says that there has to be one.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ChromiumFactAttribute : FactAttribute
{
    public ChromiumFactAttribute() => Skip = Chromium.WhyNot;
}

/// <summary>A theory that needs Chromium, as <see cref="ChromiumFactAttribute"/>.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ChromiumTheoryAttribute : TheoryAttribute
{
    public ChromiumTheoryAttribute() => Skip = Chromium.WhyNot;
}

/// <summary>The tests that share the browser.</summary>
[CollectionDefinition(Name)]
public sealed class ChromiumTests : ICollectionFixture<Chromium>
{
    public const string Name = "Chromium";
}

/// <summary>The browser's process.</summary>
public sealed class Chromium : IAsyncLifetime
{
    private const string ExecutablePath = "/usr/bin/chromium";

    private IPlaywright? _playwright;

    /// <summary>Why tests in it are skipped; null where they run.</summary>
    public static string? WhyNot =>
        File.Exists(ExecutablePath) || Environment.GetEnvironmentVariable("KIDOGO_EXPECT_CHROMIUM") == "1" ? null : $"needs Chromium, which is not at {ExecutablePath}: apt-get install chromium";

    public IBrowser Browser { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        if (WhyNot is null)
        {
            Assertions.SetDefaultExpectTimeout(60_000); // the machine may be busy
            _playwright = await Playwright.CreateAsync();
            Browser = await _playwright.Chromium.LaunchAsync(new() { ExecutablePath = ExecutablePath, Args = ["--no-sandbox", "--disable-gpu"], Timeout = 120_000 });
        }
    }

    public async Task DisposeAsync()
    {
        if (Browser is not null)
        {
            await Browser.CloseAsync();
        }

        _playwright?.Dispose();
    }
}
