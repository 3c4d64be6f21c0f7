// Idioms of many models' templates against what Jinja2 renders from them; tests/fixtures/templates says how they were made.
using System.Globalization;
using System.Text.Json;
using Kidogo.TestSupport;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Tests.Text.ChatTemplates;

public sealed class ChatTemplateIdiomTests
{
    private static JsonElement Fixture { get; } =
        JsonDocument.Parse(File.ReadAllBytes(Path.Combine(SharedFolder.RepositoryRoot, "tests", "fixtures", "templates", "idioms.json"))).RootElement;

    public static TheoryData<int> Cases() => [.. Enumerable.Range(0, Fixture.GetProperty("cases").GetArrayLength())];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Idiom_Rendered_EqualsJinja(int index)
    {
        JsonElement idiom = Fixture.GetProperty("cases")[index];
        string source = idiom.GetProperty("template").GetString()!;
        if (idiom.TryGetProperty("rendered", out JsonElement rendered))
        {
            RenderedPrompt prompt = ChatTemplate.Parse(source).Render(Input());
            Assert.Equal(rendered.GetString(), prompt.Text);
        }
        else
        {
            ChatTemplateException error = Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(source).Render(Input()));
            string expected = idiom.GetProperty("error").GetString()!;
            Assert.True(error.Line >= 1 && error.Column >= 1, error.Message);
            if (expected.StartsWith("TemplateError: ", StringComparison.Ordinal))
            {
                Assert.Equal(expected["TemplateError: ".Length..], error.Problem);
                Assert.True(error.RefusedByTemplate);
            }
        }
    }

    private static ChatTemplateInput Input()
    {
        JsonElement variables = Fixture.GetProperty("variables");
        return new()
        {
            Messages = [.. variables.GetProperty("messages").EnumerateArray()],
            Tools = variables.GetProperty("tools"),
            BosToken = variables.GetProperty("bos_token").GetString(),
            EosToken = variables.GetProperty("eos_token").GetString(),
            AddGenerationPrompt = true,
            Now = DateTimeOffset.Parse(Fixture.GetProperty("now").GetString()!, CultureInfo.InvariantCulture),
        };
    }
}
