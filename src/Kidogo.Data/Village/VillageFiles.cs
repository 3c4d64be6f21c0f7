// Stories as files: objects with everything, conversations to train on, plain text. Knows formats, not how stories come about.
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Kidogo.Data.Village;

/// <summary>How a story is written.</summary>
public enum VillageForm
{
    /// <summary>A JSON object a line: text, questions with answers and choices, summary, ending.</summary>
    Stories,

    /// <summary>A conversation a line, <c>{"messages": …}</c>: the story with the first question, then the others.</summary>
    Conversations,

    /// <summary>Text: the story, a line for each question with its answer, a blank line.</summary>
    Text,
}

/// <summary>Writes stories.</summary>
public static class VillageFiles
{
    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>What files of a form are called.</summary>
    public static string NameOf(VillageForm form) => form switch
    {
        VillageForm.Stories => "stories.jsonl",
        VillageForm.Conversations => "conversations.jsonl",
        _ => "stories.txt",
    };

    /// <summary>Writes a story.</summary>
    /// <param name="stream">Where to.</param>
    /// <param name="form">How.</param>
    /// <param name="story">The story.</param>
    /// <param name="options">Where it is from.</param>
    public static void Write(Stream stream, VillageForm form, VillageStory story, VillageOptions options)
    {
        switch (form)
        {
            case VillageForm.Stories:
                Line(stream, json => Object(json, story, options));
                break;
            case VillageForm.Conversations:
                Line(stream, json => Conversation(json, story, options.Level));
                break;
            default:
                StringBuilder text = new(story.Text);
                foreach ((string question, string answer) in Turns(story, options.Level))
                {
                    text.Append('\n').Append(question).Append(' ').Append(answer);
                }

                stream.Write(Encoding.UTF8.GetBytes(text.Append("\n\n").ToString()));
                break;
        }
    }

    /// <summary>What a model is asked first: the story and a question.</summary>
    public static string Prompt(VillageStory story, string question) => $"{story.Text} {question}";

    /// <summary>Questions and answers of a story as it is learned: of full stories the ending and the summary too.</summary>
    private static IEnumerable<(string Question, string Answer)> Turns(VillageStory story, VillageLevel level)
    {
        IEnumerable<(string, string)> turns = story.Questions.Select(question => (question.Text, question.Answer));
        return level == VillageLevel.Simple ? turns : [.. turns, (story.Ending.Text, story.Ending.Answer), (story.SummaryQuestion, story.Summary)];
    }

    private static void Line(Stream stream, Action<Utf8JsonWriter> write)
    {
        using (Utf8JsonWriter json = new(stream, s_json))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        stream.WriteByte((byte)'\n');
    }

    private static void Conversation(Utf8JsonWriter json, VillageStory story, VillageLevel level)
    {
        json.WriteStartArray("messages");
        bool isFirst = true;
        foreach ((string question, string answer) in Turns(story, level))
        {
            Message(json, "user", isFirst ? Prompt(story, question) : question);
            Message(json, "assistant", answer);
            isFirst = false;
        }

        json.WriteEndArray();
    }

    private static void Message(Utf8JsonWriter json, string role, string content)
    {
        json.WriteStartObject();
        json.WriteString("role", role);
        json.WriteString("content", content);
        json.WriteEndObject();
    }

    private static void Object(Utf8JsonWriter json, VillageStory story, VillageOptions options)
    {
        json.WriteNumber("number", story.Number);
        json.WriteNumber("seed", options.Seed);
        json.WriteString("language", options.Language.Code);
        json.WriteString("level", options.Level == VillageLevel.Simple ? "simple" : "full");
        json.WriteString("split", options.Split == VillageSplit.Training ? "training" : "test");
        json.WriteString("text", story.Text);
        json.WriteStartArray("questions");
        foreach (VillageQuestion question in story.Questions)
        {
            json.WriteStartObject();
            json.WriteString("kind", KindName(question.Kind));
            json.WriteString("form", question.Form);
            json.WriteString("question", question.Text);
            json.WriteString("answer", question.Answer);
            json.WriteBoolean("known", question.IsKnown);
            json.WriteStartArray("choices");
            foreach (string choice in question.Choices)
            {
                json.WriteStringValue(choice);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteString("summary", story.Summary);
        json.WriteString("ends", story.EndsWell ? "well" : "badly");
    }

    /// <summary>A kind of question as files and reports call it.</summary>
    public static string KindName(VillageQuestionKind kind) => kind switch
    {
        VillageQuestionKind.Who => "who",
        VillageQuestionKind.Where => "where",
        VillageQuestionKind.HowMany => "how_many",
        VillageQuestionKind.Order => "order",
        _ => "ending",
    };
}
