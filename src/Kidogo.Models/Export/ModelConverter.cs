// Between GGUF files and Hugging Face folders. Knows what each keeps of the other; arithmetic and names are elsewhere.
using Kidogo.Models.Files;
using Kidogo.Models.Passports;
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Formats.Plain;
using Kidogo.Text.Tokenizers.Trimming;

namespace Kidogo.Models.Export;

/// <summary>What a conversion did.</summary>
/// <param name="Bytes">Bytes of all files that were written.</param>
/// <param name="Warnings">What could not be said in the new form, in sentences.</param>
public sealed record ConversionReport(long Bytes, IReadOnlyList<string> Warnings);

/// <summary>Converts models.</summary>
public static class ModelConverter
{
    /// <summary>Writes a model as a GGUF file if the path ends in <c>.gguf</c>, else as a Hugging Face folder.</summary>
    /// <param name="header">The model.</param>
    /// <param name="path">What the result will be called; a folder must be new or empty.</param>
    /// <param name="format">F32, F16 or BF16 for all weights; null to keep them as they are (in a folder block formats become F32, which holds them exactly).</param>
    /// <param name="options">How it is written; null for the defaults.</param>
    /// <param name="tokens">The tokens that are written, under new numbers; null for all as they are.</param>
    /// <exception cref="ModelFormatException">A file of the model that names tokens is malformed.</exception>
    /// <exception cref="ModelTensorException">A weight cannot be stored as was asked.</exception>
    /// <exception cref="NotSupportedException">The new form cannot say what the model does.</exception>
    /// <exception cref="IOException">It cannot be written, or a file of the model became shorter meanwhile.</exception>
    public static ConversionReport Convert(ModelHeader header, string path, WeightFormat? format = null, ModelWriteOptions? options = null, VocabularySelection? tokens = null) =>
        path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) ? ToGguf(header, path, format, options, tokens) : ToFolder(header, path, format, options ?? new ModelWriteOptions(), tokens);

    /// <summary>Writes a model as a Hugging Face folder with some of its matrices as codes and scales.</summary>
    /// <param name="header">The model.</param>
    /// <param name="path">What the folder will be called; it must be new or empty.</param>
    /// <param name="formatOf">The format of a matrix, by its canonical name; null to keep it.</param>
    /// <param name="options">How it is written; null for the defaults.</param>
    /// <returns>Bytes of all files, what could not be said, and what became of the matrices.</returns>
    /// <exception cref="ModelTensorException">A weight cannot be stored as was asked.</exception>
    /// <exception cref="NotSupportedException">A folder cannot say what the model does.</exception>
    /// <exception cref="IOException">It cannot be written, or a file of the model became shorter meanwhile.</exception>
    public static (ConversionReport Report, IReadOnlyList<TensorOutcome> Tensors) ToPlainFolder(ModelHeader header, string path, Func<ModelTensor, PlainFormat?> formatOf, ModelWriteOptions? options = null)
    {
        IReadOnlyList<TensorOutcome> outcomes = [];
        ConversionReport report = ToFolder(header, path, null, options ?? new ModelWriteOptions(), null, formatOf, measured => outcomes = measured);
        return (report, outcomes);
    }

    /// <summary>The files about text that a folder of a model would have: tokenizer.json, tokenizer_config.json, chat_template.jinja and their kin, by name.</summary>
    /// <param name="gguf">A GGUF file.</param>
    /// <param name="warning">What they cannot say of it; null for nothing.</param>
    /// <exception cref="ModelFormatException">The file's vocabulary is not what it should be.</exception>
    public static IReadOnlyDictionary<string, ReadOnlyMemory<byte>> TokenizerFiles(ModelHeader gguf, out string? warning)
    {
        if (gguf.Gguf is null)
        {
            throw new ArgumentException($"{gguf.Path} is a folder: its files are there to be read.", nameof(gguf));
        }

        Dictionary<string, ReadOnlyMemory<byte>> files = KeptFiles.Of(gguf.Gguf.Metadata);
        files.Remove("config.json");
        warning = GgufVocabulary.AddFiles(gguf, files, new GgufMetadata());
        return files;
    }

    private static ConversionReport ToGguf(ModelHeader header, string path, WeightFormat? format, ModelWriteOptions? options, VocabularySelection? tokens)
    {
        GgufContent content = GgufContent.Of(header);
        content = tokens is null ? content : content.With(tokens);
        TensorChoice? Choose(ModelTensor tensor) => format is null || tensor.IsVector || tensor.Name == "position_embd.weight" ? null : new TensorChoice(format);
        (long bytes, _) = GgufModelWriter.Write(path, header, content, Choose, options);
        return new ConversionReport(bytes, content.Warnings);
    }

    private static ConversionReport ToFolder(
        ModelHeader header, string path, WeightFormat? format, ModelWriteOptions options, VocabularySelection? tokens, Func<ModelTensor, PlainFormat?>? plainFormatOf = null, Action<IReadOnlyList<TensorOutcome>>? measured = null)
    {
        if (Directory.Exists(path) && Directory.EnumerateFileSystemEntries(path).Any())
        {
            throw new IOException($"The folder {path} is there already and not empty. Name a new one, so that no files of two models are mixed up.");
        }

        List<string> warnings = [];
        GgufMetadata kept = new();
        Dictionary<string, ReadOnlyMemory<byte>> files = header.Folder is { } source ? KeptFiles.Of(source) : KeptFiles.Of(header.Gguf!.Metadata);
        Dictionary<string, string> weightMetadata = new(StringComparer.Ordinal);
        Dictionary<string, WeightFormat> formats = [];
        Dictionary<string, float[]>? lost = null;
        ReadOnlyMemory<byte>? earlier = null;
        if (header.Gguf is { } gguf)
        {
            Metadata metadata = gguf.Metadata;
            foreach (string key in metadata.Keys.Where(key => !KeptFiles.IsKey(key) && key != KeptFiles.FormatsKey && !key.StartsWith(KeptFiles.LostPrefix, StringComparison.Ordinal)))
            {
                kept.Copy(key, metadata);
                if (key.StartsWith(KeptFiles.WeightsPrefix, StringComparison.Ordinal))
                {
                    weightMetadata[key[KeptFiles.WeightsPrefix.Length..]] = metadata.GetString(key);
                }
            }

            earlier = files.Remove("config.json", out ReadOnlyMemory<byte> config) ? config : null;
            formats = GgufContent.Formats(metadata);
            lost = GgufContent.Lost(metadata);
            if (GgufVocabulary.AddFiles(header, files, kept) is { } warning)
            {
                warnings.Add(warning);
            }
        }
        else
        {
            earlier = SmallFile.Read(header.Folder!.FindFile("config.json")!, 1 << 20);
            weightMetadata = header.Folder.WeightMetadata.ToDictionary();
            using GgufFile? keptFile = header.Folder.FindFile(HuggingFaceFolderWriter.KeptMetadataName) is { } keptPath ? GgufFile.Open(keptPath) : null;
            keptFile?.Metadata.Keys.ToList().ForEach(key => kept.Copy(key, keptFile.Metadata));
        }

        kept.Remove(Passport.MetadataKey); // of the parent
        ModelReshape? reshape = header.Reshape;
        if (reshape is not null && kept.Keys.Count > 0)
        {
            using GgufFile said = GgufFile.InMemory(kept);
            GgufContent.RemoveStale(kept, said.Metadata);
            lost = null;
        }

        (int? bos, IReadOnlyList<int> eos, int? pad) = Ids(header);
        DecoderConfig written = reshape?.Config ?? header.Config;
        List<ModelTensor> tensors = StoredModelTensors.Of(header);
        tensors = reshape is null ? tensors : [.. tensors.Select(reshape.Apply).OfType<ModelTensor>()];
        if (tokens is not null)
        {
            VocabularyChange change = new(tokens);
            written = change.Apply(written);
            tensors = tensors.ConvertAll(change.Apply);
            (bos, eos, pad) = (NewId(bos), tokens.NewIds(eos), NewId(pad));
            earlier = Trimmed(change, files, earlier, header.Path);
            if (kept.Keys.Count > 0)
            {
                change.Apply(kept);
                VocabularyChange.Rehash(kept, files);
            }
        }

        int? NewId(int? id) => id is { } old && tokens!.NewId(old) is >= 0 and int number ? number : null;
        HuggingFaceFolderContent content = new()
        {
            Config = written,
            Family = header.Family,
            Tensors = tensors,
            Format = format,
            Files = files,
            BosId = bos,
            EosIds = eos,
            PadId = pad,
            EarlierConfig = earlier,
            Metadata = weightMetadata,
            Residuals = lost,
            FormatOf = tensor => formats.TryGetValue(tensor.Name, out WeightFormat? was) && Holds(was, tensor) ? was : null,
            KeptMetadata = kept.Keys.Count > 0 ? kept : null,
            Passport = options.Passport,
            PlainFormatOf = plainFormatOf,
            Measured = measured,
        };
        using NewFolder folder = NewFolder.Create(path);
        options.Began?.Invoke(folder.TemporaryPath);
        long bytes = HuggingFaceFolderWriter.Write(folder, content, options.Progress);
        options.Written?.Invoke(folder.TemporaryPath);
        if (Directory.Exists(path))
        {
            Directory.Delete(path); // it is empty
        }

        folder.Commit();
        if (!written.HasEqualLayers)
        {
            warnings.Add("Layers differ in heads or width, so config.json holds a list of one number for each layer where Hugging Face's classes expect one for all: Kidogo reads it, Transformers does not. A GGUF file of a "
                + "Llama-like model whose layers differ is also read by llama.cpp.");
        }

        if (header.Gguf is not null && content.Tensors.Any(tensor => tensor.Format.BlockSize > 1 && plainFormatOf?.Invoke(tensor) is null) && format is null)
        {
            warnings.Add("Folders hold no block formats: quantised tensors were written as F32, which holds them exactly and takes more room. --format F16 halves it.");
        }

        return new ConversionReport(bytes, warnings);
    }

    /// <summary>Changes the files of a folder; gives its earlier config.json, which is kept apart from them.</summary>
    private static ReadOnlyMemory<byte>? Trimmed(VocabularyChange change, Dictionary<string, ReadOnlyMemory<byte>> files, ReadOnlyMemory<byte>? earlier, string place)
    {
        if (earlier is { } config)
        {
            files.Add("config.json", config);
        }

        change.Apply(files, place);
        return files.Remove("config.json", out ReadOnlyMemory<byte> changed) ? changed : null;
    }

    /// <summary>Whether a format holds every value of a tensor as it is.</summary>
    private static bool Holds(WeightFormat format, ModelTensor tensor)
    {
        const int Largest = 1 << 26; // vectors and tables of positions
        if (tensor.Elements > Largest)
        {
            return false;
        }

        float[] values = tensor.ReadFloats();
        byte[] stored = new byte[format.RowBytes(values.Length)];
        float[] again = new float[values.Length];
        if (!values.All(float.IsFinite))
        {
            return false;
        }

        try
        {
            format.Encode(values, [], stored);
        }
        catch (WeightEncodingException)
        {
            return false;
        }

        format.Decode(stored, again);
        return values.AsSpan().SequenceEqual(again);
    }

    private static (int? Bos, IReadOnlyList<int> Eos, int? Pad) Ids(ModelHeader header)
    {
        ModelText text = ModelText.Of(header);
        IReadOnlyList<int> ends = header.Generation.EndTokens;
        if (!text.HasTokenizer)
        {
            return (null, ends, null);
        }

        return (text.Tokenizer.BosId, ends.Count > 0 ? ends : text.Tokenizer.EosId is { } eos ? [eos] : [], text.Tokenizer.PadId);
    }
}
