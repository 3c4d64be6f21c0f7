// tokenizer train, through the program: files in, a folder out that the other verbs read.
using System.Diagnostics;
using System.IO.Compression;
using System.Text;
using System.Text.Json;

namespace Kidogo.EndToEndTests;

public sealed class TokenizerTrainTests
{
    private const string Sentence = "Habari ya asubuhi, ng'ombe wanakula nyasi; the cows eat grass in 2024.";

    [Theory]
    [InlineData("bpe")]
    [InlineData("unigram")]
    public void Train_FilesOfAllSorts_GivesATokenizerThatTheOtherVerbsRead(string kind)
    {
        using TemporaryFolder folder = new();
        string texts = folder.At("texts");
        Directory.CreateDirectory(texts);
        File.WriteAllText(Path.Combine(texts, "a.txt"), Repeat(200));
        File.WriteAllText(Path.Combine(texts, "b.jsonl"), string.Concat(Enumerable.Range(0, 100).Select(i => JsonSerializer.Serialize(new Dictionary<string, string> { ["body"] = $"{Sentence} {i}" }) + "\n")));
        using (GZipStream packed = new(File.Create(Path.Combine(texts, "c.txt.gz")), CompressionLevel.Fastest))
        {
            packed.Write(Encoding.UTF8.GetBytes(Repeat(100)));
        }

        string output = folder.At("out");
        Outcome outcome = KidogoProcess.Run("tokenizer", "train", texts, "--field", "body", "--out", output, "--kind", kind, "--vocabulary", kind == "bpe" ? "290" : "400", "--special", "<tool>", "--chat-template", "--json");
        Assert.Equal("", outcome.Error); // piped: no bar
        JsonElement json = outcome.Json();
        Assert.Equal(["vocabulary", "bytes_per_token", "tokens_per_word", "files"], json.EnumerateObject().Select(member => member.Name));
        Assert.Equal(kind == "bpe" ? 290 : 400, json.GetProperty("vocabulary").GetInt32());
        Assert.True(json.GetProperty("bytes_per_token").GetDouble() > 1.2); // bytes alone would be 1
        Assert.Equal(["a.txt", "b.jsonl", "c.txt.gz"], json.GetProperty("files").EnumerateArray().Select(file => Path.GetFileName(file.GetProperty("name").GetString())));
        Assert.Equal(["chat_template.jinja", "tokenizer.json", "tokenizer_config.json"], Directory.GetFileSystemEntries(output).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));

        Outcome ids = KidogoProcess.RunWith(Sentence, "tokenize", output);
        Assert.Equal(0, ids.ExitCode);
        Assert.Equal(Sentence, KidogoProcess.RunBytes(ids.OutputBytes, ["detokenize", output]).Output);
        Assert.Equal(kind == "bpe" ? "4\n" : "5\n", KidogoProcess.RunWith("<tool>", "tokenize", output, "--special").Output);
    }

    [Fact]
    public void Train_ForPeople_PrintsALineForEachFileAndASum()
    {
        using TemporaryFolder folder = new();
        string first = folder.File("swa.txt", Repeat(50)), second = folder.File("eng.txt", Repeat(60));
        Outcome outcome = KidogoProcess.Run("tokenizer", "train", first, second, "--out", folder.At("out"), "--vocabulary", "300");
        Assert.Equal(0, outcome.ExitCode);
        string[] lines = outcome.Output.Split('\n');
        Assert.Contains("tokens a word", lines[0]);
        Assert.StartsWith(first, lines[1]);
        Assert.StartsWith(second, lines[2]);
        Assert.StartsWith("all", lines[3]);
        Assert.Contains("300 entries", outcome.Output);
    }

    [Fact]
    public void Train_BadInput_IsOneLineAndLeavesNothing()
    {
        using TemporaryFolder folder = new();
        string good = folder.File("good.txt", Repeat(50)), empty = folder.File("empty.txt", ""), lines = folder.File("lines.jsonl", "{\"text\": \"one\"}\n{\"other\": \"two\"}\n");
        string invalid = folder.At("invalid.txt"), output = folder.At("out");
        File.WriteAllBytes(invalid, [.. Encoding.UTF8.GetBytes(Repeat(50)), 0xFF, 0xFE]);

        AssertFails("at most", "train", good, "--out", output, "--vocabulary", "50000");
        AssertFails("at most", "train", good, "--out", output, "--vocabulary", "50000", "--kind", "unigram");
        AssertFails("at least", "train", good, "--out", output, "--vocabulary", "100");
        AssertFails("empty", "train", empty, "--out", output);
        AssertFails("lines.jsonl, line 2", "train", lines, "--out", output);
        AssertFails("not UTF-8", "train", invalid, "--out", output, "--vocabulary", "300", "--strict");
        AssertFails("absent.txt", "train", folder.At("absent.txt"), "--out", output);
        AssertFails("is a file", "train", good, "--out", good, "--vocabulary", "300");
        Assert.False(Directory.Exists(output));

        Outcome replaced = KidogoProcess.Run("tokenizer", "train", invalid, "--out", output, "--vocabulary", "300");
        Assert.Equal(0, replaced.ExitCode);
        Assert.Contains("2 bytes", replaced.Error);
        File.WriteAllText(Path.Combine(output, "config.json"), "{}");
        AssertFails("holds a model", "train", good, "--out", output, "--vocabulary", "300");
        Assert.Equal(2, KidogoProcess.Run("tokenizer", "train", good).ExitCode);
        Assert.Equal(2, KidogoProcess.Run("tokenizer", "train", good, "--out", output, "--kind", "word").ExitCode);
        Assert.Equal(2, KidogoProcess.Run("tokenizer").ExitCode);
    }

    [Fact]
    public async Task Train_Interrupted_Gives130AndLeavesNothing()
    {
        if (OperatingSystem.IsWindows())
        {
            return; // there is no kill -INT
        }

        using TemporaryFolder folder = new();
        Random random = new(5);
        string large = folder.File("large.txt", string.Join('\n', Enumerable.Range(0, 200_000).Select(_ => string.Join(' ', Enumerable.Range(0, 12).Select(_ => Word(random))))));
        ProcessStartInfo start = new("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in (string[])[KidogoProcess.Assembly, "tokenizer", "train", large, "--out", folder.At("out"), "--kind", "unigram", "--vocabulary", "30000"])
        {
            start.ArgumentList.Add(argument);
        }

        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        for (int i = 0; i < 600 && !process.HasExited && process.TotalProcessorTime < TimeSpan.FromSeconds(1.5); i++)
        {
            await Task.Delay(100);
            process.Refresh();
        }

        using Process kill = Process.Start("kill", ["-INT", $"{process.Id}"]);
        using CancellationTokenSource patience = new(60_000);
        await process.WaitForExitAsync(patience.Token);
        Assert.Equal("", await output);
        Assert.Equal("interrupted\n", await error);
        Assert.Equal(130, process.ExitCode);
        Assert.False(Directory.Exists(folder.At("out")));
    }

    // Letters only, so that there are a great many strings to weigh.
    private static string Word(Random random) => string.Create(random.Next(4, 10), random, static (word, random) =>
    {
        for (int i = 0; i < word.Length; i++)
        {
            word[i] = (char)('a' + random.Next(26));
        }
    });

    private static void AssertFails(string named, params string[] arguments)
    {
        Outcome outcome = KidogoProcess.Run(["tokenizer", .. arguments]);
        Assert.Equal(1, outcome.ExitCode);
        Assert.Equal("", outcome.Output);
        Assert.Contains(named, outcome.Error);
        Assert.Single(outcome.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    private static string Repeat(int times) => string.Concat(Enumerable.Range(0, times).Select(i => $"{Sentence} {i * 7}\n"));
}
