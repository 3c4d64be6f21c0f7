// The sample of docs/how-to/route.md: what the page shows is what is compiled, and it runs.
using System.Diagnostics;
using Kidogo.TestSupport;
using Kidogo.Tests.Models.Files;

namespace Kidogo.ServingTests.Routing;

public sealed class SampleTests
{
    [Fact]
    public async Task Sample_OfThePage_IsTheProgramAndAnswers()
    {
        string root = SharedFolder.RepositoryRoot;
        string page = await File.ReadAllTextAsync(Path.Combine(root, "docs", "how-to", "route.md"));
        string[] program = [.. (await File.ReadAllLinesAsync(Path.Combine(root, "samples", "Routed", "Program.cs"))).Where(line => line.Length > 0 && !line.StartsWith("using Kidogo", StringComparison.Ordinal) && !line.StartsWith("using Microsoft", StringComparison.Ordinal) && !line.StartsWith("//", StringComparison.Ordinal))];
        Assert.Contains(string.Join('\n', program), page.ReplaceLineEndings("\n"), StringComparison.Ordinal);

        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        using TestFolder folder = new();
        string model = folder.Write("tiny.gguf", TinyModel.File());
        string policy = folder.Write("cloud.yaml", System.Text.Encoding.UTF8.GetBytes($"upstream: {{name: big, url: '{scripted.Endpoint.AbsoluteUri}'}}\npolicy: {{prefer: upstream-first}}\n"));
        ProcessStartInfo start = new("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        string own = Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory);
        Array.ForEach([Path.Combine(own, "..", "..", "Routed", Path.GetFileName(own), "Routed.dll"), model, policy, "Habari gani?"], start.ArgumentList.Add);
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync(new CancellationTokenSource(TimeSpan.FromMinutes(5)).Token);
        Assert.True(process.ExitCode == 0, await error);
        Assert.Equal("You said: Habari gani?\n(big: The policy prefers the upstream.)", (await output).ReplaceLineEndings("\n").Trim());
    }
}
