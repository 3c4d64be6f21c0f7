// Texts that a teacher writes, for students to learn as texts (sequence-level distillation). Knows no student.
using System.Text;
using System.Text.Json;
using Kidogo.Data;
using Kidogo.Data.Readers;
using Kidogo.Inference;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Training.Distillation;

/// <summary>What a teacher is to write.</summary>
public sealed record TeacherTextOptions
{
    /// <summary>The teacher: a .gguf file in any format, a folder or a name of the model cache.</summary>
    public required string Teacher { get; init; }

    /// <summary>Files and folders: of texts, whose beginnings it goes on with, or of conversations, whose last question it answers.</summary>
    public required IReadOnlyList<string> Paths { get; init; }

    /// <summary>The .jsonl file.</summary>
    public required string Output { get; init; }

    /// <summary>Texts to write at most. Default one for each that is read.</summary>
    public int Texts { get; init; } = int.MaxValue;

    /// <summary>Tokens of a text that it goes on with, 1 or more. Default 16.</summary>
    public int PromptTokens { get; init; } = 16;

    /// <summary>Tokens that it writes at most, 1 or more. Default 256.</summary>
    public int MostTokens { get; init; } = 256;

    /// <summary>What logits are divided by; 0 for the likeliest token always. Default 0.8.</summary>
    public double Temperature { get; init; } = 0.8;

    /// <summary>Decides what is drawn. Default 0.</summary>
    public ulong Seed { get; init; }

    /// <summary>The format that the teacher is brought into while it is loaded; null for as its files have it.</summary>
    public string? LoadAs { get; init; }

    /// <summary>Threads.</summary>
    public int Threads { get; init; } = 1;
}

/// <summary>Sequence-level distillation (Kim and Rush, arXiv 1606.07947, section 3.2).</summary>
/// <remarks>Texts are written to OUTPUT.part line by line, and the file is renamed at the end: the same call goes on where one was ended, and every text
/// depends on its number and the seed alone.</remarks>
public static class TeacherTexts
{
    /// <summary>Writes <c>{"text": …}</c> or <c>{"messages": […]}</c> a line.</summary>
    /// <param name="options">What.</param>
    /// <param name="observer">Told how far it is.</param>
    /// <param name="cancellation">Ends it; what is written is kept.</param>
    /// <returns>Texts in the file.</returns>
    /// <exception cref="TrainingFailedException">The file is there already, or there is nothing to go on with.</exception>
    public static int Write(TeacherTextOptions options, TrainingObserver observer, CancellationToken cancellation)
    {
        if (Path.Exists(options.Output))
        {
            throw new TrainingFailedException($"{options.Output} is there already. Give another name, or remove it.");
        }

        using OpenTeacher teacher = OpenTeacher.Open(options.Teacher, options.LoadAs, options.Threads);
        using ModelText text = ModelText.Of(teacher.Loaded.Header);
        using TextGenerator generator = new(teacher.Loaded.Model, text.Tokenizer, teacher.Context);
        string part = options.Output + ".part";
        int done = WholeLines(part), number = 0;
        using (FileStream file = new(part, FileMode.Append, FileAccess.Write, FileShare.Read, 1))
        {
            foreach (Prompt prompt in Prompts(options, text).Take(options.Texts))
            {
                cancellation.ThrowIfCancellationRequested();
                if (number++ < done)
                {
                    continue;
                }

                observer.Preparing("writing", "texts", number - 1, options.Texts == int.MaxValue ? number : options.Texts);
                file.Write(Encoding.UTF8.GetBytes(prompt.Line(Answer(teacher, generator, prompt.Ids, options, (ulong)number, cancellation)) + "\n"));
            }

            file.Flush(flushToDisk: true);
        }

        if (number == 0)
        {
            File.Delete(part);
            throw new TrainingFailedException($"{string.Join(", ", options.Paths)} hold no texts that the teacher could go on with.");
        }

        File.Move(part, options.Output);
        return number;
    }

    private static string Answer(OpenTeacher teacher, TextGenerator generator, IReadOnlyList<int> ids, TeacherTextOptions options, ulong number, CancellationToken cancellation)
    {
        int room = Math.Min(options.MostTokens, teacher.Loaded.Config.LongestSequence - ids.Count);
        if (room < 1)
        {
            return "";
        }

        using CachedSequence sequence = new(teacher.Loaded.Model, ids.Count + room, teacher.Context.CacheFormat);
        GenerationOptions generation = new() { MaxTokens = room, Sampling = new SamplerOptions { Temperature = options.Temperature, Seed = unchecked((options.Seed * 1_000_003) + number) } };
        return string.Concat(generator.Generate(sequence, ids, new AnswerOptions { Generation = generation }, out _, cancellation).Select(piece => piece.Text));
    }

    private static IEnumerable<Prompt> Prompts(TeacherTextOptions options, ModelText text)
    {
        ChatPrompter? prompter = text.ChatTemplate() is { } template ? new ChatPrompter(text, template) : null;
        foreach (string path in options.Paths)
        {
            if (IsOfConversations(path))
            {
                foreach (JsonRecord record in JsonRecords.Read(path))
                {
                    yield return OfConversation(record, prompter);
                }

                continue;
            }

            foreach (ReadOnlyMemory<byte> document in TextSources.Find([path]).SelectMany(file => file.Read(default)))
            {
                foreach (string paragraph in Encoding.UTF8.GetString(document.Span).Split("\n\n", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
                {
                    int[] ids = [.. text.Tokenizer.Encode(paragraph).Take(options.PromptTokens)];
                    string start = text.Tokenizer.Decode(ids);
                    yield return new Prompt(text.Tokenizer.AddsBos ? [text.Tokenizer.BosId!.Value, .. ids] : ids, answer => Json(json => json.WriteString("text", start + answer)));
                }
            }
        }
    }

    private static bool IsOfConversations(string path) =>
        File.Exists(path) && path.Contains(".jsonl", StringComparison.Ordinal) && JsonRecords.Read(path).FirstOrDefault() is { } first && first.Json.TryGetProperty("messages", out _);

    private static Prompt OfConversation(JsonRecord record, ChatPrompter? prompter)
    {
        if (prompter is null)
        {
            throw record.Refuse("the teacher has no chat template, so it cannot answer a conversation; give texts, or another teacher");
        }

        JsonElement[] messages = record.Json.TryGetProperty("messages", out JsonElement list) && list.ValueKind == JsonValueKind.Array ? [.. list.EnumerateArray()] : [];
        int last = Array.FindLastIndex(messages, message => message.ValueKind == JsonValueKind.Object && message.TryGetProperty("role", out JsonElement role)
            && role.ValueKind == JsonValueKind.String && role.ValueEquals("user"));
        if (last < 0)
        {
            throw record.Refuse("the conversation has no message of a user to answer");
        }

        JsonElement[] asked = messages[..(last + 1)];
        return new Prompt(prompter.Build(asked).Ids, answer => Json(json =>
        {
            json.WriteStartArray("messages");
            foreach (JsonElement message in asked.Append(new ChatMessage("assistant", answer).ToJson()))
            {
                message.WriteTo(json);
            }

            json.WriteEndArray();
        }));
    }

    private static string Json(Action<Utf8JsonWriter> write)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(bytes.ToArray());
    }

    /// <summary>Lines that were written before; one that was cut short is taken out.</summary>
    private static int WholeLines(string path)
    {
        if (!File.Exists(path))
        {
            return 0;
        }

        byte[] bytes = File.ReadAllBytes(path);
        using FileStream file = new(path, FileMode.Open, FileAccess.Write);
        file.SetLength(bytes.AsSpan().LastIndexOf((byte)'\n') + 1);
        return bytes.AsSpan().Count((byte)'\n');
    }

    /// <summary>What the teacher goes on with.</summary>
    /// <param name="Ids">The ids.</param>
    /// <param name="Line">From what it wrote to a line of the file.</param>
    private sealed record Prompt(IReadOnlyList<int> Ids, Func<string, string> Line);
}
