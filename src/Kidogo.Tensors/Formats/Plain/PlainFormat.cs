// A way to store a matrix in safetensors as codes with their scales beside them. Knows no files: its parts are named by suffixes.
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats.Plain;

/// <summary>One tensor of a stored matrix.</summary>
/// <param name="Suffix">What follows the matrix's name: empty for the codes, <c>_scale</c>, <c>_zero_point</c> …</param>
/// <param name="DType">The element type as safetensors spells it: <c>I8</c>, <c>U8</c>, <c>F32</c>, <c>F8_E4M3</c>, <c>F8_E5M2</c>.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Bytes">Its elements, little-endian.</param>
public sealed record StoredPart(string Suffix, string DType, IReadOnlyList<long> Shape, byte[] Bytes);

/// <summary>A stored format of Kidogo's safetensors that is no GGUF block: docs/decisions/2026-11-22-plain-formats-in-safetensors.md is its
/// specification.</summary>
public abstract class PlainFormat
{
    private const float LargestWeight = 1e37f; // beyond it, products of codes and scales can overflow

    private protected PlainFormat(string name) => Name = name;

    /// <summary>The name that metadata gives it: <c>int8-row</c>.</summary>
    public string Name { get; }

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

    /// <summary>Decodes a matrix.</summary>
    /// <param name="parts">The parts by suffix. They may come from a stranger.</param>
    /// <param name="rows">1 or more.</param>
    /// <param name="columns">1 or more.</param>
    /// <param name="weights">[rows, columns]</param>
    /// <exception cref="ArgumentException">Lengths do not belong together.</exception>
    /// <exception cref="InvalidDataException">A part is missing, of another type or of another length than the format has.</exception>
    public void Decode(IReadOnlyDictionary<string, StoredPart> parts, int rows, int columns, Span<float> weights)
    {
        CheckLength(weights.Length, rows, columns);
        DecodeParts(parts, rows, columns, weights);
    }

    /// <inheritdoc/>
    public override string ToString() => Name;

    /// <summary>Encodes what was checked.</summary>
    private protected abstract IReadOnlyList<StoredPart> EncodeFinite(ReadOnlySpan<float> weights, int rows, int columns);

    /// <summary>Decodes into a destination of the right length.</summary>
    private protected abstract void DecodeParts(IReadOnlyDictionary<string, StoredPart> parts, int rows, int columns, Span<float> weights);

    /// <summary>A part of values of one type.</summary>
    private protected static StoredPart Part<T>(string suffix, string dtype, ReadOnlySpan<T> values, params long[] shape)
        where T : unmanaged => new(suffix, dtype, shape, MemoryMarshal.AsBytes(values).ToArray());

    /// <summary>The values of a part that must be there with so many elements.</summary>
    private protected ReadOnlySpan<T> Values<T>(IReadOnlyDictionary<string, StoredPart> parts, string suffix, string dtype, long count)
        where T : unmanaged
    {
        if (!parts.TryGetValue(suffix, out StoredPart? part))
        {
            throw new InvalidDataException($"A matrix stored as {Name} has no tensor \"…{suffix}\" beside it. The file is incomplete.");
        }

        ReadOnlySpan<T> values = MemoryMarshal.Cast<byte, T>(part.Bytes);
        return part.DType == dtype && values.Length == count
            ? values
            : throw new InvalidDataException($"The tensor \"…{suffix}\" of a matrix stored as {Name} has {values.Length} elements of {part.DType}; "
                + $"{count} of {dtype} were expected.");
    }

    private static void CheckLength(int length, int rows, int columns)
    {
        if (rows < 1 || columns < 1 || (long)rows * columns != length)
        {
            throw new ArgumentException($"{length} weights are no matrix of {rows} rows and {columns} columns.");
        }
    }
}
