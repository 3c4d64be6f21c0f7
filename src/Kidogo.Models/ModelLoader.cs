// From a path to a model that runs. Knows no text: who wants the tokenizer finds its files in the result.
using Kidogo.Models.Families;
using Kidogo.Models.Files;
using Kidogo.Tensors;

namespace Kidogo.Models;

/// <summary>How a model is loaded.</summary>
public sealed record LoadOptions
{
    /// <summary>Called after each layer with the number of layers that are there, and of all. On the thread that loads.</summary>
    public Action<int, int>? LayerLoaded { get; init; }
}

/// <summary>Opens models.</summary>
public static class ModelLoader
{
    /// <summary>Loads a .gguf file (of a model in several files the first) or a Hugging Face folder.</summary>
    /// <param name="path">The file or folder.</param>
    /// <param name="context">Says in which precision weights will be computed with, and lends its threads.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <exception cref="ModelFormatException">The files are not what they should be, or no family runs the architecture.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    public static LoadedModel Load(string path, ComputeContext context, LoadOptions? options = null) => Load(ModelHeader.Open(path), context, options);

    /// <summary>Loads the model of a header. The result owns the header, also where loading fails.</summary>
    /// <inheritdoc cref="Load(string, ComputeContext, LoadOptions?)"/>
    public static LoadedModel Load(ModelHeader header, ComputeContext context, LoadOptions? options = null)
    {
        try
        {
            Action<int, int>? loaded = options?.LayerLoaded;
            DecoderModel model = new DecoderBuilder(header.Config, header.Source, context).Build(loaded is null ? null : count => loaded(count, header.Config.NumLayers));
            return new LoadedModel(model, header);
        }
        catch
        {
            header.Dispose();
            throw;
        }
    }
}

/// <summary>A model with the files it is from, which stay open as long as it lives.</summary>
public sealed class LoadedModel : IDisposable
{
    internal LoadedModel(DecoderModel model, ModelHeader header)
    {
        Model = model;
        Header = header;
    }

    /// <summary>The model.</summary>
    public DecoderModel Model { get; }

    /// <summary>The files: where the tokenizer and the chat template are.</summary>
    public ModelHeader Header { get; }

    /// <summary>What the model does.</summary>
    public DecoderConfig Config => Model.Config;

    /// <summary>The family.</summary>
    public ModelFamily Family => Header.Family;

    /// <summary>What the makers recommend for generation.</summary>
    public GenerationDefaults Generation => Header.Generation;

    /// <inheritdoc/>
    public void Dispose()
    {
        Model.Dispose();
        Header.Dispose();
    }
}
