// A model's files, opened but not loaded: which family, what configuration, how large. Touches no weights.
using Kidogo.Models.Encoders;
using Kidogo.Models.Export;
using Kidogo.Models.Families;
using Kidogo.Models.Files;
using Kidogo.Tensors;

namespace Kidogo.Models;

/// <summary>What the header of a GGUF file, or a folder's config.json and list of tensors, say about a model.</summary>
public sealed class ModelHeader : IDisposable
{
    private ModelHeader(string path, GgufFile? gguf, HuggingFaceFolder? folder)
    {
        Path = path;
        Gguf = gguf;
        Folder = folder;
        if (gguf is not null)
        {
            Architecture = gguf.Metadata.GetString("general.architecture");
            Family = ModelFamilies.ForGguf(Architecture, path);
            Config = ConfigLimits.Check(Family.ReadGguf(new GgufModel(Architecture, gguf.Metadata, gguf.Find)), path);
            Source = new TensorSource(path, gguf.Tensors, name => name, _ => false, FusedOrder.Concatenated);
            Generation = GenerationDefaults.FromGguf(gguf.Metadata);
            RefuseMoreTokensThanRows(gguf.Metadata, Config.VocabSize);
        }
        else
        {
            JsonFields config = folder!.RequireConfig();
            (Family, Architecture) = FamilyOf(config);
            if (config.Contains("quantization_config") && !(config.TryGetObject("quantization_config", out JsonFields quantization) && quantization.GetString("quant_method", "") == PlainTensor.Method))
            {
                throw config.Refuse("quantization_config", "says that the weights are quantised in a way that Kidogo does not read from safetensors. Use the model's GGUF file, or its original weights.");
            }

            Config = Family.ReadHuggingFace(config);
            Source = new TensorSource(path, folder.Tensors, Family.CanonicalName, Family.IsInputMajor, Family.HuggingFaceFusedOrder);
            Config = Config with { TiedHead = Config.TiedHead || Source.Find("output.weight") is null }; // a head that is not stored is the embedding
            ConfigLimits.Check(Config, config.File);
            Generation = GenerationDefaults.FromHuggingFace(folder);
        }

        DecoderBuilder.Check(Config, Source);
    }

    /// <summary>The path that was opened.</summary>
    public string Path { get; }

    /// <summary>The name of the architecture in the files.</summary>
    public string Architecture { get; }

    /// <summary>The family.</summary>
    public ModelFamily Family { get; }

    /// <summary>What the model does.</summary>
    public DecoderConfig Config { get; }

    /// <summary>What the makers recommend for generation.</summary>
    public GenerationDefaults Generation { get; private init; }

    /// <summary>The GGUF file, with the tokenizer in its metadata; null for a folder.</summary>
    public GgufFile? Gguf { get; }

    /// <summary>The folder, with the tokenizer's files; null for a GGUF file.</summary>
    public HuggingFaceFolder? Folder { get; }

    /// <summary>Bytes of the decoder's stored tensors.</summary>
    public long WeightBytes => Source.Bytes(Config.NumLayers);

    /// <summary>The model that this one was made of in memory, with the tokenizer's files; null for one that was opened.</summary>
    internal ModelHeader? Original { get; private init; }

    internal TensorSource Source { get; }

    /// <summary>What becomes of each tensor for whoever writes the model elsewhere; null where they stay as the files have them.</summary>
    internal Func<ModelTensor, ModelTensor>? Change { get; set; }

    /// <summary>The part of the model that is written elsewhere, after <see cref="Change"/>; null for all of it.</summary>
    internal ModelReshape? Reshape { get; set; }

    /// <summary>A model that lies in memory as a GGUF file, with its matrices written when they are opened.</summary>
    /// <param name="original">What it is made of; the result owns it.</param>
    /// <param name="gguf">The file in memory; the result owns it.</param>
    /// <param name="fill">Writes a tensor's bytes.</param>
    internal static ModelHeader InMemory(ModelHeader original, GgufFile gguf, Action<StoredTensor> fill)
    {
        ModelHeader header = new(original.Path, gguf, null) { Original = original, Generation = original.Generation };
        header.Source.Fill = fill;
        return header;
    }

    /// <summary>Opens a .gguf file (of a model in several files the first), a folder, or a file in such a folder.</summary>
    /// <exception cref="ModelFormatException">The files are not what they should be, or no family runs the architecture.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    public static ModelHeader Open(string path)
    {
        string? folderPath = Directory.Exists(path) ? path : FolderOfPart(path);
        if (folderPath is null)
        {
            GgufFile gguf = GgufFile.Open(path);
            try
            {
                return new ModelHeader(path, gguf, null);
            }
            catch
            {
                gguf.Dispose();
                throw;
            }
        }

        HuggingFaceFolder folder = HuggingFaceFolder.Open(folderPath);
        try
        {
            return new ModelHeader(path, null, folder);
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>What running the model will take of memory.</summary>
    /// <param name="contextLength">Positions of each sequence.</param>
    /// <param name="format">How keys and values are stored.</param>
    /// <param name="sequences">Sequences at once.</param>
    public MemoryEstimate Estimate(int contextLength, KvFormat format = KvFormat.F16, int sequences = 1) => MemoryEstimate.For(Config, Source.LoadedBytes(Config.NumLayers), contextLength, format, sequences);

    /// <inheritdoc/>
    public void Dispose()
    {
        Gguf?.Dispose();
        Folder?.Dispose();
        Original?.Dispose();
    }

    // More rows than tokens are padding, which is common. More tokens than rows would have the tokenizer give ids that the embedding does not have.
    private static void RefuseMoreTokensThanRows(Metadata metadata, int rows)
    {
        const string Tokens = "tokenizer.ggml.tokens";
        if (metadata.Contains(Tokens) && metadata.TryGetStrings(Tokens, out Utf8Strings tokens) && tokens.Count > rows)
        {
            throw metadata.Refuse(Tokens, $"has {tokens.Count} tokens, but \"token_embd.weight\" has {rows} rows; expected at most as many tokens as rows. The tokenizer is not this model's, or the file is damaged; get it again.");
        }
    }

    private static string? FolderOfPart(string path)
    {
        bool isPart = System.IO.Path.GetExtension(path).Equals(".safetensors", StringComparison.OrdinalIgnoreCase)
            || System.IO.Path.GetFileName(path) is "config.json" or "model.safetensors.index.json";
        return isPart && File.Exists(path) ? System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path)) : null;
    }

    private static (ModelFamily Family, string Architecture) FamilyOf(JsonFields config)
    {
        string[] classes = config.TryGetStrings("architectures", out string[] named) ? named : [];
        string? type = config.TryGetString("model_type", out string value) ? value : null;
        if (EncoderFamily.Of(config) is { } encoder)
        {
            throw config.Refuse("model_type", $"says that this is an encoder ({encoder.Name}), which writes no text. kidogo embed turns texts into vectors with it.");
        }

        ModelFamily family = ModelFamilies.ForHuggingFace(classes, type, config.File);
        return (family, classes.FirstOrDefault(family.HuggingFaceArchitectures.Contains) ?? type ?? "");
    }
}
