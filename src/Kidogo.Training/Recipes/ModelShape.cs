// The shape of a new model, as a recipe says it: a Llama decoder. Knows no weights.
using System.Globalization;
using Kidogo.Models;
using Kidogo.Tensors.Ops;

namespace Kidogo.Training.Recipes;

/// <summary>Layers and widths of a new model of the Llama architecture: rotary positions, RMS norms, gated feed-forward with SiLU, no biases.</summary>
public sealed record ModelShape
{
    private const float NormEpsilon = 1e-5f;
    private const int LongContext = 4096;
    private static readonly string[] s_fields = ["hidden", "layers", "heads", "kv_heads", "head_dim", "feed_forward", "tied", "rope_theta"];

    /// <summary>Width of the residual stream, 8 to 16,384.</summary>
    public required int Hidden { get; init; }

    /// <summary>Layers, 1 to 256.</summary>
    public required int Layers { get; init; }

    /// <summary>Query heads, 1 to 256.</summary>
    public required int Heads { get; init; }

    /// <summary>Key and value heads; divides <see cref="Heads"/>.</summary>
    public required int KvHeads { get; init; }

    /// <summary>Values of a head, even, 2 to 512.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Inner width of the feed-forward, 8 to 65,536.</summary>
    public required int FeedForward { get; init; }

    /// <summary>Each layer by itself, where they differ: then <see cref="Heads"/>, <see cref="KvHeads"/> and <see cref="FeedForward"/> are those of the first. Default empty.</summary>
    public IReadOnlyList<LayerShape> Different { get; init; } = [];

    /// <summary>Whether the head is the embedding. Default true.</summary>
    public bool Tied { get; init; } = true;

    /// <summary>The base of the rotary wavelengths; null: 10,000, or 500,000 where the context is 4,096 or longer.</summary>
    public double? RopeTheta { get; init; }

    /// <summary>The decoder of this shape.</summary>
    /// <param name="vocabulary">V.</param>
    /// <param name="context">Positions it is made for.</param>
    public DecoderConfig ToConfig(int vocabulary, int context)
    {
        RopeConfig rope = new(RopeTheta ?? (context >= LongContext ? 500_000 : 10_000), HeadDim, RotaryLayout.HalfSplit);
        LayerConfig layer = new()
        {
            NumHeads = Heads,
            NumKvHeads = KvHeads,
            HeadDim = HeadDim,
            IntermediateSize = FeedForward,
            Rope = rope,
            AttentionScale = (float)(1 / Math.Sqrt(HeadDim)),
            Activation = Activation.Silu,
        };
        return new DecoderConfig
        {
            VocabSize = vocabulary,
            HiddenSize = Hidden,
            ContextLength = context,
            Layers = Different.Count == 0
                ? [.. Enumerable.Repeat(layer, Layers)]
                : [.. Different.Select(each => layer with { NumHeads = each.Heads, NumKvHeads = each.KvHeads, IntermediateSize = each.FeedForward })],
            Norm = new NormConfig(NormKind.Rms, NormEpsilon),
            TiedHead = Tied,
        };
    }

    /// <summary>Reads the field <c>shape</c>.</summary>
    /// <exception cref="RecipeException">Something in it is unknown, missing, outside its range or contradictory.</exception>
    internal static ModelShape Read(RecipeNode node)
    {
        if (node is not RecipeMap map)
        {
            throw RecipeField.Refuse(node, "shape", $"fields: {string.Join(", ", s_fields)}");
        }

        Dictionary<string, RecipeNode> fields = [];
        foreach ((string name, RecipeNode value) in map.Fields)
        {
            fields[s_fields.Contains(name) ? name : throw RecipeFields.Unknown(value, $"shape.{name}", s_fields.Select(field => $"shape.{field}"))] = value;
        }

        int hidden = Whole(map, fields, "hidden", 8, 16_384, null);
        LayerShape[] layers = ReadLayers(map, fields, hidden);
        LayerShape first = layers[0];
        int headDim = Whole(map, fields, "head_dim", 2, 512, Math.Max(2, hidden / first.Heads));
        if (headDim % 2 != 0)
        {
            throw map.Refuse($"shape.head_dim is {headDim}; it has to be even, for values are rotated in pairs. Change heads or hidden, or give head_dim.");
        }

        return new ModelShape
        {
            Hidden = hidden,
            Layers = layers.Length,
            Heads = first.Heads,
            KvHeads = first.KvHeads,
            HeadDim = headDim,
            FeedForward = first.FeedForward,
            Different = Array.TrueForAll(layers, layer => layer == first) ? [] : layers,
            Tied = !fields.TryGetValue("tied", out RecipeNode? tied)
                || (tied is RecipeText { Text: "true" or "false" } word ? word.Text == "true" : throw RecipeField.Refuse(tied, "shape.tied", "true or false")),
            RopeTheta = !fields.TryGetValue("rope_theta", out RecipeNode? theta) ? null
                : RecipeField.ReadNumber(theta) is { } number and >= 100 and <= 1e9 ? number
                    : throw RecipeField.Refuse(theta, "shape.rope_theta", "100 to 1e9"),
        };
    }

    /// <summary>The field <c>shape</c> that gives this shape.</summary>
    internal RecipeNode Write()
    {
        List<KeyValuePair<string, RecipeNode>> fields = [];
        void Add(string name, string value) => fields.Add(KeyValuePair.Create<string, RecipeNode>(name, RecipeField.Written(value)));
        Add("hidden", Hidden.ToString(CultureInfo.InvariantCulture));
        if (Different.Count > 0)
        {
            fields.Add(KeyValuePair.Create<string, RecipeNode>("layers", new RecipeList("", [.. Different.Select(layer => layer.Write())])));
        }
        else
        {
            Add("layers", Layers.ToString(CultureInfo.InvariantCulture));
        }

        Add("heads", Heads.ToString(CultureInfo.InvariantCulture));
        Add("kv_heads", KvHeads.ToString(CultureInfo.InvariantCulture));
        Add("head_dim", HeadDim.ToString(CultureInfo.InvariantCulture));
        Add("feed_forward", FeedForward.ToString(CultureInfo.InvariantCulture));
        Add("tied", Tied ? "true" : "false");
        if (RopeTheta is { } theta)
        {
            Add("rope_theta", theta.ToString("R", CultureInfo.InvariantCulture));
        }

        return new RecipeMap("", fields);
    }

    /// <summary>The layers: a number of equal ones, or a list with an entry for each, which says what differs from the fields beside it.</summary>
    private static LayerShape[] ReadLayers(RecipeMap map, Dictionary<string, RecipeNode> fields, int hidden)
    {
        if (!fields.TryGetValue("layers", out RecipeNode? layers) || layers is not RecipeList list)
        {
            int count = Whole(map, fields, "layers", 1, 256, null);
            return [.. Enumerable.Repeat(ReadLayer(map, fields, hidden), count)];
        }

        if (list.Items.Count is 0 or > 256)
        {
            throw list.Refuse($"shape.layers has {list.Items.Count} layers; it has to have 1 to 256.");
        }

        string[] known = ["heads", "kv_heads", "feed_forward"];
        return [.. list.Items.Select(item =>
        {
            RecipeMap layer = item as RecipeMap ?? throw RecipeField.Refuse(item, "shape.layers", "a number, or a list of {heads, kv_heads, feed_forward}");
            if (layer.Fields.FirstOrDefault(field => !known.Contains(field.Key)) is { Key: { } unknown, Value: var value })
            {
                throw RecipeFields.Unknown(value, $"shape.layers.{unknown}", known.Select(name => $"shape.layers.{name}"));
            }

            Dictionary<string, RecipeNode> each = new(fields);
            foreach ((string name, RecipeNode own) in layer.Fields)
            {
                each[name] = own;
            }

            return ReadLayer(map, each, hidden);
        })];
    }

    private static LayerShape ReadLayer(RecipeMap map, Dictionary<string, RecipeNode> fields, int hidden)
    {
        int heads = Whole(map, fields, "heads", 1, 256, Math.Max(1, hidden / 64));
        int kvHeads = Whole(map, fields, "kv_heads", 1, 256, heads);
        return heads % kvHeads == 0
            ? new LayerShape(heads, kvHeads, Whole(map, fields, "feed_forward", 8, 65_536, Math.Max(8, hidden * 8 / 3 / 32 * 32)))
            : throw map.Refuse($"shape.kv_heads is {kvHeads}, which does not divide shape.heads: {heads}. Every key head serves equally many query heads.");
    }

    private static int Whole(RecipeMap map, Dictionary<string, RecipeNode> fields, string name, int min, int max, int? usual)
    {
        if (!fields.TryGetValue(name, out RecipeNode? node))
        {
            return usual ?? throw map.Refuse($"shape.{name} is missing. Give it: {min} to {max}.");
        }

        return RecipeField.ReadNumber(node) is { } value && value == Math.Floor(value) && value >= min && value <= max
            ? (int)value
            : throw RecipeField.Refuse(node, $"shape.{name}", $"a whole number, {min} to {max}");
    }
}

/// <summary>What layers may differ in.</summary>
/// <param name="Heads">Query heads, 1 to 256.</param>
/// <param name="KvHeads">Key and value heads; divides the query heads.</param>
/// <param name="FeedForward">Inner width of the feed-forward, 8 to 65,536.</param>
public sealed record LayerShape(int Heads, int KvHeads, int FeedForward)
{
    internal RecipeMap Write() => new("", [Field("heads", Heads), Field("kv_heads", KvHeads), Field("feed_forward", FeedForward)]);

    private static KeyValuePair<string, RecipeNode> Field(string name, int value) => KeyValuePair.Create<string, RecipeNode>(name, RecipeField.Written(value.ToString(CultureInfo.InvariantCulture)));
}
