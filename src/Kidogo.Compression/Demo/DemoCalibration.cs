// Stories as the ids that a model reads, for calibrating. Knows files of conversations, no models' weights.
using System.Text.Json;
using Kidogo.Inference;
using Kidogo.Models;

namespace Kidogo.Compression.Demo;

internal static class DemoCalibration
{
    /// <summary>The first tokens of a file of conversations, by a model's template.</summary>
    /// <param name="model">The model, for its words.</param>
    /// <param name="conversations">A line each.</param>
    /// <param name="most">Tokens at most.</param>
    public static int[] Ids(string model, string conversations, int most)
    {
        using ModelText text = ModelText.Open(model);
        ChatPrompter prompter = new(text, text.ChatTemplate()!);
        List<int> ids = [];
        foreach (string line in File.ReadLines(conversations))
        {
            using JsonDocument json = JsonDocument.Parse(line);
            ids.AddRange(prompter.Build([.. json.RootElement.GetProperty("messages").EnumerateArray()]).Ids);
            if (ids.Count >= most)
            {
                break;
            }
        }

        return [.. ids.Take(most)];
    }
}
