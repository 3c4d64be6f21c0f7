// From a tensor on its way to the bytes that a file gets: read, decoded and encoded in passes of a bounded size. Knows no names of files.
using Kidogo.Models.Files;
using Kidogo.Tensors.Formats;

namespace Kidogo.Models.Export;

/// <summary>Writes tensors in a format of choice.</summary>
internal static class TensorEncoding
{
    private const int PassBytes = 4 << 20;

    /// <summary>The tensor as something a file writer takes.</summary>
    /// <param name="tensor">What is written.</param>
    /// <param name="name">Its name in the file.</param>
    /// <param name="format">How it is stored there.</param>
    /// <param name="advanced">Called with the bytes written since it was called last; may be null.</param>
    public static TensorToWrite Prepare(ModelTensor tensor, string name, WeightFormat format, Action<long>? advanced = null) =>
        TensorToWrite.Of(name, tensor.Shape, format, stream => Write(tensor, format, stream, advanced));

    /// <summary>Writes all rows.</summary>
    /// <exception cref="NotSupportedException">A finite value is beyond what the format holds.</exception>
    public static void Write(ModelTensor tensor, WeightFormat format, Stream stream, Action<long>? advanced = null)
    {
        int targetRow = checked((int)format.RowBytes(tensor.Columns));
        int rows = Math.Clamp(PassBytes / Math.Max(1, Math.Max(tensor.RowBytes, tensor.Columns * sizeof(float))), 1, Math.Max(1, tensor.Rows));
        byte[] source = new byte[rows * tensor.RowBytes];
        bool isCopied = format == tensor.Format;
        byte[] target = isCopied ? source : new byte[rows * targetRow];
        float[] values = isCopied ? [] : new float[rows * tensor.Columns];
        for (int first = 0; first < tensor.Rows; first += rows)
        {
            int count = Math.Min(rows, tensor.Rows - first);
            tensor.Read(first, count, source);
            if (!isCopied)
            {
                Span<float> pass = values.AsSpan(0, count * tensor.Columns);
                tensor.Format.Decode(source.AsSpan(0, count * tensor.RowBytes), pass);
                RefuseOverflow(tensor, format, pass, first);
                FloatFormats.Encode(format, pass, target.AsSpan(0, count * targetRow));
            }

            stream.Write(target.AsSpan(0, count * targetRow));
            advanced?.Invoke((long)count * targetRow);
        }
    }

    private static void RefuseOverflow(ModelTensor tensor, WeightFormat format, ReadOnlySpan<float> values, int firstRow)
    {
        const float LargestThatRoundsDown = 65_519.996f; // from 65,520 on float16 rounds to infinity
        if (format != FloatFormats.F16)
        {
            return;
        }

        for (int i = 0; i < values.Length; i++)
        {
            if (MathF.Abs(values[i]) > LargestThatRoundsDown && float.IsFinite(values[i]))
            {
                throw new NotSupportedException(
                    $"The tensor {tensor.Name} holds {values[i]} in row {firstRow + (i / tensor.Columns)}, column {i % tensor.Columns}; F16 ends at 65504. Use BF16 or F32.");
            }
        }
    }
}
