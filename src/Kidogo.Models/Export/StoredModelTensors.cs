// The tensors of an open model as they are passed on: by canonical name, read by position in the file. Knows no target.
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Kidogo.Models.Families;
using Kidogo.Models.Files;
using Kidogo.Tensors;

namespace Kidogo.Models.Export;

/// <summary>From a model's files to tensors that can be written elsewhere.</summary>
internal static class StoredModelTensors
{
    /// <summary>All tensors of the decoder: outputs as rows, fused queries, keys and values one part after the other, all else as the file has it.</summary>
    /// <remarks>Files are read by position and not through the mapping: one that is cut short meanwhile throws instead of ending the process.</remarks>
    public static List<ModelTensor> Of(ModelHeader header)
    {
        List<ModelTensor> tensors = [];
        HashSet<string> scales = new(StringComparer.Ordinal);
        foreach ((string name, StoredTensor stored) in header.Source.All)
        {
            bool isScale = name.EndsWith(".scale", StringComparison.Ordinal) || name.EndsWith(".input_scale", StringComparison.Ordinal);
            bool isLeftHead = header.Config.TiedHead && name is "output.weight";
            if (!isScale && !isLeftHead && stored.IsWeight)
            {
                tensors.Add(header.Change?.Invoke(Of(header, name, stored)) ?? Of(header, name, stored));
            }
        }

        return tensors;
    }

    private static ModelTensor Of(ModelHeader header, string name, StoredTensor stored)
    {
        ModelTensor tensor = Of(name, stored);
        float scale = stored.Shape.Length > 1 ? header.Source.ScaleOf(name) : 1;
        if (scale != 1)
        {
            tensor = Scaled(tensor.Decoded(), scale);
        }

        if (header.Folder is not null && header.Family.IsInputMajor(name))
        {
            tensor = tensor.Transposed();
        }

        bool isFused = CanonicalNames.TrySplitLayer(name, out int layer, out string rest) && rest is "attn_qkv.weight" or "attn_qkv.bias";
        return isFused && header.Source.FusedOrder == FusedOrder.PerHead ? tensor.Picked(TensorOrders.HeadsToParts(header.Config.Layers[layer])) : tensor;
    }

    /// <summary>One stored tensor.</summary>
    /// <exception cref="ModelFormatException">It is larger than a matrix can be.</exception>
    public static ModelTensor Of(string name, StoredTensor stored)
    {
        bool isVector = stored.Shape.Length <= 1;
        long rows = isVector ? stored.Columns : stored.Rows;
        long columns = isVector ? 1 : stored.Columns;
        if (rows > int.MaxValue || columns > int.MaxValue)
        {
            throw new ModelFormatException(stored.Data.File.Path, stored.Data.Offset, $"The tensor {ModelFormatException.Quote(name)} has the shape [{string.Join(", ", stored.Shape)}]; at most {int.MaxValue} rows and columns are passed on.");
        }

        if (stored.Plain is { } plain)
        {
            Lazy<PlainMatrix> matrix = new(() => Open(stored, plain));
            return ModelTensor.Matrix(name, plain.Rows, plain.Columns, (row, values) => matrix.Value.DecodeRow(row, values));
        }

        if (isVector && stored.Format.BlockSize != 1)
        {
            float[] values = new float[rows];
            TensorSource.ReadVector(stored, (int)rows, values);
            return ModelTensor.Vector(name, values);
        }

        long rowBytes = stored.Format.RowBytes(columns);
        return new ModelTensor(name, (int)rows, (int)columns, isVector, stored.Format, (first, count, destination) =>
            stored.Data.File.CopyTo(stored.Data.Offset + (first * rowBytes), destination[..checked((int)(count * rowBytes))]));
    }

    private static PlainMatrix Open(StoredTensor stored, PlainTensor plain)
    {
        try
        {
            return plain.OpenByPosition();
        }
        catch (InvalidDataException damage)
        {
            throw new ModelFormatException(stored.Data.File.Path, stored.Data.Offset, $"The tensor {ModelFormatException.Quote(stored.Name)} cannot be used. {damage.Message}", damage);
        }
    }

    private static ModelTensor Scaled(ModelTensor tensor, float scale) => new(tensor.Name, tensor.Rows, tensor.Columns, tensor.IsVector, tensor.Format, (first, count, destination) =>
    {
        tensor.Read(first, count, destination);
        Span<float> values = MemoryMarshal.Cast<byte, float>(destination);
        TensorPrimitives.Multiply(values, scale, values);
    });
}
