// A way to store a matrix in safetensors as codes with their scales beside them. Knows no files: its parts are named by suffixes.
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats.Plain;

/// <summary>One tensor of a stored matrix.</summary>
/// <param name="Suffix">What follows the matrix's name: empty for the codes, <c>_scale</c>, <c>_zero_point</c> …</param>
/// <param name="DType">The element type as safetensors spells it: <c>I8</c>, <c>U8</c>, <c>F32</c>, <c>F8_E4M3</c>, <c>F8_E5M2</c>.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Bytes">Its elements, little-endian.</param>
public sealed record StoredPart(string Suffix, string DType, IReadOnlyList<long> Shape, byte[] Bytes);

/// <summary>What a format keeps in a tensor, before there is one.</summary>
/// <param name="Suffix">What follows the matrix's name.</param>
/// <param name="DType">The element type.</param>
/// <param name="Shape">The shape.</param>
public sealed record PartLayout(string Suffix, string DType, IReadOnlyList<long> Shape)
{
    /// <summary>Number of elements.</summary>
    public long Elements => Shape.Aggregate(1L, (product, size) => checked(product * size));

    /// <summary>Bytes of all elements.</summary>
    public long Bytes => checked(Elements * (DType == "F32" ? sizeof(float) : sizeof(byte)));
}

/// <summary>Reads bytes of a part.</summary>
/// <param name="offset">The first, from the beginning of the part.</param>
/// <param name="count">How many.</param>
public delegate ReadOnlySpan<byte> PartReader(long offset, int count);

/// <summary>A part where it lies.</summary>
/// <param name="DType">The element type.</param>
/// <param name="Bytes">How long it is.</param>
/// <param name="Read">Reads it, from several threads.</param>
public sealed record PlainPart(string DType, long Bytes, PartReader Read)
{
    /// <summary>A part in a mapped file.</summary>
    public PlainPart(string dtype, MappedRange range)
        : this(dtype, range.Length, range.Read) => LetGo = range.LetGo;

    /// <summary>A part in memory.</summary>
    public static PlainPart Of(StoredPart part) => new(part.DType, part.Bytes.Length, (offset, count) => part.Bytes.AsSpan((int)offset, count));

    /// <summary>Lets go of the file's pages, where there are any.</summary>
    internal Action? LetGo { get; }
}

/// <summary>A stored format of Kidogo's safetensors that is no GGUF block: docs/decisions/2026-11-22-plain-formats-in-safetensors.md is its
/// specification.</summary>
public abstract class PlainFormat
{
    private const float LargestWeight = 1e37f; // beyond it, products of codes and scales can overflow

    private protected PlainFormat(string name) => Name = name;

    /// <summary>The name that metadata gives it: <c>int8-row</c>.</summary>
    public string Name { get; }

    /// <summary>How integer kernels can hold the codes.</summary>
    internal virtual IntegerCodes Integers => IntegerCodes.None;

    /// <summary>Encodes a matrix.</summary>
    /// <param name="weights">[rows, columns]</param>
    /// <param name="rows">1 or more.</param>
    /// <param name="columns">1 or more.</param>
    /// <exception cref="ArgumentException">Lengths do not belong together.</exception>
    /// <exception cref="WeightEncodingException">A weight is not finite, or its magnitude is above 1e37.</exception>
    public IReadOnlyList<StoredPart> Encode(ReadOnlySpan<float> weights, int rows, int columns)
    {
        CheckLength(weights.Length, rows, columns);
        int refused = Encoding.RowChecks.FirstNotFinite(weights, out float largest);
        if (refused < 0 && largest > LargestWeight)
        {
            refused = Encoding.RowChecks.IndexOfLargest(weights);
        }

        return refused < 0
            ? EncodeFinite(weights, rows, columns)
            : throw new WeightEncodingException(Name, refused / columns, refused % columns, weights[refused]);
    }

    /// <summary>The tensors that a matrix becomes, the codes first.</summary>
    /// <param name="rows">1 or more.</param>
    /// <param name="columns">1 or more.</param>
    public abstract IReadOnlyList<PartLayout> Layout(int rows, int columns);

    /// <summary>Looks whether the parts of a matrix are there, with their types and lengths. Reads none.</summary>
    /// <param name="parts">The parts by suffix.</param>
    /// <param name="rows">1 or more.</param>
    /// <param name="columns">1 or more.</param>
    /// <exception cref="InvalidDataException">A part is missing, of another type or of another length than the format has.</exception>
    public void Check(IReadOnlyDictionary<string, PlainPart> parts, int rows, int columns)
    {
        foreach (PartLayout layout in Layout(rows, columns))
        {
            if (!parts.TryGetValue(layout.Suffix, out PlainPart? part))
            {
                throw new InvalidDataException($"A matrix stored as {Name} has no tensor \"…{layout.Suffix}\" beside it. The file is incomplete.");
            }

            if (part.DType != layout.DType || part.Bytes != layout.Bytes)
            {
                throw new InvalidDataException($"The tensor \"…{layout.Suffix}\" of a matrix stored as {Name} has {part.Bytes} bytes of {part.DType}; "
                    + $"{layout.Bytes} of {layout.DType} were expected, for {layout.Elements} elements.");
            }
        }
    }

    /// <summary>Opens a matrix: scales are read and looked at, codes are read row by row.</summary>
    /// <param name="parts">The parts by suffix. They may come from a stranger.</param>
    /// <param name="rows">1 or more.</param>
    /// <param name="columns">1 or more.</param>
    /// <exception cref="InvalidDataException">A part is missing, of another type or length than the format has, or holds numbers that are no scales.</exception>
    public PlainRows Open(IReadOnlyDictionary<string, PlainPart> parts, int rows, int columns)
    {
        Check(parts, rows, columns);
        return OpenParts(parts, rows, columns);
    }

    /// <summary>Decodes a matrix.</summary>
    /// <param name="parts">The parts by suffix. They may come from a stranger.</param>
    /// <param name="rows">1 or more.</param>
    /// <param name="columns">1 or more.</param>
    /// <param name="weights">[rows, columns]</param>
    /// <exception cref="ArgumentException">Lengths do not belong together.</exception>
    /// <exception cref="InvalidDataException">As <see cref="Open"/>.</exception>
    public void Decode(IReadOnlyDictionary<string, StoredPart> parts, int rows, int columns, Span<float> weights)
    {
        CheckLength(weights.Length, rows, columns);
        PlainRows opened = Open(parts.ToDictionary(part => part.Key, part => PlainPart.Of(part.Value), StringComparer.Ordinal), rows, columns);
        for (int row = 0; row < rows; row++)
        {
            opened.Decode(row, weights.Slice(row * columns, columns));
        }
    }

    /// <inheritdoc/>
    public override string ToString() => Name;

    /// <summary>Encodes what was checked.</summary>
    private protected abstract IReadOnlyList<StoredPart> EncodeFinite(ReadOnlySpan<float> weights, int rows, int columns);

    /// <summary>Opens parts that are there with their types and lengths.</summary>
    private protected abstract PlainRows OpenParts(IReadOnlyDictionary<string, PlainPart> parts, int rows, int columns);

    /// <summary>A part of values of one type.</summary>
    private protected static StoredPart Part<T>(string suffix, string dtype, ReadOnlySpan<T> values, params long[] shape)
        where T : unmanaged => new(suffix, dtype, shape, MemoryMarshal.AsBytes(values).ToArray());

    /// <summary>All bytes of a part of some length.</summary>
    private protected static byte[] Whole(PlainPart part) => part.Read(0, checked((int)part.Bytes)).ToArray();

    /// <summary>Numbers that stay finite when codes are multiplied with them.</summary>
    /// <param name="parts">The parts.</param>
    /// <param name="suffix">Which holds them.</param>
    /// <param name="largestCode">The largest magnitude that they are multiplied with.</param>
    private protected float[] Numbers(IReadOnlyDictionary<string, PlainPart> parts, string suffix, float largestCode)
    {
        float[] numbers = MemoryMarshal.Cast<byte, float>(Whole(parts[suffix])).ToArray();
        int bad = Array.FindIndex(numbers, number => !float.IsFinite(number * largestCode));
        return bad < 0
            ? numbers
            : throw new InvalidDataException($"The tensor \"…{suffix}\" of a matrix stored as {Name} has {numbers[bad]} at index {bad}; expected numbers that stay finite times {largestCode}. The file is damaged.");
    }

    private static void CheckLength(int length, int rows, int columns)
    {
        if (rows < 1 || columns < 1 || (long)rows * columns != length)
        {
            throw new ArgumentException($"{length} weights are no matrix of {rows} rows and {columns} columns.");
        }
    }
}

/// <summary>The rows of an opened matrix. Several threads may ask at once.</summary>
public abstract class PlainRows
{
    /// <summary>Decodes a row.</summary>
    /// <param name="row">Which.</param>
    /// <param name="weights">[columns]</param>
    public abstract void Decode(int row, Span<float> weights);

    /// <summary>The codes of a row as <see cref="PlainFormat.Integers"/> says, a byte each.</summary>
    internal virtual void ReadCodes(int row, Span<byte> codes) => throw new NotSupportedException();

    /// <summary>What the whole numbers of a row are multiplied with.</summary>
    internal virtual float ScaleOf(int row) => throw new NotSupportedException();
}

/// <summary>Codes that are whole numbers around a center.</summary>
internal enum IntegerCodes
{
    /// <summary>They are not.</summary>
    None,

    /// <summary>Bytes around 128.</summary>
    Bytes,

    /// <summary>0, 1 and 2, around 1.</summary>
    Trits,

    /// <summary>0 and 2, around 1.</summary>
    Signs,
}
