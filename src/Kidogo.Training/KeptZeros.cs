// Weights that are zero and stay so while all others are trained: a pruned model stays pruned. Knows no optimiser.
using System.Numerics;
using Kidogo.Models;
using Kidogo.Models.Families;
using Kidogo.Tensors;

namespace Kidogo.Training;

/// <summary>A bit for each weight of the matrices inside layers. Where it is set, neither gradients nor updates count, whatever the optimiser does.</summary>
/// <remarks>Zeros are found anew when a run goes on from a checkpoint: they are zeros there too.</remarks>
internal sealed class KeptZeros
{
    private const int Bits = 64;
    private readonly List<(Tensor Values, ulong[] Zeros)> _matrices = [];

    /// <summary>Keeps the zeros that there are.</summary>
    /// <param name="parameters">All parameters of a model.</param>
    public KeptZeros(IEnumerable<ModelParameter> parameters)
    {
        foreach (Tensor values in parameters.Where(parameter => parameter.IsMatrix && CanonicalNames.TrySplitLayer(parameter.Name, out _, out _)).Select(parameter => parameter.Values))
        {
            ulong[] zeros = new ulong[(values.Length + Bits - 1) / Bits];
            ReadOnlySpan<float> all = values.Span;
            for (int i = 0; i < all.Length; i++)
            {
                zeros[i / Bits] |= all[i] == 0 ? 1UL << (i % Bits) : 0;
            }

            if (zeros.AsSpan().ContainsAnyExcept(0UL))
            {
                _matrices.Add((values, zeros));
            }
        }
    }

    /// <summary>Zeros that are kept.</summary>
    public long Count => _matrices.Sum(matrix => matrix.Zeros.Sum(word => (long)BitOperations.PopCount(word)));

    /// <summary>Takes their gradients away, so that these do not count in the norm that is clipped either.</summary>
    public void ClearGradients()
    {
        foreach ((Tensor values, ulong[] zeros) in _matrices)
        {
            if (values.Gradient is { } gradient)
            {
                Clear(gradient.Span, zeros);
            }
        }
    }

    /// <summary>Makes them zeros again.</summary>
    public void ClearValues() => _matrices.ForEach(matrix => Clear(matrix.Values.Span, matrix.Zeros));

    private static void Clear(Span<float> values, ulong[] zeros)
    {
        for (int word = 0; word < zeros.Length; word++)
        {
            for (ulong left = zeros[word]; left != 0; left &= left - 1)
            {
                values[(word * Bits) + BitOperations.TrailingZeroCount(left)] = 0;
            }
        }
    }
}
