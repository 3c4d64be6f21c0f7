// The hash that a hub names for a file: SHA-256 of large files, git's for small ones. Knows bytes, not files.
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Kidogo.Catalog.Hub;

/// <summary>Hashes a file as it comes, and compares with what was announced.</summary>
internal sealed class ContentHash : IDisposable
{
    private const int GitDigits = 40, Sha256Digits = 64;
    private readonly IncrementalHash _hash;

    private ContentHash(IncrementalHash hash) => _hash = hash;

    /// <summary>Whether a name of content is one that can be checked: 64 digits of SHA-256, or 40 of git.</summary>
    public static bool IsKnown(string? etag) => etag is { Length: GitDigits or Sha256Digits } && etag.All(char.IsAsciiHexDigitLower);

    /// <summary>Begins a hash of the kind that <paramref name="etag"/> is.</summary>
    /// <param name="etag">As <see cref="IsKnown"/> has it.</param>
    /// <param name="bytes">The length of the file: git hashes it first.</param>
    public static ContentHash For(string etag, long bytes)
    {
        if (etag.Length == Sha256Digits)
        {
            return new ContentHash(IncrementalHash.CreateHash(HashAlgorithmName.SHA256));
        }

#pragma warning disable CA5350 // git names small files by SHA-1; nothing else is known of them
        ContentHash hash = new(IncrementalHash.CreateHash(HashAlgorithmName.SHA1));
#pragma warning restore CA5350
        hash.Add(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"blob {bytes}\0")));
        return hash;
    }

    /// <summary>The next bytes.</summary>
    public void Add(ReadOnlySpan<byte> bytes) => _hash.AppendData(bytes);

    /// <summary>The hash of all, in lower case.</summary>
    public string End() => Convert.ToHexStringLower(_hash.GetHashAndReset());

    /// <summary>The hash of a whole file.</summary>
    public static string OfFile(string etag, string path, CancellationToken cancellation)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1);
        using ContentHash hash = For(etag, stream.Length);
        byte[] buffer = new byte[1 << 18];
        for (int count = stream.Read(buffer); count > 0; count = stream.Read(buffer))
        {
            cancellation.ThrowIfCancellationRequested();
            hash.Add(buffer.AsSpan(0, count));
        }

        return hash.End();
    }

    public void Dispose() => _hash.Dispose();
}
