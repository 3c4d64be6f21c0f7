// Adapters as PEFT keeps them: adapter_config.json and adapter_model.safetensors. Knows no other kind of file.
using System.Runtime.InteropServices;
using Kidogo.Models.Export;
using Kidogo.Models.Families;
using Kidogo.Models.Files;
using Kidogo.Tensors;

namespace Kidogo.Models.Adapters;

/// <summary>Reads and writes PEFT folders (LoRA, rsLoRA and DoRA, as peft 0.21 has them).</summary>
public static class PeftFolder
{
    /// <summary>The file that says what the weights mean.</summary>
    public const string ConfigName = PeftConfig.FileName;

    /// <summary>The file of the weights.</summary>
    public const string WeightsName = "adapter_model.safetensors";

    private const string Prefix = "base_model.model.";
    private const string HashKey = "kidogo.base.sha256";
    private const string FingerprintKey = "kidogo.base.fingerprint";

    /// <summary>Whether a folder holds an adapter.</summary>
    public static bool IsOne(string folder) => File.Exists(Path.Combine(folder, PeftConfig.FileName));

    /// <summary>Reads the adapter of a folder for a base.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="header">The base.</param>
    /// <param name="name">What it is called.</param>
    /// <exception cref="ModelFormatException">A file is malformed, asks for what is not done here, or is of another base: the message says which tensor.</exception>
    /// <exception cref="IOException">A file is absent or cannot be read.</exception>
    internal static Adapter Read(string folder, ModelHeader header, string name)
    {
        PeftConfig config = PeftConfig.Read(Path.Combine(folder, PeftConfig.FileName));
        string path = Path.Combine(folder, WeightsName);
        if (!File.Exists(path) && File.Exists(Path.Combine(folder, "adapter_model.bin")))
        {
            throw new ModelFormatException(folder, -1, "The adapter's weights are pickled (adapter_model.bin), which can run what a stranger wrote and is not read. Save it with safe_serialization=True.");
        }

        using SafetensorsFile file = SafetensorsFile.Open(path);
        ModelFamily family = header.Family.ForHuggingFace(header.Config);
        AdapterConventions conventions = AdapterConventions.OfPeft(family);
        List<SlotChange> changes = [];
        foreach ((string module, ModuleTensors tensors) in Modules(file))
        {
            string? slot = family.CanonicalName($"{module}.weight") is { } weight ? weight[..^".weight".Length] : null;
            (int rank, float scale) = config.Of(module);
            SlotChange change = AdapterTensors.Read(path, module, slot, slot is null ? null : conventions.ShapeOf(header.Config, slot), tensors, _ => scale);
            if (change.Change.Rank != rank)
            {
                throw new ModelFormatException(path, tensors.A!.Data.Offset, $"The module {ModelFormatException.Quote(module)} has rank {change.Change.Rank}, but {PeftConfig.FileName} says {rank}. The two files do not belong together.");
            }

            if (config.HasMagnitudes != change.Magnitudes is not null)
            {
                throw new ModelFormatException(path, tensors.A!.Data.Offset, $"The module {ModelFormatException.Quote(module)} has {(config.HasMagnitudes ? "no" : "a")} magnitude vector, but use_dora is {(config.HasMagnitudes ? "true" : "false")}. The two files do not belong together.");
            }

            changes.AddRange(conventions.ToBase(header.Config, change));
        }

        if (changes.Count == 0)
        {
            throw new ModelFormatException(path, -1, "The adapter changes nothing: it has no tensors.");
        }

        return new Adapter(name, changes, new AdapterOrigin
        {
            BaseName = config.BaseName,
            BaseSha256 = file.Metadata.GetValueOrDefault(HashKey),
            Fingerprint = file.Metadata.TryGetValue(FingerprintKey, out string? fingerprint) ? BaseFingerprint.Parse(fingerprint) : null,
        });
    }

    /// <summary>The files of an adapter, by name.</summary>
    /// <param name="adapter">The adapter.</param>
    /// <param name="config">Its base.</param>
    /// <param name="family">The base's family, which knows the names.</param>
    /// <exception cref="NotSupportedException">PEFT's files cannot say what the adapter does.</exception>
    public static IReadOnlyDictionary<string, ReadOnlyMemory<byte>> ToFiles(Adapter adapter, DecoderConfig config, ModelFamily family)
    {
        family = family.ForHuggingFace(config);
        List<(string Module, SlotChange Change)> modules = AdapterConventions.OfPeft(family).ToFile(config, adapter)
            .ConvertAll(change => (family.HuggingFaceName($"{change.Slot}.weight")[..^".weight".Length], change));
        List<TensorToWrite> tensors = [];
        foreach ((string module, SlotChange change) in modules)
        {
            tensors.Add(ToWrite($"{Prefix}{module}.lora_A.weight", change.Change.A, isVector: false));
            tensors.Add(ToWrite($"{Prefix}{module}.lora_B.weight", change.Change.B, isVector: false));
            if (change.Magnitudes is { } magnitudes)
            {
                tensors.Add(ToWrite($"{Prefix}{module}.lora_magnitude_vector", magnitudes, isVector: true));
            }
        }

        Dictionary<string, string> metadata = new() { ["format"] = "pt" };
        AddOrigin(metadata, adapter.Origin);
        using MemoryStream weights = new();
        SafetensorsWriter.Write(weights, tensors, metadata);
        return new Dictionary<string, ReadOnlyMemory<byte>>
        {
            [PeftConfig.FileName] = ConfigOf(modules, adapter, config, family).ToBytes(),
            [WeightsName] = weights.ToArray(),
        };
    }

    /// <summary>Writes a folder beside, flushes it, and gives it its name.</summary>
    /// <param name="path">What it will be called.</param>
    /// <param name="adapter">The adapter.</param>
    /// <param name="config">Its base.</param>
    /// <param name="family">The base's family.</param>
    /// <exception cref="NotSupportedException">PEFT's files cannot say what the adapter does.</exception>
    /// <exception cref="IOException">It cannot be written.</exception>
    public static void Write(string path, Adapter adapter, DecoderConfig config, ModelFamily family)
    {
        using NewFolder folder = NewFolder.Create(path);
        foreach ((string name, ReadOnlyMemory<byte> file) in ToFiles(adapter, config, family))
        {
            folder.Add(name, file);
        }

        folder.Commit();
    }

    private static void AddOrigin(Dictionary<string, string> metadata, AdapterOrigin origin)
    {
        if (origin.BaseSha256 is { } hash)
        {
            metadata[HashKey] = hash;
        }

        if (origin.Fingerprint is { } fingerprint)
        {
            metadata[FingerprintKey] = fingerprint.ToString();
        }
    }

    /// <summary>Rank and α as most modules have them, and patterns for the others. Scales become α / r.</summary>
    private static PeftConfig ConfigOf(List<(string Module, SlotChange Change)> modules, Adapter adapter, DecoderConfig config, ModelFamily family)
    {
        static double Alpha(SlotChange change) => (double)change.Change.Scale * change.Change.Rank;
        (int rank, double alpha) = modules.GroupBy(each => (each.Change.Change.Rank, Alpha(each.Change))).MaxBy(group => group.Count())?.Key ?? (1, 1);
        HashSet<string> changed = [.. modules.Select(each => each.Module)];
        string[] ends = [.. changed.Select(End).Distinct().Order(StringComparer.Ordinal)];
        bool isWhole = Enumerable.Range(0, config.NumLayers).All(layer => modules.Where(each => each.Change.Slot.StartsWith("blk.0.", StringComparison.Ordinal))
                .All(each => changed.Contains(family.HuggingFaceName($"{CanonicalNames.InLayer(layer, each.Change.Slot["blk.0.".Length..])}.weight")[..^".weight".Length])))
            && modules.Where(each => each.Change.Slot.StartsWith("blk.0.", StringComparison.Ordinal)).Select(each => End(each.Module)).ToHashSet().SetEquals(ends);
        return new PeftConfig(rank, alpha, IsRankStabilized: false, modules.Exists(each => each.Change.Magnitudes is not null))
        {
            RankPattern = [.. modules.Where(each => each.Change.Change.Rank != rank).Select(each => KeyValuePair.Create(each.Module, each.Change.Change.Rank))],
            AlphaPattern = [.. modules.Where(each => Alpha(each.Change) != alpha).Select(each => KeyValuePair.Create(each.Module, Alpha(each.Change)))],
            BaseName = adapter.Origin.BaseName,
            Targets = isWhole ? ends : [.. changed.Order(StringComparer.Ordinal)],
            IsInputMajor = modules.Exists(each => family.IsInputMajor($"{each.Change.Slot}.weight")),
        };
    }

    private static string End(string module) => module[(module.LastIndexOf('.') + 1)..];

    private static SortedDictionary<string, ModuleTensors> Modules(SafetensorsFile file)
    {
        SortedDictionary<string, ModuleTensors> modules = new(StringComparer.Ordinal);
        foreach (StoredTensor tensor in file.Tensors)
        {
            string name = tensor.Name.StartsWith(Prefix, StringComparison.Ordinal) ? tensor.Name[Prefix.Length..] : tensor.Name;
            int part = Math.Max(name.LastIndexOf(".lora_A", StringComparison.Ordinal), Math.Max(name.LastIndexOf(".lora_B", StringComparison.Ordinal), name.LastIndexOf(".lora_magnitude_vector", StringComparison.Ordinal)));
            string kind = part < 0 ? "" : name[(part + 1)..].Replace(".default", "", StringComparison.Ordinal);
            if (kind is not ("lora_A.weight" or "lora_B.weight" or "lora_magnitude_vector" or "lora_magnitude_vector.weight"))
            {
                throw new ModelFormatException(file.Path, tensor.Data.Offset, $"The tensor {ModelFormatException.Quote(tensor.Name)} is none of lora_A.weight, lora_B.weight and lora_magnitude_vector of a linear layer. Kidogo does not read adapters of embeddings, biases and whole layers.");
            }

            if (!modules.TryGetValue(name[..part], out ModuleTensors? module))
            {
                modules.Add(name[..part], module = new ModuleTensors());
            }

            switch (kind[.."lora_A".Length])
            {
                case "lora_A":
                    module.A = tensor;
                    break;
                case "lora_B":
                    module.B = tensor;
                    break;
                default:
                    module.Magnitudes = tensor;
                    break;
            }
        }

        return modules;
    }

    private static TensorToWrite ToWrite(string name, Tensor values, bool isVector) =>
        TensorToWrite.Of(name, isVector ? [values.Length] : [values.Rows, values.Columns], FloatFormats.F32, stream => stream.Write(MemoryMarshal.AsBytes(values.Span)));
}
