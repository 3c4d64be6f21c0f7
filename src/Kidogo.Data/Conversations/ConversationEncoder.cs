// Turns a conversation into ids, and says which of them the assistant has to learn. Knows templates and vocabularies, no files of tokens.
using System.Globalization;
using System.Text;
using System.Text.Json;
using Kidogo.Data.Readers;
using Kidogo.Text;
using Kidogo.Text.ChatTemplates;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Data.Conversations;

/// <summary>A conversation's tokens.</summary>
/// <param name="Ids">The ids.</param>
/// <param name="Counts">For each whether it is a target: the assistant's words and the token that ends its turn.</param>
/// <param name="TextBytes">UTF-8 bytes of the rendered text.</param>
internal readonly record struct EncodedConversation(int[] Ids, bool[] Counts, int TextBytes);

/// <summary>
/// Renders and encodes as prompts are, so that no message can forge a turn. Any number of threads may use it at once.
/// </summary>
internal sealed class ConversationEncoder
{
    // Templates may ask the date; the same data have to give the same tokens tomorrow.
    private static readonly DateTimeOffset s_fixedDate = new(2025, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly Tokenizer _tokenizer;
    private readonly ChatSetup _chat;
    private readonly TokenAligner _aligner;
    private readonly bool _addsStart;

    public ConversationEncoder(Tokenizer tokenizer, ChatSetup chat)
    {
        _tokenizer = tokenizer;
        _chat = chat with { Input = chat.Input with { Now = chat.Input.Now ?? s_fixedDate, AddGenerationPrompt = false } };
        _aligner = new TokenAligner(tokenizer);
        _addsStart = tokenizer.AddsBos && !chat.Template.Source.Contains("bos_token", StringComparison.Ordinal);
    }

    /// <summary>All that decides the ids beside the tokenizer and the conversation, as text for a hash.</summary>
    public string Describe()
    {
        StringBuilder text = new();
        ChatTemplateInput input = _chat.Input;
        text.Append(CultureInfo.InvariantCulture, $"{_chat.Template.Source.Length} "
            + $"{_chat.Template.Source}\n{input.Now:O}\n{Quote(input.BosToken)}\n{Quote(input.EosToken)}\n");
        foreach (KeyValuePair<string, string> token in input.SpecialTokens.OrderBy(token => token.Key, StringComparer.Ordinal))
        {
            text.Append(CultureInfo.InvariantCulture, $"{Quote(token.Key)}={Quote(token.Value)}\n");
        }

        foreach (KeyValuePair<string, JsonElement> variable in input.Variables.OrderBy(variable => variable.Key, StringComparer.Ordinal))
        {
            text.Append(CultureInfo.InvariantCulture, $"{Quote(variable.Key)}:{Quote(variable.Value.GetRawText())}\n");
        }

        return text.ToString();
    }

    /// <summary>Reads, renders and encodes a line.</summary>
    /// <param name="line">Valid UTF-8.</param>
    /// <param name="file">The file, for messages.</param>
    /// <param name="number">The line, for messages.</param>
    /// <exception cref="DataFormatException">The line is no conversation, the template refuses it, or no assistant speaks in it.</exception>
    public EncodedConversation Encode(ReadOnlyMemory<byte> line, string file, long number)
    {
        try
        {
            using JsonDocument json = JsonDocument.Parse(line, JsonLine.DocumentOptions);
            return Encode(Conversation.Read(json.RootElement, file, number), file, number);
        }
        catch (ChatTemplateException failure)
        {
            throw new DataFormatException(file, number, failure.RefusedByTemplate
                ? $"the chat template refuses the conversation: {failure.Problem}"
                : $"the chat template fails on the conversation: {failure.Message}", failure);
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException)
        {
            throw JsonLine.Malformed(file, number, failure);
        }
        catch (TokenizerException failure)
        {
            throw new DataFormatException(file, number, failure.Message, failure);
        }
    }

    private static string Quote(string? text) => text is null ? "-" : string.Create(CultureInfo.InvariantCulture, $"{text.Length} {text}");

    private EncodedConversation Encode(Conversation conversation, string file, long number)
    {
        ChatTemplateInput input = _chat.Input with { Messages = conversation.Messages, Tools = conversation.Tools ?? _chat.Input.Tools };
        RenderedPrompt rendered = _chat.Template.Render(input);
        List<Turn> turns = FindTurns(rendered, input);
        if (turns.Count == 0)
        {
            throw new DataFormatException(file, number, "the conversation has no words of an assistant to learn; roles are " +
                string.Join(", ", conversation.Messages.Select(Conversation.Role).Distinct().Take(6)) + " (expected user and assistant)");
        }

        byte[] utf8 = Encoding.UTF8.GetBytes(rendered.Text);
        List<int> ids = [.. _tokenizer.Encode(rendered.Spans)];
        (int Start, int End)[] places = new (int, int)[ids.Count];
        if (!_aligner.TryAlign([.. ids], utf8, places))
        {
            (ids, places) = EncodePieces(rendered, turns);
        }

        bool[] counts = new bool[ids.Count];
        int token = 0;
        int at = 0;
        int atBytes = 0;
        bool missesEnd = false;
        for (int i = 0; i < turns.Count; i++)
        {
            atBytes += Encoding.UTF8.GetByteCount(rendered.Text.AsSpan(at, turns[i].Start - at));
            int start = atBytes;
            atBytes += Encoding.UTF8.GetByteCount(rendered.Text.AsSpan(turns[i].Start, turns[i].End - turns[i].Start));
            at = turns[i].End;
            while (token < places.Length && places[token].End <= start)
            {
                token++;
            }

            while (token < places.Length && places[token].Start < atBytes)
            {
                counts[token++] = true;
            }

            int next = i + 1 == turns.Count ? rendered.Text.Length : turns[i + 1].Start;
            int nextBytes = atBytes + Encoding.UTF8.GetByteCount(rendered.Text.AsSpan(at, next - at));
            int end = FindEnd(ids, places, token, nextBytes, utf8, turns[i].CallsTools);
            missesEnd |= end < 0;
            if (end < 0 && (i + 1 < turns.Count || !IsBlank(utf8.AsSpan(atBytes)) || _tokenizer.EosId is null))
            {
                throw new DataFormatException(file, number, $"no token of the vocabulary ends the assistant's turn: the template goes on with "
                    + $"{Shown(rendered.Text, at)}, " +
                    "so a model would never learn to stop; take a template that the tokenizer has tokens for");
            }

            while (token <= end)
            {
                counts[token++] = true;
            }
        }

        if (missesEnd)
        {
            ids.Add(_tokenizer.EosId!.Value); // the template leaves the last turn open
            counts = [.. counts, true];
        }

        if (_addsStart && (ids.Count == 0 || ids[0] != _tokenizer.BosId))
        {
            ids.Insert(0, _tokenizer.BosId!.Value);
            counts = [false, .. counts];
        }

        return new EncodedConversation([.. ids], counts, utf8.Length);
    }

    // The stretches that assistants wrote. What a template writes around a tool's call is theirs too, and so is a turn without words: both begin where a prompt
    // would end.
    private List<Turn> FindTurns(RenderedPrompt rendered, ChatTemplateInput input)
    {
        List<Turn> turns = [];
        for (int i = 0; i < input.Messages.Count; i++)
        {
            if (Conversation.Role(input.Messages[i]) != "assistant")
            {
                continue;
            }

            bool callsTools = Conversation.CallsTools(input.Messages[i]);
            int before = turns.Count;
            foreach (MessageRange range in rendered.Messages)
            {
                if (range.Message == i)
                {
                    turns.Add(new Turn(range.Start, range.End, callsTools));
                }
            }

            if ((callsTools || turns.Count == before) && PromptLength(rendered, input, i) is { } start)
            {
                if (turns.Count == before)
                {
                    turns.Add(new Turn(start, start, callsTools));
                }
                else if (start < turns[before].Start)
                {
                    turns[before] = turns[before] with { Start = start };
                }
            }
        }

        turns.Sort((left, right) => left.Start.CompareTo(right.Start));
        int end = 0;
        for (int i = 0; i < turns.Count; i++)
        {
            turns[i] = turns[i] with { Start = Math.Max(end, turns[i].Start), End = Math.Max(end, turns[i].End) };
            end = turns[i].End;
        }

        return turns;
    }

    // Characters of the prompt for a message, if the conversation's text begins with it; else null.
    private int? PromptLength(RenderedPrompt rendered, ChatTemplateInput input, int message)
    {
        try
        {
            string prompt = _chat.Template.Render(input with { Messages = [.. input.Messages.Take(message)], AddGenerationPrompt = true }).Text;
            return rendered.Text.StartsWith(prompt, StringComparison.Ordinal) ? prompt.Length : null;
        }
        catch (ChatTemplateException)
        {
            return null; // a template may refuse the shorter conversation
        }
    }

    // The token that ends a turn: the first at which generation ends, after nothing but white space or (a tool's call) what the template writes; else a control
    // token that follows at once. -1 for none.
    private int FindEnd(List<int> ids, (int Start, int End)[] places, int from, int limit, byte[] utf8, bool throughText)
    {
        for (int i = from; i < ids.Count && places[i].Start < limit; i++)
        {
            if (_tokenizer.IsEndOfGeneration(ids[i]))
            {
                return i;
            }

            if (!throughText && !IsBlank(utf8.AsSpan(places[i].Start, places[i].End - places[i].Start)))
            {
                break;
            }
        }

        return from < ids.Count && places[from].Start < limit && _tokenizer.Kind(ids[from]) == TokenKind.Control ? from : -1;
    }

    // For tokenizers that change the text (lower case, composed letters): the turns are encoded apart from what is between them, as a prompt is apart from its
    // answer.
    private (List<int> Ids, (int Start, int End)[] Places) EncodePieces(RenderedPrompt rendered, List<Turn> turns)
    {
        List<int> ids = [];
        List<(int, int)> places = [];
        int at = 0;
        int atBytes = 0;
        foreach (int border in turns.SelectMany(turn => (int[])[turn.Start, turn.End]).Append(rendered.Text.Length))
        {
            int bytes = Encoding.UTF8.GetByteCount(rendered.Text.AsSpan(at, border - at));
            foreach (int id in border > at ? _tokenizer.Encode(Cut(rendered.Spans, at, border)) : [])
            {
                ids.Add(id);
                places.Add((atBytes, atBytes + bytes)); // no finer than the piece, which is all that is asked
            }

            at = border;
            atBytes += bytes;
        }

        return (ids, [.. places]);
    }

    private static List<TextSpan> Cut(IReadOnlyList<TextSpan> spans, int start, int end)
    {
        List<TextSpan> cut = [];
        int at = 0;
        foreach (TextSpan span in spans)
        {
            int from = Math.Max(start, at) - at;
            int to = Math.Min(end, at + span.Text.Length) - at;
            if (from < to)
            {
                cut.Add(span with { Text = span.Text[from..to] });
            }

            at += span.Text.Length;
        }

        return cut;
    }

    private static bool IsBlank(ReadOnlySpan<byte> text) => text.Trim(" \t\r\n"u8).IsEmpty;

    private static string Shown(string text, int at) => at >= text.Length ? "nothing"
        : $"\"{text.AsSpan(at, Math.Min(24, text.Length - at)).ToString().ReplaceLineEndings("\\n")}\"";

    private readonly record struct Turn(int Start, int End, bool CallsTools);
}
