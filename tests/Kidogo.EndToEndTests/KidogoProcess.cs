// Runs the built program as a process, as people and scripts do. Knows no verb.
using System.Diagnostics;
using System.Text;
using System.Text.Json;

namespace Kidogo.EndToEndTests;

/// <summary>What a run of the program left behind.</summary>
internal sealed record Outcome(int ExitCode, byte[] OutputBytes, string Error)
{
    public string Output => Encoding.UTF8.GetString(OutputBytes);

    /// <summary>The one JSON object of the output.</summary>
    public JsonElement Json()
    {
        Assert.True(ExitCode == 0, Error);
        string[] lines = Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Single(lines);
        using JsonDocument document = JsonDocument.Parse(lines[0]);
        return document.RootElement.Clone();
    }
}

internal static class KidogoProcess
{
    /// <summary>How long a process may take: generous, for a busy machine gives it a hundredth of a processor.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    public static string Assembly { get; } = Path.Combine(AppContext.BaseDirectory, "kidogo.dll");

    public static Outcome Run(params string[] arguments) => RunWith("", arguments);

    public static Outcome RunWith(string input, params string[] arguments) => RunBytes(Encoding.UTF8.GetBytes(input), arguments);

    public static Outcome RunBytes(byte[] input, string[] arguments, Action<ProcessStartInfo>? change = null)
    {
        ProcessStartInfo start = new("dotnet") { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(Assembly);
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        change?.Invoke(start);
        using Process process = Process.Start(start)!;
        using MemoryStream output = new();
        Task reading = process.StandardOutput.BaseStream.CopyToAsync(output);
        Task<string> error = process.StandardError.ReadToEndAsync();
        try
        {
            process.StandardInput.BaseStream.Write(input);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended before it read all.
        }

        if (!process.WaitForExit(Patience))
        {
            process.Kill();
            Assert.Fail($"kidogo {string.Join(' ', arguments)} did not end.");
        }

        Task.WaitAll(reading, error);
        return new Outcome(process.ExitCode, output.ToArray(), error.Result);
    }
}

/// <summary>A folder that goes when the test ends.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("kidogo-tests-").FullName;

    public string File(string name, string content)
    {
        string path = At(name);
        System.IO.File.WriteAllText(path, content);
        return path;
    }

    public string At(string name) => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
