// The portal's pages, made on the server: front page, register, log in, account, administration, documentation, and the files that go with them. Knows no model.
using System.Globalization;
using System.Text;
using System.Text.Json;
using Kidogo.Serving.Access;
using Kidogo.Serving.Pages;
using Kidogo.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace Kidogo.Serving.Portal;

/// <summary>Makes the pages of a portal.</summary>
internal sealed class PortalPages
{
    private const string LanguageCookie = "kidogo-language";
    private const int MostAccounts = 200, MostDays = 31;

    private static readonly Dictionary<string, string> s_languageNames = new() { ["en"] = "English", ["fr"] = "Français", ["sw"] = "Kiswahili" };

    private readonly PortalSite _site;
    private readonly Dictionary<string, HtmlTemplate> _templates = ((string[])["layout", "front", "register", "login", "account", "administration", "document"])
        .ToDictionary(name => name, name => HtmlTemplate.Parse(Encoding.UTF8.GetString(PortalResource.Read($"{name}.html"))));

    private readonly Dictionary<string, PageFile> _files;
    private readonly Dictionary<(string Slug, string Language), Html> _documents = [];

    /// <summary>Makes what does not change: the colours, and the owner's pages.</summary>
    /// <exception cref="ServerSetupException">A page or a picture cannot be shown.</exception>
    public PortalPages(PortalSite site)
    {
        _site = site;
        PortalSettings settings = site.Settings;
        _files = new()
        {
            ["/portal/portal.css"] = new PageFile("text/css; charset=utf-8", PortalResource.Read("portal.css")),
            ["/portal/portal.js"] = new PageFile("text/javascript; charset=utf-8", PortalResource.Read("portal.js")),
            ["/scripts/store.js"] = new PageFile("text/javascript; charset=utf-8", PortalResource.Read("store.js")),
            ["/styles/brand.css"] = new PageFile("text/css; charset=utf-8", Encoding.UTF8.GetBytes(settings.Colours.Css())),
        };
        foreach (string language in Words.Languages)
        {
            _files.Add($"/words/{language}.json", new PageFile("application/json; charset=utf-8", ChatWords(language)));
        }

        if (settings.Logo is { } logo)
        {
            _files.Add("/portal/logo", new PageFile(logo.Type, logo.Bytes));
        }

        foreach (PortalDocument page in settings.Documentation)
        {
            foreach (string language in settings.Languages)
            {
                _documents[(page.Slug, language)] = PortalMarkdown.Render(page.Markdown.In(language), $"documentation, {page.Slug}", name => Shown(page, name));
            }
        }
    }

    public static IEnumerable<KeyValuePair<(string Method, string Path), Func<PortalCall, Task>>> Routes =>
    [
        new(("GET", "/"), call => call.Site.Pages.FrontAsync(call)),
        new(("GET", "/chat"), ChatAsync),
        new(("GET", "/scripts/brand.js"), call => call.Site.Pages.BrandAsync(call)),
        new(("GET", "/scripts/store.js"), call => call.Site.Pages.FileAsync(call)),
        new(("GET", "/styles/brand.css"), call => call.Site.Pages.FileAsync(call)),
        new(("GET", "/words/*"), call => call.Site.Pages.FileAsync(call)),
        new(("GET", "/register"), call => call.Site.Pages.RegisterAsync(call)),
        new(("GET", "/login"), call => call.Site.Pages.LogInAsync(call)),
        new(("GET", "/account"), call => call.Site.Pages.AccountAsync(call)),
        new(("GET", "/administration"), call => call.Site.Pages.AdministrationAsync(call)),
        new(("GET", "/docs"), call => call.Site.Pages.DocumentAsync(call)),
        new(("GET", "/docs/*"), call => call.Site.Pages.DocumentAsync(call)),
        new(("GET", "/docs/files/*"), call => call.Site.Pages.FileAsync(call)),
        new(("GET", "/portal/*"), call => call.Site.Pages.FileAsync(call)),
    ];

    /// <summary>The words for a reader: of the language that was chosen here, else of the first that the browser wants and the owner offers.</summary>
    public static Words LanguageOf(HttpContext http, PortalSettings settings)
    {
        string chosen = http.Request.Query["lang"].ToString();
        if (settings.Languages.Contains(chosen))
        {
            return Words.In(chosen);
        }

        IEnumerable<string> wanted = StringWithQualityHeaderValue.TryParseList(http.Request.Headers.AcceptLanguage, out IList<StringWithQualityHeaderValue>? values)
            ? values.OrderByDescending(value => value.Quality ?? 1).Select(value => value.Value.ToString().Split('-')[0].ToLowerInvariant()) : [];
        return Words.In(wanted.Prepend(http.Request.Cookies[LanguageCookie] ?? "").FirstOrDefault(settings.Languages.Contains, settings.Languages[0]));
    }

    private Task FrontAsync(PortalCall call)
    {
        PortalSettings settings = _site.Settings;
        string language = call.Words.Language;
        return WriteAsync(call, "front", settings.Name, new PageValues
        {
            ["tagline"] = settings.Tagline.In(language),
            ["prompt"] = settings.FrontPage.Prompt,
            ["characters"] = settings.FrontPage.Characters.ToString(CultureInfo.InvariantCulture),
            ["hasExamples"] = settings.FrontPage.Examples.Count > 0,
            ["examples"] = settings.FrontPage.Examples.Select(text => new PageValues { ["example"] = text }).ToArray(),
            ["features"] = settings.Features.Select(feature => new PageValues { ["feature"] = feature.Title.In(language), ["text"] = feature.Text.In(language) }).ToArray(),
        });
    }

    /// <summary>The chat page; what it keeps goes here, since its store and its brand are answered here.</summary>
    private static Task ChatAsync(PortalCall call) => call.Session is null ? GoAsync(call, "/login") : Page.TryAnswerAsync(call.Http, "/");

    /// <summary>The chat page's <c>brand.js</c>: whose page it is, and the token of the session. Other origins cannot read it: it is a module, and the cookie does not come from elsewhere.</summary>
    private Task BrandAsync(PortalCall call)
    {
        using MemoryStream script = new();
        script.Write("// Whose page this is, and what its requests carry.\nexport const name = "u8);
        script.Write(Literal(_site.Name));
        script.Write(";\nexport const headers = {"u8);
        if (call.Session is { } session)
        {
            script.Write(Encoding.ASCII.GetBytes($"\"{PortalCall.FormHeader}\": \"{Secret.FormToken(session.Token)}\""));
        }

        script.Write("};\n"u8);
        if (call.Session is not null)
        {
            script.Write("const foot = document.querySelector(\".sidebar-foot\");\nif (foot) {\n  const link = document.createElement(\"a\");\n  link.href = \"/account\";\n  link.textContent = "u8);
            script.Write(Literal(call.Session.Account.Name));
            script.Write(";\n  foot.append(link);\n}\ndocument.querySelector(\"[data-text=chatPage]\")?.setAttribute(\"href\", \"/chat\");\n"u8);
        }

        return new PageFile("text/javascript; charset=utf-8", script.ToArray()).WriteAsync(call.Http, "no-store");
    }

    /// <summary>A text as a literal of JavaScript.</summary>
    private static byte[] Literal(string text) => Encoding.UTF8.GetBytes($"\"{JsonEncodedText.Encode(text)}\"");

    /// <summary>The chat page's dictionary, in which what it says of the browser holds of the server.</summary>
    private static byte[] ChatWords(string language)
    {
        Words words = Words.In(language);
        using JsonDocument dictionary = JsonDocument.Parse(Page.Content($"/words/{language}.json"));
        return JsonBuilding.Bytes(json =>
        {
            json.WriteStartObject();
            foreach (JsonProperty text in dictionary.RootElement.EnumerateObject())
            {
                json.WriteString(text.Name, words.Find($"page.{text.Name}") ?? text.Value.GetString());
            }

            json.WriteEndObject();
        }).ToArray();
    }

    private Task RegisterAsync(PortalCall call) => call.Session is not null ? GoAsync(call, "/chat") : WriteAsync(call, "register", call.Words.Of("register"), new PageValues
    {
        ["open"] = _site.Settings.Registration == Registration.Open,
        ["closed"] = _site.Settings.Registration == Registration.Closed,
    });

    private Task LogInAsync(PortalCall call) => call.Session is not null ? GoAsync(call, "/chat") : WriteAsync(call, "login", call.Words.Of("login"), []);

    private Task AccountAsync(PortalCall call)
    {
        if (call.Session is not { } session)
        {
            return GoAsync(call, "/login");
        }

        return WriteAsync(call, "account", call.Words.Of("account"), new PageValues
        {
            ["since"] = Day(session.Account.Created),
            ["keys"] = _site.Keys.List(session.Account).Select(key => new PageValues
            {
                ["id"] = Number(key.Id),
                ["key"] = key.Name,
                ["created"] = Day(key.Created),
                ["requests"] = key.RequestsPerMinute is { } requests ? Number(requests) : "∞",
                ["tokens"] = key.TokensPerMinute is { } tokens ? Number(tokens) : "∞",
            }).ToArray(),
            ["requestsAllowed"] = _site.Settings.Accounts.RequestsPerMinute is { } most ? Number(most) : "∞",
            ["tokensAllowed"] = _site.Settings.Accounts.TokensPerMinute is { } mostTokens ? Number(mostTokens) : "∞",
        });
    }

    private Task AdministrationAsync(PortalCall call)
    {
        if (call.Session is not { } session)
        {
            return GoAsync(call, "/login");
        }

        if (!session.Account.IsAdministrator)
        {
            throw PortalProblem.Of(403, "not_administrator", null);
        }

        _site.Counts.Write();
        List<AccountCounts> accounts = _site.Accounts.List(call.Http.Request.Query["after"].ToString(), MostAccounts);
        return WriteAsync(call, "administration", call.Words.Of("administration"), new PageValues
        {
            ["count"] = Number(_site.Accounts.Count()),
            ["days"] = _site.Counts.Days(MostDays).Select(day => new PageValues { ["day"] = day.Day, ["users"] = Number(day.Users), ["requests"] = Number(day.Requests), ["tokens"] = Number(day.Tokens) }).ToArray(),
            ["invites"] = _site.Settings.Registration != Registration.Closed,
            ["invitations"] = _site.Invitations.List().Select(each => new PageValues
            {
                ["id"] = Number(each.Id), ["created"] = Day(each.Created), ["expires"] = Day(each.Expires), ["administrator"] = each.IsAdministrator,
            }).ToArray(),
            ["accounts"] = accounts.Select(each => new PageValues
            {
                ["id"] = Number(each.Account.Id),
                ["account"] = each.Account.Name,
                ["created"] = Day(each.Account.Created),
                ["administrator"] = each.Account.IsAdministrator,
                ["locked"] = each.Account.IsLocked,
                ["last"] = each.LastDay ?? "–",
                ["requests"] = Number(each.Requests),
                ["tokens"] = Number(each.Tokens),
                ["conversations"] = Number(each.Conversations),
                ["keys"] = Number(each.Keys),
            }).ToArray(),
            ["next"] = accounts.Count == MostAccounts ? Uri.EscapeDataString(Accounts.Fold(accounts[^1].Account.Name)) : null,
        });
    }

    private Task DocumentAsync(PortalCall call)
    {
        IReadOnlyList<PortalDocument> pages = _site.Settings.Documentation;
        PortalDocument? page = call.Last.Length == 0 ? (pages.Count == 0 ? null : pages[0]) : pages.FirstOrDefault(each => each.Slug == call.Last) ?? throw PortalProblem.Of(404, "not_found", null);
        string language = call.Words.Language;
        return WriteAsync(call, "document", page?.Title.In(language) ?? call.Words.Of("documentation"), new PageValues
        {
            ["pages"] = pages.Select(each => new PageValues { ["slug"] = each.Slug, ["page"] = each.Title.In(language), ["here"] = each == page }).ToArray(),
            ["body"] = page is null ? null : _documents[(page.Slug, language)],
        });
    }

    private Task FileAsync(PortalCall call) => _files.TryGetValue(call.Http.Request.Path.Value!, out PageFile? file) ? file.WriteAsync(call.Http) : throw PortalProblem.Of(404, "not_found", null);

    /// <summary>A page in its frame.</summary>
    private Task WriteAsync(PortalCall call, string template, string title, PageValues values)
    {
        PortalSettings settings = _site.Settings;
        Words words = call.Words;
        values["name"] = settings.Name;
        values["logo"] = settings.Logo is not null;
        values["user"] = call.Session?.Account.Name;
        values["canRegister"] = settings.Registration != Registration.Closed;
        values["main"] = new Html(_templates[template].Render(words, values));
        values["title"] = title == settings.Name ? title : $"{title} · {settings.Name}";
        values["language"] = words.Language;
        values["isAdministrator"] = call.Session?.Account.IsAdministrator;
        values["form"] = call.Session is { } session ? Secret.FormToken(session.Token) : null;
        values["languages"] = settings.Languages.Count < 2 ? [] : settings.Languages.Select(code => new PageValues { ["code"] = code, ["label"] = s_languageNames[code], ["current"] = code == words.Language }).ToArray();
        HttpContext http = call.Http;
        if (http.Request.Query["lang"] == words.Language)
        {
            http.Response.Cookies.Append(LanguageCookie, words.Language, new CookieOptions { SameSite = Microsoft.AspNetCore.Http.SameSiteMode.Lax, HttpOnly = true, Secure = call.IsSecure, Path = "/", MaxAge = TimeSpan.FromDays(365) });
        }

        http.Response.Headers.Vary = "Accept-Language, Cookie";
        return new PageFile("text/html; charset=utf-8", Encoding.UTF8.GetBytes(_templates["layout"].Render(words, values))).WriteAsync(http, "no-store");
    }

    /// <summary>Where a picture of a page is shown from, when there is one of that name beside it.</summary>
    private string? Shown(PortalDocument page, string name)
    {
        if (Picture.TypeOf(name) is null || name.Contains("//", StringComparison.Ordinal) || name.StartsWith('/'))
        {
            return null;
        }

        string place = $"documentation, {page.Slug}";
        Picture picture = Picture.Read(OwnFile.Beside(page.Folder, Uri.UnescapeDataString(name), place), place);
        string path = $"/docs/files/{page.Slug}-{PortalFile.SlugOf(name)}";
        _files[path] = new PageFile(picture.Type, picture.Bytes);
        return path;
    }

    private static Task GoAsync(PortalCall call, string path)
    {
        call.Http.Response.StatusCode = StatusCodes.Status303SeeOther;
        call.Http.Response.Headers.Location = path;
        call.Http.Response.Headers.CacheControl = "no-store";
        return Task.CompletedTask;
    }

    private static string Day(DateTimeOffset time) => time.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);
}
