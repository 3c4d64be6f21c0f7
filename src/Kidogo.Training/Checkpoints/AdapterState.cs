// The trained matrices of an adapter in a checkpoint, exactly as they are in memory. Knows no other kind of adapter file.
using System.Globalization;
using System.Runtime.InteropServices;
using Kidogo.Models.Adapters;
using Kidogo.Models.Export;
using Kidogo.Models.Files;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Training.Checkpoints;

/// <summary><c>adapter_state.safetensors</c>: what PEFT's files say in the conventions of Hugging Face (fused, turned, starts joined), here slot by slot, so that a run that goes on computes the same bits.</summary>
internal static class AdapterState
{
    public const string FileName = "adapter_state.safetensors";

    private const string BaseKey = "base_sha256";
    private const string NameKey = "base_name";
    private const string FingerprintKey = "base_fingerprint";
    private static readonly string[] s_parts = ["lora_a", "lora_b", "start_a", "start_b", "lora_magnitude_vector"];

    /// <summary>Writes it into a checkpoint.</summary>
    public static void Write(NewFolder folder, Adapter adapter)
    {
        List<TensorToWrite> tensors = [];
        Dictionary<string, string> metadata = new() { ["name"] = adapter.Name, [NameKey] = adapter.Origin.BaseName ?? "", [BaseKey] = adapter.Origin.BaseSha256 ?? "", [FingerprintKey] = adapter.Origin.Fingerprint?.ToString() ?? "" };
        foreach (SlotChange change in adapter.Changes.Values)
        {
            metadata[$"scale.{change.Slot}"] = change.Change.Scale.ToString("R", CultureInfo.InvariantCulture);
            Tensor?[] parts = [change.Change.A, change.Change.B, change.Change.StartA, change.Change.StartB, change.Magnitudes];
            for (int i = 0; i < parts.Length; i++)
            {
                if (parts[i] is { } values)
                {
                    tensors.Add(TensorToWrite.Of($"{change.Slot}.{s_parts[i]}", [values.Rows, values.Columns], FloatFormats.F32, stream => stream.Write(MemoryMarshal.AsBytes(values.Span))));
                }
            }
        }

        folder.Add(FileName, SafetensorsWriter.FileBytes(tensors, metadata), stream => SafetensorsWriter.Write(stream, tensors, metadata));
    }

    /// <summary>Reads it from a checkpoint whose files were found to be what was written.</summary>
    /// <exception cref="TrainingFailedException">It is not what was written.</exception>
    public static Adapter Read(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
        {
            throw new TrainingFailedException($"{folder} has no {FileName}: it is no checkpoint of kidogo adapt. {CheckpointFolder.TakeAnother}");
        }

        using SafetensorsFile file = SafetensorsFile.Open(path);
        List<SlotChange> changes = [];
        foreach (StoredTensor a in file.Tensors.Where(tensor => tensor.Name.EndsWith($".{s_parts[0]}", StringComparison.Ordinal)))
        {
            string slot = a.Name[..^(s_parts[0].Length + 1)];
            Tensor? Part(int index) => file.Find($"{slot}.{s_parts[index]}") is { } stored ? Values(stored) : null;
            bool hasScale = float.TryParse(file.Metadata.GetValueOrDefault($"scale.{slot}"), NumberStyles.Float, CultureInfo.InvariantCulture, out float scale);
            changes.Add(hasScale && Part(1) is { } b
                ? new SlotChange(slot, new LowRankChange(Values(a), b, scale, Part(2), Part(3)), Part(4))
                : throw new TrainingFailedException($"{path} is damaged: the matrices of {slot} are not complete. {CheckpointFolder.TakeAnother}"));
        }

        string? Given(string key) => file.Metadata.GetValueOrDefault(key) is { Length: > 0 } value ? value : null;
        return new Adapter(Given("name") ?? "adapter", changes, new AdapterOrigin
        {
            BaseName = Given(NameKey),
            BaseSha256 = Given(BaseKey),
            Fingerprint = Given(FingerprintKey) is { } fingerprint ? BaseFingerprint.Parse(fingerprint) : null,
        });
    }

    private static Tensor Values(StoredTensor stored)
    {
        Tensor values = new(checked((int)stored.Rows), checked((int)stored.Columns));
        StoredMatrix matrix = new(stored.Format, values.Rows, values.Columns, stored.Data);
        for (int row = 0; row < values.Rows; row++)
        {
            matrix.DecodeRow(row, values.Row(row));
        }

        return values;
    }
}
