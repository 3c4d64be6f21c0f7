// The demo's folder: which steps are finished, and nothing of others written over. Knows names and times, not what steps do.
using System.Text.Json;
using Kidogo.Models.Files;
using Kidogo.Models.Passports;
using Kidogo.Training;

namespace Kidogo.Compression.Demo;

/// <summary>A folder whose steps are noted once they are whole, so that a run goes on where another was interrupted.</summary>
internal sealed class DemoFolder
{
    private const string StateName = "demo.json";

    /// <summary>All that the demo writes; nothing else is ever removed.</summary>
    private static readonly string[] s_own =
        ["texts", "tokenizer", "model", "student", "pruned", "adapter", "variants", "judged", "model-q4.gguf", "report.html", "report.md", "report.json", StateName];

    private readonly Dictionary<string, double> _seconds = [];
    private readonly DemoOptions _options;

    private DemoFolder(string path, DemoOptions options) => (Path, _options) = (path, options);

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>Opens a folder that is new, empty, or of a demo with the same options.</summary>
    /// <exception cref="TrainingFailedException">It holds something else.</exception>
    public static DemoFolder Open(DemoOptions options)
    {
        string path = System.IO.Path.GetFullPath(options.Folder);
        if (File.Exists(path))
        {
            throw new TrainingFailedException($"{path} is a file, where a folder was expected. Give another --out.");
        }

        DemoFolder folder = new(path, options);
        string state = folder.At(StateName);
        if (File.Exists(state))
        {
            folder.Read(state);
            return folder;
        }

        if (Directory.Exists(path) && Directory.EnumerateFileSystemEntries(path).Any())
        {
            throw new TrainingFailedException($"{path} is not empty and holds no demo, so nothing is written there. Give another --out.");
        }

        Directory.CreateDirectory(path);
        folder.Write();
        return folder;
    }

    /// <summary>Removes what an earlier demo wrote; of a folder without one, nothing.</summary>
    public static void Clear(string folder)
    {
        if (!File.Exists(System.IO.Path.Combine(folder, StateName)))
        {
            return;
        }

        foreach (string path in s_own.Select(name => System.IO.Path.Combine(folder, name)))
        {
            if (Directory.Exists(path))
            {
                Directory.Delete(path, recursive: true);
            }
            else
            {
                File.Delete(path);
            }
        }
    }

    /// <summary>A path in it.</summary>
    public string At(params ReadOnlySpan<string> names) => System.IO.Path.Combine([Path, .. names]);

    /// <summary>The time of a finished step; null where it is not finished.</summary>
    public TimeSpan? TimeOf(string step) => _seconds.TryGetValue(step, out double seconds) ? TimeSpan.FromSeconds(seconds) : null;

    /// <summary>Notes a step as finished.</summary>
    public void Finish(string step, TimeSpan time)
    {
        _seconds[step] = time.TotalSeconds;
        Write();
    }

    private void Read(string state)
    {
        string advice = "Begin again with --force, or give another --out.";
        try
        {
            using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(state));
            JsonElement root = json.RootElement;
            string made = $"{root.GetProperty("program").GetString()}, seed {root.GetProperty("seed").GetUInt64()}, {root.GetProperty("length").GetString()}";
            string wanted = $"{PassportRecipe.ThisProgram}, seed {_options.Seed}, {NameOf(_options.Length)}";
            if (made != wanted)
            {
                throw new TrainingFailedException($"{Path} holds a demo of {made}; asked for is {wanted}. {advice}");
            }

            foreach (JsonProperty step in root.GetProperty("steps").EnumerateObject())
            {
                _seconds[step.Name] = step.Value.GetDouble();
            }
        }
        catch (Exception failure) when (failure is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new TrainingFailedException($"{state} is damaged: {failure.Message} {advice}", failure);
        }
    }

    private void Write()
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteString("program", PassportRecipe.ThisProgram);
            json.WriteNumber("seed", _options.Seed);
            json.WriteString("length", NameOf(_options.Length));
            json.WriteStartObject("steps");
            foreach ((string step, double seconds) in _seconds)
            {
                json.WriteNumber(step, seconds);
            }

            json.WriteEndObject();
            json.WriteEndObject();
        }

        NewFile.Write(At(StateName), bytes.ToArray());
    }

    private static string NameOf(DemoLength length) => length switch { DemoLength.Quick => "quick", DemoLength.Usual => "usual", _ => "long" };
}
