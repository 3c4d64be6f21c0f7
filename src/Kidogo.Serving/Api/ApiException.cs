// Everything that a client is told went wrong, in the shape of OpenAI's errors. Knows no endpoint.
using System.Text.Json;

namespace Kidogo.Serving.Api;

/// <summary>A request that cannot be answered.</summary>
/// <param name="status">The HTTP status.</param>
/// <param name="type">The kind, as <c>error.type</c>.</param>
/// <param name="message">What happened, what was expected, and what to do. Never a client's contents.</param>
/// <param name="param">The field that it is about, or null.</param>
/// <param name="code">A word for programs, or null.</param>
internal sealed class ApiException(int status, string type, string message, string? param = null, string? code = null) : Exception(message)
{
    /// <summary>The kind of all that is wrong with a request itself.</summary>
    public const string InvalidRequest = "invalid_request_error";

    public int Status { get; } = status;

    /// <summary>The kind, as <c>error.type</c>.</summary>
    public string Type => type;

    /// <summary>The field that it is about, or null.</summary>
    public string? Param => param;

    /// <summary>A word for programs, or null.</summary>
    public string? Code => code;

    /// <summary>When to try again, in seconds; null for no hint.</summary>
    public int? RetryAfterSeconds { get; init; }

    /// <summary>Tokens of a prompt that is too long.</summary>
    public int? PromptTokens { get; init; }

    /// <summary>Tokens that the context holds.</summary>
    public int? ContextTokens { get; init; }

    /// <summary>What is wrong with a field.</summary>
    public static ApiException Field(string param, string message, string? code = null) => new(400, InvalidRequest, message, param, code);

    /// <summary>A prompt that does not fit, with both numbers.</summary>
    /// <param name="promptTokens">Tokens of the prompt.</param>
    /// <param name="contextTokens">Tokens that there is room for.</param>
    /// <param name="message">What to say; null for what holds of prompts.</param>
    /// <param name="param">The field that it is about, or null.</param>
    public static ApiException TooLong(int promptTokens, int contextTokens, string? message = null, string? param = null) =>
        new(
            400, "exceed_context_size_error",
            message ?? $"The prompt has {promptTokens} tokens, but the context holds {contextTokens}, with the answer. Shorten the prompt, or start the server with a larger --context if the model allows.",
            param, "context_length_exceeded") { PromptTokens = promptTokens, ContextTokens = contextTokens };

    /// <summary>Too much at once.</summary>
    public static ApiException TooMany(string type, string message, TimeSpan retryAfter, string code) =>
        new(429, type, message, code: code) { RetryAfterSeconds = Math.Max(1, (int)Math.Ceiling(retryAfter.TotalSeconds)) };

    /// <summary>The error as <c>{"error": …}</c>.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteStartObject("error");
        json.WriteString("message", Message);
        json.WriteString("type", type);
        json.WriteStringOrNull("param", param);
        json.WriteStringOrNull("code", code);
        if (PromptTokens is { } prompt && ContextTokens is { } context)
        {
            json.WriteNumber("n_prompt_tokens", prompt);
            json.WriteNumber("n_ctx", context);
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }
}
