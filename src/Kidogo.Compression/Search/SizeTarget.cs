// The size that a file is to have, in the words of people: bytes of the file, or bits of a weight. Knows files' layout, not how formats are found.
using System.Globalization;
using Kidogo.Models.Export;
using Kidogo.Models.Files;
using Kidogo.Tensors.Formats;

namespace Kidogo.Compression.Search;

/// <summary>A size to hit: one of the two.</summary>
/// <param name="Bytes">Bytes of the whole file, metadata and tokenizer included; null for none.</param>
/// <param name="BitsPerWeight">Bits that a weight takes on average, over all tensors; null for none.</param>
public sealed record SizeTarget(long? Bytes, double? BitsPerWeight)
{
    private const double Tolerance = 0.01;

    /// <summary>What file type llama.cpp is told for such a mix: none of the named ones.</summary>
    public static FormatMix Mix { get; } = FormatMix.ForName("F16")!;

    /// <summary>The tensors that a search deals formats out to.</summary>
    /// <param name="content">The file.</param>
    /// <param name="pinned">Formats of tensors that were named.</param>
    public static IReadOnlyList<ModelTensor> Searched(GgufContent content, IReadOnlyDictionary<string, WeightFormat> pinned) =>
        [.. content.Tensors.Where(tensor => FormatMix.Quantizes(tensor.Name, tensor.IsVector) && !pinned.ContainsKey(tensor.Name))];

    /// <summary>Refuses a size that no choice of formats has, before anything is measured.</summary>
    /// <param name="content">The file.</param>
    /// <param name="pinned">Formats of tensors that were named.</param>
    /// <exception cref="SizeTargetException">The size cannot be reached: the message says which can.</exception>
    public void Check(GgufContent content, IReadOnlyDictionary<string, WeightFormat> pinned) =>
        CheckRange(Plan(content, pinned, [.. Searched(content, pinned).Select(tensor => new TensorCosts(
            tensor.Name, tensor.Rows, tensor.Columns,
            [.. FormatCandidates.For(tensor.Columns, tensor.Format, hasZeroGroups: false).Append(tensor.Format)
                .Select(format => new FormatCost(format, format.RowBytes(tensor.Columns) * tensor.Rows, Divergence: 0, OutputError: 0))]))]));

    /// <summary>Chooses formats so that the file has the size.</summary>
    /// <param name="content">The file.</param>
    /// <param name="pinned">Formats of tensors that were named.</param>
    /// <param name="costs">What the others may get.</param>
    /// <exception cref="SizeTargetException">The size cannot be reached: the message says which can.</exception>
    public SizedFormats Choose(GgufContent content, IReadOnlyDictionary<string, WeightFormat> pinned, ModelCosts costs)
    {
        SizePlan plan = Plan(content, pinned, costs.Tensors);
        CheckRange(plan);
        (IReadOnlyList<TensorCosts> tensors, long others, long target, long elements) = plan;

        // At most the target; where formats are so coarse that this falls short by more than the tolerance, or nothing fits, a little above.
        SizedFormats? found = target >= others + SizeSearch.Range(tensors).Smallest ? SizeSearch.Choose(tensors, target - others) : null;
        if (found is null || others + found.Bytes < target * (1 - Tolerance))
        {
            SizedFormats above = SizeSearch.Choose(tensors, (long)(target * (1 + Tolerance)) - others);
            found = found is null || above.Divergence < found.Divergence ? above : found;
        }

        if (Math.Abs(others + found.Bytes - target) > target * Tolerance)
        {
            throw new SizeTargetException($"{Asked()} cannot be hit: the formats that fit this model's rows, and cost less the larger they are, come nearest with {Said(others + found.Bytes, elements)}. Ask for that.");
        }

        return found;
    }

    /// <summary>What there is to deal out.</summary>
    /// <param name="Tensors">What each searched tensor may get, in bytes as the target counts them.</param>
    /// <param name="Others">Bytes of everything else.</param>
    /// <param name="Target">Bytes to hit.</param>
    /// <param name="Elements">Weights of all tensors.</param>
    private sealed record SizePlan(IReadOnlyList<TensorCosts> Tensors, long Others, long Target, long Elements);

    private SizePlan Plan(GgufContent content, IReadOnlyDictionary<string, WeightFormat> pinned, IReadOnlyList<TensorCosts> searched)
    {
        HashSet<string> names = [.. searched.Select(tensor => tensor.Name)];
        long elements = content.Tensors.Sum(tensor => tensor.Elements);
        long pinnedBytes = content.Tensors.Where(tensor => pinned.ContainsKey(tensor.Name)).Sum(tensor => FileBytes(pinned[tensor.Name].RowBytes(tensor.Columns) * tensor.Rows));
        long others = Bytes is null
            ? content.Tensors.Where(tensor => !pinned.ContainsKey(tensor.Name) && !names.Contains(tensor.Name)).Sum(tensor => tensor.Format.RowBytes(tensor.Columns) * tensor.Rows)
            : GgufModelWriter.OtherBytes(content, tensor => names.Contains(tensor.Name) || pinned.ContainsKey(tensor.Name));
        IReadOnlyList<TensorCosts> tensors = [.. searched.Select(tensor => tensor with { Costs = [.. tensor.Costs.Select(cost => cost with { Bytes = FileBytes(cost.Bytes) })] })];
        return new SizePlan(tensors, others + pinnedBytes, Bytes ?? (long)(BitsPerWeight!.Value * elements / 8), elements);

        long FileBytes(long bytes) => Bytes is null ? bytes : GgufWriter.Aligned(bytes);
    }

    private void CheckRange(SizePlan plan)
    {
        (long smallest, long largest) = SizeSearch.Range(plan.Tensors);
        if (plan.Target * (1 + Tolerance) < plan.Others + smallest)
        {
            throw new SizeTargetException($"The smallest file that Kidogo can make of this model has {Said(plan.Others + smallest, plan.Elements)}; {Asked()} cannot be reached. Give at least that, or make the model itself smaller.");
        }

        if (plan.Target * (1 - Tolerance) > plan.Others + largest)
        {
            throw new SizeTargetException($"The largest file that Kidogo makes of this model, with its tensors as they are, has {Said(plan.Others + largest, plan.Elements)}; {Asked()} cannot be reached. Give at most that.");
        }
    }

    private string Asked() => Bytes is { } bytes
        ? string.Create(CultureInfo.InvariantCulture, $"{bytes} bytes")
        : string.Create(CultureInfo.InvariantCulture, $"{BitsPerWeight} bits per weight");

    private string Said(long bytes, long elements) => Bytes is null
        ? string.Create(CultureInfo.InvariantCulture, $"{8.0 * bytes / elements:0.00} bits per weight")
        : string.Create(CultureInfo.InvariantCulture, $"{bytes} bytes ({8.0 * bytes / elements:0.00} bits per weight)");
}
