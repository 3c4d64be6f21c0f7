// Whether two configurations mean the same model, whatever their files' conventions. Knows no files.
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Export;

/// <summary>Finds what a kind of file could not say about a model.</summary>
internal static class ConfigDifference
{
    /// <summary>The first difference, as a sentence's end; null where there is none. How rows of rotated heads lie and how norms are stored is no difference.</summary>
    public static string? Find(DecoderConfig wanted, DecoderConfig said)
    {
        if (wanted.NumLayers != said.NumLayers)
        {
            return $"it has {wanted.NumLayers} layers, not {said.NumLayers}";
        }

        (string What, object Wanted, object Said)[] whole =
        [
            ("tokens", wanted.VocabSize, said.VocabSize),
            ("hidden size", wanted.HiddenSize, said.HiddenSize),
            ("context", wanted.ContextLength, said.ContextLength),
            ("norms", wanted.Norm with { UnitOffset = false }, said.Norm with { UnitOffset = false }),
            ("residual connections", wanted.Residual, said.Residual),
            ("norms behind attention and feed-forward", wanted.PostNorms, said.PostNorms),
            ("scale of embeddings", wanted.EmbeddingScale, said.EmbeddingScale),
            ("learned positions", wanted.LearnedPositions, said.LearnedPositions),
            ("tied head", wanted.TiedHead, said.TiedHead),
            ("bias of the head", wanted.HeadBias, said.HeadBias),
            ("scale of logits", wanted.LogitScale, said.LogitScale),
            ("cap of logits", wanted.LogitSoftcap, said.LogitSoftcap),
        ];
        foreach ((string what, object ours, object theirs) in whole)
        {
            if (!Equals(ours, theirs))
            {
                return $"its {what} would be {theirs} instead of {ours}";
            }
        }

        for (int i = 0; i < wanted.NumLayers; i++)
        {
            if (Find(wanted.Layers[i], said.Layers[i], wanted.ContextLength) is { } difference)
            {
                return $"in layer {i}, counted from 0, {difference}";
            }
        }

        return null;
    }

    private static string? Find(LayerConfig wanted, LayerConfig said, int context)
    {
        const float SameScale = 1e-6f; // scales are computed from integers in one kind of file and kept as float32 in another
        if (MathF.Abs(wanted.AttentionScale - said.AttentionScale) > SameScale * wanted.AttentionScale)
        {
            return $"the scale of scores would be {said.AttentionScale} instead of {wanted.AttentionScale}";
        }

        if (!IsSame(wanted.Rope, said.Rope, context))
        {
            return $"the rotary embedding would be {Describe(said.Rope)} instead of {Describe(wanted.Rope)}";
        }

        LayerConfig ours = wanted with { Rope = null, AttentionScale = 0 };
        LayerConfig theirs = said with { Rope = null, AttentionScale = 0 };
        return ours == theirs ? null : $"there would be {theirs} instead of {ours}";
    }

    private static string Describe(RopeConfig? rope) => rope is null ? "none" : $"{rope with { Layout = RotaryLayout.HalfSplit }}";

    private static bool IsSame(RopeConfig? wanted, RopeConfig? said, int context)
    {
        if (wanted is null || said is null)
        {
            return wanted is null && said is null;
        }

        return wanted.RotaryDims == said.RotaryDims && IsSameAt(1, wanted, said) && IsSameAt(context, wanted, said);
    }

    private static bool IsSameAt(int length, RopeConfig wanted, RopeConfig said)
    {
        const double Roundings = 2e-5; // factors are kept in float32, and some converters compute them in it
        (double[] ours, float ourFactor) = wanted.Frequencies(length);
        (double[] theirs, float theirFactor) = said.Frequencies(length);
        return Math.Abs(ourFactor - theirFactor) <= Roundings * ourFactor && !ours.Where((angle, i) => Math.Abs(angle - theirs[i]) > Roundings * angle).Any();
    }
}
