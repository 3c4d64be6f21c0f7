// The README's commands run. `dotnet test` is not run within itself, and the program is the one that was built for the tests.
using System.Diagnostics;
using Kidogo.TestSupport;

namespace Kidogo.EndToEndTests;

public sealed class ReadmeTests
{
    private const string BuildAndRun = "dotnet run -c Release --project src/Kidogo.Cli -- ";

    [Fact]
    public void Readme_HasTheTwoCommands()
    {
        string[] commands = [.. Commands()];
        Assert.Contains(BuildAndRun + "run \"Why is the sky blue?\"", commands);
        Assert.Contains("dotnet test", commands);
        Assert.True(File.Exists(Path.Combine(SharedFolder.RepositoryRoot, "src", "Kidogo.Cli", "Kidogo.Cli.csproj")));
    }

    [SharedFact]
    public void Readme_Commands_Run()
    {
        if (!File.Exists("/bin/sh"))
        {
            return; // the README's commands are those of a Unix shell
        }

        string model = SharedFolder.PathOf("models", "SmolLM2-135M-Instruct.Q4_1.gguf");
        string kidogo = $"dotnet '{KidogoProcess.Assembly}' ";
        string folder = Directory.CreateTempSubdirectory("kidogo-readme-").FullName;
        string texts = Directory.CreateDirectory(Path.Combine(folder, "texts")).FullName;
        File.Copy(ReadmePath, Path.Combine(texts, "readme.txt"));
        File.Copy(Path.Combine(SharedFolder.RepositoryRoot, "docs", "lab-log.md"), Path.Combine(texts, "log.txt"));
        foreach (string command in Commands().Where(command => command != "dotnet test"))
        {
            string shell = command.Split("    #")[0].Replace(BuildAndRun, "kidogo ", StringComparison.Ordinal).Replace("path/to/model.gguf", $"'{model}'", StringComparison.Ordinal)
                .Replace("path/to/texts", $"'{texts}'", StringComparison.Ordinal).Replace("--minutes 30", "--steps 2", StringComparison.Ordinal).Replace("kidogo ", kidogo, StringComparison.Ordinal);
            shell += command.Contains(" run ", StringComparison.Ordinal) && !command.Contains("--max-tokens", StringComparison.Ordinal) ? " --max-tokens 8" : "";
            ProcessStartInfo start = new("/bin/sh") { WorkingDirectory = folder, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
            start.ArgumentList.Add("-c");
            start.ArgumentList.Add(shell);
            using Process process = Process.Start(start)!;
            process.StandardInput.Close();
            Task<string> error = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            Assert.True(process.WaitForExit(120_000), command);
            Assert.True(process.ExitCode == 0, $"{command}: {error.Result}");
            Assert.True(output.Length > 0 || error.Result.Length > 0, $"{command} said nothing.");
            if (command.Contains("tokenize ", StringComparison.Ordinal))
            {
                Assert.Contains(output.Trim(), File.ReadAllText(ReadmePath), StringComparison.Ordinal);
            }
        }

        Directory.Delete(folder, recursive: true);
    }

    private static string ReadmePath => Path.Combine(SharedFolder.RepositoryRoot, "README.md");

    /// <summary>The lines of <c>sh</c> blocks, and those of <c>console</c> blocks that begin with a dollar.</summary>
    private static IEnumerable<string> Commands()
    {
        string? block = null;
        foreach (string line in File.ReadLines(ReadmePath))
        {
            if (line.StartsWith("```", StringComparison.Ordinal))
            {
                block = block is null ? line[3..] : null;
            }
            else if (block == "sh" && line.Length > 0)
            {
                yield return line;
            }
            else if (block == "console" && line.StartsWith("$ ", StringComparison.Ordinal))
            {
                yield return line[2..];
            }
        }
    }
}
