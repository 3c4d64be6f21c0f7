// A file for browsers, sent with a policy that lets nothing else in. Knows no page.
using Kidogo.Serving.Pages;
using Microsoft.AspNetCore.Http;

namespace Kidogo.Serving.Portal;

/// <summary>A file.</summary>
/// <param name="Type">Its media type.</param>
/// <param name="Bytes">What is in it.</param>
internal sealed record PageFile(string Type, byte[] Bytes)
{
    /// <summary>Sends it.</summary>
    /// <param name="http">The exchange.</param>
    /// <param name="cache">How long it may be kept.</param>
    public async Task WriteAsync(HttpContext http, string cache = "no-cache")
    {
        http.Response.ContentType = Type;
        http.Response.ContentLength = Bytes.Length;
        http.Response.Headers.ContentSecurityPolicy = Page.Policy;
        http.Response.Headers["Referrer-Policy"] = "no-referrer";
        http.Response.Headers["Cross-Origin-Opener-Policy"] = "same-origin";
        http.Response.Headers["Cross-Origin-Resource-Policy"] = "same-origin";
        http.Response.Headers.CacheControl = cache;
        if (!HttpMethods.IsHead(http.Request.Method))
        {
            await http.Response.BodyWriter.WriteAsync(Bytes, http.RequestAborted).ConfigureAwait(false);
        }
    }
}
