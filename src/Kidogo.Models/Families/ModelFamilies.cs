// The table of model families: one line each. The loader, the messages and the tests read it.
using Kidogo.Models.Files;

namespace Kidogo.Models.Families;

/// <summary>Every family of decoders that Kidogo runs.</summary>
public static class ModelFamilies
{
    private const int ShownNameLength = 64;

    /// <summary>All families.</summary>
    public static IReadOnlyList<ModelFamily> All { get; } =
    [
        new Llama(),
        new Mistral(),
        new Qwen2(),
        new Qwen3(),
        new Gemma(),
        new Gemma2(),
        new Gemma3(),
        new SmolLM3(),
        new Phi(),
        new Phi3(),
        new Gpt2(),
        new GptNeoX(),
    ];

    /// <summary>The family of a GGUF file.</summary>
    /// <param name="architecture">The value of <c>general.architecture</c>.</param>
    /// <param name="file">The path, for the message.</param>
    /// <exception cref="ModelFormatException">No family has this name; the message has the nearest and the list.</exception>
    public static ModelFamily ForGguf(string architecture, string file) =>
        All.FirstOrDefault(family => family.GgufArchitectures.Contains(architecture))
        ?? throw Unknown("architecture", architecture, [.. All.SelectMany(family => family.GgufArchitectures)], file);

    /// <summary>The family of a Hugging Face folder.</summary>
    /// <param name="architectures">The classes that <c>architectures</c> names; the first that is known counts.</param>
    /// <param name="modelType">The value of <c>model_type</c>, asked where no class is named; or null.</param>
    /// <param name="file">The path of config.json, for the message.</param>
    /// <exception cref="ModelFormatException">No family has this name; the message has the nearest and the list.</exception>
    public static ModelFamily ForHuggingFace(IReadOnlyList<string> architectures, string? modelType, string file)
    {
        foreach (string architecture in architectures)
        {
            if (All.FirstOrDefault(family => family.HuggingFaceArchitectures.Contains(architecture)) is { } family)
            {
                return family;
            }
        }

        if (architectures.Count > 0)
        {
            throw Unknown("architecture", architectures[0], [.. All.SelectMany(family => family.HuggingFaceArchitectures)], file);
        }

        return All.FirstOrDefault(family => modelType is not null && family.HuggingFaceModelTypes.Contains(modelType))
            ?? throw Unknown("model type", modelType ?? "", [.. All.SelectMany(family => family.HuggingFaceModelTypes)], file);
    }

    private static ModelFormatException Unknown(string what, string name, string[] known, string file)
    {
        string nearest = known.MinBy(candidate => Distance(name, candidate))!;
        string found = name.Length == 0 ? $"The file names no {what}." : $"The {what} {ModelFormatException.Quote(name)} is not one that Kidogo runs.";
        return new ModelFormatException(file, -1, $"{found} The nearest is {nearest}. Known: {string.Join(", ", known)}.");
    }

    /// <summary>The number of letters to insert, remove or change between two names, whatever their case.</summary>
    private static int Distance(string name, string candidate)
    {
        string a = name.Length > ShownNameLength ? name[..ShownNameLength] : name;
        int[] row = new int[candidate.Length + 1];
        for (int j = 0; j < row.Length; j++)
        {
            row[j] = j;
        }

        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j < row.Length; j++)
            {
                int changed = diagonal + (char.ToLowerInvariant(a[i - 1]) == char.ToLowerInvariant(candidate[j - 1]) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(changed, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[^1];
    }
}
