// From a tensor on its way to the bytes that a file gets: read, decoded and encoded in passes of a bounded size. Knows no names of files.
using System.Numerics.Tensors;
using Kidogo.Models.Files;
using Kidogo.Tensors.Formats;

namespace Kidogo.Models.Export;

/// <summary>How a tensor is encoded, and what is learned from it.</summary>
internal sealed class EncodingRequest
{
    /// <summary>How much the squared error of each column counts [columns]; empty: all alike.</summary>
    public float[] Importance { get; init; } = [];

    /// <summary>Encodes rows in place of the format; null for the format itself.</summary>
    public RowEncoder? Encoder { get; init; }

    /// <summary>Threads that encode; the result is the same with any number.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Whether errors are measured.</summary>
    public bool MeasuresError { get; init; }

    /// <summary>Called with the bytes written since it was called last; may throw to stop.</summary>
    public Action<long>? Advanced { get; init; }

    /// <summary>Sum of squares of all weights, where errors are measured.</summary>
    public double SquaredWeights { get; set; }

    /// <summary>Sum of squares of what encoding changed, where errors are measured.</summary>
    public double SquaredErrors { get; set; }

    /// <summary>‖W − Q‖ / ‖W‖; 0 where all weights are 0.</summary>
    public double RelativeError => SquaredWeights > 0 ? Math.Sqrt(SquaredErrors / SquaredWeights) : 0;
}

/// <summary>Writes tensors in a format of choice.</summary>
internal static class TensorEncoding
{
    private const int PassWeights = 1 << 20;

    /// <summary>The tensor as something a file writer takes.</summary>
    /// <param name="tensor">What is written.</param>
    /// <param name="name">Its name in the file.</param>
    /// <param name="format">How it is stored there.</param>
    /// <param name="request">How; gets what is measured.</param>
    public static TensorToWrite Prepare(ModelTensor tensor, string name, WeightFormat format, EncodingRequest request) =>
        TensorToWrite.Of(name, tensor.Shape, format, stream => Write(tensor, format, stream, request));

    /// <summary>Writes all rows.</summary>
    /// <exception cref="ModelTensorException">A weight is not finite, or beyond what the format holds.</exception>
    public static void Write(ModelTensor tensor, WeightFormat format, Stream stream, EncodingRequest request)
    {
        if (format == tensor.Format && request.Encoder is null)
        {
            Copy(tensor, stream, request);
            return;
        }

        int rows = Math.Clamp(PassWeights / Math.Max(1, tensor.Columns), 1, Math.Max(1, tensor.Rows));
        int rowBytes = checked((int)format.RowBytes(tensor.Columns));
        byte[] source = new byte[rows * tensor.RowBytes];
        byte[] target = new byte[rows * rowBytes];
        (double Weights, double Errors)[] squares = new (double, double)[rows];
        for (int first = 0; first < tensor.Rows; first += rows)
        {
            int count = Math.Min(rows, tensor.Rows - first);
            int start = first;
            tensor.Read(first, count, source);
            InRanges(count, request.Threads, (from, to) => Encode(tensor, format, request, source, target, start, from, to, squares));
            for (int i = 0; i < count; i++)
            {
                request.SquaredWeights += squares[i].Weights; // row after row, whatever the threads were
                request.SquaredErrors += squares[i].Errors;
            }

            stream.Write(target.AsSpan(0, count * rowBytes));
            request.Advanced?.Invoke((long)count * rowBytes);
        }
    }

    /// <summary>Encodes the rows [from, to) of those that were read, the first of which is row <paramref name="first"/> of the tensor.</summary>
    private static void Encode(
        ModelTensor tensor, WeightFormat format, EncodingRequest request, byte[] source, byte[] target, int first, int from, int to, (double Weights, double Errors)[] squares)
    {
        int columns = tensor.Columns;
        int rowBytes = (int)format.RowBytes(columns);
        float[] values = new float[columns];
        float[] again = request.MeasuresError ? new float[columns] : [];
        for (int row = from; row < to; row++)
        {
            Span<byte> encoded = target.AsSpan(row * rowBytes, rowBytes);
            tensor.Format.Decode(source.AsSpan(row * tensor.RowBytes, tensor.RowBytes), values);
            try
            {
                if (request.Encoder is { } encoder)
                {
                    encoder(values, encoded);
                }
                else
                {
                    format.Encode(values, request.Importance, encoded);
                }
            }
            catch (WeightEncodingException failure)
            {
                throw Refused(tensor, format.Name, first + row, failure);
            }

            if (request.MeasuresError)
            {
                format.Decode(encoded, again);
                TensorPrimitives.Subtract(again, values, again);
                squares[row] = (TensorPrimitives.SumOfSquares<float>(values), TensorPrimitives.SumOfSquares<float>(again));
            }
        }
    }

    /// <summary>What is said of a weight that cannot be stored.</summary>
    /// <param name="tensor">Whose weight.</param>
    /// <param name="format">The name of the format.</param>
    /// <param name="row">Its row in the tensor.</param>
    /// <param name="failure">What the format said.</param>
    public static ModelTensorException Refused(ModelTensor tensor, string format, long row, WeightEncodingException failure)
    {
        long index = (row * tensor.Columns) + failure.Column;
        string what = float.IsFinite(failure.Weight) ? $"which {format} cannot hold. Choose BF16, F32 or another format" : "which is no number that can be stored. The file is damaged, or training went wrong; nothing was written";
        return new ModelTensorException($"The tensor {tensor.Name} has {failure.Weight} at index {index} (row {row}, column {failure.Column}), {what}.", failure);
    }

    private static void Copy(ModelTensor tensor, Stream stream, EncodingRequest request)
    {
        const int PassBytes = 4 << 20;
        int rows = Math.Clamp(PassBytes / Math.Max(1, tensor.RowBytes), 1, Math.Max(1, tensor.Rows));
        byte[] bytes = new byte[rows * tensor.RowBytes];
        for (int first = 0; first < tensor.Rows; first += rows)
        {
            int count = Math.Min(rows, tensor.Rows - first);
            tensor.Read(first, count, bytes);
            stream.Write(bytes.AsSpan(0, count * tensor.RowBytes));
            request.Advanced?.Invoke((long)count * tensor.RowBytes);
        }
    }

    private static void InRanges(int count, int threads, Action<int, int> work)
    {
        const int RangesPerThread = 4; // rows may take unequal time
        int ranges = Math.Min(count, threads * RangesPerThread);
        if (threads <= 1 || ranges <= 1)
        {
            work(0, count);
            return;
        }

        try
        {
            Parallel.For(0, ranges, new ParallelOptions { MaxDegreeOfParallelism = threads }, i => work((int)((long)count * i / ranges), (int)((long)count * (i + 1) / ranges)));
        }
        catch (AggregateException failures)
        {
            // Of several rows that are damaged, the message is always about one.
            throw failures.InnerExceptions.OrderBy(failure => failure.Message, StringComparer.Ordinal).First();
        }
    }
}

/// <summary>A tensor cannot be stored as was asked.</summary>
public sealed class ModelTensorException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which tensor, where, what was found, and what to do.</param>
    /// <param name="inner">What caused it, if anything did.</param>
    public ModelTensorException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
