// From a configuration and stored tensors to a decoder. Knows canonical tensor names and no family.
using Kidogo.Models.Families;
using Kidogo.Models.Files;
using Kidogo.Models.Layers;
using Kidogo.Tensors;

namespace Kidogo.Models;

/// <summary>Takes every tensor that a configuration asks for, checks its shape, and joins the layers.</summary>
/// <param name="config">What the model does.</param>
/// <param name="source">The tensors.</param>
/// <param name="context">What weights are opened for; null where nothing is opened: to check only, or for weights that are made.</param>
/// <param name="isCheck">Whether to check only.</param>
internal sealed class DecoderBuilder(DecoderConfig config, IWeightSource source, ComputeContext? context, bool isCheck = false)
{
    private readonly Dictionary<RopeConfig, RotaryEmbedding> _rotary = [];
    private readonly List<Weight> _opened = [];

    /// <summary>Checks that every tensor is there and has its shape, and that none is left over. Reads no weights.</summary>
    /// <exception cref="ModelFormatException">A tensor is absent, has another shape, or has no place in the model.</exception>
    public static void Check(DecoderConfig config, TensorSource source)
    {
        new DecoderBuilder(config, source, null, isCheck: true).Join(null);
        source.RefuseUnused(config.NumLayers);
    }

    /// <summary>Builds the model.</summary>
    /// <param name="layerLoaded">Called after each layer with how many are there; may be null.</param>
    /// <exception cref="ModelFormatException">A tensor is absent or has another shape.</exception>
    public DecoderModel Build(Action<int>? layerLoaded)
    {
        try
        {
            return new DecoderModel(config, Join(layerLoaded));
        }
        catch
        {
            _opened.ForEach(weight => weight.Dispose());
            throw;
        }
    }

    /// <summary>For each row of one part of a fused projection its row in the whole.</summary>
    /// <param name="order">How the whole is ordered.</param>
    /// <param name="layer">The layer's sizes.</param>
    /// <param name="part">0 for queries, 1 for keys, 2 for values.</param>
    internal static int[] FusedRows(FusedOrder order, LayerConfig layer, int part)
    {
        int[] rows = new int[part == 0 ? layer.QuerySize : layer.KvSize];
        int start = part switch { 0 => 0, 1 => layer.QuerySize, _ => layer.QuerySize + layer.KvSize };
        for (int i = 0; i < rows.Length; i++)
        {
            rows[i] = order == FusedOrder.Concatenated ? start + i : (((i / layer.HeadDim * 3) + part) * layer.HeadDim) + (i % layer.HeadDim);
        }

        return rows;
    }

    private DecoderParts Join(Action<int>? layerLoaded)
    {
        TokenEmbedding embedding = new("token_embd", Matrix("token_embd", config.VocabSize, config.HiddenSize), config.EmbeddingScale);
        TokenEmbedding? positions = config.LearnedPositions == 0
            ? null
            : new TokenEmbedding("position_embd", Matrix("position_embd", config.LearnedPositions, config.HiddenSize), 1);
        DecoderBlock[] blocks = new DecoderBlock[config.NumLayers];
        for (int i = 0; i < blocks.Length; i++)
        {
            blocks[i] = Block(i, config.Layers[i]);
            layerLoaded?.Invoke(i + 1);
        }

        Norm norm = MakeNorm("output_norm", config.HiddenSize);
        Linear? head = config.TiedHead ? null : MakeLinear("output", config.VocabSize, config.HiddenSize, config.HeadBias);
        return new DecoderParts(embedding, positions, blocks, norm, head);
    }

    private DecoderBlock Block(int index, LayerConfig layer)
    {
        string In(string name) => CanonicalNames.InLayer(index, name);
        AttentionParts attention = new(
            Projection(index, layer, 0),
            Projection(index, layer, 1),
            Projection(index, layer, 2),
            MakeLinear(In("attn_output"), config.HiddenSize, layer.QuerySize, layer.OutputBias),
            layer.QkNorm == QkNorm.PerHead ? MakeNorm(In("attn_q_norm"), layer.HeadDim, layer.HeadDim) : null,
            layer.QkNorm == QkNorm.PerHead ? MakeNorm(In("attn_k_norm"), layer.HeadDim, layer.HeadDim) : null);
        BlockNorms norms = new(
            MakeNorm(In("attn_norm"), config.HiddenSize),
            config.Residual == ResidualKind.ParallelOneNorm ? null : MakeNorm(In("ffn_norm"), config.HiddenSize),
            config.PostNorms ? MakeNorm(In("post_attention_norm"), config.HiddenSize) : null,
            config.PostNorms ? MakeNorm(In("post_ffw_norm"), config.HiddenSize) : null);
        RotaryEmbedding? rotary = layer.Rope is null ? null : Rotary(layer.Rope);
        return new DecoderBlock(config.Residual, new GroupedQueryAttention(index, layer, attention, rotary), MakeFeedForward(index, layer), norms);
    }

    private RotaryEmbedding Rotary(RopeConfig rope)
    {
        if (!_rotary.TryGetValue(rope, out RotaryEmbedding? made))
        {
            _rotary.Add(rope, made = new RotaryEmbedding(rope));
        }

        return made;
    }

    /// <summary>Queries, keys or values, stored by themselves or fused.</summary>
    private Linear Projection(int index, LayerConfig layer, int part)
    {
        string name = CanonicalNames.InLayer(index, part switch { 0 => "attn_q", 1 => "attn_k", _ => "attn_v" });
        string fused = CanonicalNames.InLayer(index, "attn_qkv");
        if (source.RowsOf($"{name}.weight") is not null || source.RowsOf($"{fused}.weight") is null)
        {
            return MakeLinear(name, part == 0 ? layer.QuerySize : layer.KvSize, config.HiddenSize, layer.QkvBias);
        }

        if (source.FusedOrder == FusedOrder.PerHead && layer.NumHeads != layer.NumKvHeads)
        {
            throw new InvalidOperationException("Queries, keys and values fused head by head need as many key-value heads as heads.");
        }

        int[] rows = FusedRows(source.FusedOrder, layer, part);
        int stored = layer.QuerySize + (2 * layer.KvSize);
        return new Linear(name, Matrix(fused, stored, config.HiddenSize, rows), layer.QkvBias ? Vector($"{fused}.bias", stored, rows) : null);
    }

    private FeedForward MakeFeedForward(int index, LayerConfig layer)
    {
        string gate = CanonicalNames.InLayer(index, "ffn_gate");
        string up = CanonicalNames.InLayer(index, "ffn_up");
        Linear down = MakeLinear(CanonicalNames.InLayer(index, "ffn_down"), config.HiddenSize, layer.IntermediateSize, layer.MlpBias);
        if (!layer.Gated)
        {
            return new FeedForward(layer.Activation, null, MakeLinear(up, layer.IntermediateSize, config.HiddenSize, layer.MlpBias), down);
        }

        bool isFused = source.RowsOf($"{gate}.weight") is null && source.RowsOf($"{up}.weight") is { } stored && stored == 2L * layer.IntermediateSize;
        if (!isFused)
        {
            return new FeedForward(
                layer.Activation,
                MakeLinear(gate, layer.IntermediateSize, config.HiddenSize, layer.MlpBias),
                MakeLinear(up, layer.IntermediateSize, config.HiddenSize, layer.MlpBias),
                down);
        }

        return new FeedForward(layer.Activation, Half(gate, up, layer, 0), Half(up, up, layer, layer.IntermediateSize), down);
    }

    /// <summary>The gate (first half) or the other half of a fused pair.</summary>
    private Linear Half(string name, string fused, LayerConfig layer, int first)
    {
        int[] rows = [.. Enumerable.Range(first, layer.IntermediateSize)];
        Weight weight = Matrix(fused, 2 * layer.IntermediateSize, config.HiddenSize, rows);
        return new Linear(name, weight, layer.MlpBias ? Vector($"{fused}.bias", 2 * layer.IntermediateSize, rows) : null);
    }

    private Linear MakeLinear(string name, int rows, int columns, bool bias) =>
        new(name, Matrix(name, rows, columns), bias ? Vector($"{name}.bias", rows) : null);

    private Norm MakeNorm(string name, int width, int groupSize = 0) =>
        Norm.Create(name, config.Norm, Vector($"{name}.weight", width), config.Norm.Bias ? Vector($"{name}.bias", width) : null, groupSize);

    private Tensor Vector(string name, int storedLength, int[]? order = null)
    {
        source.CheckVector(name, storedLength);
        return isCheck ? new Tensor(0, 0) : source.ReadVector(name, storedLength, order);
    }

    private Weight Matrix(string name, int storedRows, int columns, int[]? rowOrder = null)
    {
        source.CheckMatrix($"{name}.weight", storedRows, columns);
        if (isCheck)
        {
            return null!; // what is joined by a check is thrown away unused
        }

        Weight weight = source.OpenMatrix($"{name}.weight", storedRows, columns, rowOrder, context);
        _opened.Add(weight);
        return weight;
    }
}
