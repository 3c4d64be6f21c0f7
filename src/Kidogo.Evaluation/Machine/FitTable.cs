// What would fit on a machine before anything is loaded: sizes and formats against memory and bandwidth. Opens no files.
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;

namespace Kidogo.Evaluation.Machine;

/// <summary>Whether a model would fit.</summary>
/// <param name="Model">Its size or name for people, such as <c>1.7B</c>.</param>
/// <param name="Format">How its weights are stored.</param>
/// <param name="MemoryBytes">What it takes: weights, cache and activations.</param>
/// <param name="Fits">Whether that is available.</param>
/// <param name="DecodeTokensPerSecond">What memory bandwidth allows at most: the weights are read once a token.</param>
public sealed record FitRow(string Model, string Format, long MemoryBytes, bool Fits, double DecodeTokensPerSecond);

/// <summary>What fits by size and format.</summary>
public static class FitTable
{
    private const int Context = 4096;
    private const int Columns = 1024; // whole blocks of every format

    /// <summary>Usual shapes: parameters, and the values of keys and values that a token leaves in the cache (2 · layers · K · E).</summary>
    private static readonly (string Name, double Parameters, int CachedValues)[] s_shapes =
    [
        ("135M", 0.135e9, 2 * 30 * 192),
        ("360M", 0.36e9, 2 * 32 * 320),
        ("0.6B", 0.6e9, 2 * 28 * 1024),
        ("1B", 1.1e9, 2 * 22 * 256),
        ("1.7B", 1.7e9, 2 * 28 * 1024),
        ("3B", 3.2e9, 2 * 28 * 1024),
        ("8B", 8e9, 2 * 32 * 1024),
        ("14B", 14.8e9, 2 * 40 * 1024),
        ("32B", 32.8e9, 2 * 64 * 1024),
        ("70B", 70.6e9, 2 * 80 * 1024),
    ];

    /// <summary>The formats that the table has.</summary>
    public static IReadOnlyList<WeightFormat> Formats { get; } = [.. new[] { "Q4_K", "Q8_0", "F16" }.Select(name => WeightFormats.ForName(name)!)];

    /// <summary>A row for each usual size and format, with a context of 4,096 tokens cached in float16.</summary>
    public static IReadOnlyList<FitRow> For(MachineMemory memory, double bandwidthBytesPerSecond) =>
    [
        .. from shape in s_shapes
           from format in Formats
           let weights = Weight.MemoryBytesOf(format, (long)shape.Parameters / Columns, Columns)
           let cache = (long)Context * shape.CachedValues * sizeof(ushort)
           let activations = 100L * 1024 * 1024
           select Row(shape.Name, format.Name, weights, weights + cache + activations, memory, bandwidthBytesPerSecond),
    ];

    /// <summary>The row of one model.</summary>
    public static FitRow Row(string model, string format, long weightBytes, long memoryBytes, MachineMemory memory, double bandwidthBytesPerSecond) =>
        new(model, format, memoryBytes, memoryBytes <= memory.AvailableBytes, weightBytes == 0 ? 0 : bandwidthBytesPerSecond / weightBytes);
}
