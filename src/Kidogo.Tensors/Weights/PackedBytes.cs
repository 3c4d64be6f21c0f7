// 8-bit weights in memory, 16 rows side by side. Knows no files beyond the rows it is packed from.
using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>Q8_0 in the layout of <see cref="ByteKernel"/>; as large as in the file.</summary>
internal sealed class PackedBytes : PackedPanelWeight
{
    private const int StoredBlockBytes = 34;
    private const uint SignBits = 0x8080_8080;

    private readonly AlignedBuffer _panels;
    private readonly int _panelBytes;

    /// <summary>Copies the rows of <paramref name="stored"/> into panels.</summary>
    /// <exception cref="InvalidDataException">A float16 is infinite or no number.</exception>
    public PackedBytes(StoredMatrix stored, WorkerTeam team)
        : base(stored.Format, stored.Rows, stored.Columns)
    {
        _panelBytes = stored.Columns / ByteKernel.BlockColumns * ByteKernel.BlockBytes;
        _panels = new AlignedBuffer((long)Panels * _panelBytes);
        PanelPacking.Run(stored, team, PanelRows, PackRow);
    }

    public override long MemoryBytes => _panels.Length;

    internal override ActivationForm Activations => ActivationForm.Int8;

    internal override int PanelRows => ByteKernel.PanelRows;

    public override void DecodeRow(int row, Span<float> destination)
    {
        ReadOnlySpan<byte> panel = _panels.Slice<byte>((long)(row / PanelRows) * _panelBytes, _panelBytes);
        int r = row % PanelRows;
        for (int b = 0; b < Columns / ByteKernel.BlockColumns; b++)
        {
            ReadOnlySpan<byte> packed = panel[(b * ByteKernel.BlockBytes)..];
            float scale = (float)BinaryPrimitives.ReadHalfLittleEndian(packed[(2 * r)..]);
            for (int c = 0; c < ByteKernel.BlockColumns; c++)
            {
                destination[(b * ByteKernel.BlockColumns) + c] = (packed[(2 * PanelRows) + (c / 4 * 64) + (4 * r) + (c % 4)] - 128) * scale;
            }
        }

        GC.KeepAlive(this); // the span does not keep the native memory: its owner must outlive the loop
    }

    private protected override void MultiplyTile(int panel, ReadOnlySpan<float> tile, int tokens, Span<float> y, int stride) =>
        ByteKernel.Multiply(_panels.Slice<byte>((long)panel * _panelBytes, _panelBytes), tile, tokens, y, stride);

    // A stored block is a scale and 32 signed bytes. Flipping the sign bit of a two's complement byte adds 128.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void PackRow(ReadOnlySpan<byte> source, int row)
    {
        int blocks = Columns / ByteKernel.BlockColumns;
        int r = row % PanelRows;
        ref byte from = ref MemoryMarshal.GetReference(source[..(blocks * StoredBlockBytes)]);
        ref byte to = ref MemoryMarshal.GetReference(_panels.Slice<byte>((long)(row / PanelRows) * _panelBytes, _panelBytes));
        int largest = 0;
        for (int b = 0; b < blocks; b++)
        {
            ushort scale = Unsafe.ReadUnaligned<ushort>(ref from);
            largest = Math.Max(largest, scale & PackedScale.Magnitude);
            Unsafe.WriteUnaligned(ref Unsafe.Add(ref to, 2 * r), scale);
            ref byte lanes = ref Unsafe.Add(ref to, (2 * ByteKernel.PanelRows) + (4 * r));
            for (int group = 0; group < 8; group++)
            {
                Unsafe.WriteUnaligned(ref Unsafe.Add(ref lanes, 64 * group), Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref from, 2 + (4 * group))) ^ SignBits);
            }

            from = ref Unsafe.Add(ref from, StoredBlockBytes);
            to = ref Unsafe.Add(ref to, ByteKernel.BlockBytes);
        }

        PackedScale.Check(largest, Format, row);
    }

    protected override void Dispose(bool disposing)
    {
        _panels.Dispose();
        base.Dispose(disposing);
    }
}
