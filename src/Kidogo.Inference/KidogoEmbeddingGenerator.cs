// Microsoft.Extensions.AI's embedding generator over an encoder. Knows no files' formats.
using System.Diagnostics.Metrics;
using Kidogo.Inference.Telemetry;
using Microsoft.Extensions.AI;

namespace Kidogo.Inference;

/// <summary>Turns texts into vectors with an encoder in this process. Safe for any number of threads; calls take turns.</summary>
/// <remarks>
/// A text that is longer than the model reads is refused with both numbers, unless <c>AdditionalProperties</c> has <c>truncate</c> true. Options that ask for what is not there are refused by name.
/// </remarks>
public sealed class KidogoEmbeddingGenerator : IEmbeddingGenerator<string, Embedding<float>>
{
    private const string TruncateProperty = "truncate";
    private const string OptionsName = "options";

    private readonly HostedEncoder _encoder;
    private readonly bool _ownsEncoder;
    private readonly EmbeddingGeneratorMetadata _metadata;
    private readonly ModelTelemetry _telemetry;
    private readonly string _modelId;
    private bool _isDisposed;

    /// <summary>A generator over an encoder.</summary>
    /// <param name="encoder">The encoder.</param>
    /// <param name="modelId">What it is called in options and metrics.</param>
    /// <param name="ownsEncoder">Whether the encoder ends with the generator.</param>
    /// <param name="meters">Makes the meter; null to make it here.</param>
    public KidogoEmbeddingGenerator(HostedEncoder encoder, string modelId, bool ownsEncoder = false, IMeterFactory? meters = null)
    {
        ArgumentNullException.ThrowIfNull(encoder);
        ArgumentException.ThrowIfNullOrEmpty(modelId);
        _encoder = encoder;
        _ownsEncoder = ownsEncoder;
        _modelId = modelId;
        _metadata = new EmbeddingGeneratorMetadata(ModelTelemetry.ProviderName, providerUri: null, modelId, encoder.Dimensions);
        _telemetry = new ModelTelemetry(meters);
    }

    /// <summary>Loads an encoder. It ends with the generator.</summary>
    /// <param name="options">Which encoder, and how.</param>
    /// <param name="meters">Makes the meter; null to make it here.</param>
    /// <inheritdoc cref="HostedEncoder.Load"/>
    public static KidogoEmbeddingGenerator Load(KidogoOptions options, IMeterFactory? meters = null)
    {
        HostedEncoder encoder = HostedEncoder.Load(options);
        return new KidogoEmbeddingGenerator(encoder, options.IdOf(options.EmbeddingModel!, isEmbedding: true), ownsEncoder: true, meters);
    }

    /// <inheritdoc/>
    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        using ModelOperation operation = _telemetry.Begin("embeddings", _modelId);
        try
        {
            bool truncates = Read(options);
            string[] texts = [.. values];
            int[][] ids = await Task.Run(() => texts.Select((text, i) => Encode(text, i, truncates, cancellationToken)).ToArray(), cancellationToken).ConfigureAwait(false);
            TextEmbedding[] vectors = await _encoder.EmbedAsync(ids, options?.Dimensions, cancellationToken).ConfigureAwait(false);
            long tokens = vectors.Sum(vector => (long)vector.Tokens);
            operation.Embedded(tokens, options?.Dimensions ?? _encoder.Dimensions);
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
            : serviceType == typeof(HostedEncoder) ? _encoder
            : serviceType == typeof(Text.Tokenizers.Tokenizer) ? _encoder.Tokenizer
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

        if (_ownsEncoder)
        {
            _encoder.Dispose();
        }

        _telemetry.Dispose();
    }

    private int[] Encode(string text, int index, bool truncates, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        if (text is null)
        {
            throw new ArgumentException($"Text {index} is null.");
        }

        int[] ids = _encoder.Encode(text, out int whole);
        return whole == ids.Length || truncates ? ids : throw new ArgumentException(
            $"Text {index} has {whole} tokens; {_modelId} reads {_encoder.MaxTokens}. Give it in parts, or set {nameof(EmbeddingGenerationOptions)}.{nameof(EmbeddingGenerationOptions.AdditionalProperties)}[\"{TruncateProperty}\"] to true.");
    }

    /// <summary>Whether long texts are cut.</summary>
    private bool Read(EmbeddingGenerationOptions? options)
    {
        if (options is null)
        {
            return false;
        }

        if (options.Dimensions is { } width && width != _encoder.Dimensions && !_encoder.Widths.Contains(width))
        {
            string can = _encoder.Widths.Count == 0 ? "and cut ones would mean something else" : $"or {string.Join(", ", _encoder.Widths)}";
            throw new NotSupportedException($"{nameof(EmbeddingGenerationOptions)}.{nameof(options.Dimensions)} is {width}; {_modelId} makes vectors of {_encoder.Dimensions} numbers, {can}.");
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
