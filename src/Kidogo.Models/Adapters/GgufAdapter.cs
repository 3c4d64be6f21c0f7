// Adapters as llama.cpp keeps them: a GGUF file of the type "adapter". Knows no other kind of file.
using System.Runtime.InteropServices;
using Kidogo.Models.Export;
using Kidogo.Models.Families;
using Kidogo.Models.Files;
using Kidogo.Tensors;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Kidogo.Models.Adapters;

/// <summary>Reads and writes llama.cpp's LoRA adapters: <c>NAME.weight.lora_a</c> [r, C] and <c>NAME.weight.lora_b</c> [R, r], with one α for all; the scale is α / r, or 1 where α is 0.</summary>
public static class GgufAdapter
{
    private const string AlphaKey = "adapter.lora.alpha";
    private const string TypeKey = "adapter.type";
    private const string HashKey = "kidogo.base.sha256";
    private const string FingerprintKey = "kidogo.base.fingerprint";
    private const string EndOfA = ".weight.lora_a";
    private const string EndOfB = ".weight.lora_b";

    /// <summary>Reads an adapter for a base.</summary>
    /// <exception cref="ModelFormatException">The file is malformed, no adapter, or of another base: the message says which tensor.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    internal static Adapter Read(string path, ModelHeader header, string name)
    {
        using GgufFile file = GgufFile.Open(path);
        ModelFamily family = FamilyOf(file, header);
        float alpha = (float)file.Metadata.GetFloat(AlphaKey, -1e6, 1e6);
        if (file.Metadata.Contains("adapter.alora.invocation_tokens"))
        {
            throw file.Metadata.Refuse("adapter.alora.invocation_tokens", "asks for an adapter that begins at certain tokens (aLoRA), which is not read.");
        }

        SortedDictionary<string, ModuleTensors> modules = new(StringComparer.Ordinal);
        foreach (StoredTensor tensor in file.Tensors)
        {
            bool isA = tensor.Name.EndsWith(EndOfA, StringComparison.Ordinal), isB = tensor.Name.EndsWith(EndOfB, StringComparison.Ordinal);
            if (!isA && !isB)
            {
                throw new ModelFormatException(path, tensor.Data.Offset, $"The tensor {ModelFormatException.Quote(tensor.Name)} is neither …{EndOfA} nor …{EndOfB}.");
            }

            string slot = tensor.Name[..^EndOfA.Length];
            if (!modules.TryGetValue(slot, out ModuleTensors? module))
            {
                modules.Add(slot, module = new ModuleTensors());
            }

            (module.A, module.B) = isA ? (tensor, module.B) : (module.A, tensor);
        }

        AdapterConventions conventions = AdapterConventions.OfGguf(family);
        List<SlotChange> changes = [];
        foreach ((string slot, ModuleTensors tensors) in modules)
        {
            SlotChange change = AdapterTensors.Read(path, slot, slot, conventions.ShapeOf(header.Config, slot), tensors, rank => alpha == 0 ? 1 : alpha / rank);
            changes.AddRange(conventions.ToBase(header.Config, change));
        }

        if (changes.Count == 0)
        {
            throw new ModelFormatException(path, -1, "The adapter changes nothing: it has no tensors.");
        }

        return new Adapter(name, changes, new AdapterOrigin
        {
            BaseName = file.Metadata.GetString("general.base_model.0.name", "") is { Length: > 0 } given ? given : null,
            BaseSha256 = file.Metadata.GetString(HashKey, "") is { Length: > 0 } hash ? hash : null,
            Fingerprint = file.Metadata.GetString(FingerprintKey, "") is { Length: > 0 } fingerprint ? BaseFingerprint.Parse(fingerprint) : null,
        });
    }

    /// <summary>Why an adapter cannot be written so; null where it can.</summary>
    public static string? Refusal(Adapter adapter) => adapter.Changes.Values.FirstOrDefault(change => change.Magnitudes is not null) is { } change
        ? $"llama.cpp's adapters have no magnitudes (DoRA), as {change.Slot} has. Write a PEFT folder, or merge it: kidogo merge."
        : null;

    /// <summary>The file. Scales that differ go into the matrices.</summary>
    /// <param name="adapter">The adapter.</param>
    /// <param name="config">Its base.</param>
    /// <param name="family">The base's family.</param>
    /// <exception cref="NotSupportedException">The file cannot say what the adapter does (<see cref="Refusal"/>).</exception>
    public static ReadOnlyMemory<byte> ToBytes(Adapter adapter, DecoderConfig config, ModelFamily family)
    {
        if (Refusal(adapter) is { } refusal)
        {
            throw new NotSupportedException(refusal);
        }

        family = ModelFamilies.ForGguf(family.WrittenGgufArchitecture, adapter.Name);
        List<SlotChange> changes = AdapterConventions.OfGguf(family).ToFile(config, adapter);
        float alpha = changes.GroupBy(change => change.Change.Scale * change.Change.Rank).MaxBy(group => group.Count())?.Key ?? 1;
        GgufMetadata metadata = new();
        metadata.Set("general.architecture", family.WrittenGgufArchitecture);
        metadata.Set("general.type", "adapter");
        metadata.Set(TypeKey, "lora");
        metadata.Set("general.name", adapter.Name);
        metadata.Set(AlphaKey, alpha);
        if (adapter.Origin.BaseName is { } baseName)
        {
            metadata.Set("general.base_model.count", 1u);
            metadata.Set("general.base_model.0.name", baseName);
        }

        if (adapter.Origin.BaseSha256 is { } hash)
        {
            metadata.Set(HashKey, hash);
        }

        if (adapter.Origin.Fingerprint is { } fingerprint)
        {
            metadata.Set(FingerprintKey, fingerprint.ToString());
        }

        List<TensorToWrite> tensors = [];
        foreach (SlotChange change in changes)
        {
            float factor = change.Change.Scale / (alpha / change.Change.Rank);
            tensors.Add(ToWrite(change.Slot + EndOfA, change.Change.A, 1));
            tensors.Add(ToWrite(change.Slot + EndOfB, change.Change.B, factor));
        }

        using MemoryStream file = new();
        GgufWriter.Write(file, metadata, tensors);
        return file.ToArray();
    }

    private static TensorToWrite ToWrite(string name, Tensor values, float factor) => TensorToWrite.Of(name, [values.Rows, values.Columns], FloatFormats.F32, stream =>
    {
        float[] row = new float[values.Columns];
        for (int i = 0; i < values.Rows; i++)
        {
            TensorPrimitives.Multiply(values.Row(i), factor, row);
            stream.Write(MemoryMarshal.AsBytes(row.AsSpan()));
        }
    });

    private static ModelFamily FamilyOf(GgufFile file, ModelHeader header)
    {
        string type = file.Metadata.GetString("general.type", "");
        if (type != "adapter")
        {
            throw new ModelFormatException(file.Path, -1, $"This GGUF file is {(type.Length == 0 ? "a model" : ModelFormatException.Quote(type))}, not an adapter. Give an adapter's file, or a PEFT folder.");
        }

        string kind = file.Metadata.GetString(TypeKey, "lora");
        if (kind != "lora")
        {
            throw file.Metadata.Refuse(TypeKey, $"is {ModelFormatException.Quote(kind)}; only \"lora\" is read.");
        }

        string architecture = file.Metadata.GetString("general.architecture");
        ModelFamily family = ModelFamilies.ForGguf(architecture, file.Path);
        return header.Family.GgufArchitectures.Contains(architecture) || family.GetType() == header.Family.GetType() || header.Family.WrittenGgufArchitecture == architecture
            ? family
            : throw file.Metadata.Refuse("general.architecture", $"is {ModelFormatException.Quote(architecture)}, but the base is of {header.Family.Name}. The adapter was made for another base.");
    }
}
