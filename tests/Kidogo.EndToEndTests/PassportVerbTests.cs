// From deriving to verifying, as a process: names of --json, exit statuses, what a stranger's file can do.
using System.Text.Json;
using Kidogo.TestSupport;

namespace Kidogo.EndToEndTests;

public sealed class PassportVerbTests
{
    private static string TinyModel => SharedFolder.PathOf("golden", "families", "llama", "model.gguf");

    [SharedFact]
    public void Verify_OfAQuantisedModel_HoldsUntilAByteChanges()
    {
        using TemporaryFolder folder = new();
        string text = folder.File("text.txt", string.Concat(Enumerable.Repeat("Habari ya asubuhi, dunia! ", 40))), model = folder.At("q.gguf");
        Assert.Equal(0, KidogoProcess.Run("quantize", TinyModel, model, "--format", "Q8_0", "--pure", "--measure", text).ExitCode);
        JsonElement claims = KidogoProcess.Run("verify", model, "--parent", TinyModel, "--json").Json().GetProperty("claims");
        foreach (JsonElement claim in claims.EnumerateArray())
        {
            Assert.Equal(["claimed", "holds", "measured", "name"], claim.EnumerateObject().Select(member => member.Name).Order());
            Assert.True(claim.GetProperty("holds").GetBoolean());
        }

        Assert.Contains("passport", KidogoProcess.Run("inspect", model, "--json").Json().EnumerateObject().Select(member => member.Name));
        byte[] bytes = File.ReadAllBytes(model);
        bytes[^1] ^= 1;
        File.WriteAllBytes(model, bytes);
        Outcome changed = KidogoProcess.Run("verify", model, "--json");
        Assert.Equal(1, changed.ExitCode);
        using JsonDocument json = JsonDocument.Parse(changed.Output);
        Assert.Contains(json.RootElement.GetProperty("claims").EnumerateArray(), claim => claim.GetProperty("name").GetString()!.StartsWith("tensor ", StringComparison.Ordinal) && !claim.GetProperty("holds").GetBoolean());
    }

    [SharedFact]
    public void Verify_OfAModelWithoutPassport_FailsWithOneLine()
    {
        Outcome outcome = KidogoProcess.Run("verify", TinyModel);
        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains("has no passport", outcome.Error, StringComparison.Ordinal);
        Assert.Empty(outcome.Output);
    }

    [SharedFact]
    public void TrimVocabulary_HasItsNamesAndLeavesNothingBehindWhereItFails()
    {
        using TemporaryFolder folder = new();
        string text = folder.File("text.txt", "the fox and the dog and the fox"), output = folder.At("t.gguf");
        JsonElement json = KidogoProcess.Run("trim-vocabulary", TinyModel, output, "--text", text, "--json").Json();
        Assert.True(json.GetProperty("vocabulary_after").GetInt32() <= json.GetProperty("vocabulary_before").GetInt32());
        Assert.Equal(new FileInfo(output).Length, json.GetProperty("bytes").GetInt64());
        JsonElement cost = Assert.Single(json.GetProperty("texts").EnumerateArray());
        Assert.Equal(cost.GetProperty("tokens_before").GetInt64(), cost.GetProperty("tokens_after").GetInt64());
        Outcome tooSmall = KidogoProcess.Run("trim-vocabulary", TinyModel, folder.At("u.gguf"), "--text", text, "--keep", "2");
        Assert.Equal(1, tooSmall.ExitCode);
        Assert.Contains("or more", tooSmall.Error, StringComparison.Ordinal);
        Outcome absent = KidogoProcess.Run("trim-vocabulary", TinyModel, folder.At("u.gguf"), "--text", folder.At("absent.txt"));
        Assert.Equal(1, absent.ExitCode);
        Outcome over = KidogoProcess.Run("trim-vocabulary", TinyModel, text, "--text", text);
        Assert.Equal(1, over.ExitCode);
        Assert.Contains("what is read", over.Error, StringComparison.Ordinal);
        Outcome empty = KidogoProcess.Run("trim-vocabulary", TinyModel, folder.At("u.gguf"), "--text", folder.File("empty.txt", ""));
        Assert.Equal(1, empty.ExitCode);
        Assert.Contains("empty.txt holds no text", empty.Error, StringComparison.Ordinal);
        Assert.Equal(["empty.txt", "t.gguf", "text.txt"], Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName).Order());
        Assert.Equal(2, KidogoProcess.Run("trim-vocabulary", TinyModel, output).ExitCode);
    }
}
