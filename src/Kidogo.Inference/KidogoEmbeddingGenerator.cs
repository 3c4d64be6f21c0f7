// Microsoft.Extensions.AI's embedding generator over an encoder. Knows no files' formats.
using System.Diagnostics.Metrics;
using Kidogo.Inference.Telemetry;
using Kidogo.Models;
using Kidogo.Models.Encoders;
using Kidogo.Tensors;
using Microsoft.Extensions.AI;

namespace Kidogo.Inference;

/// <summary>Turns texts into vectors with an encoder in this process. Safe for any number of threads; one call computes at a time.</summary>
/// <remarks>
/// A text that is longer than the model reads is refused with both numbers, unless <c>AdditionalProperties</c> has <c>truncate</c> true. Options that ask for what is not there are refused by name.
/// </remarks>
public sealed class KidogoEmbeddingGenerator : IEmbeddingGenerator<string, Embedding<float>>
{
    private const string TruncateProperty = "truncate";
    private const string OptionsName = "options";

    private readonly LoadedEncoder _encoder;
    private readonly ModelText _words;
    private readonly ComputeContext _context;
    private readonly TextEmbedder _embedder;
    private readonly EmbeddingGeneratorMetadata _metadata;
    private readonly ModelTelemetry _telemetry;
    private readonly string _modelId;
    private readonly SemaphoreSlim _turn = new(1); // a context belongs to one pass
    private bool _isDisposed;

    /// <summary>A generator over an encoder. The encoder and the context belong to it from now on.</summary>
    /// <param name="encoder">The encoder.</param>
    /// <param name="context">What it computes with; for nobody else.</param>
    /// <param name="modelId">What it is called in options and metrics.</param>
    /// <param name="meters">Makes the meter; null to make it here.</param>
    /// <exception cref="Kidogo.Models.Files.ModelFormatException">The encoder's folder has no vocabulary, or a malformed one.</exception>
    public KidogoEmbeddingGenerator(LoadedEncoder encoder, ComputeContext context, string modelId, IMeterFactory? meters = null)
    {
        ArgumentNullException.ThrowIfNull(encoder);
        _encoder = encoder;
        _context = context;
        _modelId = modelId;
        _words = ModelText.Of(encoder.Folder);
        _embedder = new TextEmbedder(encoder, _words.Tokenizer, context);
        _metadata = new EmbeddingGeneratorMetadata(ModelTelemetry.ProviderName, providerUri: null, modelId, encoder.Model.Config.HiddenSize);
        _telemetry = new ModelTelemetry(modelId, meters);
    }

    /// <summary>Loads an encoder, as <see cref="KidogoOptions.EmbeddingModel"/> says.</summary>
    /// <param name="options">Which encoder, and how.</param>
    /// <param name="meters">Makes the meter; null to make it here.</param>
    /// <exception cref="FileNotFoundException">There is no such model; the message has the nearest.</exception>
    /// <exception cref="Kidogo.Models.Files.ModelFormatException">The folder is not what it should be, or holds no encoder.</exception>
    /// <exception cref="ArgumentException">An option is outside its range.</exception>
    public static KidogoEmbeddingGenerator Load(KidogoOptions options, IMeterFactory? meters = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        string name = options.EmbeddingModel
            ?? throw new ArgumentException($"{nameof(KidogoOptions)}.{nameof(options.EmbeddingModel)} is not set: name a Hugging Face folder, or org/name of the model cache.", nameof(options));
        KidogoOptionsValidator.Check(options);
        string path = new ModelLocator(ModelPlaces.FromEnvironment()).Locate(name);
        ComputeContext context = ComputeContext.Inference(options.Threads, options.IsExact ? ComputePrecision.Exact : ComputePrecision.Fast);
        LoadedEncoder? encoder = null;
        try
        {
            encoder = LoadedEncoder.Load(path, context);
            return new KidogoEmbeddingGenerator(encoder, context, options.IdOf(name, isEmbedding: true), meters);
        }
        catch
        {
            encoder?.Dispose();
            context.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        using ModelOperation operation = _telemetry.Begin("embeddings");
        try
        {
            bool truncates = Read(options);
            string[] texts = [.. values];
            int missing = Array.IndexOf(texts, null);
            if (missing >= 0)
            {
                throw new ArgumentException($"Text {missing} is null.", nameof(values));
            }

            TextEmbedding[] vectors = await EmbedAsync(texts, cancellationToken).ConfigureAwait(false);
            int cut = Array.FindIndex(vectors, vector => vector.WholeTokens > vector.Tokens);
            if (cut >= 0 && !truncates)
            {
                throw new ArgumentException(
                    $"Text {cut} has {vectors[cut].WholeTokens} tokens; {_modelId} reads {_encoder.MaxTokens}. Give it in parts, or set {nameof(EmbeddingGenerationOptions)}.{nameof(options.AdditionalProperties)}[\"{TruncateProperty}\"] to true.", nameof(values));
            }

            long tokens = vectors.Sum(vector => (long)vector.Tokens);
            operation.Used(tokens, null);
            operation.Span?.SetTag("gen_ai.response.model", _modelId).SetTag("gen_ai.embeddings.dimension.count", _encoder.Model.Config.HiddenSize);
            DateTimeOffset now = DateTimeOffset.UtcNow;
            return new GeneratedEmbeddings<Embedding<float>>(vectors.Select(vector => new Embedding<float>(vector.Values) { CreatedAt = now, ModelId = _modelId }))
            {
                Usage = new UsageDetails { InputTokenCount = tokens, TotalTokenCount = tokens },
            };
        }
        catch (Exception failure)
        {
            operation.Failed(failure);
            throw;
        }
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(EmbeddingGeneratorMetadata) ? _metadata
            : serviceType == typeof(Text.Tokenizers.Tokenizer) ? _words.Tokenizer
            : serviceType.IsInstanceOfType(this) ? this
            : null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, true))
        {
            return;
        }

        _turn.Wait(); // not under a call that computes
        _words.Dispose();
        _encoder.Dispose();
        _context.Dispose();
        _telemetry.Dispose();
        _turn.Dispose();
    }

    private async Task<TextEmbedding[]> EmbedAsync(string[] texts, CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            return await Task.Run(() => _embedder.Embed(texts, cancellation), cancellation).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Whether long texts are cut.</summary>
    private bool Read(EmbeddingGenerationOptions? options)
    {
        if (options is null)
        {
            return false;
        }

        int size = _encoder.Model.Config.HiddenSize;
        if (options.Dimensions is { } dimensions && dimensions != size)
        {
            throw new NotSupportedException($"{nameof(EmbeddingGenerationOptions)}.{nameof(options.Dimensions)} is {dimensions}; {_modelId} makes vectors of {size}, and cut ones would mean something else.");
        }

        if (options.ModelId is { } asked && asked != _modelId)
        {
            throw new ArgumentException($"{nameof(EmbeddingGenerationOptions)}.{nameof(options.ModelId)} is \"{asked}\"; this generator uses {_modelId} alone.", OptionsName);
        }

        if (options.RawRepresentationFactory?.Invoke(this) is { } raw)
        {
            throw new NotSupportedException($"{nameof(EmbeddingGenerationOptions)}.{nameof(options.RawRepresentationFactory)} gave a {raw.GetType().Name}; there are no such options here.");
        }

        bool truncates = false;
        foreach ((string name, object? value) in options.AdditionalProperties ?? [])
        {
            truncates = name == TruncateProperty && value is bool flag ? flag
                : throw new NotSupportedException($"{nameof(EmbeddingGenerationOptions)}.{nameof(options.AdditionalProperties)} has \"{name}\" as {value?.GetType().Name ?? "null"}. Known: {TruncateProperty}, true or false.");
        }

        return truncates;
    }
}
