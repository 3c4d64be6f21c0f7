// kidogo portal: what whoever runs a portal does at the machine itself: the first invitation, and new passwords.
using System.CommandLine;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Serving.Access;
using Kidogo.Serving.Portal;

namespace Kidogo.Cli.Verbs;

internal static class PortalVerb
{
    public static Command Create(Session session) => new("portal", "The portal of kidogo serve --portal: invite, password") { Invite(session), Password(session) };

    private static Command Invite(Session session)
    {
        Argument<string> file = File();
        Option<bool> administrator = Opt.Flag("--administrator", "Whoever uses it may see counts, invite, lock and remove");
        Option<int?> days = Opt.Int("--days", "Days for which it holds (default: as the file says, or 14)", 1, 365);
        Option<bool> json = Opt.Json();
        Command command = new("invite", "Make a code with which one person can register; it is shown once and stored as a hash") { file, administrator, days, json };
        command.SetAction(parsed => Guarded(() =>
        {
            using PortalSite portal = PortalSite.Open(parsed.GetValue(file)!);
            (string code, DateTimeOffset expires) = portal.Invite(parsed.GetValue(administrator), parsed.GetValue(days));
            if (parsed.GetValue(json))
            {
                JsonOutput.Write(session, writer =>
                {
                    writer.WriteString("code", code);
                    writer.WriteBoolean("administrator", parsed.GetValue(administrator));
                    writer.WriteString("expires", expires);
                });
                return;
            }

            session.Output.WriteLine(code);
            string where = portal.Address is { } address ? $"at {address}register#{code}" : "on the portal's page \"register\"";
            session.Tell($"One person can register with it {where} until {expires.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}. It is not shown again.");
        }));
        return command;
    }

    private static Command Password(Session session)
    {
        Argument<string> file = File();
        Argument<string> name = new("NAME") { Description = "Whose account it is" };
        Command command = new("password", "Give somebody who has forgotten a password a new one; it is shown once") { file, name };
        command.SetAction(parsed => Guarded(() =>
        {
            using PortalSite portal = PortalSite.Open(parsed.GetValue(file)!);
            session.Output.WriteLine(portal.ResetPasswordAsync(parsed.GetValue(name)!).GetAwaiter().GetResult());
            session.Tell("All sessions of the account have ended. Have its owner change the password after the log-in.");
        }));
        return command;
    }

    private static Argument<string> File() => new("FILE") { Description = "The portal's file, such as portal.yaml" };

    private static int Guarded(Action action)
    {
        try
        {
            action();
            return ExitCode.Done;
        }
        catch (ServerSetupException failure)
        {
            throw new FailureException(failure.Message);
        }
    }
}
