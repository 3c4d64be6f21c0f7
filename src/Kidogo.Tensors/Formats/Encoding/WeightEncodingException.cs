// What an encoder says about weights that no format can hold. Knows no tensor names and no files.
namespace Kidogo.Tensors.Formats;

/// <summary>A weight is not finite, or too large for the format: encoding it would make a file that computes infinities.</summary>
public sealed class WeightEncodingException : Exception
{
    /// <summary>Says which weight cannot be encoded.</summary>
    /// <param name="format">The format's name.</param>
    /// <param name="row">The row, from 0.</param>
    /// <param name="column">The weight's place in the row, from 0.</param>
    /// <param name="weight">The weight.</param>
    public WeightEncodingException(string format, long row, int column, float weight)
        : base(float.IsFinite(weight)
            ? $"Weight {weight} at row {row}, column {column} is too large for {format}: its block would decode to infinities. Scale the tensor down, or keep it in F32."
            : $"Weight {weight} at row {row}, column {column} is not finite, so it cannot be stored as {format}. The tensor was damaged before it came here.")
    {
        Format = format;
        Row = row;
        Column = column;
        Weight = weight;
    }

    /// <summary>The name of the format that was asked for.</summary>
    public string Format { get; }

    /// <summary>The row, from 0. One row alone is row 0.</summary>
    public long Row { get; }

    /// <summary>The weight's place in the row, from 0.</summary>
    public int Column { get; }

    /// <summary>The weight.</summary>
    public float Weight { get; }
}
