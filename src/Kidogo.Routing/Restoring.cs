// An upstream's answer with the values put back where placeholders stand. Knows no wire.
using System.Runtime.CompilerServices;
using Kidogo.Privacy;
using Microsoft.Extensions.AI;

namespace Kidogo.Routing;

/// <summary>Restores text, reasoning and tool calls.</summary>
internal static class Restoring
{
    /// <summary>Restores a stream. A placeholder that is cut between updates is held back.</summary>
    public static async IAsyncEnumerable<ChatResponseUpdate> Restore(
        IAsyncEnumerable<ChatResponseUpdate> updates, Placeholders placeholders, bool isJson, [EnumeratorCancellation] CancellationToken cancellation)
    {
        StreamRestorer text = new(placeholders, isJson), reasoning = new(placeholders);
        ChatResponseUpdate? last = null;
        await foreach (ChatResponseUpdate update in updates.WithCancellation(cancellation).ConfigureAwait(false))
        {
            last = update;
            List<AIContent> contents = [];
            if (update.FinishReason is not null)
            {
                AddRest(contents, text, reasoning);
            }

            foreach (AIContent content in update.Contents)
            {
                switch (content)
                {
                    case TextReasoningContent thought:
                        Add(contents, reasoning.Take(thought.Text), said => new TextReasoningContent(said));
                        break;
                    case TextContent said:
                        Add(contents, text.Take(said.Text), shown => new TextContent(shown));
                        break;
                    case FunctionCallContent call:
                        AddRest(contents, text, reasoning);
                        contents.Add(new FunctionCallContent(call.CallId, placeholders.Restore(call.Name), RequestTexts.Map(call.Arguments, masked => placeholders.Restore(masked))));
                        break;
                    default:
                        contents.Add(content);
                        break;
                }
            }

            if (contents.Count > 0 || update.FinishReason is not null)
            {
                update.Contents = contents;
                yield return update;
            }
        }

        List<AIContent> rest = [];
        AddRest(rest, text, reasoning);
        if (rest.Count > 0)
        {
            yield return new ChatResponseUpdate(ChatRole.Assistant, rest) { MessageId = last?.MessageId, ResponseId = last?.ResponseId, ModelId = last?.ModelId };
        }
    }

    private static void AddRest(List<AIContent> contents, StreamRestorer text, StreamRestorer reasoning)
    {
        Add(contents, reasoning.End(), thought => new TextReasoningContent(thought));
        Add(contents, text.End(), said => new TextContent(said));
    }

    private static void Add(List<AIContent> contents, string text, Func<string, AIContent> make)
    {
        if (text.Length > 0)
        {
            contents.Add(make(text));
        }
    }
}
