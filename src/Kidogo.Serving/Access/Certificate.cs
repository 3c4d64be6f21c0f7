// The certificate of a server, read from files and read again when they change. Knows no requests.
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Kidogo.Serving.Access;

/// <summary>A certificate with its key and the certificates between it and the authority: PEM (certificates and key in one file or two) or PFX.</summary>
/// <remarks>Files that change, as they do when a certificate is renewed, are read again within a minute; one that cannot be read then leaves the former in use. For any number of threads.</remarks>
public sealed class Certificate
{
    private const long LargestFile = 1024 * 1024;
    private static readonly TimeSpan s_lookAgain = TimeSpan.FromMinutes(1);

    private readonly string _path;
    private readonly string? _keyPath;
    private readonly string? _password;
    private readonly Action<string>? _warn;
    private readonly TimeProvider _clock;
    private readonly Lock _gate = new();
    private SslServerAuthenticationOptions _current;
    private (DateTime, DateTime) _changed;
    private long _looked;

    /// <summary>Reads a certificate.</summary>
    /// <param name="path">A PEM file, or a PFX file (.pfx, .p12).</param>
    /// <param name="keyPath">The PEM file of the key where it lies apart; null where <paramref name="path"/> has it.</param>
    /// <param name="password">Of the key or the PFX file; null for none.</param>
    /// <param name="warn">Told when a changed file cannot be read.</param>
    /// <param name="clock">The time; null for the system's.</param>
    /// <exception cref="ServerSetupException">A file is absent, is no certificate, has no key, or the certificate is no longer valid.</exception>
    public Certificate(string path, string? keyPath = null, string? password = null, Action<string>? warn = null, TimeProvider? clock = null)
    {
        _path = path;
        _keyPath = keyPath;
        _password = password;
        _warn = warn;
        _clock = clock ?? TimeProvider.System;
        _changed = Changed();
        _current = Read();
        _looked = _clock.GetTimestamp();
    }

    /// <summary>What to answer a handshake with.</summary>
    internal SslServerAuthenticationOptions Current()
    {
        lock (_gate)
        {
            if (_clock.GetElapsedTime(_looked) > s_lookAgain)
            {
                _looked = _clock.GetTimestamp();
                if (Changed() is var changed && changed != _changed)
                {
                    try
                    {
                        _current = Read();
                        _changed = changed;
                    }
                    catch (ServerSetupException failure)
                    {
                        _warn?.Invoke(failure.Message);
                    }
                }
            }

            return _current;
        }
    }

    private (DateTime, DateTime) Changed() => (File.GetLastWriteTimeUtc(_path), _keyPath is null ? default : File.GetLastWriteTimeUtc(_keyPath));

    private SslServerAuthenticationOptions Read()
    {
        try
        {
            bool isPfx = Path.GetExtension(_path).ToLowerInvariant() is ".pfx" or ".p12";
            X509Certificate2Collection chain = isPfx ? ReadPfx() : ReadPem();
            X509Certificate2 own = chain.FirstOrDefault(each => each.HasPrivateKey) ?? throw new ServerSetupException($"{_path} has no private key. Give the file that has both, or the key with --cert-key FILE.");
            if (own.NotAfter.ToUniversalTime() < _clock.GetUtcNow().UtcDateTime)
            {
                throw new ServerSetupException($"The certificate in {_path} was valid until {own.NotAfter.ToUniversalTime():yyyy-MM-dd HH:mm} UTC. Renew it.");
            }

            chain.Remove(own);
            return new SslServerAuthenticationOptions
            {
                ServerCertificateContext = SslStreamCertificateContext.Create(own, chain, offline: true),
                ApplicationProtocols = [SslApplicationProtocol.Http11],
                EnabledSslProtocols = SslProtocols.None, // the system's choice
            };
        }
        catch (CryptographicException failure)
        {
            throw new ServerSetupException($"{_path} is no certificate that can be used: {failure.Message} Give PEM (certificate and key) or PFX{(_password is null ? ", and a password where it has one" : "")}.");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new ServerSetupException($"The certificate could not be read: {failure.Message}");
        }
    }

    private X509Certificate2Collection ReadPfx()
    {
        Check(_path);
        return X509CertificateLoader.LoadPkcs12CollectionFromFile(_path, _password);
    }

    private X509Certificate2Collection ReadPem()
    {
        Check(_path);
        Check(_keyPath ?? _path);
        X509Certificate2 own = _password is null
            ? X509Certificate2.CreateFromPemFile(_path, _keyPath)
            : X509Certificate2.CreateFromEncryptedPemFile(_path, _password, _keyPath);
        X509Certificate2Collection all = new();
        all.ImportFromPemFile(_path);
        return [own, .. all.Where(each => each.Thumbprint != own.Thumbprint)];
    }

    private static void Check(string path)
    {
        if (new FileInfo(path) is { Exists: true, Length: > LargestFile })
        {
            throw new ServerSetupException($"{path} has more than {LargestFile} bytes: it is no certificate.");
        }
    }
}
