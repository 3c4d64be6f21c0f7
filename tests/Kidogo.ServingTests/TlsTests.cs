// HTTPS with certificates of both kinds: answers, clients that go away, renewal without a restart, and files that are none.
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Kidogo.Inference.Scheduling;
using Kidogo.Serving.Access;
using Kidogo.Tests.Models.Files;

namespace Kidogo.ServingTests;

public sealed class TlsTests
{
    private const string Password = "neno-la-siri";

    [Theory]
    [InlineData("one.pem", null, null)]
    [InlineData("cert.pem", "key.pem", null)]
    [InlineData("cert.pem", "locked.pem", Password)]
    [InlineData("plain.pfx", null, null)]
    [InlineData("locked.p12", null, Password)]
    public async Task Certificate_OfEveryKind_Serves(string path, string? key, string? password)
    {
        using TestFolder folder = Files(out X509Certificate2 own);
        await using TestServer server = await TestServer.StartAsync(change: options => options with { Certificate = new Certificate(folder[path], key is null ? null : folder[key], password) });
        Assert.StartsWith("https://", server.Server.Address, StringComparison.Ordinal);
        using HttpClient client = Trusting(own, server);
        Assert.Contains("ok", await client.GetStringAsync("/health"), StringComparison.Ordinal);
        using HttpResponseMessage answer = await client.PostAsync("/v1/completions", new StringContent("""{"prompt":"a","max_tokens":2}""", Encoding.UTF8, "application/json"));
        Assert.True(answer.IsSuccessStatusCode);
    }

    [Fact]
    public async Task Client_ThatGoes_FreesItsPlaceOverTlsToo()
    {
        using TestFolder folder = Files(out X509Certificate2 own);
        await using TestServer server = await TestServer.StartAsync(
            new SchedulerOptions { Parallel = 1 }, options => options with { Certificate = new Certificate(folder["one.pem"]) }, contextLength: TinyModel.EndlessContext);
        using TcpClient tcp = new();
        await tcp.ConnectAsync("127.0.0.1", server.Address.Port);
        SslStream stream = new(tcp.GetStream(), false, (_, given, _, _) => given!.GetCertHashString() == own.Thumbprint);
        await stream.AuthenticateAsClientAsync("localhost");
        const string Body = """{"prompt":"a","max_tokens":290000}""";
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {Body.Length}\r\n\r\n{Body}"));
        while (server.Model.Scheduler.Status().Places is not [{ GeneratedTokens: > 0 }])
        {
            await Task.Delay(2);
        }

        await stream.DisposeAsync();
        SchedulerStatus status = await server.IdleAsync();
        Assert.Equal((1, 0), (status.Cancelled, status.Finished));
    }

    [Fact]
    public void Certificate_Renewed_IsReadAgain_AndADamagedOneIsNot()
    {
        using TestFolder folder = Files(out X509Certificate2 first);
        Clock clock = new();
        List<string> warnings = [];
        Certificate certificate = new(folder["one.pem"], warn: warnings.Add, clock: clock);
        Assert.Equal(first.Thumbprint, certificate.Current().ServerCertificateContext!.TargetCertificate.Thumbprint);
        folder.Write("one.pem", "nothing");
        File.SetLastWriteTimeUtc(folder["one.pem"], DateTime.UtcNow.AddMinutes(1));
        Assert.Equal(first.Thumbprint, certificate.Current().ServerCertificateContext!.TargetCertificate.Thumbprint); // not looked yet
        clock.Now += TimeSpan.FromMinutes(2);
        Assert.Equal(first.Thumbprint, certificate.Current().ServerCertificateContext!.TargetCertificate.Thumbprint);
        Assert.Contains("one.pem", Assert.Single(warnings), StringComparison.Ordinal);
        using X509Certificate2 second = Make(DateTimeOffset.UtcNow.AddDays(2));
        folder.Write("one.pem", Pem(second));
        File.SetLastWriteTimeUtc(folder["one.pem"], DateTime.UtcNow.AddMinutes(3));
        clock.Now += TimeSpan.FromMinutes(2);
        Assert.Equal(second.Thumbprint, certificate.Current().ServerCertificateContext!.TargetCertificate.Thumbprint);
    }

    [Theory]
    [InlineData("absent.pem", null)]
    [InlineData("cert.pem", null)] // without its key
    [InlineData("empty.pem", null)]
    [InlineData("plain.pem", null)] // a PFX file that says it is PEM
    [InlineData("locked.p12", null)]
    [InlineData("locked.p12", "wrong")]
    [InlineData("old.pem", null)]
    public void Certificate_ThatCannotServe_IsRefusedWithItsName(string path, string? password)
    {
        using TestFolder folder = Files(out _);
        folder.Write("empty.pem", "");
        File.Copy(folder["plain.pfx"], folder["plain.pem"]);
        using X509Certificate2 old = Make(DateTimeOffset.UtcNow.AddMinutes(-1));
        folder.Write("old.pem", Pem(old));
        ServerSetupException failure = Assert.Throws<ServerSetupException>(() => new Certificate(folder[path], null, password));
        Assert.Contains(path, failure.Message, StringComparison.Ordinal);
    }

    private static HttpClient Trusting(X509Certificate2 own, TestServer server) => new(new SocketsHttpHandler
    {
        SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (_, given, _, _) => given!.GetCertHashString() == own.Thumbprint },
    })
    {
        BaseAddress = server.Address,
    };

    private static TestFolder Files(out X509Certificate2 own)
    {
        TestFolder folder = new();
        own = Make(DateTimeOffset.UtcNow.AddDays(1));
        using ECDsa key = own.GetECDsaPrivateKey()!;
        folder.Write("one.pem", Pem(own));
        folder.Write("cert.pem", own.ExportCertificatePem());
        folder.Write("key.pem", key.ExportPkcs8PrivateKeyPem());
        folder.Write("locked.pem", key.ExportEncryptedPkcs8PrivateKeyPem(Password, new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1000)));
        folder.Write("plain.pfx", own.Export(X509ContentType.Pfx));
        folder.Write("locked.p12", own.Export(X509ContentType.Pfx, Password));
        return folder;
    }

    private static string Pem(X509Certificate2 own) => own.ExportCertificatePem() + "\n" + own.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem();

    private static X509Certificate2 Make(DateTimeOffset until)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-2), until);
    }

    private sealed class Clock : TimeProvider
    {
        public TimeSpan Now { get; set; }

        public override long GetTimestamp() => Now.Ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;
    }
}
