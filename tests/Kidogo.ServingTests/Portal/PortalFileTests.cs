// portal.yaml and the database: what is understood, and what is refused in one sentence.
using Kidogo.Serving.Access;
using Kidogo.Serving.Portal;
using Kidogo.TestSupport;
using Kidogo.Tests.Models.Files;

namespace Kidogo.ServingTests.Portal;

public sealed class PortalFileTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void File_WithTheNameAlone_HasTheDefaults()
    {
        PortalSettings settings = Read("name: Our school\n");
        Assert.Equal(("Our school", Registration.Invitation, false), (settings.Name, settings.Registration, settings.FrontPage.Prompt));
        Assert.Equal((12, 5, 15, 210_000), (settings.Accounts.SessionHours, settings.Accounts.Failures, settings.Accounts.LockMinutes, settings.Accounts.PasswordRounds));
        Assert.Equal(_folder["portal.db"], settings.Database);
        Assert.Equal(["en", "fr", "sw"], settings.Languages);
    }

    [Fact]
    public void File_OfTheDocumentation_IsRead()
    {
        string page = File.ReadAllText(Path.Combine(SharedFolder.RepositoryRoot, "docs", "how-to", "portal.md"));
        int start = page.IndexOf("```yaml\n", StringComparison.Ordinal) + "```yaml\n".Length;
        _folder.Write("guide.md", "# Guide");
        _folder.Write("guide.sw.md", "# Mwongozo");
        _folder.Write("logo.png", [1, 2, 3]);
        PortalSettings settings = Read(page[start..page.IndexOf("```", start, StringComparison.Ordinal)]);
        Assert.True(settings.FrontPage.Prompt);
        Assert.Equal("Hatua za kwanza", settings.Documentation[0].Title.In("sw"));
        Assert.Contains("Mwongozo", settings.Documentation[0].Markdown.In("sw"), StringComparison.Ordinal);
        Assert.Equal(30, settings.Accounts.RequestsPerMinute);
    }

    [Theory]
    [InlineData("", "name is missing")]
    [InlineData("- a\n", "has to be fields")]
    [InlineData("name: [", "not YAML")]
    [InlineData("name: a\ntagine: b\n", "tagine is unknown; did you mean tagline")]
    [InlineData("name: a\nfront_page:\n  promt: yes\n", "front_page.promt is unknown; did you mean front_page.prompt")]
    [InlineData("name: a\naccounts: {session_hours: 0}\n", "accounts.session_hours is \"0\"; it has to be a whole number from 1 to 2,160")]
    [InlineData("name: a\nregistration: free\n", "open, invitation, closed")]
    [InlineData("name: a\nlanguages: [en, de]\n", "languages has \"de\"")]
    [InlineData("name: a\ntagline: {en: a, de: b}\n", "tagline.de is unknown")]
    [InlineData("name: a\ncolours: {accent: blueish}\n", "has to be a colour")]
    [InlineData("name: a\ncolours: {accent: \"#ffcc00\"}\n", "contrast of 1.5")]
    [InlineData("name: a\ncolours: {text: \"#999999\"}\n", "The nearest that has it is #")]
    [InlineData("name: a\ncolours: {dark: {background: white}}\n", "colours.dark.text")]
    [InlineData("name: a\naddress: example.org\n", "scheme and a host")]
    [InlineData("name: a\naddress: https://example.org/portal\n", "without a path")]
    [InlineData("name: a\nproxies: [proxy.example]\n", "by its address")]
    [InlineData("name: a\nlogo: logo.svg\n", "no picture")]
    [InlineData("name: a\nlogo: ../logo.png\n", "beside portal.yaml")]
    [InlineData("name: a\nlogo: absent.png\n", "absent.png")]
    [InlineData("name: a\ndocumentation: [{title: a, file: /etc/passwd}]\n", "beside portal.yaml")]
    [InlineData("name: a\ndocumentation: [{file: page.md}]\n", "title is missing")]
    [InlineData("name: a\ndocumentation: [{title: a, file: page.md}, {title: b, file: PAGE.md}]\n", "PAGE")]
    [InlineData("name: a\nname: b\n", "twice")]
    [InlineData("name: &x a\n", "anchors")]
    public void File_Wrong_IsRefusedWithWhatToDo(string yaml, string expected)
    {
        _folder.Write("page.md", "text");
        Assert.Contains(expected, Assert.Throws<ServerSetupException>(() => Read(yaml)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void File_Absent_IsRefused() => Assert.Contains("nowhere.yaml", Assert.Throws<ServerSetupException>(() => PortalSite.Open(_folder["nowhere.yaml"])).Message, StringComparison.Ordinal);

    [Fact]
    public void Picture_OfAPage_IsServedAndOthersAreNot()
    {
        _folder.Write("pages/guide.md", "![plan](plan.png) ![away](https://example.org/x.png)");
        _folder.Write("pages/plan.png", [1, 2, 3]);
        _folder.Write("portal.yaml", "name: a\ndocumentation: [{title: Guide, file: pages/guide.md}]\n");
        using (PortalSite site = PortalSite.Open(_folder["portal.yaml"]))
        {
            Assert.Equal("/docs/files/*", site.LoggedPath("/docs/files/guide-plan-png"));
        }

        _folder.Write("pages/guide.md", "![plan](../portal.png)");
        Assert.Contains("beside portal.yaml", Assert.Throws<ServerSetupException>(() => PortalSite.Open(_folder["portal.yaml"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Database_IsItsOwnersAlone()
    {
        using PortalStore store = PortalStore.Open(_folder["portal.db"]);
        store.Execute("INSERT INTO failures VALUES ('a', 1, 1)");
        Assert.Equal("wal", store.Query("PRAGMA journal_mode", row => row.GetString(0))[0]);
        string[] files = Directory.GetFiles(_folder.Path, "portal.db*");
        Assert.True(files.Length > 1);
        if (!OperatingSystem.IsWindows())
        {
            foreach (string file in files)
            {
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
            }
        }
    }

    [Fact]
    public void Database_OpenedAgain_HasWhatWasKept_AndTwoMayHaveItOpen()
    {
        using (PortalStore first = PortalStore.Open(_folder["portal.db"]))
        {
            using PortalStore second = PortalStore.Open(_folder["portal.db"]);
            first.Execute("INSERT INTO failures VALUES ('a', 1, 1)");
            Assert.Equal(1, second.Number("SELECT count(*) FROM failures"));
        }

        using PortalStore again = PortalStore.Open(_folder["portal.db"]);
        Assert.Equal(1, again.Number("SELECT count(*) FROM failures"));
    }

    [Fact]
    public void Database_FailingHalfWay_KeepsNothingOfIt()
    {
        using PortalStore store = PortalStore.Open(_folder["portal.db"]);
        Assert.Throws<InvalidOperationException>(() => store.Together<int>(() =>
        {
            store.Execute("INSERT INTO failures VALUES ('a', 1, 1)");
            throw new InvalidOperationException();
        }));
        Assert.Equal(0, store.Number("SELECT count(*) FROM failures"));
    }

    [Fact]
    public void Database_ForeignDamagedOrNewer_IsRefusedInOneSentence()
    {
        Assert.Contains("no database", Refused("text.db", "This is a letter to my grandmother. " + new string('x', 4000)), StringComparison.Ordinal);
        using (PortalStore other = PortalStore.Open(_folder["other.db"]))
        {
            other.Execute("PRAGMA application_id = 7");
        }

        Assert.Contains("another program", Refused("other.db"), StringComparison.Ordinal);
        using (PortalStore newer = PortalStore.Open(_folder["newer.db"]))
        {
            newer.Execute("PRAGMA user_version = 99");
        }

        Assert.Contains("newer kidogo", Refused("newer.db"), StringComparison.Ordinal);
        using (PortalStore.Open(_folder["damaged.db"]))
        {
        }

        byte[] bytes = File.ReadAllBytes(_folder["damaged.db"]);
        bytes.AsSpan(4096).Fill(0xA5);
        File.WriteAllBytes(_folder["damaged.db"], bytes);
        Assert.Contains("damaged", Refused("damaged.db"), StringComparison.Ordinal);
        Assert.Contains("cannot be opened", Refused("no/such/folder.db"), StringComparison.Ordinal);
        Directory.CreateDirectory(_folder["folder.db"]);
        Assert.Contains("folder.db", Refused("folder.db"), StringComparison.Ordinal);

        string Refused(string name, string? text = null)
        {
            if (text is not null)
            {
                _folder.Write(name, text);
            }

            string message = Assert.Throws<ServerSetupException>(() => PortalStore.Open(_folder[name])).Message;
            Assert.DoesNotContain("\n", message, StringComparison.Ordinal);
            return message;
        }
    }

    private PortalSettings Read(string yaml) => PortalFile.Read(_folder.Write("portal.yaml", yaml));
}
