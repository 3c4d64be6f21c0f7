// What is wrong with JSON, in words for people. Knows no file and no field.
using System.Text.Json;

namespace Kidogo.Text;

/// <summary>Puts the JSON reader's messages, which speak of its own settings, into a sentence about the text.</summary>
public static class JsonProblem
{
    /// <summary>What is wrong, without the place, which the reader counts from the start of a buffer, and without a full stop.</summary>
    public static string Of(JsonException failure)
    {
        ArgumentNullException.ThrowIfNull(failure);
        string what = failure.Message;
        foreach (string tail in (string[])[" LineNumber:", " Path:", " Change the reader options", " Cannot read next JSON"])
        {
            int at = what.IndexOf(tail, StringComparison.Ordinal);
            what = at < 0 ? what : what[..at];
        }

        if (what.StartsWith("The input does not contain any JSON tokens", StringComparison.Ordinal))
        {
            return "there is nothing in it";
        }

        if (what.StartsWith("Expected depth to be zero", StringComparison.Ordinal))
        {
            return "it ends before an object or array is closed";
        }

        if (what.StartsWith("The maximum configured depth of ", StringComparison.Ordinal))
        {
            return $"it is nested deeper than {what["The maximum configured depth of ".Length..].Split(' ')[0]}";
        }

        return what.Replace(" which is not supported in this mode", ", which JSON does not have", StringComparison.Ordinal).TrimEnd('.', ' ', ',');
    }
}
