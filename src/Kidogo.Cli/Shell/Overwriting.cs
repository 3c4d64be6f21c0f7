// A verb does not write over what it reads. Knows no verb.
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Cli.Shell;

/// <summary>Compares an output with inputs before anything is written.</summary>
/// <remarks>By real paths: files are written beside and renamed, so that another name of the same file (a hard link) keeps the old one.</remarks>
internal static class Overwriting
{
    private static readonly string[] s_modelFiles = [".safetensors", ".json", ".gguf", ".jinja", ".model"];

    /// <summary>Throws where <paramref name="output"/> is one of the files, or of the model's files.</summary>
    /// <exception cref="FailureException">It is.</exception>
    public static void Refuse(string output, ModelHeader? model, params ReadOnlySpan<string?> files)
    {
        if (output.Length == 0)
        {
            return;
        }

        string target = RealPath.Of(output);
        foreach (string? file in files)
        {
            RefuseSame(output, target, file);
        }

        if (model?.Folder is { } folder)
        {
            RefuseSame(output, target, folder.Path);
            bool isIn = Same(Path.GetDirectoryName(target), RealPath.Of(folder.Path)) && File.Exists(target);
            RefuseSame(output, target, isIn && s_modelFiles.Contains(Path.GetExtension(target), StringComparer.OrdinalIgnoreCase) ? target : null);
        }

        foreach (string part in model?.Gguf?.Parts ?? [])
        {
            RefuseSame(output, target, part);
        }

        RefuseSame(output, target, model?.Path);
    }

    private static void RefuseSame(string output, string target, string? input)
    {
        if (input is { Length: > 0 } && Same(target, RealPath.Of(input)))
        {
            throw new FailureException($"{output} is what is read, too: it would be written over. Name another place for what is written.");
        }
    }

    private static bool Same(string? one, string other) => string.Equals(one, other, OperatingSystem.IsLinux() ? StringComparison.Ordinal : StringComparison.OrdinalIgnoreCase);
}
