// The router of a server: its names beside those of the models, and what every answer says of where it came from. Knows no shapes of requests.
using System.Text;
using System.Text.Json;
using Kidogo.Routing;
using Kidogo.Serving.Access;
using Microsoft.AspNetCore.Http;

namespace Kidogo.Serving.Routing;

/// <summary>Routes between the first decoder of a shelf and upstreams.</summary>
internal sealed class ServedRoutes : IDisposable
{
    /// <summary>Where an answer came from: <c>local</c>, or the upstream's name.</summary>
    public const string ServedByHeader = "x-kidogo-served-by";

    /// <summary>Why, in a word and a sentence.</summary>
    public const string ReasonHeader = "x-kidogo-route-reason";

    /// <summary>What that header says where a stream had to begin before it was known; then there is no other, and its first chunk tells.</summary>
    public const string Undecided = "undecided: the answer is slow to begin; the first chunk and the last say where it comes from";

    private readonly ShelfChatClient _local;
    private readonly ShelfEmbeddings? _encoder;

    /// <summary>A router.</summary>
    /// <param name="shelf">The models of this machine.</param>
    /// <param name="options">How the server is set up, with the policy.</param>
    /// <exception cref="ServerSetupException">The policy cannot be used with these models.</exception>
    public ServedRoutes(ModelShelf shelf, ServerOptions options)
    {
        Decoder = shelf.Entries.FirstOrDefault(entry => entry.Kind == ModelKind.Decoder) ?? throw new ServerSetupException("Routing needs a model of this machine that writes text. Name one beside the encoder.");
        _local = new ShelfChatClient(shelf, Decoder);
        _encoder = shelf.Entries.FirstOrDefault(entry => entry.IsEncoder) is { } encoder ? new ShelfEmbeddings(shelf, encoder) : null;
        LocalModelFacts facts = new() { Name = Decoder.Id, ContextTokens = Decoder.Facts.Context, JoulesPerToken = options.JoulesPerToken };
        try
        {
            Client = new HybridChatClient(_local, options.Routing!, facts, _encoder, warn: options.Warn);
        }
        catch (RoutingException failure)
        {
            throw new ServerSetupException(failure.Message);
        }

        Names = [.. Client.Names];
        if (shelf.Entries.SelectMany(ModelShelf.NamesOf).FirstOrDefault(Names.Contains) is { } taken)
        {
            throw new ServerSetupException($"A model of this machine and a name of the router are both {taken}. Rename one.");
        }
    }

    /// <summary>The model that <c>local</c> means.</summary>
    public ModelEntry Decoder { get; }

    /// <summary>Answers.</summary>
    public HybridChatClient Client { get; }

    /// <summary><c>auto</c>, <c>local</c>, and the upstreams'.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>What an answer says that a model of this machine gave because the request named it.</summary>
    public static RouteOutcome ByName(string model) => new() { ServedBy = "local", Model = model, Reason = "asked", Detail = "The request asks for a model of this machine." };

    /// <summary>Says in an answer's headers where it came from.</summary>
    public static void WriteHeaders(HttpResponse response, RouteOutcome outcome)
    {
        response.Headers[ServedByHeader] = Plain(outcome.ServedBy);
        response.Headers[ReasonHeader] = Plain($"{outcome.Reason}: {outcome.Detail}");
    }

    /// <summary>Adds the names to the list of models, in its shape.</summary>
    public void WriteModels(Utf8JsonWriter json, DateTimeOffset created)
    {
        foreach (string name in Names)
        {
            json.WriteStartObject();
            json.WriteString("id", name);
            json.WriteString("object", "model");
            json.WriteNumber("created", created.ToUnixTimeSeconds());
            json.WriteString("owned_by", name is "auto" or "local" ? "kidogo" : "upstream");
            json.WriteStartObject("meta");
            json.WriteString("type", "route");
            json.WriteBoolean("loaded", true);
            json.WriteNumber("n_ctx", Decoder.Facts.Context);
            json.WriteEndObject();
            json.WriteEndObject();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Client.Dispose();
        _local.Dispose();
        _encoder?.Dispose();
    }

    /// <summary>A header has no other characters.</summary>
    private static string Plain(string text)
    {
        StringBuilder plain = new(text.Length);
        foreach (char c in text)
        {
            plain.Append(c is >= ' ' and < '\u007F' ? c : '?');
        }

        return plain.ToString();
    }
}
