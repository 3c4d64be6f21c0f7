// What a student learns from a teacher, and by which losses. Null means: chosen by the models.
using Kidogo.Tensors.Ops;

namespace Kidogo.Training.Recipes;

/// <summary>What a student learns from a teacher, beside the texts' own tokens. Each loss has a weight of its own; a weight of 0 leaves it out.</summary>
public sealed record DistillationRecipe
{
    /// <summary>The teacher: a .gguf file in any format, a folder or a name of the model cache.</summary>
    public string Teacher { get; init; } = "";

    /// <summary>The distance between both distributions. Default forward KL.</summary>
    public ResponseDistance Distance { get; init; } = ResponseDistance.ForwardKl;

    /// <summary>What both sides' logits are divided by, above 0 to 100. Default 2. Forward KL is multiplied by its square.</summary>
    public double Temperature { get; init; } = 2;

    /// <summary>β of Jensen and Shannon's distance, α of the skewed ones, 0 to 1. Default 0.5.</summary>
    public double Mix { get; init; } = 0.5;

    /// <summary>What the teacher's term is multiplied by, 0 to 1,000. Default 0.5.</summary>
    public double TeacherWeight { get; init; } = 0.5;

    /// <summary>What the labels' term is multiplied by, 0 to 1,000. Default 0.5.</summary>
    public double LabelWeight { get; init; } = 0.5;

    /// <summary>The losses of what lies between embedding and head.</summary>
    public FeatureRecipe Features { get; init; } = new();

    /// <summary>A new student takes over every so manieth layer of the teacher; 0 (the default) for none.</summary>
    public int EveryLayer { get; init; }

    /// <summary>A file of the teacher's likeliest tokens, made where it is not there yet; null for none.</summary>
    public string? Outputs { get; init; }

    /// <summary>Tokens of a position that such a file keeps, 1 to 1,024. Default 32.</summary>
    public int OutputsPerToken { get; init; } = 32;

    /// <summary>Share of steps whose texts are the student's own, 0 to 1 (λ of arXiv 2306.13649). Default 0.</summary>
    public double OnPolicy { get; init; }

    /// <summary>Whether the same student is trained on the same tokens without the teacher too. Default false.</summary>
    public bool Compares { get; init; }

    /// <summary>Whether anything is asked of the teacher while training.</summary>
    public bool NeedsTeacher => TeacherWeight > 0 || Features.IsAny;
}

/// <summary>Losses of hidden states and of relations. Weights are 0 to 1,000, and 0 by default.</summary>
public sealed record FeatureRecipe
{
    /// <summary>Of hidden states, layer by layer: each of the student's with the teacher's at the same share of the depth.</summary>
    public double HiddenWeight { get; init; }

    /// <summary>What is compared of them. Default the mean square. Where widths differ, a projection of the student's is trained along.</summary>
    public HiddenDistance HiddenDistance { get; init; }

    /// <summary>Of queries with keys: attention itself (arXiv 2002.10957, equation 6).</summary>
    public double AttentionWeight { get; init; }

    /// <summary>Of queries with queries (arXiv 2012.15828).</summary>
    public double QueryWeight { get; init; }

    /// <summary>Of keys with keys (the same).</summary>
    public double KeyWeight { get; init; }

    /// <summary>Of values with values (arXiv 2002.10957, equation 7).</summary>
    public double ValueWeight { get; init; }

    /// <summary>Heads that queries, keys and values are divided into anew, 1 to 1,024; null: as many as both sides' heads can be divided into.</summary>
    public int? RelationHeads { get; init; }

    /// <summary>The teacher's layer that the student's last learns these relations from, 1 or more; null: the last.</summary>
    public int? RelationLayer { get; init; }

    /// <summary>Of distances among tokens (RKD, arXiv 1904.05068).</summary>
    public double DistanceWeight { get; init; }

    /// <summary>Of angles among tokens (the same).</summary>
    public double AngleWeight { get; init; }

    /// <summary>Of products among tokens (arXiv 1907.09682).</summary>
    public double SimilarityWeight { get; init; }

    /// <summary>Of centred kernel alignment (arXiv 1905.00414).</summary>
    public double AlignmentWeight { get; init; }

    /// <summary>Tokens of a micro-batch that these four compare, 2 to 256. Default 32.</summary>
    public int Examples { get; init; } = 32;

    /// <summary>Whether any of these losses is asked for.</summary>
    public bool IsAny => HiddenWeight + AttentionWeight + QueryWeight + KeyWeight + ValueWeight + DistanceWeight + AngleWeight + SimilarityWeight + AlignmentWeight > 0;
}
