// kidogo portal and kidogo serve --portal as people run them.
using System.Diagnostics;
using System.Net;
using System.Text;

namespace Kidogo.EndToEndTests;

public sealed class PortalTests
{
    [Fact]
    public async Task Portal_InviteRegisterAndServe()
    {
        using TemporaryFolder folder = new();
        string file = folder.File("portal.yaml", "name: Shule\nregistration: invitation\n");
        Outcome invited = KidogoProcess.Run("portal", "invite", file, "--administrator", "--json");
        string code = invited.Json().GetProperty("code").GetString()!;
        Assert.True(invited.Json().GetProperty("administrator").GetBoolean());
        Assert.True(File.Exists(folder.At("portal.db")));

        ProcessStartInfo start = new("dotnet") { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in (string[])[KidogoProcess.Assembly, "serve", "--portal", file, "--port", "0", "--context", "256", "--threads", "1"])
        {
            start.ArgumentList.Add(argument);
        }

        using Process server = Process.Start(start)!;
        string ready = (await server.StandardOutput.ReadLineAsync())!;
        Uri address = new(ready[ready.IndexOf("http", StringComparison.Ordinal)..]);
        using HttpClient client = new() { BaseAddress = address, Timeout = TimeSpan.FromMinutes(2) };
        Assert.Contains("Shule", await client.GetStringAsync("/"), StringComparison.Ordinal);
        using HttpRequestMessage form = new(HttpMethod.Post, "/portal/api/register")
        {
            Content = new StringContent($$"""{"name":"mkuu","password":"maji ya kunywa ni uhai","code":"{{code}}"}""", Encoding.UTF8, "application/json"),
        };
        form.Headers.Add("Origin", address.GetLeftPart(UriPartial.Authority));
        using HttpResponseMessage registered = await client.SendAsync(form);
        Assert.Equal(HttpStatusCode.OK, registered.StatusCode);
        Assert.Contains("mkuu", await client.GetStringAsync("/administration"), StringComparison.Ordinal);
        Outcome password = KidogoProcess.Run("portal", "password", file, "mkuu"); // while the server runs
        Assert.Equal(0, password.ExitCode);
        Assert.EndsWith("/login", (await client.GetAsync("/administration")).RequestMessage!.RequestUri!.AbsolutePath, StringComparison.Ordinal);
        using (Process.Start("kill", ["-INT", server.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]))
        {
            Assert.True(server.WaitForExit(60_000), "The server did not end.");
        }
    }

    [Fact]
    public void Portal_ThatCannotBe_SaysWhy()
    {
        using TemporaryFolder folder = new();
        string file = folder.File("portal.yaml", "name: Shule\ncolors: {accent: red}\n");
        Outcome unknown = KidogoProcess.Run("serve", "x.gguf", "--portal", file);
        Assert.Equal(1, unknown.ExitCode);
        Assert.Contains("line 2", unknown.Error, StringComparison.Ordinal);
        Assert.Contains("did you mean colours?", unknown.Error, StringComparison.Ordinal);
        Assert.Equal(1, KidogoProcess.Run("portal", "invite", folder.At("absent.yaml")).ExitCode);
        Assert.Equal(2, KidogoProcess.Run("portal", "invite").ExitCode);
        string closed = folder.File("closed.yaml", "name: Shule\nregistration: closed\n");
        Assert.Contains("closed", KidogoProcess.Run("portal", "invite", closed).Error, StringComparison.Ordinal);
        Assert.Contains("no account", KidogoProcess.Run("portal", "password", closed, "amina").Error, StringComparison.Ordinal);
    }
}
