// A plain message. Whoever needs tool calls or parts passes JSON instead.
using System.Text.Json;

namespace Kidogo.Text.ChatTemplates;

/// <summary>A message that is only text.</summary>
/// <param name="Role">Who speaks: <c>system</c>, <c>user</c>, <c>assistant</c>, <c>tool</c>, <c>developer</c>, or what the template knows.</param>
/// <param name="Content">What is said.</param>
public sealed record ChatMessage(string Role, string Content)
{
    /// <summary>The message as the JSON object <c>{"role": …, "content": …}</c>.</summary>
    public JsonElement ToJson() => JsonBuilding.Element(json =>
    {
        json.WriteStartObject();
        json.WriteString("role"u8, Role);
        json.WriteString("content"u8, Content);
        json.WriteEndObject();
    });
}
