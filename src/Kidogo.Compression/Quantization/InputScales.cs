// Scales of input columns, folded into what computes those inputs: the model stays the same function. Knows no method that finds them.
using System.Numerics.Tensors;
using Kidogo.Compression.Calibration;
using Kidogo.Models.Export;

namespace Kidogo.Compression.Quantization;

/// <summary>For some inputs of blocks what each column is divided by before it goes into the matrices, whose columns are multiplied with the same.</summary>
/// <remarks>
/// What divides: of q, k, v and of gate, up the norm before them (weight and bias); of down the rows of up, where up is multiplied with a gate; of o the rows of v, where every head has
/// values of its own. A norm that feeds both attention and feed-forward cannot be folded for one of them.
/// </remarks>
public sealed class InputScales
{
    private readonly Dictionary<(int Block, int Input), float[]> _scales = [];
    private readonly HashSet<string> _names;
    private readonly bool _hasOwnValues;

    /// <summary>No scales yet.</summary>
    /// <param name="tensors">The model's.</param>
    /// <param name="hasOwnValues">Whether every query head has a value head of its own.</param>
    public InputScales(IEnumerable<ModelTensor> tensors, bool hasOwnValues)
    {
        _names = [.. tensors.Select(tensor => tensor.Name)];
        _hasOwnValues = hasOwnValues;
    }

    /// <summary>Whether something before an input can take a division.</summary>
    public bool CanFold(int block, int input)
    {
        bool Has(string name) => _names.Contains($"blk.{block}.{name}");
        return input switch
        {
            0 => Has("attn_norm.weight") && Has("ffn_norm.weight"),
            1 => Has("attn_v.weight") && _hasOwnValues,
            2 => Has("ffn_norm.weight"),
            _ => Has("ffn_gate.weight"),
        };
    }

    /// <summary>Sets the scales of an input, all above 0.</summary>
    public void Set(int block, int input, float[] scales) => _scales[(block, input)] =
        CanFold(block, input) ? scales : throw new ArgumentException($"Nothing before input {input} of block {block} can take a division.", nameof(input));

    /// <summary>The scales of what goes into a matrix; null where there are none.</summary>
    public float[]? Of(string tensor) => SlotInputs.TryFind(tensor, out int block, out int input) ? _scales.GetValueOrDefault((block, input)) : null;

    /// <summary>The tensor with scales folded in: columns multiplied, rows or values divided; in float32 where anything is.</summary>
    public ModelTensor Fold(ModelTensor tensor)
    {
        float[]? multiplied = tensor.IsVector ? null : Of(tensor.Name);
        float[]? divided = Divisor(tensor.Name);
        if (multiplied is null && divided is null)
        {
            return tensor;
        }

        ModelTensor source = tensor;
        if (tensor.IsVector)
        {
            float[] values = source.ReadFloats();
            TensorPrimitives.Divide(values, divided, values);
            return ModelTensor.Vector(tensor.Name, values);
        }

        return ModelTensor.Matrix(tensor.Name, tensor.Rows, tensor.Columns, (row, destination) =>
        {
            ReadRow(source, row, destination);
            if (multiplied is not null)
            {
                TensorPrimitives.Multiply(destination, multiplied, destination);
            }

            if (divided is not null)
            {
                TensorPrimitives.Divide(destination, divided[row], destination);
            }
        });
    }

    /// <summary>Reads a row of a tensor in any format.</summary>
    internal static void ReadRow(ModelTensor tensor, int row, Span<float> destination)
    {
        byte[] stored = new byte[tensor.Format.RowBytes(tensor.Columns)];
        tensor.Read(row, 1, stored);
        tensor.Format.Decode(stored, destination);
    }

    /// <summary>What the rows or values of a tensor are divided by.</summary>
    private float[]? Divisor(string tensor)
    {
        string[] parts = tensor.Split('.');
        if (parts.Length != 4 || parts[0] != "blk" || !int.TryParse(parts[1], out int block))
        {
            return null;
        }

        int input = parts[2] switch { "attn_norm" => 0, "attn_v" => 1, "ffn_norm" => 2, "ffn_up" => 3, _ => -1 };
        return input < 0 ? null : _scales.GetValueOrDefault((block, input));
    }
}
