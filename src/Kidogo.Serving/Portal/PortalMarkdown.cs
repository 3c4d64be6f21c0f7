// The owner's pages, from Markdown to HTML that runs nothing. Knows no request.
using Kidogo.Serving.Access;
using Markdig;
using Markdig.Renderers;
using Markdig.Syntax;
using Markdig.Syntax.Inlines;

namespace Kidogo.Serving.Portal;

/// <summary>Renders Markdown. Raw HTML is shown as text; links lead to pages, mail and places on the site only, pictures are files of the owner's.</summary>
internal static class PortalMarkdown
{
    private static readonly MarkdownPipeline s_pipeline = new MarkdownPipelineBuilder().DisableHtml().UsePipeTables().UseAutoIdentifiers().UseEmphasisExtras().Build();

    /// <summary>Renders a text.</summary>
    /// <param name="markdown">The text.</param>
    /// <param name="place">What it is, for messages.</param>
    /// <param name="picture">Where a picture of that name is shown from; null where there is none.</param>
    /// <exception cref="ServerSetupException">Its parts lie in one another so deep that it cannot be read.</exception>
    public static Html Render(string markdown, string place, Func<string, string?> picture)
    {
        MarkdownDocument document;
        try
        {
            document = Markdown.Parse(markdown, s_pipeline);
        }
        catch (ArgumentException failure)
        {
            throw new ServerSetupException($"{place}: this Markdown cannot be read: {failure.Message}");
        }

        foreach (LinkInline link in document.Descendants<LinkInline>())
        {
            link.GetDynamicUrl = null;
            if (link.IsImage)
            {
                string? shown = picture(link.Url ?? "");
                link.IsImage = shown is not null;
                link.Url = shown ?? Safe(link.Url);
            }
            else
            {
                link.Url = Safe(link.Url);
            }
        }

        foreach (AutolinkInline link in document.Descendants<AutolinkInline>())
        {
            link.Url = link.IsEmail ? link.Url : Safe(link.Url);
        }

        using StringWriter html = new();
        HtmlRenderer renderer = new(html);
        s_pipeline.Setup(renderer);
        renderer.Render(document);
        return new Html(html.ToString());
    }

    /// <summary>An address that may be linked to; <c>#</c> in place of others. A page that is named by its file (<c>guide.md</c>) is found by its address.</summary>
    private static string Safe(string? url)
    {
        string text = (url ?? "").Trim();
        if (text.Any(c => char.IsControl(c) || c == '\\'))
        {
            return "#";
        }

        int colon = text.IndexOf(':', StringComparison.Ordinal), end = text.AsSpan().IndexOfAny('/', '?', '#');
        if (colon >= 0 && (end < 0 || colon < end))
        {
            return text[..colon].ToLowerInvariant() is "http" or "https" or "mailto" ? text : "#";
        }

        int fragment = text.IndexOf('#', StringComparison.Ordinal);
        string path = fragment < 0 ? text : text[..fragment];
        return path.EndsWith(".md", StringComparison.OrdinalIgnoreCase) && !path.StartsWith('/')
            ? $"/docs/{PortalFile.SlugOf(Path.GetFileNameWithoutExtension(path))}{(fragment < 0 ? "" : text[fragment..])}"
            : text.StartsWith("//", StringComparison.Ordinal) ? "#" : text;
    }
}
