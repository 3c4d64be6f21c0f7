// An adapter added into the weights that it changes. Knows no files but the open ones of the base.
using System.Runtime.InteropServices;
using Kidogo.Models.Export;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Ops;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Kidogo.Models.Adapters;

/// <summary>Writes base and adapter as one model: W + s B A in float32, and with magnitudes m / ‖W + s B A‖ of it, row by row.</summary>
public static class AdapterMerge
{
    /// <summary>Writes the merged model: a GGUF file or a Hugging Face folder, by the form of the path.</summary>
    /// <param name="header">The base. Its weights appear merged from here on to whoever writes it.</param>
    /// <param name="adapter">An adapter for it.</param>
    /// <param name="path">What is written: a name that ends in .gguf is a GGUF file, any other a folder.</param>
    /// <param name="format">How weights are stored; null for each as in the base (in a folder block formats become F32).</param>
    /// <param name="options">How it is written.</param>
    /// <param name="keepsZeros">Whether weights of the base that are 0 stay 0, whatever the adapter adds to them.</param>
    /// <exception cref="ModelTensorException">A weight cannot be stored as was asked.</exception>
    /// <exception cref="NotSupportedException">The kind of file cannot say what the model does.</exception>
    /// <exception cref="IOException">It cannot be written.</exception>
    public static ConversionReport Write(ModelHeader header, Adapter adapter, string path, WeightFormat? format = null, ModelWriteOptions? options = null, bool keepsZeros = false) =>
        ChangedModel.Write(header, path, new ChangedModelOptions { Format = format, Change = tensor => Merged(tensor, header.Config, adapter, keepsZeros) }, options).Report;

    /// <summary>A tensor of the base with what the adapter adds to it; itself where that is nothing.</summary>
    private static ModelTensor Merged(ModelTensor tensor, DecoderConfig config, Adapter adapter, bool keepsZeros)
    {
        if (tensor.IsVector || !tensor.Name.EndsWith(".weight", StringComparison.Ordinal))
        {
            return tensor;
        }

        (SlotChange? Change, int Rows)[] parts = [.. TensorSlots.Of(tensor, config).Select(part => (adapter.Changes.GetValueOrDefault(part.Slot), part.Rows))];
        if (Array.TrueForAll(parts, part => part.Change is null))
        {
            return tensor;
        }

        ModelTensor decoded = tensor.Decoded();
        return new ModelTensor(tensor.Name, tensor.Rows, tensor.Columns, isVector: false, FloatFormats.F32, (first, count, destination) =>
        {
            decoded.Read(first, count, destination);
            Span<float> values = MemoryMarshal.Cast<byte, float>(destination);
            float[] before = keepsZeros ? values[..(count * tensor.Columns)].ToArray() : [];
            for (int i = 0; i < count; i++)
            {
                (int part, int row) = (0, first + i);
                for (; row >= parts[part].Rows; part++)
                {
                    row -= parts[part].Rows;
                }

                if (parts[part].Change is { } change)
                {
                    Add(change, row, values.Slice(i * tensor.Columns, tensor.Columns));
                }
            }

            for (int i = 0; i < before.Length; i++)
            {
                values[i] = before[i] == 0 ? 0 : values[i];
            }
        });
    }

    private static void Add(SlotChange change, int row, Span<float> values)
    {
        LowRankChange product = change.Change;
        Add(product.A, product.B.Row(row), product.Scale, values);
        if (product.StartA is not null)
        {
            Add(product.StartA, product.StartB!.Row(row), -product.Scale, values);
        }

        if (change.Magnitudes is { } magnitudes)
        {
            float length = TensorPrimitives.Norm<float>(values);
            TensorPrimitives.Multiply(values, magnitudes.Span[row] / length, values);
        }
    }

    private static void Add(Tensor a, ReadOnlySpan<float> b, float scale, Span<float> values)
    {
        for (int k = 0; k < a.Rows; k++)
        {
            TensorPrimitives.MultiplyAdd(a.Row(k), scale * b[k], values, values);
        }
    }
}
