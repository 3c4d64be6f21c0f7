// One request with what answering it needs. Knows no endpoint.
using System.Text.Json;
using Kidogo.Inference;
using Kidogo.Inference.Scheduling;
using Kidogo.Inference.Telemetry;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Serving.Access;
using Kidogo.Serving.Routing;
using Kidogo.Text;
using Microsoft.AspNetCore.Http;

namespace Kidogo.Serving.Api;

/// <summary>A request. Disposing it lets go of the models that it used.</summary>
/// <param name="http">The exchange.</param>
/// <param name="shelf">What is served.</param>
/// <param name="options">How the server is set up.</param>
/// <param name="client">Who asks.</param>
/// <param name="telemetry">Where numbers go.</param>
internal sealed class ApiCall(HttpContext http, ModelShelf shelf, ServerOptions options, Client client, ModelTelemetry telemetry) : IDisposable
{
    private const int DeepestJson = 64;

    private readonly List<ModelUse> _uses = [];

    public HttpContext Http => http;

    public ModelShelf Shelf => shelf;

    public ModelTelemetry Telemetry => telemetry;

    /// <summary>When the server began.</summary>
    public required DateTimeOffset Started { get; init; }

    /// <summary>The router; null for none.</summary>
    public ServedRoutes? Routes { get; init; }

    public ServerOptions Options => options;

    public Client Client => client;

    /// <summary>Ends when the client has gone.</summary>
    public CancellationToken Gone => http.RequestAborted;

    /// <summary>What is said of the request in the log: numbers only.</summary>
    public string Summary { get; set; } = "";

    /// <summary>The decoder that a request names, loaded if need be.</summary>
    /// <exception cref="ApiException">404: there is none of that name; 400: it writes no text; 503: there is no room for it.</exception>
    public async Task<AskedModel> DecoderAsync(string? name)
    {
        (ModelEntry entry, string? adapter) = Find(name, ModelKind.Decoder);
        if (await UseAsync(entry).ConfigureAwait(false) is not ServedModel model)
        {
            throw ApiException.Field("model", $"`{entry.Id}` {(entry.IsEncoder ? "is an encoder: it makes embeddings (/v1/embeddings)" : "is a classifier: it says what texts are (/v1/classify)")} and writes no text.", "model_not_supported");
        }

        AskedModel asked = new(model, adapter is null ? null : model.Adapters.Find(adapter) ?? Adapter.None, name is null or "auto" or "local" ? entry.Id : name);
        if (Routes is null)
        {
            return asked;
        }

        asked = asked with { Route = ServedRoutes.ByName(entry.Id) };
        ServedRoutes.WriteHeaders(http.Response, asked.Route);
        return asked;
    }

    /// <summary>The encoder that a request names, loaded if need be.</summary>
    /// <exception cref="ApiException">404: there is none of that name; 400: it makes no embeddings; 503: there is no room for it.</exception>
    public async Task<ServedEncoder> EncoderAsync(string? name)
    {
        (ModelEntry entry, _) = Find(name, ModelKind.Encoder);
        return entry.IsEncoder && await UseAsync(entry).ConfigureAwait(false) is ServedEncoder encoder
            ? encoder
            : throw ApiException.Field("model", $"`{entry.Id}` makes no embeddings: start the server with an encoder beside it, such as all-MiniLM-L6-v2.", "model_not_supported");
    }

    /// <summary>The classifier that a request names, opened if need be.</summary>
    /// <exception cref="ApiException">404: there is none of that name; 400: it knows no labels; 503: there is no room for it.</exception>
    public async Task<ServedClassifier> ClassifierAsync(string? name)
    {
        (ModelEntry entry, _) = Find(name, ModelKind.Classifier);
        return entry.Kind == ModelKind.Classifier && await UseAsync(entry).ConfigureAwait(false) is ServedClassifier classifier
            ? classifier
            : throw ApiException.Field("model", $"`{entry.Id}` is no classifier: start the server with one beside it, made by kidogo adapt --task classify.", "model_not_supported");
    }

    /// <summary>Any model that a request names, loaded if need be; the first decoder where it names none.</summary>
    /// <inheritdoc cref="DecoderAsync"/>
    public async Task<Served> AnyAsync(string? name) => await UseAsync(Find(name, null).Entry).ConfigureAwait(false);

    /// <summary>What a request names, not loaded: a model, and perhaps one of its adapters.</summary>
    /// <param name="name">The name; null where the request says none.</param>
    /// <param name="kind">What is meant by no name: the only model of that kind; null for the first model.</param>
    /// <exception cref="ApiException">404: there is none of that name.</exception>
    public (ModelEntry Entry, string? Adapter) Find(string? name, ModelKind? kind)
    {
        if (name is null)
        {
            ModelEntry[] possible = [.. shelf.Entries.Where(entry => kind is null || entry.Kind == kind)];
            return possible.Length switch
            {
                1 => (possible[0], null),
                0 => throw ApiException.Field("model", $"No {(kind switch { ModelKind.Encoder => "encoder", ModelKind.Classifier => "classifier", _ => "model that writes text" })} is served here. Served: {Names()}.", "model_not_supported"),
                _ => kind is null ? (possible[0], null) : throw ApiException.Field("model", $"`model` is missing; it has to be one of {Names()}.", "missing_required_parameter"),
            };
        }

        if (Routes is { } routes && name is "auto" or "local" && kind is null or ModelKind.Decoder)
        {
            return (routes.Decoder, null); // what is not a chat is answered here
        }

        foreach (ModelEntry entry in shelf.Entries)
        {
            if (entry.Id.Equals(name, StringComparison.Ordinal))
            {
                return (entry, null);
            }

            if (name.StartsWith($"{entry.Id}:", StringComparison.Ordinal) && name[(entry.Id.Length + 1)..] is var adapter
                && (entry.Adapters.Contains(adapter, StringComparer.Ordinal) || (adapter == Adapter.None.Name && entry.Kind == ModelKind.Decoder)))
            {
                return (entry, adapter);
            }
        }

        string nearest = NearestName.Likely(name, shelf.Entries.SelectMany(ModelShelf.NamesOf)) is { } other ? $" Did you mean `{other}`?" : "";
        throw new ApiException(404, ApiException.InvalidRequest, $"There is no model of that name here.{nearest} Served: {Names()}.", "model", "model_not_found");
    }

    /// <summary>Whether a name is the router's to answer: <c>auto</c>, or an upstream's. <c>local</c> is a model of this machine by another name.</summary>
    public bool IsRouted(string? name) => name is not (null or "local") && Routes?.Names.Contains(name) == true;

    /// <inheritdoc/>
    public void Dispose() => _uses.ForEach(use => use.Dispose());

    /// <summary>The body as JSON.</summary>
    /// <exception cref="ApiException">It is none, or too large.</exception>
    public Task<JsonDocument> ReadJsonAsync() => ReadJsonAsync(http);

    /// <inheritdoc cref="ReadJsonAsync()"/>
    public static async Task<JsonDocument> ReadJsonAsync(HttpContext http)
    {
        string type = (http.Request.ContentType ?? "").Split(';')[0].Trim();
        if (!type.Equals("application/json", StringComparison.OrdinalIgnoreCase))
        {
            throw new ApiException(415, ApiException.InvalidRequest, "The body has to be JSON: send it with `Content-Type: application/json`.");
        }

        try
        {
            // A document that repeats a name could mean one thing to a proxy and another here.
            JsonDocumentOptions how = new() { MaxDepth = DeepestJson, AllowDuplicateProperties = false };
            return await JsonDocument.ParseAsync(http.Request.Body, how, http.RequestAborted).ConfigureAwait(false);
        }
        catch (JsonException failure)
        {
            string where = failure.LineNumber is { } line && failure.BytePositionInLine is { } at ? $" near line {line + 1}, byte {at + 1}" : "";
            throw new ApiException(400, ApiException.InvalidRequest, $"The body is not valid JSON{where}, repeats a name, or is nested more than {DeepestJson} deep.", code: "invalid_json");
        }
    }

    /// <summary>Answers with one JSON value.</summary>
    public Task WriteAsync(Action<Utf8JsonWriter> write, int status = 200) => WriteAsync(http, JsonBuilding.Bytes(write), status);

    /// <summary>Answers with an error.</summary>
    public static Task WriteErrorAsync(HttpContext http, ApiException failure)
    {
        if (failure.RetryAfterSeconds is { } seconds)
        {
            http.Response.Headers.RetryAfter = seconds.ToString(System.Globalization.CultureInfo.InvariantCulture);
        }

        return WriteAsync(http, JsonBuilding.Bytes(failure.Write), failure.Status);
    }

    /// <summary>Gives a request's sequences to the scheduler.</summary>
    /// <exception cref="ApiException">They do not fit, or there is no place.</exception>
    public GenerationGroup Submit(ServedModel model, IReadOnlyList<GenerationRequest> requests)
    {
        client.CheckTokens(requests.Sum(request => (long)request.Prompt.Length));
        try
        {
            return model.Scheduler.Submit(requests);
        }
        catch (Exception failure) when (Translate(failure) is { } translated)
        {
            throw translated;
        }
    }

    /// <summary>Whose cached prompts a request may use: its key's, and within it those of the user it names.</summary>
    public string OwnerOf(RequestFields fields)
    {
        string? user = fields.Text("user");
        user = fields.Text("safety_identifier") ?? user;
        string? part = fields.Text("prompt_cache_key");
        return string.Join('\n', client.Name, user ?? "", part ?? "");
    }

    /// <summary>What a failure inside means to a client; null for none of the known ones.</summary>
    public static ApiException? Translate(Exception failure) => failure switch
    {
        ApiException known => known,
        ContextExceededException tooLong => ApiException.TooLong(tooLong.PromptTokens, tooLong.ContextLength),
        QueueFullException full => ApiException.TooMany("overloaded_error", full.Message, full.RetryAfter, "queue_full"),
        ObjectDisposedException => new ApiException(503, "unavailable_error", "The server is shutting down.", code: "shutting_down") { RetryAfterSeconds = 5 },
        OutOfMemoryException => new ApiException(503, "unavailable_error", "There was not enough memory for this request. Try again, or with a shorter prompt.", code: "out_of_memory") { RetryAfterSeconds = 5 },
        ArgumentException argument => new ApiException(400, ApiException.InvalidRequest, argument.Message.Split(" (Parameter")[0]),
        BadHttpRequestException bad => new ApiException(
            bad.StatusCode, ApiException.InvalidRequest, bad.StatusCode == 413 ? "The body is too large for this server." : "The request could not be read to its end.", code: bad.StatusCode == 413 ? "body_too_large" : null),
        _ => null,
    };

    /// <summary>A failure's kind, in a word: never its message, which may quote what was asked.</summary>
    public static string KindOf(Exception failure) =>
        failure is OperationCanceledException ? "cancelled" : Translate(failure) is { } told ? told.Code ?? told.Type : failure.GetType().Name;

    /// <summary>Answers with JSON.</summary>
    public static async Task WriteAsync(HttpContext http, ReadOnlyMemory<byte> bytes, int status = 200)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json; charset=utf-8";
        http.Response.ContentLength = bytes.Length;
        await http.Response.BodyWriter.WriteAsync(bytes, http.RequestAborted).ConfigureAwait(false);
    }

    private async Task<Served> UseAsync(ModelEntry entry)
    {
        try
        {
            ModelUse use = await shelf.UseAsync(entry, Gone).ConfigureAwait(false);
            _uses.Add(use);
            return use.Model;
        }
        catch (Exception failure) when (failure is not (ApiException or OperationCanceledException or OutOfMemoryException))
        {
            options.Warn?.Invoke($"{entry.Id} could not be loaded: {failure.Message}");
            throw new ApiException(503, "unavailable_error", $"`{entry.Id}` could not be loaded. The server's log says why.", "model", "model_not_loaded");
        }
    }

    private string Names() => string.Join(", ", shelf.Entries.SelectMany(ModelShelf.NamesOf).Concat(Routes?.Names ?? []).Select(name => $"`{name}`"));
}
