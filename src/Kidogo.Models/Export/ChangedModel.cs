// Writes a model whose weights, or whose shape, was changed after it was opened. Knows no reason for the change.
using Kidogo.Models.Files;
using Kidogo.Tensors.Formats;

namespace Kidogo.Models.Export;

/// <summary>How a changed model is written.</summary>
public sealed record ChangedModelOptions
{
    /// <summary>How weights are stored; null for each as before (in a folder block formats become plain ones).</summary>
    public WeightFormat? Format { get; init; }

    /// <summary>From the format that a matrix would get, and the matrix, to the one that it gets: for rows that are no whole blocks any more, or values that a format cannot hold. Null for none.</summary>
    public Func<ModelTensor, WeightFormat, WeightFormat>? Fit { get; init; }

    /// <summary>What becomes of weights; null for nothing.</summary>
    public Func<ModelTensor, ModelTensor>? Change { get; init; }

    /// <summary>What stays of the model; null for all.</summary>
    public ModelReshape? Reshape { get; init; }

    /// <summary>Of a GGUF file: encodes the rows of a tensor in a format, where another method has chosen its codes; gives null for the format's own encoder. Null for none.</summary>
    public Func<ModelTensor, WeightFormat, RowEncoder?>? Encoder { get; init; }
}

/// <summary>Writes changed models.</summary>
public static class ChangedModel
{
    /// <summary>Writes a GGUF file if the path ends in <c>.gguf</c>, else a Hugging Face folder.</summary>
    /// <param name="header">The model as it was. Its weights appear changed from here on to whoever writes it.</param>
    /// <param name="path">What is written.</param>
    /// <param name="changed">What is changed.</param>
    /// <param name="options">How it is written; null for the defaults.</param>
    /// <returns>Bytes and what could not be said; and what became of each tensor, where it is a GGUF file.</returns>
    /// <exception cref="ModelTensorException">A weight cannot be stored as was asked.</exception>
    /// <exception cref="NotSupportedException">The kind of file cannot say what the model does.</exception>
    /// <exception cref="IOException">It cannot be written.</exception>
    public static (ConversionReport Report, IReadOnlyList<TensorOutcome> Tensors) Write(ModelHeader header, string path, ChangedModelOptions changed, ModelWriteOptions? options = null)
    {
        bool isGguf = path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase);
        Dictionary<string, WeightFormat> formats = Apply(header, changed, isGguf);
        if (!isGguf)
        {
            return (ModelConverter.Convert(header, path, changed.Format ?? Usual(formats), options), []);
        }

        GgufContent content = GgufContent.Of(header);
        (long bytes, IReadOnlyList<TensorOutcome> tensors) = GgufModelWriter.Write(path, header, content, tensor => Choose(tensor, changed, formats), options);
        return (new ConversionReport(bytes, content.Warnings), tensors);
    }

    /// <summary>All tensors of a model as <see cref="ChangedModelOptions.Change"/> sees them: by canonical names, outputs as rows, fused parts one after the other.</summary>
    /// <param name="header">The model.</param>
    public static IReadOnlyList<ModelTensor> Tensors(ModelHeader header) => StoredModelTensors.Of(header);

    /// <summary>Bytes that the file would have.</summary>
    /// <param name="header">The model as it was; its weights appear changed from here on to whoever writes it.</param>
    /// <param name="path">What would be written.</param>
    /// <param name="changed">What is changed.</param>
    public static long BytesOf(ModelHeader header, string path, ChangedModelOptions changed)
    {
        bool isGguf = path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase);
        Dictionary<string, WeightFormat> formats = Apply(header, changed, isGguf);
        GgufContent content = GgufContent.Of(header);
        if (!isGguf)
        {
            WeightFormat plain = changed.Format ?? Usual(formats);
            return content.Tensors.Sum(tensor => plain.RowBytes(tensor.Columns) * tensor.Rows);
        }

        return GgufModelWriter.OtherBytes(content, _ => true)
            + content.Tensors.Sum(tensor => GgufWriter.Aligned((Choose(tensor, changed, formats)?.Format ?? tensor.Format).RowBytes(tensor.Columns) * tensor.Rows));
    }

    /// <summary>Opens the changed model in memory, as if it had been written before.</summary>
    /// <param name="header">The model as it was; the result owns it.</param>
    /// <param name="changed">What is changed.</param>
    /// <param name="threads">Threads that encode.</param>
    public static ModelHeader Open(ModelHeader header, ChangedModelOptions changed, int threads)
    {
        GgufContent content;
        Dictionary<string, WeightFormat> formats;
        try
        {
            formats = Apply(header, changed, isGguf: true);
            content = GgufContent.Of(header);
        }
        catch
        {
            header.Dispose();
            throw;
        }

        return ModelInMemory.Open(header, content, tensor => Choose(tensor, changed, formats), threads);
    }

    /// <summary>The format of a folder: that of most tensors, where it is a plain one.</summary>
    private static WeightFormat Usual(Dictionary<string, WeightFormat> formats) =>
        formats.Values.GroupBy(each => each).MaxBy(group => group.Count())!.Key is { } usual && FloatFormats.IsPlain(usual) ? usual : FloatFormats.F32;

    private static TensorChoice? Choose(ModelTensor tensor, ChangedModelOptions changed, Dictionary<string, WeightFormat> formats)
    {
        if (tensor.IsVector || tensor.Name == "position_embd.weight")
        {
            return null;
        }

        WeightFormat format = changed.Format ?? formats.GetValueOrDefault(tensor.Name, tensor.Format);
        format = changed.Fit?.Invoke(tensor, format) ?? format;
        return new TensorChoice(format) { Encoder = changed.Encoder?.Invoke(tensor, format) };
    }

    /// <summary>Hangs the change on the header; gives the format that each tensor had, by the name it has then.</summary>
    private static Dictionary<string, WeightFormat> Apply(ModelHeader header, ChangedModelOptions changed, bool isGguf)
    {
        (header.Change, header.Reshape) = (null, null);
        Dictionary<string, WeightFormat> formats = new(StringComparer.Ordinal);
        foreach (ModelTensor tensor in isGguf ? GgufContent.Of(header).Tensors : StoredModelTensors.Of(header))
        {
            if ((changed.Reshape is null ? tensor.Name : changed.Reshape.Rename(tensor.Name)) is { } name)
            {
                formats[name] = tensor.Format;
            }
        }

        (header.Change, header.Reshape) = (changed.Change, changed.Reshape);
        return formats;
    }
}
