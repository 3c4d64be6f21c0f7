// From a matrix on its way to the tensors that a plain format makes of it. Knows no names of files.
using System.Numerics.Tensors;
using Kidogo.Models.Files;
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Formats.Plain;

namespace Kidogo.Models.Export;

/// <summary>A matrix that is written as codes with scales beside them.</summary>
/// <remarks>
/// A file holds all wide tensors before all narrow ones, so scales are written long before the codes that were found with them. The codes are found a second time then: what is kept in between is small.
/// </remarks>
/// <param name="tensor">The matrix.</param>
/// <param name="name">Its name in the file.</param>
/// <param name="format">How it is stored.</param>
/// <param name="request">How; gets what is measured. Importance, encoders and threads have no meaning here.</param>
internal sealed class PlainEncoding(ModelTensor tensor, string name, PlainFormat format, EncodingRequest request)
{
    private readonly Dictionary<string, byte[]> _small = new(StringComparer.Ordinal);

    /// <summary>Bytes of all parts.</summary>
    public long Bytes => format.Layout(tensor.Rows, tensor.Columns).Sum(part => part.Bytes);

    /// <summary>The outcome, once all is written.</summary>
    public TensorOutcome Outcome => new(tensor.Name, tensor.Format.Name, format.Name, tensor.Elements, Bytes, request.RelativeError);

    /// <summary>What the file's metadata says of it.</summary>
    public IEnumerable<KeyValuePair<string, string>> Metadata =>
    [
        new(PlainTensor.FormatPrefix + name, format.Name),
        new(PlainTensor.ShapePrefix + name, FormattableString.Invariant($"{tensor.Rows},{tensor.Columns}")),
    ];

    /// <summary>The tensors that are written.</summary>
    public IEnumerable<TensorToWrite> Prepare() => format.Layout(tensor.Rows, tensor.Columns).Select(part => new TensorToWrite(name + part.Suffix, part.Shape, part.DType, part.Bytes, stream =>
    {
        byte[] bytes = Take(part.Suffix);
        stream.Write(bytes);
        request.Advanced?.Invoke(bytes.Length);
    }));

    private byte[] Take(string suffix)
    {
        if (_small.Remove(suffix, out byte[]? kept))
        {
            return kept;
        }

        float[] weights = tensor.ReadFloats();
        IReadOnlyList<StoredPart> parts;
        try
        {
            parts = format.Encode(weights, tensor.Rows, tensor.Columns);
        }
        catch (WeightEncodingException failure)
        {
            throw TensorEncoding.Refused(tensor, format.Name, failure.Row, failure);
        }

        byte[] wanted = [];
        foreach (StoredPart part in parts)
        {
            if (part.Suffix == suffix)
            {
                wanted = part.Bytes;
            }
            else if (part.Suffix.Length > 0)
            {
                _small[part.Suffix] = part.Bytes;
            }
        }

        if (suffix.Length == 0 && request.MeasuresError)
        {
            float[] again = new float[weights.Length];
            format.Decode(parts.ToDictionary(part => part.Suffix), tensor.Rows, tensor.Columns, again);
            for (int row = 0; row < tensor.Rows; row++)
            {
                Span<float> own = again.AsSpan(row * tensor.Columns, tensor.Columns);
                ReadOnlySpan<float> was = weights.AsSpan(row * tensor.Columns, tensor.Columns);
                TensorPrimitives.Subtract(own, was, own);
                request.SquaredWeights += TensorPrimitives.SumOfSquares(was);
                request.SquaredErrors += TensorPrimitives.SumOfSquares<float>(own);
            }
        }

        return wanted;
    }
}
