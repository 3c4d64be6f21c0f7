// How people write a model of the hub and of its cache: org/name, with a revision, a format or a file. Knows no disk and no network.
namespace Kidogo.Models;

/// <summary>A model of the hub as it is named: <c>org/name</c>, <c>org/name:Q4_K_M</c>, <c>org/name@revision</c>, <c>org/name/file.gguf</c>.</summary>
/// <param name="Repository"><c>org/name</c>, in the case in which it was written.</param>
/// <param name="Revision">A branch, a tag or a commit; null for <c>main</c>.</param>
/// <param name="Format">Which of several GGUF files; null where none was named.</param>
/// <param name="File">A file of the repository; null where none was named.</param>
public sealed record HubName(string Repository, string? Revision = null, string? Format = null, string? File = null)
{
    private const int LongestPart = 96;

    /// <summary>The organisation and the name.</summary>
    public (string Organisation, string Name) Parts => Repository.Split('/') is [{ } organisation, { } name] ? (organisation, name) : ("", Repository);

    /// <summary>Reads a name; null where it is none, such as a path.</summary>
    public static HubName? TryParse(string text)
    {
        string rest = text;
        string? format = null, revision = null;
        int colon = rest.LastIndexOf(':');
        if (colon >= 0)
        {
            (rest, format) = (rest[..colon], rest[(colon + 1)..]);
            if (!IsPart(format))
            {
                return null;
            }
        }

        int at = rest.IndexOf('@', StringComparison.Ordinal);
        if (at >= 0)
        {
            (rest, revision) = (rest[..at], rest[(at + 1)..]);
            if (!IsRevision(revision))
            {
                return null;
            }
        }

        string[] parts = rest.Split('/');
        return parts.Length is 2 or 3 && parts.All(IsPart) && IsRepository($"{parts[0]}/{parts[1]}") && (format is null || parts.Length == 2)
            ? new HubName($"{parts[0]}/{parts[1]}", revision, format, parts.Length == 3 ? parts[2] : null)
            : null;
    }

    /// <summary>Whether this is <c>org/name</c>, or an old name without an organisation, as the hub accepts them.</summary>
    public static bool IsRepository(string text) =>
        text.Split('/') is { Length: 1 or 2 } parts && parts.All(part => IsPart(part) && part[^1] is not ('.' or '-') && part[0] != '-' && !part.Contains("--", StringComparison.Ordinal));

    /// <summary>Whether this can be a branch, a tag or a commit: parts such as <c>main</c> or <c>refs/pr/1</c>, none of which leads out of a folder.</summary>
    public static bool IsRevision(string text) => text.Split('/') is { Length: <= 4 } parts && parts.All(IsPart);

    /// <summary>As it is written.</summary>
    public override string ToString() => $"{Repository}{(File is null ? "" : $"/{File}")}{(Revision is null ? "" : $"@{Revision}")}{(Format is null ? "" : $":{Format}")}";

    private static bool IsPart(string part) =>
        part.Length is > 0 and <= LongestPart && part[0] != '.' && part.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_') && !part.Contains("..", StringComparison.Ordinal);
}
