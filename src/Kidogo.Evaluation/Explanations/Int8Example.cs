// A matrix to int8 and back, by the format that files have. Knows no files and no pictures.
using System.Runtime.InteropServices;
using Kidogo.Tensors.Formats.Plain;

namespace Kidogo.Evaluation.Explanations;

/// <summary>A matrix, its codes, what comes back, and the error.</summary>
/// <param name="Matrix">What was typed.</param>
/// <param name="Codes">[Rows, Columns] -127 to 127.</param>
/// <param name="Scales">One, or one for each row.</param>
/// <param name="Restored">[Rows, Columns] Code times scale.</param>
public sealed record Int8Example(TypedMatrix Matrix, sbyte[] Codes, float[] Scales, float[] Restored)
{
    /// <summary>The 4 x 4 that introductions show: its codes are 121 -54 83 2, 4 -11 -58 127, -6 77 1 -63 and 102 0 88 79.</summary>
    public static TypedMatrix BuiltIn { get; } = new(4, 4, [2.52f, -1.12f, 1.74f, 0.05f, 0.08f, -0.22f, -1.21f, 2.65f, -0.13f, 1.60f, 0.02f, -1.31f, 2.13f, -0.01f, 1.83f, 1.65f]);

    /// <summary>Restored minus original. [Rows, Columns]</summary>
    public float[] Errors { get; } = [.. Restored.Zip(Matrix.Values, (restored, value) => restored - value)];

    /// <summary>The largest magnitude of an error.</summary>
    public float LargestError => Errors.Max(Math.Abs);

    /// <summary>The root of the mean square error.</summary>
    public double RootMeanSquareError => Math.Sqrt(Errors.Average(error => (double)error * error));

    /// <summary>Half of the largest scale: no error is larger, but for the rounding of float32.</summary>
    public float HalfStep => Scales.Max() / 2;

    /// <summary>Bytes as float32.</summary>
    public int BytesBefore => sizeof(float) * Matrix.Values.Length;

    /// <summary>Bytes as codes with their scales.</summary>
    public int BytesAfter => Codes.Length + (sizeof(float) * Scales.Length);

    /// <summary>Works the example.</summary>
    /// <param name="matrix">The matrix.</param>
    /// <param name="perRow">Whether each row has a scale of its own, as <c>int8-row</c>, instead of one for all, as <c>int8-tensor</c>.</param>
    public static Int8Example Work(TypedMatrix matrix, bool perRow)
    {
        PlainFormat format = PlainFormats.ForName(perRow ? "int8-row" : "int8-tensor")!;
        Dictionary<string, StoredPart> parts = format.Encode(matrix.Values, matrix.Rows, matrix.Columns).ToDictionary(part => part.Suffix, StringComparer.Ordinal);
        float[] restored = new float[matrix.Values.Length];
        format.Decode(parts, matrix.Rows, matrix.Columns, restored);
        return new Int8Example(matrix, MemoryMarshal.Cast<byte, sbyte>(parts[""].Bytes).ToArray(), MemoryMarshal.Cast<byte, float>(parts["_scale"].Bytes).ToArray(), restored);
    }
}
