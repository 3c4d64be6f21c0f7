// 16-bit floating-point weights in memory, 32 rows side by side. Knows no files beyond the rows it is packed from.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>F16 or BF16 in panels [C, 32] of 16-bit values, multiplied in float32: exact in both precisions, and as large as in the file.</summary>
internal sealed class PackedHalves<TForm> : FloatPanelWeight
    where TForm : struct, IHalfForm
{
    private readonly AlignedBuffer _panels;
    private readonly long _panelBytes;
    private readonly float _factor;

    /// <summary>Copies the rows of <paramref name="stored"/> into panels.</summary>
    /// <exception cref="InvalidDataException">A float16 is infinite or no number.</exception>
    public PackedHalves(StoredMatrix stored, WorkerTeam team)
        : base(stored.Format, stored.Rows, stored.Columns)
    {
        _panelBytes = (long)stored.Columns * PanelRows * sizeof(ushort);
        _panels = new AlignedBuffer(Panels * _panelBytes);
        bool lifted = TForm.MayLift && LargestMagnitude(stored, team) <= HalfKernel.LargestLiftable;
        _factor = TForm.Factor(lifted);
        PanelPacking.Run(stored, team, PanelRows, (source, row) => PackRow(MemoryMarshal.Cast<byte, ushort>(source), row, lifted));
    }

    public override long MemoryBytes => _panels.Length;

    public override void DecodeRow(int row, Span<float> destination)
    {
        ReadOnlySpan<ushort> panel = Panel(row / PanelRows);
        for (int c = 0; c < Columns; c++)
        {
            destination[c] = TForm.WidenScalar(panel[(c * PanelRows) + (row % PanelRows)], _factor);
        }

        GC.KeepAlive(this); // the span does not keep the native memory: its owner must outlive the loop
    }

    internal override bool DecodesPanels => true;

    private protected override void Decode(int panel, int firstColumn, Span<float> block, KernelScratch scratch) =>
        HalfKernel.Widen<TForm>(Panel(panel).Slice(firstColumn * PanelRows, block.Length), _factor, block);

    // The sum is the same as from the widened panel: widening is exact.
    private protected override void MultiplySingle(int panel, ReadOnlySpan<float> x, Span<float> y, KernelScratch scratch) =>
        HalfKernel.MultiplySingle<TForm>(Panel(panel), _factor, x, y);

    private static ushort LargestMagnitude(StoredMatrix stored, WorkerTeam team)
    {
        ushort[] largest = new ushort[stored.Rows];
        PanelPacking.Visit(stored, team, FloatKernel.PanelRows, (source, row) =>
        {
            largest[row] = HalfKernel.LargestMagnitude(MemoryMarshal.Cast<byte, ushort>(source));
            PackedScale.Check(largest[row], stored.Format, row);
        });
        return largest.Length == 0 ? (ushort)0 : largest.Max();
    }

    private Span<ushort> Panel(int panel) => _panels.Slice<ushort>(panel * _panelBytes, Columns * PanelRows);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void PackRow(ReadOnlySpan<ushort> source, int row, bool lifted)
    {
        Span<ushort> panel = Panel(row / PanelRows);
        for (int c = 0; c < Columns; c++)
        {
            panel[(c * PanelRows) + (row % PanelRows)] = TForm.Pack(source[c], lifted);
        }
    }

    protected override void Dispose(bool disposing)
    {
        _panels.Dispose();
        base.Dispose(disposing);
    }
}
