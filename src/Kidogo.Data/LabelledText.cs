// Texts with a label each. Knows no model.
using System.Text.Json;
using Kidogo.Data.Readers;

namespace Kidogo.Data;

/// <summary>Texts and what they are.</summary>
/// <param name="Texts">The texts.</param>
/// <param name="Classes">For each the index of its label.</param>
/// <param name="Labels">The labels, in ordinal order.</param>
public sealed record LabelledText(IReadOnlyList<string> Texts, IReadOnlyList<int> Classes, IReadOnlyList<string> Labels)
{
    private const int MostLabels = 10_000;

    /// <summary>Reads <c>.jsonl</c> files with a text and a label on each line; a label may be a text, a whole number, true or false.</summary>
    /// <param name="paths">Files and folders.</param>
    /// <param name="textField">The field of the text.</param>
    /// <param name="labelField">The field of the label.</param>
    /// <exception cref="DataFormatException">A line has no such fields, or all lines together fewer than two labels.</exception>
    public static LabelledText Read(IEnumerable<string> paths, string textField, string labelField)
    {
        List<string> texts = [], labels = [];
        string last = "";
        foreach (string path in paths)
        {
            last = path;
            foreach (JsonRecord record in JsonRecords.Read(path))
            {
                texts.Add(record.Json.TryGetProperty(textField, out JsonElement text) && text.ValueKind == JsonValueKind.String ? text.GetString()!
                    : throw record.Refuse($"the line has no text \"{textField}\"; expected {{\"{textField}\": \"…\", \"{labelField}\": \"…\"}}"));
                labels.Add(record.Json.TryGetProperty(labelField, out JsonElement label) && Word(label) is { Length: > 0 } word ? word
                    : throw record.Refuse($"the line has no label \"{labelField}\", or an empty one; expected {{\"{textField}\": \"…\", \"{labelField}\": \"…\"}}"));
            }
        }

        string[] all = [.. labels.Distinct().Order(StringComparer.Ordinal)];
        if (all.Length is < 2 or > MostLabels)
        {
            throw new DataFormatException(last, 0, texts.Count == 0 ? "there are no labelled lines: the data are empty"
                : all.Length == 1 ? $"all {texts.Count} lines have the label \"{all[0]}\": with one class there is nothing to tell apart; give lines of two labels or more"
                : $"{all.Length} different labels are more than {MostLabels}; is \"{labelField}\" the field of the label?");
        }

        Dictionary<string, int> index = all.Select((label, i) => (label, i)).ToDictionary(each => each.label, each => each.i, StringComparer.Ordinal);
        return new LabelledText(texts, [.. labels.Select(label => index[label])], all);
    }

    /// <summary>A part of the lines.</summary>
    /// <param name="lines">Their indices.</param>
    public LabelledText Part(IEnumerable<int> lines)
    {
        int[] chosen = [.. lines];
        return this with { Texts = [.. chosen.Select(line => Texts[line])], Classes = [.. chosen.Select(line => Classes[line])] };
    }

    /// <summary>Splits every label's lines in the same proportions.</summary>
    /// <param name="share">Of each label's lines, rounded, that go into the first part.</param>
    /// <param name="seed">Decides which.</param>
    public (int[] First, int[] Second) Split(double share, ulong seed)
    {
        List<int> first = [], second = [];
        for (int label = 0; label < Labels.Count; label++)
        {
            int[] lines = [.. Enumerable.Range(0, Classes.Count).Where(line => Classes[line] == label).OrderBy(line => Mix.Hash(seed, (ulong)line))];
            int taken = (int)Math.Round(share * lines.Length, MidpointRounding.AwayFromZero);
            first.AddRange(lines.Take(taken));
            second.AddRange(lines.Skip(taken));
        }

        return ([.. first.Order()], [.. second.Order()]);
    }

    private static string? Word(JsonElement label) => label.ValueKind switch
    {
        JsonValueKind.String => label.GetString(),
        JsonValueKind.True or JsonValueKind.False => label.GetRawText(),
        JsonValueKind.Number when label.TryGetInt64(out _) => label.GetRawText(),
        _ => null,
    };
}
