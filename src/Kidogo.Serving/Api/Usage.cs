// What a request has used, in OpenAI's and in llama.cpp's words. Counts nothing itself.
using System.Text.Json;
using Kidogo.Inference.Scheduling;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Serving.Api;

/// <summary>Writes what a request has used.</summary>
internal static class Usage
{
    /// <summary><c>usage</c>: a prompt that several choices share counts once.</summary>
    public static void WriteUsage(this Utf8JsonWriter json, GenerationGroup group)
    {
        GeneratedChoice[] leaders = [.. group.Choices.Where(choice => choice.Leader is null)];
        int prompt = leaders.Sum(choice => choice.Request.Prompt.Length);
        int completion = group.Choices.Sum(choice => choice.GeneratedTokens);
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", prompt);
        json.WriteNumber("completion_tokens", completion);
        json.WriteNumber("total_tokens", prompt + completion);
        json.WriteStartObject("prompt_tokens_details");
        json.WriteNumber("cached_tokens", leaders.Sum(choice => choice.CachedTokens));
        json.WriteNumber("audio_tokens", 0);
        json.WriteEndObject();
        json.WriteStartObject("completion_tokens_details");
        json.WriteNumber("reasoning_tokens", group.Choices.Sum(choice => choice.ReasoningTokens));
        json.WriteNumber("audio_tokens", 0);
        json.WriteNumber("accepted_prediction_tokens", 0);
        json.WriteNumber("rejected_prediction_tokens", 0);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary><c>usage</c> of what was read only.</summary>
    public static void WriteRead(Utf8JsonWriter json, long tokens)
    {
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", tokens);
        json.WriteNumber("total_tokens", tokens);
        json.WriteEndObject();
    }

    /// <summary>llama.cpp's <c>timings</c>, in milliseconds, of the first choice's prompt and of all answers.</summary>
    public static void WriteTimings(this Utf8JsonWriter json, GenerationGroup group)
    {
        GeneratedChoice first = group.Choices[0];
        int computed = first.Request.Prompt.Length - first.CachedTokens;
        int predicted = group.Choices.Sum(choice => choice.GeneratedTokens);
        double promptMs = first.PromptTime.TotalMilliseconds;
        double predictedMs = group.Choices.Max(choice => choice.DecodeTime.TotalMilliseconds);
        json.WriteStartObject("timings");
        json.WriteNumber("cache_n", first.CachedTokens);
        json.WriteNumber("prompt_n", computed);
        json.WriteFinite("prompt_ms", promptMs);
        json.WriteFinite("prompt_per_token_ms", promptMs / computed);
        json.WriteFinite("prompt_per_second", computed / promptMs * 1000);
        json.WriteNumber("predicted_n", predicted);
        json.WriteFinite("predicted_ms", predictedMs);
        json.WriteFinite("predicted_per_token_ms", predictedMs / predicted);
        json.WriteFinite("predicted_per_second", predicted / predictedMs * 1000);
        if (group.Choices.Sum(choice => choice.Guesses.Drafted) is > 0 and var drafted)
        {
            json.WriteNumber("draft_n", drafted);
            json.WriteNumber("draft_n_accepted", group.Choices.Sum(choice => choice.Guesses.Accepted));
        }

        json.WriteEndObject();
    }

    /// <summary>One token with its likelihood, and the likeliest in its place, as chat completions show them.</summary>
    public static void WriteLikelihood(this Utf8JsonWriter json, TokenLikelihood token, Tokenizer tokenizer)
    {
        json.WriteStartObject();
        WriteToken(json, tokenizer, token.Id, token.LogProbability);
        json.WriteStartArray("top_logprobs");
        foreach (Inference.Sampling.TokenProbability other in token.Top)
        {
            json.WriteStartObject();
            WriteToken(json, tokenizer, other.Id, Math.Log(other.Probability));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteToken(Utf8JsonWriter json, Tokenizer tokenizer, int id, double logProbability)
    {
        json.WriteString("token", tokenizer.TokenText(id));
        json.WriteNumber("logprob", Finite(logProbability));
        json.WriteByteNumbers("bytes", tokenizer.PieceBytes(id));
    }

    /// <summary>OpenAI's stand-in for what is as good as impossible.</summary>
    internal static double Finite(double logProbability) => double.IsFinite(logProbability) ? Math.Max(-9999, logProbability) : -9999;
}
