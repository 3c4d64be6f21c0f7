// From a model to a folder of it with matrices as codes and scales. Knows which tensors; how weights are rounded is the format's.
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Tensors.Formats.Plain;

namespace Kidogo.Compression.Quantization;

/// <summary>Quantises models to the formats of Kidogo's safetensors that are no GGUF blocks (docs/decisions/2026-11-22-plain-formats-in-safetensors.md).</summary>
public static class PlainQuantizer
{
    /// <summary>Writes a folder in which every matrix that <see cref="FormatMix.Quantizes"/> names has a plain format.</summary>
    /// <param name="header">The model.</param>
    /// <param name="path">What the folder will be called; it must be new or empty.</param>
    /// <param name="format">The format.</param>
    /// <param name="tensors">Formats of tensors whose name holds a pattern, in which <c>*</c> stands for anything; the first that fits counts.</param>
    /// <param name="write">How it is written; null for the defaults.</param>
    /// <returns>Bits of a weight are those of the matrices.</returns>
    /// <exception cref="ModelTensorException">A weight is not finite, or cannot be stored.</exception>
    /// <exception cref="NotSupportedException">A folder cannot say what the model does.</exception>
    /// <exception cref="IOException">It cannot be written, or a file of the model became shorter meanwhile.</exception>
    public static QuantizeReport Run(ModelHeader header, string path, PlainFormat format, IReadOnlyList<(string Pattern, PlainFormat Format)> tensors, ModelWriteOptions? write = null)
    {
        PlainFormat? Choose(ModelTensor tensor) => !FormatMix.Quantizes(tensor.Name, tensor.IsVector)
            ? null
            : tensors.Where(each => Quantizer.Fits(each.Pattern, tensor.Name)).Select(each => each.Format).FirstOrDefault(format);
        (ConversionReport report, IReadOnlyList<TensorOutcome> outcomes) = ModelConverter.ToPlainFolder(header, path, Choose, write);
        long elements = outcomes.Sum(tensor => tensor.Elements);
        return new QuantizeReport(report.Bytes, elements == 0 ? 0 : 8.0 * outcomes.Sum(tensor => tensor.Bytes) / elements, outcomes, report.Warnings);
    }
}
