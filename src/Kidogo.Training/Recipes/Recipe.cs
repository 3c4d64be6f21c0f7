// What a training run is made of: one record a part, with defaults and ranges. Null means: chosen by the size of model and data.
using Kidogo.Data;
using Kidogo.Models.Adapters;
using Kidogo.Training.Schedules;

namespace Kidogo.Training.Recipes;

/// <summary>Which texts, and how they become documents.</summary>
public sealed record DataRecipe
{
    /// <summary>Files and folders; at least one. <c>random</c> draws ids, for benchmarks.</summary>
    public IReadOnlyList<DataSource> Sources { get; init; } = [];

    /// <summary>The field of a <c>.jsonl</c> line that holds the text, where a source does not say. Default <c>text</c>.</summary>
    public string Field { get; init; } = "text";

    /// <summary>What ends a document of <c>.txt</c>, where a source does not say. Default: a blank line.</summary>
    public DocumentBorder Documents { get; init; } = DocumentBorder.Blank;

    /// <summary>Share of documents that are held out for evaluation, 0 to 0.5. Default 0.01.</summary>
    public double HeldOut { get; init; } = 0.01;

    /// <summary>Whether invalid UTF-8 is an error. Default false: it is counted and replaced.</summary>
    public bool Strict { get; init; }

    /// <summary>Whether conversations longer than the context are left out. Default false: they are an error.</summary>
    public bool SkipLongConversations { get; init; }

    /// <summary>The name of a built-in chat template, or a Jinja file, in place of the model's own; null for that.</summary>
    public string? ChatTemplate { get; init; }

    /// <summary>Folder for the tokenised shards; null: <c>OUT/shards</c>.</summary>
    public string? Cache { get; init; }
}

/// <summary>The tokenizer: one that exists, or one to train on the data.</summary>
public sealed record TokenizerRecipe
{
    /// <summary>A folder, a <c>tokenizer.json</c> or a model with the tokenizer; null to train one.</summary>
    public string? Path { get; init; }

    /// <summary>Of one to train: <c>bpe</c> or <c>unigram</c>. Default <c>bpe</c>.</summary>
    public string Kind { get; init; } = "bpe";

    /// <summary>Of one to train: entries, 260 to 1,000,000; null: by the size of the data.</summary>
    public int? Vocabulary { get; init; }
}

/// <summary>The model: of a size, of a shape, or one to go on from. One of the three, or none: then the size is chosen by the data.</summary>
public sealed record ModelRecipe
{
    /// <summary>A model to go on from: a .gguf file, a folder or a name of the model cache.</summary>
    public string? From { get; init; }

    /// <summary>A mix of formats, such as Q4_0, that the frozen model (an adapter's base, or the teacher) is brought into while it is loaded; null for as its files have it.</summary>
    public string? LoadAs { get; init; }

    /// <summary>Parameters, 100,000 to 2,000,000,000 (written <c>10M</c>).</summary>
    public long? Size { get; init; }

    /// <summary>The layers in full.</summary>
    public ModelShape? Shape { get; init; }
}

/// <summary>What a step reads.</summary>
public sealed record BatchRecipe
{
    /// <summary>Tokens of a sequence, 8 to 1,048,576.</summary>
    public int? Context { get; init; }

    /// <summary>Sequences of a step, 1 to 65,536.</summary>
    public int? Sequences { get; init; }

    /// <summary>Micro-batches that a step is divided into, 1 to 65,536: the result is that of the whole batch, the memory that of a part.</summary>
    public int? Accumulate { get; init; }
}

/// <summary>When to stop: one of the three, or none: then by what model, data and a night allow.</summary>
public sealed record StopRecipe
{
    /// <summary>Steps, 1 to 1,000,000,000.</summary>
    public long? Steps { get; init; }

    /// <summary>Tokens to read (written <c>50M</c>), 1 or more.</summary>
    public long? Tokens { get; init; }

    /// <summary>Minutes, above 0; steps are planned by the measured speed, once.</summary>
    public double? Minutes { get; init; }

    /// <summary>Evaluations that may be no better than the best before the run stops, 1 to 1,000,000; null for any number. The best weights are what is left.</summary>
    public int? Patience { get; init; }
}

/// <summary>Which optimiser.</summary>
public enum OptimizerKind
{
    /// <summary>AdamW.</summary>
    AdamW,

    /// <summary>Gradient descent.</summary>
    Sgd,

    /// <summary>Lion.</summary>
    Lion,

    /// <summary>Adafactor.</summary>
    Adafactor,

    /// <summary>Muon for the matrices inside layers, AdamW for the rest.</summary>
    Muon,
}

/// <summary>How weights change.</summary>
public sealed record OptimizerRecipe
{
    /// <summary>Which optimiser. Default AdamW.</summary>
    public OptimizerKind Kind { get; init; } = OptimizerKind.AdamW;

    /// <summary>The highest learning rate, above 0 to 10.</summary>
    public double? LearningRate { get; init; }

    /// <summary>Of Muon's matrices. Default 0.02.</summary>
    public double? MatrixLearningRate { get; init; }

    /// <summary>What follows the warm-up. Default cosine.</summary>
    public ScheduleKind Schedule { get; init; } = ScheduleKind.Cosine;

    /// <summary>Steps of the warm-up; null: a fiftieth of all, 1,000 at most.</summary>
    public long? Warmup { get; init; }

    /// <summary>The learning rate at the end, as a share of the highest, 0 to 1. Default 0.1.</summary>
    public double FinalRate { get; init; } = 0.1;

    /// <summary>The share of steps in which warm-up-stable-decay decays, 0 to 1. Default 0.2.</summary>
    public double? DecayShare { get; init; }

    /// <summary>Weight decay of matrices, 0 to 10.</summary>
    public double? WeightDecay { get; init; }

    /// <summary>Whether norms and biases decay too. Default false.</summary>
    public bool DecayVectors { get; init; }

    /// <summary>The highest norm of the gradients, 0 for no limit. Default 1.</summary>
    public double Clip { get; init; } = 1;

    /// <summary>Share of the first moment that stays. Default 0.9.</summary>
    public double? Beta1 { get; init; }

    /// <summary>Share of the second moment that stays. Default 0.95 (Lion 0.99).</summary>
    public double? Beta2 { get; init; }

    /// <summary>Added to the root of the second moment. Default 1e-8.</summary>
    public double? Epsilon { get; init; }

    /// <summary>Momentum of sgd (default 0.9) and Muon (default 0.95), 0 to below 1.</summary>
    public double? Momentum { get; init; }

    /// <summary>Whether sgd looks ahead by its momentum. Default false.</summary>
    public bool? Nesterov { get; init; }

    /// <summary>Share of the loss that goes to all tokens alike, 0 to below 1. Default 0.</summary>
    public double LabelSmoothing { get; init; }

    /// <summary>Factor of the mean squared logarithm of the partition function in the loss (arXiv 2204.02311, section 5), 0 to 1. Default 0.</summary>
    public double ZLoss { get; init; }

    /// <summary>Whether weights of the blocks' matrices that are 0 stay 0; null: where the model gone on from was pruned to be sparse.</summary>
    public bool? KeepZeros { get; init; }
}

/// <summary>How passes are computed.</summary>
public sealed record PrecisionRecipe
{
    /// <summary>Whether weights and activations are stored in bfloat16, with float32 master weights and sums. Default false.</summary>
    public bool IsBFloat16 { get; init; }

    /// <summary>Whether blocks are computed again instead of keeping their activations. Default false.</summary>
    public bool CheckpointActivations { get; init; }

    /// <summary>A format that matrices of blocks are rounded to in every pass, as the exported file will have them; null for none.</summary>
    public string? QuantizationAware { get; init; }

    /// <summary>Threads, 1 to 1,024; 0 for one per physical core. Changes no bit of the result.</summary>
    public int Threads { get; init; }
}

/// <summary>What is written, and when.</summary>
public sealed record OutputRecipe
{
    /// <summary>The folder. Default <c>kidogo-model</c>.</summary>
    public string Folder { get; init; } = "kidogo-model";

    /// <summary>Steps from checkpoint to checkpoint, 1 or more; null: a twentieth of all, and at least every quarter of an hour or so.</summary>
    public long? CheckpointEvery { get; init; }

    /// <summary>Checkpoints that are kept, 1 to 10,000. Default 3.</summary>
    public int Keep { get; init; } = 3;

    /// <summary>Steps from evaluation to evaluation; 0 for none; null: a twentieth of all.</summary>
    public long? EvalEvery { get; init; }

    /// <summary>Tokens of held-out text that an evaluation reads at most, 1 or more. Default 65,536.</summary>
    public long EvalTokens { get; init; } = 65_536;

    /// <summary>Steps from sample to sample; 0 for none; null: as evaluations.</summary>
    public long? SampleEvery { get; init; }

    /// <summary>What samples begin with; null: as a text begins.</summary>
    public string? SamplePrompt { get; init; }

    /// <summary>A text that the run is not about: what it costs the model is measured before and after. Null for none.</summary>
    public string? Measure { get; init; }

    /// <summary>Decides the first weights, the order of the data and the samples. Default 0.</summary>
    public ulong Seed { get; init; }
}

/// <summary>How the frozen base of an adapter is kept in memory.</summary>
public enum BaseFormat
{
    /// <summary>As its files have it.</summary>
    Stored,

    /// <summary>Linear layers in NF4.</summary>
    Nf4,

    /// <summary>Linear layers in NF4, with scales that are quantised too.</summary>
    Nf4Double,
}

/// <summary>An adapter that is trained over a frozen model, instead of the model itself.</summary>
public sealed record AdapterRecipe
{
    /// <summary>The kind. Default LoRA.</summary>
    public AdapterMethod Method { get; init; } = AdapterMethod.Lora;

    /// <summary>Rank, 1 to 4,096. Default 8.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>α, above 0; null: twice the rank, and for rslora and pissa the rank.</summary>
    public double? Alpha { get; init; }

    /// <summary>Which linear layers; see <see cref="FreshAdapterOptions.Targets"/>. Default all.</summary>
    public IReadOnlyList<string> Targets { get; init; } = ["all"];

    /// <summary>How the base is kept. Default as its files have it.</summary>
    public BaseFormat BaseFormat { get; init; }

    /// <summary>The kind as recipes name it: <c>rslora</c>.</summary>
    public string MethodName => RecipeFields.NameOf(Method);

    /// <summary>α, given or usual.</summary>
    public double UsedAlpha => Alpha ?? (Method is AdapterMethod.RankStabilized or AdapterMethod.Pissa ? Rank : 2 * Rank);
}

/// <summary>A whole recipe.</summary>
public sealed record Recipe
{
    /// <summary>Which texts.</summary>
    public DataRecipe Data { get; init; } = new();

    /// <summary>Which tokenizer; null: that of the model gone on from, else one is trained.</summary>
    public TokenizerRecipe? Tokenizer { get; init; }

    /// <summary>Which model.</summary>
    public ModelRecipe Model { get; init; } = new();

    /// <summary>What a step reads.</summary>
    public BatchRecipe Batch { get; init; } = new();

    /// <summary>When to stop.</summary>
    public StopRecipe Stop { get; init; } = new();

    /// <summary>How weights change.</summary>
    public OptimizerRecipe Optimizer { get; init; } = new();

    /// <summary>How passes are computed.</summary>
    public PrecisionRecipe Precision { get; init; } = new();

    /// <summary>What is written.</summary>
    public OutputRecipe Output { get; init; } = new();

    /// <summary>The adapter that is trained; null: the model itself is.</summary>
    public AdapterRecipe? Adapter { get; init; }

    /// <summary>The teacher that is learned from; null for none.</summary>
    public DistillationRecipe? Distillation { get; init; }

    /// <summary>Preferences that are learned from instead of texts; null for texts.</summary>
    public PreferenceRecipe? Preference { get; init; }

    /// <summary>Whether ids are drawn instead of read.</summary>
    public bool IsRandom => Data.Sources.Any(source => source.Path == DataSource.RandomPath || source.Kind == SourceKind.Random);
}
