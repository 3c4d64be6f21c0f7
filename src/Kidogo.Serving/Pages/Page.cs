// The chat page: three files inside the assembly, served with a policy that lets nothing else in. Knows no models.
using System.Collections.Frozen;
using Microsoft.AspNetCore.Http;

namespace Kidogo.Serving.Pages;

/// <summary>Serves the page at <c>/</c>.</summary>
internal static class Page
{
    private const string Policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

    private static readonly FrozenDictionary<string, (string Type, byte[] Bytes)> s_files = new Dictionary<string, (string, byte[])>
    {
        ["/"] = ("text/html; charset=utf-8", Read("index.html")),
        ["/chat.css"] = ("text/css; charset=utf-8", Read("chat.css")),
        ["/chat.js"] = ("text/javascript; charset=utf-8", Read("chat.js")),
    }.ToFrozenDictionary();

    /// <summary>Answers where the path is one of the page's files.</summary>
    public static async Task<bool> TryAnswerAsync(HttpContext http, string path)
    {
        if (!s_files.TryGetValue(path, out (string Type, byte[] Bytes) file))
        {
            return false;
        }

        http.Response.ContentType = file.Type;
        http.Response.ContentLength = file.Bytes.Length;
        http.Response.Headers.ContentSecurityPolicy = Policy;
        http.Response.Headers["Referrer-Policy"] = "no-referrer";
        http.Response.Headers.CacheControl = "no-cache";
        if (!HttpMethods.IsHead(http.Request.Method))
        {
            await http.Response.BodyWriter.WriteAsync(file.Bytes, http.RequestAborted).ConfigureAwait(false);
        }

        return true;
    }

    private static byte[] Read(string name)
    {
        using Stream stream = typeof(Page).Assembly.GetManifestResourceStream($"Kidogo.Serving.Pages.{name}")!;
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
