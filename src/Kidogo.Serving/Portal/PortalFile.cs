// portal.yaml: from a file to settings without contradictions. Knows no request and no database.
using System.Drawing;
using System.Net;
using System.Text;
using Kidogo.Serving.Access;
using Kidogo.Text;

namespace Kidogo.Serving.Portal;

/// <summary>Reads portal.yaml. Unknown fields are refused with the nearest name.</summary>
internal static class PortalFile
{
    private const int LongestName = 60, LongestLine = 300, LongestText = 2000, MostItems = 50, MostMarkdown = 1024 * 1024, Most = 1_000_000_000;

    private static readonly Dictionary<string, Registration> s_registrations = new()
    {
        ["open"] = Registration.Open, ["invitation"] = Registration.Invitation, ["closed"] = Registration.Closed,
    };

    /// <summary>Reads a file, and the pages and pictures that it names.</summary>
    /// <exception cref="ServerSetupException">A file is absent, or a field is unknown or outside its range.</exception>
    public static PortalSettings Read(string path)
    {
        try
        {
            YamlValue tree = YamlTree.ReadFile(path);
            return PortalFields.Read(tree, "", fields => Read(fields, Path.GetDirectoryName(Path.GetFullPath(path))!));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new ServerSetupException($"The portal's file cannot be read: {failure.Message}");
        }
        catch (YamlFormatException failure)
        {
            throw new ServerSetupException(failure.Message);
        }
    }

    private static PortalSettings Read(PortalFields fields, string folder) => new()
    {
        Name = fields.RequiredText("name", LongestName),
        Tagline = fields.Own("tagline", LongestLine) ?? OwnText.Of(""),
        Address = AddressOf(fields),
        Languages = LanguagesOf(fields),
        Logo = fields.Text("logo", LongestLine) is { } logo ? Picture.Read(OwnFile.Beside(folder, logo, fields.PathOf("logo")), fields.PathOf("logo")) : null,
        Colours = fields.Value("colours") is { } colours ? PortalFields.Read(colours, "colours", ReadColours) : PortalColours.Default,
        FrontPage = fields.Value("front_page") is { } front ? PortalFields.Read(front, "front_page", ReadFront) : new FrontPageSettings(),
        Features = [.. fields.List("features", MostItems).Select((item, i) => PortalFields.Read(item, $"features[{i}]", ReadFeature))],
        Documentation = Unique([.. fields.List("documentation", MostItems).Select((item, i) => PortalFields.Read(item, $"documentation[{i}]", page => ReadDocument(page, folder)))]),
        Registration = fields.Word("registration", s_registrations) ?? Registration.Invitation,
        Accounts = fields.Value("accounts") is { } accounts ? PortalFields.Read(accounts, "accounts", ReadAccounts) : new AccountSettings(),
        Database = Path.GetFullPath(Path.Combine(folder, fields.Text("database", LongestText) ?? "portal.db")),
        Proxies = [.. fields.Texts("proxies", MostItems, LongestName).Select(text => IPAddress.TryParse(text, out IPAddress? address)
            ? address : throw new ServerSetupException($"{fields.Place}: proxies has \"{text}\"; a proxy is named by its address, such as 127.0.0.1."))],
    };

    private static Uri? AddressOf(PortalFields fields)
    {
        if (fields.Text("address", LongestLine) is not { } text)
        {
            return null;
        }

        return Uri.TryCreate(text, UriKind.Absolute, out Uri? address) && address.Scheme is "http" or "https" && address.GetLeftPart(UriPartial.Authority).Equals(text.TrimEnd('/'), StringComparison.OrdinalIgnoreCase)
            ? address
            : throw fields.Wrong("address", fields.Value("address")!, "a scheme and a host without a path, such as https://help.example.org");
    }

    private static IReadOnlyList<string> LanguagesOf(PortalFields fields)
    {
        IReadOnlyList<string> languages = fields.Texts("languages", MostItems, LongestName);
        foreach (string language in languages)
        {
            if (!Words.Languages.Contains(language))
            {
                throw new ServerSetupException($"{fields.Place}: languages has \"{language}\"; the pages are written in {string.Join(", ", Words.Languages)}. Texts of yours may be in any language.");
            }
        }

        return languages.Count == 0 ? Words.Languages : [.. languages.Distinct()];
    }

    private static PortalColours ReadColours(PortalFields fields)
    {
        PortalTheme usual = PortalColours.Default.Light, usualDark = PortalColours.Default.Dark;
        PortalTheme light = new(Colour(fields, "background") ?? usual.Background, Colour(fields, "text") ?? usual.Text, Colour(fields, "accent") ?? usual.Accent);
        PortalColours colours = fields.Value("dark") is { } dark
            ? PortalFields.Read(dark, "colours.dark", given => PortalColours.Of(light, Colour(given, "background") ?? usualDark.Background, Colour(given, "text") ?? usualDark.Text, Colour(given, "accent")))
            : PortalColours.Of(light, usualDark.Background, usualDark.Text, null);
        Check(fields.Place, "colours", colours.Light);
        Check(fields.Place, "colours.dark", colours.Dark);
        return colours;
    }

    private static Color? Colour(PortalFields fields, string name) => fields.Value(name) is not { } value ? null
        : value is YamlText text && PortalColours.Parse(text.Text) is { } colour ? colour
        : throw fields.Wrong(name, value, "a colour such as \"#0b6e4f\" (in quotation marks, since # begins a comment) or teal");

    private static void Check(string place, string path, PortalTheme theme)
    {
        CheckPair("text", theme.Text);
        CheckPair("accent", theme.Accent);

        void CheckPair(string name, Color colour)
        {
            double contrast = PortalColours.Contrast(colour, theme.Background);
            if (contrast < PortalColours.LeastContrast)
            {
                throw new ServerSetupException(string.Create(
                    System.Globalization.CultureInfo.InvariantCulture,
                    $"{place}: {path}.{name} {PortalColours.Css(colour)} on {PortalColours.Css(theme.Background)} has a contrast of {Math.Floor(contrast * 10) / 10:0.0}; people need {PortalColours.LeastContrast} to read it (WCAG AA). The nearest that has it is {PortalColours.Css(PortalColours.Readable(colour, theme.Background))}."));
            }
        }
    }

    private static FrontPageSettings ReadFront(PortalFields fields)
    {
        FrontPageSettings usual = new();
        return new FrontPageSettings
        {
            Prompt = fields.Flag("prompt") ?? usual.Prompt,
            Examples = fields.Texts("examples", 12, LongestLine),
            Instructions = fields.Text("instructions", LongestText) ?? usual.Instructions,
            RequestsPerMinute = fields.Whole("requests_per_minute", 1, 1000) ?? usual.RequestsPerMinute,
            AtOnce = fields.Whole("at_once", 1, 1024) ?? usual.AtOnce,
            Characters = fields.Whole("characters", 1, 100_000) ?? usual.Characters,
            Tokens = fields.Whole("tokens", 1, 100_000) ?? usual.Tokens,
        };
    }

    private static AccountSettings ReadAccounts(PortalFields fields)
    {
        AccountSettings usual = new();
        return new AccountSettings
        {
            SessionHours = fields.Whole("session_hours", 1, 24 * 90) ?? usual.SessionHours,
            Failures = fields.Whole("failures", 1, 100) ?? usual.Failures,
            LockMinutes = fields.Whole("lock_minutes", 1, 24 * 60) ?? usual.LockMinutes,
            InvitationDays = fields.Whole("invitation_days", 1, 365) ?? usual.InvitationDays,
            RequestsPerMinute = fields.Whole("requests_per_minute", 1, Most) ?? usual.RequestsPerMinute,
            TokensPerMinute = fields.Whole("tokens_per_minute", 1, Most) ?? usual.TokensPerMinute,
            Conversations = fields.Whole("conversations", 1, 100_000) ?? usual.Conversations,
            Megabytes = fields.Whole("megabytes", 1, 100_000) ?? usual.Megabytes,
            Keys = fields.Whole("keys", 0, 1000) ?? usual.Keys,
        };
    }

    private static PortalFeature ReadFeature(PortalFields fields) => new(Required(fields, "title", LongestLine), fields.Own("text", LongestText) ?? OwnText.Of(""));

    private static PortalDocument ReadDocument(PortalFields fields, string folder)
    {
        OwnText title = Required(fields, "title", LongestLine);
        OwnText file = Required(fields, "file", LongestLine);
        string place = fields.PathOf("file");
        Dictionary<string, string> texts = [];
        string? first = null;
        foreach ((string language, string name) in file.ByLanguage)
        {
            string path = OwnFile.Beside(folder, name, place);
            first ??= path;
            texts.Add(language, Encoding.UTF8.GetString(OwnFile.Read(path, MostMarkdown, place)));
        }

        string slug = SlugOf(Path.GetFileNameWithoutExtension(first!));
        return slug.Length > 0 ? new PortalDocument(slug, title, new OwnText(texts), Path.GetDirectoryName(first)!)
            : throw new ServerSetupException($"{fields.Place}: {place} needs a name with letters or digits, which becomes the page's address.");
    }

    private static OwnText Required(PortalFields fields, string name, int longest) =>
        fields.Own(name, longest) is { ByLanguage.Count: > 0 } text ? text : throw new ServerSetupException($"{fields.Place}: {fields.PathOf(name)} is missing; it has to be a text, or one for each language.");

    /// <summary>A file's name as it can stand in an address: lower-case letters, digits and dashes.</summary>
    internal static string SlugOf(string name) =>
        string.Join('-', string.Concat(name.ToLowerInvariant().Select(c => char.IsAsciiLetterOrDigit(c) ? c : ' ')).Split(' ', StringSplitOptions.RemoveEmptyEntries));

    private static PortalDocument[] Unique(PortalDocument[] pages) =>
        pages.GroupBy(page => page.Slug).FirstOrDefault(group => group.Count() > 1) is { } twice
            ? throw new ServerSetupException($"documentation: two pages would be at /docs/{twice.Key}. Rename one of the files.")
            : pages.Any(page => page.Slug is "files" or "api") ? throw new ServerSetupException("documentation: a page cannot be called \"files\" or \"api\". Rename the file.") : pages;
}
