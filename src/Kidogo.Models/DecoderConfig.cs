// What a decoder does, layer by layer. Describes behaviour, never names: no property says which family a model is of.
using Kidogo.Tensors.Ops;

namespace Kidogo.Models;

/// <summary>Which mean the norms of a model divide by.</summary>
public enum NormKind
{
    /// <summary>Root mean square, without a mean taken off (Zhang and Sennrich 2019).</summary>
    Rms,

    /// <summary>Mean and variance (Ba et al. 2016).</summary>
    Layer,
}

/// <summary>How attention and feed-forward are joined to the residual stream.</summary>
public enum ResidualKind
{
    /// <summary>x += attention(norm(x)); x += feedForward(norm(x)).</summary>
    Sequential,

    /// <summary>x += attention(norm1(x)) + feedForward(norm2(x)).</summary>
    ParallelTwoNorms,

    /// <summary>x += attention(norm(x)) + feedForward(norm(x)), with the one norm.</summary>
    ParallelOneNorm,
}

/// <summary>Whether queries and keys are normalised before they are rotated.</summary>
public enum QkNorm
{
    /// <summary>They are not.</summary>
    None,

    /// <summary>Each head by itself, with one weight vector of head size for all heads.</summary>
    PerHead,
}

/// <summary>The norms of a model.</summary>
/// <param name="Kind">What is divided by.</param>
/// <param name="Epsilon">Added to the mean square or the variance before the root.</param>
/// <param name="UnitOffset">Whether the stored weight w means a factor of 1 + w.</param>
/// <param name="Bias">Whether a bias is added after the factor.</param>
public sealed record NormConfig(NormKind Kind, float Epsilon, bool UnitOffset = false, bool Bias = false);

/// <summary>One layer of a decoder. Layers may differ: pruning makes unequal ones, and windows alternate.</summary>
public sealed record LayerConfig
{
    /// <summary>Query heads, H.</summary>
    public required int NumHeads { get; init; }

    /// <summary>Key and value heads, K; divides <see cref="NumHeads"/>.</summary>
    public required int NumKvHeads { get; init; }

    /// <summary>Values of a head, E.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Inner width of the feed-forward, F.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>The rotation of queries and keys; null for none.</summary>
    public RopeConfig? Rope { get; init; }

    /// <summary>How many positions a token sees, itself included; 0 for all before it.</summary>
    public int SlidingWindow { get; init; }

    /// <summary>What scores are multiplied by before the softmax.</summary>
    public required float AttentionScale { get; init; }

    /// <summary>Scores s become cap · tanh(s / cap); 0 for no cap.</summary>
    public float AttentionSoftcap { get; init; }

    /// <summary>Whether queries and keys are normalised.</summary>
    public QkNorm QkNorm { get; init; }

    /// <summary>Whether the query, key and value projections have biases.</summary>
    public bool QkvBias { get; init; }

    /// <summary>Whether the output projection of attention has a bias.</summary>
    public bool OutputBias { get; init; }

    /// <summary>The nonlinearity of the feed-forward.</summary>
    public required Activation Activation { get; init; }

    /// <summary>Whether the feed-forward is down(activation(gate(x)) · up(x)), or down(activation(up(x))).</summary>
    public bool Gated { get; init; } = true;

    /// <summary>Whether the projections of the feed-forward have biases.</summary>
    public bool MlpBias { get; init; }

    /// <summary>Width of the queries, H · E.</summary>
    public int QuerySize => NumHeads * HeadDim;

    /// <summary>Width of the keys, and of the values, K · E.</summary>
    public int KvSize => NumKvHeads * HeadDim;
}

/// <summary>A decoder-only language model: everything that <see cref="DecoderModel"/> needs to know beside the weights.</summary>
public sealed record DecoderConfig
{
    /// <summary>Token ids, V: rows of the embedding and of the head.</summary>
    public required int VocabSize { get; init; }

    /// <summary>Width of the residual stream, D.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Positions that the model was made for.</summary>
    public required int ContextLength { get; init; }

    /// <summary>Positions that a sequence may have: those that the model was made for, or as many as memory holds where its rotation stretches with the sequence (dynamic NTK).</summary>
    public int LongestSequence => LearnedPositions == 0 && Layers.Any(layer => layer.Rope?.Scaling is { StretchesWithoutEnd: true }) ? int.MaxValue : ContextLength;

    /// <summary>The layers, in order.</summary>
    public required IReadOnlyList<LayerConfig> Layers { get; init; }

    /// <summary>All norms over the residual stream, and with <see cref="QkNorm.PerHead"/> those over heads.</summary>
    public required NormConfig Norm { get; init; }

    /// <summary>How the parts of a layer are joined.</summary>
    public ResidualKind Residual { get; init; }

    /// <summary>Whether what attention and feed-forward give is normalised before it is added.</summary>
    public bool PostNorms { get; init; }

    /// <summary>What embeddings are multiplied by.</summary>
    public float EmbeddingScale { get; init; } = 1;

    /// <summary>Rows of a table of learned positions that is added to the embeddings; 0 for none.</summary>
    public int LearnedPositions { get; init; }

    /// <summary>Whether the head is the embedding.</summary>
    public bool TiedHead { get; init; }

    /// <summary>Whether the head has a bias.</summary>
    public bool HeadBias { get; init; }

    /// <summary>What logits are multiplied by.</summary>
    public float LogitScale { get; init; } = 1;

    /// <summary>Logits z become cap · tanh(z / cap), after the scale; 0 for no cap.</summary>
    public float LogitSoftcap { get; init; }

    /// <summary>Number of layers.</summary>
    public int NumLayers => Layers.Count;

    /// <summary>Whether all layers have the same numbers of heads and the same width.</summary>
    public bool HasEqualLayers => Layers.All(layer => (layer.NumHeads, layer.NumKvHeads, layer.HeadDim, layer.IntermediateSize)
        == (Layers[0].NumHeads, Layers[0].NumKvHeads, Layers[0].HeadDim, Layers[0].IntermediateSize));

    /// <summary>Weights of the model, a tied head counted once.</summary>
    /// <remarks>
    /// V·D embeddings, positions·D, (V·D + bias) for an untied head, a final norm, and for each layer
    /// q: D·HE, k and v: D·KE each, o: HE·D, feed-forward: (3 if gated else 2)·D·F, their biases, and norms of D (of E for heads), doubled where norms have biases.
    /// </remarks>
    public long ParameterCount
    {
        get
        {
            long norm = NormSize(HiddenSize);
            long count = ((long)VocabSize * HiddenSize) + ((long)LearnedPositions * HiddenSize) + norm;
            count += TiedHead ? 0 : (long)VocabSize * HiddenSize;
            count += HeadBias ? VocabSize : 0;
            foreach (LayerConfig layer in Layers)
            {
                count += MatrixParameters(layer);
                count += layer.QkvBias ? layer.QuerySize + (2L * layer.KvSize) : 0;
                count += layer.OutputBias ? HiddenSize : 0;
                count += layer.MlpBias ? ((layer.Gated ? 2L : 1L) * layer.IntermediateSize) + HiddenSize : 0;
                count += norm * ((Residual == ResidualKind.ParallelOneNorm ? 1 : 2) + (PostNorms ? 2 : 0));
                count += layer.QkNorm == QkNorm.PerHead ? 2 * NormSize(layer.HeadDim) : 0;
            }

            return count;
        }
    }

    /// <summary>Weights that a token is multiplied with: all matrices of the layers and the head, not the embedding lookup.</summary>
    public long MatrixParameterCount => Layers.Sum(MatrixParameters) + ((long)VocabSize * HiddenSize);

    /// <summary>Floating-point operations for one token that sees <paramref name="positions"/> positions, itself included.</summary>
    /// <remarks>
    /// 2 for each matrix weight (a multiplication and an addition), the head among them, and 4·H·E for each position a layer sees (scores and sums of values).
    /// Norms, rotations and activations are left out: they are below a percent.
    /// </remarks>
    public double FlopsPerToken(int positions)
    {
        double flops = 2.0 * MatrixParameterCount;
        foreach (LayerConfig layer in Layers)
        {
            int seen = layer.SlidingWindow == 0 ? positions : Math.Min(positions, layer.SlidingWindow);
            flops += 4.0 * layer.QuerySize * seen;
        }

        return flops;
    }

    /// <summary>Bytes that keys and values of one position take over all layers, windows aside: Σ 2·K·E·(bytes of a value).</summary>
    /// <param name="bytesPerValue">4 for float32, 2 for float16, 34/32 for 8 bits with a float16 scale for each 32.</param>
    public double KvBytesPerToken(double bytesPerValue) => Layers.Sum(layer => 2.0 * layer.KvSize) * bytesPerValue;

    /// <summary>Bytes that keys and values of a whole context take: layers with a window keep only that.</summary>
    /// <param name="contextLength">Positions.</param>
    /// <param name="bytesPerValue">As for <see cref="KvBytesPerToken"/>.</param>
    public double KvBytes(int contextLength, double bytesPerValue) =>
        Layers.Sum(layer => 2.0 * layer.KvSize * (layer.SlidingWindow == 0 ? contextLength : Math.Min(contextLength, layer.SlidingWindow))) * bytesPerValue;

    /// <summary>The same decoder with every layer changed.</summary>
    /// <param name="change">From a layer and its index to what it becomes.</param>
    public DecoderConfig WithLayers(Func<LayerConfig, int, LayerConfig> change) => this with { Layers = [.. Layers.Select(change)] };

    private long MatrixParameters(LayerConfig layer) =>
        HiddenSize * ((2L * layer.QuerySize) + (2L * layer.KvSize) + ((layer.Gated ? 3L : 2L) * layer.IntermediateSize));

    private long NormSize(int width) => Norm.Bias ? 2L * width : width;
}
