// From messages of Microsoft.Extensions.AI to those that templates read. Knows roles and contents, no template's syntax.
using System.Text;
using System.Text.Json;
using Kidogo.Text;
using Microsoft.Extensions.AI;

namespace Kidogo.Inference.Chat;

/// <summary>Reads conversations: every content is honoured, or refused by its type.</summary>
internal static class ConversationReader
{
    /// <summary>The messages for a template: plain texts, tool calls with their arguments as objects, results of tools as messages of their own.</summary>
    /// <param name="messages">The conversation.</param>
    /// <param name="instructions">What the model is told before it; put before the conversation's own system message where it begins with one, as many templates take only one.</param>
    /// <param name="knowsDeveloper">Whether the template has a role of that name; else it is the system's.</param>
    /// <exception cref="ArgumentException">There are no messages, or one says nothing.</exception>
    /// <exception cref="NotSupportedException">A message has what no model here can read.</exception>
    public static IReadOnlyList<JsonElement> Read(IEnumerable<ChatMessage> messages, string? instructions, bool knowsDeveloper)
    {
        List<JsonElement> result = [];
        int index = 0;
        foreach (ChatMessage message in messages)
        {
            if (message is null)
            {
                throw new ArgumentException($"Message {index} is null.");
            }

            string role = message.Role.Value == "developer" && !knowsDeveloper ? ChatRole.System.Value : message.Role.Value;
            string? before = null;
            if (index == 0 && !string.IsNullOrEmpty(instructions))
            {
                if (role == ChatRole.System.Value)
                {
                    before = $"{instructions}\n\n";
                }
                else
                {
                    result.Add(Plain(ChatRole.System.Value, instructions));
                }
            }

            AddMessage(result, message, role, before, index);
            index++;
        }

        return index > 0 ? result : throw new ArgumentException("There are no messages; give at least one.");
    }

    private static JsonElement Plain(string role, string text) => new Text.ChatTemplates.ChatMessage(role, text).ToJson();

    private static void AddMessage(List<JsonElement> result, ChatMessage message, string role, string? before, int index)
    {
        StringBuilder text = new(before);
        StringBuilder reasoning = new();
        List<FunctionCallContent> calls = [];
        List<FunctionResultContent> answers = [];
        foreach (AIContent content in message.Contents)
        {
            switch (content)
            {
                case TextReasoningContent thought:
                    reasoning.Append(thought.Text);
                    break;
                case TextContent part:
                    text.Append(part.Text);
                    break;
                case FunctionCallContent call:
                    calls.Add(call);
                    break;
                case FunctionResultContent answer:
                    answers.Add(answer);
                    break;
                case UsageContent:
                    break; // what an earlier answer took is no part of what was said
                default:
                    throw new NotSupportedException($"Message {index} has a {content.GetType().Name}: the models here read text, tool calls and their results only.");
            }
        }

        if (message.Contents.Count == 0 && role != ChatRole.Assistant.Value)
        {
            throw new ArgumentException($"Message {index} of the {role} has no contents; give it a text.");
        }

        bool isResults = answers.Count > 0 && text.Length == 0 && reasoning.Length == 0 && calls.Count == 0;
        if (!isResults)
        {
            result.Add(JsonBuilding.Element(json => Write(json, role, message.AuthorName, text.ToString(), reasoning.ToString(), calls)));
        }

        result.AddRange(answers.Select(answer => JsonBuilding.Element(json => WriteResult(json, answer))));
    }

    private static void Write(Utf8JsonWriter json, string role, string? author, string text, string reasoning, List<FunctionCallContent> calls)
    {
        json.WriteStartObject();
        json.WriteString("role", role);
        json.WriteString("content", text);
        if (author is not null)
        {
            json.WriteString("name", author);
        }

        if (reasoning.Length > 0)
        {
            json.WriteString("reasoning_content", reasoning);
        }

        if (calls.Count > 0)
        {
            json.WriteStartArray("tool_calls");
            calls.ForEach(call => WriteCall(json, call));
            json.WriteEndArray();
        }

        json.WriteEndObject();
    }

    private static void WriteCall(Utf8JsonWriter json, FunctionCallContent call)
    {
        json.WriteStartObject();
        json.WriteString("id", call.CallId);
        json.WriteString("type", "function");
        json.WriteStartObject("function");
        json.WriteString("name", call.Name);
        json.WriteStartObject("arguments");
        foreach ((string name, object? value) in call.Arguments ?? new Dictionary<string, object?>())
        {
            json.WritePropertyName(name);
            WriteValue(json, value);
        }

        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteResult(Utf8JsonWriter json, FunctionResultContent answer)
    {
        json.WriteStartObject();
        json.WriteString("role", ChatRole.Tool.Value);
        json.WriteString("tool_call_id", answer.CallId);
        json.WriteString("content", TextOf(answer));
        json.WriteEndObject();
    }

    /// <summary>What a tool gave back: a text as it is, anything else as JSON.</summary>
    private static string TextOf(FunctionResultContent answer) => answer.Result switch
    {
        null when answer.Exception is { } failure => $"Error: {failure.Message}",
        string text => text,
        JsonElement { ValueKind: JsonValueKind.String } element => element.GetString()!,
        TextContent content => content.Text,
        IEnumerable<AIContent> contents when contents.All(content => content is TextContent) => string.Concat(contents),
        AIContent or IEnumerable<AIContent> => throw new NotSupportedException("A tool gave back contents that are not text: the models here read text only."),
        var value => Encoding.UTF8.GetString(JsonBuilding.Bytes(json => WriteValue(json, value)).Span),
    };

    /// <summary>Any value as JSON, by the serializer's contract for its type.</summary>
    private static void WriteValue(Utf8JsonWriter json, object? value)
    {
        if (value is null)
        {
            json.WriteNullValue();
        }
        else
        {
            JsonSerializer.Serialize(json, value, AIJsonUtilities.DefaultOptions.GetTypeInfo(value.GetType()));
        }
    }
}
