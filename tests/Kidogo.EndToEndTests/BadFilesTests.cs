// Files that people hand over and that are wrong: the message has the file and the place, as people count.

namespace Kidogo.EndToEndTests;

public sealed class BadFilesTests
{
    [Theory]
    [InlineData("[\n {\"role\":\"user\",}]", "line 2, column 17")]
    [InlineData("[{\"role\":\"user\",\"content\":\"x\"},{\"content\":\"y\"}]", "Message 2")]
    [InlineData("[{\"role\":\"user\"}]", "Message 1")]
    public void Messages_ThatAreWrong_NameFileAndPlace(string json, string place)
    {
        using TemporaryFolder folder = new();
        string template = folder.File("t.jinja", "{{ messages }}"), messages = folder.File("m.json", json);
        Outcome outcome = KidogoProcess.Run("template", template, "--messages", messages);
        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains("m.json", outcome.Error, StringComparison.Ordinal);
        Assert.Contains(place, outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("BytePositionInLine", outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Messages_ThatAreNoUtf8_SaySo()
    {
        using TemporaryFolder folder = new();
        string template = folder.File("t.jinja", "{{ messages[0].content }}"), messages = folder.At("m.json");
        File.WriteAllBytes(messages, [.. "[{\"role\":\"user\",\"content\":\""u8, 0xFF, .. "\"}]"u8]);
        Outcome outcome = KidogoProcess.Run("template", template, "--messages", messages);
        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains("m.json is not valid UTF-8", outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Template_ThatIsWrong_NamesItsFile()
    {
        using TemporaryFolder folder = new();
        string template = folder.File("t.jinja", "{% if %}"), messages = folder.File("m.json", "[]");
        Assert.Contains("t.jinja: chat template, line 1", KidogoProcess.Run("template", template, "--messages", messages).Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Verb_ThatIsNothingLikeAnother_IsNotGuessedAt() =>
        Assert.DoesNotContain("nearest", KidogoProcess.Run("zzzzzzz").Error, StringComparison.Ordinal);

    [Fact]
    public void Help_AsAVerb_ShowsTheHelp() => Assert.Contains("  tokenize ", KidogoProcess.Run("help").Output, StringComparison.Ordinal);
}
