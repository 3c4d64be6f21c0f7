// The messages of a chat, and how they are kept in a file. Knows no model.
using System.Text.Encodings.Web;
using System.Text.Json;
using Kidogo.Cli.Shell;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Cli.Chat;

/// <summary>What was said so far.</summary>
internal sealed class Conversation
{
    private static readonly JsonWriterOptions s_format = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private readonly List<ChatMessage> _messages = [];

    /// <summary>What the model is told before everything; null for nothing.</summary>
    public string? System { get; set; }

    /// <summary>Turns of both sides.</summary>
    public int Count => _messages.Count;

    /// <summary>The messages as JSON, the system's first.</summary>
    public IReadOnlyList<JsonElement> ToJson() => [.. All().Select(message => message.ToJson())];

    public void Add(string role, string content) => _messages.Add(new ChatMessage(role, content));

    /// <summary>Takes the last message back.</summary>
    public void RemoveLast() => _messages.RemoveAt(_messages.Count - 1);

    /// <summary>Forgets all turns; the system message stays.</summary>
    public void Clear() => _messages.Clear();

    /// <summary>Writes a JSON array of messages.</summary>
    public void Save(Session session, string path) => AtomicFile.Guarded(path, () =>
    {
        using AtomicFile file = AtomicFile.Create(session, path);
        using (Utf8JsonWriter json = new(file.Stream, s_format))
        {
            json.WriteStartArray();
            foreach (ChatMessage message in All())
            {
                json.WriteStartObject();
                json.WriteString("role", message.Role);
                json.WriteString("content", message.Content);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        file.Commit();
    });

    /// <summary>Replaces everything with the messages of a file.</summary>
    /// <exception cref="FailureException">The file holds no such messages; nothing has changed then.</exception>
    public void Load(string path)
    {
        List<ChatMessage> messages = [];
        foreach (JsonElement element in JsonFile.ReadArray(path))
        {
            if (element.ValueKind != JsonValueKind.Object || Text(element, "role") is not { } role || Text(element, "content") is not { } content)
            {
                throw new FailureException($"Message {messages.Count + 1} of {path} is no object with role and content as texts.");
            }

            messages.Add(new ChatMessage(role, content));
        }

        bool hasSystem = messages.Count > 0 && messages[0].Role == "system";
        System = hasSystem ? messages[0].Content : null;
        _messages.Clear();
        _messages.AddRange(messages.Skip(hasSystem ? 1 : 0));
    }

    private static string? Text(JsonElement message, string name) => message.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private IEnumerable<ChatMessage> All() => System is null ? _messages : _messages.Prepend(new ChatMessage("system", System));
}
