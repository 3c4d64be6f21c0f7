// A float32 weight in memory, 32 rows side by side. Knows no files.
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>A float32 matrix in panels [C, 32].</summary>
internal sealed class DenseWeight : FloatPanelWeight
{
    private readonly AlignedBuffer _panels;
    private readonly long _panelBytes;

    /// <summary>Copies a matrix into panels.</summary>
    /// <param name="values">[Rows, Columns]</param>
    public DenseWeight(Tensor values)
        : base(WeightFormats.ForName("F32")!, values.Rows, values.Columns)
    {
        _panelBytes = (long)Columns * PanelRows * sizeof(float);
        _panels = new AlignedBuffer(Panels * _panelBytes);
        for (int row = 0; row < Rows; row++)
        {
            PanelTransposition.WriteRow(values.Row(row), Panel(row / PanelRows), row % PanelRows);
        }
    }

    /// <summary>Copies a stored float32 matrix into panels.</summary>
    public DenseWeight(StoredMatrix stored, WorkerTeam team)
        : base(stored.Format, stored.Rows, stored.Columns)
    {
        _panelBytes = (long)Columns * PanelRows * sizeof(float);
        _panels = new AlignedBuffer(Panels * _panelBytes);
        PanelPacking.Run(
            stored, team, PanelRows, (source, row) => PanelTransposition.WriteRow(System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(source), Panel(row / PanelRows), row % PanelRows));
    }

    public override long MemoryBytes => _panels.Length;

    public override void DecodeRow(int row, Span<float> destination)
    {
        ReadOnlySpan<float> panel = Panel(row / PanelRows);
        for (int c = 0; c < Columns; c++)
        {
            destination[c] = panel[(c * PanelRows) + (row % PanelRows)];
        }

        GC.KeepAlive(this); // the span does not keep the native memory: its owner must outlive the loop
    }

    private protected override ReadOnlySpan<float> Lying(int panel, int firstColumn, int columns) => Panel(panel).Slice(firstColumn * PanelRows, columns * PanelRows);

    private Span<float> Panel(int panel) => _panels.Slice<float>(panel * _panelBytes, Columns * PanelRows);

    protected override void Dispose(bool disposing)
    {
        _panels.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>Writes rows into panels [C, 32].</summary>
internal static class PanelTransposition
{
    private const int BlockColumns = 16; // the 16 lines of a panel that a block writes stay in the first-level cache while 32 rows pass

    /// <summary>Writes some columns of 32 rows as a block of a panel.</summary>
    /// <param name="rows">[32, C]</param>
    /// <param name="columns">C</param>
    /// <param name="firstColumn">The first column to write.</param>
    /// <param name="count">How many.</param>
    /// <param name="panel">[count, 32]</param>
    public static void Write(ReadOnlySpan<float> rows, int columns, int firstColumn, int count, Span<float> panel)
    {
        for (int first = 0; first < count; first += BlockColumns)
        {
            int width = Math.Min(BlockColumns, count - first);
            Span<float> target = panel.Slice(first * FloatKernel.PanelRows, width * FloatKernel.PanelRows);
            for (int r = 0; r < FloatKernel.PanelRows; r++)
            {
                ReadOnlySpan<float> source = rows.Slice((r * columns) + firstColumn + first, width);
                for (int c = 0; c < source.Length; c++)
                {
                    target[(c * FloatKernel.PanelRows) + r] = source[c];
                }
            }
        }
    }

    /// <summary>Writes a row as column <paramref name="lane"/> of a panel.</summary>
    public static void WriteRow(ReadOnlySpan<float> row, Span<float> panel, int lane)
    {
        for (int c = 0; c < row.Length; c++)
        {
            panel[(c * FloatKernel.PanelRows) + lane] = row[c];
        }
    }
}
