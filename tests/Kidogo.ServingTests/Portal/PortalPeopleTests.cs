// Invitations, administrators, own keys, and strangers at the prompt box.
using System.Text.Json;
using Kidogo.Serving.Access;
using Kidogo.Serving.Portal;

namespace Kidogo.ServingTests.Portal;

public sealed class PortalPeopleTests
{
    private const string Password = PortalServer.Password;

    [Fact]
    public async Task Invitation_LetsOnePersonIn()
    {
        await using PortalServer portal = await PortalServer.StartAsync(settings => settings with { Registration = Registration.Invitation });
        using Browser stranger = portal.Visit();
        Assert.Equal("invitation_unknown", await stranger.RefusedAsync("/portal/api/register", new { name = "amina", password = Password }, 403));
        Assert.Equal("invitation_unknown", await stranger.RefusedAsync("/portal/api/register", new { name = "amina", password = Password, code = "' OR 1=1 --" }, 403));
        string code = portal.Site.Invite(isAdministrator: false).Code;
        Assert.Matches("^[0-9A-Z]{4}(-[0-9A-Z]{4}){4}$", code);
        Assert.Equal("password_weak", await stranger.RefusedAsync("/portal/api/register", new { name = "amina", password = "weak", code }, 400)); // and is not used up
        using Browser amina = await portal.RegisterAsync("amina", code.ToLowerInvariant().Replace('-', ' '));
        Assert.Equal("invitation_unknown", await stranger.RefusedAsync("/portal/api/register", new { name = "juma", password = Password, code }, 403));
        Assert.False(portal.Site.Accounts.Find("amina")!.IsAdministrator);
        string old = portal.Site.Invite(isAdministrator: true, days: 2).Code;
        portal.Clock.Move(TimeSpan.FromDays(2));
        Assert.Equal("invitation_unknown", await stranger.RefusedAsync("/portal/api/register", new { name = "juma", password = Password, code = old }, 403));
    }

    [Fact]
    public async Task Invitation_TriedByManyAtOnce_LetsOneIn()
    {
        await using PortalServer portal = await PortalServer.StartAsync(settings => settings with { Registration = Registration.Invitation });
        string code = portal.Site.Invite(isAdministrator: true).Code;
        int[] entered = await Task.WhenAll(Enumerable.Range(0, 8).Select(async i =>
        {
            using Browser browser = portal.Visit();
            using HttpRequestMessage request = new(HttpMethod.Post, "/portal/api/register")
            {
                Content = new StringContent(JsonSerializer.Serialize(new { name = $"name{i}", password = Password, code }), System.Text.Encoding.UTF8, "application/json"),
            };
            request.Headers.Add("Origin", portal.Server.Address.GetLeftPart(UriPartial.Authority));
            using HttpResponseMessage response = await browser.Client.SendAsync(request);
            return (int)response.StatusCode;
        }));
        Assert.Equal((1, 7), (entered.Count(status => status == 200), entered.Count(status => status == 403)));
        Assert.Equal(1, portal.Site.Accounts.Count());
    }

    [Fact]
    public async Task Registration_Closed_TakesNobodyAndInvitesNobody()
    {
        await using PortalServer portal = await PortalServer.StartAsync(settings => settings with { Registration = Registration.Closed });
        using Browser stranger = portal.Visit();
        Assert.Equal("registration_closed", await stranger.RefusedAsync("/portal/api/register", new { name = "amina", password = Password }, 403));
        Assert.Contains("closed", Assert.Throws<ServerSetupException>(() => portal.Site.Invite(isAdministrator: true)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Administrator_SeesCountsAndNoContents()
    {
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser chief = await portal.RegisterAdministratorAsync(), amina = await portal.RegisterAsync("amina");
        await amina.SendAsync("/portal/api/conversations/conversation-name", new { title = "siri ya kichwa", messages = new[] { new { text = "siri ya ujumbe" } } }, method: "PUT");
        await amina.SendAsync("/portal/api/keys", new { name = "siri ya ufunguo" });
        await amina.SendAsync("/v1/completions", """{"prompt":"abcde","max_tokens":2}""");
        string page = await chief.PageAsync("/administration");
        Assert.Matches("amina.*>1</td><td class=\"number\">7</td><td class=\"number\">1</td><td class=\"number\">1</td>", page.ReplaceLineEndings(" "));
        Assert.Contains("2026-11-23", page, StringComparison.Ordinal);
        foreach (string content in (string[])["siri", "conversation-name", "abcde"])
        {
            Assert.DoesNotContain(content, page, StringComparison.Ordinal);
        }

        await chief.PageAsync("/portal/api/conversations/conversation-name", 404);
        await amina.PageAsync("/administration", 403);
        Assert.Equal("not_administrator", await amina.RefusedAsync("/portal/api/invitations", new { }, 403));
        long id = portal.Site.Accounts.Find("mkuu")!.Id;
        Assert.Equal("not_administrator", await amina.RefusedAsync($"/portal/api/accounts/{id}", null, 403, "DELETE"));
        Assert.Equal("not_administrator", await amina.RefusedAsync($"/portal/api/accounts/{id}", new { locked = true }, 403));
    }

    [Fact]
    public async Task Administrator_InvitesLocksAndRemoves()
    {
        await using PortalServer portal = await PortalServer.StartAsync(settings => settings with { Registration = Registration.Invitation });
        using Browser chief = await portal.RegisterAdministratorAsync();
        string code = (await chief.SendAsync("/portal/api/invitations", new { administrator = false })).GetProperty("secret").GetString()!;
        using Browser amina = await portal.RegisterAsync("amina", code);
        string key = (await amina.SendAsync("/portal/api/keys", new { name = "k" })).GetProperty("secret").GetString()!;
        long id = portal.Site.Accounts.Find("amina")!.Id;
        await chief.SendAsync($"/portal/api/accounts/{id}", new { locked = true });
        Assert.Equal(303, await amina.StatusAsync("/account"));
        Assert.Equal("account_locked", await amina.RefusedAsync("/portal/api/login", new { name = "amina", password = Password }, 403));
        Assert.Equal(401, await WithKeyAsync(portal, key));
        await chief.SendAsync($"/portal/api/accounts/{id}", new { locked = false });
        await amina.SendAsync("/portal/api/login", new { name = "amina", password = Password });
        Assert.Equal(200, await WithKeyAsync(portal, key));
        await chief.SendAsync($"/portal/api/accounts/{id}", method: "DELETE");
        Assert.Equal(303, await amina.StatusAsync("/account"));
        Assert.Equal(401, await WithKeyAsync(portal, key));
        Assert.Equal("not_found", await chief.RefusedAsync($"/portal/api/accounts/{id}", null, 404, "DELETE"));

        await chief.SendAsync("/portal/api/invitations", new { });
        long open = portal.Site.Invitations.List().Single().Id;
        await chief.SendAsync($"/portal/api/invitations/{open}", method: "DELETE");
        Assert.Empty(portal.Site.Invitations.List());
    }

    [Fact]
    public async Task Administrator_TheOnlyOne_CannotBeLockedOrRemovedBesideOthers()
    {
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser chief = await portal.RegisterAdministratorAsync(), amina = await portal.RegisterAsync("amina");
        long id = portal.Site.Accounts.Find("mkuu")!.Id;
        Assert.Equal("last_administrator", await chief.RefusedAsync($"/portal/api/accounts/{id}", new { locked = true }, 409));
        Assert.Equal("last_administrator", await chief.RefusedAsync("/portal/api/leave", new { password = Password }, 409));
        using Browser second = await portal.RegisterAdministratorAsync("wa pili");
        await chief.SendAsync("/portal/api/leave", new { password = Password });
        Assert.Null(portal.Site.Accounts.Find("mkuu"));
    }

    [Fact]
    public async Task Key_OfOnesOwn_WorksUntilItIsRevoked()
    {
        await using PortalServer portal = await PortalServer.StartAsync(settings => settings with { Accounts = settings.Accounts with { Keys = 2 } });
        using Browser amina = await portal.RegisterAsync("amina"), juma = await portal.RegisterAsync("juma");
        string key = (await amina.SendAsync("/portal/api/keys", new { name = "<img src=x>" })).GetProperty("secret").GetString()!;
        Assert.StartsWith(KeyFile.Prefix, key, StringComparison.Ordinal);
        Assert.Equal(200, await WithKeyAsync(portal, key));
        Assert.Equal(401, await WithKeyAsync(portal, key + "x"));
        string page = await amina.PageAsync("/account");
        Assert.Contains("&lt;img src=x&gt;", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<img src=x", page, StringComparison.Ordinal);
        Assert.DoesNotContain(key, page, StringComparison.Ordinal);
        Assert.Equal("key_name_taken", await amina.RefusedAsync("/portal/api/keys", new { name = "<img src=x>" }, 400));
        Assert.Equal("key_name_malformed", await amina.RefusedAsync("/portal/api/keys", new { name = " " }, 400));
        await amina.SendAsync("/portal/api/keys", new { name = "two" });
        Assert.Equal("too_many_keys", await amina.RefusedAsync("/portal/api/keys", new { name = "three" }, 409));
        long id = portal.Site.Keys.List(portal.Site.Accounts.Find("amina")!)[0].Id;
        Assert.Equal("not_found", await juma.RefusedAsync($"/portal/api/keys/{id}", null, 404, "DELETE"));
        Assert.Equal(200, await WithKeyAsync(portal, key));
        await amina.SendAsync($"/portal/api/keys/{id}", method: "DELETE");
        Assert.Equal(401, await WithKeyAsync(portal, key)); // at once
    }

    [Fact]
    public async Task Key_HasItsOwnLimitsWithinThoseOfTheAccount()
    {
        await using PortalServer portal = await PortalServer.StartAsync(settings => settings with { Accounts = settings.Accounts with { RequestsPerMinute = 4 } });
        using Browser amina = await portal.RegisterAsync("amina");
        string narrow = (await amina.SendAsync("/portal/api/keys", new { name = "narrow", requests_per_minute = 2 })).GetProperty("secret").GetString()!;
        string wide = (await amina.SendAsync("/portal/api/keys", new { name = "wide" })).GetProperty("secret").GetString()!;
        Assert.Equal((int[])[200, 200, 429], (int[])[await WithKeyAsync(portal, narrow), await WithKeyAsync(portal, narrow), await WithKeyAsync(portal, narrow)]);
        Assert.Equal((int[])[200, 200, 429], (int[])[await WithKeyAsync(portal, wide), await WithKeyAsync(portal, wide), await WithKeyAsync(portal, wide)]);
        Assert.Equal(429, await amina.StatusAsync("/v1/models")); // all of it is one account's
        portal.Clock.Move(TimeSpan.FromMinutes(1));
        Assert.Equal(200, await WithKeyAsync(portal, narrow));
    }

    [Fact]
    public async Task Prompt_OfAStranger_IsAnsweredWithinLimits()
    {
        await using PortalServer portal = await PortalServer.StartAsync(settings => settings with { FrontPage = settings.FrontPage with { RequestsPerMinute = 2, Characters = 40, Instructions = "Jibu kwa ufupi." } });
        using Browser stranger = portal.Visit();
        Assert.Equal("prompt_empty", await stranger.RefusedAsync("/portal/api/ask", new { prompt = " " }, 400));
        Assert.Equal("prompt_too_long", await stranger.RefusedAsync("/portal/api/ask", new { prompt = new string('a', 41) }, 400));
        Assert.Equal("form_foreign", await stranger.RefusedAsync("/portal/api/ask", new { prompt = "a" }, 403, change: request => request.Headers.Remove("Origin")));
        await stranger.SendAsync("/portal/api/ask", new { prompt = "a", max_tokens = 500 }, 400);
        using HttpRequestMessage request = new(HttpMethod.Post, "/portal/api/ask") { Content = new StringContent("""{"prompt":"Jinsi ya kuandaa somo"}""", System.Text.Encoding.UTF8, "application/json") };
        request.Headers.Add("Origin", portal.Server.Address.GetLeftPart(UriPartial.Authority));
        using HttpResponseMessage answer = await stranger.Client.SendAsync(request);
        string stream = await answer.Content.ReadAsStringAsync();
        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType!.MediaType);
        Assert.EndsWith("data: [DONE]\n\n", stream, StringComparison.Ordinal);
        Assert.Equal(8, TestServer.Events(stream.Split("\n\n")).Sum(chunk => chunk.GetProperty("choices")[0].GetProperty("delta").TryGetProperty("content", out JsonElement text) ? text.GetString()!.Length : 0));
        Assert.Null(stranger.Session);
        await stranger.SendAsync("/portal/api/ask", new { prompt = "a" });
        Assert.Equal("rate_limit_exceeded", await stranger.RefusedAsync("/portal/api/ask", new { prompt = "a" }, 429));
        DayCounts day = Assert.Single(portal.Site.Counts.Days(5));
        Assert.Equal((0, 2), (day.Users, day.Requests));
        portal.Clock.Move(TimeSpan.FromMinutes(1));
        await portal.Site.VisitorPlaces.WaitAsync();
        await portal.Site.VisitorPlaces.WaitAsync();
        Assert.Equal("visitors_busy", await stranger.RefusedAsync("/portal/api/ask", new { prompt = "a" }, 429));
        portal.Site.VisitorPlaces.Release(2);
    }

    [Fact]
    public async Task Prompt_WhereTheOwnerWantsNone_IsNotThere()
    {
        await using PortalServer portal = await PortalServer.StartAsync(settings => settings with { FrontPage = new FrontPageSettings() });
        using Browser stranger = portal.Visit();
        Assert.DoesNotContain("id=\"ask\"", await stranger.PageAsync("/"), StringComparison.Ordinal);
        Assert.Equal("prompt_closed", await stranger.RefusedAsync("/portal/api/ask", new { prompt = "a" }, 403));
    }

    [Fact]
    public async Task Address_OfAVisitor_IsTakenFromTrustedProxiesAlone()
    {
        await using PortalServer open = await PortalServer.StartAsync(settings => settings with { FrontPage = settings.FrontPage with { RequestsPerMinute = 1 } });
        Assert.Equal((int[])[200, 429], (int[])[await AskAsync(open, "1.1.1.1"), await AskAsync(open, "2.2.2.2")]); // anybody could write that
        await using PortalServer behind = await PortalServer.StartAsync(
            settings => settings with { FrontPage = settings.FrontPage with { RequestsPerMinute = 1 }, Proxies = [System.Net.IPAddress.Loopback] });
        Assert.Equal((int[])[200, 200, 429, 429], (int[])[await AskAsync(behind, "1.1.1.1"), await AskAsync(behind, "2.2.2.2"), await AskAsync(behind, "9.9.9.9, 1.1.1.1"), await AskAsync(behind, "2.2.2.2")]);
        Assert.Equal((int[])[200, 429], (int[])[await AskAsync(behind, "2001:db8::1"), await AskAsync(behind, "2001:db8::2")]); // one house

        static async Task<int> AskAsync(PortalServer portal, string forwarded)
        {
            using HttpRequestMessage request = new(HttpMethod.Post, "/portal/api/ask") { Content = new StringContent("""{"prompt":"a"}""", System.Text.Encoding.UTF8, "application/json") };
            request.Headers.Add("Origin", portal.Server.Address.GetLeftPart(UriPartial.Authority));
            request.Headers.Add("X-Forwarded-For", forwarded);
            using HttpResponseMessage response = await portal.Server.Client.SendAsync(request);
            return (int)response.StatusCode;
        }
    }

    private static async Task<int> WithKeyAsync(PortalServer portal, string key)
    {
        using HttpRequestMessage request = new(HttpMethod.Get, "/v1/models");
        request.Headers.Authorization = new("Bearer", key);
        using HttpResponseMessage response = await portal.Server.Client.SendAsync(request);
        return (int)response.StatusCode;
    }
}
