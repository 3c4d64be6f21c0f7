// The table of packed compute layouts: which stored format is computed in which form, and what that takes. Knows no models.
using System.Collections.Frozen;
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Formats.Plain;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>Chooses the form in which a stored matrix is computed.</summary>
internal static class PackedLayouts
{
    /// <summary>Layouts for activations of 8 bits, by the format's name.</summary>
    private static readonly FrozenDictionary<string, PackedLayout> s_layouts = new PackedLayout[]
    {
        new PackedLayout<Q4_0, Q4_0Source, CenteredNibbles, BlockScale<OneBlock, HalfNumber>>(),
        new PackedLayout<Q4_1, Q4_1Source, Nibbles, BlockScaleAndMinimum>(),
        new PackedLayout<Q5_0, Q5_0Source, FiveBits<Center16>, BlockScale<OneBlock, HalfNumber>>(),
        new PackedLayout<Q5_1, Q5_1Source, FiveBits<Center0>, BlockScaleAndMinimum>(),
        new PackedLayout<Q8_0, Q8_0Source, EightBits, BlockScale<OneBlock, HalfNumber>>(),
        new PackedLayout<Q2_K, Q2_KSource, TwoBits<Center0>, HalfBlockScalesAndMinima>(),
        new PackedLayout<Q3_K, Q3_KSource, ThreeBits, HalfBlockScales>(),
        new PackedLayout<Q4_K, Q4_KSource, Nibbles, GroupScaleAndMinimum>(),
        new PackedLayout<Q5_K, Q5_KSource, FiveBits<Center0>, GroupScaleAndMinimum>(),
        new PackedLayout<Q6_K, Q6_KSource, SixBits, HalfBlockScales>(),
        new PackedLayout<IQ2_XXS, IQ2_XXSSource, LevelCodes<ThreeBits, ThreeMagnitudes>, GroupScale>(),
        new PackedLayout<IQ2_XS, IQ2_XSSource, LevelCodes<ThreeBits, ThreeMagnitudes>, HalfBlockScales>(),
        new PackedLayout<IQ3_XXS, IQ3_XXSSource, LevelCodes<Nibbles, EightMagnitudes>, GroupScale>(),
        new PackedLayout<IQ1_S, IQ1_SSource, TwoBits<Center0>, GroupScaleAndMinimum>(),
        new PackedLayout<IQ4_NL, IQ4_NLSource, LevelCodes<Nibbles, UnevenLevels>, BlockScale<OneBlock, HalfNumber>>(),
        new PackedLayout<IQ3_S, IQ3_SSource, LevelCodes<Nibbles, OddMagnitudes>, GroupScale>(),
        new PackedLayout<IQ2_S, IQ2_SSource, LevelCodes<ThreeBits, ThreeMagnitudes>, HalfBlockScales>(),
        new PackedLayout<IQ4_XS, IQ4_XSSource, LevelCodes<Nibbles, UnevenLevels>, GroupScale>(),
        new PackedLayout<IQ1_M, IQ1_MSource, LevelCodes<ThreeBits, ShiftedTrits>, HalfBlockScales>(),
        new PackedLayout<TQ1_0, TQ1_0Source, TwoBits<Center1>, BlockScale<EightBlocks, FloatNumber>>(),
        new PackedLayout<TQ2_0, TQ2_0Source, TwoBits<Center1>, BlockScale<EightBlocks, FloatNumber>>(),
        new PackedLayout<MXFP4, MXFP4Source, LevelCodes<Nibbles, FourBitFloatLevels>, ExponentScale>(),
        new PackedLayout<NVFP4, NVFP4Source, LevelCodes<Nibbles, FourBitFloatLevels>, HalfBlockFloats>(),
        new PackedLayout<Q1_0, Q1_0Source, OneBit, BlockScale<FourBlocks, FloatNumber>>(),
        new PackedLayout<Q2_0, Q2_0Source, TwoBits<Center1>, BlockScale<TwoBlocks, FloatNumber>>(),
        new PackedLayout<SQ4_0, SQ4_0Source, SparseNibbles, BlockScale<TwoBlocks, HalfNumber>>(),
    }.ToFrozenDictionary(layout => layout.Format);

    /// <summary>Opens <paramref name="stored"/> in its packed layout, or as it is where its format has none.</summary>
    /// <remarks>Only the fast precision rounds activations, so only it may use a layout for 8-bit activations; floating-point layouts are exact and serve both.</remarks>
    public static Weight Open(StoredMatrix stored, ComputeContext context)
    {
        if (context.Precision == ComputePrecision.Fast && s_layouts.TryGetValue(stored.Format.Name, out PackedLayout? layout))
        {
            return layout.Open(stored, context.Team);
        }

        return stored.Scale != 1 ? new StoredWeight(stored) : stored.Format.Name switch // floating-point layouts hold a format's own values only
        {
            "F32" => new DenseWeight(stored, context.Team),
            "F16" => new PackedHalves<Float16Form>(stored, context.Team),
            "BF16" => new PackedHalves<BFloat16Form>(stored, context.Team),
            _ => new StoredWeight(stored),
        };
    }

    /// <summary>Opens a matrix of codes with scales beside them: as whole numbers where they are some, else as it is.</summary>
    public static Weight Open(PlainMatrix matrix, ComputeContext context) => KindOf(matrix.Format, matrix.Columns, context.Precision) switch
    {
        IntegerCodes.Bytes => new PlainPanels<EightBits>(matrix, context.Team),
        IntegerCodes.Trits => new PlainPanels<TwoBits<Center1>>(matrix, context.Team),
        IntegerCodes.Signs => new PlainPanels<OneBit>(matrix, context.Team),
        _ => new PlainWeight(matrix),
    };

    /// <summary>Bytes that this makes of a matrix in the fast precision, or the file's where it is computed from there.</summary>
    public static long BytesOf(PlainFormat format, int rows, int columns)
    {
        long panelBytes = KindOf(format, columns, ComputePrecision.Fast) switch
        {
            IntegerCodes.Bytes => PlainPanels<EightBits>.PanelBytes(columns),
            IntegerCodes.Trits => PlainPanels<TwoBits<Center1>>.PanelBytes(columns),
            IntegerCodes.Signs => PlainPanels<OneBit>.PanelBytes(columns),
            _ => 0,
        };
        return panelBytes == 0 ? format.Layout(rows, columns).Sum(part => part.Bytes) : checked(Panels(rows) * panelBytes);
    }

    private static long Panels(long rows) => (rows + PanelShape.Rows - 1) / PanelShape.Rows;

    private static IntegerCodes KindOf(PlainFormat format, int columns, ComputePrecision precision) =>
        precision == ComputePrecision.Fast && columns % PanelShape.BlockColumns == 0 ? format.Integers : IntegerCodes.None;

    /// <summary>Bytes that <see cref="Open(StoredMatrix, ComputeContext)"/> makes of a matrix in the fast precision, or the file's where it is computed from there.</summary>
    public static long BytesOf(WeightFormat format, long rows, long columns)
    {
        if (columns % format.BlockSize != 0)
        {
            return 0; // no matrix of this format: it is refused elsewhere
        }

        if (s_layouts.TryGetValue(format.Name, out PackedLayout? layout))
        {
            return checked(Panels(rows) * layout.PanelBytes(columns));
        }

        long panelRows = format.Name is "F32" or "F16" or "BF16" ? FloatKernel.PanelRows : 1;
        return checked((rows + panelRows - 1) / panelRows * panelRows * format.RowBytes(columns));
    }
}

/// <summary>How a block format is packed.</summary>
internal abstract class PackedLayout
{
    /// <summary>The format's name.</summary>
    public abstract string Format { get; }

    /// <summary>Packs a matrix.</summary>
    public abstract Weight Open(StoredMatrix stored, WorkerTeam team);

    /// <summary>Bytes of 16 rows of so many columns.</summary>
    public abstract long PanelBytes(long columns);
}

internal sealed class PackedLayout<TBlock, TSource, TCodes, TScales> : PackedLayout
    where TBlock : unmanaged, IWeightBlock<TBlock>
    where TSource : struct, IPanelSource<TBlock>
    where TCodes : struct, ICodeLayout
    where TScales : struct, IScaleLayout
{
    public override string Format => TBlock.Name;

    public override Weight Open(StoredMatrix stored, WorkerTeam team) => new PackedPanels<TBlock, TSource, TCodes, TScales>(stored, team);

    public override long PanelBytes(long columns) => PackedPanels<TBlock, TSource, TCodes, TScales>.PanelBytes(columns);
}
