// From the MODEL argument to files. Knows where to look and whom to ask; opens nothing itself but templates.
using Kidogo.Models;
using Kidogo.Models.Files;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Cli.Shell;

/// <summary>What people name on the command line.</summary>
internal static class ModelChoice
{
    /// <summary>The path of a model.</summary>
    public static string Locate(string? name) => new ModelLocator(ModelPlaces.FromEnvironment()).Locate(name);

    /// <summary>What clients of a server call a model: its name, or that of its file or folder without the ending.</summary>
    public static string ServedName(string? name)
    {
        if (name is not null && !File.Exists(name) && !Directory.Exists(name))
        {
            return name;
        }

        string path = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(name ?? Locate(null))));
        return path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) ? path[..^".gguf".Length] : path;
    }

    /// <summary>The words of a model.</summary>
    public static ModelText OpenText(string? name) => ModelText.Open(Locate(name));

    /// <summary>The template of <c>--chat-template</c>, else the model's own; null where the model has none.</summary>
    /// <param name="given">A name that the model has, a built-in name, or a file; null for the model's own.</param>
    /// <param name="text">The model's words; null where there is no model.</param>
    public static ChatTemplate? Template(string? given, ModelText? text)
    {
        if (given is null)
        {
            return text?.ChatTemplate();
        }

        if (File.Exists(given))
        {
            return ParseFile(given);
        }

        return text?.ChatTemplate(given) ?? ChatTemplate.BuiltIn(given) ?? throw new FailureException(
            $"There is no chat template {ModelFormatException.Quote(given)}, neither as a file nor by name.{(NearestName.Likely(given, Names(text)) is { } nearest ? $" The nearest name is {nearest}." : "")} Names: {string.Join(", ", Names(text))}.");
    }

    /// <summary>The template in a Jinja file.</summary>
    public static ChatTemplate ParseFile(string path)
    {
        FileInfo file = new(InputFile.Existing(path));
        if (file.Length > ChatTemplateLimits.MaxTemplateBytes)
        {
            throw new FailureException($"{path} has {file.Length} bytes; a chat template may have {ChatTemplateLimits.MaxTemplateBytes}.");
        }

        try
        {
            return ChatTemplate.Parse(File.ReadAllText(path));
        }
        catch (ChatTemplateException failure)
        {
            throw new FailureException($"{path}: {failure.Message}");
        }
    }

    private static IEnumerable<string> Names(ModelText? text) => (text?.ChatTemplates.Keys ?? []).Concat(ChatTemplate.BuiltInNames).Distinct();
}
