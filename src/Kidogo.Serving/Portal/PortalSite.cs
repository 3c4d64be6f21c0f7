// The portal: its settings, its database, and what answers each of its paths. Knows no model's insides.
using Kidogo.Serving.Access;
using Kidogo.Serving.Api;
using Microsoft.AspNetCore.Http;
using Microsoft.Data.Sqlite;

namespace Kidogo.Serving.Portal;

/// <summary>A page in the owner's name, with accounts whose conversations are kept in a database: what <c>kidogo serve --portal</c> adds.</summary>
/// <remarks>For any number of threads; other processes may use the same database meanwhile.</remarks>
public sealed class PortalSite : IDisposable
{
    private const int GuessesPerMinute = 60; // of names, passwords and codes, from one address: a school behind one is let in, a list of words is not

    private readonly PortalStore _store;
    private readonly Passwords _passwords;
    private readonly Dictionary<(string Method, string Path), Func<PortalCall, Task>> _routes;

    /// <summary>Opens the database, or makes it.</summary>
    /// <exception cref="ServerSetupException">It cannot be used.</exception>
    internal PortalSite(PortalSettings settings, TimeProvider? clock = null)
    {
        Settings = settings;
        Clock = clock ?? TimeProvider.System;
        Pages = new PortalPages(this);
        _store = PortalStore.Open(settings.Database);
        _passwords = new Passwords(settings.Accounts.PasswordRounds);
        Accounts = new Accounts(_store, _passwords, settings.Accounts, Clock);
        Sessions = new Sessions(_store, settings.Accounts, Clock);
        Invitations = new Invitations(_store, settings.Accounts, Clock);
        Keys = new OwnKeys(_store, settings.Accounts, Clock);
        Conversations = new Conversations(_store, settings.Accounts);
        Counts = new Counts(_store, Clock);
        Clients = new PortalClients(settings, Counts, Clock);
        Visitors = new AddressAllowances(address => Clients.OfVisitor(address, settings.FrontPage.RequestsPerMinute));
        Guesses = new AddressAllowances(_ => new Client("", GuessesPerMinute, null, Clock));
        _routes = new(PortalPages.Routes.Concat(PortalForms.Routes).Concat(PortalAdministration.Routes).Concat(PortalConversations.Routes));
        _routes.Add(("POST", "/portal/api/ask"), PortalPrompt.AnswerAsync);
        VisitorPlaces = new SemaphoreSlim(settings.FrontPage.AtOnce);
    }

    /// <summary>What it is called.</summary>
    public string Name => Settings.Name;

    /// <summary>Where people reach it, if its file says so.</summary>
    public Uri? Address => Settings.Address;

    internal PortalSettings Settings { get; }

    internal TimeProvider Clock { get; }

    internal PortalPages Pages { get; }

    internal Accounts Accounts { get; }

    internal Sessions Sessions { get; }

    internal Invitations Invitations { get; }

    internal OwnKeys Keys { get; }

    internal Conversations Conversations { get; }

    internal Counts Counts { get; }

    internal PortalClients Clients { get; }

    /// <summary>How often strangers may ask.</summary>
    internal AddressAllowances Visitors { get; }

    /// <summary>How often anybody may try names, passwords and codes.</summary>
    internal AddressAllowances Guesses { get; }

    /// <summary>How many strangers are answered at once.</summary>
    internal SemaphoreSlim VisitorPlaces { get; }

    /// <summary>Reads a file such as portal.yaml, and opens the database that it names, or makes it.</summary>
    /// <exception cref="ServerSetupException">A field is unknown or outside its range, a file is absent, or the database cannot be used.</exception>
    public static PortalSite Open(string file) => new(PortalFile.Read(file));

    /// <summary>Makes an invitation.</summary>
    /// <param name="isAdministrator">Whether who uses it may see counts, invite, lock and remove.</param>
    /// <param name="days">How long it holds; null for as long as the portal's file says.</param>
    /// <returns>The code, to be shown once, and until when it holds.</returns>
    /// <exception cref="ServerSetupException">The portal takes nobody new, or has too many open invitations.</exception>
    public (string Code, DateTimeOffset Expires) Invite(bool isAdministrator, int? days = null)
    {
        if (Settings.Registration == Registration.Closed)
        {
            throw new ServerSetupException("This portal takes nobody new: registration is closed in its file. Set it to invitation or open.");
        }

        return Sql(() => Invitations.Create(isAdministrator, days));
    }

    /// <summary>Gives somebody who has forgotten a password a new one; all sessions of the account end.</summary>
    /// <returns>The password, to be shown once.</returns>
    /// <exception cref="ServerSetupException">There is no account of that name.</exception>
    public async Task<string> ResetPasswordAsync(string name)
    {
        Account account = Sql(() => Accounts.Find(name)) ?? throw new ServerSetupException("There is no account of that name in this portal.");
        string password = Secret.NewCode();
        await Accounts.SetPasswordAsync(account.Id, password, CancellationToken.None).ConfigureAwait(false);
        return password;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            Counts.Write();
        }
        catch (SqliteException)
        {
            // The disk is full: the last numbers are lost.
        }

        VisitorPlaces.Dispose();
        _passwords.Dispose();
        _store.Dispose();
    }

    /// <summary>Removes an account with everything of it.</summary>
    /// <exception cref="ApiException">409: nobody would be left to administer.</exception>
    internal void Remove(Account account)
    {
        List<OwnKey> keys = Keys.List(account);
        Counts.Write(); // what waits goes where the rest of the account's numbers go
        Accounts.Remove(account.Id);
        Clients.Forget(account.Id, keys);
    }

    /// <summary>Whose key this is; null where it is nobody's here.</summary>
    internal Client? ClientOfKey(string secret) => Keys.Find(secret) is var (key, user) ? Clients.Of(key, user) : null;

    /// <summary>Who is logged in, for a request to the API; null where nobody is.</summary>
    /// <exception cref="ApiException">403: it may come from another page.</exception>
    internal Client? ClientOfSession(HttpContext http)
    {
        PortalCall call = new(http, this, Words.English);
        if (call.Session is not { } session)
        {
            return null;
        }

        if (!HttpMethods.IsGet(http.Request.Method) && !HttpMethods.IsHead(http.Request.Method))
        {
            call.CheckForm(session);
        }

        return Clients.Of(session.Account.Id);
    }

    /// <summary>Answers where the path is one of the portal's.</summary>
    /// <param name="http">The exchange.</param>
    /// <param name="ask">Begins a call to a model on somebody's allowance.</param>
    /// <returns>What to say of it in the log; null where it is not the portal's.</returns>
    /// <exception cref="ApiException">Something is wrong with the request; told in the reader's language.</exception>
    internal async Task<string?> TryAnswerAsync(HttpContext http, Func<Client, ApiCall> ask)
    {
        string path = http.Request.Path.Value ?? "/";
        string method = HttpMethods.IsHead(http.Request.Method) ? "GET" : http.Request.Method;
        int slash = Math.Max(0, path.LastIndexOf('/')); // a request may ask for nothing (OPTIONS *)
        string pattern = $"{path[..slash]}/*", last = "";
        if (!_routes.TryGetValue((method, path), out Func<PortalCall, Task>? answer))
        {
            last = path.Length == 0 ? "" : path[(slash + 1)..];
            if (last.Length == 0 || !_routes.TryGetValue((method, pattern), out answer))
            {
                return !path.StartsWith("/portal/", StringComparison.Ordinal) ? null
                    : throw (_routes.Keys.Any(route => route.Path == path || route.Path == pattern)
                        ? new ApiException(405, ApiException.InvalidRequest, $"This path does not answer {(method.Length > 10 ? "that" : method)}.", code: "method_not_allowed")
                        : new ApiException(404, ApiException.InvalidRequest, "There is nothing at this path.", code: "not_found"));
            }
        }

        Words words = PortalPages.LanguageOf(http, Settings);
        try
        {
            PortalCall call = new(http, this, words) { Last = last, Ask = ask };
            await answer(call).ConfigureAwait(false);
            return call.Summary;
        }
        catch (Exception failure) when (!http.Response.HasStarted && (failure is SqliteException || ApiCall.Translate(failure) is not null))
        {
            throw PortalProblem.In(failure is SqliteException ? PortalProblem.Of(503, "storage_failed", null, TimeSpan.FromSeconds(5)) : ApiCall.Translate(failure)!, words);
        }
    }

    /// <summary>A path as it may stand in a log: without names of conversations.</summary>
    internal string? LoggedPath(string path) =>
        _routes.Keys.Any(route => route.Path == path) ? path : $"{path[..(path.LastIndexOf('/') + 1)]}*" is var pattern && _routes.Keys.Any(route => route.Path == pattern) ? pattern : null;

    private static T Sql<T>(Func<T> act)
    {
        try
        {
            return act();
        }
        catch (ApiException failure)
        {
            throw new ServerSetupException(failure.Message);
        }
        catch (SqliteException failure)
        {
            throw new ServerSetupException($"The portal's database could not be changed: {failure.Message}");
        }
    }
}
