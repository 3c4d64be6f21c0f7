// The frozen model under an adapter that is trained: found, opened as its files have it, recognised when a run goes on. Makes no step.
using System.Security.Cryptography;
using System.Text;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Models.Export;
using Kidogo.Tensors;
using Kidogo.Training.Checkpoints;
using Kidogo.Training.Recipes;

namespace Kidogo.Training.Adapters;

/// <summary>A base. Its weights keep their format in memory: gradients flow through them, and none into them.</summary>
internal static class AdaptedBase
{
    private const long MostActivationBytes = 320L << 20; // of a micro-batch, where the recipe gives none: a third of what full training takes, or less

    /// <summary>Makes the checkpoint of step 0.</summary>
    public static void Prepare(Recipe recipe, TrainingObserver observer, CancellationToken cancellation)
    {
        string path = Path.GetFullPath(new ModelLocator(ModelPlaces.FromEnvironment()).Locate(recipe.Model.From));
        using ModelHeader header = ModelHeader.Open(path);
        Dictionary<string, ReadOnlyMemory<byte>> words = WordsOf(header, observer);
        ModelWords.Complete(words, recipe, header.Config.VocabSize, observer);
        Recipe resolved = Resolve(recipe with { Model = recipe.Model with { From = path } }, header);
        cancellation.ThrowIfCancellationRequested();
        using ComputeContext context = ComputeContext.Training(Threads(resolved));
        using ModelHeader frozen = OpenFrozen(path, resolved.Model.LoadAs, context);
        RefuseIfTooLarge(frozen, resolved);
        using LoadedModel loaded = ModelLoader.Load(frozen, context);
        AdapterOrigin origin = new() { BaseName = recipe.Model.From, BaseSha256 = HashOf(header), Fingerprint = BaseFingerprint.Of(loaded.Model) };
        Keep(loaded.Model, resolved.Adapter!);
        AdapterRecipe wanted = resolved.Adapter!;
        FreshAdapterOptions options = new() { Method = wanted.Method, Rank = wanted.Rank, Alpha = wanted.UsedAlpha, Targets = wanted.Targets };
        Adapter adapter;
        try
        {
            adapter = FreshAdapter.Create(loaded.Model, header.Family, options, resolved.Output.Seed, context, Path.GetFileName(resolved.Output.Folder), origin);
        }
        catch (ArgumentException failure)
        {
            throw new RecipeException($"targets: {failure.Message.Split(" (Parameter", 2)[0]}", failure);
        }

        PeftFolder.ToFiles(adapter, header.Config, header.Family); // throws now, where it could not be written later
        ModelSurroundings surroundings = RunStarter.Surroundings(header.Family, words, null) with { Adapter = adapter };
        CheckpointWriter.Write(new CheckpointFolder(resolved.Output.Folder), new TrainingState { Step = 0, Tokens = 0, Recipe = resolved }, header.Config, [], surroundings, null);
    }

    /// <summary>Opens the base of a run, with the adapter of a checkpoint on it.</summary>
    /// <param name="folder">The checkpoint.</param>
    /// <param name="recipe">Its recipe.</param>
    /// <param name="context">The training context.</param>
    /// <exception cref="TrainingFailedException">The base is not there any more, or another.</exception>
    public static (LoadedModel Loaded, Adapter Adapter, MemoryPlan Memory) Open(string folder, Recipe recipe, ComputeContext context)
    {
        string path = recipe.Model.From!;
        if (!Path.Exists(path))
        {
            throw new TrainingFailedException($"{path}, the model that this run adapts, is not there any more. Put it back, and run kidogo adapt --resume again.");
        }

        ModelHeader header = ModelHeader.Open(path);
        LoadedModel? loaded = null;
        try
        {
            Adapter adapter = AdapterState.Read(folder);
            if (adapter.Origin.BaseSha256 is { } hash && HashOf(header) != hash)
            {
                throw new TrainingFailedException($"{path} is not the model that this run began with: the hash of its weights is another. Put that one back, or begin again with another --out.");
            }

            header = InFormat(header, recipe.Model.LoadAs, context);
            RefuseIfTooLarge(header, recipe);
            MemoryPlan memory = MemoryPlan.ForAdapter(header.Config, header.WeightBytes, adapter.ParameterCount, recipe);
            loaded = ModelLoader.Load(header, context);
            Keep(loaded.Model, recipe.Adapter!);
            adapter.MakeTrainable();
            loaded.Model.Adapters.Attach(adapter, context);
            return (loaded, adapter, memory);
        }
        catch
        {
            loaded?.Dispose();
            header.Dispose();
            throw;
        }
    }

    /// <summary>Opens a model that is only read, in the format that a recipe wants it in.</summary>
    internal static ModelHeader OpenFrozen(string path, string? loadAs, ComputeContext context) => InFormat(ModelHeader.Open(path), loadAs, context);

    private static ModelHeader InFormat(ModelHeader header, string? loadAs, ComputeContext context) =>
        loadAs is null ? header : ModelInMemory.Open(header, RecipeField.Mix("load_as", loadAs), context.Team.Threads);

    /// <summary>The hash of a model's weight files: of one file its SHA-256, of several that of their hashes in the order of their names.</summary>
    internal static string HashOf(ModelHeader header)
    {
        string[] files = header.Gguf is { } gguf ? [.. gguf.Parts] : [.. Directory.EnumerateFiles(header.Folder!.Path, "*.safetensors").Where(path => Path.GetFileName(path).StartsWith("model", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
        string[] hashes = [.. files.Select(CheckpointWriter.Hash)];
        return hashes.Length == 1 ? hashes[0] : Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(string.Concat(hashes))));
    }

    private static Dictionary<string, ReadOnlyMemory<byte>> WordsOf(ModelHeader header, TrainingObserver observer)
    {
        if (header.Folder is { } folder)
        {
            return ModelWords.OfFolder(folder.Path);
        }

        IReadOnlyDictionary<string, ReadOnlyMemory<byte>> files = ModelConverter.TokenizerFiles(header, out string? warning);
        if (warning is not null)
        {
            observer.Warn(warning);
        }

        return files.Where(file => !file.Key.Contains('/')).ToDictionary(StringComparer.Ordinal);
    }

    /// <summary>The recipe with what it leaves open: micro-batches that keep activations small, for they are most of what an adapter's training
    /// takes.</summary>
    private static Recipe Resolve(Recipe recipe, ModelHeader header)
    {
        const int TokensOfStep = 4096;
        DecoderConfig config = header.Config;
        int context = recipe.Batch.Context ?? RecipeDefaults.ContextFor(config.ParameterCount, config.ContextLength);
        if (context > config.ContextLength)
        {
            throw new RecipeException($"context: {context} is more than the {config.ContextLength} positions that {recipe.Model.From} was made for. Take a shorter context.");
        }

        int sequences = recipe.Batch.Sequences ?? Math.Max(1, TokensOfStep / context) / (recipe.Batch.Accumulate ?? 1) * (recipe.Batch.Accumulate ?? 1);
        sequences = Math.Max(sequences, recipe.Batch.Accumulate ?? 1);
        int accumulate = recipe.Batch.Accumulate ?? Enumerable.Range(1, sequences).First(parts => parts == sequences
            || (sequences % parts == 0 && MemoryPlan.Activations(config, (long)sequences / parts * context, recipe.Precision) <= MostActivationBytes));
        Recipe resolved = RecipeDefaults.Resolve(recipe with { Batch = new BatchRecipe { Context = context, Sequences = sequences, Accumulate = accumulate } }, config.ParameterCount, config.ContextLength);
        return RunStarter.SmallEnough(recipe, resolved, config.VocabSize);
    }

    private static void RefuseIfTooLarge(ModelHeader header, Recipe recipe)
    {
        if (MemoryPlan.ForAdapter(header.Config, header.WeightBytes, 0, recipe).Refusal(MachineMemory.Read(), recipe) is { } refusal)
        {
            throw new TrainingFailedException(refusal);
        }
    }

    private static void Keep(DecoderModel model, AdapterRecipe recipe)
    {
        if (recipe.BaseFormat != BaseFormat.Stored)
        {
            Nf4Base.Apply(model, recipe.BaseFormat == BaseFormat.Nf4Double);
        }
    }

    private static int Threads(Recipe recipe) => recipe.Precision.Threads > 0 ? recipe.Precision.Threads : MachineInfo.CountPhysicalCores();
}
