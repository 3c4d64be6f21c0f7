// From stored tensors of an adapter file to changes, checked before anything is read. Knows no kind of file.
using Kidogo.Models.Files;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Adapters;

/// <summary>The tensors of one changed module.</summary>
internal sealed class ModuleTensors
{
    /// <summary>[r, C]</summary>
    public StoredTensor? A { get; set; }

    /// <summary>[R, r]</summary>
    public StoredTensor? B { get; set; }

    /// <summary>[R]; null for none.</summary>
    public StoredTensor? Magnitudes { get; set; }
}

/// <summary>Reads and checks.</summary>
internal static class AdapterTensors
{
    /// <summary>Reads a module's change.</summary>
    /// <param name="file">The file, for messages.</param>
    /// <param name="module">What the file calls the module.</param>
    /// <param name="slot">Its slot, perhaps a fused one.</param>
    /// <param name="shape">Rows and columns of the slot in the base; null where the base has none.</param>
    /// <param name="tensors">The tensors.</param>
    /// <param name="scaleOf">From the rank to the scale.</param>
    /// <exception cref="ModelFormatException">The tensors do not belong together, or not to this base.</exception>
    public static SlotChange Read(string file, string module, string? slot, (int Rows, int Columns)? shape, ModuleTensors tensors, Func<int, float> scaleOf)
    {
        if (tensors.A is not { } a || tensors.B is not { } b)
        {
            throw new ModelFormatException(file, -1, $"The module {ModelFormatException.Quote(module)} has only one of its two matrices. The file is incomplete; get it again.");
        }

        if (slot is null || shape is not { } wanted)
        {
            throw new ModelFormatException(file, a.Data.Offset, $"The adapter changes {ModelFormatException.Quote(module)}, which the base does not have as a linear layer. It was made for another base, or for a kind of layer that is not adapted here.");
        }

        if (a.Columns != wanted.Columns || b.Rows != wanted.Rows)
        {
            throw new ModelFormatException(
                file, a.Data.Offset,
                $"The adapter changes {ModelFormatException.Quote(module)} as a matrix of {b.Rows} x {a.Columns}, but the base's is {wanted.Rows} x {wanted.Columns}. It was made for another base: give the model that it was trained on.");
        }

        if (a.Rows != b.Columns || a.Rows < 1 || a.Shape.Length != 2 || b.Shape.Length != 2)
        {
            throw new ModelFormatException(file, a.Data.Offset, $"The matrices of {ModelFormatException.Quote(module)} are [{string.Join(", ", a.Shape)}] and [{string.Join(", ", b.Shape)}]; expected [r, {wanted.Columns}] and [{wanted.Rows}, r].");
        }

        if (tensors.Magnitudes is { } magnitudes && magnitudes.Elements != wanted.Rows)
        {
            throw new ModelFormatException(file, magnitudes.Data.Offset, $"The module {ModelFormatException.Quote(module)} has {magnitudes.Elements} magnitudes; expected {wanted.Rows}.");
        }

        return new SlotChange(slot, new LowRankChange(Values(a), Values(b), scaleOf((int)a.Rows)), tensors.Magnitudes is null ? null : Values(tensors.Magnitudes, isVector: true));
    }

    private static Tensor Values(StoredTensor stored, bool isVector = false)
    {
        (int rows, int columns) = isVector ? (1, checked((int)stored.Elements)) : (checked((int)stored.Rows), checked((int)stored.Columns));
        if (columns % stored.Format.BlockSize != 0)
        {
            throw new ModelFormatException(stored.Data.File.Path, stored.Data.Offset, $"The tensor {ModelFormatException.Quote(stored.Name)} has rows of {columns} values, which are no whole {stored.Format.Name} blocks.");
        }

        Tensor values = new(rows, columns);
        StoredMatrix matrix = new(stored.Format, rows, columns, stored.Data);
        for (int row = 0; row < rows; row++)
        {
            matrix.DecodeRow(row, values.Row(row));
        }

        return !values.Span.ContainsAnyExceptInRange(float.MinValue, float.MaxValue)
            ? values
            : throw new ModelFormatException(stored.Data.File.Path, stored.Data.Offset, $"The tensor {ModelFormatException.Quote(stored.Name)} has a value that is infinite or no number. The adapter is damaged.");
    }
}
