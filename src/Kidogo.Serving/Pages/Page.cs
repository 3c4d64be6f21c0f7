// The pages: files inside the assembly, served with a policy that lets nothing else in. Knows no models.
using System.Collections.Frozen;
using System.IO.Compression;
using System.Reflection;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;

namespace Kidogo.Serving.Pages;

/// <summary>Serves the chat page at <c>/</c>, the page for developers at <c>/api.html</c>, and what they are made of.</summary>
/// <remarks>
/// A server that speaks in someone else's name answers <c>/scripts/brand.js</c>, <c>/styles/brand.css</c> and, where it keeps conversations itself, <c>/scripts/store.js</c> in its own way
/// before it asks here.
/// </remarks>
internal static class Page
{
    /// <summary>What the pages may do: nothing inline, nothing from elsewhere, and no text becomes HTML or code.</summary>
    public const string Policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
        + "require-trusted-types-for 'script'; trusted-types 'none'";

    private const string Prefix = "Kidogo.Serving.Pages/";

    private static readonly FrozenDictionary<string, PageFile> s_files = ReadAll().ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>The paths that are answered.</summary>
    public static IEnumerable<string> Paths => s_files.Keys;

    /// <summary>What is in a file of the pages.</summary>
    public static ReadOnlyMemory<byte> Content(string path) => s_files[path].Bytes;

    /// <summary>Answers where the path is one of the pages' files.</summary>
    public static async Task<bool> TryAnswerAsync(HttpContext http, string path)
    {
        if (!s_files.TryGetValue(path, out PageFile? file))
        {
            return false;
        }

        IHeaderDictionary headers = http.Response.Headers;
        headers.ContentSecurityPolicy = Policy;
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers.CacheControl = "no-cache"; // asked again each time, and answered in a line while it is the same
        headers.ETag = file.Tag;
        headers.Append("Vary", "Accept-Encoding");
        if (http.Request.Headers.IfNoneMatch.ToString().Contains(file.Tag, StringComparison.Ordinal))
        {
            http.Response.StatusCode = StatusCodes.Status304NotModified;
            return true;
        }

        bool isSmall = http.Request.Headers.AcceptEncoding.ToString().Contains("gzip", StringComparison.OrdinalIgnoreCase);
        byte[] bytes = isSmall ? file.Compressed : file.Bytes;
        if (isSmall)
        {
            headers.ContentEncoding = "gzip";
        }

        http.Response.ContentType = file.Type;
        http.Response.ContentLength = bytes.Length;
        if (!HttpMethods.IsHead(http.Request.Method))
        {
            await http.Response.BodyWriter.WriteAsync(bytes, http.RequestAborted).ConfigureAwait(false);
        }

        return true;
    }

    private static IEnumerable<KeyValuePair<string, PageFile>> ReadAll()
    {
        Assembly assembly = typeof(Page).Assembly;
        foreach (string name in assembly.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)))
        {
            using Stream stream = assembly.GetManifestResourceStream(name)!;
            byte[] bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            string path = "/" + name[Prefix.Length..].Replace('\\', '/');
            yield return new(path == "/index.html" ? "/" : path, new PageFile(TypeOf(path), bytes, Compress(bytes), $"W/\"{Convert.ToHexStringLower(SHA256.HashData(bytes))[..20]}\""));
        }
    }

    private static string TypeOf(string path) => Path.GetExtension(path) switch
    {
        ".html" => "text/html; charset=utf-8",
        ".css" => "text/css; charset=utf-8",
        ".js" => "text/javascript; charset=utf-8",
        ".json" => "application/json; charset=utf-8",
        ".svg" => "image/svg+xml",
        string other => throw new InvalidOperationException($"A page has a file of a kind that is not served: {other}."),
    };

    private static byte[] Compress(byte[] bytes)
    {
        using MemoryStream small = new();
        using (GZipStream zip = new(small, CompressionLevel.Optimal))
        {
            zip.Write(bytes);
        }

        return small.ToArray();
    }

    /// <summary>A file as it is sent.</summary>
    /// <param name="Type">Its <c>Content-Type</c>.</param>
    /// <param name="Bytes">Its content.</param>
    /// <param name="Compressed">The same, smaller.</param>
    /// <param name="Tag">Changes when the content does.</param>
    private sealed record PageFile(string Type, byte[] Bytes, byte[] Compressed, string Tag);
}
