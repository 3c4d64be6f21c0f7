// Accounts over sockets: register, log in, lock-out, sessions, forms of other pages, passwords, leaving, and a log without secrets.
using System.Net;
using Kidogo.Serving.Portal;

namespace Kidogo.ServingTests.Portal;

public sealed class PortalAccountTests
{
    private const string Password = PortalServer.Password;

    [Fact]
    public async Task Register_ThenLogIn_OpensTheChat()
    {
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser stranger = portal.Visit();
        Assert.Equal(303, await stranger.StatusAsync("/chat"));
        Assert.Equal(401, await stranger.StatusAsync("/v1/models"));
        using Browser amina = await portal.RegisterAsync("Amina O'Brien");
        Assert.Contains("/scripts/chat.js", await amina.PageAsync("/chat"), StringComparison.Ordinal);
        Assert.Contains("Amina", await amina.PageAsync("/account"), StringComparison.Ordinal);
        Assert.Equal(200, await amina.StatusAsync("/v1/models"));
        await amina.SendAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"a"}],"max_tokens":2}""");

        using Browser elsewhere = portal.Visit();
        await elsewhere.SendAsync("/portal/api/login", new { name = " amina o'brien", password = Password });
        Assert.Equal(200, await elsewhere.StatusAsync("/chat"));
        await elsewhere.SendAsync("/portal/api/logout", new { });
        Assert.Equal(303, await elsewhere.StatusAsync("/chat"));
        Assert.Equal(200, await amina.StatusAsync("/chat"));
    }

    [Theory]
    [InlineData("a", "name_malformed")]
    [InlineData("'; DROP TABLE users; --", "name_malformed")]
    [InlineData("<b>amina</b>", "name_malformed")]
    [InlineData("amina\n", "name_malformed", "amina\nx")]
    [InlineData("amina", "password_weak", null, "short")]
    [InlineData("amina", "password_weak", null, "aaaaaaaaaaaaaa")]
    [InlineData("amina.amina", "password_weak", null, "AMINA.amina")]
    public async Task Register_WhatWillNotDo_IsRefusedByName(string name, string code, string? other = null, string password = Password)
    {
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser browser = portal.Visit();
        Assert.Equal(code, await browser.RefusedAsync("/portal/api/register", new { name = other ?? name, password }, 400));
        Assert.Equal(0, portal.Site.Accounts.Count());
    }

    [Fact]
    public async Task Register_ATakenNameInOtherCase_IsRefused()
    {
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser first = await portal.RegisterAsync("Wanjikũ");
        using Browser second = portal.Visit();
        Assert.Equal("name_taken", await second.RefusedAsync("/portal/api/register", new { name = "WANJIKŨ", password = Password }, 400));
    }

    [Fact]
    public async Task Password_Long_IsHashedToTheCapAndRefusedBeyond()
    {
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser browser = portal.Visit();
        string longest = string.Concat(Enumerable.Range(0, 100).Select(i => $"{i:0000000000}"));
        Assert.Equal(Passwords.Longest, longest.Length);
        Assert.Equal("too_long", await browser.RefusedAsync("/portal/api/register", new { name = "amina", password = longest + "x" }, 400));
        await browser.SendAsync("/portal/api/register", new { name = "amina", password = longest });
        Assert.Equal("wrong_password", await browser.RefusedAsync("/portal/api/login", new { name = "amina", password = longest[..^1] }, 401));
        Assert.Equal("too_long", await browser.RefusedAsync("/portal/api/login", new { name = "amina", password = longest + "x" }, 400));
        Assert.Equal("too_long", await browser.RefusedAsync("/portal/api/login", new { name = new string('a', 65), password = longest }, 400));
        await browser.SendAsync("/portal/api/login", "{\"name\":\"amina\",\"password\":\"" + new string('x', 100_000) + "\"}", 413, change: request => request.Headers.ExpectContinue = true);
    }

    [Theory]
    [InlineData("amina")]
    [InlineData("nobody at all")]
    public async Task LogIn_FailingTooOften_LocksTheNameWhetherItExistsOrNot(string name)
    {
        await using PortalServer portal = await PortalServer.StartAsync(settings => settings with { Accounts = settings.Accounts with { Failures = 3, LockMinutes = 10 } });
        using Browser amina = await portal.RegisterAsync("amina");
        using Browser guesser = portal.Visit();
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal("wrong_password", await guesser.RefusedAsync("/portal/api/login", new { name, password = $"a wrong one {i}" }, 401));
        }

        Assert.Equal("locked_out", await guesser.RefusedAsync("/portal/api/login", new { name, password = Password }, 429));
        Assert.Equal(200, await amina.StatusAsync("/account")); // who is in stays in
        portal.Clock.Move(TimeSpan.FromMinutes(11));
        if (name == "amina")
        {
            await guesser.SendAsync("/portal/api/login", new { name, password = Password });
        }
        else
        {
            Assert.Equal("wrong_password", await guesser.RefusedAsync("/portal/api/login", new { name, password = Password }, 401));
        }
    }

    [Fact]
    public async Task LogIn_Guesses_AreLimitedByAddress()
    {
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser guesser = portal.Visit();
        for (int i = 0; i < 60; i++)
        {
            Assert.Equal("wrong_password", await guesser.RefusedAsync("/portal/api/login", new { name = $"name{i}", password = Password }, 401));
        }

        Assert.Equal("rate_limit_exceeded", await guesser.RefusedAsync("/portal/api/login", new { name = "another", password = Password }, 429));
    }

    [Fact]
    public async Task Session_AfterItsHours_HasEnded()
    {
        await using PortalServer portal = await PortalServer.StartAsync(settings => settings with { Accounts = settings.Accounts with { SessionHours = 2 } });
        using Browser amina = await portal.RegisterAsync("amina");
        portal.Clock.Move(TimeSpan.FromMinutes(119));
        Assert.Equal(200, await amina.StatusAsync("/account"));
        portal.Clock.Move(TimeSpan.FromMinutes(2));
        Assert.Equal(303, await amina.StatusAsync("/account"));
        Assert.Equal(401, await amina.StatusAsync("/v1/models"));
    }

    [Fact]
    public async Task Session_KnownBeforeTheLogIn_OpensNothingAfterIt()
    {
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser amina = await portal.RegisterAsync("amina");
        using Browser victim = portal.Visit();
        victim.Cookies.Add(portal.Server.Address, new Cookie("kidogo-session", "planted-by-somebody-else-planted-by-somebody"));
        await victim.SendAsync("/portal/api/login", new { name = "amina", password = Password });
        Assert.NotEqual("planted-by-somebody-else-planted-by-somebody", victim.Session);
        string first = victim.Session!;
        await victim.SendAsync("/portal/api/login", new { name = "amina", password = Password });
        Assert.NotEqual(first, victim.Session);
        using Browser thief = portal.Visit();
        thief.Cookies.Add(portal.Server.Address, new Cookie("kidogo-session", first));
        Assert.Equal(303, await thief.StatusAsync("/account")); // the one of before has ended
    }

    [Fact]
    public async Task Cookie_IsForThisSiteAndNoScript_AndSecureWhereTheAddressIs()
    {
        await using PortalServer portal = await PortalServer.StartAsync();
        string plain = await CookieAsync(portal, "amina");
        Assert.StartsWith("kidogo-session=", plain, StringComparison.Ordinal);
        Assert.Contains("httponly", plain, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("samesite=strict", plain, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("secure", plain, StringComparison.OrdinalIgnoreCase);
        await using PortalServer behind = await PortalServer.StartAsync(settings => settings with { Address = new Uri("https://shule.example") });
        string secure = await CookieAsync(behind, "amina");
        Assert.StartsWith("__Host-kidogo-session=", secure, StringComparison.Ordinal);
        Assert.Contains("; secure", secure, StringComparison.OrdinalIgnoreCase);
        using Browser asProxy = behind.Visit();
        await asProxy.SendAsync("/portal/api/login", new { name = "amina", password = Password }, change: request =>
        {
            request.Headers.Remove("Origin");
            request.Headers.Add("Origin", "https://shule.example");
            request.Headers.Host = "shule.example";
        });

        static async Task<string> CookieAsync(PortalServer portal, string name)
        {
            using HttpRequestMessage request = new(HttpMethod.Post, "/portal/api/register") { Content = new StringContent($$"""{"name":"{{name}}","password":"{{Password}}"}""", System.Text.Encoding.UTF8, "application/json") };
            request.Headers.Add("Origin", portal.Server.Address.GetLeftPart(UriPartial.Authority));
            using HttpResponseMessage response = await portal.Server.Client.SendAsync(request);
            return response.Headers.GetValues("Set-Cookie").Single();
        }
    }

    [Theory]
    [InlineData("/portal/api/logout", "{}", "POST")]
    [InlineData("/portal/api/keys", """{"name":"a"}""", "POST")]
    [InlineData("/portal/api/conversations/a", """{"title":"a"}""", "PUT")]
    [InlineData("/v1/chat/completions", """{"messages":[{"role":"user","content":"a"}],"max_tokens":2}""", "POST")]
    public async Task Form_OfAnotherPage_IsRefused(string path, string body, string method)
    {
        await using PortalServer portal = await PortalServer.StartAsync(options: given => given with { AllowedOrigins = ["https://friend.example"] });
        using Browser amina = await portal.RegisterAsync("amina");
        Assert.Equal("origin_not_allowed", await amina.RefusedAsync(path, body, 403, method, request => Origin(request, "https://evil.example")));
        Assert.Equal("form_foreign", await amina.RefusedAsync(path, body, 403, method, request => Origin(request, "https://friend.example"))); // may call with a key, never with the cookie
        Assert.Equal("form_foreign", await amina.RefusedAsync(path, body, 403, method, request => Origin(request, null)));
        Assert.Equal("form_expired", await amina.RefusedAsync(path, body, 403, method, request => request.Headers.Remove("X-Kidogo-Form")));
        Assert.Equal("form_expired", await amina.RefusedAsync(path, body, 403, method, request =>
        {
            request.Headers.Remove("X-Kidogo-Form");
            request.Headers.Add("X-Kidogo-Form", "AAAA");
        }));
        Assert.Equal(200, await amina.StatusAsync("/account"));

        static void Origin(HttpRequestMessage request, string? origin)
        {
            request.Headers.Remove("Origin");
            if (origin is not null)
            {
                request.Headers.Add("Origin", origin);
            }
        }
    }

    [Fact]
    public async Task LogIn_OfAnotherPage_OrNotJson_IsRefused()
    {
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser amina = await portal.RegisterAsync("amina");
        using Browser victim = portal.Visit();
        Assert.Equal("form_foreign", await victim.RefusedAsync("/portal/api/login", new { name = "amina", password = Password }, 403, change: request => request.Headers.Remove("Origin")));
        await victim.SendAsync("/portal/api/login", $"name=amina&password={Password}", 415, change: request => request.Content!.Headers.ContentType = new("application/x-www-form-urlencoded"));
        await victim.SendAsync("/portal/api/login", new { name = "amina", password = Password, extra = 1 }, 400);
        Assert.Null(victim.Session);
    }

    [Fact]
    public async Task Password_Changed_EndsAllOtherSessions()
    {
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser amina = await portal.RegisterAsync("amina");
        using Browser lost = portal.Visit();
        await lost.SendAsync("/portal/api/login", new { name = "amina", password = Password });
        Assert.Equal("wrong_password", await amina.RefusedAsync("/portal/api/password", new { former = "not this one", password = "another good one" }, 401));
        Assert.Equal("password_weak", await amina.RefusedAsync("/portal/api/password", new { former = Password, password = "weak" }, 400));
        await amina.SendAsync("/portal/api/password", new { former = Password, password = "another good one" });
        Assert.Equal(200, await amina.StatusAsync("/account"));
        Assert.Equal(303, await lost.StatusAsync("/account"));
        Assert.Equal("wrong_password", await lost.RefusedAsync("/portal/api/login", new { name = "amina", password = Password }, 401));
        await lost.SendAsync("/portal/api/login", new { name = "amina", password = "another good one" });
        string given = await portal.Site.ResetPasswordAsync("AMINA");
        Assert.Equal(303, await lost.StatusAsync("/account"));
        await lost.SendAsync("/portal/api/login", new { name = "amina", password = given });
    }

    [Fact]
    public async Task Account_Left_LeavesNothingBehind()
    {
        const string Secret = "siri-kubwa-ya-amina";
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser amina = await portal.RegisterAsync("amina-wa-kwanza");
        await amina.SendAsync("/portal/api/conversations/one", new { title = Secret, messages = new[] { new { text = Secret } } }, method: "PUT");
        string key = (await amina.SendAsync("/portal/api/keys", new { name = "phone" })).GetProperty("secret").GetString()!;
        await amina.SendAsync("/v1/completions", """{"prompt":"abc","max_tokens":2}""");
        Assert.Contains(Secret, Written(portal), StringComparison.Ordinal);
        Assert.Equal("wrong_password", await amina.RefusedAsync("/portal/api/leave", new { password = "not this one" }, 401));
        await amina.SendAsync("/portal/api/leave", new { password = Password });
        Assert.Equal(303, await amina.StatusAsync("/account"));
        Assert.Null(portal.Site.ClientOfKey(key));
        Assert.Equal(0, portal.Site.Accounts.Count());
        Assert.DoesNotContain(Secret, Written(portal), StringComparison.Ordinal);
        Assert.DoesNotContain("amina-wa-kwanza", Written(portal), StringComparison.Ordinal);
        DayCounts day = Assert.Single(portal.Site.Counts.Days(10));
        Assert.Equal((0, 1, 5), (day.Users, day.Requests, day.Tokens)); // three of the prompt and two of the answer, nobody's now
    }

    [Fact]
    public async Task Secrets_AreInNoLogAndNotInTheDatabase()
    {
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser amina = await portal.RegisterAsync("amina");
        string key = (await amina.SendAsync("/portal/api/keys", new { name = "phone" })).GetProperty("secret").GetString()!;
        string token = (await amina.TokenAsync())!, code = portal.Site.Invite(isAdministrator: false).Code;
        await amina.SendAsync("/portal/api/conversations/my-secret-name", new { title = "siri yangu" }, method: "PUT");
        await amina.RefusedAsync("/portal/api/login", new { name = "amina", password = "wrong and secret" }, 401);
        await amina.PageAsync("/account?lang=sw&secret=in-the-query");
        string log = string.Join('\n', portal.Server.Lines.Concat(portal.Server.Warnings));
        Assert.Contains("PUT /portal/api/conversations/* 200", log, StringComparison.Ordinal);
        foreach (string secret in (string[])[Password, key, amina.Session!, token, code, "my-secret-name", "siri yangu", "wrong and secret", "in-the-query", "amina"])
        {
            Assert.DoesNotContain(secret, log, StringComparison.Ordinal);
        }

        foreach (string secret in (string[])[Password, key, amina.Session!, token, code, code.Replace("-", "", StringComparison.Ordinal), "wrong and secret"])
        {
            Assert.DoesNotContain(secret, Written(portal), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Passwords_OfNobody_CostWhatThoseOfSomebodyDo()
    {
        using Passwords passwords = new(1000);
        string hash = await passwords.HashAsync(Password, default);
        Assert.NotEqual(hash, await passwords.HashAsync(Password, default)); // salted
        Assert.True(await passwords.IsRightAsync(hash, Password, default));
        Assert.False(await passwords.IsRightAsync(hash, Password + " ", default));
        Assert.False(await passwords.IsRightAsync(null, Password, default));
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser amina = await portal.RegisterAsync("amina");
        using Browser guesser = portal.Visit();
        string unknown = (await guesser.SendAsync("/portal/api/login", new { name = "nobody", password = Password }, 401)).ToString();
        string wrong = (await guesser.SendAsync("/portal/api/login", new { name = "amina", password = "not this one" }, 401)).ToString();
        Assert.Equal(unknown, wrong);
    }

    /// <summary>All that lies on the disk, as characters.</summary>
    private static string Written(PortalServer portal) => string.Concat(Directory.GetFiles(Path.GetDirectoryName(portal.Database)!, "portal.db*").Select(path =>
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        byte[] bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        return System.Text.Encoding.Latin1.GetString(bytes);
    }));
}
