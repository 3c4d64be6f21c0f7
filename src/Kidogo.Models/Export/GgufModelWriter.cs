// Writes a model as a GGUF file in formats of choice. Knows no formats' merits.
using Kidogo.Models.Files;
using Kidogo.Models.Passports;
using Kidogo.Tensors.Formats;

namespace Kidogo.Models.Export;

/// <summary>Writes what was chosen for a row.</summary>
/// <param name="row">[C] The row as the model has it.</param>
/// <param name="destination">Its bytes in the format of choice.</param>
public delegate void RowEncoder(ReadOnlySpan<float> row, Span<byte> destination);

/// <summary>How a tensor is to be stored.</summary>
/// <param name="Format">The format.</param>
/// <param name="Importance">How much the squared error of each column counts; empty: all alike.</param>
public sealed record TensorChoice(WeightFormat Format, float[] Importance)
{
    /// <summary>A format, all columns alike.</summary>
    public TensorChoice(WeightFormat format)
        : this(format, [])
    {
    }

    /// <summary>Encodes a row in place of the format's own encoder, where another method has chosen its codes; null for the format's. Called from several threads.</summary>
    public RowEncoder? Encoder { get; init; }
}

/// <summary>What became of a tensor.</summary>
/// <param name="Name">The canonical name.</param>
/// <param name="From">How it was stored.</param>
/// <param name="Format">How it is stored now.</param>
/// <param name="Elements">Number of weights.</param>
/// <param name="Bytes">Bytes of all rows.</param>
/// <param name="RelativeError">‖W − Q‖ / ‖W‖, 0 where nothing changed.</param>
public sealed record TensorOutcome(string Name, string From, string Format, long Elements, long Bytes, double RelativeError);

/// <summary>Writes GGUF files.</summary>
public static class GgufModelWriter
{
    /// <summary>Writes a file beside, flushes it, looks whether it says what the model does, and gives it its name.</summary>
    /// <param name="path">What it will be called.</param>
    /// <param name="header">The model it is made of, whose files are read by position.</param>
    /// <param name="content">What is in it.</param>
    /// <param name="choose">How each tensor is stored; null for as it is.</param>
    /// <param name="options">How it is written.</param>
    /// <returns>Bytes of the file, and what became of each tensor.</returns>
    /// <exception cref="ModelTensorException">A weight cannot be stored as was asked.</exception>
    /// <exception cref="NotSupportedException">A GGUF file cannot say what the model does.</exception>
    /// <exception cref="IOException">It cannot be written, or a file of the model became shorter meanwhile.</exception>
    public static (long Bytes, IReadOnlyList<TensorOutcome> Tensors) Write(string path, ModelHeader header, GgufContent content, Func<ModelTensor, TensorChoice?>? choose = null, ModelWriteOptions? options = null)
    {
        options ??= new ModelWriteOptions();
        List<TensorToWrite> all = [];
        List<(ModelTensor Tensor, WeightFormat Format, EncodingRequest Request)> encoded = [];
        long done = 0, total = 0;
        void Advance(long bytes)
        {
            done += bytes;
            options.Progress?.Invoke(new WriteProgress(done, total));
        }

        foreach (ModelTensor tensor in content.Tensors)
        {
            TensorChoice choice = choose?.Invoke(tensor) ?? new TensorChoice(tensor.Format);
            EncodingRequest request = new() { Importance = choice.Importance, Encoder = choice.Encoder, Threads = options.Threads, MeasuresError = options.MeasuresErrors, Advanced = Advance };
            encoded.Add((tensor, choice.Format, request));
            IReadOnlyList<long> shape = content.Stored.TryGetValue(tensor.Name, out StoredTensor? stored) ? stored.Shape : tensor.Shape;
            all.Add(TensorToWrite.Of(tensor.Name, shape, choice.Format, stream => TensorEncoding.Write(tensor, choice.Format, stream, request)));
        }

        HashSet<string> written = [.. content.Tensors.Select(tensor => tensor.Name)];
        all.AddRange(content.Stored.Values.Where(tensor => !written.Contains(tensor.Name)).Select(Verbatim));
        total = all.Sum(tensor => tensor.Bytes);
        content.Metadata.Set("general.file_type", options.FileType ?? FileTypeOf(encoded));
        if (options.FileType is not null || encoded.Any(each => each.Format.BlockSize > 1))
        {
            content.Metadata.Set("general.quantization_version", 2u);
        }

        GgufPassport passport = new(content.Metadata, all, options.Passport); // sets the metadata's last key, or takes a parent's away
        long bytes = GgufWriter.FileBytes(content.Metadata, all);
        using NewFile file = NewFile.Create(path, bytes);
        options.Began?.Invoke(file.TemporaryPath);
        GgufWriter.Write(file.Stream, content.Metadata, passport.Tensors);
        file.Close();
        Check(file.TemporaryPath, content.Config);
        options.Written?.Invoke(file.TemporaryPath);
        passport.Complete(file.TemporaryPath);
        file.Commit();
        return (bytes, [.. encoded.Select(each => new TensorOutcome(
            each.Tensor.Name, each.Tensor.Format.Name, each.Format.Name, each.Tensor.Elements, each.Format.RowBytes(each.Tensor.Columns) * each.Tensor.Rows, each.Request.RelativeError))]);
    }

    /// <summary>Bytes that a file would have beside those of some of its tensors: header, tokenizer, what is kept as it is, and padding.</summary>
    /// <param name="content">What is in it.</param>
    /// <param name="isCounted">Whether the bytes of a tensor, rounded up to whole <see cref="GgufWriter.Alignment"/>s, are left out because someone else counts them.</param>
    public static long OtherBytes(GgufContent content, Func<ModelTensor, bool> isCounted)
    {
        List<TensorToWrite> all = [.. content.Tensors.Select(tensor => TensorToWrite.Of(tensor.Name, tensor.Shape, tensor.Format, _ => { }))];
        HashSet<string> written = [.. content.Tensors.Select(tensor => tensor.Name)];
        all.AddRange(content.Stored.Values.Where(tensor => !written.Contains(tensor.Name)).Select(Verbatim));
        return GgufWriter.FileBytes(content.Metadata, all) - content.Tensors.Where(isCounted).Sum(tensor => GgufWriter.Aligned(tensor.Format.RowBytes(tensor.Columns) * tensor.Rows));
    }

    private static TensorToWrite Verbatim(StoredTensor tensor) => new(tensor.Name, tensor.Shape, tensor.TypeName, tensor.Data.Length, stream =>
    {
        byte[] buffer = new byte[(int)Math.Min(1 << 20, tensor.Data.Length)];
        for (long at = 0; at < tensor.Data.Length; at += buffer.Length)
        {
            Span<byte> part = buffer.AsSpan(0, (int)Math.Min(buffer.Length, tensor.Data.Length - at));
            tensor.Data.File.CopyTo(tensor.Data.Offset + at, part);
            stream.Write(part);
        }
    });

    /// <summary>The file as it will be opened: what it says must be what the model does.</summary>
    private static void Check(string path, DecoderConfig wanted)
    {
        using ModelHeader said = ModelHeader.Open(path);
        if (ConfigDifference.Find(wanted, said.Config) is { } difference)
        {
            throw new NotSupportedException($"A GGUF file of the architecture {said.Architecture} cannot say what this model does: {difference}. Write a Hugging Face folder instead.");
        }
    }

    /// <summary>llama.cpp's number for files of plain formats: that of the format that most weights have.</summary>
    private static uint FileTypeOf(IEnumerable<(ModelTensor Tensor, WeightFormat Format, EncodingRequest Request)> tensors)
    {
        string most = tensors.GroupBy(each => each.Format.Name).MaxBy(group => group.Sum(each => each.Tensor.Elements))?.Key ?? "F32";
        return most switch { "F32" => 0, "F16" => 1, "BF16" => 32, "Q4_0" => 2, "Q4_1" => 3, "Q8_0" => 7, "Q5_0" => 8, "Q5_1" => 9, "Q6_K" => 18, _ => 1024 };
    }
}

/// <summary>How a model is written.</summary>
public sealed record ModelWriteOptions
{
    /// <summary>Threads that encode; the result is the same with any number. Default 1.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Whether the error of each tensor is measured. Default no.</summary>
    public bool MeasuresErrors { get; init; }

    /// <summary>Called now and then; may throw to stop, after which nothing is left behind.</summary>
    public Action<WriteProgress>? Progress { get; init; }

    /// <summary>Called with the path that is written to before the file has its name, for those who may end the process.</summary>
    public Action<string>? Began { get; init; }

    /// <summary>Called with the path of the complete model before it has its name, for those who measure it; may throw, after which nothing is left behind.</summary>
    public Action<string>? Written { get; init; }

    /// <summary>What the model says of itself; null for nothing.</summary>
    public PassportRequest? Passport { get; init; }

    /// <summary>llama.cpp's number for the mix of formats; null to go by the formats.</summary>
    public uint? FileType { get; init; }
}
