// Answers that people prefer, or like and dislike, as ids. Knows no model.
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Kidogo.Data.Conversations;
using Kidogo.Data.Readers;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Data;

/// <summary>A prompt with an answer.</summary>
/// <param name="Ids">The ids of both.</param>
/// <param name="Counts">For each whether it belongs to the answer.</param>
public sealed record PreferenceText(int[] Ids, bool[] Counts);

/// <summary>A prompt with one answer that was liked or not, or with two of which the first was preferred.</summary>
/// <param name="Answer">The preferred answer, or the only one.</param>
/// <param name="Rejected">The other; null where there is one only.</param>
/// <param name="IsLiked">Whether the only answer was liked.</param>
/// <param name="Unrelated">Of one answer: the same prompt with another line's answer, against which the divergence is measured.</param>
public sealed record PreferenceItem(PreferenceText Answer, PreferenceText? Rejected, bool IsLiked, PreferenceText? Unrelated);

/// <summary>How preferences are read.</summary>
public sealed record PreferenceOptions
{
    /// <summary>.jsonl files and folders of them.</summary>
    public required IReadOnlyList<string> Paths { get; init; }

    /// <summary>Whether lines are single answers with a label (KTO) instead of pairs (DPO).</summary>
    public bool IsSingle { get; init; }

    /// <summary>The most ids of a prompt with its answer.</summary>
    public required int MostTokens { get; init; }

    /// <summary>Whether longer ones are left out instead of being an error.</summary>
    public bool SkipsLong { get; init; }

    /// <summary>Share of lines that are held out, 0 to 0.5.</summary>
    public double HeldOut { get; init; }

    /// <summary>Decides which, and the order.</summary>
    public ulong Seed { get; init; }
}

/// <summary>Preferences, split and in an order for every epoch.</summary>
/// <remarks>
/// <c>{"prompt": "…", "chosen": "…", "rejected": "…"}</c> or <c>{"prompt": "…", "completion": "…", "label": true}</c>, where texts may be lists of messages,
/// which go through the chat template; the prompt's messages may
/// be left out where both answers begin with them.
/// </remarks>
public sealed class PreferenceData
{
    private readonly int[] _training, _heldOut;
    private readonly ulong _seed;
    private long _epoch;
    private int[] _order = [];

    private PreferenceData(IReadOnlyList<PreferenceItem> items, int skipped, string fingerprint, double heldOut, ulong seed)
    {
        (Items, Skipped, Fingerprint, _seed) = (items, skipped, fingerprint, seed);
        int held = (int)Math.Round(heldOut * items.Count, MidpointRounding.AwayFromZero);
        held = heldOut > 0 && items.Count > 1 ? Math.Max(1, held) : held;
        int[] order = [.. Enumerable.Range(0, items.Count).OrderBy(item => Mix.Hash(seed, 1, (ulong)item))];
        (_heldOut, _training) = ([.. order.Take(held).Order()], [.. order.Skip(held).Order()]);
    }

    /// <summary>All items, held-out ones too.</summary>
    public IReadOnlyList<PreferenceItem> Items { get; }

    /// <summary>Lines that were left out for their length.</summary>
    public int Skipped { get; }

    /// <summary>A hash of all that decides the items and their order.</summary>
    public string Fingerprint { get; }

    /// <summary>Items that are held out.</summary>
    public IReadOnlyList<int> HeldOut => _heldOut;

    /// <summary>Items that are trained on.</summary>
    public int TrainingCount => _training.Length;

    /// <summary>The item at a place of the endless stream: every epoch has an order of its own.</summary>
    public int At(long place)
    {
        (long epoch, long rank) = Math.DivRem(place, _training.Length);
        if (_epoch != epoch || _order.Length == 0)
        {
            _order = [.. _training.OrderBy(item => Mix.Hash(_seed, (ulong)epoch + 2, (ulong)item))];
            _epoch = epoch;
        }

        return _order[rank];
    }

    /// <summary>Reads.</summary>
    /// <param name="options">Which.</param>
    /// <param name="tokenizer">The vocabulary.</param>
    /// <param name="chat">How messages become text; needed where there are messages.</param>
    /// <exception cref="DataFormatException">A line is not what it should be, or there are too few.</exception>
    public static PreferenceData Read(PreferenceOptions options, Tokenizer tokenizer, ChatSetup? chat)
    {
        Encoder encoder = new(tokenizer, chat, options.MostTokens);
        List<(JsonRecord Record, JsonElement Prompt, JsonElement Answer, JsonElement Other, bool IsLiked)> lines = [];
        foreach (JsonRecord record in options.Paths.SelectMany(JsonRecords.Read))
        {
            lines.Add(options.IsSingle
                ? (record, Field(record, "prompt"), Field(record, "completion"), default, Liked(record))
                : (record, record.Json.TryGetProperty("prompt", out JsonElement prompt) ? prompt : default, Field(record, "chosen"), Field(record, "rejected"), true));
        }

        List<PreferenceItem> items = [];
        int skipped = 0;
        for (int i = 0; i < lines.Count; i++)
        {
            (JsonRecord record, JsonElement prompt, JsonElement answer, JsonElement other, bool isLiked) = lines[i];
            PreferenceText text = encoder.Encode(record, prompt, answer);
            PreferenceText? rejected = options.IsSingle ? null : encoder.Encode(record, prompt, other);
            PreferenceText? unrelated = options.IsSingle ? encoder.Cut(encoder.Encode(record, prompt, lines[(i + 1) % lines.Count].Answer)) : null;
            int longest = Math.Max(text.Ids.Length, rejected?.Ids.Length ?? 0);
            if (longest > options.MostTokens && !options.SkipsLong)
            {
                throw record.Refuse($"prompt and answer have {longest} tokens, but the context allows {options.MostTokens}. Take a longer context, or leave such lines out (skip_long_conversations)");
            }

            if (longest > options.MostTokens)
            {
                skipped++;
                continue;
            }

            items.Add(new PreferenceItem(text, rejected, isLiked, unrelated));
        }

        if (items.Count < 2)
        {
            throw new DataFormatException(options.Paths[^1], 0, $"there are {items.Count} preferences{(skipped > 0 ? $" ({skipped} were too long)" : "")}; two are the least");
        }

        if (options.IsSingle && items.DistinctBy(item => item.IsLiked).Count() < 2)
        {
            throw new DataFormatException(options.Paths[^1], 0, $"all {items.Count} answers have the label {(items[0].IsLiked ? "true" : "false")}: nothing can be learned from one kind alone; give liked and disliked ones");
        }

        return new PreferenceData(items, skipped, Hash(options, items), options.HeldOut, options.Seed);
    }

    private static string Hash(PreferenceOptions options, List<PreferenceItem> items)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"kidogo preferences 1\n{options.IsSingle} {options.HeldOut:R} {options.Seed}\n")));
        foreach (PreferenceItem item in items)
        {
            foreach (PreferenceText? text in (PreferenceText?[])[item.Answer, item.Rejected, item.Unrelated])
            {
                hash.AppendData(System.Runtime.InteropServices.MemoryMarshal.AsBytes((text?.Ids ?? []).AsSpan()));
                hash.AppendData([.. (text?.Counts ?? []).Select(counts => (byte)(counts ? 1 : 0)), item.IsLiked ? (byte)3 : (byte)2]);
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static JsonElement Field(JsonRecord record, string name) => record.Json.TryGetProperty(name, out JsonElement value) && value.ValueKind is JsonValueKind.String or JsonValueKind.Array ? value
        : throw record.Refuse($"the line has no text or list of messages \"{name}\"; expected {{\"prompt\": …, \"chosen\": …, \"rejected\": …}} for dpo, {{\"prompt\": …, \"completion\": …, \"label\": true}} for kto");

    private static bool Liked(JsonRecord record) => record.Json.TryGetProperty("label", out JsonElement label) && label.ValueKind is JsonValueKind.True or JsonValueKind.False ? label.GetBoolean()
        : throw record.Refuse("the line has no \"label\" that is true (liked) or false");

    /// <summary>From prompt and answer to ids.</summary>
    private sealed class Encoder(Tokenizer tokenizer, ChatSetup? chat, int most)
    {
        private readonly ConversationEncoder? _conversations = chat is null ? null : new ConversationEncoder(tokenizer, chat);

        public PreferenceText Encode(JsonRecord record, JsonElement prompt, JsonElement answer)
        {
            PreferenceText text = answer.ValueKind == JsonValueKind.Array || prompt.ValueKind == JsonValueKind.Array ? OfMessages(record, prompt, answer) : OfTexts(record, prompt, answer);
            return text.Counts.AsSpan(1).Contains(true) ? text : throw record.Refuse("the answer is empty: it has no tokens");
        }

        /// <summary>The beginning that fits; an unrelated answer may be of any length.</summary>
        public PreferenceText Cut(PreferenceText text) => text.Ids.Length <= most ? text : new PreferenceText(text.Ids[..most], text.Counts[..most]);

        private PreferenceText OfTexts(JsonRecord record, JsonElement prompt, JsonElement answer)
        {
            if (prompt.ValueKind != JsonValueKind.String)
            {
                throw record.Refuse("the line has no text \"prompt\"");
            }

            List<int> ids = [.. tokenizer.Encode(prompt.GetString()!)];
            if (tokenizer.AddsBos || ids.Count == 0)
            {
                ids.Insert(0, tokenizer.BosId ?? tokenizer.EosId ?? 0);
            }

            int first = ids.Count;
            ids.AddRange(tokenizer.Encode(answer.GetString()!));
            if (tokenizer.EosId is { } end)
            {
                ids.Add(end);
            }

            return new PreferenceText([.. ids], [.. ids.Select((_, at) => at >= first)]);
        }

        private PreferenceText OfMessages(JsonRecord record, JsonElement prompt, JsonElement answer)
        {
            if (_conversations is null)
            {
                throw record.Refuse("messages need a chat template, and the model has none; name one with chat_template");
            }

            using MemoryStream line = new();
            using (Utf8JsonWriter json = new(line))
            {
                json.WriteStartObject();
                json.WriteStartArray("messages");
                Write(json, prompt, "user");
                Write(json, answer, "assistant");
                json.WriteEndArray();
                json.WriteEndObject();
            }

            EncodedConversation encoded = _conversations.Encode(line.ToArray(), record.File, record.Line);
            int last = Array.LastIndexOf(encoded.Counts, true), before = Array.LastIndexOf(encoded.Counts, false, Math.Max(0, last));
            return new PreferenceText(encoded.Ids, [.. encoded.Counts.Select((counts, at) => counts && at > before)]); // answers of the prompt are not what is preferred
        }

        private static void Write(Utf8JsonWriter json, JsonElement messages, string role)
        {
            if (messages.ValueKind == JsonValueKind.String)
            {
                json.WriteStartObject();
                json.WriteString("role", role);
                json.WriteString("content", messages.GetString());
                json.WriteEndObject();
                return;
            }

            foreach (JsonElement message in messages.ValueKind == JsonValueKind.Array ? messages.EnumerateArray() : default)
            {
                message.WriteTo(json);
            }
        }
    }
}
