// What administrators may do: invite, lock, remove. They see counts; nothing here reads a conversation.

namespace Kidogo.Serving.Portal;

/// <summary>Answers the forms of administrators.</summary>
internal static class PortalAdministration
{
    public static IEnumerable<KeyValuePair<(string Method, string Path), Func<PortalCall, Task>>> Routes =>
    [
        new(("POST", "/portal/api/invitations"), InviteAsync),
        new(("DELETE", "/portal/api/invitations/*"), RevokeAsync),
        new(("POST", "/portal/api/accounts/*"), LockAsync),
        new(("DELETE", "/portal/api/accounts/*"), RemoveAsync),
    ];

    private static async Task InviteAsync(PortalCall call)
    {
        call.AdministratorOfForm();
        bool isAdministrator = await call.ReadAsync(fields => fields.Flag("administrator") ?? false).ConfigureAwait(false);
        if (call.Site.Settings.Registration == Registration.Closed)
        {
            throw PortalProblem.Of(403, "registration_closed", null);
        }

        (string code, DateTimeOffset expires) = call.Site.Invitations.Create(isAdministrator);
        await call.WriteAsync(json =>
        {
            json.WriteString("secret", code);
            json.WriteString("expires", expires);
        }).ConfigureAwait(false);
    }

    private static Task RevokeAsync(PortalCall call)
    {
        call.AdministratorOfForm();
        return long.TryParse(call.Last, out long id) && call.Site.Invitations.Revoke(id) ? call.DoneAsync() : throw PortalProblem.Of(404, "not_found", null);
    }

    private static async Task LockAsync(PortalCall call)
    {
        Account account = AccountOf(call);
        bool isLocked = await call.ReadAsync(fields => fields.Flag("locked") ?? throw fields.Missing("locked", "true or false")).ConfigureAwait(false);
        call.Site.Accounts.SetLocked(account.Id, isLocked);
        await call.DoneAsync().ConfigureAwait(false);
    }

    private static Task RemoveAsync(PortalCall call)
    {
        call.Site.Remove(AccountOf(call));
        return call.DoneAsync();
    }

    private static Account AccountOf(PortalCall call)
    {
        call.AdministratorOfForm();
        return (long.TryParse(call.Last, out long id) ? call.Site.Accounts.Find(id) : null) ?? throw PortalProblem.Of(404, "not_found", null);
    }
}
