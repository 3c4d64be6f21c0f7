// 4-bit weights in memory, 16 rows side by side. Knows no files beyond the rows it is packed from.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>Q4_0 or Q4_1 in the layout of <see cref="NibbleKernel"/>; as large as in the file.</summary>
internal sealed class PackedNibbles<TForm> : PackedPanelWeight
    where TForm : struct, INibbleForm
{
    private readonly AlignedBuffer _panels;
    private readonly int _panelBytes;

    /// <summary>Copies the rows of <paramref name="stored"/> into panels.</summary>
    /// <exception cref="InvalidDataException">A float16 is infinite or no number.</exception>
    public PackedNibbles(StoredMatrix stored, WorkerTeam team)
        : base(stored.Format, stored.Rows, stored.Columns)
    {
        int blocks = stored.Columns / NibbleKernel.BlockColumns;
        _panelBytes = blocks * NibbleKernel.BlockBytes<TForm>();
        _panels = new AlignedBuffer((long)Panels * _panelBytes);
        PanelPacking.Run(stored, team, PanelRows, PackRow);
    }

    public override long MemoryBytes => _panels.Length;

    internal override ActivationForm Activations => ActivationForm.Int8;

    internal override int PanelRows => NibbleKernel.PanelRows;

    private static int ScaleBytes => TForm.HasMinimum ? 4 : 2;

    public override void DecodeRow(int row, Span<float> destination)
    {
        Span<byte> block = stackalloc byte[20];
        ReadOnlySpan<byte> panel = _panels.Slice<byte>((long)(row / PanelRows) * _panelBytes, _panelBytes);
        int r = row % PanelRows;
        for (int b = 0; b < Columns / NibbleKernel.BlockColumns; b++)
        {
            ReadOnlySpan<byte> packed = panel[(b * NibbleKernel.BlockBytes<TForm>())..];
            packed.Slice(2 * r, 2).CopyTo(block);
            if (TForm.HasMinimum)
            {
                packed.Slice((2 * PanelRows) + (2 * r), 2).CopyTo(block[2..]);
            }

            for (int group = 0; group < 4; group++)
            {
                packed.Slice((ScaleBytes * PanelRows) + (64 * group) + (4 * r), 4).CopyTo(block[(ScaleBytes + (4 * group))..]);
            }

            Format.Decode(block[..Format.BlockBytes], destination.Slice(b * NibbleKernel.BlockColumns, NibbleKernel.BlockColumns));
        }

        GC.KeepAlive(this); // the span does not keep the native memory: its owner must outlive the loop
    }

    private protected override void MultiplyTile(int panel, ReadOnlySpan<float> tile, int tokens, Span<float> y, int stride) =>
        NibbleKernel.Multiply<TForm>(_panels.Slice<byte>((long)panel * _panelBytes, _panelBytes), tile, tokens, y, stride);

    // A stored block is scale, (minimum,) 16 bytes with code j low and code j + 16 high: four bytes of it are one row's lane of a group as they are.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void PackRow(ReadOnlySpan<byte> source, int row)
    {
        int blocks = Columns / NibbleKernel.BlockColumns;
        int r = row % PanelRows;
        ref byte from = ref MemoryMarshal.GetReference(source[..(blocks * Format.BlockBytes)]);
        ref byte to = ref MemoryMarshal.GetReference(_panels.Slice<byte>((long)(row / PanelRows) * _panelBytes, _panelBytes));
        int largest = 0;
        for (int b = 0; b < blocks; b++)
        {
            ushort scale = Unsafe.ReadUnaligned<ushort>(ref from);
            largest = Math.Max(largest, scale & PackedScale.Magnitude);
            Unsafe.WriteUnaligned(ref Unsafe.Add(ref to, 2 * r), scale);
            if (TForm.HasMinimum)
            {
                ushort minimum = Unsafe.ReadUnaligned<ushort>(ref Unsafe.Add(ref from, 2));
                largest = Math.Max(largest, minimum & PackedScale.Magnitude);
                Unsafe.WriteUnaligned(ref Unsafe.Add(ref to, (2 * NibbleKernel.PanelRows) + (2 * r)), minimum);
            }

            ref byte codes = ref Unsafe.Add(ref from, TForm.HasMinimum ? 4 : 2);
            ref byte lanes = ref Unsafe.Add(ref to, ((TForm.HasMinimum ? 4 : 2) * NibbleKernel.PanelRows) + (4 * r));
            for (int group = 0; group < 4; group++)
            {
                Unsafe.WriteUnaligned(ref Unsafe.Add(ref lanes, 64 * group), Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref codes, 4 * group)));
            }

            from = ref Unsafe.Add(ref codes, 16);
            to = ref Unsafe.Add(ref to, NibbleKernel.BlockBytes<TForm>());
        }

        PackedScale.Check(largest, Format, row);
    }

    protected override void Dispose(bool disposing)
    {
        _panels.Dispose();
        base.Dispose(disposing);
    }
}
