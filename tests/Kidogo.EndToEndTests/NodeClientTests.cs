// The official openai package for JavaScript against kidogo serve as a process: tests/npm/openai.test.mjs says what has to hold.
using System.Diagnostics;
using System.Globalization;
using Kidogo.ServingTests;
using Kidogo.Tests.Models.Files;
using Kidogo.TestSupport;

namespace Kidogo.EndToEndTests;

public sealed class NodeClientTests
{
    private static string Folder => Path.Combine(SharedFolder.RepositoryRoot, "tests", "npm");

    [NodeFact]
    public async Task OpenAIPackage_PassesItsConformanceSuite()
    {
        Install();
        using TestFolder folder = new();
        string template = TinyModel.Template.Replace("{% for message", "{% if tools %}{{ tools | tojson }}{# <tool_call> #}{% endif %}{% for message", StringComparison.Ordinal);
        string model = folder.Write("tiny.gguf", TinyModel.File(template, TinyModel.EndlessContext)), encoder = TinyEncoder.Write(folder), keys = folder["keys.json"];
        string key = Key("all"), limited = Key("limited", "--requests-per-minute", "1");
        using Process server = ServeTests.Start("serve", model, encoder, "--port", "0", "--context", "20000", "--threads", "1", "--keys", keys);
        Task<string> warnings = server.StandardError.ReadToEndAsync();
        try
        {
            string ready = (await server.StandardOutput.ReadLineAsync())!;
            (int code, string output) = Run("node", ["--test", "openai.test.mjs"], new()
            {
                ["KIDOGO_URL"] = ready[ready.IndexOf("http", StringComparison.Ordinal)..],
                ["KIDOGO_KEY"] = key,
                ["KIDOGO_LIMITED_KEY"] = limited,
                ["KIDOGO_MODEL"] = "tiny",
                ["KIDOGO_ENCODER"] = "tiny-encoder",
            });
            Assert.True(code == 0, output);
            Assert.Matches("pass 1[0-9]\\b", output); // and not: nothing to test
        }
        finally
        {
            server.Kill();
        }

        Assert.DoesNotContain("failed inside", await warnings, StringComparison.Ordinal);

        string Key(string name, params string[] limits) => KidogoProcess.Run(["key", "create", name, "--keys", keys, .. limits]).Output.Trim();
    }

    [NodeFact]
    public void RequestFields_AreThoseOfTheInstalledPackage()
    {
        Install();
        string file = Path.Combine(Folder, "request-fields.json"), before = File.ReadAllText(file);
        try
        {
            (int code, string output) = Run("node", ["request-fields.mjs"], []);
            Assert.True(code == 0, output);
            Assert.True(before == File.ReadAllText(file), "request-fields.json is not what request-fields.mjs makes of the installed package.");
        }
        finally
        {
            File.WriteAllText(file, before);
        }
    }

    /// <summary>Installs the packages of the lock file, unless they are there.</summary>
    private static void Install()
    {
        lock (typeof(NodeClientTests))
        {
            string stamp = Path.Combine(Folder, "node_modules", ".installed"), wanted = File.ReadAllText(Path.Combine(Folder, "package-lock.json"));
            if (File.Exists(stamp) && File.ReadAllText(stamp) == wanted)
            {
                return;
            }

            (int code, string output) = Run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], []);
            Assert.True(code == 0, output);
            File.WriteAllText(stamp, wanted);
        }
    }

    private static (int Code, string Output) Run(string program, string[] arguments, Dictionary<string, string> environment)
    {
        ProcessStartInfo start = new(program) { WorkingDirectory = Folder, RedirectStandardOutput = true, RedirectStandardError = true };
        Array.ForEach(arguments, start.ArgumentList.Add);
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync(), output = process.StandardOutput.ReadToEndAsync();
        if (!process.WaitForExit(KidogoProcess.Patience))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail(string.Create(CultureInfo.InvariantCulture, $"{program} {string.Join(' ', arguments)} did not end in {KidogoProcess.Patience.TotalMinutes} minutes."));
        }

        return (process.ExitCode, output.Result + error.Result);
    }

    /// <summary>A fact that needs Node and npm, and is skipped, with a message, where they are absent; with KIDOGO_EXPECT_NODE=1 it fails there.</summary>
    [AttributeUsage(AttributeTargets.Method)]
    private sealed class NodeFactAttribute : FactAttribute
    {
        public NodeFactAttribute()
        {
            bool isThere = HasNode();
            if (!isThere && Environment.GetEnvironmentVariable("KIDOGO_EXPECT_NODE") != "1")
            {
                Skip = "needs Node.js 20 or later and npm, which are absent (KIDOGO_EXPECT_NODE=1 makes this a failure)";
            }
        }

        private static bool HasNode()
        {
            const int Oldest = 20; // that the package runs on
            try
            {
                (int status, string version) = Run("node", ["--version"], []);
                return status == 0 && int.TryParse(version.TrimStart('v').Split('.')[0], CultureInfo.InvariantCulture, out int major) && major >= Oldest && Run("npm", ["--version"], []).Code == 0;
            }
            catch (System.ComponentModel.Win32Exception)
            {
                return false; // no such program
            }
        }
    }
}
