// What an owner may set of a portal, with its defaults. Knows no file and no request.
namespace Kidogo.Serving.Portal;

/// <summary>Who may have an account.</summary>
internal enum Registration
{
    /// <summary>Everyone.</summary>
    Open,

    /// <summary>Whoever has an invitation.</summary>
    Invitation,

    /// <summary>Nobody new.</summary>
    Closed,
}

/// <summary>A text of the owner's, in one language or several.</summary>
/// <param name="ByLanguage">The text by language; that of the key "" holds for all others.</param>
internal sealed record OwnText(IReadOnlyDictionary<string, string> ByLanguage)
{
    public static OwnText Of(string text) => new(new Dictionary<string, string> { [""] = text });

    /// <summary>The text in a language, else in any.</summary>
    public string In(string language) => ByLanguage.TryGetValue(language, out string? text) || ByLanguage.TryGetValue("", out text) ? text : ByLanguage.Values.FirstOrDefault("");
}

/// <summary>Something that the owner praises on the front page.</summary>
internal sealed record PortalFeature(OwnText Title, OwnText Text);

/// <summary>A page of documentation.</summary>
/// <param name="Slug">Its name in the address: the file's, without its ending.</param>
/// <param name="Title">What it is called.</param>
/// <param name="Markdown">What is written there.</param>
/// <param name="Folder">Where its pictures are.</param>
internal sealed record PortalDocument(string Slug, OwnText Title, OwnText Markdown, string Folder);

/// <summary>The front page.</summary>
internal sealed record FrontPageSettings
{
    /// <summary>Whether strangers may ask. Default false.</summary>
    public bool Prompt { get; init; }

    /// <summary>Questions to begin with.</summary>
    public IReadOnlyList<string> Examples { get; init; } = [];

    /// <summary>What the model is told before a stranger's question; empty for nothing.</summary>
    public string Instructions { get; init; } = "";

    /// <summary>Questions a minute from one address. Default 3.</summary>
    public int RequestsPerMinute { get; init; } = 3;

    /// <summary>Questions of all strangers that are answered at once. Default 2.</summary>
    public int AtOnce { get; init; } = 2;

    /// <summary>Characters of a question. Default 1,000.</summary>
    public int Characters { get; init; } = 1000;

    /// <summary>Tokens of an answer. Default 300.</summary>
    public int Tokens { get; init; } = 300;
}

/// <summary>What holds for accounts.</summary>
internal sealed record AccountSettings
{
    /// <summary>Hours after which one has to log in again. Default 12.</summary>
    public int SessionHours { get; init; } = 12;

    /// <summary>Wrong passwords in a row after which a name is locked out. Default 5.</summary>
    public int Failures { get; init; } = 5;

    /// <summary>Minutes for which it is. Default 15.</summary>
    public int LockMinutes { get; init; } = 15;

    /// <summary>Days for which an invitation holds. Default 14.</summary>
    public int InvitationDays { get; init; } = 14;

    /// <summary>Requests a minute of an account, with all of its keys; null for no limit. Default 30.</summary>
    public int? RequestsPerMinute { get; init; } = 30;

    /// <summary>Tokens a minute of an account, of prompts and answers; null for no limit. Default 20,000.</summary>
    public int? TokensPerMinute { get; init; } = 20_000;

    /// <summary>Conversations that an account may keep. Default 1,000.</summary>
    public int Conversations { get; init; } = 1000;

    /// <summary>Megabytes of conversations that an account may keep. Default 50.</summary>
    public int Megabytes { get; init; } = 50;

    /// <summary>Keys that an account may have. Default 10.</summary>
    public int Keys { get; init; } = 10;

    /// <summary>Rounds of hashing a password (PBKDF2 with HMAC-SHA-512; OWASP asks for 210,000).</summary>
    public int PasswordRounds { get; init; } = 210_000;
}

/// <summary>How a portal is set up.</summary>
internal sealed record PortalSettings
{
    /// <summary>What it is called.</summary>
    public required string Name { get; init; }

    /// <summary>The file of accounts and conversations.</summary>
    public required string Database { get; init; }

    /// <summary>A line below the name.</summary>
    public OwnText Tagline { get; init; } = OwnText.Of("");

    /// <summary>Languages to choose from; the first holds for those who speak none of them.</summary>
    public IReadOnlyList<string> Languages { get; init; } = Words.Languages;

    /// <summary>Where people reach it, without a slash at the end; null for wherever it is asked.</summary>
    public Uri? Address { get; init; }

    /// <summary>Its colours.</summary>
    public PortalColours Colours { get; init; } = PortalColours.Default;

    /// <summary>Its sign; null for none.</summary>
    public Picture? Logo { get; init; }

    public FrontPageSettings FrontPage { get; init; } = new();

    public IReadOnlyList<PortalFeature> Features { get; init; } = [];

    public IReadOnlyList<PortalDocument> Documentation { get; init; } = [];

    /// <summary>Who may have an account. Default: whoever has an invitation.</summary>
    public Registration Registration { get; init; } = Registration.Invitation;

    public AccountSettings Accounts { get; init; } = new();

    /// <summary>Addresses of proxies whose word on a visitor's address is taken (<c>X-Forwarded-For</c>).</summary>
    public IReadOnlyList<System.Net.IPAddress> Proxies { get; init; } = [];
}
