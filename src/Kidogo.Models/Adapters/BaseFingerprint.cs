// What a base is known by in whatever format it is stored. Knows no files.
using System.Buffers.Binary;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Kidogo.Models.Families;
using Kidogo.Models.Layers;

namespace Kidogo.Models.Adapters;

/// <summary>Sums over a model's weights with fixed signs: those of norms, which every format keeps as they are, and those of some rows of matrices, which rounding to four bits moves a little and training a lot.</summary>
/// <remarks>
/// A hash of the files would tell a model from its own quantised form, over which its adapters are meant to run. Rows are of projections that are the same in GGUF and Hugging Face files: values and the
/// feed-forward's last. Of two unrelated models the sums of rows have a cosine near 0, of a model and its 4-bit form above 0.99.
/// </remarks>
public sealed class BaseFingerprint
{
    private const double NormTolerance = 2e-3; // of the largest sum: rounding norms to bfloat16 stays below, and two steps of training do not
    private const double LeastCosine = 0.7; // two bits a weight leave more
    private const int MostValues = 4096;

    private readonly float[] _norms;
    private readonly float[] _rows;

    private BaseFingerprint(float[] norms, float[] rows) => (_norms, _rows) = (norms, rows);

    /// <summary>That of a model.</summary>
    public static BaseFingerprint Of(DecoderModel model)
    {
        const int Sums = 512, FewestRows = 4, MostRows = 32;
        List<float> norms = [], rows = [];
        int rowsOfSlot = Math.Clamp(Sums / (2 * model.Config.NumLayers), FewestRows, MostRows);
        float offset = model.Config.Norm.UnitOffset ? 1 : 0;
        foreach (Layer layer in model.Slots())
        {
            bool isOfHeads = layer.Name.EndsWith("attn_q_norm", StringComparison.Ordinal) || layer.Name.EndsWith("attn_k_norm", StringComparison.Ordinal); // files order these differently
            if (layer is RmsNorm rms && !isOfHeads && norms.Count < MostValues)
            {
                norms.Add(Signed(rms.Weight.Span, 0, offset) / rms.Weight.Length);
            }
            else if (layer is LayerNorm centred && norms.Count < MostValues)
            {
                norms.Add(Signed(centred.Weight.Span, 0, offset) / centred.Weight.Length);
            }
            else if (layer is Linear linear && CanonicalNames.TrySplitLayer($"{layer.Name}.", out _, out string rest) && rest is "attn_v." or "ffn_down.")
            {
                float[] values = new float[linear.Weight.Columns];
                for (int row = 0; row < Math.Min(rowsOfSlot, linear.Weight.Rows) && rows.Count < MostValues; row++)
                {
                    linear.Weight.DecodeRow(row, values);
                    rows.Add(Signed(values, row, 0));
                }
            }
        }

        return new BaseFingerprint([.. norms], [.. rows]);
    }

    /// <summary>What was written by <see cref="ToString"/>; null where it is none.</summary>
    public static BaseFingerprint? Parse(string text)
    {
        const int MostText = 64 * 1024;
        byte[] bytes = new byte[Math.Min(text.Length, MostText)];
        if (text.Length > MostText || !Convert.TryFromBase64String(text, bytes, out int count) || count < sizeof(int) || count % sizeof(float) != 0)
        {
            return null;
        }

        int norms = BinaryPrimitives.ReadInt32LittleEndian(bytes);
        float[] values = MemoryMarshal.Cast<byte, float>(bytes.AsSpan(sizeof(int), count - sizeof(int))).ToArray();
        return norms >= 0 && norms <= values.Length && Array.TrueForAll(values, float.IsFinite) ? new BaseFingerprint(values[..norms], values[norms..]) : null;
    }

    /// <summary>In Base64.</summary>
    public override string ToString()
    {
        byte[] bytes = new byte[sizeof(int) + (sizeof(float) * (_norms.Length + _rows.Length))];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, _norms.Length);
        MemoryMarshal.AsBytes(_norms.AsSpan()).CopyTo(bytes.AsSpan(sizeof(int)));
        MemoryMarshal.AsBytes(_rows.AsSpan()).CopyTo(bytes.AsSpan(sizeof(int) + (sizeof(float) * _norms.Length)));
        return Convert.ToBase64String(bytes);
    }

    /// <summary>What tells another model from this one; null where they are the same, perhaps in another format.</summary>
    public string? DifferenceFrom(BaseFingerprint other)
    {
        if (_norms.Length != other._norms.Length || _rows.Length != other._rows.Length)
        {
            return $"it has {other._norms.Length} norms, where {_norms.Length} were expected";
        }

        double apart = 0, size = 0;
        for (int i = 0; i < _norms.Length; i++)
        {
            apart = Math.Max(apart, Math.Abs((double)_norms[i] - other._norms[i]));
            size = Math.Max(size, Math.Max(Math.Abs(_norms[i]), Math.Abs(other._norms[i])));
        }

        if (apart > NormTolerance * Math.Max(size, 1e-3))
        {
            return "the weights of its norms are others";
        }

        double cosine = _rows.Length == 0 ? 1 : TensorPrimitives.CosineSimilarity(_rows, other._rows);
        return cosine >= LeastCosine || (!_rows.AsSpan().ContainsAnyExcept(0f) && !other._rows.AsSpan().ContainsAnyExcept(0f)) ? null : string.Create(System.Globalization.CultureInfo.InvariantCulture, $"its matrices are others (their sums have a cosine of {cosine:0.00})");
    }

    /// <summary>Σ ± x, the signs drawn from the place.</summary>
    private static float Signed(ReadOnlySpan<float> values, int row, float offset)
    {
        double sum = 0;
        for (int i = 0; i < values.Length; i++)
        {
            uint mixed = unchecked(((uint)i * 2654435761u) ^ ((uint)(row + 1) * 2246822519u)); // Knuth's multiplicative hash, and a prime of xxHash
            mixed = unchecked((mixed ^ (mixed >> 15)) * 2246822519u);
            sum += (mixed >> 31) == 0 ? values[i] + offset : -(values[i] + offset);
        }

        return (float)sum;
    }
}
