// A float32 weight that training changes: rows as an optimiser sees them. Knows no optimiser.
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>A matrix whose values are a parameter. Nothing is packed ahead, since every step changes them: panels are made while they are multiplied.</summary>
public sealed class TrainableWeight : Weight
{
    private readonly FloatRows _rows;

    /// <summary>Wraps a parameter.</summary>
    /// <param name="values">[Rows, Columns]; becomes a parameter, and may be changed between passes.</param>
    public TrainableWeight(Tensor values)
        : base(WeightFormats.ForName("F32")!, values.Rows, values.Columns)
    {
        Values = values.AsParameter();
        _rows = new FloatRows(values);
    }

    /// <summary>The parameter. [Rows, Columns]</summary>
    public Tensor Values { get; }

    /// <inheritdoc/>
    public override long MemoryBytes => sizeof(float) * (long)Values.Length;

    /// <inheritdoc/>
    public override void DecodeRow(int row, Span<float> destination) => Values.Row(row).CopyTo(destination);

    internal override ActivationForm Activations => _rows.Activations;

    internal override int PanelRows => _rows.PanelRows;

    internal override bool DecodesPanels => true;

    internal override void Multiply(int firstPanel, int panels, ActivationTiles x, int firstTile, int tiles, Tensor y, KernelScratch scratch) =>
        _rows.Multiply(firstPanel, panels, x, firstTile, tiles, y, scratch);

    /// <summary>The rows as panels that are made when they are asked for.</summary>
    private sealed class FloatRows(Tensor values) : FloatPanelWeight(WeightFormats.ForName("F32")!, values.Rows, values.Columns)
    {
        public override long MemoryBytes => 0;

        public override void DecodeRow(int row, Span<float> destination) => values.Row(row).CopyTo(destination);

        private protected override void Decode(int panel, int firstColumn, Span<float> block, KernelScratch scratch)
        {
            int columns = block.Length / PanelRows;
            int firstRow = panel * PanelRows;
            int present = Math.Min(PanelRows, Rows - firstRow);
            if (present == PanelRows)
            {
                PanelTransposition.Write(values.Span.Slice(firstRow * Columns, PanelRows * Columns), Columns, firstColumn, columns, block);
                return;
            }

            block.Clear();
            for (int r = 0; r < present; r++)
            {
                PanelTransposition.WriteRow(values.Row(firstRow + r).Slice(firstColumn, columns), block, r);
            }
        }
    }
}
