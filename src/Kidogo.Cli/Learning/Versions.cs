// The versions of what was learned, and which of them is in use. Knows no training.
using System.Globalization;
using System.Text;
using System.Text.Json;
using Kidogo.Cli.Shell;
using Kidogo.Models.Adapters;
using Kidogo.Models.Files;
using Kidogo.Tensors;

namespace Kidogo.Cli.Learning;

/// <summary>A version, as its manifest tells it.</summary>
/// <param name="Number">Its number; 0 is the model as it is.</param>
/// <param name="Parent">The version that was in use when it was made.</param>
/// <param name="Created">When, as ISO 8601.</param>
/// <param name="Refusals">Why it may not be used; nothing where it may.</param>
/// <param name="Scores">The numbers, in a sentence.</param>
internal sealed record VersionInfo(int Number, int Parent, string Created, IReadOnlyList<string> Refusals, string Scores);

/// <summary>A folder of versions: <c>versions/N</c> with an adapter and a manifest each, and <c>current</c>, which names the one in use.</summary>
internal sealed class Versions(string folder)
{
    public const string ManifestName = "manifest.json";

    private const int MostManifestBytes = 1 << 20;

    /// <summary>The version in use; 0 for the model as it is.</summary>
    public int Current => AdapterFiles.CurrentOf(folder);

    /// <summary>All versions but 0, in their order.</summary>
    public IReadOnlyList<VersionInfo> All
    {
        get
        {
            string path = Path.Combine(folder, AdapterFiles.VersionsFolder);
            int[] numbers = Directory.Exists(path)
                ? [.. Directory.EnumerateDirectories(path).Select(each => int.TryParse(Path.GetFileName(each), NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : 0).Where(number => number > 0).Order()]
                : [];
            return [.. numbers.Select(Read)];
        }
    }

    /// <summary>The adapter of a version.</summary>
    public string PathOf(int number) => AdapterFiles.VersionOf(folder, number);

    /// <summary>Puts a version in use.</summary>
    /// <exception cref="FailureException">There is none of that number.</exception>
    public void Use(int number)
    {
        if (number > 0 && !PeftFolder.IsOne(PathOf(number)))
        {
            throw new FailureException($"There is no version {number} in {folder}. There are {string.Join(", ", All.Select(version => version.Number).Prepend(0))}; 0 is the model as it is.");
        }

        NewFile.Write(Path.Combine(folder, AdapterFiles.CurrentName), Encoding.ASCII.GetBytes($"{number.ToString(CultureInfo.InvariantCulture)}\n"));
        FolderFlush.Flush(folder);
    }

    /// <summary>Keeps a finished adapter as the next version.</summary>
    /// <param name="made">A folder on the same disk that is moved; it has its manifest already.</param>
    /// <param name="number">The number.</param>
    public void Keep(string made, int number)
    {
        string versions = Path.Combine(folder, AdapterFiles.VersionsFolder);
        Directory.CreateDirectory(versions);
        FolderFlush.Flush(made);
        Directory.Move(made, PathOf(number));
        FolderFlush.Flush(versions);
    }

    /// <summary>A version's manifest.</summary>
    /// <exception cref="FailureException">It cannot be read.</exception>
    public VersionInfo Read(int number)
    {
        string path = Path.Combine(PathOf(number), ManifestName);
        try
        {
            using JsonDocument json = JsonDocument.Parse(InputFile.ReadAll(path, MostManifestBytes));
            JsonElement root = json.RootElement;
            return new VersionInfo(number, root.GetProperty("parent").GetInt32(), root.GetProperty("created").GetString() ?? "",
                [.. root.GetProperty("refused_because").EnumerateArray().Select(why => why.GetString() ?? "")], root.GetProperty("scores_in_words").GetString() ?? "");
        }
        catch (Exception failure) when (failure is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new FailureException($"{path} is damaged: {failure.Message} The adapter beside it can still be named with --adapter.");
        }
    }
}
