// What a GGUF file of a model is made of, whatever the model lies in now. Knows the keys that all models have; those of families are theirs.
using System.Security.Cryptography;
using Kidogo.Models.Families;
using Kidogo.Models.Files;
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Ops;
using Kidogo.Text.Tokenizers.Trimming;

namespace Kidogo.Models.Export;

/// <summary>Metadata and tensors for a GGUF file.</summary>
public sealed class GgufContent
{
    private static readonly string[] s_ofSplitFiles = ["split.no", "split.count", "split.tensors.count"];

    private GgufContent(DecoderConfig config, GgufMetadata metadata, List<ModelTensor> tensors, Dictionary<string, StoredTensor> stored, List<string> warnings)
    {
        Config = config;
        Metadata = metadata;
        Tensors = tensors;
        Stored = stored;
        Warnings = warnings;
    }

    /// <summary>What the model does that the file has to say.</summary>
    public DecoderConfig Config { get; }

    /// <summary>The metadata.</summary>
    public GgufMetadata Metadata { get; }

    /// <summary>The tensors, in the order of the file.</summary>
    public IReadOnlyList<ModelTensor> Tensors { get; }

    /// <summary>What a GGUF file cannot say of the model, in sentences.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>Of a GGUF file the tensors as they lie, for those that are no matrix or vector of weights.</summary>
    internal Dictionary<string, StoredTensor> Stored { get; }

    /// <summary>The same with changed tensors, under the names and in the order they have.</summary>
    /// <param name="change">From a tensor to what is written in its place.</param>
    public GgufContent With(Func<ModelTensor, ModelTensor> change) => new(Config, Metadata, [.. Tensors.Select(change)], Stored, [.. Warnings]);

    /// <summary>The same with fewer tokens; takes this one's metadata over and changes them.</summary>
    /// <param name="tokens">The tokens that stay.</param>
    /// <exception cref="ModelFormatException">A file that names tokens is malformed.</exception>
    internal GgufContent With(VocabularySelection tokens)
    {
        VocabularyChange change = new(tokens);
        change.Apply(Metadata);
        Dictionary<string, StoredTensor> stored = Stored.Where(tensor => !VocabularyChange.HasRowPerToken(tensor.Key)).ToDictionary(StringComparer.Ordinal);
        return new GgufContent(change.Apply(Config), Metadata, [.. Tensors.Select(change.Apply)], stored, [.. Warnings]);
    }

    /// <summary>Of a model that is open: a GGUF file as it is, a folder in the conventions of GGUF.</summary>
    /// <exception cref="NotSupportedException">A GGUF file cannot say what the model does.</exception>
    /// <exception cref="ModelFormatException">A file of the model is not what it should be.</exception>
    public static GgufContent Of(ModelHeader header) => header.Reshape is { } reshape ? Of(header, reshape) : OfWhole(header);

    private static GgufContent OfWhole(ModelHeader header)
    {
        if (header.Gguf is null)
        {
            return OfFolder(header);
        }

        GgufContent content = OfGguf(header.Config, header.Gguf);
        return header.Change is null ? content : content.With(header.Change);
    }

    /// <summary>Of the part of a model that stays.</summary>
    private static GgufContent Of(ModelHeader header, ModelReshape reshape)
    {
        GgufContent whole = OfWhole(header);
        GgufMetadata metadata = whole.Metadata;
        using GgufFile said = GgufFile.InMemory(metadata);
        string before = said.Metadata.GetString("general.architecture");
        string after = header.Family.GgufArchitectureFor(reshape.Config);
        RemoveStale(metadata, said.Metadata);
        if (after != before)
        {
            metadata.Set("general.architecture", after);
            foreach (string key in metadata.Keys.Where(key => key.StartsWith($"{before}.", StringComparison.Ordinal)).ToArray())
            {
                metadata.Rename(key, after + key[before.Length..]);
            }
        }

        header.Family.WriteGguf(reshape.Config, metadata);
        return new GgufContent(reshape.Config, metadata, [.. whole.Tensors.Select(reshape.Apply).OfType<ModelTensor>()], [], [.. whole.Warnings]);
    }

    /// <summary>Takes away what was said of each layer, and what each norm lost: of layers that may be gone or have another number.</summary>
    internal static void RemoveStale(GgufMetadata metadata, Metadata said)
    {
        string architecture = said.GetString("general.architecture", "");
        foreach (string key in metadata.Keys.ToArray())
        {
            bool isOfLayers = key.StartsWith($"{architecture}.", StringComparison.Ordinal) && said.KindOf(key) == MetadataKind.Array;
            if (isOfLayers || key == SmolLM3.RopeLayersKey || key.StartsWith(KeptFiles.LostPrefix, StringComparison.Ordinal) || key == KeptFiles.FormatsKey)
            {
                metadata.Remove(key);
            }
        }
    }

    private static GgufContent OfGguf(DecoderConfig config, GgufFile file)
    {
        GgufMetadata metadata = new();
        foreach (string key in file.Metadata.Keys.Where(key => !s_ofSplitFiles.Contains(key)))
        {
            metadata.Copy(key, file.Metadata);
        }

        List<ModelTensor> tensors = [];
        Dictionary<string, StoredTensor> stored = new(StringComparer.Ordinal);
        foreach (StoredTensor tensor in file.Tensors)
        {
            stored.Add(tensor.Name, tensor);
            if (tensor.IsWeight && (tensor.Shape.Length > 1 || tensor.Format.BlockSize == 1))
            {
                tensors.Add(StoredModelTensors.Of(tensor.Name, tensor));
            }
        }

        return new GgufContent(config, metadata, tensors, stored, []);
    }

    private static GgufContent OfFolder(ModelHeader header)
    {
        HuggingFaceFolder folder = header.Folder!;
        ModelFamily family = header.Family;
        string architecture = family.GgufArchitectureFor(header.Config);
        List<string> warnings = [];
        GgufMetadata metadata = new();
        metadata.Set("general.architecture", architecture);
        metadata.Set("general.type", "model");
        metadata.Set("general.name", Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder.Path))));
        family.WriteGguf(header.Config, metadata);
        using GgufFile? kept = folder.FindFile(HuggingFaceFolderWriter.KeptMetadataName) is { } keptPath ? GgufFile.Open(keptPath) : null;
        bool keepsVocabulary = KeepsVocabulary(folder, kept?.Metadata);
        if (!keepsVocabulary && GgufVocabulary.Set(metadata, folder, header.Config.VocabSize) is { } warning)
        {
            warnings.Add(warning);
        }

        AddKept(metadata, kept?.Metadata, architecture, keepsVocabulary);
        foreach ((string name, ReadOnlyMemory<byte> file) in KeptFiles.Of(folder).Where(file => !keepsVocabulary || file.Key is not ("tokenizer.json" or "tokenizer_config.json" or "chat_template.jinja")))
        {
            KeptFiles.Put(metadata, name, file);
        }

        KeptFiles.Put(metadata, "config.json", SmallFile.Read(folder.FindFile("config.json")!, 1 << 20));
        foreach ((string key, string value) in folder.WeightMetadata.Where(pair => pair.Key != "format"))
        {
            metadata.Set(KeptFiles.WeightsPrefix + key, value);
        }

        List<ModelTensor> tensors = Arrange(header, kept?.Metadata, metadata);
        string[] leftOut = [.. folder.Tensors.Where(tensor => family.CanonicalName(tensor.Name) is null).Select(tensor => tensor.Name)];
        if (leftOut.Length > 0)
        {
            warnings.Add($"{leftOut.Length} tensors are no weights of the decoder and have no place in a GGUF file, {leftOut[0]} among them: they are left out.");
        }

        return new GgufContent(header.Config, metadata, tensors, [], warnings);
    }

    private static bool KeepsVocabulary(HuggingFaceFolder folder, Metadata? kept)
    {
        if (kept is null || !GgufTokenizer.IsIn(kept))
        {
            return false;
        }

        using Tensors.MappedFile? file = folder.OpenTokenizerJson();
        if (file is null)
        {
            return true;
        }

        byte[] json = new byte[checked((int)file.Length)];
        file.CopyTo(0, json);
        return kept.GetString(KeptFiles.TokenizerHashKey, "") == Convert.ToHexStringLower(SHA256.HashData(json));
    }

    /// <summary>What an earlier GGUF file said: keys that nothing here computes, and the spelling of numbers that are the same.</summary>
    private static void AddKept(GgufMetadata metadata, Metadata? kept, string architecture, bool keepsVocabulary)
    {
        if (kept is null || kept.GetString("general.architecture", architecture) != architecture)
        {
            return;
        }

        foreach (string key in kept.Keys)
        {
            bool isOurs = key is "general.file_type" or "general.architecture" or KeptFiles.TokenizerHashKey || s_ofSplitFiles.Contains(key) || key.StartsWith(KeptFiles.LostPrefix, StringComparison.Ordinal);
            bool isVocabulary = key.StartsWith("tokenizer.", StringComparison.Ordinal);
            bool isName = key is "general.name" or "general.type";
            bool isTaken = isVocabulary ? keepsVocabulary : isName || !metadata.Contains(key) || metadata.Says(key, kept);
            if (!isOurs && isTaken)
            {
                metadata.Copy(key, kept);
            }
        }
    }

    private static List<ModelTensor> Arrange(ModelHeader header, Metadata? kept, GgufMetadata metadata)
    {
        ModelFamily family = header.Family;
        RotaryLayout layout = ModelFamilies.ForGguf(family.WrittenGgufArchitecture, header.Path).GgufRotaryLayout;
        TensorArrangement arrangement = new(header.Config, StoredModelTensors.Of(header), new TensorConventions(layout, UnitOffset: false, family.FusesQkv, family.FusesGate));
        List<ModelTensor> tensors = arrangement.Arrange(kept is null ? null : Lost(kept));
        foreach ((string name, float[] lost) in arrangement.Residuals)
        {
            metadata.Set(KeptFiles.LostPrefix + name, lost.AsSpan());
        }

        List<string> formats = [];
        for (int i = 0; i < tensors.Count; i++)
        {
            // Programs add and multiply with these without looking at their types.
            bool mustBeFloat = tensors[i].IsVector || tensors[i].Name == "position_embd.weight";
            ModelTensor original = tensors[i];
            if (mustBeFloat && original.Format != FloatFormats.F32)
            {
                formats.Add($"{original.Name}={original.Format.Name}");
                tensors[i] = original.Decoded();
            }
        }

        foreach (ModelTensor stored in StoredModelTensors.Of(header).Where(tensor => header.Config.Norm.UnitOffset && tensor.IsVector && tensor.Name.EndsWith("norm.weight", StringComparison.Ordinal) && tensor.Format != FloatFormats.F32))
        {
            formats.Add($"{stored.Name}={stored.Format.Name}");
        }

        if (formats.Count > 0)
        {
            metadata.Set(KeptFiles.FormatsKey, formats);
        }

        foreach ((string name, float[] values) in GgufWriting.RopeTensors(header.Config))
        {
            tensors.Add(ModelTensor.Vector(name, values));
        }

        return tensors;
    }

    /// <summary>What norms lost in an earlier conversion, by canonical name.</summary>
    internal static Dictionary<string, float[]> Lost(Metadata metadata)
    {
        Dictionary<string, float[]> lost = new(StringComparer.Ordinal);
        foreach (string key in metadata.Keys.Where(key => key.StartsWith(KeptFiles.LostPrefix, StringComparison.Ordinal)))
        {
            metadata.TryGetFloats(key, out float[] values);
            lost.Add(key[KeptFiles.LostPrefix.Length..], values);
        }

        return lost;
    }

    /// <summary>What a tensor had in the folder that a file was made from.</summary>
    internal static Dictionary<string, WeightFormat> Formats(Metadata metadata)
    {
        Dictionary<string, WeightFormat> formats = new(StringComparer.Ordinal);
        if (metadata.TryGetStrings(KeptFiles.FormatsKey, out Utf8Strings said))
        {
            for (int i = 0; i < said.Count; i++)
            {
                string[] pair = System.Text.Encoding.UTF8.GetString(said[i]).Split('=');
                if (pair.Length == 2 && WeightFormats.ForName(pair[1]) is { } format && FloatFormats.IsPlain(format))
                {
                    formats[pair[0]] = format;
                }
            }
        }

        return formats;
    }
}
