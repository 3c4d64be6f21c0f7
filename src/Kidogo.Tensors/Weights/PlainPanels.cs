// Whole numbers with a scale for each row in memory, 16 rows side by side. Knows no files beyond the rows it is packed from.
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>int8, ternary and binary matrices in the layout of <see cref="PanelKernel{TCodes, TScales}"/>, without scales: those of the rows are multiplied with the outputs.</summary>
internal sealed class PlainPanels<TCodes> : PackedPanelWeight
    where TCodes : struct, ICodeLayout
{
    private readonly AlignedBuffer _panels;
    private readonly int _panelBytes;
    private readonly float[] _scales;

    /// <summary>Copies the rows of <paramref name="matrix"/> into panels.</summary>
    public PlainPanels(PlainMatrix matrix, WorkerTeam team)
        : base(WeightFormats.ForName("F32")!, matrix.Rows, matrix.Columns, scalesOutputs: true)
    {
        _panelBytes = checked((int)PanelBytes(matrix.Columns));
        _panels = new AlignedBuffer((long)Panels * _panelBytes);
        _scales = [.. Enumerable.Range(0, Rows).Select(matrix.ScaleOf)];
        team.Run(new Packing(this, matrix) { Items = Panels });
        matrix.LetGo();
    }

    public override long MemoryBytes => _panels.Length;

    /// <summary>Bytes of a panel of so many columns.</summary>
    internal static long PanelBytes(long columns) => columns / PanelShape.BlockColumns * TCodes.Bytes;

    public override void DecodeRow(int row, Span<float> destination)
    {
        ReadOnlySpan<byte> panel = Panel(row / PanelRows);
        for (int block = 0; block < Columns / PanelShape.BlockColumns; block++)
        {
            PanelKernel<TCodes, NoScale>.Decode(panel, block, row % PanelRows, destination.Slice(block * PanelShape.BlockColumns, PanelShape.BlockColumns));
        }

        TensorPrimitives.Multiply(destination, _scales[row], destination);
        GC.KeepAlive(this); // the span does not keep the native memory: its owner must outlive the loop
    }

    private protected override ReadOnlySpan<byte> Expand(int panel, KernelScratch scratch) => default;

    private protected override void MultiplyTile(int panel, ReadOnlySpan<byte> expanded, ReadOnlySpan<float> tile, int tokens, Span<float> y, int stride) =>
        PanelKernel<TCodes, NoScale>.Multiply(Panel(panel), tile, tokens, y, stride);

    private protected override void Scale(int firstRow, Span<float> outputs) => TensorPrimitives.Multiply(outputs, _scales.AsSpan(firstRow, outputs.Length), outputs);

    private void PackRow(PlainMatrix matrix, int row, Span<byte> codes)
    {
        matrix.ReadCodes(row, codes);
        Span<byte> panel = Panel(row / PanelRows);
        ReadOnlySpan<uint> words = MemoryMarshal.Cast<byte, uint>(codes);
        for (int block = 0; block < Columns / PanelShape.BlockColumns; block++)
        {
            TCodes.Write(ref panel[(block * TCodes.Bytes) + (row % PanelRows * sizeof(uint))], words.Slice(8 * block, 8));
        }
    }

    private Span<byte> Panel(int panel) => _panels.Slice<byte>((long)panel * _panelBytes, _panelBytes);

    protected override void Dispose(bool disposing)
    {
        _panels.Dispose();
        base.Dispose(disposing);
    }

    private sealed class Packing(PlainPanels<TCodes> target, PlainMatrix matrix) : SharedWork
    {
        public override void Do(int item, int worker)
        {
            byte[] codes = new byte[matrix.Columns];
            for (int row = item * PanelShape.Rows; row < Math.Min((item + 1) * PanelShape.Rows, matrix.Rows); row++)
            {
                target.PackRow(matrix, row, codes);
            }
        }
    }
}
