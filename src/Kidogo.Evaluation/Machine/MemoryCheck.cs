// Whether a model fits before it is loaded, and what to do where it does not. Loads nothing.
using System.Globalization;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Evaluation.Machine;

/// <summary>Compares what a model needs with what the machine has.</summary>
public static class MemoryCheck
{
    private const double MiB = 1024 * 1024;

    /// <summary>Why a model would not fit, with numbers and a suggestion; null where it fits.</summary>
    /// <param name="header">The model.</param>
    /// <param name="contextLength">Positions of each sequence.</param>
    /// <param name="format">How keys and values are stored.</param>
    /// <param name="memory">What the machine has.</param>
    /// <param name="sequences">Sequences at once.</param>
    public static string? Refusal(ModelHeader header, int contextLength, KvFormat format, MachineMemory memory, int sequences = 1)
    {
        MemoryEstimate need = header.Estimate(contextLength, format, sequences);
        if (need.TotalBytes <= memory.AvailableBytes)
        {
            return null;
        }

        string numbers = string.Create(
            CultureInfo.InvariantCulture,
            $"{header.Path} needs about {need.TotalBytes / MiB:0} MiB (weights {need.WeightBytes / MiB:0}, cache of {contextLength} tokens {need.CacheBytes / MiB:0}, activations {need.WorkspaceBytes / MiB:0}), but {memory.AvailableBytes / MiB:0} MiB are available of {memory.UsableBytes / MiB:0}.");
        return $"{numbers} {Suggestion(header, contextLength, format, memory, sequences)}";
    }

    private static string Suggestion(ModelHeader header, int contextLength, KvFormat format, MachineMemory memory, int sequences)
    {
        for (int shorter = contextLength / 2; shorter >= 256; shorter /= 2)
        {
            if (header.Estimate(shorter, format, sequences).TotalBytes <= memory.AvailableBytes)
            {
                return $"With --context {shorter} it fits.";
            }
        }

        return format != KvFormat.Q8_0 && header.Estimate(256, KvFormat.Q8_0, sequences).TotalBytes <= memory.AvailableBytes
            ? "With --context 256 --kv-cache q8_0 it fits."
            : "Take a file with fewer bits per weight or a smaller model: kidogo doctor shows what fits.";
    }
}
