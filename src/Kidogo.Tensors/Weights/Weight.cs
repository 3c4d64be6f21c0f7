// A matrix of weights as models see it: something that multiplies. Knows no files and no layers.
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Formats.Plain;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>A weight matrix [Rows, Columns] in whatever form it is stored and computed with.</summary>
/// <remarks>
/// Immutable and shared by any number of passes. The form is the weight's own business (a packed copy, or the mapped file itself): a model never asks for it.
/// Whatever the form, an output value is summed over its columns in one order, so results do not depend on how many rows of activations are multiplied at once.
/// </remarks>
public abstract class Weight : IDisposable
{
    private protected Weight(WeightFormat format, int rows, int columns)
    {
        Format = format;
        Rows = rows;
        Columns = columns;
    }

    /// <summary>The format that the weight is stored in.</summary>
    public WeightFormat Format { get; }

    /// <summary>Rows: outputs.</summary>
    public int Rows { get; }

    /// <summary>Columns: inputs.</summary>
    public int Columns { get; }

    /// <summary>Bytes of memory that the weight holds beside the mapped file.</summary>
    public abstract long MemoryBytes { get; }

    /// <summary>Decodes a row to float32.</summary>
    /// <param name="row">The row.</param>
    /// <param name="destination">[Columns]</param>
    public abstract void DecodeRow(int row, Span<float> destination);

    /// <summary>Opens a stored matrix for computing.</summary>
    /// <param name="stored">The matrix in its file.</param>
    /// <param name="context">Says in which precision, and lends its threads for packing.</param>
    /// <exception cref="InvalidDataException">A float16 among the weights or scales that are packed is infinite or no number.</exception>
    public static Weight Open(StoredMatrix stored, ComputeContext context) => PackedLayouts.Open(stored, context);

    /// <summary>Opens a matrix of codes with scales beside them for computing. <see cref="Format"/> says F32 then, which its rows decode to.</summary>
    /// <param name="matrix">The matrix in its file.</param>
    /// <param name="context">Says in which precision, and lends its threads for packing.</param>
    public static Weight Open(PlainMatrix matrix, ComputeContext context) => PackedLayouts.Open(matrix, context);

    /// <summary>Bytes that a stored matrix takes once it is opened in the fast precision: of its packed form, or of its rows in the file where it is computed from there.</summary>
    /// <param name="format">How it is stored.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <exception cref="OverflowException">No file could hold it.</exception>
    public static long MemoryBytesOf(WeightFormat format, long rows, long columns) => PackedLayouts.BytesOf(format, rows, columns);

    /// <summary>The same for codes with scales beside them.</summary>
    /// <param name="format">How the matrix is stored.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    public static long MemoryBytesOf(PlainFormat format, int rows, int columns) => PackedLayouts.BytesOf(format, rows, columns);

    /// <summary>A weight in float32 from memory.</summary>
    /// <param name="values">[Rows, Columns]; copied.</param>
    public static Weight FromDense(Tensor values) => new DenseWeight(values);

    /// <summary>The same weight in NF4, in memory.</summary>
    /// <param name="weight">The weight; stays the caller's.</param>
    /// <param name="isDouble">Whether the scales of blocks are quantised too.</param>
    /// <exception cref="WeightEncodingException">A weight is not finite.</exception>
    public static Weight AsNf4(Weight weight, bool isDouble)
    {
        float[] values = new float[checked(weight.Rows * weight.Columns)];
        for (int row = 0; row < weight.Rows; row++)
        {
            weight.DecodeRow(row, values.AsSpan(row * weight.Columns, weight.Columns));
        }

        PlainFormat format = PlainFormats.ForName(isDouble ? "nf4-double" : "nf4")!;
        return FromNf4(format.Encode(values, weight.Rows, weight.Columns).ToDictionary(part => part.Suffix, StringComparer.Ordinal), weight.Rows, weight.Columns);
    }

    /// <summary>A weight in NF4 from the parts that <c>nf4</c> or <c>nf4-double</c> store.</summary>
    /// <param name="parts">The parts by suffix.</param>
    /// <param name="rows">1 or more.</param>
    /// <param name="columns">1 or more.</param>
    /// <exception cref="InvalidDataException">A part is missing, of another type or of another length.</exception>
    public static Weight FromNf4(IReadOnlyDictionary<string, StoredPart> parts, int rows, int columns)
    {
        PlainFormat format = PlainFormats.ForName(parts.ContainsKey("_scale_scale") ? "nf4-double" : "nf4")!;
        return new Nf4Weight(format.Open(parts.ToDictionary(part => part.Key, part => PlainPart.Of(part.Value), StringComparer.Ordinal), rows, columns), rows, columns);
    }

    /// <summary>Which form of the activations <see cref="Multiply"/> reads.</summary>
    internal abstract ActivationForm Activations { get; }

    /// <summary>Rows of a panel: the unit that <see cref="Multiply"/> computes.</summary>
    internal abstract int PanelRows { get; }

    /// <summary>Panels; the last may be short of rows.</summary>
    internal int Panels => (Rows + PanelRows - 1) / PanelRows;

    /// <summary>Whether a panel is brought into another form whenever it is multiplied: then all tokens should pass it at once.</summary>
    internal virtual bool DecodesPanels => false;

    /// <summary>Computes the outputs of some panels for some tiles of tokens: y[t, r] = Σ x[t, c] · w[r, c].</summary>
    /// <param name="firstPanel">First panel.</param>
    /// <param name="panels">How many panels.</param>
    /// <param name="x">The tokens.</param>
    /// <param name="firstTile">First tile of tokens.</param>
    /// <param name="tiles">How many tiles.</param>
    /// <param name="y">[T, Rows]</param>
    /// <param name="scratch">Buffers of the calling thread.</param>
    internal abstract void Multiply(int firstPanel, int panels, ActivationTiles x, int firstTile, int tiles, Tensor y, KernelScratch scratch);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Gives memory back.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}
