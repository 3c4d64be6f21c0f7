// Renderings of public models' templates, equal to those of Jinja2 set up as Transformers does.
using System.Text.Json;
using Kidogo.TestSupport;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Tests.Text.ChatTemplates;

public sealed class ChatTemplateGoldenTests
{
    public static TheoryData<string> Names()
    {
        TheoryData<string> names = [];
        if (SharedFolder.Root is not null)
        {
            foreach (string file in Directory.GetFiles(SharedFolder.PathOf("golden", "templates"), "*.jinja").Order(StringComparer.Ordinal))
            {
                names.Add(Path.GetFileNameWithoutExtension(file));
            }
        }
        else
        {
            names.Add("none");
        }

        return names;
    }

    [SharedTheory]
    [MemberData(nameof(Names))]
    public void Template_OfPublicModel_RendersAsTransformers(string name)
    {
        using JsonDocument cases = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden", "templates", "cases.json")));
        using JsonDocument expected = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden", "templates", name + ".expected.json")));
        ChatTemplate template = ChatTemplate.Parse(File.ReadAllText(SharedFolder.PathOf("golden", "templates", name + ".jinja")));
        Dictionary<string, JsonElement> variables = cases.RootElement.GetProperty("common").EnumerateObject().ToDictionary(p => p.Name, p => p.Value);
        int compared = 0;
        foreach (JsonProperty conversation in cases.RootElement.GetProperty("cases").EnumerateObject())
        {
            ChatTemplateInput input = new()
            {
                Messages = [.. conversation.Value.GetProperty("messages").EnumerateArray()],
                Tools = conversation.Value.TryGetProperty("tools", out JsonElement tools) ? tools : null,
                Variables = variables,
                Now = DateTimeOffset.Parse(cases.RootElement.GetProperty("now").GetString()!, System.Globalization.CultureInfo.InvariantCulture),
            };
            JsonElement outcome = expected.RootElement.GetProperty(conversation.Name);
            if (outcome.TryGetProperty("rendered", out JsonElement rendered))
            {
                RenderedPrompt prompt = template.Render(input);
                Assert.Equal(rendered.GetString(), prompt.Text);
                Assert.Equal(prompt.Text, string.Concat(prompt.Spans.Select(span => span.Text)));
            }
            else
            {
                ChatTemplateException error = Assert.Throws<ChatTemplateException>(() => template.Render(input));
                Assert.Equal(outcome.GetProperty("error").GetString(), (error.RefusedByTemplate ? "TemplateError: " : string.Empty) + error.Problem);
            }

            compared++;
        }

        Assert.Equal(4, compared);
    }
}
