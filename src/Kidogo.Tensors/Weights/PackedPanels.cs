// Block-quantised weights in memory, 16 rows side by side. Knows no files beyond the rows it is packed from.
using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>A block format in the layout of <see cref="PanelKernel{TCodes, TScales}"/>: exactly the file's weights, as their codes in another order (those of codebooks spelled out).</summary>
/// <typeparam name="TBlock">The format's block as stored.</typeparam>
/// <typeparam name="TSource">Takes it apart.</typeparam>
/// <typeparam name="TCodes">How the codes lie in a panel.</typeparam>
/// <typeparam name="TScales">How the scales do.</typeparam>
internal sealed class PackedPanels<TBlock, TSource, TCodes, TScales> : PackedPanelWeight
    where TBlock : unmanaged
    where TSource : struct, IPanelSource<TBlock>
    where TCodes : struct, ICodeLayout
    where TScales : struct, IScaleLayout
{
    private readonly AlignedBuffer _panels;
    private readonly int _panelBytes;
    private readonly float _scale; // of the whole matrix: multiplied with the outputs, and with rows after they are decoded, as in the file

    /// <summary>Copies the rows of <paramref name="stored"/> into panels.</summary>
    /// <exception cref="InvalidDataException">A float16 is infinite or no number.</exception>
    public PackedPanels(StoredMatrix stored, WorkerTeam team)
        : base(stored.Format, stored.Rows, stored.Columns, scalesOutputs: stored.Scale != 1)
    {
        _scale = stored.Scale;
        _panelBytes = checked((int)PanelBytes(stored.Columns));
        _panels = new AlignedBuffer((long)Panels * _panelBytes);
        PanelPacking.Run(stored, team, PanelRows, PackRow);
    }

    public override long MemoryBytes => _panels.Length;

    /// <summary>Bytes of a panel of so many columns.</summary>
    internal static long PanelBytes(long columns) => columns / PanelKernel<TCodes, TScales>.SuperColumns * PanelKernel<TCodes, TScales>.SuperBytes;

    public override void DecodeRow(int row, Span<float> destination)
    {
        ReadOnlySpan<byte> panel = Panel(row / PanelRows);
        for (int block = 0; block < Columns / PanelShape.BlockColumns; block++)
        {
            PanelKernel<TCodes, TScales>.Decode(panel, block, row % PanelRows, destination.Slice(block * PanelShape.BlockColumns, PanelShape.BlockColumns));
        }

        Scale(row, destination);
        GC.KeepAlive(this); // the span does not keep the native memory: its owner must outlive the loop
    }

    private protected override void Scale(int firstRow, Span<float> outputs)
    {
        if (_scale != 1)
        {
            TensorPrimitives.Multiply(outputs, _scale, outputs);
        }
    }

    private protected override ReadOnlySpan<byte> Expand(int panel, KernelScratch scratch)
    {
        if (!PanelKernel<TCodes, TScales>.Expands)
        {
            return default;
        }

        int bytes = PanelKernel<TCodes, TScales>.ExpandedBytes(_panelBytes);
        Span<byte> expanded = MemoryMarshal.AsBytes(scratch.Panel(bytes / sizeof(float)));
        PanelKernel<TCodes, TScales>.Expand(Panel(panel), expanded);
        return expanded;
    }

    private protected override void MultiplyTile(int panel, ReadOnlySpan<byte> expanded, ReadOnlySpan<float> tile, int tokens, Span<float> y, int stride)
    {
        if (expanded.IsEmpty)
        {
            PanelKernel<TCodes, TScales>.Multiply(Panel(panel), tile, tokens, y, stride);
        }
        else
        {
            PanelKernel<EightBits, TScales>.Multiply(expanded, tile, tokens, y, stride);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void PackRow(ReadOnlySpan<byte> source, int row)
    {
        ReadOnlySpan<TBlock> blocks = MemoryMarshal.Cast<byte, TBlock>(source);
        Span<byte> panel = Panel(row / PanelRows);
        int r = row % PanelRows;
        ref byte to = ref MemoryMarshal.GetReference(panel[..(blocks.Length * PanelKernel<TCodes, TScales>.SuperBytes)]);
        Span<uint> words = stackalloc uint[8];
        int largest = 0;
        for (int i = 0; i < blocks.Length; i++)
        {
            ref readonly TBlock block = ref blocks[i];
            for (int number = 0; number < TScales.Numbers; number++)
            {
                Half value = TSource.Number(in block, number);
                largest = Math.Max(largest, BitConverter.HalfToUInt16Bits(value) & PackedScale.Magnitude);
                ref byte place = ref Unsafe.Add(ref to, ((number * PanelRows) + r) * TScales.NumberBytes);
                if (TScales.NumberBytes == sizeof(float))
                {
                    Unsafe.WriteUnaligned(ref place, (float)value * TSource.Unit(number));
                }
                else
                {
                    Unsafe.WriteUnaligned(ref place, value);
                }
            }

            to = ref Unsafe.Add(ref to, PanelKernel<TCodes, TScales>.HeaderBytes);
            for (int group = 0; group < TScales.SuperBlocks; group++)
            {
                for (int part = 0; part < TScales.Parts; part++)
                {
                    Unsafe.Add(ref to, (part * ScaleParts.PartBytes) + r) = TSource.Part(in block, group, part);
                }

                TSource.Codes(in block, group, words);
                TCodes.Write(ref Unsafe.Add(ref to, PanelKernel<TCodes, TScales>.PartsBytes + (4 * r)), words);
                to = ref Unsafe.Add(ref to, PanelKernel<TCodes, TScales>.BlockBytes);
            }
        }

        PackedScale.Check(largest, Format, row);
    }

    private Span<byte> Panel(int panel) => _panels.Slice<byte>((long)panel * _panelBytes, _panelBytes);

    protected override void Dispose(bool disposing)
    {
        _panels.Dispose();
        base.Dispose(disposing);
    }
}
