// From a model to a smaller file of it. Knows which tensor gets which format; how weights are rounded is the method's.
using Kidogo.Compression.Calibration;
using Kidogo.Compression.Pruning;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Passports;
using Kidogo.Tensors.Formats;

namespace Kidogo.Compression.Quantization;

/// <summary>How a model is made smaller.</summary>
public sealed record QuantizeOptions
{
    /// <summary>Which tensor gets which format.</summary>
    public required FormatMix Mix { get; init; }

    /// <summary>Formats of tensors whose name holds a pattern, in which <c>*</c> stands for anything; the first that fits counts. Default none.</summary>
    public IReadOnlyList<(string Pattern, WeightFormat Format)> Tensors { get; init; } = [];

    /// <summary>Formats of single tensors by name, for those that no pattern fits; the mix is for the rest. Default none.</summary>
    public IReadOnlyDictionary<string, WeightFormat>? Formats { get; init; }

    /// <summary>The importance of the columns of a tensor, by canonical name: null for one that has none, in all for no importance.</summary>
    public Func<string, float[]?>? Importance { get; init; }

    /// <summary>Works before the file is written: gets the tensors and the format of every one that is quantised, and gives tensors, and formats with importance or encoders of its own. Null to round to nearest.</summary>
    public Func<GgufContent, Dictionary<string, TensorChoice>, (GgufContent Content, Dictionary<string, TensorChoice> Choices)>? Method { get; init; }

    /// <summary>The formats, by name, of the tensors that patterns fix: where rows are no whole blocks, what is fallen back to.</summary>
    public Dictionary<string, WeightFormat> PinnedFormats(GgufContent content) => content.Tensors
        .Where(tensor => FormatMix.Quantizes(tensor.Name, tensor.IsVector) && Pinned(tensor.Name) is not null)
        .ToDictionary(tensor => tensor.Name, tensor => FormatMix.Fitting(Pinned(tensor.Name)!, tensor.Columns).Format);

    /// <summary>The format that the patterns give a tensor; null where none fits.</summary>
    internal WeightFormat? Pinned(string tensor) => Tensors.FirstOrDefault(each => Quantizer.Fits(each.Pattern, tensor)).Format;
}

/// <summary>What quantising did.</summary>
/// <param name="Bytes">Bytes of the file.</param>
/// <param name="BitsPerWeight">Bits that a weight takes on average, over all tensors.</param>
/// <param name="Tensors">What became of each tensor.</param>
/// <param name="Remarks">Fallbacks and other things that one should know, in sentences.</param>
public sealed record QuantizeReport(long Bytes, double BitsPerWeight, IReadOnlyList<TensorOutcome> Tensors, IReadOnlyList<string> Remarks);

/// <summary>Quantises models.</summary>
public static class Quantizer
{
    /// <summary>Writes a quantised GGUF file of a GGUF file or a folder.</summary>
    /// <param name="header">The model.</param>
    /// <param name="path">What the file will be called.</param>
    /// <param name="options">Which formats.</param>
    /// <param name="write">How it is written; null for the defaults.</param>
    /// <exception cref="ModelTensorException">A weight is not finite, or cannot be stored.</exception>
    /// <exception cref="NotSupportedException">A format needs importance that is not there, or a GGUF file cannot say what the model does.</exception>
    /// <exception cref="IOException">It cannot be written, or a file of the model became shorter meanwhile.</exception>
    public static QuantizeReport Run(ModelHeader header, string path, QuantizeOptions options, ModelWriteOptions? write = null)
    {
        GgufContent content = GgufContent.Of(header);
        List<string> remarks = [.. content.Warnings];
        Dictionary<string, TensorChoice> choices = Choose(header, content, options, remarks);
        (content, choices) = options.Method?.Invoke(content, choices) ?? (content, choices);
        (long bytes, IReadOnlyList<TensorOutcome> tensors) =
            GgufModelWriter.Write(path, header, content, tensor => choices.GetValueOrDefault(tensor.Name), (write ?? new ModelWriteOptions()) with { MeasuresErrors = true, FileType = options.Formats is null ? options.Mix.FileType : null });
        double bits = 8.0 * tensors.Sum(tensor => tensor.Bytes) / tensors.Sum(tensor => tensor.Elements);
        return new QuantizeReport(bytes, bits, tensors, remarks);
    }

    /// <summary>The format of every tensor that is quantised, by name.</summary>
    public static Dictionary<string, TensorChoice> Choose(ModelHeader header, GgufContent content, QuantizeOptions options, List<string> remarks)
    {
        MixModel model = MixModel.Of(header, content, options.Importance is not null);
        Dictionary<string, TensorChoice> choices = new(StringComparer.Ordinal);
        Dictionary<(string Wanted, string Format), List<string>> fallbacks = [];
        int requantised = 0;
        foreach (ModelTensor tensor in content.Tensors.Where(tensor => FormatMix.Quantizes(tensor.Name, tensor.IsVector)))
        {
            WeightFormat? given = options.Pinned(tensor.Name) ?? options.Formats?.GetValueOrDefault(tensor.Name);
            MixedFormat mixed = given is null ? options.Mix.Choose(tensor.Name, tensor.Columns, model) : FormatMix.Fitting(given, tensor.Columns);
            if (mixed.Wanted is { } wanted)
            {
                (string, string) key = (wanted.Name, mixed.Format.Name);
                fallbacks.TryAdd(key, []);
                fallbacks[key].Add($"{tensor.Name} (rows of {tensor.Columns})");
            }

            float[] importance = options.Importance?.Invoke(tensor.Name) ?? [];
            RefuseMissing(tensor, mixed.Format, importance, options.Method is not null);
            requantised += tensor.Format.BlockSize > 1 && tensor.Format != mixed.Format ? 1 : 0;
            choices.Add(tensor.Name, new TensorChoice(mixed.Format, importance));
        }

        foreach (((string wanted, string format), List<string> names) in fallbacks)
        {
            remarks.Add($"{(names.Count == 1 ? "1 tensor has" : $"{names.Count} tensors have")} rows that are no whole {wanted} blocks of {WeightFormats.ForName(wanted)!.BlockSize} and {(names.Count == 1 ? "gets" : "get")} {format} instead: {names[0]}{(names.Count > 1 ? " and others" : "")}.");
        }

        bool isSparse = SparseModel.IsOne(header);
        if (options.Mix.Format.Name == "SQ4_0" && !isSparse)
        {
            remarks.Add("SQ4_0 holds 2 weights of each 4: of this model, which was not pruned, the two smaller ones go. kidogo prune --sparsity 2:4 --method sparsegpt --format SQ4_0 chooses better.");
        }

        if (isSparse && Filling(choices) is { Length: > 0 } filling)
        {
            remarks.Add($"The model was pruned, but {string.Join(" and ", filling)} has no zero: its zeros become small weights. Q4_0, Q8_0, Q3_K_S with --pure and Q6_K keep them.");
        }

        if (requantised > 0)
        {
            remarks.Add($"{(requantised == 1 ? "1 tensor was" : $"{requantised} tensors were")} quantised already and {(requantised == 1 ? "is" : "are")} rounded a second time: the errors below are only what this adds. Quantise the original model for less loss.");
        }

        return choices;
    }

    /// <summary>The formats among those of the layers' matrices in which zeros come back as small weights.</summary>
    private static string[] Filling(Dictionary<string, TensorChoice> choices) =>
        [.. choices.Where(choice => SlotInputs.TryFind(choice.Key, out _, out _)).Select(choice => choice.Value.Format).Distinct().Where(format => !ZeroKeeping.Holds(format)).Select(format => format.Name)];

    private static void RefuseMissing(ModelTensor tensor, WeightFormat format, float[] importance, bool methodHasOwn)
    {
        if (format.Importance == ImportanceUse.Required && importance.Length == 0 && !methodHasOwn)
        {
            throw new NotSupportedException($"{format.Name}, which {tensor.Name} would get, is too coarse to be rounded to without importance. Give --calibration FILE, or choose a larger format.");
        }

        if (importance.Length != 0 && importance.Length != tensor.Columns)
        {
            throw new NotSupportedException($"The importance of {tensor.Name} has {importance.Length} columns, the tensor {tensor.Columns}. The calibration is of another model.");
        }
    }

    /// <summary>Whether a name holds a pattern, in which <c>*</c> stands for anything.</summary>
    internal static bool Fits(string pattern, string name)
    {
        int at = 0;
        foreach (string part in pattern.Split('*'))
        {
            int found = name.IndexOf(part, at, StringComparison.Ordinal);
            if (found < 0)
            {
                return false;
            }

            at = found + part.Length;
        }

        return true;
    }
}
