// Writes a model as a folder that Hugging Face Transformers loads. Knows the files and their names; what fields a family has is the family's.
using System.Text.Json;
using Kidogo.Models.Families;
using Kidogo.Models.Files;
using Kidogo.Models.Passports;
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Formats.Plain;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Export;

/// <summary>What a folder is written from.</summary>
public sealed record HuggingFaceFolderContent
{
    /// <summary>The model, in the conventions that <see cref="Tensors"/> follow (the layout of rotated heads, norms as offsets or not).</summary>
    public required DecoderConfig Config { get; init; }

    /// <summary>The family, which knows the names.</summary>
    public required ModelFamily Family { get; init; }

    /// <summary>All tensors by canonical name, fused or not, in any order. The head may be left out where it is tied.</summary>
    public required IReadOnlyList<ModelTensor> Tensors { get; init; }

    /// <summary>How all tensors are stored: F32, F16 or BF16. Null: each as it is, block formats as F32.</summary>
    public WeightFormat? Format { get; init; }

    /// <summary>Files beside the model, by name: <c>tokenizer.json</c>, <c>tokenizer_config.json</c>, <c>chat_template.jinja</c>, <c>generation_config.json</c>.</summary>
    public IReadOnlyDictionary<string, ReadOnlyMemory<byte>> Files { get; init; } = new Dictionary<string, ReadOnlyMemory<byte>>();

    /// <summary>The token that begins a text, for config.json; null for none.</summary>
    public int? BosId { get; init; }

    /// <summary>The tokens that end one.</summary>
    public IReadOnlyList<int> EosIds { get; init; } = [];

    /// <summary>The token that fills up; null for none.</summary>
    public int? PadId { get; init; }

    /// <summary>An earlier config.json of the model: it is kept as it is where it says the same, else those of its fields that no one here computes. Null for none.</summary>
    public ReadOnlyMemory<byte>? EarlierConfig { get; init; }

    /// <summary>More pairs for <c>__metadata__</c> of the weights, beside <c>format: pt</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();

    /// <summary>What the model says of itself; null for nothing.</summary>
    public PassportRequest? Passport { get; init; }

    /// <summary>What the tensors lost when they were brought from another kind of file, by canonical name; null for nothing.</summary>
    internal IReadOnlyDictionary<string, float[]>? Residuals { get; init; }

    /// <summary>The format of a tensor where <see cref="Format"/> says nothing; null for as it is.</summary>
    internal Func<ModelTensor, WeightFormat?>? FormatOf { get; init; }

    /// <summary>Matrices that are stored as codes with scales beside them; null for none.</summary>
    internal Func<ModelTensor, PlainFormat?>? PlainFormatOf { get; init; }

    /// <summary>Called with what became of each of those, once the file is written.</summary>
    internal Action<IReadOnlyList<TensorOutcome>>? Measured { get; init; }

    /// <summary>What a GGUF file knew and a folder has no place for; null for nothing.</summary>
    internal GgufMetadata? KeptMetadata { get; init; }
}

/// <summary>How far the writing of a model is.</summary>
/// <param name="Done">Bytes of tensors that are written.</param>
/// <param name="Total">Bytes of all tensors.</param>
public readonly record struct WriteProgress(long Done, long Total);

/// <summary>Writes folders: <c>config.json</c>, <c>model.safetensors</c>, and what is beside them.</summary>
public static class HuggingFaceFolderWriter
{
    /// <summary>The files that keep what a GGUF file knew and a folder has no place for.</summary>
    public const string KeptMetadataName = "metadata.gguf";

    private const string QuantizationField = "quantization_config";

    /// <summary>Writes a folder beside, flushes it, and gives it its name. A folder of this name keeps the files that are not written anew.</summary>
    /// <param name="path">What it will be called.</param>
    /// <param name="content">What is in it.</param>
    /// <param name="progress">Called now and then; may throw to stop, after which nothing is left behind. May be null.</param>
    /// <returns>Bytes of all files.</returns>
    /// <exception cref="NotSupportedException">The family's files cannot say what the model does; the message says what.</exception>
    /// <exception cref="IOException">It cannot be written.</exception>
    public static long Write(string path, HuggingFaceFolderContent content, Action<WriteProgress>? progress = null)
    {
        using NewFolder folder = NewFolder.Create(path);
        long bytes = Write(folder, content, progress);
        folder.Commit();
        return bytes;
    }

    /// <summary>Writes into a folder that somebody else gives its name.</summary>
    /// <inheritdoc cref="Write(string, HuggingFaceFolderContent, Action{WriteProgress}?)"/>
    public static long Write(NewFolder folder, HuggingFaceFolderContent content, Action<WriteProgress>? progress = null)
    {
        ModelFamily family = content.Family.ForHuggingFace(content.Config);
        HuggingFaceConfig fields = Fields(family, content);
        DecoderConfig said = ReadBack(family, fields, content.Config, folder.TemporaryPath);
        List<ModelTensor> tensors = Arrange(family, content, said, out TensorArrangement arrangement);
        List<TensorToWrite> all = [];
        List<PlainEncoding> plain = [];
        long done = 0;
        long total = 0;
        void Advance(long count)
        {
            done += count;
            progress?.Invoke(new WriteProgress(done, total));
        }

        Dictionary<string, long> types = [];
        foreach (ModelTensor tensor in tensors)
        {
            if (content.PlainFormatOf?.Invoke(tensor) is { } plainFormat)
            {
                PlainEncoding encoding = new(ForFile(family, said, tensor), family.HuggingFaceName(tensor.Name), plainFormat, new EncodingRequest { Advanced = Advance, MeasuresError = content.Measured is not null });
                plain.Add(encoding);
                all.AddRange(encoding.Prepare());
                continue;
            }

            WeightFormat format = content.Format ?? content.FormatOf?.Invoke(tensor) ?? (FloatFormats.IsPlain(tensor.Format) ? tensor.Format : FloatFormats.F32);
            all.Add(TensorEncoding.Prepare(ForFile(family, said, tensor), family.HuggingFaceName(tensor.Name), format, new EncodingRequest { Advanced = Advance }));
            types[format.Name] = types.GetValueOrDefault(format.Name) + tensor.Elements;
        }

        if (plain.Count > 0)
        {
            HuggingFaceConfig marker = new();
            marker.Set("quant_method", PlainTensor.Method);
            fields.Set(QuantizationField, marker); // others had better not take codes for weights
        }

        fields.Set("dtype", types.MaxBy(type => type.Value).Key switch { "F16" => "float16", "BF16" => "bfloat16", _ => "float32" });
        total = all.Sum(tensor => tensor.Bytes);
        KeyValuePair<string, string>[] metadata = [.. content.Metadata.Where(pair => pair.Key != "format" && !PlainTensor.IsKey(pair.Key)), .. plain.SelectMany(each => each.Metadata), new("format", "pt")];
        long fileBytes = SafetensorsWriter.FileBytes(all, metadata);
        TensorHashes hashes = new();
        folder.Add("model.safetensors", fileBytes, stream => SafetensorsWriter.Write(stream, content.Passport is null ? all : all.Select(hashes.Watched), metadata));
        content.Measured?.Invoke([.. plain.Select(each => each.Outcome)]);
        byte[] config = Unchanged(family, content, fields) ?? fields.ToBytes();
        fileBytes += Keep(folder, content.KeptMetadata, arrangement.Residuals);
        fileBytes += config.Length;
        foreach ((string name, ReadOnlyMemory<byte> file) in content.Files)
        {
            folder.Add(name, file);
            fileBytes += file.Length;
        }

        folder.Add("config.json", config);
        return fileBytes + (content.Passport is null ? 0 : AddPassport(folder, content.Passport, hashes.Of(all)));
    }

    /// <summary>Measures the finished folder and adds its passport.</summary>
    private static long AddPassport(NewFolder folder, PassportRequest request, IReadOnlyList<PassportTensor> tensors)
    {
        Passport passport = request.Draft with { Tensors = tensors, Files = ModelHash.FilesWritten(folder.TemporaryPath) };
        byte[] json = PassportJson.Write(request.Measure?.Invoke(folder.TemporaryPath, passport) ?? passport);
        folder.Add(Passport.FileName, json);
        return json.Length;
    }

    /// <summary>Writes the metadata of a GGUF file, and what its norms lost, as a GGUF file without tensors.</summary>
    private static long Keep(NewFolder folder, GgufMetadata? kept, Dictionary<string, float[]> lost)
    {
        if (kept is null)
        {
            return 0;
        }

        foreach ((string name, float[] values) in lost)
        {
            kept.Set(KeptFiles.LostPrefix + name, values.AsSpan());
        }

        long bytes = GgufWriter.FileBytes(kept, []);
        folder.Add(KeptMetadataName, bytes, stream => GgufWriter.Write(stream, kept, []));
        return bytes;
    }

    private static JsonFields? Earlier(HuggingFaceFolderContent content) =>
        content.EarlierConfig is { IsEmpty: false } bytes ? JsonFields.Parse("config.json", bytes.ToArray()) : null;

    /// <summary>The earlier config.json, where it still says all that the model does and how it is stored; else null.</summary>
    private static byte[]? Unchanged(ModelFamily family, HuggingFaceFolderContent content, HuggingFaceConfig fields)
    {
        if (Earlier(content) is not { } earlier || !earlier.TryGetStrings("architectures", out string[] classes) || !classes.Any(family.HuggingFaceArchitectures.Contains) || earlier.Contains("text_config")
            || earlier.Contains(QuantizationField) || fields.Contains(QuantizationField))
        {
            return null;
        }

        string dtype = JsonFields.Parse("config.json", fields.ToBytes()).GetString("dtype");
        bool isSameType = earlier.GetString("dtype", earlier.GetString("torch_dtype", "float32")) == dtype;
        return isSameType && ConfigDifference.Find(content.Config, family.ReadHuggingFace(earlier)) is null ? content.EarlierConfig!.Value.ToArray() : null;
    }

    private static HuggingFaceConfig Fields(ModelFamily family, HuggingFaceFolderContent content)
    {
        HuggingFaceConfig fields = family.WriteHuggingFace(content.Config);
        fields.Set("architectures", [family.HuggingFaceArchitectures[0]]);
        fields.Set("model_type", family.HuggingFaceModelTypes[0]);
        fields.Set("use_cache", true);
        fields.SetOrNull("bos_token_id", content.BosId);
        fields.SetOrNull("pad_token_id", content.PadId);
        if (content.EosIds.Count > 1)
        {
            fields.Set("eos_token_id", content.EosIds);
        }
        else
        {
            fields.SetOrNull("eos_token_id", content.EosIds.Count == 1 ? content.EosIds[0] : null);
        }

        if (Earlier(content) is { } earlier)
        {
            string[] replaced = ["rope_theta", "rope_scaling", "partial_rotary_factor", "rotary_pct", "rotary_emb_base", "rope_local_base_freq", "sliding_window_pattern", "torch_dtype", "text_config", QuantizationField];
            foreach (JsonProperty field in earlier.Element.EnumerateObject())
            {
                // Of a model that had more layers.
                bool isStale = field.Name is "layer_types" or "no_rope_layers" && field.Value.ValueKind == JsonValueKind.Array && field.Value.GetArrayLength() != content.Config.NumLayers;
                if (!fields.Contains(field.Name) && !replaced.Contains(field.Name) && !isStale)
                {
                    fields.Set(field.Name, field.Value);
                }
            }
        }

        return fields;
    }

    /// <summary>What the fields say, which must be what the model does.</summary>
    private static DecoderConfig ReadBack(ModelFamily family, HuggingFaceConfig fields, DecoderConfig wanted, string place)
    {
        DecoderConfig said = family.ReadHuggingFace(JsonFields.Parse(Path.Combine(place, "config.json"), fields.ToBytes()));
        return ConfigDifference.Find(wanted, said) is not { } difference
            ? said
            : throw new NotSupportedException($"Hugging Face folders of the family {family.Name} cannot say what this model does: {difference}. Write a GGUF file instead.");
    }

    private static List<ModelTensor> Arrange(ModelFamily family, HuggingFaceFolderContent content, DecoderConfig said, out TensorArrangement arrangement)
    {
        IEnumerable<ModelTensor> tensors = content.Tensors.Where(tensor => !(said.TiedHead && tensor.Name == "output.weight") && !tensor.Name.StartsWith("rope_f", StringComparison.Ordinal));
        arrangement = new TensorArrangement(content.Config, tensors, new TensorConventions(RotaryLayout.HalfSplit, said.Norm.UnitOffset, family.FusesQkv, family.FusesGate));
        return arrangement.Arrange(content.Residuals);
    }

    private static ModelTensor ForFile(ModelFamily family, DecoderConfig config, ModelTensor tensor)
    {
        bool isFused = CanonicalNames.TrySplitLayer(tensor.Name, out int layer, out string rest) && rest is "attn_qkv.weight" or "attn_qkv.bias";
        if (isFused && family.HuggingFaceFusedOrder == FusedOrder.PerHead)
        {
            tensor = tensor.Picked(TensorOrders.PartsToHeads(config.Layers[layer]));
        }

        return family.IsInputMajor(tensor.Name) ? tensor.Transposed() : tensor;
    }
}
