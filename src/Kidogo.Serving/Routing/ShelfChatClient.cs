// The first decoder of a server as a chat client: loaded when it is asked, and held while it answers. Knows no policy.
using System.Runtime.CompilerServices;
using Kidogo.Inference;
using Microsoft.Extensions.AI;

namespace Kidogo.Serving.Routing;

/// <summary>Chats with a model of a shelf.</summary>
/// <param name="shelf">Where it is.</param>
/// <param name="entry">Which it is.</param>
internal sealed class ShelfChatClient(ModelShelf shelf, ModelEntry entry) : IChatClient
{
    private readonly ConditionalWeakTable<Served, KidogoChatClient> _clients = [];

    /// <inheritdoc/>
    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        await GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using ModelUse use = await shelf.UseAsync(entry, cancellationToken).ConfigureAwait(false);
        KidogoChatClient client = _clients.GetValue(use.Model, model => new KidogoChatClient(((ServedModel)model).Hosted, entry.Id));
        await foreach (ChatResponseUpdate update in client.GetStreamingResponseAsync(messages, options, cancellationToken).ConfigureAwait(false))
        {
            yield return update;
        }
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null) => serviceKey is null && serviceType?.IsInstanceOfType(this) == true ? this : null;

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}

/// <summary>The first encoder of a server as an embedding generator.</summary>
/// <param name="shelf">Where it is.</param>
/// <param name="entry">Which it is.</param>
internal sealed class ShelfEmbeddings(ModelShelf shelf, ModelEntry entry) : IEmbeddingGenerator<string, Embedding<float>>
{
    private readonly ConditionalWeakTable<Served, KidogoEmbeddingGenerator> _generators = [];

    /// <inheritdoc/>
    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        using ModelUse use = await shelf.UseAsync(entry, cancellationToken).ConfigureAwait(false);
        return await _generators.GetValue(use.Model, model => new KidogoEmbeddingGenerator(((ServedEncoder)model).Hosted, entry.Id)).GenerateAsync(values, options, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null) => serviceKey is null && serviceType?.IsInstanceOfType(this) == true ? this : null;

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
