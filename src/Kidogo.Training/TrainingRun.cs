// A run that was begun, with all its parts in memory, at the step of a checkpoint. Makes no step itself.
using System.Diagnostics;
using System.Globalization;
using Kidogo.Data;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Models.Files;
using Kidogo.Models.Passports;
using Kidogo.Tensors;
using Kidogo.Text.Tokenizers;
using Kidogo.Training.Adapters;
using Kidogo.Training.Checkpoints;
using Kidogo.Training.Distillation;
using Kidogo.Training.Optimizers;
using Kidogo.Training.Preference;
using Kidogo.Training.Recipes;
using Kidogo.Training.Schedules;

namespace Kidogo.Training;

/// <summary>A run in memory. The same folder gives the same run, whichever process opens it.</summary>
public sealed class TrainingRun : IDisposable
{
    private readonly List<IDisposable> _owned = [];
    private BatchStream? _stream;
    private long _epochPositions, _trainingTokens; // of the data, once

    private TrainingRun(string output) => Output = output;

    /// <summary>OUT.</summary>
    public string Output { get; }

    /// <summary>What the run is.</summary>
    public TrainingPlan Plan { get; private set; } = null!;

    /// <summary>The model.</summary>
    public DecoderModel Model { get; private set; } = null!;

    /// <summary>Its vocabulary.</summary>
    public Tokenizer Tokenizer { get; private set; } = null!;

    internal TrainingState State { get; private set; } = null!;

    internal CheckpointFolder Checkpoints => new(Output);

    internal ComputeContext Context { get; private set; } = null!;

    internal IReadOnlyList<ModelParameter> Parameters { get; private set; } = [];

    /// <summary>What makes passes see weights of fewer bits; null where they see those that are trained.</summary>
    internal QuantizationAware? Rounded { get; private set; }

    internal ModelSurroundings Surroundings { get; private set; } = null!;

    internal Optimizer Optimizer { get; private set; } = null!;

    internal TrainingStep Step { get; private set; } = null!;

    /// <summary>The texts; null where preferences are learned from.</summary>
    internal PreparedData? Data { get; private set; }

    /// <summary>The preferences; null where texts are learned from.</summary>
    internal PreferenceLoss? Preferences { get; private set; }

    /// <summary>A prompt of the data to sample with, where these are preferences.</summary>
    internal int[] PreferencePrompt { get; private set; } = [];

    internal LearningRateSchedule Schedule { get; private set; } = null!;

    internal IReadOnlyList<TokenBatch> Batches { get; private set; } = [];

    /// <summary>Draws the student's own texts; null where it learns from the data's alone.</summary>
    internal OnPolicySampler? OwnTexts { get; private set; }

    /// <summary>Threads that compute.</summary>
    public int Threads { get; private set; }

    internal Recipe Recipe => State.Recipe;

    /// <summary>Opens the run of a folder at its last checkpoint, or at the checkpoint that is named.</summary>
    /// <param name="path">OUT, or OUT/checkpoints/step-N.</param>
    /// <param name="threads">Threads instead of the recipe's; 0 for those.</param>
    /// <param name="observer">Told what is going on.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="TrainingFailedException">There is no run, another process has it, or the checkpoint is damaged.</exception>
    /// <exception cref="DataFormatException">The data are not those of the checkpoint.</exception>
    public static TrainingRun Open(string path, int threads, TrainingObserver observer, CancellationToken cancellation)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        bool isCheckpoint = CheckpointFolder.StepOf(full) >= 0 && !File.Exists(Path.Combine(full, RunStarter.RunName));
        string output = isCheckpoint ? Path.GetDirectoryName(Path.GetDirectoryName(full)!)! : full;
        if (!Directory.Exists(full))
        {
            throw new TrainingFailedException($"There is no folder {path} to go on from.");
        }

        TrainingRun run = new(output);
        try
        {
            run.Lock();
            run.Clean();
            run.Load(isCheckpoint ? full : run.LastCheckpoint(observer, cancellation), threads, observer, cancellation);
            return run;
        }
        catch
        {
            run.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        for (int i = _owned.Count - 1; i >= 0; i--)
        {
            _owned[i].Dispose();
        }

        _owned.Clear();
    }

    internal void Advance(TrainingState state) => State = state;

    private void Lock()
    {
        string path = Path.Combine(Output, ".lock");
        try
        {
            _owned.Add(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose));
        }
        catch (IOException failure)
        {
            throw new TrainingFailedException($"Another kidogo trains in {Output}: two would spoil each other's checkpoints. Wait for it, or stop it.",
                failure);
        }
    }

    /// <summary>Removes what processes that were killed left half written, here and beside OUT, where the finished model is put together.</summary>
    private void Clean()
    {
        Checkpoints.Clean();
        foreach (string file in Directory.EnumerateFiles(Output, ".*.tmp"))
        {
            File.Delete(file);
        }

        string beside = Path.GetDirectoryName(Output) ?? Output;
        EnumerationOptions readable = new() { AttributesToSkip = 0, IgnoreInaccessible = true };
        foreach (string folder in Directory.EnumerateDirectories(beside, $".{Path.GetFileName(Output)}.*.tmp", readable))
        {
            // The number of a process.
            if (int.TryParse(Path.GetFileNameWithoutExtension(folder).Split('.')[^1], NumberStyles.None, CultureInfo.InvariantCulture, out _))
            {
                Directory.Delete(folder, recursive: true);
            }
        }
    }

    private string LastCheckpoint(TrainingObserver observer, CancellationToken cancellation)
    {
        if (Checkpoints.Steps().Count == 0)
        {
            string begun = Path.Combine(Output, RunStarter.RunName);
            if (!File.Exists(begun))
            {
                throw new TrainingFailedException($"{Output} holds no run of kidogo train: it has neither {RunStarter.RunName} nor checkpoints.");
            }

            Recipe recipe = TrainingState.Read(begun).Recipe;
            RunStarter.Prepare(recipe with { Output = recipe.Output with { Folder = Output } }, observer, cancellation);
        }

        return Checkpoints.Of(Checkpoints.Steps()[^1]);
    }

    private void Load(string folder, int threads, TrainingObserver observer, CancellationToken cancellation)
    {
        State = Checked(folder);
        State = State with { Recipe = Moved(State.Recipe) };
        Threads = threads > 0 ? threads : Recipe.Precision.Threads > 0 ? Recipe.Precision.Threads : MachineInfo.CountPhysicalCores();
        MemoryPlan memory = LoadModel(folder);
        BatchRecipe batch = Recipe.Batch;
        int rows = batch.Sequences!.Value / batch.Accumulate!.Value * (Recipe.Preference?.RowsPerItem ?? 1);
        Batches = [.. Enumerable.Range(0, batch.Accumulate.Value).Select(_ => new TokenBatch(rows, batch.Context!.Value))];
        // A teacher that does not fit is refused before the texts are tokenised, which may take long; stored answers are of these texts, so they come after.
        Distiller? distiller = Recipe.Distillation is { } taught && !HasOutputs(taught) ? Own(OpenTeacher(taught)) : null;
        if (Recipe.Preference is null)
        {
            LoadTexts(folder, observer, cancellation);
        }
        else
        {
            LoadPreferences(folder, Recipe.Preference, observer, cancellation);
        }

        distiller ??= Recipe.Distillation is { } stored ? Own(OpenTeacher(stored)) : null;
        Surroundings = Surroundings with { Companions = distiller?.Parameters ?? [] };
        CheckpointReader.FillCompanions(folder, State.Step, Surroundings.Companions);
        Optimizer = OptimizerFactory.Create(Recipe.Optimizer, [.. Parameters, .. Surroundings.Companions]);
        CheckpointReader.FillOptimizer(folder, State.Step, Optimizer);
        Step = Own(new TrainingStep(
            Model, Context, Optimizer, new StepOptions(Recipe.Optimizer.LabelSmoothing, Recipe.Optimizer.ZLoss, Recipe.Optimizer.Clip), (StepLoss?)distiller ?? Preferences,
            Recipe.Optimizer.KeepZeros == true && Recipe.Adapter is null ? new KeptZeros(Parameters) : null));
        MakePlan(memory);
        UseOutputs(distiller, observer, cancellation);
    }

    private void LoadTexts(string folder, TrainingObserver observer, CancellationToken cancellation)
    {
        PreparedData data = Own(PreparedData.Prepare(DataOptions(), Tokenizer, Chat(folder), observer.DataProgress, cancellation));
        Data = data;
        Surroundings = Surroundings with { Passport = Surroundings.Passport is { } begun ? TrainingPassport.With(begun, data) : null };
        foreach (string warning in data.Warnings)
        {
            observer.Warn(warning);
        }

        _stream = data.OpenTraining();
        if (State.Position is { } position)
        {
            _stream.Position = position;
        }

        (_epochPositions, _trainingTokens) = (data.Sources.Sum(source => source.TrainingPositions), data.Sources.Sum(source => source.TrainingTokens));
    }

    private void LoadPreferences(string folder, PreferenceRecipe recipe, TrainingObserver observer, CancellationToken cancellation)
    {
        PreferenceOptions options = new()
        {
            Paths = [.. Recipe.Data.Sources.Select(source => source.Path)],
            IsSingle = recipe.Kind == PreferenceKind.Kto,
            MostTokens = Recipe.Batch.Context!.Value + 1,
            SkipsLong = Recipe.Data.SkipLongConversations,
            HeldOut = Recipe.Data.HeldOut,
            Seed = Recipe.Output.Seed,
        };
        PreferenceData data = PreferenceData.Read(options, Tokenizer, Chat(folder));
        if (data.Skipped > 0)
        {
            observer.Warn($"{data.Skipped} preferences are longer than the context of {Recipe.Batch.Context} tokens and are left out.");
        }

        ReferenceScores reference;
        if (State.Step == 0)
        {
            reference = ReferenceScores.Compute(Model, Context, data, Batches[0].Rows, observer, cancellation);
            reference.Write(Output, data);
        }
        else
        {
            reference = ReferenceScores.Read(Output, data);
        }

        Preferences = Own(new PreferenceLoss(recipe, data, reference));
        PreferenceText first = data.Items[data.At(0)].Answer;
        PreferencePrompt = first.Ids[..Math.Max(1, Array.IndexOf(first.Counts, true))];
        _epochPositions = (long)data.TrainingCount * Recipe.Batch.Context!.Value;
        _trainingTokens = data.Items.Sum(item => (long)PreferenceLoss.TextsOf(item).Sum(text => text.Ids.Length));
    }

    /// <summary>Fills the micro-batches of a step.</summary>
    internal void Fill(long step)
    {
        Preferences?.Fill(Batches, step);
        for (int part = 0; part < Batches.Count && _stream is not null; part++)
        {
            _stream.Next(Batches[part]);
            if (OwnTexts is { } own && own.Samples(step))
            {
                own.Replace(Batches[part], step, part);
            }
        }
    }

    /// <summary>Where the texts stand; null of preferences, which the step says.</summary>
    internal StreamPosition? Position => _stream?.Position;

    /// <summary>Tokens that are held out of the texts; 0 of preferences.</summary>
    internal long HeldOutTokens => Data?.Sources.Sum(source => source.HeldOutPositions) ?? 0;

    /// <summary>What held-out texts or preferences give; null where none are held out.</summary>
    internal EvaluationRecord? Evaluate() => Preferences is { } preferences ? preferences.Evaluate(Model, Context, Batches[0].Rows)
        : HeldOutEvaluation.Run(Model, Context, Data!, Batches[0].Rows, Recipe.Output.EvalTokens, default);

    private static bool HasOutputs(DistillationRecipe taught) => taught is { NeedsTeacher: true, Outputs: { } path } && File.Exists(path);

    /// <summary>Opens the teacher, or what is stored of it.</summary>
    private Distiller OpenTeacher(DistillationRecipe taught)
    {
        OwnTexts = taught.OnPolicy > 0 ? Own(new OnPolicySampler(Model, taught.OnPolicy, Recipe.Output.Seed, Threads)) : null;
        TeacherOutputs? outputs = HasOutputs(taught) ? TeacherOutputs.Open(taught.Outputs!, IdentityOf(taught)) : null;
        if (outputs is null && taught is { NeedsTeacher: true, Teacher.Length: 0 })
        {
            throw new TrainingFailedException($"{taught.Outputs}, what this run knows of its teacher, is not there any more. Put it back, and resume again.");
        }

        try
        {
            return Distiller.Open(Recipe, Model, Tokenizer, outputs, Threads);
        }
        catch
        {
            outputs?.Dispose();
            throw;
        }
    }

    /// <summary>Where a file of the teacher's outputs was asked for: makes it if it is not there, and makes sure that it is long enough.</summary>
    private void UseOutputs(Distiller? distiller, TrainingObserver observer, CancellationToken cancellation)
    {
        if (distiller is null || Recipe.Distillation is not { NeedsTeacher: true, Outputs: { } path } taught)
        {
            return;
        }

        long rows = Plan.Steps * Recipe.Batch.Sequences!.Value;
        if (distiller.Model is { } teacher)
        {
            OutputsIdentity identity = IdentityOf(taught);
            TeacherOutputs.Write(path, teacher, identity, Data!, Recipe, rows, observer, cancellation);
            distiller.UseStored(TeacherOutputs.Open(path, identity));
        }

        distiller.Stored!.Require(rows);
    }

    private OutputsIdentity IdentityOf(DistillationRecipe taught)
    {
        using ModelHeader? header = taught.Teacher.Length > 0 ? ModelHeader.Open(taught.Teacher) : null;
        return new OutputsIdentity(header is null ? null : AdaptedBase.HashOf(header) + (Recipe.Model.LoadAs is { } format ? $" as {format}" : ""), Tokenizer.Fingerprint, Data!.Fingerprint, taught.Temperature, Model.Config.VocabSize);
    }

    /// <summary>The state of a checkpoint that is whole; the refusal of one that is not names the last that is.</summary>
    private TrainingState Checked(string folder)
    {
        try
        {
            return CheckpointReader.Check(folder);
        }
        catch (TrainingFailedException failure)
        {
            string problem = failure.Message.Replace(CheckpointFolder.TakeAnother, "", StringComparison.Ordinal).TrimEnd();
            string advice = Checkpoints.Steps().Reverse().Select(Checkpoints.Of).FirstOrDefault(other => other != folder && IsWhole(other)) is { } whole
                ? $"The last checkpoint that is whole is that of step {CheckpointFolder.StepOf(whole)}. Go on from it: kidogo train --resume {whole}"
                : "No other checkpoint is whole. Begin again with another --out.";
            throw new TrainingFailedException($"{problem} {advice}", failure);
        }
    }

    private static bool IsWhole(string folder)
    {
        try
        {
            return CheckpointReader.Check(folder).Step >= 0;
        }
        catch (TrainingFailedException)
        {
            return false;
        }
    }

    private MemoryPlan LoadModel(string folder)
    {
        if (Recipe.Adapter is not null)
        {
            return LoadAdapter(folder);
        }

        using ModelHeader header = ModelHeader.Open(folder);
        MemoryPlan memory = Distillation.OpenTeacher.Counted(MemoryPlan.For(header.Config, Recipe), Recipe);
        if (memory.Refusal(MachineMemory.Read(), Recipe) is { } refusal)
        {
            throw new TrainingFailedException(refusal);
        }

        Context = Own(ComputeContext.Training(Threads, Recipe.Precision.CheckpointActivations, Recipe.Precision.IsBFloat16));
        LoadedModel loaded = Own(ModelLoader.Load(folder, Context));
        Model = loaded.Model;
        Parameters = ModelParameters.MakeTrainable(Model);
        if (Recipe.Precision.QuantizationAware is { } format)
        {
            Rounded = QuantizationAware.Of(Model, Parameters, QuantizationAware.FormatOf(format)!);
            Parameters = Rounded.Parameters;
        }

        Dictionary<string, ReadOnlyMemory<byte>> words = ModelWords.OfFolder(folder);
        Tokenizer = ModelWords.Read(words);
        Surroundings = RunStarter.Surroundings(loaded.Family, words, File.ReadAllBytes(Path.Combine(folder, "config.json"))) with
        {
            Passport = PassportJson.Of(header) ?? TrainingPassport.Begin(Recipe, null),
        };
        loaded.Header.Dispose(); // all is decoded, and the checkpoint may go
        return memory;
    }

    private MemoryPlan LoadAdapter(string folder)
    {
        Context = Own(ComputeContext.Training(Threads, Recipe.Precision.CheckpointActivations, Recipe.Precision.IsBFloat16));
        (LoadedModel loaded, Adapter adapter, MemoryPlan memory) = AdaptedBase.Open(folder, Recipe, Context);
        Model = Own(loaded).Model;
        Parameters = ModelParameters.Of(Model);
        Dictionary<string, ReadOnlyMemory<byte>> words = ModelWords.OfFolder(folder);
        Tokenizer = ModelWords.Read(words);
        Surroundings = RunStarter.Surroundings(loaded.Family, words, null) with { Adapter = adapter };
        return memory;
    }

    private DataOptions DataOptions() => new()
    {
        Sources = Recipe.Data.Sources,
        CacheFolder = Recipe.Data.Cache!,
        Context = Recipe.Batch.Context!.Value,
        HeldOut = Recipe.Data.HeldOut,
        Seed = Recipe.Output.Seed,
        Strict = Recipe.Data.Strict,
        SkipLongConversations = Recipe.Data.SkipLongConversations,
        Workers = Threads,
    };

    private static ChatSetup? Chat(string folder)
    {
        using ModelText text = ModelText.Open(folder);
        return text.ChatTemplate() is { } template ? new ChatSetup(template, text.Input([], addGenerationPrompt: false)) : null;
    }

    /// <summary>Steps in all: as a checkpoint or an earlier process has planned them, else planned now, by the measured speed where that matters, and
    /// kept.</summary>
    private void MakePlan(MemoryPlan memory)
    {
        string kept = Path.Combine(Output, RunStarter.RunName);
        long? planned = State.PlannedSteps ?? (File.Exists(kept) ? TrainingState.Read(kept).PlannedSteps : null);
        double seconds = State.Step == 0 ? MeasureSeconds() : 0;
        long steps = planned ?? RecipeDefaults.Steps(Recipe, Model.Config.ParameterCount, _epochPositions, seconds);
        State = State with { PlannedSteps = steps };
        if (planned is null)
        {
            NewFile.Write(kept, (State with { Files = [] }).ToBytes());
            FolderFlush.Flush(Output);
        }

        long warmup = RecipeDefaults.Warmup(Recipe, steps);
        if (warmup > steps)
        {
            throw new RecipeException($"warmup: {warmup} is more than the {steps} steps of this run. The learning rate would never reach its height; shorten "
                + "the warm-up.");
        }

        Schedule = new LearningRateSchedule(Recipe.Optimizer.Schedule, steps, warmup, Recipe.Optimizer.FinalRate, Recipe.Optimizer.DecayShare ?? 0.2);
        Plan = new TrainingPlan(Model.Config, Recipe, memory, steps, State.Step, seconds, _trainingTokens)
        {
            TrainableParameters = Parameters.Sum(parameter => (long)parameter.Values.Length),
        };
    }

    /// <summary>Seconds of a step: of the second of two that change no weight.</summary>
    private double MeasureSeconds()
    {
        if (Preferences is not null)
        {
            Preferences.Fill(Batches, 0);
        }
        else
        {
            Data!.OpenTraining().Next(Batches[0]);
        }

        Step.Accumulate([Batches[0]]);
        long start = Stopwatch.GetTimestamp();
        Step.Accumulate([Batches[0]]);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        foreach (TrainedParameter parameter in Optimizer.Parameters)
        {
            parameter.Values.ClearGradient();
        }

        const double Optimizing = 1.05; // the optimiser's share, or so
        return seconds * Batches.Count * Optimizing;
    }

    /// <summary>The recipe where the folder was given another name.</summary>
    private Recipe Moved(Recipe recipe)
    {
        string shards = Path.Combine(recipe.Output.Folder, "shards");
        return recipe with
        {
            Data = recipe.Data with { Cache = recipe.Data.Cache == shards ? Path.Combine(Output, "shards") : recipe.Data.Cache },
            Output = recipe.Output with { Folder = Output },
        };
    }

    private T Own<T>(T part)
        where T : IDisposable
    {
        _owned.Add(part);
        return part;
    }
}
