// What people are told went wrong in a portal: a code here, words for it in every language in words.yaml.
using Kidogo.Serving.Api;

namespace Kidogo.Serving.Portal;

/// <summary>Makes errors whose words depend on the reader's language.</summary>
internal static class PortalProblem
{
    /// <summary>An error.</summary>
    /// <param name="status">The HTTP status.</param>
    /// <param name="code">Which; <c>error.CODE</c> has the words.</param>
    /// <param name="field">The field that it is about, or null.</param>
    /// <param name="retryAfter">When to try again; null for no hint.</param>
    public static ApiException Of(int status, string code, string? field, TimeSpan? retryAfter = null) =>
        new(status, status switch { 401 => "authentication_error", 403 => "permission_error", 429 => "rate_limit_error", _ => ApiException.InvalidRequest }, Words.English.Of($"error.{code}"), field, code)
        {
            RetryAfterSeconds = retryAfter is { } wait ? Math.Max(1, (int)Math.Ceiling(wait.TotalSeconds)) : null,
        };

    /// <summary>The same error in a language; as it is where it has no words of its own.</summary>
    public static ApiException In(ApiException problem, Words words) =>
        problem.Code is { } code && words.Find($"error.{code}") is { } text
            ? new ApiException(problem.Status, problem.Type, text, problem.Param, code) { RetryAfterSeconds = problem.RetryAfterSeconds, PromptTokens = problem.PromptTokens, ContextTokens = problem.ContextTokens }
            : problem;
}
