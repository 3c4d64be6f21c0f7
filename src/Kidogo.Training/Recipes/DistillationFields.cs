// The fields of distillation, which kidogo distil has beside those of training. Knows no model and no data.
using System.Globalization;
using Kidogo.Tensors.Ops;

namespace Kidogo.Training.Recipes;

/// <summary>The table of distillation's fields.</summary>
internal static class DistillationFields
{
    private const string EveryStart = "every-", EveryEnd = "-layer";
    private const string StudentRange = "a model, a size such as 10M, or every-2nd-layer";

    private static readonly (string Word, ResponseDistance Value)[] s_distances =
    [
        ("forward-kl", ResponseDistance.ForwardKl), ("reverse-kl", ResponseDistance.ReverseKl), ("jensen-shannon", ResponseDistance.JensenShannon),
        ("skewed-forward", ResponseDistance.SkewedForward), ("skewed-reverse", ResponseDistance.SkewedReverse), ("total-variation", ResponseDistance.TotalVariation),
        ("uld", ResponseDistance.SortedProbabilities),
    ];

    private static readonly (string Word, HiddenDistance Value)[] s_hiddenDistances =
        [("mean-square", HiddenDistance.MeanSquare), ("cosine", HiddenDistance.Cosine), ("normalized", HiddenDistance.Normalized)];

    public static IReadOnlyList<RecipeField> All { get; } =
    [
        RecipeField.Text("teacher", "The model that is learned from: a .gguf file in any format, a folder or org/name", "a model", "none; it is needed",
            (r, v) => With(r, taught => taught with { Teacher = v }), r => r.Distillation is { Teacher.Length: > 0 } taught ? taught.Teacher : null),
        new("student", "The model that learns: one that exists, the size of a new one, which gets the teacher's tokenizer, or every-2nd-layer (3rd, 4th …) of the teacher", StudentRange,
            "a new model, its size by that of the data", SetStudent, r => r.Distillation is { EveryLayer: > 0 } taught ? RecipeField.Written($"{EveryStart}{taught.EveryLayer}{EveryEnd}") : null),
        new("distance", "How far the student's distribution is from the teacher's; uld is for another tokenizer", string.Join(", ", s_distances.Select(word => word.Word)), "forward-kl",
            (r, node) => With(r, taught => taught with { Distance = StructuredFields.ReadWord(node, "distance", s_distances) }),
            r => r.Distillation is null ? null : RecipeField.Written(s_distances.First(word => word.Value == r.Distillation.Distance).Word)),
        RecipeField.Number("temperature", "What both sides' logits are divided by; forward-kl is multiplied by its square", 0, 100, "2",
            (r, v) => With(r, taught => taught with { Temperature = v }), r => r.Distillation?.Temperature, openMin: true),
        RecipeField.Number("mix", "Beta of jensen-shannon, alpha of the skewed distances", 0, 1, "0.5",
            (r, v) => With(r, taught => taught with { Mix = v }), r => r.Distillation?.Mix),
        RecipeField.Number("teacher_weight", "What the teacher's term of the loss is multiplied by", 0, 1000, "0.5",
            (r, v) => With(r, taught => taught with { TeacherWeight = v }), r => r.Distillation?.TeacherWeight),
        RecipeField.Number("label_weight", "What the term of the texts' own tokens is multiplied by", 0, 1000, "0.5",
            (r, v) => With(r, taught => taught with { LabelWeight = v }), r => r.Distillation?.LabelWeight),
        Weight("hidden_weight", "hidden states after every layer of the student, each with the teacher's at the same share of the depth", (f, v) => f with { HiddenWeight = v }, f => f.HiddenWeight),
        new("hidden_distance", "What is compared of hidden states; where widths differ, the student's go through a projection that is trained along",
            string.Join(", ", s_hiddenDistances.Select(word => word.Word)), "mean-square",
            (r, node) => WithFeatures(r, f => f with { HiddenDistance = StructuredFields.ReadWord(node, "hidden_distance", s_hiddenDistances) }),
            r => r.Distillation is null ? null : RecipeField.Written(s_hiddenDistances.First(word => word.Value == r.Distillation.Features.HiddenDistance).Word)),
        Weight("attention_weight", "the last layer's attention: queries with keys (MiniLM)", (f, v) => f with { AttentionWeight = v }, f => f.AttentionWeight),
        Weight("query_weight", "the last layer's queries with queries (MiniLM v2)", (f, v) => f with { QueryWeight = v }, f => f.QueryWeight),
        Weight("key_weight", "the last layer's keys with keys (MiniLM v2)", (f, v) => f with { KeyWeight = v }, f => f.KeyWeight),
        Weight("value_weight", "the last layer's values with values (MiniLM)", (f, v) => f with { ValueWeight = v }, f => f.ValueWeight),
        RecipeField.Whole("relation_heads", "Heads that queries, keys and values are divided into anew for these four", 1, 1024, "as many as the heads of both sides can be divided into",
            (r, v) => WithFeatures(r, f => f with { RelationHeads = (int)v }), r => r.Distillation?.Features.RelationHeads),
        RecipeField.Whole("relation_layer", "The teacher's layer, counted from 1, whose relations the student's last layer learns", 1, 10_000, "the last",
            (r, v) => WithFeatures(r, f => f with { RelationLayer = (int)v }), r => r.Distillation?.Features.RelationLayer),
        Weight("distance_weight", "distances among tokens (RKD)", (f, v) => f with { DistanceWeight = v }, f => f.DistanceWeight),
        Weight("angle_weight", "angles among tokens (RKD)", (f, v) => f with { AngleWeight = v }, f => f.AngleWeight),
        Weight("similarity_weight", "products among tokens (similarity preserving)", (f, v) => f with { SimilarityWeight = v }, f => f.SimilarityWeight),
        Weight("alignment_weight", "centred kernel alignment (CKA)", (f, v) => f with { AlignmentWeight = v }, f => f.AlignmentWeight),
        RecipeField.Whole("examples", "Tokens of a micro-batch, evenly spread, that these four compare after the last layer", 2, 256, "32",
            (r, v) => WithFeatures(r, f => f with { Examples = (int)v }), r => r.Distillation is { Features: { IsAny: true } features } ? features.Examples : null),
        RecipeField.Text("teacher_outputs", "A file of the teacher's likeliest tokens: made where it is not there, used where it is, so that the teacher computes once", "a file", "none",
            (r, v) => With(r, taught => taught with { Outputs = v }), r => r.Distillation?.Outputs),
        RecipeField.Whole("outputs_per_token", "Tokens of a position that such a file keeps; the rest is one sum", 1, 1024, "32",
            (r, v) => With(r, taught => taught with { OutputsPerToken = (int)v }), r => r.Distillation is { Outputs: not null } taught ? taught.OutputsPerToken : null),
        RecipeField.Number("on_policy", "Share of steps whose texts the student goes on with itself; of these the teacher's term alone counts (GKD)", 0, 1, "0",
            (r, v) => With(r, taught => taught with { OnPolicy = v }), r => r.Distillation is { OnPolicy: > 0 } taught ? taught.OnPolicy : null),
        RecipeField.Switch("compare", "Whether the same student is trained on the same tokens without the teacher afterwards, in OUT/without-teacher, and both are compared",
            (r, v) => With(r, taught => taught with { Compares = v }), r => r.Distillation is { Compares: true } ? true : null),
    ];

    private static RecipeField Weight(string name, string meaning, Func<FeatureRecipe, double, FeatureRecipe> set, Func<FeatureRecipe, double> get) =>
        RecipeField.Number(name, $"Weight of the loss of {meaning}", 0, 1000, "0", (r, v) => WithFeatures(r, f => set(f, v)), r => r.Distillation is { } taught && get(taught.Features) > 0 ? get(taught.Features) : null);

    private static Recipe SetStudent(Recipe recipe, RecipeNode node)
    {
        if (RecipeField.ReadNumber(node) is { } size)
        {
            return recipe with { Model = recipe.Model with { Size = (long)size } };
        }

        if (node is not RecipeText { Text: { Length: > 0 } text })
        {
            throw RecipeField.Refuse(node, "student", StudentRange);
        }

        if (!text.StartsWith(EveryStart, StringComparison.Ordinal) || !text.EndsWith(EveryEnd, StringComparison.Ordinal))
        {
            return recipe with { Model = recipe.Model with { From = text } };
        }

        string number = text[EveryStart.Length..Math.Max(EveryStart.Length, text.Length - EveryEnd.Length)].TrimEnd('s', 't', 'n', 'd', 'r', 'h');
        return int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int every) && every is >= 1 and <= 1000
            ? With(recipe, taught => taught with { EveryLayer = every })
            : throw RecipeField.Refuse(node, "student", StudentRange);
    }

    private static Recipe WithFeatures(Recipe recipe, Func<FeatureRecipe, FeatureRecipe> change) => With(recipe, taught => taught with { Features = change(taught.Features) });

    private static Recipe With(Recipe recipe, Func<DistillationRecipe, DistillationRecipe> change) => recipe with { Distillation = change(recipe.Distillation ?? new DistillationRecipe()) };
}
