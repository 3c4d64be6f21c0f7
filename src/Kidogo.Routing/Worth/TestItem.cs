// A question of the user's own with what is right, and whether an answer is. Knows no model.
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Kidogo.Privacy;

namespace Kidogo.Routing.Worth;

/// <summary>A question that an answer can be judged by.</summary>
public sealed record TestItem
{
    private const int MostItems = 100_000, MaxLine = 1 << 20;

    /// <summary>The question, as a model is asked.</summary>
    public required string Question { get; init; }

    /// <summary>Right answers: any of them, as the answer or as words in it.</summary>
    public IReadOnlyList<string> Answers { get; init; } = [];

    /// <summary>What may be chosen; empty for no choices.</summary>
    public IReadOnlyList<string> Choices { get; init; } = [];

    /// <summary>The right choice, from 0.</summary>
    public int Choice { get; init; }

    /// <summary>Texts that all have to be in the answer, whatever the case.</summary>
    public IReadOnlyList<string> Contains { get; init; } = [];

    /// <summary>A regular expression that has to match somewhere; null for none.</summary>
    public string? Pattern { get; init; }

    /// <summary>What the model is asked: the question, and its choices with letters.</summary>
    public string Prompt => Choices.Count == 0 ? Question : Choices.Select((choice, index) => $"{(char)('A' + index)}. {choice}").Aggregate(new StringBuilder(Question).AppendLine(), (text, line) => text.AppendLine(line)).Append("Answer with the letter alone.").ToString();

    /// <summary>Reads a test: a JSON object a line with <c>question</c> (or <c>prompt</c>) and <c>answer</c> (or <c>answers</c>), <c>choices</c> with <c>answer</c> from 0, <c>contains</c>, or <c>regex</c>.</summary>
    /// <exception cref="RoutingException">A line is none; the message has its number and what was expected.</exception>
    public static IReadOnlyList<TestItem> Read(string path)
    {
        List<TestItem> items = [];
        int number = 0;
        foreach (string line in File.ReadLines(path))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line))
            {
                continue;
            }

            if (line.Length > MaxLine || items.Count >= MostItems)
            {
                throw new RoutingException($"{path}, line {number}: a test has at most {MostItems} lines of {MaxLine} characters.");
            }

            try
            {
                using JsonDocument document = JsonDocument.Parse(line, new JsonDocumentOptions { MaxDepth = 16 });
                items.Add(Of(document.RootElement));
            }
            catch (Exception failure) when (failure is JsonException or InvalidOperationException or FormatException or KeyNotFoundException or ArgumentException)
            {
                throw new RoutingException($"{path}, line {number}: expected an object such as {{\"question\": \"…\", \"answer\": \"…\"}}. {failure.Message}", failure);
            }
        }

        return items.Count > 0 ? items : throw new RoutingException($"{path} has no questions.");
    }

    private static TestItem Of(JsonElement line)
    {
        string question = (line.TryGetProperty("question", out JsonElement asked) || line.TryGetProperty("prompt", out asked) ? asked.GetString() : null) ?? throw new FormatException("There is no question.");
        string[] choices = line.TryGetProperty("choices", out JsonElement given) ? Texts(given) : [];
        bool hasAnswer = line.TryGetProperty("answer", out JsonElement answer) || line.TryGetProperty("answers", out answer);
        TestItem item = new()
        {
            Question = question,
            Choices = choices,
            Choice = choices.Length == 0 ? 0 : answer.ValueKind == JsonValueKind.Number ? answer.GetInt32() : Array.IndexOf(choices, answer.GetString()),
            Answers = choices.Length > 0 || !hasAnswer ? [] : Texts(answer),
            Contains = line.TryGetProperty("contains", out JsonElement contains) ? Texts(contains) : [],
            Pattern = line.TryGetProperty("regex", out JsonElement pattern) ? pattern.GetString() : null,
        };
        if (item.Pattern is { } expression)
        {
            _ = new Regex(expression, RegexOptions.NonBacktracking);
        }

        return item.Choices.Count > 26 || (item.Choices.Count > 0 && (item.Choice < 0 || item.Choice >= item.Choices.Count)) ? throw new FormatException("`answer` has to be the number of a choice, from 0, or the choice itself; at most 26.")
            : item.Choices.Count == 0 && item.Answers.Count == 0 && item.Contains.Count == 0 && item.Pattern is null ? throw new FormatException("There is no `answer`, `choices`, `contains` or `regex` to judge by.")
            : item;
    }

    private static string[] Texts(JsonElement element) => element.ValueKind == JsonValueKind.Array ? [.. element.EnumerateArray().Select(Text)] : [Text(element)];

    private static string Text(JsonElement element) => element.ValueKind == JsonValueKind.Number ? element.GetRawText() : element.GetString() ?? throw new FormatException("A text is null.");
}

/// <summary>Judges answers.</summary>
public static class AnswerJudge
{
    /// <summary>Whether an answer is right.</summary>
    public static bool IsRight(TestItem item, string answer)
    {
        ArgumentNullException.ThrowIfNull(item);
        ArgumentNullException.ThrowIfNull(answer);
        if (item.Choices.Count > 0)
        {
            return Chosen(item, answer) == item.Choice;
        }

        string said = Words(answer);
        return (item.Answers.Count == 0 || item.Answers.Any(right => Words(right) is { Length: > 0 } words && $" {said} ".Contains($" {words} ", StringComparison.Ordinal)))
            && item.Contains.All(text => answer.Contains(text, StringComparison.OrdinalIgnoreCase))
            && (item.Pattern is null || Regex.IsMatch(answer, item.Pattern, RegexOptions.NonBacktracking));
    }

    /// <summary>Whether two answers say the same: the same words, or as good as.</summary>
    public static bool Same(string left, string right)
    {
        string[] one = Words(left).Split(' '), other = Words(right).Split(' ');
        int common = one.Intersect(other).Count();
        return common >= 0.8 * Math.Max(one.Distinct().Count(), other.Distinct().Count());
    }

    private static int? Chosen(TestItem item, string answer)
    {
        Match letter = Regex.Match(answer.Trim(), @"^\W*([A-Za-z])(?:\W|$)|\b(?:answer|choice|option)\s*(?:is|:)?\s*\W?([A-Za-z])\b", RegexOptions.None, TimeSpan.FromSeconds(1));
        if (letter.Success)
        {
            return char.ToUpperInvariant((letter.Groups[1].Success ? letter.Groups[1] : letter.Groups[2]).Value[0]) - 'A';
        }

        string said = $" {Words(answer)} ";
        int[] named = [.. Enumerable.Range(0, item.Choices.Count).Where(index => said.Contains($" {Words(item.Choices[index])} ", StringComparison.Ordinal))];
        return named.Length == 1 ? named[0] : null;
    }

    /// <summary>The words of a text: letters and digits without accents and case.</summary>
    private static string Words(string text)
    {
        StringBuilder words = new(text.Length);
        foreach (char c in FoldedText.Key(text))
        {
            bool isPart = char.IsLetterOrDigit(c) || char.GetUnicodeCategory(c) == UnicodeCategory.SpacingCombiningMark;
            words.Append(isPart ? c : ' ');
        }

        return string.Join(' ', words.ToString().Split(' ', StringSplitOptions.RemoveEmptyEntries));
    }
}
