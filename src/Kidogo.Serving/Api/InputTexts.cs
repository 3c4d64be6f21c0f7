// How many texts a request for vectors or labels may have, and how long. Knows no model but its length.
using System.Text.Json;

namespace Kidogo.Serving.Api;

/// <summary>Checks the texts of a request, before their tokens are counted where that would take long.</summary>
internal static class InputTexts
{
    private const int MostTexts = 2048; // OpenAI's
    private const int MostTokens = 300_000; // OpenAI's, of all texts together
    private const int CharactersOfToken = 256; // more than any text has on average

    /// <summary>What a text without characters gets.</summary>
    public static ApiException Empty(string path) => ApiException.Field(path, $"`{path}` is empty; give at least one character.", "invalid_value");

    /// <summary>Refuses too many texts.</summary>
    public static void CheckCount(JsonElement input, bool isOne)
    {
        if (!isOne && input.GetArrayLength() > MostTexts)
        {
            throw ApiException.Field("input", $"`input` has {input.GetArrayLength()} texts; at most {MostTexts} are taken at once.", "invalid_value");
        }
    }

    /// <summary>Refuses what is so long that nobody has to count its tokens.</summary>
    /// <param name="element">A text, or an array of ids.</param>
    /// <param name="path">Where it stands.</param>
    /// <param name="model">The model's name.</param>
    /// <param name="maxTokens">Tokens that the model reads of a text.</param>
    public static void CheckLength(JsonElement element, string path, string model, int maxTokens)
    {
        if (element.ValueKind == JsonValueKind.Array)
        {
            CheckTokens(element.GetArrayLength(), path, model, maxTokens);
        }

        long most = (long)maxTokens * CharactersOfToken;
        if (element.ValueKind == JsonValueKind.String && element.GetRawText().Length > most && RequestFields.StringOf(element, path).Length is var characters && characters > most)
        {
            throw ApiException.TooLong(
                characters / CharactersOfToken, maxTokens, $"`{path}` has {characters} characters; at most {most} are looked at for the {maxTokens} tokens that `{model}` reads. Cut it into pieces.", path);
        }
    }

    /// <summary>Refuses a text that the model would read only the beginning of.</summary>
    public static void CheckTokens(int tokens, string path, string model, int maxTokens)
    {
        if (tokens > maxTokens)
        {
            throw ApiException.TooLong(tokens, maxTokens, $"`{path}` has {tokens} tokens, but `{model}` reads {maxTokens} of a text. Cut it into pieces.", path);
        }
    }

    /// <summary>Tokens of all texts so far; refuses too many.</summary>
    public static long Sum(long before, int tokens) => before + tokens is var sum && sum <= MostTokens
        ? sum
        : throw ApiException.Field("input", $"`input` has more than {MostTokens} tokens in all. Send it in several requests.", "invalid_value");
}
