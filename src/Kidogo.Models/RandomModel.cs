// A decoder before its first step of training. Knows no files and no optimiser.
using Kidogo.Models.Families;
using Kidogo.Tensors;

namespace Kidogo.Models;

/// <summary>How the weights of a new model are drawn. All from normal distributions of mean 0; norms begin at a factor of 1, biases at 0.</summary>
public sealed record InitialWeights
{
    /// <summary>Standard deviation of the embeddings of tokens and positions, above 0. Default 0.02.</summary>
    public double EmbeddingDeviation { get; init; } = 0.02;

    /// <summary>Standard deviation of a matrix times the root of its inputs, above 0. Default 1.</summary>
    public double MatrixDeviation { get; init; } = 1;

    /// <summary>
    /// Whether the matrices whose results are added to the residual stream (of attention and feed-forward) are divided by √(2 · layers), so that the stream begins no wider at the end
    /// than at the start (Radford et al. 2019, section 2.3). Default true.
    /// </summary>
    public bool ScalesResiduals { get; init; } = true;
}

/// <summary>Makes models with random weights, ready to be trained.</summary>
public static class RandomModel
{
    /// <summary>A model whose weights depend on the seed, their names and places only: not on the machine's threads, nor on other weights.</summary>
    /// <param name="config">What the model does.</param>
    /// <param name="seed">Any number.</param>
    /// <param name="initial">How weights are drawn; null for the defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">A deviation is not above 0.</exception>
    public static DecoderModel Create(DecoderConfig config, ulong seed, InitialWeights? initial = null)
    {
        initial ??= new InitialWeights();
        if (!(initial.EmbeddingDeviation > 0) || !(initial.MatrixDeviation > 0))
        {
            throw new ArgumentOutOfRangeException(nameof(initial), $"Deviations must be above 0, but are {initial.EmbeddingDeviation} for embeddings and {initial.MatrixDeviation} for matrices.");
        }

        DecoderModel model = new DecoderBuilder(config, new RandomWeights(config, seed, initial), null).Build(null);
        ModelParameters.MakeTrainable(model);
        return model;
    }

    private sealed class RandomWeights(DecoderConfig config, ulong seed, InitialWeights initial) : IWeightSource
    {
        public FusedOrder FusedOrder => FusedOrder.Concatenated;

        public long? RowsOf(string name) => null;

        public void CheckMatrix(string name, int storedRows, int columns)
        {
        }

        public void CheckVector(string name, int storedLength)
        {
        }

        public Weight OpenMatrix(string name, int storedRows, int columns, int[]? rowOrder, ComputeContext? context)
        {
            bool isTable = name is "token_embd.weight" or "position_embd.weight";
            double deviation = isTable ? initial.EmbeddingDeviation : initial.MatrixDeviation / Math.Sqrt(columns);
            if (initial.ScalesResiduals && CanonicalNames.TrySplitLayer(name, out _, out string part) && part is "attn_output.weight" or "ffn_down.weight")
            {
                deviation /= Math.Sqrt(2.0 * config.NumLayers);
            }

            Tensor values = new(storedRows, columns);
            ulong stream = PlacedDraws.Stream(name, seed);
            Parallel.For(0, storedRows, row => PlacedDraws.Normal(values.Row(row), stream + (ulong)((long)row * columns), deviation));
            return new TrainableWeight(values);
        }

        public Tensor ReadVector(string name, int storedLength, int[]? order)
        {
            Tensor values = new(1, storedLength);
            values.Span.Fill(name.EndsWith(".bias", StringComparison.Ordinal) || config.Norm.UnitOffset ? 0 : 1);
            return values;
        }
    }
}
