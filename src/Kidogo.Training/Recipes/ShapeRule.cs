// From a number of parameters to a shape. Knows no data.
namespace Kidogo.Training.Recipes;

/// <summary>The rule that finds layers and widths for <c>size: 10M</c>.</summary>
/// <remarks>
/// Among all widths that are multiples of a head, the number of layers is what comes nearest to the size, the tied embedding counted; of these the shape is
/// taken that has nearly the size and a width of nearly 48 times its layers (between the deep small models of today, SmolLM2-135M with 19, and the wide large
/// ones, Llama 3.2 1B with 128: wide matrices are fast on processors). Heads have 32 values below a width of 256, then 64; keys and values have a half to a
/// quarter as many heads as queries; the feed-forward is 8/3 as wide as the stream.
/// </remarks>
public static class ShapeRule
{
    private const double WidthPerLayer = 48;
    private const double SizeMatters = 20; // how much more a wrong size weighs than an unusual proportion
    private const int WidthStep = 32;
    private const int LargestWidth = 8192;

    /// <summary>The shape of a model.</summary>
    /// <param name="parameters">Parameters, the embedding included once.</param>
    /// <param name="vocabulary">V.</param>
    /// <returns>Null where the embedding alone would take more than 70 % of so small a model.</returns>
    public static ModelShape? Find(long parameters, int vocabulary)
    {
        const double LargestEmbeddingShare = 0.7;
        ModelShape? best = null;
        double bestCost = double.PositiveInfinity;
        for (int width = WidthStep; width <= LargestWidth && (double)width * vocabulary <= LargestEmbeddingShare * parameters; width += WidthStep)
        {
            int headDim = width < 256 ? 32 : 64;
            if (width % headDim != 0)
            {
                continue;
            }

            ModelShape one = OfWidth(width, headDim, 1);
            double perLayer = LayerParameters(one);
            int layers = (int)Math.Clamp(Math.Round((parameters - ((double)vocabulary * width)) / perLayer), 1, 256);
            ModelShape shape = one with { Layers = layers };
            double size = shape.ToConfig(vocabulary, 1).ParameterCount;
            double cost = (SizeMatters * Math.Abs(Math.Log(size / parameters))) + Math.Abs(Math.Log(width / (layers * WidthPerLayer)));
            if (cost < bestCost)
            {
                (best, bestCost) = (shape, cost);
            }
        }

        return best;
    }

    private static long LayerParameters(ModelShape shape)
    {
        long queries = (long)shape.Heads * shape.HeadDim;
        long keys = (long)shape.KvHeads * shape.HeadDim;
        return (2 * shape.Hidden * (queries + keys)) + (3L * shape.Hidden * shape.FeedForward) + (2L * shape.Hidden);
    }

    private static ModelShape OfWidth(int width, int headDim, int layers)
    {
        int heads = width / headDim;
        int most = Math.Max(1, heads < 8 ? heads / 2 : heads / 3);
        int kvHeads = Enumerable.Range(1, most).Last(candidate => heads % candidate == 0);
        return new ModelShape
        {
            Hidden = width,
            Layers = layers,
            Heads = heads,
            KvHeads = kvHeads,
            HeadDim = headDim,
            FeedForward = (int)Math.Round(width * 8 / 3.0 / 32) * 32,
        };
    }
}
