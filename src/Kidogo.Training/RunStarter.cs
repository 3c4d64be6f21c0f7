// From a recipe to the checkpoint of step 0: tokenizer, first weights, and a refusal where it would not fit. Makes no step.
using System.Globalization;
using Kidogo.Data;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Models.Export;
using Kidogo.Models.Families;
using Kidogo.Models.Files;
using Kidogo.Models.Passports;
using Kidogo.Tensors;
using Kidogo.Text.Tokenizers;
using Kidogo.Training.Adapters;
using Kidogo.Training.Checkpoints;
using Kidogo.Training.Distillation;
using Kidogo.Training.Recipes;

namespace Kidogo.Training;

/// <summary>Begins runs. What it leaves is a folder that <see cref="TrainingRun.Open"/> goes on from, as from any later checkpoint.</summary>
public static class RunStarter
{
    /// <summary>The file that keeps what was asked for, from the first moment on.</summary>
    internal const string RunName = "run.json";

    private const string ConvertedName = ".converted";

    /// <summary>Begins a run in a folder that has none.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="observer">Told what is going on.</param>
    /// <param name="cancellation">Ends it; the folder can be begun again by resuming.</param>
    /// <exception cref="TrainingFailedException">The folder is taken, or the run would not fit into memory.</exception>
    /// <exception cref="RecipeException">The recipe contradicts itself, the model or the data.</exception>
    public static void Begin(Recipe recipe, TrainingObserver observer, CancellationToken cancellation)
    {
        string output = Path.GetFullPath(recipe.Output.Folder);
        if (File.Exists(output))
        {
            throw new TrainingFailedException($"{output} is a file, where a folder was expected. Give another --out.");
        }

        if (IsBegun(output) || File.Exists(Path.Combine(output, CheckpointWriter.WeightsName)) || PeftFolder.IsOne(output))
        {
            throw new TrainingFailedException($"{output} holds a model or a run already. To go on with the run: kidogo train --resume "
                + $"{recipe.Output.Folder}. To begin another: give another --out, or remove the folder.");
        }

        RefuseForeign(output, recipe);
        Directory.CreateDirectory(output);
        Recipe kept = recipe with { Output = recipe.Output with { Folder = output } };
        NewFile.Write(Path.Combine(output, RunName), new TrainingState { Step = 0, Tokens = 0, Recipe = kept }.ToBytes());
        try
        {
            Prepare(kept, observer, cancellation);
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true); // what texts and tokenizers left is given back before the steps take theirs
        }
        catch when (new CheckpointFolder(output).Steps().Count == 0)
        {
            // Nothing was begun: the same command may be given again.
            DeleteConverted(output);
            File.Delete(Path.Combine(output, RunName));
            string checkpoints = new CheckpointFolder(output).Path;
            if (Directory.Exists(checkpoints) && !Directory.EnumerateFileSystemEntries(checkpoints).Any())
            {
                Directory.Delete(checkpoints);
            }

            if (!Directory.EnumerateFileSystemEntries(output).Any())
            {
                Directory.Delete(output);
            }

            throw;
        }
    }

    /// <summary>Whether a folder holds a run that can be gone on with.</summary>
    public static bool IsBegun(string output) => File.Exists(Path.Combine(output, RunName)) || new CheckpointFolder(output).Steps().Count > 0;

    /// <summary>Says how many steps a run has that made none yet, in place of what its recipe says.</summary>
    /// <param name="output">OUT.</param>
    /// <param name="steps">Steps in all.</param>
    internal static void Plan(string output, long steps)
    {
        if (new CheckpointFolder(output).Steps().Any(step => step > 0))
        {
            throw new InvalidOperationException($"The run in {output} has made steps: it goes on as it was planned.");
        }

        string path = Path.Combine(output, RunName);
        NewFile.Write(path, (TrainingState.Read(path) with { PlannedSteps = steps }).ToBytes());
        FolderFlush.Flush(output);
    }

    /// <summary>Refuses folders whose files would be written over, or read as texts.</summary>
    private static void RefuseForeign(string output, Recipe recipe)
    {
        string[] written = ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja",
            "model.safetensors.index.json", Passport.FileName, CheckpointWriter.GgufAdapterName, TrainingLog.FileName, Trainer.CurveName, "checkpoints"];
        if (written.FirstOrDefault(name => Path.Exists(Path.Combine(output, name))) is { } there && new DirectoryInfo(Path.Combine(output, there)) is { } found
            && (!found.Exists || found.EnumerateFileSystemInfos().Any()))
        {
            throw new TrainingFailedException($"{output} is something else already: it has {there}, which would be written over. Give another --out.");
        }

        foreach (string source in recipe.Data.Sources.Where(source => Directory.Exists(source.Path))
            .Select(source => Path.TrimEndingDirectorySeparator(Path.GetFullPath(source.Path))))
        {
            if ((output + Path.DirectorySeparatorChar).StartsWith(source + Path.DirectorySeparatorChar, StringComparison.Ordinal))
            {
                throw new TrainingFailedException($"{output} lies in {source}, whose files are the data: what is written there would be read as texts. Give "
                    + "an --out beside it.");
            }
        }
    }

    /// <summary>Takes back a run that made no step, since its data or its plan turned out to be impossible: the same command may be given again. Tokenised
    /// texts stay.</summary>
    /// <param name="output">OUT.</param>
    public static void TakeBack(string output)
    {
        CheckpointFolder checkpoints = new(output);
        if (File.Exists(Path.Combine(output, TrainingLog.FileName)) || checkpoints.Steps().Any(step => step > 0))
        {
            return;
        }

        if (Directory.Exists(checkpoints.Path))
        {
            Directory.Delete(checkpoints.Path, recursive: true);
        }

        File.Delete(Path.Combine(output, RunName));
    }

    /// <summary>Makes the checkpoint of step 0.</summary>
    internal static void Prepare(Recipe recipe, TrainingObserver observer, CancellationToken cancellation)
    {
        if (recipe.Adapter is not null)
        {
            AdaptedBase.Prepare(recipe, observer, cancellation);
            return;
        }

        if (recipe is { Model.LoadAs: not null, Distillation: null })
        {
            throw new RecipeException("load_as: weights that are trained are float32; a format is for the frozen model under an adapter (kidogo adapt), or for a teacher (kidogo distil). Leave it away.");
        }

        recipe = WithTeacher(recipe);
        using FirstModel first = recipe.Model.From is { } from ? GoOn(recipe, from, observer)
            : recipe.Distillation is { EveryLayer: > 0 } taught ? EveryLayer(recipe, taught, observer) : New(recipe, observer, cancellation);
        Recipe resolved = SmallEnough(recipe, RecipeDefaults.Resolve(recipe, first.Config.ParameterCount, first.ModelContext), first.Config.VocabSize);
        if (first.ModelContext > 0 && resolved.Batch.Context > first.ModelContext)
        {
            throw new RecipeException($"context: {resolved.Batch.Context} is more than the {first.ModelContext} positions that {first.From} was made "
                + "for. Take a shorter context.");
        }

        DecoderConfig config = first.ModelContext > 0 ? first.Config : first.Config with { ContextLength = resolved.Batch.Context!.Value };
        if (OpenTeacher.Counted(MemoryPlan.For(config, resolved), resolved).Refusal(MachineMemory.Read(), resolved) is { } refusal)
        {
            throw new TrainingFailedException(refusal);
        }

        if (resolved.Optimizer.KeepZeros is null && first.Header is { } pruned && SparseModel.IsOne(pruned))
        {
            resolved = resolved with { Optimizer = resolved.Optimizer with { KeepZeros = true } };
            observer.Say($"{recipe.Model.From} was pruned: its zeros stay zeros (keep_zeros)");
        }

        cancellation.ThrowIfCancellationRequested();
        using DecoderModel model = first.Make(config, resolved);
        TrainingState state = new() { Step = 0, Tokens = 0, Recipe = resolved };
        ModelSurroundings surroundings = first.Surroundings with { Passport = TrainingPassport.Begin(resolved, first.From) };
        CheckpointWriter.Write(new CheckpointFolder(resolved.Output.Folder), state, model.Config, ModelParameters.Of(model), surroundings, null);
        DeleteConverted(resolved.Output.Folder);
    }

    /// <summary>A new student gets its teacher's tokenizer. The teacher is found by the same name wherever the run goes on.</summary>
    private static Recipe WithTeacher(Recipe recipe)
    {
        if (recipe.Distillation is not { } taught)
        {
            return recipe;
        }

        taught = taught with { Outputs = taught.Outputs is { } outputs ? Path.GetFullPath(outputs) : null };
        bool isNew = recipe.Model.From is null && recipe.Tokenizer is null && !recipe.IsRandom && taught.EveryLayer == 0;
        if (taught.Teacher.Length == 0)
        {
            if (!File.Exists(taught.Outputs))
            {
                throw new RecipeException($"{taught.Outputs} is not there yet, so the teacher that it is made with is needed. Name it: --teacher MODEL.");
            }

            return !isNew ? recipe with { Distillation = taught } : throw new RecipeException(
                $"A new student gets its teacher's tokenizer, but {taught.Outputs} has the teacher's answers alone. Name a model with that tokenizer: --tokenizer MODEL, or the teacher: --teacher MODEL.");
        }

        string teacher = Path.GetFullPath(new ModelLocator(ModelPlaces.FromEnvironment()).Locate(taught.Teacher));
        return recipe with { Distillation = taught with { Teacher = teacher }, Tokenizer = isNew ? new TokenizerRecipe { Path = teacher } : recipe.Tokenizer };
    }

    /// <summary>Of a student both sides' logits are whole, and of preferences two answers': micro-batches are so small, where the recipe gives none, that these stay small too.</summary>
    internal static Recipe SmallEnough(Recipe recipe, Recipe resolved, int vocabulary)
    {
        const long MostLogits = 32 << 20; // of a micro-batch: 128 MiB on each side
        if ((recipe.Distillation is null && recipe.Preference is null) || recipe.Batch.Accumulate is not null)
        {
            return resolved;
        }

        BatchRecipe batch = resolved.Batch;
        int parts = Enumerable.Range(batch.Accumulate!.Value, batch.Sequences!.Value).First(count => count >= batch.Sequences
            || (batch.Sequences % count == 0 && (long)batch.Sequences.Value / count * (recipe.Preference?.RowsPerItem ?? 1) * batch.Context!.Value * vocabulary <= MostLogits));
        return resolved with { Batch = batch with { Accumulate = Math.Min(parts, batch.Sequences.Value) } };
    }

    /// <summary>What the files of a checkpoint hold beside the weights, by its tokenizer.</summary>
    internal static ModelSurroundings Surroundings(ModelFamily family, Dictionary<string, ReadOnlyMemory<byte>> words, ReadOnlyMemory<byte>? earlier)
    {
        Tokenizer tokenizer = ModelWords.Read(words);
        return new ModelSurroundings(family, words, tokenizer.BosId, tokenizer.EosId is { } end ? [end] : [], tokenizer.PadId, earlier);
    }

    private static FirstModel New(Recipe recipe, TrainingObserver observer, CancellationToken cancellation)
    {
        long bytes = recipe.IsRandom ? 0 : DataSize.TextBytes(recipe.Data.Sources);
        long size = recipe.Model.Size ?? (recipe.IsRandom ? 10_000_000 : RecipeDefaults.SizeFor(bytes));
        long expected = recipe.Model.Shape is { } given ? given.ToConfig(4096, 1).ParameterCount : size;
        Dictionary<string, ReadOnlyMemory<byte>> words = ModelWords.Find(recipe, bytes, expected, observer, cancellation);
        Tokenizer tokenizer = ModelWords.Read(words);
        ModelShape shape = recipe.Model.Shape ?? ShapeRule.Find(size, tokenizer.VocabularySize) ?? throw new RecipeException(string.Create(
            CultureInfo.InvariantCulture,
            $"size: {size} is too small for a vocabulary of {tokenizer.VocabularySize}: the embedding alone would take most of it. Take a larger size, or a "
                + $"smaller tokenizer.vocabulary."));
        int context = recipe.Batch.Context ?? RecipeDefaults.ContextFor(shape.ToConfig(tokenizer.VocabularySize, 1).ParameterCount, 0);
        return new FirstModel(shape.ToConfig(tokenizer.VocabularySize, context), 0, Surroundings(new Llama(), words, null),
            (config, resolved) => RandomModel.Create(config, resolved.Output.Seed), null);
    }

    private static FirstModel GoOn(Recipe recipe, string from, TrainingObserver observer)
    {
        string located = new ModelLocator(ModelPlaces.FromEnvironment()).Locate(from);
        string path = AsFolder(located, recipe.Output.Folder, observer);
        ModelHeader header = ModelHeader.Open(path);
        try
        {
            (Dictionary<string, ReadOnlyMemory<byte>> words, ReadOnlyMemory<byte>? earlier) = WordsOf(header);
            ModelWords.Complete(words, recipe, header.Config.VocabSize, observer);
            observer.Say($"going on from {located}: {header.Architecture}, {header.Config.ParameterCount} parameters");
            return new FirstModel(header.Config, header.Config.ContextLength, Surroundings(header.Family, words, earlier),
                (_, resolved) => Decode(path, resolved), header) { From = located };
        }
        catch
        {
            header.Dispose();
            throw;
        }
    }

    /// <summary>A student that begins as some of its teacher's layers.</summary>
    private static FirstModel EveryLayer(Recipe recipe, DistillationRecipe taught, TrainingObserver observer)
    {
        FirstModel teacher = GoOn(recipe, taught.Teacher, observer);
        try
        {
            DecoderConfig config = LayerStudent.ConfigOf(teacher.Config, taught.EveryLayer);
            observer.Say($"the student begins as {config.NumLayers} of its {teacher.Config.NumLayers} layers");
            return teacher with
            {
                Config = config,
                Make = (_, resolved) =>
                {
                    using DecoderModel whole = teacher.Make(teacher.Config, resolved);
                    return LayerStudent.Make(whole, taught.EveryLayer);
                },
            };
        }
        catch
        {
            teacher.Dispose();
            throw;
        }
    }

    /// <summary>A folder with the model in float32: its own, or one that a GGUF file is converted to. So every checkpoint says the same, bit for bit, as what
    /// is in memory.</summary>
    private static string AsFolder(string path, string output, TrainingObserver observer)
    {
        if (Directory.Exists(path))
        {
            return path;
        }

        string folder = Path.Combine(output, ConvertedName);
        using ModelHeader header = ModelHeader.Open(path);
        if (header.WeightBytes < 2 * header.Config.ParameterCount)
        {
            observer.Say($"{path} is quantised ({header.WeightBytes * 8.0 / header.Config.ParameterCount:0.0} bits a weight): its weights are decoded to "
                + "float32 and trained so, and float32 is what is written");
        }

        DeleteConverted(output); // of a process that was killed

        foreach (string warning in ModelConverter.Convert(header, folder, FloatFormats.F32).Warnings)
        {
            observer.Warn(warning);
        }

        return folder;
    }

    private static void DeleteConverted(string output)
    {
        string folder = Path.Combine(output, ConvertedName);
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static (Dictionary<string, ReadOnlyMemory<byte>> Words, ReadOnlyMemory<byte>? Config) WordsOf(ModelHeader header)
    {
        return (ModelWords.OfFolder(header.Folder!.Path), File.ReadAllBytes(Path.Combine(header.Folder.Path, "config.json")));
    }

    private static DecoderModel Decode(string path, Recipe recipe)
    {
        using ComputeContext context = ComputeContext.Inference(Math.Max(1, recipe.Precision.Threads), ComputePrecision.Exact);
        LoadedModel loaded = ModelLoader.Load(path, context);
        ModelParameters.MakeTrainable(loaded.Model);
        return loaded.Model;
    }

    /// <summary>A model that is not yet in memory.</summary>
    /// <param name="Config">What it does.</param>
    /// <param name="ModelContext">Positions that it was made for; 0 for a new one.</param>
    /// <param name="Surroundings">Its other files.</param>
    /// <param name="Make">Brings it into memory.</param>
    /// <param name="Header">The model gone on from; null for a new one.</param>
    private sealed record FirstModel(DecoderConfig Config, int ModelContext, ModelSurroundings Surroundings, Func<DecoderConfig, Recipe, DecoderModel> Make,
        ModelHeader? Header) : IDisposable
    {
        /// <summary>Where the model gone on from lies; null for a new one.</summary>
        public string? From { get; init; }

        public void Dispose() => Header?.Dispose();
    }
}
