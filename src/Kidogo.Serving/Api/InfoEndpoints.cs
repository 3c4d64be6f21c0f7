// What is served and how it does: models, health, properties, places, tokens, templates. Knows no answers.
using System.Text.Json;
using Kidogo.Inference.Scheduling;
using Kidogo.Text.ChatTemplates;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Serving.Api;

/// <summary>Answers questions about the server and its models, in OpenAI's and llama.cpp's shapes.</summary>
internal static class InfoEndpoints
{
    private const int MostCharacters = 1 << 20;

    /// <summary>GET /v1/models</summary>
    public static Task ModelsAsync(ApiCall call) => call.WriteAsync(json =>
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        foreach (ModelEntry entry in call.Shelf.Entries)
        {
            foreach (string name in ModelShelf.NamesOf(entry))
            {
                WriteModel(json, call, entry, name);
            }
        }

        call.Routes?.WriteModels(json, call.Started);

        json.WriteEndArray();
        json.WriteEndObject();
    });

    /// <summary>GET /v1/models/{id}</summary>
    public static Task ModelAsync(ApiCall call, string id)
    {
        ModelEntry entry = call.Find(id, null).Entry;
        return call.WriteAsync(json => WriteModel(json, call, entry, id));
    }

    /// <summary>GET /health</summary>
    public static Task HealthAsync(ApiCall call) => call.WriteAsync(json =>
    {
        json.WriteStartObject();
        json.WriteString("status", "ok");
        json.WriteEndObject();
    });

    /// <summary>GET /props?model=…</summary>
    public static async Task PropsAsync(ApiCall call)
    {
        ServedModel model = (await call.DecoderAsync(AskedDecoder(call)).ConfigureAwait(false)).Model;
        await call.WriteAsync(json =>
        {
            json.WriteStartObject();
            json.WriteStartObject("default_generation_settings");
            json.WriteNumber("n_ctx", model.Scheduler.ContextLength);
            json.WriteStartObject("params");
            json.WriteNumber("temperature", model.DefaultSampling.Temperature);
            json.WriteNumber("top_k", model.DefaultSampling.TopK);
            json.WriteNumber("top_p", model.DefaultSampling.TopP);
            json.WriteNumber("min_p", model.DefaultSampling.MinP);
            json.WriteNumber("repetition_penalty", model.DefaultSampling.RepetitionPenalty);
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteNumber("total_slots", model.Scheduler.Options.Parallel);
            json.WriteString("model", model.Id);
            json.WriteStringOrNull("chat_template", model.Chat?.Template.Source);
            json.WriteStringOrNull("bos_token", Piece(model, model.Tokenizer.BosId));
            json.WriteStringOrNull("eos_token", Piece(model, model.Tokenizer.EosId));
            json.WriteBoolean("supports_tools", model.ToolFormat is not null);
            json.WriteBoolean("supports_thinking_switch", model.Chat?.Template.SupportsThinkingSwitch ?? false);
            json.WriteBoolean("feedback", call.Options.Feedback is not null);
            json.WriteString("build_info", KidogoServer.Fingerprint);
            json.WriteEndObject();
        }).ConfigureAwait(false);
    }

    /// <summary>GET /slots?model=…&amp;fail_on_no_slot=1</summary>
    public static async Task SlotsAsync(ApiCall call)
    {
        ServedModel model = (await call.DecoderAsync(AskedDecoder(call)).ConfigureAwait(false)).Model;
        SchedulerStatus status = model.Scheduler.Status();
        bool isFull = status.Active + status.Waiting >= status.Parallel;
        if (isFull && call.Http.Request.Query["fail_on_no_slot"] == "1")
        {
            throw new ApiException(503, "unavailable_error", "No place is free.", code: "no_slot_available");
        }

        await call.WriteAsync(json =>
        {
            json.WriteStartArray();
            for (int i = 0; i < status.Parallel; i++)
            {
                PlaceStatus? place = i < status.Places.Count ? status.Places[i] : null;
                json.WriteStartObject();
                json.WriteNumber("id", i);
                json.WriteNumber("n_ctx", model.Scheduler.ContextLength);
                json.WriteBoolean("is_processing", place is not null);
                json.WriteNumber("n_prompt_tokens", place?.PromptTokens ?? 0);
                json.WriteNumber("n_prompt_tokens_processed", place?.PromptDone ?? 0);
                json.WriteNumber("n_decoded", place?.GeneratedTokens ?? 0);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }).ConfigureAwait(false);
    }

    /// <summary>POST /tokenize</summary>
    public static async Task TokenizeAsync(ApiCall call)
    {
        using JsonDocument body = await call.ReadJsonAsync().ConfigureAwait(false);
        RequestFields fields = new(body.RootElement);
        Tokenizer tokenizer = (await call.AnyAsync(fields.Text("model")).ConfigureAwait(false)).Tokenizer;
        string content = fields.RequiredText("content");
        bool addSpecial = fields.Flag("add_special") ?? false;
        bool parseSpecial = fields.Flag("parse_special") ?? false;
        bool withPieces = fields.Flag("with_pieces") ?? false;
        fields.RejectUnknown();
        if (content.Length > MostCharacters)
        {
            throw ApiException.Field("content", $"`content` has {content.Length} characters; at most {MostCharacters} are taken at once.", "invalid_value");
        }

        int[] ids = tokenizer.Encode(content, addSpecial, parseSpecial);
        await call.WriteAsync(json =>
        {
            json.WriteStartObject();
            if (!withPieces)
            {
                json.WriteNumbers("tokens", ids);
                json.WriteEndObject();
                return;
            }

            json.WriteStartArray("tokens");
            foreach (int id in ids)
            {
                json.WriteStartObject();
                json.WriteNumber("id", id);
                WritePiece(json, tokenizer.PieceBytes(id));
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }).ConfigureAwait(false);
    }

    /// <summary>POST /detokenize</summary>
    public static async Task DetokenizeAsync(ApiCall call)
    {
        using JsonDocument body = await call.ReadJsonAsync().ConfigureAwait(false);
        RequestFields fields = new(body.RootElement);
        Tokenizer tokenizer = (await call.AnyAsync(fields.Text("model")).ConfigureAwait(false)).Tokenizer;
        JsonElement tokens = fields.Array("tokens", "an array of token ids") ?? throw fields.Missing("tokens", "an array of token ids");
        fields.RejectUnknown();
        string content = tokenizer.Decode(TokenIds.Read(tokens, "tokens", tokenizer.VocabularySize));
        await call.WriteAsync(json =>
        {
            json.WriteStartObject();
            json.WriteString("content", content);
            json.WriteEndObject();
        }).ConfigureAwait(false);
    }

    /// <summary>POST /apply-template</summary>
    public static async Task ApplyTemplateAsync(ApiCall call)
    {
        using JsonDocument body = await call.ReadJsonAsync().ConfigureAwait(false);
        RequestFields fields = new(body.RootElement);
        RenderedPrompt rendered = ChatRequest.Render(fields, (await call.DecoderAsync(fields.Text("model")).ConfigureAwait(false)).Model);
        await call.WriteAsync(json =>
        {
            json.WriteStartObject();
            json.WriteString("prompt", rendered.Text);
            json.WriteEndObject();
        }).ConfigureAwait(false);
    }

    /// <summary>The model in the query; the first that writes text where there is none.</summary>
    private static string? AskedDecoder(ApiCall call) =>
        call.Http.Request.Query["model"] is [{ Length: > 0 } name, ..] ? name : call.Shelf.Entries.FirstOrDefault(entry => entry.Kind == ModelKind.Decoder)?.Id;

    private static string? Piece(ServedModel model, int? id) => id is { } found ? model.Tokenizer.Piece(found) : null;

    private static void WriteModel(Utf8JsonWriter json, ApiCall call, ModelEntry entry, string name)
    {
        Served? loaded = call.Shelf.Loaded.FirstOrDefault(model => model.Id == entry.Id);
        json.WriteStartObject();
        json.WriteString("id", name);
        json.WriteString("object", "model");
        json.WriteNumber("created", (loaded?.Created ?? call.Started).ToUnixTimeSeconds());
        json.WriteString("owned_by", "kidogo");
        if (name != entry.Id)
        {
            json.WriteString("parent", entry.Id);
        }

        json.WriteStartObject("meta");
        json.WriteString("type", entry.Kind switch { ModelKind.Encoder => "encoder", ModelKind.Classifier => "classifier", _ => "decoder" });
        json.WriteBoolean("loaded", loaded is not null);
        json.WriteNumber("n_vocab", entry.Facts.Vocabulary);
        json.WriteNumber("n_ctx", entry.Facts.Context);
        json.WriteNumber("n_ctx_train", entry.Facts.TrainedContext);
        json.WriteNumber("n_params", entry.Facts.Parameters);
        if (entry.Facts.Dimensions is { } dimensions)
        {
            json.WriteNumber("n_embd", dimensions);
        }

        if (entry.Facts.Labels is { } labels)
        {
            json.WriteStartArray("labels");
            foreach (string label in labels)
            {
                json.WriteStringValue(label);
            }

            json.WriteEndArray();
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>A piece as text, or its bytes where it is only a part of a character.</summary>
    private static void WritePiece(Utf8JsonWriter json, byte[] piece)
    {
        if (System.Text.Unicode.Utf8.IsValid(piece))
        {
            json.WriteString("piece", piece);
        }
        else
        {
            json.WriteByteNumbers("piece", piece);
        }
    }
}
