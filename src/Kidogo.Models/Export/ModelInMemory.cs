// A model brought into other formats while it is loaded, with no file in between. Knows no formats' merits.
using Kidogo.Models.Files;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;

namespace Kidogo.Models.Export;

/// <summary>Opens a model as if it had been quantised to a GGUF file before: the same bytes, and so the same logits.</summary>
/// <remarks>
/// The file's header and small vectors are made at once, in memory of the file's size that takes room only where it is written. A matrix is read, encoded and packed when the loader comes to it, and the bytes
/// that were packed are given back: memory stays within the result and one tensor.
/// </remarks>
public static class ModelInMemory
{
    /// <summary>Opens the model.</summary>
    /// <param name="original">The model as it lies in its files; the result owns it, also where this fails.</param>
    /// <param name="content">What a GGUF file of it would hold.</param>
    /// <param name="choose">How each tensor is stored; null for as it is.</param>
    /// <param name="threads">Threads that encode.</param>
    /// <exception cref="ModelFormatException">A file of the model is not what it should be.</exception>
    /// <exception cref="NotSupportedException">A GGUF file cannot say what the model does.</exception>
    public static ModelHeader Open(ModelHeader original, GgufContent content, Func<ModelTensor, TensorChoice?> choose, int threads)
    {
        try
        {
            return Build(original, content, choose, threads);
        }
        catch
        {
            original.Dispose();
            throw;
        }
    }

    /// <summary>Opens the model as if it had been rounded to a mix of formats.</summary>
    /// <param name="original">The model as it lies in its files; the result owns it, also where this fails.</param>
    /// <param name="mix">Which tensor gets which format.</param>
    /// <param name="threads">Threads that encode.</param>
    /// <exception cref="NotSupportedException">A tensor would get a format that needs importance, or a GGUF file cannot say what the model does.</exception>
    public static ModelHeader Open(ModelHeader original, FormatMix mix, int threads)
    {
        try
        {
            GgufContent content = GgufContent.Of(original);
            MixModel model = MixModel.Of(original, content, hasImportance: false);
            return Build(original, content, tensor => FormatMix.Quantizes(tensor.Name, tensor.IsVector) ? Rounded(tensor, mix.Choose(tensor.Name, tensor.Columns, model).Format) : null, threads);
        }
        catch
        {
            original.Dispose();
            throw;
        }
    }

    private static TensorChoice Rounded(ModelTensor tensor, WeightFormat format) => format.Importance != ImportanceUse.Required
        ? new TensorChoice(format)
        : throw new NotSupportedException(
            $"{format.Name}, which {tensor.Name} would get, is too coarse to be rounded to without importance. Make a file with kidogo quantize --calibration FILE, or choose a larger format.");

    private static ModelHeader Build(ModelHeader original, GgufContent content, Func<ModelTensor, TensorChoice?> choose, int threads)
    {
        Dictionary<string, (ModelTensor Tensor, TensorChoice Choice)> sources = new(StringComparer.Ordinal);
        List<TensorToWrite> tensors = [];
        foreach (ModelTensor tensor in content.Tensors)
        {
            TensorChoice choice = choose(tensor) ?? new TensorChoice(tensor.Format);
            sources.Add(tensor.Name, (tensor, choice));
            IReadOnlyList<long> shape = content.Stored.TryGetValue(tensor.Name, out StoredTensor? stored) ? stored.Shape : tensor.Shape;
            tensors.Add(TensorToWrite.Of(tensor.Name, shape, choice.Format, _ => { }));
        }

        byte[] header = GgufWriter.Header(content.Metadata, tensors);
        MappedFile memory = MappedFile.InMemory(original.Path, GgufWriter.FileBytes(content.Metadata, tensors));
        header.CopyTo(memory.Memory(0, header.Length));
        GgufFile file;
        try
        {
            file = GgufFile.Of(memory);
        }
        catch
        {
            memory.Dispose();
            throw;
        }

        void Fill(StoredTensor stored)
        {
            (ModelTensor tensor, TensorChoice choice) = sources[stored.Name];
            using MemoryWriter writer = new(memory, stored.Data.Offset);
            TensorEncoding.Write(tensor, choice.Format, writer, new EncodingRequest { Importance = choice.Importance, Threads = threads });
        }

        try
        {
            foreach (StoredTensor vector in file.Tensors.Where(tensor => tensor.Shape.Length <= 1))
            {
                Fill(vector);
            }

            ModelHeader result = ModelHeader.InMemory(original, file, Fill);
            return ConfigDifference.Find(content.Config, result.Config) is not { } difference
                ? result
                : throw new NotSupportedException($"The model cannot be loaded in another format, since a GGUF file cannot say what it does: {difference}.");
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>A stream into memory, from a place on.</summary>
    private sealed class MemoryWriter(MappedFile memory, long start) : Stream
    {
        private long _at = start;

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => memory.Length;

        public override long Position
        {
            get => _at;
            set => throw new NotSupportedException();
        }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            buffer.CopyTo(memory.Memory(_at, buffer.Length));
            _at += buffer.Length;
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
