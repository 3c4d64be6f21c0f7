// Which stretches of a rendered conversation come from which message.
using System.Text.Json;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Tests.Text.ChatTemplates;

public sealed class MessageRangeTests
{
    [Theory]
    [InlineData("{% for m in messages %}[{{ m.content }}]{% endfor %}", "0:one,1:two,2:three")]
    [InlineData("{% for m in messages %}[{{ m.content | trim | upper }}]{% endfor %}", "0:ONE,1:TWO,2:THREE")]
    [InlineData("{{ messages[1].content }}{{ messages[0].content }}", "1:two,0:one")]
    [InlineData("{{ messages[0].content }} and {{ messages[0].content }}", "0:one and one")]
    [InlineData("{{ messages[0].content }}{{ messages[1].content }}{{ messages[0].content }}", "0:one,1:two,0:one")]
    [InlineData("{{ messages[2].content | tojson }}", "2:three")]
    [InlineData("{{ messages[2].content[1:3] }}", "2:hr")]
    [InlineData("nobody {{ messages | length }}", "")]
    public void Render_Messages_AreFoundWhereTheyAreWritten(string template, string expected)
    {
        RenderedPrompt prompt = ChatTemplate.Parse(template).Render(ChatTemplateInput.FromMessages([new("user", "one"), new("assistant", "two"), new("user", "three")]));
        Assert.Equal(expected, string.Join(',', prompt.Messages.Select(range => $"{range.Message}:{prompt.Text[range.Start..range.End]}")));
        Assert.Equal(prompt.Text, string.Concat(prompt.Spans.Select(span => span.Text)));
        Assert.All(prompt.Spans.Zip(prompt.Spans.Skip(1)), pair => Assert.NotEqual(pair.First.AllowSpecial, pair.Second.AllowSpecial));
    }

    [Fact]
    public void Render_EscapesWithinAMessage_DoNotDivideIt()
    {
        JsonElement message = JsonDocument.Parse("""{"role":"assistant","content":"a\nb\"c"}""").RootElement;
        RenderedPrompt prompt = ChatTemplate.Parse("{{ messages[0].content | tojson }}").Render(new ChatTemplateInput { Messages = [message] });
        MessageRange range = Assert.Single(prompt.Messages);
        Assert.Equal("a\\nb\\\"c", prompt.Text[range.Start..range.End]);
    }
}
