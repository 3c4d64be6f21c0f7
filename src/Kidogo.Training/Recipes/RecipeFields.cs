// The table of fields: files, options and documentation are read off it. Knows no model and no data.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Training.Schedules;

namespace Kidogo.Training.Recipes;

/// <summary>All fields of a recipe.</summary>
public static class RecipeFields
{
    private const double MostParameters = 2e9;

    private static readonly (string Word, AdapterMethod Value)[] s_methods = [("lora", AdapterMethod.Lora), ("rslora", AdapterMethod.RankStabilized),
        ("dora", AdapterMethod.Dora), ("pissa", AdapterMethod.Pissa)];
    private static readonly (string Word, BaseFormat Value)[] s_baseFormats = [("stored", BaseFormat.Stored), ("nf4", BaseFormat.Nf4),
        ("nf4-double", BaseFormat.Nf4Double)];

    private static readonly (string, DocumentBorder)[] s_borders = [("blank", DocumentBorder.Blank), ("line", DocumentBorder.Line),
        ("file", DocumentBorder.File)];

    /// <summary>The fields, in the order of the documentation.</summary>
    public static IReadOnlyList<RecipeField> All { get; } =
    [
        new("data", "Texts to train on: files and folders, or a list of {path, weight, field, documents}; `random` draws ids, for benchmarks",
            "paths, or `random`", "none; it is needed",
            (r, node) => r with { Data = r.Data with { Sources = StructuredFields.ReadSources(node, r.Data) } },
            r => StructuredFields.WriteSources(r.Data)) { IsList = true },
        RecipeField.Text("field", "The field of a .jsonl line that holds the text", "a name", "text",
            (r, v) => r with { Data = r.Data with { Field = v } }, r => r.Data.Field),
        RecipeField.Choice("documents", "What ends a document of .txt: a blank line, a line, or the file", s_borders, "blank",
            (r, v) => r with { Data = r.Data with { Documents = v } }, r => r.Data.Documents),
        RecipeField.Number("held_out", "Share of documents that are held out for evaluation", 0, 0.5, "0.01",
            (r, v) => r with { Data = r.Data with { HeldOut = v } }, r => r.Data.HeldOut),
        RecipeField.Switch("strict", "Whether invalid UTF-8 is an error instead of being counted and replaced",
            (r, v) => r with { Data = r.Data with { Strict = v } }, r => r.Data.Strict),
        RecipeField.Switch("skip_long_conversations", "Whether conversations longer than the context are left out instead of being an error",
            (r, v) => r with { Data = r.Data with { SkipLongConversations = v } }, r => r.Data.SkipLongConversations),
        RecipeField.Text("chat_template", "The chat template that makes text of conversations, and that the new model keeps",
            "a built-in name such as `chatml`, or a Jinja file", "that of `from`; chatml with a tokenizer that is trained on conversations",
            (r, v) => r with { Data = r.Data with { ChatTemplate = v } }, r => r.Data.ChatTemplate),
        RecipeField.Text("cache", "Folder for the tokenised texts; runs may share it", "a folder", "OUT/shards",
            (r, v) => r with { Data = r.Data with { Cache = v } }, r => r.Data.Cache),
        new("tokenizer", "A folder, a tokenizer.json or a model with the tokenizer; or {kind, vocabulary} to train one: kind `bpe` or `unigram`",
            "a path, or {kind, vocabulary: 260 to 1,000,000}", "that of `from`; else a bpe tokenizer is trained, its size by that of the data",
            (r, node) => r with { Tokenizer = StructuredFields.ReadTokenizer(node) }, r => StructuredFields.WriteTokenizer(r.Tokenizer)),
        RecipeField.Text("from", "A model to go on from: a .gguf file, a folder or org/name; a quantised one is decoded to float32", "a model", "none",
            (r, v) => r with { Model = r.Model with { From = v } }, r => r.Model.From),
        RecipeField.Text("load_as", "A format that the frozen model, which is the base of an adapter or the teacher, is brought into while it is loaded, such as Q4_0",
            "a format", "as its files have it", (r, v) => r with { Model = r.Model with { LoadAs = RecipeField.Mix("load_as", v).Name } }, r => r.Model.LoadAs),
        RecipeField.Whole("size", "Parameters of a new model, such as 10M: layers and widths follow (Llama architecture, tied embedding)", 50_000,
            (long)MostParameters, "by the size of the data",
            (r, v) => r with { Model = r.Model with { Size = v } }, r => r.Model.Size),
        new("shape", "A new model layer by layer: {hidden, layers, heads, kv_heads, head_dim, feed_forward, tied, rope_theta}; layers is a number, or a list "
            + "with heads, kv_heads and feed_forward of each", "see below", "by `size`",
            (r, node) => r with { Model = r.Model with { Shape = ModelShape.Read(node) } }, r => r.Model.Shape?.Write()),
        RecipeField.Whole("context", "Tokens of a sequence", 8, 1 << 20, "256 below 5M parameters, 512 below 30M, else 1,024; of `from` at most its own",
            (r, v) => r with { Batch = r.Batch with { Context = (int)v } }, r => r.Batch.Context),
        RecipeField.Whole("batch", "Sequences of a step", 1, 65_536, "4,096 tokens below 5M parameters, 8,192 below 30M, else 16,384",
            (r, v) => r with { Batch = r.Batch with { Sequences = (int)v } }, r => r.Batch.Sequences),
        RecipeField.Whole("accumulate", "Micro-batches that a step is divided into; it divides `batch`", 1, 65_536,
            "as many as keep a micro-batch at 4,096 tokens or so",
            (r, v) => r with { Batch = r.Batch with { Accumulate = (int)v } }, r => r.Batch.Accumulate),
        RecipeField.Whole("steps", "Stop after so many steps", 1, 1_000_000_000, "none",
            (r, v) => r with { Stop = r.Stop with { Steps = v } }, r => r.Stop.Steps),
        RecipeField.Whole("tokens", "Stop after so many tokens, such as 50M", 1, 1_000_000_000_000_000, "none",
            (r, v) => r with { Stop = r.Stop with { Tokens = v } }, r => r.Stop.Tokens),
        RecipeField.Number("minutes", "Stop after so many minutes: the number of steps is planned once, by the measured speed", 0, 1e7,
            "none; without any of the three, 20 tokens a parameter, 10 rounds of the data or 8 hours, whichever comes first",
            (r, v) => r with { Stop = r.Stop with { Minutes = v } }, r => r.Stop.Minutes, openMin: true),
        RecipeField.Whole("patience", "Stop after so many evaluations that were no better than the best, whose weights are what is left", 1, 1_000_000, "never",
            (r, v) => r with { Stop = r.Stop with { Patience = (int)v } }, r => r.Stop.Patience),
        RecipeField.Choice("optimizer", "The optimiser; with muon, embedding, norms and head go by adamw",
            [("adamw", OptimizerKind.AdamW), ("sgd", OptimizerKind.Sgd), ("lion", OptimizerKind.Lion), ("adafactor", OptimizerKind.Adafactor),
                ("muon", OptimizerKind.Muon)], "adamw",
            (r, v) => r with { Optimizer = r.Optimizer with { Kind = v } }, r => r.Optimizer.Kind),
        RecipeField.Number("learning_rate", "The highest learning rate", 0, 10, "adamw and muon: 3e-3 to 3M parameters, falling with their power of -0.4, a "
            + "tenth of it with `from`; lion a fifth of it; sgd 0.1; adafactor 0.02",
            (r, v) => r with { Optimizer = r.Optimizer with { LearningRate = v } }, r => r.Optimizer.LearningRate, openMin: true),
        RecipeField.Number("matrix_learning_rate", "The highest learning rate of muon's matrices", 0, 10, "0.02; 0.002 with `from`",
            (r, v) => r with { Optimizer = r.Optimizer with { MatrixLearningRate = v } }, r => r.Optimizer.MatrixLearningRate, openMin: true),
        RecipeField.Choice("schedule", "How the learning rate falls after the warm-up; wsd is warm-up-stable-decay",
            [("cosine", ScheduleKind.Cosine), ("linear", ScheduleKind.Linear), ("constant", ScheduleKind.Constant), ("wsd", ScheduleKind.WarmupStableDecay)],
                "cosine",
            (r, v) => r with { Optimizer = r.Optimizer with { Schedule = v } }, r => r.Optimizer.Schedule),
        RecipeField.Whole("warmup", "Steps in which the learning rate rises", 0, 1_000_000_000, "a fiftieth of the steps, 1,000 at most",
            (r, v) => r with { Optimizer = r.Optimizer with { Warmup = v } }, r => r.Optimizer.Warmup),
        RecipeField.Number("final_rate", "The learning rate at the end, as a share of the highest", 0, 1, "0.1",
            (r, v) => r with { Optimizer = r.Optimizer with { FinalRate = v } }, r => r.Optimizer.FinalRate),
        RecipeField.Number("decay_share", "The share of steps in which wsd decays", 0, 1, "0.2",
            (r, v) => r with { Optimizer = r.Optimizer with { DecayShare = v } }, r => r.Optimizer.DecayShare, openMin: true),
        RecipeField.Number("weight_decay", "Weight decay of matrices, the tied embedding included", 0, 10, "0.1; lion 0.3; sgd and adafactor 0",
            (r, v) => r with { Optimizer = r.Optimizer with { WeightDecay = v } }, r => r.Optimizer.WeightDecay),
        RecipeField.Switch("decay_vectors", "Whether norms and biases decay too",
            (r, v) => r with { Optimizer = r.Optimizer with { DecayVectors = v } }, r => r.Optimizer.DecayVectors),
        RecipeField.Number("clip", "The highest norm of the gradients; 0 for no limit", 0, 1e6, "1",
            (r, v) => r with { Optimizer = r.Optimizer with { Clip = v } }, r => r.Optimizer.Clip),
        RecipeField.Number("beta1", "Share of the first moment that stays (adamw, lion, muon)", 0, 1, "0.9",
            (r, v) => r with { Optimizer = r.Optimizer with { Beta1 = v } }, r => r.Optimizer.Beta1, openMax: true),
        RecipeField.Number("beta2", "Share of the second moment that stays (adamw, lion, muon)", 0, 1, "0.95; lion 0.99",
            (r, v) => r with { Optimizer = r.Optimizer with { Beta2 = v } }, r => r.Optimizer.Beta2, openMax: true),
        RecipeField.Number("epsilon", "Added to the root of the second moment (adamw, muon)", 0, 1, "1e-8",
            (r, v) => r with { Optimizer = r.Optimizer with { Epsilon = v } }, r => r.Optimizer.Epsilon, openMin: true),
        RecipeField.Number("momentum", "Momentum (sgd, muon)", 0, 1, "sgd 0.9; muon 0.95",
            (r, v) => r with { Optimizer = r.Optimizer with { Momentum = v } }, r => r.Optimizer.Momentum, openMax: true),
        RecipeField.Switch("nesterov", "Whether sgd looks ahead by its momentum",
            (r, v) => r with { Optimizer = r.Optimizer with { Nesterov = v } }, r => r.Optimizer.Nesterov),
        RecipeField.Number("label_smoothing", "Share of the loss that goes to all tokens alike", 0, 1, "0",
            (r, v) => r with { Optimizer = r.Optimizer with { LabelSmoothing = v } }, r => r.Optimizer.LabelSmoothing, openMax: true),
        RecipeField.Number("z_loss", "Factor of the mean squared logarithm of the softmax's sum in the loss", 0, 1, "0",
            (r, v) => r with { Optimizer = r.Optimizer with { ZLoss = v } }, r => r.Optimizer.ZLoss),
        RecipeField.Switch("keep_zeros", "Whether weights in the layers' matrices that are 0 stay 0 (default: if the model gone on from was pruned to be sparse)",
            (r, v) => r with { Optimizer = r.Optimizer with { KeepZeros = v } }, r => r.Optimizer.KeepZeros),
        RecipeField.Choice("precision", "How weights and activations are stored in a pass; master weights, sums and optimiser stay float32",
            [("f32", false), ("bf16", true)], "f32",
            (r, v) => r with { Precision = r.Precision with { IsBFloat16 = v } }, r => r.Precision.IsBFloat16),
        RecipeField.Text("quantization_aware", "A format that the matrices of all blocks are rounded to in every pass, as the exported file will have them: Q4_0, TQ2_0 (ternary), Q1_0 (binary) or another",
            "a format of GGUF files", "none",
            (r, v) => r with { Precision = r.Precision with { QuantizationAware = v } }, r => r.Precision.QuantizationAware),
        RecipeField.Switch("checkpoint_activations", "Whether blocks are computed again for their gradients instead of being kept: less memory, a third more "
            + "work, the same bits",
            (r, v) => r with { Precision = r.Precision with { CheckpointActivations = v } }, r => r.Precision.CheckpointActivations),
        RecipeField.Whole("checkpoint_every", "Steps from checkpoint to checkpoint", 1, 1_000_000_000,
            "a twentieth of the steps and at least 10, but at least every quarter of an hour",
            (r, v) => r with { Output = r.Output with { CheckpointEvery = v } }, r => r.Output.CheckpointEvery),
        RecipeField.Whole("keep", "Checkpoints that are kept, the last ones", 1, 10_000, "3",
            (r, v) => r with { Output = r.Output with { Keep = (int)v } }, r => r.Output.Keep),
        RecipeField.Whole("eval_every", "Steps from evaluation to evaluation on held-out text; 0 for none", 0, 1_000_000_000,
            "a twentieth of the steps, and at least 10",
            (r, v) => r with { Output = r.Output with { EvalEvery = v } }, r => r.Output.EvalEvery),
        RecipeField.Whole("eval_tokens", "Held-out tokens that an evaluation reads at most", 1, 1_000_000_000_000, "65,536",
            (r, v) => r with { Output = r.Output with { EvalTokens = v } }, r => r.Output.EvalTokens),
        RecipeField.Whole("sample_every", "Steps from sample to sample of text; 0 for none", 0, 1_000_000_000, "as eval_every",
            (r, v) => r with { Output = r.Output with { SampleEvery = v } }, r => r.Output.SampleEvery),
        RecipeField.Text("sample_prompt", "What samples begin with", "a text", "as a text begins",
            (r, v) => r with { Output = r.Output with { SamplePrompt = v } }, r => r.Output.SamplePrompt),
        RecipeField.Text("measure", "A text that the run is not about: its bits per byte before and after say what general ability was lost", "a file", "none",
            (r, v) => r with { Output = r.Output with { Measure = v } }, r => r.Output.Measure),
        RecipeField.Whole("seed", "Decides the first weights, the split, the order of the data and the samples", 0, long.MaxValue, "0",
            (r, v) => r with { Output = r.Output with { Seed = (ulong)v } }, r => (long)r.Output.Seed),
        RecipeField.Whole("threads", "Threads to compute with; changes no bit of the result", 1, 1024, "the physical cores",
            (r, v) => r with { Precision = r.Precision with { Threads = (int)v } }, r => r.Precision.Threads == 0 ? null : r.Precision.Threads),
        RecipeField.Text("out", "The folder that everything is written to", "a folder", "kidogo-model",
            (r, v) => r with { Output = r.Output with { Folder = v } }, r => r.Output.Folder),
    ];

    /// <summary>A method of adapters as recipes name it.</summary>
    internal static string NameOf(AdapterMethod method) => s_methods.First(word => word.Value == method).Word;

    /// <summary>The fields of adapters, which <c>kidogo adapt</c> has beside those of training.</summary>
    public static IReadOnlyList<RecipeField> OfAdapters { get; } =
    [
        new("method", "The kind of adapter: lora, rslora (rank-stabilised), dora, or pissa (begins at the principal components)",
            "lora, rslora, dora, pissa", "lora",
            (r, node) => WithAdapter(r, adapter => adapter with { Method = StructuredFields.ReadWord(node, "method", s_methods) }),
            r => r.Adapter is null ? null : RecipeField.Written(r.Adapter.MethodName)),
        RecipeField.Whole("rank", "Rank of the two thin matrices of each layer", 1, 4096, "8",
            (r, v) => WithAdapter(r, adapter => adapter with { Rank = (int)v }), r => r.Adapter?.Rank),
        RecipeField.Number("alpha", "Their product is scaled by alpha / rank (rslora: alpha / root of the rank)", 0, 1e6,
            "twice the rank; rslora and pissa the rank",
            (r, v) => WithAdapter(r, adapter => adapter with { Alpha = v }), r => r.Adapter?.Alpha, openMin: true),
        new("targets", "Linear layers that are adapted: names (q_proj or attn_q), patterns (blk.*.ffn_*), or all (but the head)",
            "names, patterns, or all", "all",
            (r, node) => WithAdapter(r, adapter => adapter with { Targets = StructuredFields.ReadTexts(node, "targets") }),
            r => r.Adapter is null ? null : new RecipeList("", [.. r.Adapter.Targets.Select(RecipeField.Written)])) { IsList = true },
        new("base_format", "How the frozen model is kept in memory: as its files have it, or with linear layers in nf4 or nf4-double",
            "stored, nf4, nf4-double", "stored",
            (r, node) => WithAdapter(r, adapter => adapter with { BaseFormat = StructuredFields.ReadWord(node, "base_format", s_baseFormats) }),
            r => r.Adapter is null ? null : RecipeField.Written(s_baseFormats.First(word => word.Value == r.Adapter.BaseFormat).Word)),
    ];

    /// <summary>The fields of distillation, which <c>kidogo distil</c> has beside those of training.</summary>
    public static IReadOnlyList<RecipeField> OfDistillation => DistillationFields.All;

    /// <summary>The fields of preferences, which <c>kidogo adapt</c> and <c>kidogo prefer</c> have beside those of training.</summary>
    public static IReadOnlyList<RecipeField> OfPreferences => PreferenceFields.All;

    internal static IEnumerable<RecipeField> Every => All.Concat(OfAdapters).Concat(OfDistillation).Concat(OfPreferences);

    private static Recipe WithAdapter(Recipe recipe, Func<AdapterRecipe, AdapterRecipe> change) =>
        recipe with { Adapter = change(recipe.Adapter ?? new AdapterRecipe()) };

    /// <summary>Sets fields of a recipe.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="fields">The fields' values.</param>
    /// <exception cref="RecipeException">A field is unknown, or a value outside its range.</exception>
    public static Recipe Apply(Recipe recipe, RecipeMap fields)
    {
        foreach ((string name, RecipeNode value) in fields.Fields.OrderBy(field => field.Key == "data")) // what holds for all sources comes before them
        {
            RecipeField field = Every.FirstOrDefault(candidate => candidate.Name == name)
                ?? throw Unknown(value, name, Every.Select(candidate => candidate.Name));
            recipe = field.Set(recipe, value);
        }

        return recipe;
    }

    /// <summary>All fields of a recipe that are set, as they may be read again.</summary>
    public static RecipeMap Write(Recipe recipe)
    {
        List<KeyValuePair<string, RecipeNode>> fields = [];
        foreach (RecipeField field in Every)
        {
            if (field.Get(recipe) is { } value)
            {
                fields.Add(KeyValuePair.Create(field.Name, value));
            }
        }

        return new RecipeMap("", fields);
    }

    internal static RecipeException Unknown(RecipeNode value, string name, IEnumerable<string> known)
    {
        string[] names = [.. known];
        string nearest = NearestName.Likely(name, names) is { } likely ? $" The nearest is {likely}." : "";
        return value.Refuse($"there is no field \"{name}\".{nearest} Fields: {string.Join(", ", names)}.");
    }
}
