// The files of the pages as they are sent, and their dictionaries: what needs no browser.
using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using Kidogo.Serving.Pages;

namespace Kidogo.ServingTests.Pages;

public sealed partial class PageFilesTests
{
    private static readonly string[] s_languages = ["en", "fr", "sw"];

    [Fact]
    public async Task Files_All_HaveAStrictPolicyAndLeadNowhere()
    {
        await using TestServer server = await TestServer.StartAsync();
        Assert.Contains("/", Page.Paths);
        Assert.Contains("/api.html", Page.Paths);
        foreach (string path in Page.Paths)
        {
            using HttpResponseMessage response = await server.Client.GetAsync(path);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            string policy = response.Headers.GetValues("Content-Security-Policy").Single();
            Assert.StartsWith("default-src 'none'; script-src 'self';", policy, StringComparison.Ordinal);
            Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
            Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
            string text = (await response.Content.ReadAsStringAsync()).Replace("xmlns=\"http://www.w3.org/2000/svg\"", "", StringComparison.Ordinal); // a name, not an address
            Assert.DoesNotContain("http://", text, StringComparison.Ordinal);
            Assert.DoesNotContain("https://", text, StringComparison.Ordinal);
            Assert.DoesNotMatch(@"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|style=|<script>|\son\w+=", text);
        }
    }

    [Fact]
    public async Task File_AskedAgain_IsSmallOrUnchanged()
    {
        await using TestServer server = await TestServer.StartAsync();
        using HttpResponseMessage whole = await server.Client.GetAsync("/scripts/chat.js");
        byte[] bytes = await whole.Content.ReadAsByteArrayAsync();
        using HttpRequestMessage compressed = new(HttpMethod.Get, "/scripts/chat.js");
        compressed.Headers.Add("Accept-Encoding", "gzip");
        using HttpResponseMessage small = await server.Client.SendAsync(compressed);
        Assert.Equal("gzip", small.Content.Headers.ContentEncoding.Single());
        using System.IO.Compression.GZipStream zip = new(await small.Content.ReadAsStreamAsync(), System.IO.Compression.CompressionMode.Decompress);
        using MemoryStream unpacked = new();
        await zip.CopyToAsync(unpacked);
        Assert.Equal(bytes, unpacked.ToArray());
        Assert.True(small.Content.Headers.ContentLength < bytes.Length / 2);

        using HttpRequestMessage again = new(HttpMethod.Get, "/scripts/chat.js");
        again.Headers.Add("If-None-Match", whole.Headers.ETag!.ToString());
        using HttpResponseMessage unchanged = await server.Client.SendAsync(again);
        Assert.Equal(HttpStatusCode.NotModified, unchanged.StatusCode);
        Assert.Empty(await unchanged.Content.ReadAsByteArrayAsync());
    }

    [Theory]
    [InlineData("/scripts/../Page.cs")]
    [InlineData("/scripts/")]
    [InlineData("/index.html")]
    [InlineData("/Page.cs")]
    [InlineData("/scripts/CHAT.js")]
    [InlineData("/scripts%2Fchat.js")]
    public async Task File_ThatIsNone_IsNotFound(string path)
    {
        await using TestServer server = await TestServer.StartAsync();
        using HttpResponseMessage response = await server.Client.GetAsync(path);
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    [Fact]
    public async Task Dictionaries_HaveTheSameKeysAndValues()
    {
        await using TestServer server = await TestServer.StartAsync();
        Dictionary<string, string> english = await DictionaryAsync(server, "en");
        foreach (string language in s_languages)
        {
            Dictionary<string, string> other = await DictionaryAsync(server, language);
            Assert.Equal(english.Keys.Order(), other.Keys.Order());
            foreach ((string key, string text) in other)
            {
                Assert.False(string.IsNullOrWhiteSpace(text), $"{language}: {key} is empty");
                Assert.True(Values(english[key]).SequenceEqual(Values(text)), $"{language}: {key} has other values in braces than the English text");
            }
        }
    }

    [Fact]
    public async Task Dictionary_HasWhatThePagesSayAndNothingElse()
    {
        await using TestServer server = await TestServer.StartAsync();
        HashSet<string> known = [.. (await DictionaryAsync(server, "en")).Keys];
        string all = "";
        foreach (string path in Page.Paths.Where(path => path is "/" || path.EndsWith(".html", StringComparison.Ordinal) || path.EndsWith(".js", StringComparison.Ordinal)))
        {
            string text = await server.Client.GetStringAsync(path);
            all += text;
            foreach (Match match in Spoken().Matches(text))
            {
                string key = match.Groups["key"].Value;
                Assert.True(known.Contains(key), $"{path} says `{key}`, which no dictionary has");
            }
        }

        foreach (string key in known.Where(key => !key.StartsWith("suggestion", StringComparison.Ordinal)))
        {
            string stem = key.EndsWith("_about", StringComparison.Ordinal) ? key[..^"_about".Length] : key;
            Assert.True(all.Contains($"\"{stem}\"", StringComparison.Ordinal) || all.Contains($" {stem}: ", StringComparison.Ordinal), $"nothing says `{key}`");
        }
    }

    private static async Task<Dictionary<string, string>> DictionaryAsync(TestServer server, string language)
    {
        using JsonDocument document = JsonDocument.Parse(await server.Client.GetStringAsync($"/words/{language}.json"), new JsonDocumentOptions { AllowDuplicateProperties = false });
        return document.RootElement.EnumerateObject().ToDictionary(each => each.Name, each => each.Value.GetString()!);
    }

    private static IEnumerable<string> Values(string text) => Braces().Matches(text).Select(match => match.Value).Order();

    [GeneratedRegex(@"\{\w+\}")]
    private static partial Regex Braces();

    [GeneratedRegex("""(?:\bt\(|data-text=|data-label=|data-placeholder=)"(?<key>\w+)["]""")]
    private static partial Regex Spoken();
}
